//! The match finder of the level "fastest" (`enc_fast.go`): one table of six bytes, two places at a time.
//! Takes a window, gives matches and literals.

use super::history::{
    Entry, Finder, Found, History, MAX_MATCH, hash, long, match_back, match_len, moved, table, word,
};

const BITS: u32 = 15;
/// Nothing is looked for in the last bytes of a block.
const MARGIN: i32 = 8;
const MIN_BLOCK: i32 = 10;
/// The step grows with the way to the last match, by this shift.
const PATIENCE: u32 = 5;

/// The finder with its table.
pub(super) struct Fast {
    table: Box<[Entry; 1 << BITS]>,
}

fn slot(value: u64) -> usize {
    hash::<6, BITS>(value)
}

impl Fast {
    pub(super) fn new() -> Self {
        Self { table: table() }
    }
}

impl Fast {
    fn matches(&mut self, history: &History, start: i32, alone: bool, found: &mut Found) -> i32 {
        let (plain, base, window) = (history.plain(), history.base(), history.window());
        let table = &mut self.table;
        let (mut s, mut emitted) = (start, start);
        let limit = plain.len() as i32 - MARGIN;
        let mut offset1 = 1;
        let mut value = long(plain, s);
        'block: loop {
            let could_repeat = found.can_repeat();
            let matched = loop {
                let can_repeat = if alone { found.can_repeat() } else { could_repeat };
                let (first, second) = (slot(value), slot(value >> 8));
                let (candidate, candidate2) = (table[first], table[second]);
                table[first] = Entry { place: s + base, bytes: value as u32 };
                table[second] = Entry { place: s + base + 1, bytes: (value >> 8) as u32 };

                let before = s - offset1 + 2;
                if can_repeat && before >= 0 && word(plain, before) == (value >> 16) as u32 {
                    let length = 4 + match_len(plain, s + 6, before + 4);
                    let back = match_back(
                        plain,
                        s + 2,
                        before,
                        emitted + 1,
                        (s - window).max(0),
                        MAX_MATCH - length,
                    );
                    found.add(&plain[emitted as usize..(s + 2 - back) as usize], length + back, 1);
                    s += length + 2;
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
                if s - (candidate2.place - base) + 1 < window && (value >> 8) as u32 == candidate2.bytes {
                    s += 1;
                    break candidate2.place - base;
                }
                s += 2 + ((s - emitted) >> PATIENCE);
                if s >= limit {
                    break 'block;
                }
                value = long(plain, s);
            };
            let offset2 = offset1;
            offset1 = s - matched;
            let length = match_len(plain, s + 4, matched + 4) + 4;
            let back = match_back(plain, s, matched, emitted, (s - window).max(0), MAX_MATCH - length);
            found.add(&plain[emitted as usize..(s - back) as usize], length + back, offset1 as u32 + 3);
            s += length;
            emitted = s;
            if s >= limit {
                break;
            }
            value = long(plain, s);
            let can_repeat = if alone { found.can_repeat() } else { could_repeat };
            if can_repeat && word(plain, s - offset2) == value as u32 {
                let length = 4 + match_len(plain, s + 4, s - offset2 + 4);
                table[slot(value)] = Entry { place: s + base, bytes: value as u32 };
                found.add(&[], length, 1);
                s += length;
                emitted = s;
                offset1 = offset2;
                if s >= limit {
                    break;
                }
                value = long(plain, s);
            }
        }
        emitted
    }
}

impl Finder for Fast {
    fn find(&mut self, history: &History, start: i32, alone: bool, found: &mut Found) {
        let plain = history.plain();
        let emitted = match plain.len() as i32 - start {
            ..MIN_BLOCK => start,
            _ => self.matches(history, start, alone, found),
        };
        found.literals.extend_from_slice(&plain[emitted as usize..]);
    }

    fn move_down(&mut self, least: i32, by: i32) {
        self.table.iter_mut().for_each(|entry| entry.place = moved(entry.place, least, by));
    }
}
