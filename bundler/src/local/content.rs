//! Bytes of a local source, in place: a file, or a part of an archive. Takes a place; gives bytes from any
//! offset, as they are. That they are right is for the receiver to see, who knows their digest.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

/// Where some bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// In memory: documents that were made.
    Memory(Bytes),
    /// A part of an open file.
    Part {
        /// The archive.
        file: Arc<File>,
        /// Where in it they begin.
        offset: u64,
        /// How many they are.
        size: u64,
    },
    /// A whole file, opened when it is read: there may be more of them than files may be open.
    Whole {
        /// The file.
        path: PathBuf,
        /// How many bytes it had when it was looked at.
        size: u64,
    },
}

impl Content {
    /// How many bytes there are.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Part { size, .. } | Self::Whole { size, .. } => *size,
        }
    }

    /// A reader from `offset` on.
    pub(crate) fn reader(&self, offset: u64) -> io::Result<ContentReader> {
        let place = match self {
            Self::Memory(bytes) => ReaderPlace::Memory(bytes.clone()),
            Self::Part { file, offset, .. } => ReaderPlace::Part(file.clone(), *offset),
            Self::Whole { path, .. } => ReaderPlace::Part(Arc::new(bundle_os::open(path)?), 0),
        };
        Ok(ContentReader { place, at: offset, size: self.size() })
    }

    /// All bytes, of which there are at most as many as the caller looked at.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader(0)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads bytes in order, on a thread that may wait.
#[derive(Debug)]
pub(crate) struct ContentReader {
    place: ReaderPlace,
    at: u64,
    size: u64,
}

#[derive(Debug)]
enum ReaderPlace {
    Memory(Bytes),
    Part(Arc<File>, u64),
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        if length == 0 {
            return Ok(0);
        }
        let read = match &self.place {
            ReaderPlace::Memory(bytes) => {
                let from = usize::try_from(self.at).unwrap_or(usize::MAX).min(bytes.len());
                let piece = &bytes[from..bytes.len().min(from + length)];
                buffer[..piece.len()].copy_from_slice(piece);
                piece.len()
            }
            ReaderPlace::Part(file, offset) => {
                let at = offset.checked_add(self.at).ok_or(io::ErrorKind::UnexpectedEof)?;
                bundle_os::read_at(file, &mut buffer[..length], at)?
            }
        };
        if read == 0 {
            // It was longer when it was looked at.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}
