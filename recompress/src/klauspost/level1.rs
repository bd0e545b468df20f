//! Level 1: one candidate per hash of five bytes, every second place looked at.
//! Takes a block of plain bytes and those before it, gives tokens.

use super::fast::{
    Finder, History, MARGIN, MAX_DISTANCE, before, eight, four, hash5, long_match, near, rest, table,
};
use super::tokens::Tokens;

const BITS: u32 = 15;

/// The table of level 1, 128 KiB.
///
/// Up to 1.15.9 (`OLD`) the hashes were of four bytes.
pub(super) struct Level1<const OLD: bool> {
    table: Box<[i32; 1 << BITS]>,
}

impl<const OLD: bool> Level1<OLD> {
    pub(super) fn new() -> Self {
        Level1 { table: table() }
    }
}

impl<const OLD: bool> Finder for Level1<OLD> {
    fn tables(&mut self) -> [&mut [i32]; 2] {
        [&mut self.table[..], &mut []]
    }

    fn find(&mut self, history: &History, start: i32, tokens: &mut Tokens) {
        let (src, base) = (history.plain(), history.base());
        let table = &mut *self.table;
        let limit = src.len() as i32 - MARGIN;
        let mut emitted = start;
        let mut s = start;
        let mut value = eight(src, s);
        'block: loop {
            let mut next;
            let mut t;
            loop {
                let hash = hashed::<OLD>(value);
                let candidate = table[hash];
                next = s + 2 + ((s - emitted) >> 5);
                if next > limit {
                    break 'block;
                }
                let mut now = eight(src, next);
                table[hash] = s + base;
                let hash = hashed::<OLD>(now);
                t = candidate.wrapping_sub(base);
                if near(s, t) && value as u32 == four(src, t) {
                    table[hash] = next + base;
                    break;
                }
                // One more right away.
                value = now;
                s = next;
                next += 1;
                let candidate = table[hash];
                now >>= 8;
                table[hash] = s + base;
                t = candidate.wrapping_sub(base);
                if near(s, t) && value as u32 == four(src, t) {
                    table[hash] = next + base;
                    break;
                }
                value = now;
                s = next;
            }
            loop {
                let mut length = long_match(src, s + 4, t + 4) + 4;
                let more = before(src, s, t, emitted);
                s -= more;
                t -= more;
                length += more;
                tokens.literals(&src[emitted as usize..s as usize]);
                tokens.copy_long(length, s - t);
                s += length;
                emitted = s;
                if next >= s {
                    s = next + 1;
                }
                if s >= limit {
                    if s + length + if OLD { 4 } else { 8 } < src.len() as i32 {
                        table[hashed::<OLD>(eight(src, s))] = s + base;
                    }
                    break 'block;
                }
                let x = eight(src, s - 2);
                table[hashed::<OLD>(x)] = s - 2 + base;
                let x = x >> 16;
                let hash = hashed::<OLD>(x);
                let candidate = table[hash];
                table[hash] = s + base;
                t = candidate.wrapping_sub(base);
                if s.wrapping_sub(t) > MAX_DISTANCE || x as u32 != four(src, t) {
                    value = x >> 8;
                    s += 1;
                    break;
                }
            }
        }
        rest(src, emitted, tokens);
    }
}

#[inline(always)]
fn hashed<const OLD: bool>(value: u64) -> usize {
    if OLD {
        ((value as u32).wrapping_mul(0x1e35_a7bd) >> (32 - BITS)) as usize
    } else {
        hash5::<BITS>(value)
    }
}
