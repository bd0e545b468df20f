//! Level 1 of Go's encoder (`deflatefast.go`): one candidate per hash, blocks of 65535 bytes, matches that
//! reach into the block before.

use super::block::{Blocks, MAX_STORED};
use super::token::Token;

const TABLE_BITS: u32 = 14;
const MAX_DISTANCE: i32 = 1 << 15;
const MAX_MATCH: usize = 258;
/// Nothing is looked for in the last bytes of a block.
const MARGIN: usize = 15;
/// Places are moved down before they come near to what 32 bits hold.
const TOO_HIGH: i32 = i32::MAX - 2 * MAX_STORED as i32;

/// The state of level 1, about 320 KiB.
pub(super) struct Fast {
    /// The four bytes seen last for each hash, and where: a place in the block and `current`.
    table: Vec<(u32, i32)>,
    /// The block before, then this one up to `end`.
    window: Vec<u8>,
    end: usize,
    current: i32,
    tokens: Vec<Token>,
}

impl Fast {
    pub(super) fn new() -> Self {
        Fast {
            table: vec![(0, 0); 1 << TABLE_BITS],
            window: vec![0; 2 * MAX_STORED],
            end: 0,
            current: MAX_STORED as i32,
            tokens: Vec::with_capacity(MAX_STORED),
        }
    }

    pub(super) fn reset(&mut self) {
        self.table.fill((0, 0));
        self.end = 0;
        self.current = MAX_STORED as i32;
    }

    pub(super) fn write(&mut self, mut plain: &[u8], blocks: &mut Blocks, out: &mut Vec<u8>) {
        while !plain.is_empty() {
            if self.end == MAX_STORED {
                self.block(blocks, out);
                self.window.copy_within(MAX_STORED.., 0);
                self.end = 0;
            }
            let n = plain.len().min(MAX_STORED - self.end);
            let (now, later) = plain.split_at(n);
            self.window[MAX_STORED + self.end..][..n].copy_from_slice(now);
            self.end += n;
            plain = later;
        }
    }

    pub(super) fn finish(&mut self, blocks: &mut Blocks, out: &mut Vec<u8>) {
        let plain = &self.window[MAX_STORED..][..self.end];
        match self.end {
            0 => {}
            1..=16 => blocks.stored(plain, out),
            17..=127 => blocks.huffman(plain, out),
            _ => self.block(blocks, out),
        }
        self.end = 0;
    }

    fn block(&mut self, blocks: &mut Blocks, out: &mut Vec<u8>) {
        self.encode();
        let plain = &self.window[MAX_STORED..][..self.end];
        if self.tokens.len() > self.end - (self.end >> 4) {
            blocks.huffman(plain, out);
        } else {
            blocks.dynamic(&self.tokens, plain, out);
        }
    }

    /// Makes tokens of the block, of at least 128 bytes.
    fn encode(&mut self) {
        if self.current >= TOO_HIGH {
            self.lower();
        }
        self.tokens.clear();
        let window = &self.window[..MAX_STORED + self.end];
        let end = MAX_STORED + self.end;
        let limit = end - MARGIN;
        // A place in the window and this make what stands in the table.
        let current = self.current - MAX_STORED as i32;
        let Some(table) = self.table.first_chunk_mut::<{ 1 << TABLE_BITS }>() else { return };
        let tokens = &mut self.tokens;
        let mut literals = MAX_STORED;
        let mut s = MAX_STORED;
        let mut value = four(window, s);
        let mut hash = hash_of(value);
        'block: loop {
            // The longer nothing is found, the bigger the steps.
            let mut skip = 32;
            let mut next = s;
            let mut candidate;
            loop {
                s = next;
                let step = skip >> 5;
                next = s + step;
                skip += step;
                if next > limit {
                    break 'block;
                }
                candidate = table[hash];
                let now = four(window, next);
                table[hash] = (value, s as i32 + current);
                hash = hash_of(now);
                if s as i32 + current - candidate.1 <= MAX_DISTANCE && value == candidate.0 {
                    break;
                }
                value = now;
            }
            tokens.extend(window[literals..s].iter().map(|&byte| Token::literal(byte)));
            loop {
                let distance = (s as i32 + current - candidate.1) as usize;
                let length = 4 + match_len(window, s + 4, s + 4 - distance, (end - s - 4).min(MAX_MATCH - 4));
                tokens.push(Token::copy(length, distance));
                s += length;
                literals = s;
                if s >= limit {
                    break 'block;
                }
                let x = eight(window, s - 1);
                table[hash_of(x as u32)] = (x as u32, s as i32 - 1 + current);
                let here = (x >> 8) as u32;
                let hash_here = hash_of(here);
                candidate = table[hash_here];
                table[hash_here] = (here, s as i32 + current);
                if s as i32 + current - candidate.1 > MAX_DISTANCE || here != candidate.0 {
                    value = (x >> 16) as u32;
                    hash = hash_of(value);
                    s += 1;
                    break;
                }
            }
        }
        tokens.extend(window[literals..].iter().map(|&byte| Token::literal(byte)));
        self.current += self.end as i32;
    }

    /// Moves all places down.
    fn lower(&mut self) {
        for (_, place) in &mut self.table {
            *place = (*place - self.current + MAX_DISTANCE + 1).max(0);
        }
        self.current = MAX_DISTANCE + 1;
    }
}

#[inline(always)]
fn hash_of(value: u32) -> usize {
    (value.wrapping_mul(0x1e35_a7bd) >> (32 - TABLE_BITS)) as usize
}

#[inline(always)]
fn four(window: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&window[at..at + 4]);
    u32::from_le_bytes(word)
}

#[inline(always)]
fn eight(window: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&window[at..at + 8]);
    u64::from_le_bytes(word)
}

/// How many bytes are the same at `a` and, before it, `b`, at most `max`.
#[inline(always)]
fn match_len(window: &[u8], a: usize, b: usize, max: usize) -> usize {
    let (a, b) = (&window[a..a + max], &window[b..b + max]);
    let mut n = 0;
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let differ = eight(x, 0) ^ eight(y, 0);
        if differ != 0 {
            return n + (differ.trailing_zeros() / 8) as usize;
        }
        n += 8;
    }
    n + a[n..].iter().zip(&b[n..]).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_the_places_down_changes_nothing() {
        let plain: Vec<u8> = (0..400_000u32).map(|i| ((i % 1013 * (i / 5000)) >> 3) as u8).collect();
        let run = |current: i32| {
            let (mut fast, mut blocks, mut out) = (Fast::new(), Blocks::new(), Vec::new());
            fast.current = current;
            fast.write(&plain, &mut blocks, &mut out);
            fast.finish(&mut blocks, &mut out);
            out
        };
        let usual = run(MAX_STORED as i32);
        assert!(usual.len() < plain.len() / 2);
        for steps in 0..5 {
            assert_eq!(run(TOO_HIGH - steps * MAX_STORED as i32), usual);
        }
    }
}
