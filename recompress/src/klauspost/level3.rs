//! Level 3: two candidates per hash of five bytes, the longer match of both.
//! Takes a block of plain bytes and those before it, gives tokens.

use super::fast::{
    Finder, History, MARGIN, MAX_DISTANCE, before, eight, four, hash4, hash5, long_match, rest, table,
};
use super::tokens::Tokens;

const BITS: u32 = 16;

/// The table of level 3, 512 KiB: the last place and the one before it.
///
/// Up to 1.15.9 (`OLD`) the hashes were of four bytes, and other places were entered.
pub(super) struct Level3<const OLD: bool> {
    table: Box<[[i32; 2]; 1 << BITS]>,
}

impl<const OLD: bool> Level3<OLD> {
    pub(super) fn new() -> Self {
        Level3 { table: table() }
    }
}

impl<const OLD: bool> Finder for Level3<OLD> {
    fn tables(&mut self) -> [&mut [i32]; 2] {
        [self.table.as_flattened_mut(), &mut []]
    }

    fn find(&mut self, history: &History, start: i32, tokens: &mut Tokens) {
        let (src, base) = (history.plain(), history.base());
        let table = &mut *self.table;
        let limit = src.len() as i32 - if OLD { 7 } else { MARGIN };
        let mut emitted = start;
        let mut s = start;
        let mut value = load::<OLD>(src, s);
        'block: loop {
            let mut next = s;
            let mut t;
            loop {
                let hash = hashed::<OLD>(value);
                s = next;
                next = s + 1 + ((s - emitted) >> if OLD { 6 } else { 7 });
                if next > limit {
                    break 'block;
                }
                let [last, previous] = table[hash];
                let now = load::<OLD>(src, next);
                let oldest = base + s - (MAX_DISTANCE - 4);
                table[hash] = [s + base, last];
                if last < oldest {
                    value = now;
                    continue;
                }
                t = last - base;
                if value as u32 == four(src, t) {
                    if previous >= oldest && value as u32 == four(src, previous - base) {
                        let other = previous - base;
                        if long_match(src, s + 4, other + 4) > long_match(src, s + 4, t + 4) {
                            t = other;
                        }
                    }
                    break;
                }
                t = previous.wrapping_sub(base);
                if previous > oldest && value as u32 == four(src, t) {
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
                let mut enter = |value: u64, at: i32| {
                    let entry = &mut table[hashed::<OLD>(value)];
                    let old = *entry;
                    *entry = [at + base, old[0]];
                    old
                };
                if s >= limit {
                    t += length;
                    if t + if OLD { 4 } else { 8 } < src.len() as i32 && t > 0 {
                        enter(load::<OLD>(src, t), t);
                    }
                    break 'block;
                }
                let mut i = s - length + 2;
                while i < s - 5 {
                    enter(load::<OLD>(src, i), i);
                    i += if OLD { 5 } else { 6 };
                }
                let x = eight(src, s - 2);
                enter(x, s - 2);
                enter(x >> 8, s - 1);
                value = x >> 16;
                let [last, previous] = enter(value, s);
                let oldest = base + s - (MAX_DISTANCE - 4);
                if last > oldest {
                    t = last - base;
                    if value as u32 == four(src, t) {
                        continue;
                    }
                    t = previous.wrapping_sub(base);
                    if previous > oldest && value as u32 == four(src, t) {
                        continue;
                    }
                }
                value = x >> 24;
                s += 1;
                break;
            }
        }
        rest(src, emitted, tokens);
    }
}

/// The bytes at `at` as far as they are hashed or compared.
#[inline(always)]
fn load<const OLD: bool>(src: &[u8], at: i32) -> u64 {
    if OLD { u64::from(four(src, at)) } else { eight(src, at) }
}

#[inline(always)]
fn hashed<const OLD: bool>(value: u64) -> usize {
    if OLD { hash4::<BITS>(value) } else { hash5::<BITS>(value) }
}
