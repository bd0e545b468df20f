//! Level 2: as level 1 with a bigger table, and more places of a match entered.
//! Takes a block of plain bytes and those before it, gives tokens.

use super::fast::{
    Finder, History, MARGIN, MAX_DISTANCE, before, eight, four, hash4, hash5, long_match, near, rest, table,
};
use super::tokens::Tokens;

const BITS: u32 = 17;

/// The table of level 2, 512 KiB.
///
/// Up to 1.15.9 (`OLD`) the hashes were of four bytes.
pub(super) struct Level2<const OLD: bool> {
    table: Box<[i32; 1 << BITS]>,
}

impl<const OLD: bool> Level2<OLD> {
    pub(super) fn new() -> Self {
        Level2 { table: table() }
    }
}

impl<const OLD: bool> Finder for Level2<OLD> {
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
            let mut next = s;
            let mut t;
            loop {
                let hash = hashed::<OLD>(value);
                s = next;
                next = s + 2 + ((s - emitted) >> 5);
                if next > limit {
                    break 'block;
                }
                let candidate = table[hash];
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
                    break;
                }
                value = now;
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
                let mut i = s - length + 2;
                while i < s - 5 {
                    let x = eight(src, i);
                    table[hashed::<OLD>(x)] = i + base;
                    table[hashed::<OLD>(x >> 16)] = i + 2 + base;
                    table[hashed::<OLD>(x >> 32)] = i + 4 + base;
                    i += 7;
                }
                let x = eight(src, s - 2);
                table[hashed::<OLD>(x)] = s - 2 + base;
                table[hashed::<OLD>(x >> 8)] = s - 1 + base;
                let hash = hashed::<OLD>(x >> 16);
                let candidate = table[hash];
                table[hash] = s + base;
                t = candidate.wrapping_sub(base);
                if s.wrapping_sub(t) > MAX_DISTANCE || (x >> 16) as u32 != four(src, t) {
                    value = x >> 24;
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
    if OLD { hash4::<BITS>(value) } else { hash5::<BITS>(value) }
}
