//! Blocks out of tokens: stored, fixed or dynamic, whichever Go takes (`huffman_bit_writer.go`).
//! Takes tokens and the plain bytes that they are of, gives the bits of a block.

use super::bits::Bits;
use super::huffman::{Code, Codes};
use super::token::{
    DISTANCE_EXTRA, DISTANCES, END_OF_BLOCK, LENGTH_CODE, LENGTH_EXTRA, LENGTHS_START, LITERALS, Token,
};
use super::write::{Header, put_literals, put_tokens};

/// The longest stored block.
pub(crate) const MAX_STORED: usize = 65535;
/// Writes blocks. Bits that do not fill a byte wait for the next block.
pub(crate) struct Blocks {
    bits: Bits,
    literal_freq: [u32; LITERALS],
    distance_freq: [u32; DISTANCES],
    literals: Codes<LITERALS>,
    distances: Codes<DISTANCES>,
    fixed_literals: Codes<LITERALS>,
    fixed_distances: Codes<DISTANCES>,
    header: Header,
}

impl Blocks {
    pub(crate) fn new() -> Self {
        Blocks {
            bits: Bits::default(),
            literal_freq: [0; LITERALS],
            distance_freq: [0; DISTANCES],
            literals: Codes::new(),
            distances: Codes::new(),
            fixed_literals: fixed_literals(),
            fixed_distances: Codes::of_lengths(&[5; DISTANCES]),
            header: Header::new(),
        }
    }

    /// Forgets the bits that wait.
    pub(crate) fn reset(&mut self) {
        self.bits = Bits::default();
    }

    /// Writes the smallest of the three kinds of block. `plain` is what the tokens stand for, if it is still
    /// at hand: without it no stored block is written.
    pub(crate) fn smallest(&mut self, tokens: &[Token], plain: Option<&[u8]>, out: &mut Vec<u8>) {
        let (literals, distances) = self.index(tokens);
        let extra = extra_bits(&self.literal_freq, &self.distance_freq);
        let fixed = 3
            + self.fixed_literals.bit_length(&self.literal_freq)
            + self.fixed_distances.bit_length(&self.distance_freq);
        self.header.prepare(&self.literals.codes[..literals], &self.distances.codes[..distances]);
        let dynamic = self.header.size()
            + self.literals.bit_length(&self.literal_freq)
            + self.distances.bit_length(&self.distance_freq);
        let size = extra + dynamic.min(fixed);
        if let Some(plain) = plain.filter(|p| p.len() <= MAX_STORED && (p.len() + 5) * 8 < size) {
            self.stored(plain, out);
            return;
        }
        let is_dynamic = dynamic < fixed;
        if is_dynamic {
            self.header.write(literals, distances, &mut self.bits, out);
        } else {
            self.bits.put(2, 3, out);
        }
        let (lit, dist) = match is_dynamic {
            true => (&self.literals.codes, &self.distances.codes),
            false => (&self.fixed_literals.codes, &self.fixed_distances.codes),
        };
        put_tokens(tokens, lit, dist, true, size, &mut self.bits, out);
    }

    /// Writes a dynamic block, or a stored one if the dynamic one does not save a sixteenth.
    pub(crate) fn dynamic(&mut self, tokens: &[Token], plain: &[u8], out: &mut Vec<u8>) {
        let (literals, distances) = self.index(tokens);
        self.header.prepare(&self.literals.codes[..literals], &self.distances.codes[..distances]);
        // Go leaves the extra bits out of this sum.
        let size = self.header.size()
            + self.literals.bit_length(&self.literal_freq)
            + self.distances.bit_length(&self.distance_freq);
        if saves_too_little(plain, size) {
            self.stored(plain, out);
            return;
        }
        self.header.write(literals, distances, &mut self.bits, out);
        let all = size + extra_bits(&self.literal_freq, &self.distance_freq);
        put_tokens(tokens, &self.literals.codes, &self.distances.codes, true, all, &mut self.bits, out);
    }

    /// Writes a dynamic block of literals, or a stored one if the dynamic one does not save a sixteenth.
    pub(crate) fn huffman(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.literal_freq = [0; LITERALS];
        count_bytes(plain, &mut self.literal_freq);
        self.literal_freq[END_OF_BLOCK] = 1;
        self.literals.generate(&self.literal_freq, 15);
        // One distance that is never used, of one bit.
        let distance = [Code { bits: 0, len: 1 }];
        self.header.prepare(&self.literals.codes[..END_OF_BLOCK + 1], &distance);
        let size = self.header.size() + self.literals.bit_length(&self.literal_freq) + 1;
        if saves_too_little(plain, size) {
            self.stored(plain, out);
            return;
        }
        self.header.write(END_OF_BLOCK + 1, 1, &mut self.bits, out);
        put_literals(plain, &self.literals.codes, true, size, &mut self.bits, out);
    }

    /// Writes a stored block of at most 65535 bytes.
    pub(crate) fn stored(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.stored_header(plain.len(), false, out);
        out.extend_from_slice(plain);
    }

    /// Writes the empty stored block with which Go ends every stream.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        self.stored_header(0, true, out);
    }

    fn stored_header(&mut self, len: usize, last: bool, out: &mut Vec<u8>) {
        let len = len as u16;
        self.bits.put(u64::from(last), 3, out);
        self.bits.align(out);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
    }

    /// Counts the symbols and makes their codes; gives how many of each alphabet are described.
    fn index(&mut self, tokens: &[Token]) -> (usize, usize) {
        self.literal_freq = [0; LITERALS];
        self.distance_freq = [0; DISTANCES];
        // Two counters each, so that tokens that are alike do not wait for each other.
        let mut symbols = [[0u32; Token::INDICES]; 2];
        let mut distances = [[0u32; 32]; 2];
        let pairs = tokens.chunks_exact(2);
        for &token in pairs.remainder() {
            symbols[0][token.index()] += 1;
            distances[0][token.symbol()] += 1;
        }
        for pair in pairs {
            for ((symbols, distances), token) in symbols.iter_mut().zip(&mut distances).zip(pair) {
                symbols[token.index()] += 1;
                distances[token.symbol()] += 1;
            }
        }
        let counts = symbols[0].iter().zip(&symbols[1]).map(|(one, other)| one + other);
        for (index, count) in counts.enumerate() {
            let symbol = match index.checked_sub(256) {
                None => index,
                Some(length) => LENGTHS_START + usize::from(LENGTH_CODE[length]),
            };
            self.literal_freq[symbol] += count;
        }
        for (symbol, freq) in self.distance_freq.iter_mut().enumerate() {
            *freq = distances[0][symbol] + distances[1][symbol];
        }
        self.literal_freq[END_OF_BLOCK] = 1;
        let literals = self.literal_freq.iter().rposition(|&f| f != 0).map_or(0, |last| last + 1);
        let mut used = self.distance_freq.iter().rposition(|&f| f != 0).map_or(0, |last| last + 1);
        if used == 0 {
            // Without a single match one distance is described all the same.
            self.distance_freq[0] = 1;
            used = 1;
        }
        self.literals.generate(&self.literal_freq, 15);
        self.distances.generate(&self.distance_freq, 15);
        (literals, used)
    }
}

/// How many extra bits these symbols take.
pub(crate) fn extra_bits(literals: &[u32; LITERALS], distances: &[u32; DISTANCES]) -> usize {
    let sum = |freq: &[u32], extra: &[u8]| -> usize {
        freq.iter().zip(extra).map(|(&f, &bits)| f as usize * usize::from(bits)).sum()
    };
    sum(&literals[LENGTHS_START..], &LENGTH_EXTRA) + sum(distances, &DISTANCE_EXTRA)
}

/// Adds how often each byte occurs.
pub(crate) fn count_bytes(plain: &[u8], freq: &mut [u32; LITERALS]) {
    // Four counters, so that runs of one byte do not wait for each other.
    let mut counts = [[0u32; 256]; 4];
    let mut fours = plain.chunks_exact(4);
    for four in &mut fours {
        for (count, &byte) in counts.iter_mut().zip(four) {
            count[usize::from(byte)] += 1;
        }
    }
    for &byte in fours.remainder() {
        counts[0][usize::from(byte)] += 1;
    }
    for (byte, freq) in freq[..256].iter_mut().enumerate() {
        *freq += counts.iter().map(|count| count[byte]).sum::<u32>();
    }
}

/// The fixed code (RFC 1951 3.2.6); it has two symbols more than may be used.
pub(crate) fn fixed_literals() -> Codes<LITERALS> {
    let mut lengths = [8; LITERALS + 2];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    let all = Codes::of_lengths(&lengths);
    let mut usable = Codes::new();
    usable.codes.copy_from_slice(&all.codes[..LITERALS]);
    usable
}

/// Whether Go rather stores `plain` than writing `size` bits. Shifts bind like products in Go.
fn saves_too_little(plain: &[u8], size: usize) -> bool {
    plain.len() <= MAX_STORED && (plain.len() + 5) * 8 < size + (size >> 4)
}
