//! What unpacks the stored bytes of an archive: frames of Zstandard, or a compact encoding. Both say which
//! stored bytes they read for which of the archive's.

use std::ops::Range;
use std::sync::Arc;

use crate::{Compact, Compressed, Layer};

/// A layer that unpacks what is stored.
#[derive(Clone, Debug)]
pub(crate) enum Packed {
    Compressed(Arc<Compressed>),
    Compact(Arc<Compact>),
}

impl Packed {
    /// The archive's bytes.
    pub(crate) fn layer(&self) -> Arc<dyn Layer> {
        match self {
            Self::Compressed(compressed) => compressed.clone(),
            Self::Compact(compact) => compact.clone(),
        }
    }

    /// The same of other stored bytes.
    pub(crate) fn over(&self, stored: Arc<dyn Layer>) -> Arc<dyn Layer> {
        match self {
            Self::Compressed(compressed) => Arc::new(compressed.over(stored)),
            Self::Compact(compact) => Arc::new(compact.over(stored)),
        }
    }

    /// Where the table begins in what is stored.
    pub(crate) fn stored_size(&self) -> u64 {
        match self {
            Self::Compressed(compressed) => compressed.stored_size(),
            Self::Compact(compact) => compact.stored_size(),
        }
    }

    /// The stored bytes that some of the archive's are read of; `None` beyond the end.
    pub(crate) fn stored_of(&self, bytes: &Range<u64>) -> Option<Range<u64>> {
        match self {
            Self::Compressed(compressed) => compressed.stored_of(bytes),
            Self::Compact(compact) => compact.stored_of(bytes),
        }
    }
}
