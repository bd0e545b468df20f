//! Bits from the lowest up, as the streams of FSE and Huffman codes in Zstandard have them (RFC 8878 section 4).
//! Takes numbers with their lengths, appends whole bytes.

/// A writer of bits behind bytes that are there already.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    bits: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, bits: 0, count: 0 }
    }

    /// Adds the lowest `count` bits of `value`, 32 at most; higher ones do not matter.
    #[inline(always)]
    pub(super) fn add(&mut self, value: u32, count: u32) {
        let value = u64::from(value) & ((1 << count) - 1);
        self.bits |= value << self.count;
        self.count += count;
        if self.count >= 32 {
            self.out.extend_from_slice(&(self.bits as u32).to_le_bytes());
            self.bits >>= 32;
            self.count -= 32;
        }
    }

    /// Ends the stream with the bit that says where it ends.
    pub(super) fn close(mut self) {
        self.add(1, 1);
        let len = self.count.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.bits.to_le_bytes()[..len]);
    }
}
