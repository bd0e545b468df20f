//! An arithmetic coder of bits with given probabilities (that of lpaq, Matt Mahoney): 32-bit bounds, no carries.
//! Takes bits, gives bytes, and the other way round.

/// Codes bits: the encoder writes the one that it is given, the decoder gives the one that it reads.
pub(crate) trait Bits {
    /// Codes a bit. `one` is the probability that it is set, in 1/4096, from 1 to 4095.
    fn bit(&mut self, bit: bool, one: u32) -> bool;
}

/// Writes bits.
#[derive(Debug)]
pub(crate) struct RangeEncoder {
    low: u32,
    high: u32,
    /// The bytes so far.
    pub(crate) bytes: Vec<u8>,
}

impl RangeEncoder {
    pub(crate) fn new() -> RangeEncoder {
        RangeEncoder { low: 0, high: u32::MAX, bytes: Vec::new() }
    }

    /// Writes all that the decoder will read, and starts again: the decoder reads as many bytes as are written.
    pub(crate) fn finish(&mut self) {
        self.bytes.extend(self.low.to_be_bytes());
        (self.low, self.high) = (0, u32::MAX);
    }
}

impl Bits for RangeEncoder {
    #[inline]
    fn bit(&mut self, bit: bool, one: u32) -> bool {
        let middle = self.low + ((self.high - self.low) >> 12) * one;
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.bytes.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
        bit
    }
}

/// Reads bits of one part. Past its end it reads zeros, and says so.
#[derive(Debug)]
pub(crate) struct RangeDecoder {
    low: u32,
    high: u32,
    value: u32,
    bytes: Vec<u8>,
    taken: usize,
}

impl RangeDecoder {
    /// Takes the bytes of a part.
    pub(crate) fn new(bytes: Vec<u8>) -> RangeDecoder {
        let mut decoder = RangeDecoder { low: 0, high: u32::MAX, value: 0, bytes, taken: 0 };
        for _ in 0..4 {
            decoder.value = decoder.value << 8 | decoder.next();
        }
        decoder
    }

    /// Whether bits were asked for that the part cannot hold.
    pub(crate) fn is_past_end(&self) -> bool {
        self.taken > self.bytes.len()
    }

    /// Whether exactly the part was read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.taken == self.bytes.len()
    }

    fn next(&mut self) -> u32 {
        let byte = self.bytes.get(self.taken).copied().unwrap_or(0);
        self.taken += 1;
        u32::from(byte)
    }
}

impl Bits for RangeDecoder {
    #[inline]
    fn bit(&mut self, _: bool, one: u32) -> bool {
        let middle = self.low + ((self.high - self.low) >> 12) * one;
        let bit = self.value <= middle;
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
            self.value = self.value << 8 | self.next();
        }
        bit
    }
}
