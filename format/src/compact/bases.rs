//! Where the bases of a compact encoding come from: blobs that this side has already.
//! Takes a base's name, gives the blob's bytes as they lie there; their digest is checked by who asked.

use std::io::{self, Write};
use std::sync::Arc;

use crate::{CompactBase, ScratchSpace};

/// Gives the blobs that recipes are differences to: a registry, earlier bundles, or nothing.
pub trait Bases: Send + Sync {
    /// Whether a base can be had, as far as that is known without reading it.
    fn has(&self, base: &CompactBase) -> bool;

    /// Writes a base's bytes, no more than its size.
    ///
    /// # Errors
    /// It is not to be had ([`io::ErrorKind::NotFound`]), or cannot be read or written.
    fn copy(&self, base: &CompactBase, out: &mut dyn Write) -> io::Result<()>;
}

/// No base at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBases;

impl Bases for NoBases {
    fn has(&self, _: &CompactBase) -> bool {
        false
    }

    fn copy(&self, _: &CompactBase, _: &mut dyn Write) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// What a reader of a compact encoding needs beside it.
#[derive(Clone)]
pub struct Lent {
    /// Where bases come from.
    pub bases: Arc<dyn Bases>,
    /// Where blobs are made.
    pub scratch: ScratchSpace,
}

impl Default for Lent {
    fn default() -> Self {
        Self { bases: Arc::new(NoBases), scratch: ScratchSpace::default() }
    }
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lent({:?})", self.scratch)
    }
}
