//! The match finder of the level "better" (`enc_better.go`): a table of eight bytes with two places each and one of
//! five bytes, and a look ahead to the end of a match.
//! Takes a window, gives matches and literals.

use super::history::{
    Entry, Finder, Found, History, MAX_MATCH, Pair, hash, is_run, long, match_back, match_len, moved, table,
    word,
};
use super::sequences::MIN_MATCH;
use super::version::ZstdVersion;

const LONG_BITS: u32 = 19;
const SHORT_BITS: u32 = 13;
/// Nothing is looked for in the last bytes of a block.
const MARGIN: i32 = 10;
const MIN_BLOCK: i32 = 16;
/// The step grows with the way to the last match, by this shift.
const PATIENCE: u32 = 8;
/// Where a match ends, another is looked for that begins up to this much later.
const SKIPPED: i32 = 3;

/// The finder with its tables.
pub(super) struct Better {
    long: Box<[Pair; 1 << LONG_BITS]>,
    short: Box<[Entry; 1 << SHORT_BITS]>,
    has_runs: bool,
}

#[inline(always)]
fn long_slot(value: u64) -> usize {
    hash::<8, LONG_BITS>(value)
}

#[inline(always)]
fn short_slot(value: u64) -> usize {
    hash::<5, SHORT_BITS>(value)
}

impl Better {
    pub(super) fn new(version: ZstdVersion) -> Self {
        Self { long: table(), short: table(), has_runs: version.has_runs() }
    }

    /// Notes a place in the table of eight bytes, and gives what was there.
    #[inline(always)]
    fn note_long(&mut self, value: u64, place: i32) -> Pair {
        let slot = &mut self.long[long_slot(value)];
        let last = *slot;
        *slot = Pair { place, before: last.place };
        last
    }

    #[inline(always)]
    fn note_short(&mut self, value: u64, place: i32) -> Entry {
        std::mem::replace(&mut self.short[short_slot(value)], Entry { place, bytes: value as u32 })
    }

    /// Notes every second place of what a match went over.
    fn note_between(&mut self, plain: &[u8], base: i32, from: i32, to: i32) {
        for at in (from..to).step_by(2) {
            let value = long(plain, at);
            self.note_long(value, at + base);
            self.note_short(value >> 8, at + 1 + base);
        }
    }

    fn matches(&mut self, history: &History, start: i32, found: &mut Found) -> i32 {
        let (plain, base, window) = (history.plain(), history.base(), history.window());
        let (mut s, mut emitted) = (start, start);
        let limit = plain.len() as i32 - MARGIN;
        let mut offset1 = 1;
        let mut value = long(plain, s);
        // A match of eight bytes at `at` with those at `before`, which must be within reach of `s`.
        let long_match = |s: i32, at: i32, before: i32, value: u64| {
            let fits = s - before < window && value == long(plain, before);
            fits.then(|| match_len(plain, at + 8, before + 8) + 8)
        };
        'block: loop {
            let can_repeat = found.can_repeat();
            let mut next;
            let (mut matched, mut length) = loop {
                let last = self.note_long(value, s + base);
                let short = self.note_short(value, s + base);
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
                    let first = s + 1;
                    s += length + 1;
                    emitted = s;
                    if s >= limit {
                        break 'block;
                    }
                    self.note_between(plain, base, first, s - 1);
                    value = long(plain, s);
                    continue;
                }
                next = s + 1;
                let (one, other) = (last.place - base, last.before - base);
                let (of_one, of_other) = (long_match(s, s, one, value), long_match(s, s, other, value));
                match (of_one, of_other) {
                    (Some(length), Some(longer)) if longer > length => break (other, longer),
                    (Some(length), _) => break (one, length),
                    (None, Some(length)) => break (other, length),
                    (None, None) => {}
                }
                let at = short.place - base;
                if s - at < window && value as u32 == short.bytes {
                    let length = match_len(plain, s + 4, at + 4) + 4;
                    // A longer match one byte later is better.
                    let value = long(plain, s + 1);
                    let last = self.note_long(value, s + 1 + base);
                    let candidates = [last.place - base, last.before - base];
                    let longer = candidates.into_iter().find_map(|at| {
                        let longer = long_match(s, s + 1, at, value).filter(|&longer| longer > length);
                        longer.map(|longer| (at, longer))
                    });
                    match longer {
                        Some(longer) => {
                            s += 1;
                            break longer;
                        }
                        None => break (at, length),
                    }
                }
                s += 1 + ((s - emitted) >> PATIENCE);
                if s >= limit {
                    break 'block;
                }
                value = long(plain, s);
            };

            // A match that goes on where this one ends may be longer.
            if s + length < limit {
                let last = self.long[long_slot(long(plain, s + length))];
                let later = s + SKIPPED;
                let value = word(plain, later);
                for place in [last.place, last.before] {
                    let at = place - base - length + SKIPPED;
                    if at >= 0 && at < later && later - at < window && value == word(plain, at) {
                        let longer = match_len(plain, later + 4, at + 4) + 4;
                        if longer > length {
                            (matched, s, length) = (at, later, longer);
                        }
                    }
                }
            }
            let mut offset2 = offset1;
            offset1 = s - matched;
            let back = match_back(plain, s, matched, emitted, (s - window).max(0), MAX_MATCH - length);
            found.add(&plain[emitted as usize..(s - back) as usize], length + back, offset1 as u32 + 3);
            s += length;
            emitted = s;
            if s >= limit {
                break;
            }
            self.note_between(plain, base, next, s - 1);
            value = long(plain, s);
            while can_repeat && word(plain, s - offset2) == value as u32 {
                let length = 4 + match_len(plain, s + 4, s - offset2 + 4);
                self.note_long(value, s + base);
                self.note_short(value, s + base);
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

impl Finder for Better {
    fn find(&mut self, history: &History, start: i32, _alone: bool, found: &mut Found) {
        let plain = history.plain();
        let block = &plain[start as usize..];
        if self.has_runs && block.len() > MIN_MATCH as usize && is_run(block) {
            found.add(&block[..1], block.len() as i32 - 1, 1 + 3);
            return;
        }
        let emitted = match block.len() as i32 {
            ..MIN_BLOCK => start,
            _ => self.matches(history, start, found),
        };
        found.literals.extend_from_slice(&plain[emitted as usize..]);
    }

    fn move_down(&mut self, least: i32, by: i32) {
        self.long.iter_mut().for_each(|pair| pair.move_down(least, by));
        self.short.iter_mut().for_each(|entry| entry.place = moved(entry.place, least, by));
    }
}
