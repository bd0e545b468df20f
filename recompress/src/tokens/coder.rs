//! An adaptive binary range coder, in the manner of LZMA's: decisions that are foreseen cost next to
//! nothing. One trait for both directions, so that the same code writes corrections and reads them.
//!
//! The carry is that of LZMA (7-zip, `RangeEnc_ShiftLow`). A probability is the mean of a fast and of a slow
//! one.

use std::io::{self, Read};

/// How likely a decision is 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chance {
    fast: u16,
    slow: u16,
}

impl Default for Chance {
    fn default() -> Self {
        Self { fast: 1 << 15, slow: 1 << 15 }
    }
}

impl Chance {
    /// The probability of 0 in 1/32,768, never 0 nor 1.
    fn of_zero(self) -> u32 {
        ((u32::from(self.fast) + u32::from(self.slow)) >> 2).clamp(1, (1 << 15) - 1)
    }

    fn learn(&mut self, bit: bool) {
        if bit {
            self.fast -= self.fast >> 4;
            self.slow -= self.slow >> 7;
        } else {
            self.fast += (u16::MAX - self.fast) >> 4;
            self.slow += (u16::MAX - self.slow) >> 7;
        }
    }
}

/// A direction of coding. Each method takes the value that is written, which a reader ignores, and gives the
/// value that was written or read.
pub(crate) trait Coder {
    /// A decision with a probability that learns.
    fn bit(&mut self, chance: &mut Chance, bit: bool) -> io::Result<bool>;

    /// A number of `count` bits, up to 16, each as likely as the other.
    fn raw(&mut self, number: u32, count: u32) -> io::Result<u32>;

    /// A number of as many bits as the tree has levels: it has 2ⁿ elements.
    fn tree(&mut self, chances: &mut [Chance], number: u32) -> io::Result<u32> {
        let levels = chances.len().trailing_zeros();
        let mut node = 1usize;
        for level in (0..levels).rev() {
            let bit = self.bit(&mut chances[node], number >> level & 1 != 0)?;
            node = 2 * node + usize::from(bit);
        }
        Ok((node - chances.len()) as u32)
    }
}

const TOP: u32 = 1 << 24;

/// Writes.
#[derive(Debug)]
pub(crate) struct Writer {
    low: u64,
    range: u32,
    cache: u8,
    cached: u64,
    out: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { low: 0, range: u32::MAX, cache: 0, cached: 1, out: Vec::new() }
    }

    /// What is finished so far; the caller empties it.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    pub(crate) fn finish(&mut self) {
        (0..5).for_each(|_| self.shift());
    }

    fn shift(&mut self) {
        if self.low < 0xff00_0000 || self.low > u64::from(u32::MAX) {
            let carry = (self.low >> 32) as u8;
            self.out.push(self.cache.wrapping_add(carry));
            for _ in 1..self.cached {
                self.out.push(0xff_u8.wrapping_add(carry));
            }
            self.cached = 0;
            self.cache = (self.low >> 24) as u8;
        }
        self.cached += 1;
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    fn normalize(&mut self) {
        while self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
    }
}

impl Coder for Writer {
    fn bit(&mut self, chance: &mut Chance, bit: bool) -> io::Result<bool> {
        let bound = (self.range >> 15) * chance.of_zero();
        if bit {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        chance.learn(bit);
        self.normalize();
        Ok(bit)
    }

    fn raw(&mut self, number: u32, count: u32) -> io::Result<u32> {
        for level in (0..count).rev() {
            self.range >>= 1;
            if number >> level & 1 != 0 {
                self.low += u64::from(self.range);
            }
            self.normalize();
        }
        Ok(number)
    }
}

/// Reads, byte by byte, and never more than was written.
pub(crate) struct Decoder<'a> {
    range: u32,
    code: u32,
    from: &'a mut dyn Read,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(from: &'a mut dyn Read) -> io::Result<Self> {
        let mut begin = [0; 5];
        from.read_exact(&mut begin)?;
        let code = u32::from_be_bytes([begin[1], begin[2], begin[3], begin[4]]);
        Ok(Self { range: u32::MAX, code, from })
    }

    fn normalize(&mut self) -> io::Result<()> {
        while self.range < TOP {
            let mut next = [0];
            self.from.read_exact(&mut next)?;
            self.range <<= 8;
            self.code = (self.code << 8) | u32::from(next[0]);
        }
        Ok(())
    }
}

impl Coder for Decoder<'_> {
    fn bit(&mut self, chance: &mut Chance, _: bool) -> io::Result<bool> {
        let bound = (self.range >> 15) * chance.of_zero();
        let bit = self.code >= bound;
        if bit {
            self.code -= bound;
            self.range -= bound;
        } else {
            self.range = bound;
        }
        chance.learn(bit);
        self.normalize()?;
        Ok(bit)
    }

    fn raw(&mut self, _: u32, count: u32) -> io::Result<u32> {
        let mut number = 0;
        for _ in 0..count {
            self.range >>= 1;
            let bit = self.code >= self.range;
            if bit {
                self.code -= self.range;
            }
            number = number << 1 | u32::from(bit);
            self.normalize()?;
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_come_back_and_foreseen_ones_are_nearly_free() {
        let mut writer = Writer::new();
        let (mut chance, mut tree) = (Chance::default(), [Chance::default(); 256]);
        for n in 0..100_000u32 {
            writer.bit(&mut chance, n % 1000 == 0).unwrap();
            if n % 1000 == 0 {
                writer.tree(&mut tree, n % 251).unwrap();
                writer.raw(n % 32_768, 15).unwrap();
            }
        }
        writer.finish();
        assert!(writer.out().len() < 600, "{} bytes", writer.out().len());
        let bytes = std::mem::take(writer.out());
        let mut from = &bytes[..];
        let mut reader = Decoder::new(&mut from).unwrap();
        let (mut chance, mut tree) = (Chance::default(), [Chance::default(); 256]);
        for n in 0..100_000u32 {
            assert_eq!(reader.bit(&mut chance, false).unwrap(), n % 1000 == 0);
            if n % 1000 == 0 {
                assert_eq!(reader.tree(&mut tree, 0).unwrap(), n % 251);
                assert_eq!(reader.raw(0, 15).unwrap(), n % 32_768);
            }
        }
        assert!(from.is_empty(), "{} bytes left", from.len());
    }
}
