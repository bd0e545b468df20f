use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::ReadAt;

/// What a bundle lies on: one file, so far.
#[derive(Debug)]
pub enum Medium {
    /// A tar in one file.
    File(File),
}

/// Why a medium cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum MediumError {
    /// A file that cannot be opened.
    #[error("{} cannot be opened", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// O_NONBLOCK on Linux: to open a FIFO waits for its writer, unless told not to; regular files do
/// not mind.
const NONBLOCK: i32 = 0o4000;

impl Medium {
    /// Opens what lies at `path`.
    ///
    /// # Errors
    /// Any [`MediumError`].
    pub fn open(path: &Path) -> Result<Self, MediumError> {
        let failed = |source| MediumError::Open { path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is no regular file; use - for a pipe")));
        }
        Ok(Self::File(file))
    }
}

impl ReadAt for Medium {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(buffer, offset),
        }
    }

    fn size(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => file.size(),
        }
    }
}

/// Reads a medium from its start.
#[derive(Debug)]
pub struct Cursor<'a, R> {
    reader: &'a R,
    position: u64,
    size: u64,
}

impl<'a, R: ReadAt> Cursor<'a, R> {
    /// A reader that has read nothing.
    ///
    /// # Errors
    /// The medium's length cannot be found out.
    pub fn new(reader: &'a R) -> io::Result<Self> {
        Ok(Self { reader, position: 0, size: reader.size()? })
    }
}

impl<R: ReadAt> Read for Cursor<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.reader.read_exact_at(&mut buffer[..length], self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}
