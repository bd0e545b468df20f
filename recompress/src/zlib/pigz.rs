//! pigz up to level 9: blocks of the input, each compressed by zlib with the 32 KiB before it as dictionary,
//! and brought to a whole byte. One thread alone keeps one stream of zlib for all blocks.
//!
//! After madler/pigz `pigz.c` 2.8 (`compress_thread`, `single_compress`) with a zlib from 1.2.6 on.

use super::engine::{Flush, Zlib};
use super::matcher::WINDOW;
use super::settings::{Level, ZlibSettings};
use crate::Encoder;

/// Options of pigz that shape its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PigzSettings {
    /// `-1` to `-9`.
    pub level: Level,
    /// `-b`: the size of a block in KiB; 128 by default.
    pub block_kib: u32,
    /// How the blocks hang together.
    pub blocks: PigzBlocks,
}

/// What a block of pigz knows of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PigzBlocks {
    /// Its last 32 KiB, as dictionary of a new stream: several threads.
    Dictionary,
    /// All, for it is the same stream: `-p 1`.
    SameStream,
    /// Nothing: `-i`.
    Independent,
}

/// The encoder of pigz.
pub struct Pigz {
    settings: PigzSettings,
    zlib: Zlib,
    /// Bytes of the block that were taken.
    taken: usize,
    /// The last bytes of the block, up to 32 KiB, if the next one needs them.
    tail: Vec<u8>,
}

impl Pigz {
    /// An encoder with these options.
    pub fn new(settings: PigzSettings) -> Self {
        let settings = PigzSettings { block_kib: settings.block_kib.clamp(32, 1 << 20), ..settings };
        Self { settings, zlib: stream(settings.level), taken: 0, tail: Vec::new() }
    }

    fn end_block(&mut self, out: &mut Vec<u8>) {
        self.zlib.flush(Flush::Block, out);
        let independent = self.settings.blocks == PigzBlocks::Independent;
        if independent || self.zlib.pending_bits() & 1 != 0 {
            self.zlib.flush(Flush::Sync, out);
        } else {
            // Empty blocks with fixed codes, ten bits each, until a byte is full.
            while self.zlib.pending_bits() != 0 {
                self.zlib.prime(2, 10, out);
            }
        }
        if independent {
            self.zlib.flush(Flush::Full, out);
        }
        match self.settings.blocks {
            PigzBlocks::SameStream => {}
            PigzBlocks::Independent => self.zlib = stream(self.settings.level),
            PigzBlocks::Dictionary => {
                self.zlib = stream(self.settings.level);
                self.zlib.dictionary(&self.tail);
            }
        }
        self.tail.clear();
        self.taken = 0;
    }
}

impl Encoder for Pigz {
    fn write(&mut self, mut plain: &[u8], out: &mut Vec<u8>) {
        let size = (self.settings.block_kib as usize) << 10;
        while !plain.is_empty() {
            // A block ends only when there is more, for the last one ends the stream.
            if self.taken == size {
                self.end_block(out);
            }
            let (now, later) = plain.split_at(plain.len().min(size - self.taken));
            let tail_from = size - WINDOW;
            let skip = tail_from.saturating_sub(self.taken).min(now.len());
            self.tail.extend_from_slice(&now[skip..]);
            self.zlib.write(now, out);
            self.taken += now.len();
            plain = later;
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.zlib.finish(out);
    }
}

fn stream(level: Level) -> Zlib {
    Zlib::zlib(ZlibSettings::usual(level))
}
