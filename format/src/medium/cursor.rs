//! Reads a medium from its start, like a pipe.
//! Takes a layer, gives `Read`.

use std::io::{self, Read};

use crate::Layer;

/// Reads a medium from its start.
#[derive(Debug)]
pub struct Cursor<'a, R> {
    reader: &'a R,
    position: u64,
    size: u64,
}

impl<'a, R: Layer> Cursor<'a, R> {
    /// A reader that has read nothing.
    ///
    /// # Errors
    /// The medium's length cannot be found out.
    pub fn new(reader: &'a R) -> io::Result<Self> {
        Ok(Self { reader, position: 0, size: reader.size()? })
    }
}

impl<R: Layer> Read for Cursor<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.reader.read_exact_at(&mut buffer[..length], self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}
