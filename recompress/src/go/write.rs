//! What is in a block, written with given codes: the header of a dynamic block (RFC 1951 3.2.7), tokens and
//! literals.

use super::bits::Bits;
use super::huffman::{Code, Codes};
use super::token::{
    DISTANCE_BASE, DISTANCE_EXTRA, DISTANCES, END_OF_BLOCK, LENGTH_BASE, LENGTH_CODE, LENGTH_EXTRA,
    LENGTHS_START, LITERALS, Token,
};

/// The order in which the lengths of the code lengths' codes are written.
const CODEGEN_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Writes tokens and, if asked for, the end of the block; `size` is how many bits that takes, or more.
pub(crate) fn put_tokens(
    tokens: &[Token],
    literals: &[Code; LITERALS],
    distances: &[Code; DISTANCES],
    ends: bool,
    size: usize,
    bits: &mut Bits,
    out: &mut Vec<u8>,
) {
    // The codes of literals, the code and the extra bits of every length, and every distance symbol with its extra bits.
    let mut symbols = [(0u32, 0u32); Token::INDICES];
    for (entry, code) in symbols.iter_mut().zip(&literals[..256]) {
        *entry = (u32::from(code.bits), u32::from(code.len));
    }
    for (length, entry) in symbols[256..].iter_mut().enumerate() {
        let symbol = usize::from(LENGTH_CODE[length]);
        let code = literals[LENGTHS_START + symbol];
        let extra = (length - usize::from(LENGTH_BASE[symbol])) as u32;
        let count = u32::from(code.len) + u32::from(LENGTH_EXTRA[symbol]);
        *entry = (u32::from(code.bits) | extra << code.len, count);
    }
    // That of literals has no bits.
    let mut steps = [Step::default(); 32];
    for (symbol, step) in steps[..DISTANCES].iter_mut().enumerate() {
        let code = distances[symbol];
        let len = u32::from(code.len);
        *step = Step {
            bits: code.bits,
            base: DISTANCE_BASE[symbol],
            len,
            count: len + u32::from(DISTANCE_EXTRA[symbol]),
        };
    }
    let mut stream = bits.stream(out, size / 8);
    for &token in tokens {
        let (bits, count) = symbols[token.index()];
        stream.add(u64::from(bits), count);
        let step = steps[token.symbol()];
        let extra = (token.distance() as u64).wrapping_sub(u64::from(step.base));
        stream.add(u64::from(step.bits) | extra << (step.len & 15), step.count);
        stream.drain();
    }
    if ends {
        let end = literals[END_OF_BLOCK];
        stream.add(u64::from(end.bits), u32::from(end.len));
        stream.drain();
    }
    stream.close();
}

/// Writes bytes as literals and, if asked for, the end of the block; `size` is how many bits that takes, or
/// more.
pub(crate) fn put_literals(
    plain: &[u8],
    codes: &[Code; LITERALS],
    ends: bool,
    size: usize,
    bits: &mut Bits,
    out: &mut Vec<u8>,
) {
    let mut stream = bits.stream(out, size / 8);
    let mut threes = plain.chunks_exact(3);
    for three in &mut threes {
        for &byte in three {
            let code = codes[usize::from(byte)];
            stream.add(u64::from(code.bits), u32::from(code.len));
        }
        stream.drain();
    }
    for &byte in threes.remainder() {
        let code = codes[usize::from(byte)];
        stream.add(u64::from(code.bits), u32::from(code.len));
    }
    stream.drain();
    if ends {
        let end = codes[END_OF_BLOCK];
        stream.add(u64::from(end.bits), u32::from(end.len));
        stream.drain();
    }
    stream.close();
}

/// How a distance symbol is written.
#[derive(Clone, Copy, Default)]
struct Step {
    bits: u16,
    base: u16,
    len: u32,
    count: u32,
}

/// The header of a dynamic block (RFC 1951 3.2.7).
pub(crate) struct Header {
    /// Symbols 0 to 18, 16 to 18 followed by their extra bits.
    codegen: Vec<u8>,
    freq: [u32; 19],
    codes: Codes<19>,
    /// How many lengths of the codes' codes are written.
    described: usize,
}

impl Header {
    pub(crate) fn new() -> Self {
        Self::with_trees(false)
    }

    /// The same, with codes as [`Codes::with_trees`] makes them.
    pub(crate) fn with_trees(trees: bool) -> Self {
        let codegen = Vec::with_capacity(LITERALS + DISTANCES);
        Header { codegen, freq: [0; 19], codes: Codes::with_trees(trees), described: 0 }
    }

    /// Takes the code lengths together, runs of them as Go cuts them.
    pub(crate) fn prepare(&mut self, literals: &[Code], distances: &[Code]) {
        self.codegen.clear();
        self.freq = [0; 19];
        let mut lengths = literals.iter().chain(distances).map(|code| code.len).peekable();
        while let Some(len) = lengths.next() {
            let mut count = 1;
            while lengths.next_if_eq(&len).is_some() {
                count += 1;
            }
            self.run(len, count);
        }
        self.codes.generate(&self.freq, 7);
        self.described = 19;
        while self.described > 4 && self.freq[CODEGEN_ORDER[self.described - 1]] == 0 {
            self.described -= 1;
        }
    }

    fn run(&mut self, len: u8, mut count: usize) {
        if len != 0 {
            self.push(len);
            count -= 1;
            while count >= 3 {
                let n = count.min(6);
                self.push(16);
                self.codegen.push((n - 3) as u8);
                count -= n;
            }
        } else {
            while count >= 11 {
                let n = count.min(138);
                self.push(18);
                self.codegen.push((n - 11) as u8);
                count -= n;
            }
            if count >= 3 {
                self.push(17);
                self.codegen.push((count - 3) as u8);
                count = 0;
            }
        }
        for _ in 0..count {
            self.push(len);
        }
    }

    fn push(&mut self, symbol: u8) {
        self.codegen.push(symbol);
        self.freq[usize::from(symbol)] += 1;
    }

    /// How many bits the header takes, with those that open the block.
    pub(crate) fn size(&self) -> usize {
        let extra = self.freq[16] * 2 + self.freq[17] * 3 + self.freq[18] * 7;
        3 + 5 + 5 + 4 + 3 * self.described + self.codes.bit_length(&self.freq) + extra as usize
    }

    pub(crate) fn write(&self, literals: usize, distances: usize, bits: &mut Bits, out: &mut Vec<u8>) {
        bits.put(4, 3, out);
        bits.put(literals as u64 - 257, 5, out);
        bits.put(distances as u64 - 1, 5, out);
        bits.put(self.described as u64 - 4, 4, out);
        for &symbol in &CODEGEN_ORDER[..self.described] {
            bits.put(u64::from(self.codes.codes[symbol].len), 3, out);
        }
        let mut rest = self.codegen.iter();
        while let Some(&symbol) = rest.next() {
            let code = self.codes.codes[usize::from(symbol)];
            bits.put(u64::from(code.bits), u32::from(code.len), out);
            let extra = match symbol {
                16 => 2,
                17 => 3,
                18 => 7,
                _ => continue,
            };
            if let Some(&value) = rest.next() {
                bits.put(u64::from(value), extra, out);
            }
        }
    }
}
