//! A pipe between two threads of this process: bytes are handed over in buffers, without the kernel copying them twice.
//! Gives a writer and a reader; each ends when the other is gone.

use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// The bytes of a buffer.
const BUFFER: usize = 64 << 10;
/// How many full buffers may wait.
const WAITING: usize = 3;

/// A pipe's two ends.
pub(crate) fn conduit() -> (ConduitReader, ConduitWriter) {
    let (full, arriving) = sync_channel(WAITING);
    let (back, empty) = channel();
    let reader = ConduitReader { arriving, back, buffer: Vec::new(), at: 0 };
    (reader, ConduitWriter { full, empty, buffer: Vec::with_capacity(BUFFER) })
}

/// Takes bytes. What is not flushed when it is dropped does not arrive.
pub(crate) struct ConduitWriter {
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    buffer: Vec<u8>,
}

/// Gives the bytes.
pub(crate) struct ConduitReader {
    arriving: Receiver<Vec<u8>>,
    back: Sender<Vec<u8>>,
    buffer: Vec<u8>,
    at: usize,
}

impl Write for ConduitWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BUFFER - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == BUFFER {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER));
        let full = std::mem::replace(&mut self.buffer, next);
        self.full.send(full).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl BufRead for ConduitReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.buffer.len() {
            // The end: whoever wrote is gone.
            let next = self.arriving.recv().unwrap_or_default();
            let mut used = std::mem::replace(&mut self.buffer, next);
            self.at = 0;
            used.clear();
            if used.capacity() > 0 {
                // Nobody may want it any more.
                let _ = self.back.send(used);
            }
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.buffer.len().min(self.at + amount);
    }
}

impl Read for ConduitReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let length = from.len().min(into.len());
        into[..length].copy_from_slice(&from[..length]);
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_order_and_the_end_is_seen() {
        let (mut reader, mut writer) = conduit();
        let sent: Vec<u8> = (0..1_000_000_u32).map(|number| (number * 7) as u8).collect();
        let expected = sent.clone();
        let thread = std::thread::spawn(move || {
            sent.chunks(777).for_each(|piece| writer.write_all(piece).unwrap());
            writer.flush().unwrap();
        });
        let mut arrived = Vec::new();
        reader.read_to_end(&mut arrived).unwrap();
        thread.join().unwrap();
        assert!(arrived == expected);
    }

    #[test]
    fn a_writer_whose_reader_is_gone_does_not_wait() {
        let (reader, mut writer) = conduit();
        drop(reader);
        let error = writer.write_all(&[0; 10 * BUFFER]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
