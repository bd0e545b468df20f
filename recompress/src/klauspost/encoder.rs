//! The front of klauspost's encoder (`deflate.go`): a level, plain bytes in, the bytes of `flate.Writer` out.
//! How the plain bytes are cut into writes makes no difference.

use super::block::Blocks;
use super::fast::{Fast, Finder, MIN_BLOCK};
use super::lazy::Lazy;
use super::level1::Level1;
use super::level2::Level2;
use super::level3::Level3;
use super::level4::Level4;
use super::level5::Level5;
use super::level6::Level6;
use super::tokens::Tokens;
use super::version::Version;
use crate::Encoder;

/// How many bytes levels 0 to 6 take at once.
const BLOCK: usize = 65535;
/// How many bytes level -2 takes at once.
const HUFFMAN_BLOCK: usize = 32 << 10;
/// Blocks below this are too small to conclude from.
const SMALL: usize = 128;

/// `flate.Writer` of `github.com/klauspost/compress`.
///
/// Levels -2 (Huffman codes only), 0 (stored), 1 to 9; -1 is 5. How the program cuts its writes does not
/// matter. Needs less than 2 MiB.
pub struct KlauspostEncoder {
    method: Method,
    version: Version,
    blocks: Blocks,
    tokens: Tokens,
    /// What levels below 7 have not taken yet.
    plain: Vec<u8>,
    size: usize,
}

enum Method {
    Stored,
    Huffman,
    Fast(Fast),
    Lazy(Box<Lazy>),
}

/// What follows what is encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    More,
    Flush,
    End,
}

impl KlauspostEncoder {
    /// An encoder of this level; none if there is no such level, or it is not modelled.
    pub fn new(version: Version, level: i32) -> Option<Self> {
        let fast = |finder: Box<dyn Finder>| Some(Method::Fast(Fast::new(finder)));
        if !version.has(level) {
            return None;
        }
        let old = version < Version::V1_15_11;
        let method = match level {
            -2 => Some(Method::Huffman),
            0 => Some(Method::Stored),
            1 if old => fast(Box::new(Level1::<true>::new())),
            1 => fast(Box::new(Level1::<false>::new())),
            2 if old => fast(Box::new(Level2::<true>::new())),
            2 => fast(Box::new(Level2::<false>::new())),
            3 if old => fast(Box::new(Level3::<true>::new())),
            3 => fast(Box::new(Level3::<false>::new())),
            4 => fast(Box::new(Level4::new(version))),
            -1 | 5 => fast(Box::new(Level5::new(version))),
            6 => fast(Box::new(Level6::new(version))),
            7..=9 => Lazy::new(version, level).map(|lazy| Method::Lazy(Box::new(lazy))),
            _ => None,
        }?;
        let penalty = match level {
            -2 => 10,
            _ if version < Version::V1_14_0 => 8,
            7..=9 => 8,
            _ => 7,
        };
        let size = if level == -2 { HUFFMAN_BLOCK } else { BLOCK };
        Some(KlauspostEncoder {
            method,
            version,
            blocks: Blocks::new(version, penalty),
            tokens: Tokens::new(version),
            plain: Vec::with_capacity(BLOCK),
            size,
        })
    }

    /// Starts a new stream, as `ResetDict` does: matches may reach into the last 32 KiB of `dictionary`.
    pub fn reset(&mut self, dictionary: &[u8]) {
        self.blocks.reset();
        self.tokens.clear();
        self.plain.clear();
        let last = &dictionary[dictionary.len().saturating_sub(1 << 15)..];
        match &mut self.method {
            Method::Stored | Method::Huffman => {}
            Method::Fast(fast) => {
                fast.reset();
                fast.encode(last, &mut self.tokens);
                self.tokens.clear();
            }
            Method::Lazy(lazy) => lazy.reset(last),
        }
    }

    /// Writes all that was taken, and an empty stored block, as `Flush` does.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.step(Then::Flush, out);
        self.blocks.stored(&[], out);
    }

    fn step(&mut self, then: Then, out: &mut Vec<u8>) {
        let sync = then != Then::More;
        if let Method::Lazy(lazy) = &mut self.method {
            lazy.step(sync, &mut self.tokens, &mut self.blocks, out);
            return;
        }
        if !self.plain.is_empty() {
            match &mut self.method {
                Method::Stored => self.blocks.stored(&self.plain, out),
                Method::Huffman => self.blocks.huffman(&self.plain, sync, out),
                _ => self.fast(then, out),
            }
        }
        self.plain.clear();
    }

    fn fast(&mut self, then: Then, out: &mut Vec<u8>) {
        let Method::Fast(fast) = &mut self.method else { return };
        let (plain, tokens, blocks) = (&self.plain[..], &mut self.tokens, &mut self.blocks);
        let sync = then != Then::More;
        let (small, newer) = (plain.len() < SMALL, self.version >= Version::V1_20_4);
        if small && (!newer || then == Then::End && !fast.has_history()) {
            if plain.len() <= 32 {
                blocks.stored(plain, out);
            } else {
                blocks.huffman(plain, true, out);
            }
            if !newer {
                fast.reset();
            }
            return;
        }
        fast.encode(plain, tokens);
        if plain.len() < MIN_BLOCK || tokens.count() == 0 && !small {
            blocks.stored(plain, out);
        } else if tokens.count() == 0 || tokens.count() > plain.len() - (plain.len() >> 4) {
            blocks.huffman(plain, sync, out);
        } else {
            blocks.dynamic(tokens, Some(plain), sync, out);
        }
        tokens.clear();
    }
}

impl Encoder for KlauspostEncoder {
    fn write(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let n = if let Method::Lazy(lazy) = &mut self.method {
                if lazy.is_full() {
                    lazy.step(false, &mut self.tokens, &mut self.blocks, out);
                }
                lazy.fill(bytes)
            } else {
                if self.plain.len() == self.size {
                    self.step(Then::More, out);
                }
                let n = bytes.len().min(self.size - self.plain.len());
                self.plain.extend_from_slice(&bytes[..n]);
                n
            };
            bytes = &bytes[n..];
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.step(Then::End, out);
        self.blocks.end(out);
    }
}
