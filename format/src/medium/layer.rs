//! One layer of what an archive lies on, and the layers at the bottom: files, and memory.
//! Takes an offset and a buffer, gives bytes of the archive, and whether they are here.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes that can be read at any place and by several threads at once; some of them may be missing.
///
/// A layer stands on another one and answers for the bytes that it makes of it: the archive's, at
/// the top. There are no default methods, for a layer that forgot to pass a question on would
/// answer it wrong.
pub trait Layer: Send + Sync {
    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// The bytes cannot be read, are missing, or end before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Fills `buffer` from `offset` if that can be done without waiting for a medium, and says whether it
    /// did. [`Layer::read_exact_at`] reads all bytes that cannot be filled so.
    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool;

    /// How many bytes there are, missing ones too.
    ///
    /// # Errors
    /// The length cannot be found out.
    fn size(&self) -> io::Result<u64>;

    /// Whether all of these bytes can be read, or made of what can be read.
    fn has(&self, bytes: &Range<u64>) -> bool;

    /// Which of these bytes can be read, or made of what can be read; in order, without overlaps.
    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>>;

    /// The volumes that have some of these bytes, missing ones too; none if there are no volumes.
    fn files_of(&self, bytes: &Range<u64>) -> Vec<PathBuf>;

    /// The volumes that are missing.
    fn missing(&self) -> Vec<PathBuf>;

    /// The name of the file that holds these bytes, if there are several files; the damaged ones if several
    /// apply.
    fn place(&self, bytes: &Range<u64>) -> Option<String>;

    /// Where some of these bytes were rebuilt though others stand in their place, lets the caller judge:
    /// `is_right` is given all as they stand. If it says so, they are given like that from then on,
    /// and the answer is true: read them again.
    fn settle(&self, bytes: &Range<u64>, is_right: &mut dyn FnMut(&dyn Layer) -> bool) -> bool;
}

/// The part of a range that lies before `size`.
pub(crate) fn before(size: u64, bytes: &Range<u64>) -> Vec<Range<u64>> {
    let end = bytes.end.min(size);
    Vec::from_iter((bytes.start < end).then_some(bytes.start..end))
}

impl Layer for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        bundle_os::read_exact_at(self, buffer, offset)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        bundle_os::read_cached_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        Layer::size(self).is_ok_and(|size| bytes.end <= size)
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        before(Layer::size(self).unwrap_or_default(), bytes)
    }

    fn files_of(&self, _: &Range<u64>) -> Vec<PathBuf> {
        Vec::new()
    }

    fn missing(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn place(&self, _: &Range<u64>) -> Option<String> {
        None
    }

    fn settle(&self, _: &Range<u64>, _: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        false
    }
}

impl Layer for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        Layer::read_exact_at(self, buffer, offset).is_ok()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        bytes.end <= self.len() as u64
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        before(self.len() as u64, bytes)
    }

    fn files_of(&self, _: &Range<u64>) -> Vec<PathBuf> {
        Vec::new()
    }

    fn missing(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn place(&self, _: &Range<u64>) -> Option<String> {
        None
    }

    fn settle(&self, _: &Range<u64>, _: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        false
    }
}

impl<L: Layer + ?Sized> Layer for Arc<L> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        L::read_exact_at(self, buffer, offset)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        L::read_at_once(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        L::size(self)
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        L::has(self, bytes)
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        L::parts_of(self, bytes)
    }

    fn files_of(&self, bytes: &Range<u64>) -> Vec<PathBuf> {
        L::files_of(self, bytes)
    }

    fn missing(&self) -> Vec<PathBuf> {
        L::missing(self)
    }

    fn place(&self, bytes: &Range<u64>) -> Option<String> {
        L::place(self, bytes)
    }

    fn settle(&self, bytes: &Range<u64>, is_right: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        L::settle(self, bytes, is_right)
    }
}
