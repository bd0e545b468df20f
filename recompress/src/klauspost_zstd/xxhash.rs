//! XXH64 with the seed 0, whose lowest four bytes are the checksum of a Zstandard frame (RFC 8878 section 3.1.1).
//! Takes bytes in pieces, gives the hash of all of them.

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];
const STRIPE: usize = 32;

/// A hash under way.
#[derive(Clone)]
pub(super) struct Xxh64 {
    lanes: [u64; 4],
    held: Vec<u8>,
    len: u64,
}

impl Xxh64 {
    pub(super) fn new() -> Self {
        let lanes = [PRIMES[0].wrapping_add(PRIMES[1]), PRIMES[1], 0, 0u64.wrapping_sub(PRIMES[0])];
        Self { lanes, held: Vec::with_capacity(STRIPE), len: 0 }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len() as u64;
        if !self.held.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(STRIPE - self.held.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() < STRIPE {
                return;
            }
            let held = std::mem::take(&mut self.held);
            self.stripes(&held);
        }
        let whole = bytes.len() / STRIPE * STRIPE;
        let (now, later) = bytes.split_at(whole);
        self.stripes(now);
        self.held.extend_from_slice(later);
    }

    fn stripes(&mut self, bytes: &[u8]) {
        let mut lanes = self.lanes;
        for stripe in bytes.chunks_exact(STRIPE) {
            for (lane, word) in lanes.iter_mut().zip(words::<8>(stripe)) {
                *lane = round(*lane, u64::from_le_bytes(word));
            }
        }
        self.lanes = lanes;
    }

    pub(super) fn sum(&self) -> u64 {
        let mut hash = if self.len < STRIPE as u64 {
            PRIMES[4]
        } else {
            let [a, b, c, d] = self.lanes;
            let sum = a.rotate_left(1).wrapping_add(b.rotate_left(7));
            let sum = sum.wrapping_add(c.rotate_left(12)).wrapping_add(d.rotate_left(18));
            self.lanes.iter().fold(sum, |hash, &lane| {
                (hash ^ round(0, lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3])
            })
        };
        hash = hash.wrapping_add(self.len);
        let mut rest = &self.held[..];
        for word in words::<8>(rest) {
            hash ^= round(0, u64::from_le_bytes(word));
            hash = hash.rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
        }
        rest = &rest[rest.len() / 8 * 8..];
        for word in words::<4>(rest) {
            hash ^= u64::from(u32::from_le_bytes(word)).wrapping_mul(PRIMES[0]);
            hash = hash.rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
        }
        for &byte in &rest[rest.len() / 4 * 4..] {
            hash ^= u64::from(byte).wrapping_mul(PRIMES[4]);
            hash = hash.rotate_left(11).wrapping_mul(PRIMES[0]);
        }
        hash = (hash ^ hash >> 33).wrapping_mul(PRIMES[1]);
        hash = (hash ^ hash >> 29).wrapping_mul(PRIMES[2]);
        hash ^ hash >> 32
    }
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

/// The whole words at the beginning.
fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> u64 {
        let mut hash = Xxh64::new();
        hash.update(bytes);
        hash.sum()
    }

    #[test]
    fn the_hashes_of_the_specification_come_out() {
        assert_eq!(hash(b""), 0xef46_db37_51d8_e999);
        assert_eq!(hash(b"a"), 0xd24e_c4f1_a98c_6e5b);
        assert_eq!(hash(b"abc"), 0x44bc_2cf5_ad77_0999);
        assert_eq!(hash(b"Nobody inspects the spammish repetition"), 0xfbce_a83c_8a37_8bf1);
    }

    #[test]
    fn the_pieces_do_not_matter() {
        let bytes: Vec<u8> = (0..200u8).collect();
        for piece in 1..70 {
            let mut pieces = Xxh64::new();
            bytes.chunks(piece).for_each(|piece| pieces.update(piece));
            assert_eq!(pieces.sum(), hash(&bytes));
        }
    }
}
