//! Which of two is right where parity and what is stored disagree: the statement's digests say it, for one
//! range after the other. So parity that lies, by accident or on purpose, never does harm to what is good.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::medium::packed::Packed;
use crate::parity::layer::Rebuilding;
use crate::{Layer, ParityShare};

/// A bundle's bytes with parity and without, and what was found of either.
pub(crate) struct Settled {
    parity: Arc<Rebuilding>,
    /// The archive's bytes as they stand.
    plain: Arc<dyn Layer>,
    packed: Option<Packed>,
    /// By the first byte of a range: its end, and whether it is right as it stands.
    found: Mutex<BTreeMap<u64, (u64, bool)>>,
}

impl Settled {
    pub(crate) fn new(stored: Arc<dyn Layer>, parity: Arc<Rebuilding>, packed: Option<Packed>) -> Self {
        let plain: Arc<dyn Layer> = match &packed {
            Some(packed) => packed.over(stored),
            None => stored,
        };
        Self { parity, plain, packed, found: Mutex::default() }
    }

    /// The parity's share, and what is stored with what is lost of it rebuilt.
    pub(crate) fn stored(&self) -> (ParityShare, &dyn Layer) {
        (self.parity.share(), &self.parity)
    }

    /// Where the table of frames lies in what is stored.
    pub(crate) fn table_of_frames(&self) -> Option<Range<u64>> {
        Some(self.packed.as_ref()?.stored_size()..self.parity.size().ok()?)
    }

    /// The parity, which reports rebuilt blocks.
    pub(crate) fn parity(&self) -> &Arc<Rebuilding> {
        &self.parity
    }

    /// Where to read bytes that are right as they stand.
    pub(crate) fn believed(&self, bytes: &Range<u64>) -> Option<&dyn Layer> {
        let found = self.found();
        let (_, (end, is_right)) = found.range(..=bytes.start).next_back()?;
        (*is_right && bytes.end <= *end).then_some(&self.plain)
    }

    /// [`Layer::settle`].
    pub(crate) fn settle(&self, bytes: &Range<u64>, is_right: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        let stored = match &self.packed {
            Some(packed) => packed.stored_of(bytes),
            None => Some(bytes.clone()),
        };
        if !stored.is_some_and(|stored| self.parity.is_doubtful(&stored))
            || self.found().contains_key(&bytes.start)
        {
            return false;
        }
        let is_right = is_right(&self.plain);
        self.found().insert(bytes.start, (bytes.end, is_right));
        is_right
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<u64, (u64, bool)>> {
        // Each entry is right by itself.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
