//! Level 6: as level 5, but every place is entered, and the last distance is tried again.
//! Takes a block of plain bytes and those before it, gives tokens.

use super::fast::{
    Finder, History, MARGIN, MAX_MATCH, before, eight, four, hash4, hash7, long_match, near, rest,
    short_match, table,
};
use super::tokens::Tokens;
use super::version::Version;

const BITS: u32 = 15;

/// The tables of level 6, 384 KiB: of seven bytes the last place and the one before it.
pub(super) struct Level6 {
    short: Box<[i32; 1 << BITS]>,
    long: Box<[[i32; 2]; 1 << BITS]>,
    /// So many bytes at the start of a better match may differ.
    skipped: i32,
}

impl Level6 {
    pub(super) fn new(version: Version) -> Self {
        let skipped = if version < Version::V1_15_11 { 0 } else { 2 };
        Level6 { short: table(), long: table(), skipped }
    }
}

impl Finder for Level6 {
    fn tables(&mut self) -> [&mut [i32]; 2] {
        [&mut self.short[..], self.long.as_flattened_mut()]
    }

    fn find(&mut self, history: &History, start: i32, tokens: &mut Tokens) {
        let (src, base) = (history.plain(), history.base());
        let (short, long) = (&mut *self.short, &mut *self.long);
        let limit = src.len() as i32 - MARGIN;
        let mut emitted = start;
        let mut s = start;
        let mut value = eight(src, s);
        let mut repeat = 1;
        'block: loop {
            let mut next = s;
            let mut length = 0;
            let mut t;
            loop {
                let (hash_short, hash_long) = (hash4::<BITS>(value), hash7::<BITS>(value));
                s = next;
                next = s + 1 + ((s - emitted) >> 7);
                if next > limit {
                    break 'block;
                }
                let (candidate, [last, previous]) = (short[hash_short], long[hash_long]);
                let now = eight(src, next);
                short[hash_short] = s + base;
                long[hash_long] = [s + base, last];
                let (hash_short, hash_long) = (hash4::<BITS>(now), hash7::<BITS>(now));
                t = last.wrapping_sub(base);
                if near(s, t) {
                    let other = previous.wrapping_sub(base);
                    if value as u32 == four(src, t) {
                        short[hash_short] = next + base;
                        long[hash_long] = [next + base, long[hash_long][0]];
                        if near(s, other) && value as u32 == four(src, other) {
                            length = short_match(src, s + 4, t + 4) + 4;
                            let better = short_match(src, s + 4, other + 4) + 4;
                            if better > length {
                                t = other;
                                length = better;
                            }
                        }
                        break;
                    }
                    t = other;
                    if near(s, t) && value as u32 == four(src, t) {
                        short[hash_short] = next + base;
                        long[hash_long] = [next + base, long[hash_long][0]];
                        break;
                    }
                }
                t = candidate.wrapping_sub(base);
                if near(s, t) && value as u32 == four(src, t) {
                    length = short_match(src, s + 4, t + 4) + 4;
                    let [last, previous] = long[hash_long];
                    short[hash_short] = next + base;
                    long[hash_long] = [next + base, last];
                    // The last distance again, one byte on.
                    let again = s - repeat + 1;
                    if four(src, again) == (value >> 8) as u32 {
                        let better = short_match(src, s + 5, again + 4) + 4;
                        if better > length {
                            (s, t, length) = (s + 1, again, better);
                            break;
                        }
                    }
                    // A long match one step on may be better.
                    let other = last.wrapping_sub(base);
                    if near(next, other) {
                        if four(src, other) == now as u32 {
                            let better = short_match(src, next + 4, other + 4) + 4;
                            if better > length {
                                (s, t, length) = (next, other, better);
                            }
                        }
                        let other = previous.wrapping_sub(base);
                        if near(next, other) && four(src, other) == now as u32 {
                            let better = short_match(src, next + 4, other + 4) + 4;
                            if better > length {
                                (s, t, length) = (next, other, better);
                            }
                        }
                    }
                    break;
                }
                value = now;
            }
            if length == 0 {
                length = long_match(src, s + 4, t + 4) + 4;
            } else if length == MAX_MATCH {
                length += long_match(src, s + length, t + length);
            }
            // What follows the match may belong to a better one.
            let end = s + length;
            if end < limit {
                let [last, previous] = long[hash7::<BITS>(eight(src, end))];
                let from = s + self.skipped;
                let other = last.wrapping_sub(base).wrapping_sub(length).wrapping_add(self.skipped);
                if near(from, other) {
                    if from > other && other >= 0 {
                        let better = long_match(src, from, other);
                        if better > length {
                            (s, t, length) = (from, other, better);
                        }
                    }
                    // The length that was found stays in, as in the original.
                    let other = previous.wrapping_sub(base).wrapping_sub(length).wrapping_add(self.skipped);
                    if from > other && near(from, other) && other >= 0 {
                        let better = long_match(src, from, other);
                        if better > length {
                            (s, t, length) = (from, other, better);
                        }
                    }
                }
            }
            let more = before(src, s, t, emitted);
            s -= more;
            t -= more;
            length += more;
            tokens.literals(&src[emitted as usize..s as usize]);
            tokens.copy_long(length, s - t);
            repeat = s - t;
            s += length;
            emitted = s;
            if next >= s {
                s = next + 1;
            }
            let mut enter = |value: u64, at: i32| {
                let entry = &mut long[hash7::<BITS>(value)];
                *entry = [at + base, entry[0]];
            };
            let mut i = next + 1;
            if s >= limit {
                while i < src.len() as i32 - 8 {
                    let value = eight(src, i);
                    short[hash4::<BITS>(value)] = i + base;
                    enter(value, i);
                    i += 2;
                }
                break 'block;
            }
            while i < s - 1 {
                let value = eight(src, i);
                short[hash4::<BITS>(value)] = i + base;
                enter(value, i);
                enter(value >> 8, i + 1);
                i += 2;
            }
            value = eight(src, s);
        }
        rest(src, emitted, tokens);
    }
}
