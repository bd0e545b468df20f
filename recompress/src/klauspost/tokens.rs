//! Tokens with a running count of their symbols, and the estimate of how small they can get.
//! Takes literals and matches, gives what a block is written of.

use super::version::Version;
use crate::go::token::{DISTANCE_EXTRA, LENGTH_CODE, LENGTH_EXTRA, Token};

/// The tokens of a block.
pub(super) struct Tokens {
    pub(super) list: Vec<Token>,
    /// Whether the end of the block follows.
    pub(super) ends: bool,
    pub(super) literals: [u32; 256],
    /// The end of the block, then the length symbols.
    pub(super) lengths: [u32; 32],
    pub(super) distances: [u32; 32],
    /// How much of a long match the first token takes.
    part: usize,
    /// How many symbols were counted although they do not occur.
    filled: usize,
    version: Version,
}

impl Tokens {
    pub(super) fn new(version: Version) -> Self {
        Tokens {
            list: Vec::with_capacity(1 << 16),
            ends: false,
            literals: [0; 256],
            lengths: [0; 32],
            distances: [0; 32],
            part: if version < Version::V1_15_0 { 255 } else { 258 },
            filled: 0,
            version,
        }
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.ends = false;
        self.filled = 0;
        self.literals = [0; 256];
        self.lengths = [0; 32];
        self.distances = [0; 32];
    }

    /// How many tokens there are, with the end.
    pub(super) fn count(&self) -> usize {
        self.list.len() + usize::from(self.ends)
    }

    pub(super) fn end(&mut self) {
        self.ends = true;
        self.lengths[0] += 1;
    }

    /// Before 1.14: counts every symbol at least once, so that codes can be used again.
    pub(super) fn fill(&mut self) {
        for count in self.literals.iter_mut().chain(&mut self.lengths[..30]).filter(|count| **count == 0) {
            *count = 1;
            self.filled += 1;
        }
        for count in self.distances[..30].iter_mut().filter(|count| **count == 0) {
            *count = 1;
        }
    }

    #[inline(always)]
    pub(super) fn literal(&mut self, byte: u8) {
        self.list.push(Token::literal(byte));
        self.literals[usize::from(byte)] += 1;
    }

    #[inline(always)]
    pub(super) fn literals(&mut self, bytes: &[u8]) {
        self.list.extend(bytes.iter().map(|&byte| Token::literal(byte)));
        for &byte in bytes {
            self.literals[usize::from(byte)] += 1;
        }
    }

    /// A match of 3 to 258 bytes.
    #[inline(always)]
    pub(super) fn copy(&mut self, length: usize, distance: usize) {
        let token = Token::copy(length, distance);
        self.lengths[(usize::from(LENGTH_CODE[token.length()]) + 1) & 31] += 1;
        self.distances[token.symbol()] += 1;
        self.list.push(token);
    }

    /// A match of any length, cut so that three bytes are left for the last part.
    #[inline(always)]
    pub(super) fn copy_long(&mut self, length: i32, distance: i32) {
        let mut left = length as usize;
        while left > 0 {
            let part = match left {
                262.. => self.part,
                259.. => 255,
                _ => left,
            };
            self.copy(part, distance as usize);
            left -= part;
        }
    }

    /// About how many bits these tokens take with the best code, in single precision as on amd64, operation
    /// for operation.
    pub(super) fn estimated_bits(&self) -> usize {
        let mut shannon = 0f32;
        let mut bits = 0;
        let mut matches = 0;
        let total =
            if self.version < Version::V1_14_0 { self.list.len() + self.filled } else { self.count() };
        if total > 0 {
            let inverse = 1.0 / total as f32;
            for &count in self.literals.iter().filter(|&&count| count > 0) {
                shannon += cost(count, inverse);
            }
            // For the end of the block.
            shannon += 15.0;
            for (&count, &extra) in self.lengths[1..30].iter().zip(&LENGTH_EXTRA) {
                if count > 0 {
                    shannon += cost(count, inverse);
                    bits += usize::from(extra) * count as usize;
                    matches += count;
                }
            }
        }
        if matches > 0 {
            let inverse = 1.0 / matches as f32;
            for (&count, &extra) in self.distances[..30].iter().zip(&DISTANCE_EXTRA) {
                if count > 0 {
                    shannon += cost(count, inverse);
                    bits += usize::from(extra) * count as usize;
                }
            }
        }
        shannon as usize + bits
    }
}

fn cost(count: u32, inverse: f32) -> f32 {
    let n = count as f32;
    // Go's comparisons leave a NaN as it is; there is none here.
    (-log2(n * inverse)).clamp(1.0, 15.0) * n
}

/// The fast logarithm of https://stackoverflow.com/a/28730362, as Go computes it.
#[allow(clippy::excessive_precision, reason = "as it stands in the original")]
fn log2(value: f32) -> f32 {
    let bits = value.to_bits() as i32;
    let whole = (((bits >> 23) & 255) - 128) as f32;
    let mantissa = f32::from_bits(((bits & -0x7f80_0001) + (127 << 23)) as u32);
    whole + (((-0.34484843f32) * mantissa + 2.02466578f32) * mantissa - 0.67487759f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_matches_are_cut_so_that_the_last_part_is_a_match() {
        for length in [3, 258, 259, 260, 261, 262, 516, 517, 1000] {
            let mut tokens = Tokens::new(Version::V1_15_0);
            tokens.copy_long(length, 7);
            let parts: Vec<usize> = tokens.list.iter().map(|token| token.length() + 3).collect();
            assert_eq!(parts.iter().sum::<usize>(), length as usize);
            assert!(parts.iter().all(|part| (3..=258).contains(part)), "{parts:?}");
        }
    }
}
