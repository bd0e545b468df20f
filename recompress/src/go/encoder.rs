//! The front of Go's encoder: a level, plain bytes in, the bytes of `flate.Writer` out.
//! How the plain bytes are cut into writes makes no difference.

use super::block::{Blocks, MAX_STORED};
use super::chains::Chains;
use super::fast::Fast;
use crate::Encoder;
use crate::reuse::Shared;

/// Go's `flate.Writer`, up to Go 1.26.
///
/// Levels -2 (Huffman codes only), 0 (stored), 1, and 2 to 9; -1 is 6. Needs less than 1 MiB.
pub struct GoEncoder {
    method: Method,
    blocks: Blocks,
}

/// Levels from here on match lazily.
pub(crate) const LAZY: i32 = 4;

enum Method {
    /// Levels 0 and -2: blocks of 65535 bytes, stored or as literals.
    Whole {
        plain: Vec<u8>,
        huffman: bool,
    },
    Fast(Box<Fast>),
    Chains(Box<Chains>),
}

impl GoEncoder {
    /// An encoder of this level; none if Go has no such level.
    pub fn new(level: i32) -> Option<Self> {
        let method = match level {
            -2 | 0 => Method::Whole { plain: Vec::with_capacity(MAX_STORED), huffman: level == -2 },
            1 => Method::Fast(Box::new(Fast::new())),
            -1 => Method::Chains(Box::new(Chains::new(6)?)),
            level => Method::Chains(Box::new(Chains::new(usize::try_from(level).ok()?)?)),
        };
        Some(GoEncoder { method, blocks: Blocks::new() })
    }

    /// The same, of a level from 4 on, that takes tokens over where there are runs.
    pub(crate) fn following(level: i32, follow: Shared) -> Option<Self> {
        let mut encoder = Self::new(level)?;
        match &mut encoder.method {
            Method::Chains(chains) if level >= LAZY => chains.follow(follow),
            _ => return None,
        }
        Some(encoder)
    }

    /// Starts a new stream, as `Reset` does.
    pub fn reset(&mut self) {
        self.blocks.reset();
        match &mut self.method {
            Method::Whole { plain, .. } => plain.clear(),
            Method::Fast(fast) => fast.reset(),
            Method::Chains(chains) => chains.reset(),
        }
    }

    /// Says that a write of the program ended after the last byte taken.
    ///
    /// From level 2 on this matters if it is within the last 261 bytes of 32 KiB counted from the start of
    /// the stream (64 KiB at first): Go then moves its window early, and a few matches come out otherwise.
    /// Who does not know the writes leaves it: then the program is taken to have written with full windows,
    /// which is the same as any writes that end at multiples of 512 bytes.
    pub fn cut(&mut self) {
        if let Method::Chains(chains) = &mut self.method {
            chains.cut();
        }
    }
}

impl Encoder for GoEncoder {
    fn write(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        match &mut self.method {
            Method::Whole { plain, huffman } => {
                while !bytes.is_empty() {
                    if plain.len() == MAX_STORED {
                        whole(plain, *huffman, &mut self.blocks, out);
                    }
                    let (now, later) = bytes.split_at(bytes.len().min(MAX_STORED - plain.len()));
                    plain.extend_from_slice(now);
                    bytes = later;
                }
            }
            Method::Fast(fast) => fast.write(bytes, &mut self.blocks, out),
            Method::Chains(chains) => chains.write(bytes, &mut self.blocks, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.method {
            Method::Whole { plain, huffman } => whole(plain, *huffman, &mut self.blocks, out),
            Method::Fast(fast) => fast.finish(&mut self.blocks, out),
            Method::Chains(chains) => chains.finish(&mut self.blocks, out),
        }
        self.blocks.end(out);
    }

    fn reset(&mut self) -> bool {
        GoEncoder::reset(self);
        true
    }
}

fn whole(plain: &mut Vec<u8>, huffman: bool, blocks: &mut Blocks, out: &mut Vec<u8>) {
    match plain.is_empty() {
        true => {}
        false if huffman => blocks.huffman(plain, out),
        false => blocks.stored(plain, out),
    }
    plain.clear();
}
