//! What an encoder could have chosen at a position: the matches that a hash chain of the plain bytes before
//! leads to. The plain bytes lie in a buffer that slides.

use crate::deflate::codes::MAX_MATCH;

/// Matches reach back this far.
const WINDOW: usize = 1 << 15;
const HASH_BITS: u32 = 15;
/// Plain bytes in memory: the window and what is ahead.
const BUFFER: usize = 8 * WINDOW;
/// The prediction at a position looks at no byte further ahead than this.
pub(crate) const LOOKAHEAD: usize = 2 * MAX_MATCH + 8;
/// How many matches are kept for a position.
const MAX_CANDIDATES: usize = 8;

/// What decides which strings are compared. With one candidate a program's own function matters, for what is
/// entered hides what else has the same hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    /// Of three bytes, in 15 bits.
    Three,
    /// Of four bytes, in 15 bits.
    Four,
    /// CRC-32C of four bytes, in 13 bits: levels 0 and 1 of igzip (isa-l 2.30 `igzip/huffman.h`).
    IgzipCrc,
    /// The same in 15 bits: level 2 of igzip.
    IgzipCrcLarge,
    /// Two rounds of products of four bytes, in 15 bits: level 3 of igzip (`compute_hash_mad`).
    IgzipProduct,
}

impl Hash {
    /// How many bytes it is of.
    fn len(self) -> usize {
        if self == Self::Three { 3 } else { 4 }
    }
}

/// A match that could be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// 3 to 258.
    pub(crate) len: usize,
    /// 1 to 32,768.
    pub(crate) distance: usize,
}

/// Matches for a position, each longer and further away than the one before.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Candidates {
    list: [Candidate; MAX_CANDIDATES],
    count: usize,
}

impl Candidates {
    pub(crate) fn list(&self) -> &[Candidate] {
        &self.list[..self.count]
    }

    /// The longest match's length, or 0.
    pub(crate) fn longest(&self) -> usize {
        self.list().last().map_or(0, |candidate| candidate.len)
    }
}

/// Plain bytes with hash chains.
pub(crate) struct Plain {
    bytes: Vec<u8>,
    /// The position of the first byte of `bytes`.
    base: u64,
    /// The next position to predict.
    at: usize,
    head: Vec<u32>,
    prev: Vec<u32>,
    hash: Hash,
    depth: usize,
}

impl Plain {
    /// Chains of `depth` candidates with equal hashes.
    pub(crate) fn new(hash: Hash, depth: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(BUFFER),
            base: 0,
            at: 0,
            head: vec![0; 1 << HASH_BITS],
            prev: vec![0; WINDOW],
            hash,
            depth,
        }
    }

    /// How many bytes lie ahead.
    pub(crate) fn ahead(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The bytes ahead.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// How many bytes can be added now.
    pub(crate) fn room(&mut self) -> usize {
        if self.at > BUFFER / 2 {
            let gone = self.at - WINDOW;
            self.bytes.drain(..gone);
            self.base += gone as u64;
            self.at = WINDOW;
        }
        BUFFER.saturating_sub(self.bytes.len())
    }

    /// Adds plain bytes behind those that are there.
    pub(crate) fn extend(&mut self, plain: &[u8]) {
        self.bytes.extend_from_slice(plain);
    }

    /// Adds a byte.
    pub(crate) fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Adds a copy; false if it reaches back too far.
    pub(crate) fn copy(&mut self, distance: usize, len: usize) -> bool {
        let end = self.bytes.len();
        if distance == 0 || distance > end {
            return false;
        }
        if distance >= len {
            self.bytes.extend_from_within(end - distance..end - distance + len);
        } else {
            (0..len).for_each(|n| self.bytes.push(self.bytes[end - distance + n]));
        }
        true
    }

    /// Goes on by `len` positions and enters the first `entered` of them.
    pub(crate) fn advance(&mut self, len: usize, entered: usize) {
        for at in self.at..self.at + len.min(entered) {
            self.enter(at);
        }
        self.at += len;
    }

    /// Enters the present position without going on.
    pub(crate) fn enter_here(&mut self) {
        self.enter(self.at);
    }

    /// Goes on by one position without entering it.
    pub(crate) fn step(&mut self) {
        self.at += 1;
    }

    fn hash(&self, at: usize) -> Option<usize> {
        let four = self.bytes.get(at..at + 4)?;
        let word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        Some(match self.hash {
            Hash::Three => (word << 8).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS),
            Hash::Four => word.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS),
            Hash::IgzipCrc => crc32c(word) & 0x1fff,
            Hash::IgzipCrcLarge => crc32c(word) & 0x7fff,
            Hash::IgzipProduct => igzip_product(igzip_product(word)) & 0x7fff,
        } as usize)
    }

    fn enter(&mut self, at: usize) {
        let Some(hash) = self.hash(at) else {
            return;
        };
        let position = (self.base + at as u64) as u32;
        self.prev[position as usize & (WINDOW - 1)] = self.head[hash];
        self.head[hash] = position;
    }

    /// How long the match at this distance is, `ahead` positions from here.
    pub(crate) fn match_len(&self, ahead: usize, distance: usize) -> usize {
        let at = self.at + ahead;
        if distance == 0 || distance > at {
            return 0;
        }
        common(&self.bytes[at - distance..], &self.bytes[at..])
    }

    /// The matches for the position `ahead` of here.
    pub(crate) fn candidates(&self, ahead: usize) -> Candidates {
        let mut found = Candidates::default();
        let at = self.at + ahead;
        let Some(hash) = self.hash(at) else {
            return found;
        };
        let here = &self.bytes[at..];
        let position = (self.base + at as u64) as u32;
        let mut candidate = self.head[hash];
        let (mut best, mut before) = (self.hash.len() - 1, 0);
        for _ in 0..self.depth {
            let distance = position.wrapping_sub(candidate) as usize;
            // Older entries were written over: a chain goes back only.
            if distance <= before || distance > WINDOW || distance > at {
                break;
            }
            before = distance;
            let there = &self.bytes[at - distance..];
            if there.get(best) == here.get(best) {
                let len = common(there, here);
                if len > best {
                    best = len;
                    if found.count == MAX_CANDIDATES {
                        found.list.copy_within(1.., 0);
                        found.count -= 1;
                    }
                    found.list[found.count] = Candidate { len, distance };
                    found.count += 1;
                    if len == MAX_MATCH || len == here.len() {
                        break;
                    }
                }
            }
            candidate = self.prev[candidate as usize & (WINDOW - 1)];
        }
        found
    }
}

/// How many bytes both begin with, up to 258.
fn common(one: &[u8], other: &[u8]) -> usize {
    let most = one.len().min(other.len()).min(MAX_MATCH);
    let (one, other) = (&one[..most], &other[..most]);
    let mut len = 0;
    for (a, b) in one.chunks_exact(8).zip(other.chunks_exact(8)) {
        let (mut x, mut y) = ([0; 8], [0; 8]);
        x.copy_from_slice(a);
        y.copy_from_slice(b);
        let difference = u64::from_le_bytes(x) ^ u64::from_le_bytes(y);
        if difference != 0 {
            return len + (difference.trailing_zeros() >> 3) as usize;
        }
        len += 8;
    }
    len + one[len..].iter().zip(&other[len..]).take_while(|(a, b)| a == b).count()
}

/// CRC-32C of four bytes from 0, as the processor's instruction computes it.
fn crc32c(word: u32) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            let mut crc = n as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
                bit += 1;
            }
            table[n] = crc;
            n += 1;
        }
        table
    };
    (0..4).fold(word, |crc, _| TABLE[(crc & 0xff) as usize] ^ (crc >> 8))
}

fn igzip_product(word: u32) -> u32 {
    let (low, high) = (word as i16, (word >> 16) as i16);
    let product = |half: i16, factor: i32| i32::from(half).wrapping_mul(factor);
    product(low, -6069).wrapping_add(product(high, -26_703)) as u32
}
