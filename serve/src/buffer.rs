//! Memory for pieces of blobs, used again and again so that it stays small.
//! Takes lengths, gives buffers that come back when they are dropped.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::proof::PIECE;

/// Memory for pieces of blobs, used again and again: freed and allocated anew, it would lie in
/// fragments, twice as much as is needed.
pub(crate) struct Buffers {
    free: Mutex<Vec<Box<[u8]>>>,
    /// How many are kept for later.
    most: usize,
}

impl Buffers {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), most })
    }

    /// A buffer of `length` bytes, at most [`PIECE`], with its old content.
    pub(crate) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let found = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = found.unwrap_or_else(|| vec![0; PIECE as usize].into_boxed_slice());
        Buffer { memory, part: 0..length.min(PIECE as usize), home: self.clone() }
    }
}

/// A buffer, which returns to where it came from.
pub(crate) struct Buffer {
    memory: Box<[u8]>,
    part: Range<usize>,
    home: Arc<Buffers>,
}

impl Buffer {
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.part.clone()]
    }

    /// A part of its bytes. It keeps the buffer, unless it is so small that a copy costs less.
    pub(crate) fn into_bytes(mut self, part: Range<usize>) -> Bytes {
        if part.len() <= PIECE as usize / 2 {
            return Bytes::copy_from_slice(&self.as_ref()[part]);
        }
        self.part = self.part.start + part.start..self.part.start + part.end;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.part.clone()]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let mut free = self.home.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.home.most {
            free.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_return_when_the_last_reader_is_done() {
        let buffers = Buffers::new(1);
        let free = || buffers.free.lock().unwrap().len();
        let mut buffer = buffers.take(PIECE as usize);
        buffer.as_mut().fill(7);
        let bytes = buffer.into_bytes(1..PIECE as usize);
        let slice = bytes.slice(..10);
        drop(bytes);
        assert_eq!((free(), slice.len()), (0, 10));
        drop(slice);
        assert_eq!(free(), 1);
        let mut small = buffers.take(10);
        small.as_mut().copy_from_slice(b"0123456789");
        let copy = small.into_bytes(2..5);
        assert_eq!((free(), copy.as_ref()), (1, b"234".as_slice()));
        let (one, two) = (buffers.take(1), buffers.take(1));
        drop((one, two));
        assert_eq!(free(), 1, "no more are kept than were asked for");
    }
}
