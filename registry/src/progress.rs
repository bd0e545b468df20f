//! Events for whoever shows the progress of transfers; nothing depends on what is done with them.

use bundle_oci::Digest;

/// Told of bytes as they move. What is told is for people; nothing depends on it.
pub trait Progress: Send + Sync {
    /// So many of all images were looked up, before any byte of a blob moves.
    fn looked_at(&self, _done: usize, _all: usize) {}

    /// How many bytes there are to move in all.
    fn total(&self, _bytes: u64) {}

    /// A blob starts to move, with so many of its bytes in place already.
    fn begin(&self, _blob: Digest, _size: u64, _done: u64) {}

    /// Bytes of a blob have moved.
    fn advance(&self, _blob: Digest, _bytes: u64) {}

    /// A blob starts again: so many of its bytes moved in vain.
    fn rewind(&self, _blob: Digest, _bytes: u64) {}

    /// A blob is where it belongs.
    fn end(&self, _blob: Digest) {}

    /// Something that people should know.
    fn note(&self, _message: &str) {}
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
