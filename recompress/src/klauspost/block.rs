//! Blocks out of tokens (`huffman_bit_writer.go`): codes may serve for several calls in a row, so that the end
//! of a block is often owed until it is known what comes next.

use super::tokens::Tokens;
use super::version::Version;
use crate::go::bits::Bits;
use crate::go::block::{MAX_STORED, count_bytes, extra_bits, fixed_literals};
use crate::go::huffman::{Code, Codes};
use crate::go::token::{DISTANCES, END_OF_BLOCK, LITERALS};
use crate::go::write::{Header, put_literals, put_tokens};

/// With fewer tokens the fixed codes are tried.
const FEW_TOKENS: usize = 250;
/// What the header of literals is taken to need, in bits.
const GUESSED_HEADER: usize = 70 * 8;

/// Writes blocks.
pub(super) struct Blocks {
    bits: Bits,
    version: Version,
    /// New codes must save more than the size shifted right by so much.
    penalty: u32,
    /// The size of the header of the block that is still open, in bits; 0 if none is.
    open: usize,
    /// The codes in use are for literals only.
    literals_only: bool,
    literal_freq: [u32; LITERALS],
    distance_freq: [u32; DISTANCES],
    literals: Codes<LITERALS>,
    other_literals: Codes<LITERALS>,
    distances: Codes<DISTANCES>,
    fixed_literals: Codes<LITERALS>,
    fixed_distances: Codes<DISTANCES>,
    header: Header,
}

impl Blocks {
    pub(super) fn new(version: Version, penalty: u32) -> Self {
        let trees = version.has_trees();
        Blocks {
            bits: Bits::default(),
            version,
            penalty,
            open: 0,
            literals_only: false,
            literal_freq: [0; LITERALS],
            distance_freq: [0; DISTANCES],
            literals: Codes::with_trees(trees),
            other_literals: Codes::with_trees(trees),
            distances: Codes::with_trees(trees),
            fixed_literals: fixed_literals(),
            fixed_distances: Codes::of_lengths(&[5; DISTANCES]),
            header: Header::with_trees(trees),
        }
    }

    pub(super) fn reset(&mut self) {
        self.bits = Bits::default();
        self.open = 0;
        self.literals_only = false;
    }

    /// Ends the open block, if there is one.
    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open > 0 {
            let end = self.literals.codes[END_OF_BLOCK];
            self.bits.put(u64::from(end.bits), u32::from(end.len), out);
            self.open = 0;
        }
    }

    /// Writes a stored block of at most 65535 bytes.
    pub(super) fn stored(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.close(out);
        let len = plain.len() as u16;
        self.bits.put(0, 3, out);
        self.bits.align(out);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(plain);
    }

    /// Writes the last block, an empty one with fixed codes, and fills up the last byte.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        self.bits.put(3, 3, out);
        self.bits.put(0, 7, out);
        self.bits.align(out);
    }

    /// Whether the codes in use have one for each symbol of the tokens.
    fn can_reuse(&self, tokens: &Tokens) -> bool {
        let fits = |freq: &[u32], codes: &[Code]| {
            freq.iter().zip(codes).all(|(&count, code)| count == 0 || code.len != 0)
        };
        fits(&tokens.distances, &self.distances.codes)
            && fits(&tokens.lengths, &self.literals.codes[END_OF_BLOCK..])
            && fits(&tokens.literals, &self.literals.codes)
    }

    /// Takes over the counts, and gives how many symbols of each alphabet are described.
    fn index(&mut self, tokens: &Tokens, sync: bool) -> (usize, usize) {
        self.literal_freq[..256].copy_from_slice(&tokens.literals);
        self.literal_freq[256..].copy_from_slice(&tokens.lengths[..LITERALS - 256]);
        self.distance_freq.copy_from_slice(&tokens.distances[..DISTANCES]);
        if self.version.describes_all() && !sync {
            return (LITERALS, DISTANCES);
        }
        self.literal_freq[END_OF_BLOCK] = 1;
        let literals = self.literal_freq.iter().rposition(|&f| f != 0).map_or(0, |last| last + 1);
        let mut distances = self.distance_freq.iter().rposition(|&f| f != 0).map_or(0, |last| last + 1);
        if distances == 0 {
            self.distance_freq[0] = 1;
            distances = 1;
        }
        (literals, distances)
    }

    fn size(&self) -> usize {
        self.literals.bit_length(&self.literal_freq) + self.distances.bit_length(&self.distance_freq)
    }

    fn fixed_size(&self, extra: usize) -> usize {
        3 + self.fixed_literals.bit_length(&self.literal_freq)
            + self.fixed_distances.bit_length(&self.distance_freq)
            + extra
    }

    /// Writes tokens with codes of their own or with those in use, or stored, or with the fixed codes.
    /// `plain` is what they stand for, if it is still at hand; `sync` says that the block must end.
    pub(super) fn dynamic(
        &mut self,
        tokens: &mut Tokens,
        plain: Option<&[u8]>,
        sync: bool,
        out: &mut Vec<u8>,
    ) {
        if sync {
            tokens.end();
        }
        if self.literals_only && self.open > 0 {
            self.close(out);
            self.literals_only = false;
        }
        if self.version < Version::V1_14_0 {
            self.filled(tokens, plain, sync, out);
            return;
        }
        if self.open > 0 && !self.can_reuse(tokens) {
            self.close(out);
        }
        let (literals, distances) = self.index(tokens, sync);
        let storable = plain.filter(|plain| plain.len() <= MAX_STORED);
        let stored = storable.map_or(usize::MAX, |plain| (plain.len() + 5) * 8);
        let all_extra = extra_bits(&self.literal_freq, &self.distance_freq);
        let extra = if storable.is_some() || self.open > 0 { all_extra } else { 0 };
        if self.open > 0 {
            let mut fresh = self.open + tokens.estimated_bits();
            fresh += usize::from(self.literals.codes[END_OF_BLOCK].len) + (fresh >> self.penalty);
            let reused = self.size() + extra;
            if fresh < reused {
                self.close(out);
            }
            let size = fresh.min(reused);
            if tokens.count() < FEW_TOKENS && self.fixed_size(extra) + 7 < size {
                match storable {
                    Some(plain) if stored <= size => self.stored(plain, out),
                    _ => self.fixed(tokens, sync, all_extra, out),
                }
                return;
            }
            if let Some(plain) = storable.filter(|_| stored <= size) {
                self.stored(plain, out);
                return;
            }
        }
        if self.open == 0 {
            self.literal_freq[END_OF_BLOCK] = 1;
            self.literals.generate(&self.literal_freq, 15);
            self.distances.generate(&self.distance_freq, 15);
            self.header.prepare(&self.literals.codes[..literals], &self.distances.codes[..distances]);
            let size = self.header.size() + self.size() + extra;
            let fixed = self.fixed_size(extra);
            if tokens.count() < FEW_TOKENS && fixed <= size {
                match storable {
                    Some(plain) if stored <= fixed => self.stored(plain, out),
                    _ => self.fixed(tokens, sync, all_extra, out),
                }
                return;
            }
            if let Some(plain) = storable.filter(|_| stored <= size) {
                self.stored(plain, out);
                return;
            }
            self.header.write(literals, distances, &mut self.bits, out);
            self.open = self.header.size();
            self.literals_only = false;
        }
        if sync {
            self.open = 0;
        }
        let size = self.size() + all_extra;
        let (lit, dist) = (&self.literals.codes, &self.distances.codes);
        put_tokens(&tokens.list, lit, dist, tokens.ends, size, &mut self.bits, out);
    }

    /// The same before 1.14: codes have all symbols, and fixed ones are not tried.
    fn filled(&mut self, tokens: &mut Tokens, plain: Option<&[u8]>, sync: bool, out: &mut Vec<u8>) {
        if !sync {
            tokens.fill();
        }
        let (literals, distances) = self.index(tokens, sync);
        let extra = extra_bits(&self.literal_freq, &self.distance_freq);
        let stored =
            |size: usize| plain.filter(|p| p.len() <= MAX_STORED && (p.len() + 5) * 8 < size + (size >> 4));
        if self.open > 0 {
            let fresh = self.open + tokens.estimated_bits();
            let fresh = fresh + (fresh >> self.penalty);
            let reused = self.size() + extra;
            if fresh < reused {
                self.close(out);
            }
            if let Some(plain) = stored(fresh.min(reused)) {
                self.stored(plain, out);
                return;
            }
        }
        if self.open == 0 {
            self.literals.generate(&self.literal_freq, 15);
            self.distances.generate(&self.distance_freq, 15);
            self.header.prepare(&self.literals.codes[..literals], &self.distances.codes[..distances]);
            if let Some(plain) = stored(self.header.size() + self.size() + extra) {
                self.stored(plain, out);
                return;
            }
            self.header.write(literals, distances, &mut self.bits, out);
            self.open = self.header.size();
            self.literals_only = false;
        }
        if sync {
            self.open = 0;
        }
        let size = self.size() + extra;
        let (lit, dist) = (&self.literals.codes, &self.distances.codes);
        put_tokens(&tokens.list, lit, dist, tokens.ends, size, &mut self.bits, out);
    }

    /// Writes a block with the fixed codes.
    fn fixed(&mut self, tokens: &mut Tokens, sync: bool, extra: usize, out: &mut Vec<u8>) {
        self.close(out);
        self.bits.put(2, 3, out);
        if !sync {
            tokens.end();
        }
        let size = self.fixed_size(extra) + 7;
        let (lit, dist) = (&self.fixed_literals.codes, &self.fixed_distances.codes);
        put_tokens(&tokens.list, lit, dist, true, size, &mut self.bits, out);
    }

    /// Writes bytes as literals, or stored if that is hardly larger.
    pub(super) fn huffman(&mut self, plain: &[u8], sync: bool, out: &mut Vec<u8>) {
        self.literal_freq = [0; LITERALS];
        count_bytes(plain, &mut self.literal_freq);
        let storable = plain.len() <= MAX_STORED;
        let looks = self.version >= Version::V1_14_0;
        if looks && storable && plain.len() > 1024 && self.is_even(plain.len()) {
            self.stored(plain, out);
            return;
        }
        self.literal_freq[END_OF_BLOCK] = 1;
        self.other_literals.generate(&self.literal_freq, 15);
        let own = self.other_literals.bit_length(&self.literal_freq);
        let mut fresh = own + if self.open == 0 { GUESSED_HEADER } else { self.open };
        fresh += fresh >> self.penalty;
        if storable && (plain.len() + 5) * 8 <= fresh {
            self.stored(plain, out);
            return;
        }
        if self.open > 0 {
            let codes = &self.literals.codes[..256];
            let fits = self.literal_freq.iter().zip(codes).all(|(&count, code)| count == 0 || code.len != 0);
            self.literal_freq[END_OF_BLOCK] = 0;
            if !fits || fresh < self.literals.bit_length(&self.literal_freq) {
                self.close(out);
            }
            self.literal_freq[END_OF_BLOCK] = 1;
        }
        if self.open == 0 {
            std::mem::swap(&mut self.literals, &mut self.other_literals);
            // One distance that is never used, of one bit.
            let distance = [Code { bits: 0, len: 1 }];
            self.header.prepare(&self.literals.codes[..END_OF_BLOCK + 1], &distance);
            self.header.write(END_OF_BLOCK + 1, 1, &mut self.bits, out);
            self.literals_only = true;
            self.open = self.header.size();
        }
        let size = self.literals.bit_length(&self.literal_freq);
        put_literals(plain, &self.literals.codes, sync, size, &mut self.bits, out);
        if sync {
            self.open = 0;
            self.literals_only = false;
        }
    }

    /// Whether all bytes occur about equally often, so that no code can save anything.
    fn is_even(&self, len: usize) -> bool {
        let mean = len as f64 / 256.0;
        let limit = (len * 2) as f64;
        let mut spread = 0.0;
        for &count in &self.literal_freq[..256] {
            let differ = f64::from(count) - mean;
            spread += differ * differ;
            if spread > limit {
                break;
            }
        }
        spread < limit
    }
}
