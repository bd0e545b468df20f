//! Bytes with positional reads, read in order from a place on: with a buffer, so that many short streams near each
//! other are few reads. Takes a position, gives bytes from there.

use std::io::{self, Read, Seek, SeekFrom};

use crate::reuse::ReadAt;

const BUFFER: usize = 64 * 1024;

/// A file of which bytes are looked at in nearly ascending order.
pub(super) struct Positioned<'a> {
    file: &'a dyn ReadAt,
    size: u64,
    buffer: Vec<u8>,
    from: u64,
}

impl<'a> Positioned<'a> {
    /// The first `size` bytes of a file.
    pub(super) fn new(file: &'a dyn ReadAt, size: u64) -> Self {
        Self { file, size, buffer: Vec::new(), from: 0 }
    }

    /// Some bytes at a position, at least one unless there are none.
    pub(super) fn at(&mut self, position: u64) -> io::Result<&[u8]> {
        let within = position.checked_sub(self.from).and_then(|within| usize::try_from(within).ok());
        let within = match within.filter(|&within| within < self.buffer.len()) {
            Some(within) => within,
            None => {
                let length = self.size.saturating_sub(position).min(BUFFER as u64) as usize;
                self.buffer.resize(length, 0);
                self.from = position;
                if let Err(error) = self.file.read_exact_at(&mut self.buffer, position) {
                    self.buffer.clear();
                    return Err(error);
                }
                0
            }
        };
        Ok(&self.buffer[within..])
    }
}

/// A range of a file as a reader.
pub(super) struct RangeReader<'a> {
    pub(super) file: &'a dyn ReadAt,
    pub(super) at: u64,
    pub(super) end: u64,
}

impl Read for RangeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.at);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.file.read_exact_at(&mut buffer[..length], self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for RangeReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
