//! Writes bits as DEFLATE packs them: the first bit is the lowest of a byte (RFC 1951 section 3.1.1).
//! Takes codes of up to 56 bits, gives whole bytes, and keeps at most seven bits for later.

/// Bits that are not yet a whole byte, and the way of bits into bytes.
#[derive(Debug, Default, Clone)]
pub(crate) struct BitWriter {
    bits: u64,
    /// How many of `bits` count; below 8 between two calls.
    count: u32,
}

impl BitWriter {
    /// How many bits wait for the rest of their byte: 0 to 7.
    pub(crate) fn pending(&self) -> u32 {
        self.count
    }

    /// Writes the `count` lowest bits of `bits`. The others must be 0, and `count` at most 56.
    pub(crate) fn put(&mut self, bits: u64, count: u32, out: &mut Vec<u8>) {
        self.bits |= bits << self.count;
        self.count += count;
        let whole = (self.count >> 3) as usize;
        out.extend_from_slice(&self.bits.to_le_bytes()[..whole]);
        // At most seven whole bytes, for `count` was at most 7 + 56.
        self.bits >>= 8 * whole;
        self.count &= 7;
    }

    /// Fills the last byte up with zeros, if it is begun.
    pub(crate) fn align(&mut self, out: &mut Vec<u8>) {
        if self.count > 0 {
            self.put(0, 8 - self.count, out);
        }
    }

    /// A stored block (RFC 1951 section 3.2.4) of at most 65,535 bytes.
    pub(crate) fn stored(&mut self, plain: &[u8], last: bool, out: &mut Vec<u8>) {
        let size = plain.len() as u16;
        self.put(u64::from(last), 3, out);
        self.align(out);
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&(!size).to_le_bytes());
        out.extend_from_slice(plain);
    }

    /// A writer for many codes at a time: `room` is an upper bound of the bytes that they need.
    pub(crate) fn bulk<'a>(&'a mut self, room: usize, out: &'a mut Vec<u8>) -> Bulk<'a> {
        let at = out.len();
        out.resize(at + room + 16, 0);
        Bulk { bits: self.bits, count: self.count, at, writer: self, out }
    }
}

/// Many codes, written eight bytes at a time into room that exists already.
pub(crate) struct Bulk<'a> {
    bits: u64,
    count: u32,
    at: usize,
    writer: &'a mut BitWriter,
    out: &'a mut Vec<u8>,
}

impl Bulk<'_> {
    /// As [`BitWriter::put`].
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u64, count: u32) {
        self.bits |= bits << self.count;
        self.count += count;
        self.out[self.at..self.at + 8].copy_from_slice(&self.bits.to_le_bytes());
        let whole = self.count >> 3;
        self.at += whole as usize;
        self.bits >>= 8 * whole;
        self.count &= 7;
    }

    /// Gives back the room that was not needed.
    pub(crate) fn end(self) {
        self.out.truncate(self.at);
        self.writer.bits = self.bits;
        self.writer.count = self.count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_fill_bytes_from_the_lowest() {
        let (mut writer, mut out) = (BitWriter::default(), Vec::new());
        writer.put(0b101, 3, &mut out);
        writer.put(0b1_1111, 5, &mut out);
        writer.put(0xff_00ff_00ff_0000 >> 8, 56, &mut out);
        writer.put(1, 1, &mut out);
        assert_eq!(writer.pending(), 1);
        writer.align(&mut out);
        assert_eq!(out, [0b1111_1101, 0, 0xff, 0, 0xff, 0, 0xff, 0, 1]);
    }

    #[test]
    fn many_codes_at_a_time_are_the_same_as_one_by_one() {
        let (mut one, mut singly) = (BitWriter::default(), Vec::new());
        let (mut two, mut bulk) = (BitWriter::default(), Vec::new());
        one.put(1, 3, &mut singly);
        two.put(1, 3, &mut bulk);
        let mut many = two.bulk(7000, &mut bulk);
        for n in 0..1000u64 {
            let count = (n % 57) as u32;
            let bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) & ((1 << count) - 1);
            one.put(bits, count, &mut singly);
            many.put(bits, count);
        }
        many.end();
        one.align(&mut singly);
        two.align(&mut bulk);
        assert_eq!(singly, bulk);
    }
}
