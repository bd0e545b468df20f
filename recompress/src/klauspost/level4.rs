//! Level 4: a table for four bytes and one for seven, one candidate each.
//! Takes a block of plain bytes and those before it, gives tokens.

use super::fast::{
    Finder, History, MARGIN, before, eight, four, hash4, hash7, long_match, near, rest, table,
};
use super::tokens::Tokens;
use super::version::Version;

const BITS: u32 = 15;

/// The tables of level 4, 256 KiB.
pub(super) struct Level4 {
    short: Box<[i32; 1 << BITS]>,
    long: Box<[i32; 1 << BITS]>,
    version: Version,
}

impl Level4 {
    pub(super) fn new(version: Version) -> Self {
        Level4 { short: table(), long: table(), version }
    }
}

impl Finder for Level4 {
    fn tables(&mut self) -> [&mut [i32]; 2] {
        [&mut self.short[..], &mut self.long[..]]
    }

    fn find(&mut self, history: &History, start: i32, tokens: &mut Tokens) {
        let (src, base) = (history.plain(), history.base());
        let (short, long) = (&mut *self.short, &mut *self.long);
        let limit = src.len() as i32 - MARGIN;
        let mut emitted = start;
        let mut s = start;
        let mut value = eight(src, s);
        'block: loop {
            let mut next = s;
            let mut t;
            loop {
                let (hash_short, hash_long) = (hash4::<BITS>(value), hash7::<BITS>(value));
                s = next;
                next = s + 1 + ((s - emitted) >> 6);
                if next > limit {
                    break 'block;
                }
                let (candidate, far) = (short[hash_short], long[hash_long]);
                let now = eight(src, next);
                short[hash_short] = s + base;
                long[hash_long] = s + base;
                t = far.wrapping_sub(base);
                if near(s, t) && value as u32 == four(src, t) {
                    break;
                }
                t = candidate.wrapping_sub(base);
                if near(s, t) && value as u32 == four(src, t) {
                    // A long match one step on may be better.
                    let other = long[hash7::<BITS>(now)].wrapping_sub(base);
                    if near(next, other) && four(src, other) == now as u32 {
                        // From 1.18 on the other match is measured at the wrong place.
                        let measured = if self.version < Version::V1_18_0 { other } else { next - other };
                        let better = long_match(src, next + 4, measured + 4);
                        if better > long_match(src, s + 4, t + 4) {
                            s = next;
                            t = other;
                        }
                    }
                    break;
                }
                value = now;
            }
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
                if s + 8 < src.len() as i32 {
                    let value = eight(src, s);
                    short[hash4::<BITS>(value)] = s + base;
                    long[hash7::<BITS>(value)] = s + base;
                }
                break 'block;
            }
            let mut i = next;
            while i < s - 1 {
                let value = eight(src, i);
                long[hash7::<BITS>(value)] = i + base;
                long[hash7::<BITS>(value >> 8)] = i + 1 + base;
                short[hash4::<BITS>(value >> 8)] = i + 1 + base;
                i += 3;
            }
            let x = eight(src, s - 1);
            short[hash4::<BITS>(x)] = s - 1 + base;
            long[hash7::<BITS>(x)] = s - 1 + base;
            value = x >> 8;
        }
        rest(src, emitted, tokens);
    }
}
