//! Events of transfers, for displays of progress; they have no other effect. Takes bytes, notes and totals
//! through [`Progress`], gives nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bundle_oci::Digest;

use crate::lock::lock;

/// Receives progress events as bytes move. They are for display only.
pub trait Progress: Send + Sync {
    /// So many of all images were looked up, before any byte of a blob moves.
    fn looked_at(&self, _done: usize, _all: usize) {}

    /// The main work begins: so many bytes are to move in all.
    fn total(&self, _bytes: u64) {}

    /// The images that these bytes are of, told after their total. They share blobs; those without any are in
    /// place.
    fn images(&self, _images: &[ImageExtent]) {}

    /// Another stage begins, such as `proving`, with so many bytes to move; 0 if that is not known.
    fn stage(&self, _name: &'static str, _bytes: u64) {}

    /// A blob starts to move, with so many of its bytes in place already.
    fn begin(&self, _blob: Digest, _size: u64, _done: u64) {}

    /// Bytes of a blob have moved.
    fn advance(&self, _blob: Digest, _bytes: u64) {}

    /// Bytes of a blob need not move: they are there already.
    fn present(&self, _blob: Digest, _bytes: u64) {}

    /// A blob starts again: so many of its bytes moved in vain.
    fn rewind(&self, _blob: Digest, _bytes: u64) {}

    /// A blob is where it belongs.
    fn end(&self, _blob: Digest) {}

    /// Something that people should know.
    fn note(&self, _message: &str) {}
}

/// An image as people know it, and what it consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageExtent {
    /// Its name: `nginx:1.25`.
    pub name: String,
    /// Those of its blobs that are to move, each once, with their sizes in bytes.
    pub blobs: Vec<(Digest, u64)>,
}

/// Reports nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}

/// Passes on what it is reported, but never more bytes of a blob than it has: what is sent again after a
/// failure, or is found in place at the end, counts once.
pub struct Clamped {
    to: Arc<dyn Progress>,
    /// Size and bytes so far of the blobs that are moving.
    blobs: Mutex<HashMap<Digest, (u64, u64)>>,
}

impl Clamped {
    /// Passes on to `to`.
    pub fn new(to: Arc<dyn Progress>) -> Self {
        Self { to, blobs: Mutex::default() }
    }

    /// So many of these bytes as the blob still has.
    fn counted(&self, blob: Digest, bytes: u64) -> u64 {
        match lock(&self.blobs).get_mut(&blob) {
            Some((size, done)) => {
                let bytes = bytes.min(*size - *done);
                *done += bytes;
                bytes
            }
            None => bytes,
        }
    }
}

impl std::fmt::Debug for Clamped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clamped")
    }
}

impl Progress for Clamped {
    fn looked_at(&self, done: usize, all: usize) {
        self.to.looked_at(done, all);
    }

    fn total(&self, bytes: u64) {
        self.to.total(bytes);
    }

    fn images(&self, images: &[ImageExtent]) {
        self.to.images(images);
    }

    fn stage(&self, name: &'static str, bytes: u64) {
        self.to.stage(name, bytes);
    }

    fn begin(&self, blob: Digest, size: u64, done: u64) {
        lock(&self.blobs).insert(blob, (size, done.min(size)));
        self.to.begin(blob, size, done);
    }

    fn advance(&self, blob: Digest, bytes: u64) {
        let bytes = self.counted(blob, bytes);
        if bytes > 0 {
            self.to.advance(blob, bytes);
        }
    }

    fn present(&self, blob: Digest, bytes: u64) {
        let bytes = self.counted(blob, bytes);
        if bytes > 0 {
            self.to.present(blob, bytes);
        }
    }

    fn rewind(&self, blob: Digest, bytes: u64) {
        let bytes = match lock(&self.blobs).get_mut(&blob) {
            Some((_, done)) => {
                let bytes = bytes.min(*done);
                *done -= bytes;
                bytes
            }
            None => bytes,
        };
        if bytes > 0 {
            self.to.rewind(blob, bytes);
        }
    }

    fn end(&self, blob: Digest) {
        lock(&self.blobs).remove(&blob);
        self.to.end(blob);
    }

    fn note(&self, message: &str) {
        self.to.note(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Sum(Mutex<(u64, u64)>);

    impl Progress for Sum {
        fn advance(&self, _blob: Digest, bytes: u64) {
            let mut sum = lock(&self.0);
            sum.0 += bytes;
            sum.1 = sum.1.max(sum.0);
        }

        fn rewind(&self, _blob: Digest, bytes: u64) {
            lock(&self.0).0 -= bytes;
        }
    }

    #[test]
    fn progress_never_exceeds_the_whole() {
        let sum = Arc::new(Sum::default());
        let clamped = Clamped::new(sum.clone());
        let blob = Digest::of(b"");
        clamped.begin(blob, 100, 0);
        clamped.advance(blob, 70);
        clamped.rewind(blob, 70);
        clamped.advance(blob, 60);
        clamped.advance(blob, 60);
        clamped.advance(blob, 100);
        clamped.end(blob);
        assert_eq!(*lock(&sum.0), (100, 100));
    }
}
