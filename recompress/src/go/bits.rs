//! Bits into bytes, lowest bit first, as DEFLATE has them (RFC 1951 3.1.1).
//! Takes bits, gives whole bytes as soon as there are some.

/// The bits that have not filled a byte yet.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bits {
    bits: u64,
    /// Below 8 between calls.
    count: u32,
}

impl Bits {
    /// Appends `count` bits, at most 48; those above must be 0.
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u64, count: u32, out: &mut Vec<u8>) {
        self.bits |= bits << self.count;
        self.count += count;
        let bytes = self.count / 8;
        out.extend_from_slice(&self.bits.to_le_bytes()[..(bytes as usize).min(8)]);
        self.bits = self.bits.checked_shr(bytes * 8).unwrap_or(0);
        self.count &= 7;
    }

    /// Fills up to a whole byte with zeros.
    pub(crate) fn align(&mut self, out: &mut Vec<u8>) {
        if self.count > 0 {
            out.push(self.bits as u8);
        }
        *self = Bits::default();
    }

    /// A faster writer of at most `room` bytes behind `out`.
    pub(crate) fn stream<'a>(&'a mut self, out: &'a mut Vec<u8>, room: usize) -> Stream<'a> {
        let at = out.len();
        out.resize(at + room + 16, 0);
        Stream { kept: self.bits, count: self.count, at, keep: self, out }
    }
}

/// Writes into room that is there already. `close` must be called, or the bits are lost.
pub(crate) struct Stream<'a> {
    kept: u64,
    count: u32,
    at: usize,
    keep: &'a mut Bits,
    out: &'a mut Vec<u8>,
}

impl Stream<'_> {
    /// Adds bits to those that wait; no more than 56 may wait.
    #[inline(always)]
    pub(crate) fn add(&mut self, bits: u64, count: u32) {
        self.kept |= bits << (self.count & 63);
        self.count += count;
    }

    /// Writes the whole bytes of what waits, so that at most 7 bits do.
    #[inline(always)]
    pub(crate) fn drain(&mut self) {
        if let Some(room) = self.out.get_mut(self.at..self.at + 8) {
            room.copy_from_slice(&self.kept.to_le_bytes());
        }
        self.at += (self.count >> 3) as usize;
        self.kept >>= self.count & 56;
        self.count &= 7;
    }

    /// Cuts off the room that was not needed.
    pub(crate) fn close(self) {
        self.out.truncate(self.at);
        *self.keep = Bits { bits: self.kept, count: self.count };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_give_the_same_bytes() {
        let parts: Vec<(u64, u32)> = (0..500u64).map(|i| (i % 41, 6 + (i % 9) as u32)).collect();
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let mut bits = Bits::default();
        for &(b, n) in &parts {
            bits.put(b, n, &mut one);
        }
        bits.align(&mut one);
        let mut bits = Bits::default();
        bits.put(parts[0].0, parts[0].1, &mut two);
        let mut stream = bits.stream(&mut two, 1000);
        for &(b, n) in &parts[1..] {
            stream.add(b, n);
            stream.drain();
        }
        stream.close();
        bits.align(&mut two);
        assert_eq!(one, two);
    }
}
