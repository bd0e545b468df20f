//! The match finder of the level "default" (`enc_dfast.go`): a table of eight bytes and one of five.
//! Takes a window, gives matches and literals.

use super::history::{
    Entry, Finder, Found, History, MAX_MATCH, hash, long, match_back, match_len, moved, table, word,
};

const LONG_BITS: u32 = 17;
const SHORT_BITS: u32 = 15;
/// Nothing is looked for in the last bytes of a block.
const MARGIN: i32 = 10;
const MIN_BLOCK: i32 = 16;
/// The step grows with the way to the last match, by this shift.
const PATIENCE: u32 = 7;

/// The finder with its tables.
pub(super) struct Double {
    long: Box<[Entry; 1 << LONG_BITS]>,
    short: Box<[Entry; 1 << SHORT_BITS]>,
}

#[inline(always)]
fn long_slot(value: u64) -> usize {
    hash::<8, LONG_BITS>(value)
}

#[inline(always)]
fn short_slot(value: u64) -> usize {
    hash::<5, SHORT_BITS>(value)
}

impl Double {
    pub(super) fn new() -> Self {
        Self { long: table(), short: table() }
    }

    fn find<const ALONE: bool>(&mut self, history: &History, start: i32, found: &mut Found) -> i32 {
        let (plain, base, window) = (history.plain(), history.base(), history.window());
        let (longs, shorts) = (&mut self.long, &mut self.short);
        let (mut s, mut emitted) = (start, start);
        let limit = plain.len() as i32 - MARGIN;
        let mut offset1 = 1;
        let mut value = long(plain, s);
        'block: loop {
            let could_repeat = found.can_repeat();
            let matched = loop {
                let can_repeat = if ALONE { found.can_repeat() } else { could_repeat };
                let (long_at, short_at) = (long_slot(value), short_slot(value));
                let (candidate, short) = (longs[long_at], shorts[short_at]);
                let entry = Entry { place: s + base, bytes: value as u32 };
                longs[long_at] = entry;
                shorts[short_at] = entry;

                let before = s - offset1 + 1;
                if can_repeat && before >= 0 && word(plain, before) == (value >> 8) as u32 {
                    let length = 4 + match_len(plain, s + 5, before + 4);
                    let back = match_back(
                        plain,
                        s + 1,
                        before,
                        emitted + 1,
                        (s - window).max(0),
                        MAX_MATCH - 1 - length,
                    );
                    found.add(&plain[emitted as usize..(s + 1 - back) as usize], length + back, 1);
                    s += length + 1;
                    emitted = s;
                    if s >= limit {
                        break 'block;
                    }
                    value = long(plain, s);
                    continue;
                }
                if s - (candidate.place - base) < window && value as u32 == candidate.bytes {
                    break candidate.place - base;
                }
                if s - (short.place - base) < window && value as u32 == short.bytes {
                    // A long match one byte later is better.
                    let value = long(plain, s + 1);
                    let at = long_slot(value);
                    let candidate = longs[at];
                    longs[at] = Entry { place: s + 1 + base, bytes: value as u32 };
                    if s - (candidate.place - base) + 1 < window && value as u32 == candidate.bytes {
                        s += 1;
                        break candidate.place - base;
                    }
                    break short.place - base;
                }
                s += 1 + ((s - emitted) >> PATIENCE);
                if s >= limit {
                    break 'block;
                }
                value = long(plain, s);
            };
            let mut offset2 = offset1;
            offset1 = s - matched;
            let length = match_len(plain, s + 4, matched + 4) + 4;
            let back = match_back(plain, s, matched, emitted, (s - window).max(0), MAX_MATCH - length);
            found.add(&plain[emitted as usize..(s - back) as usize], length + back, offset1 as u32 + 3);
            let first = s - back + 1;
            s += length;
            emitted = s;
            if s >= limit {
                break;
            }
            let last = s - 2;
            let (value0, value1) = (long(plain, first), long(plain, last));
            longs[long_slot(value0)] = Entry { place: first + base, bytes: value0 as u32 };
            longs[long_slot(value1)] = Entry { place: last + base, bytes: value1 as u32 };
            let (value0, value1) = (value0 >> 8, value1 >> 8);
            shorts[short_slot(value0)] = Entry { place: first + 1 + base, bytes: value0 as u32 };
            shorts[short_slot(value1)] = Entry { place: last + 1 + base, bytes: value1 as u32 };
            value = long(plain, s);
            let can_repeat = if ALONE { found.can_repeat() } else { could_repeat };
            while can_repeat && word(plain, s - offset2) == value as u32 {
                let length = 4 + match_len(plain, s + 4, s - offset2 + 4);
                let entry = Entry { place: s + base, bytes: value as u32 };
                longs[long_slot(value)] = entry;
                // Of a frame that is one block, the encoder takes the hash of what was before.
                shorts[short_slot(if ALONE { value1 >> 8 } else { value })] = entry;
                found.add(&[], length, 1);
                s += length;
                emitted = s;
                (offset1, offset2) = (offset2, offset1);
                if s >= limit {
                    break 'block;
                }
                value = long(plain, s);
            }
        }
        emitted
    }
}

impl Finder for Double {
    fn find(&mut self, history: &History, start: i32, alone: bool, found: &mut Found) {
        let plain = history.plain();
        let emitted = match plain.len() as i32 - start {
            ..MIN_BLOCK => start,
            _ if alone => self.find::<true>(history, start, found),
            _ => self.find::<false>(history, start, found),
        };
        found.literals.extend_from_slice(&plain[emitted as usize..]);
    }

    fn move_down(&mut self, least: i32, by: i32) {
        for entry in self.long.iter_mut().chain(&mut self.short[..]) {
            entry.place = moved(entry.place, least, by);
        }
    }
}
