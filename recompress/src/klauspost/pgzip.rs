//! `github.com/klauspost/pgzip`: blocks of a fixed size, each compressed on its own with the end of the one
//! before as a dictionary, and an empty stored block after each.

use super::encoder::KlauspostEncoder;
use super::version::Version;
use crate::Encoder;

/// How much of the block before matches may reach.
const TAIL: usize = 16384;

/// The deflate stream that pgzip writes, 1.2.0 and later.
///
/// How the program cuts its writes does not matter, as long as it does not flush. Needs 3 MiB and a block.
pub struct PgzipEncoder {
    encoder: KlauspostEncoder,
    size: usize,
    block: Vec<u8>,
    tail: Vec<u8>,
}

impl PgzipEncoder {
    /// What pgzip takes if it is told nothing else, 1 MiB.
    pub const BLOCK_SIZE: usize = 1 << 20;

    /// An encoder of this level (-2 to 9; -1 is 5) and size of blocks in bytes; none if there is no such
    /// level, or if the blocks are not larger than 16384.
    pub fn new(version: Version, level: i32, block_size: usize) -> Option<Self> {
        if block_size <= TAIL {
            return None;
        }
        let encoder = KlauspostEncoder::new(version, level)?;
        Some(PgzipEncoder { encoder, size: block_size, block: Vec::new(), tail: Vec::new() })
    }

    /// Starts a new stream.
    pub fn reset(&mut self) {
        self.block.clear();
        self.tail.clear();
    }

    fn block(&mut self, out: &mut Vec<u8>) {
        self.encoder.reset(&self.tail);
        self.encoder.write(&self.block, out);
        self.encoder.flush(out);
        self.tail.clear();
        if self.block.len() > TAIL {
            self.tail.extend_from_slice(&self.block[self.block.len() - TAIL..]);
        }
        self.block.clear();
    }
}

impl Encoder for PgzipEncoder {
    fn write(&mut self, mut plain: &[u8], out: &mut Vec<u8>) {
        while !plain.is_empty() {
            let (now, later) = plain.split_at(plain.len().min(self.size - self.block.len()));
            self.block.extend_from_slice(now);
            if self.block.len() == self.size {
                self.block(out);
            }
            plain = later;
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        // The last block is written also if it is empty.
        self.block(out);
        self.encoder.finish(out);
    }
}
