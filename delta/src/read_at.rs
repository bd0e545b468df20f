//! Positional reads: how the encoder sees a layer and its bases, and how the decoder sees the bases.
//! Implemented for files and for bytes in memory; a cache over a registry can implement it too.

use std::fs::File;
use std::io;

/// Bytes of a known length that can be read at any offset, in any order, from a shared reference.
pub trait ReadAt {
    /// The number of bytes. It does not change while the value is in use.
    fn size(&self) -> u64;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// What reading failed with; `UnexpectedEof` past the end.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A file of plain bytes, with its length as it was when it was opened.
#[derive(Debug)]
pub struct PlainFile {
    file: File,
    size: u64,
}

impl PlainFile {
    /// Takes an open file.
    ///
    /// # Errors
    /// When its length cannot be found.
    pub fn new(file: File) -> io::Result<PlainFile> {
        let size = file.metadata()?.len();
        Ok(PlainFile { file, size })
    }
}

impl ReadAt for PlainFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        bundle_os::read_exact_at(&self.file, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|from| self.get(from..from.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buffer, offset)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}
