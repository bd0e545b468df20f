//! The match finder of the level "best" (`enc_best.go`): two tables with two places each, and of all candidates the
//! one that costs the fewest bits.
//! Takes a window of [`MOST`] bytes at most, gives matches and literals.
//!
//! The real one keeps two places for each of its four million hashes, 32 MiB. Here the older one stands with the place,
//! not with the hash, so that a frame has no more of them than bytes.

use super::history::{
    Finder, Found, History, MAX_MATCH, hash, is_run, long, match_back, match_len, moved, table, word,
};
use super::sequences::{Costs, MIN_MATCH};

/// The largest frame whose tables stay small enough.
pub(super) const MOST: u64 = 512 << 10;

const LONG_BITS: u32 = 22;
const SHORT_BITS: u32 = 18;
/// Nothing is looked for in the last bytes of a block.
const MARGIN: i32 = 12;
const MIN_BLOCK: i32 = 16;
/// The step grows with the way to the last match, by this shift.
const PATIENCE: u32 = 9;
/// A match of this length is not improved.
const GOOD: i32 = 250;
/// Where a match ends, another is looked for that begins up to this much later.
const SKIPPED: i32 = 2;
/// The cost of no match.
const HIGH: i32 = MAX_MATCH * 8;

/// A table of the last place of each hash, and of the place before of each place.
struct Places<const SIZE: usize> {
    last: Box<[i32; SIZE]>,
    before: Vec<i32>,
}

impl<const SIZE: usize> Places<SIZE> {
    fn new() -> Self {
        Self { last: table(), before: Vec::new() }
    }

    /// The last two places, as indexes.
    #[inline(always)]
    fn at(&self, slot: usize, base: i32) -> [i32; 2] {
        let last = self.last[slot];
        let before =
            usize::try_from(last - base).ok().and_then(|at| self.before.get(at)).copied().unwrap_or(0);
        [last - base, before - base]
    }

    #[inline(always)]
    fn note(&mut self, slot: usize, place: i32, base: i32) {
        let before = std::mem::replace(&mut self.last[slot], place);
        if let Some(at) = self.before.get_mut((place - base) as usize) {
            *at = before;
        }
    }

    fn move_down(&mut self, least: i32, by: i32) {
        self.last.iter_mut().chain(&mut self.before).for_each(|place| *place = moved(*place, least, by));
    }
}

/// The tables of eight and of four bytes.
struct Tables {
    long: Places<{ 1 << LONG_BITS }>,
    short: Places<{ 1 << SHORT_BITS }>,
}

/// The finder with its tables.
pub(super) struct Best {
    tables: Tables,
    costs: Costs,
}

#[inline(always)]
fn long_slot(value: u64) -> usize {
    hash::<8, LONG_BITS>(value)
}

#[inline(always)]
fn short_slot(value: u64) -> usize {
    hash::<4, SHORT_BITS>(value)
}

/// A match, or none.
#[derive(Clone, Copy)]
struct Match {
    before: i32,
    at: i32,
    length: i32,
    /// Which of the offsets of before it has; 4 is added right behind a match. -1 for none of them, 0 for no match.
    repeat: i32,
    cost: i32,
}

/// What a search has in common at one place.
struct Search<'a> {
    plain: &'a [u8],
    costs: &'a Costs,
    window: i32,
    emitted: i32,
    bits_per_byte: i32,
}

impl Search<'_> {
    /// Takes another match if it looks cheaper.
    #[inline(always)]
    fn improve(&self, best: &mut Match, before: i32, at: i32, first: u32, repeat: i32) {
        let distance = at - before;
        if distance < self.window && distance > 0 && word(self.plain, before) == first {
            self.compare(best, before, at, repeat);
        }
    }

    fn compare(&self, best: &mut Match, mut before: i32, mut at: i32, repeat: i32) {
        let plain = self.plain;
        if best.length > 16 {
            let left = plain.len() as i32 - (best.at + best.length);
            if left <= 0 {
                return;
            }
            let ahead = best.length - (at - best.at) - 8;
            if left > 2 && ahead > 4 && word(plain, before + ahead) != word(plain, at + ahead) {
                return;
            }
        }
        let mut length = 4 + match_len(plain, at + 4, before + 4);
        if best.repeat <= 0 {
            let first = (at - self.window).max(0);
            let back = match_back(plain, at, before, self.emitted, first, MAX_MATCH - length);
            (at, before, length) = (at - back, before - back, length + back);
        }
        let offset = if repeat < 0 { (at - before) as u32 + 3 } else { repeat as u32 & 3 };
        let cost = self.costs.of(length as u32 - MIN_MATCH, offset);
        let cost = cost - ((length * self.bits_per_byte) >> 10);
        let mut new = Match { before, at, length, repeat, cost };
        if cost > 0 {
            (new.length, new.cost) = (0, HIGH);
        }
        if best.cost >= HIGH || new.cost - best.cost + (((new.at - best.at) * self.bits_per_byte) >> 10) < 0 {
            *best = new;
        }
    }
}

impl Tables {
    fn note(&mut self, value: u64, at: i32, base: i32) {
        self.long.note(long_slot(value), at + base, base);
        self.short.note(short_slot(value), at + base, base);
    }

    /// Looks for better matches one and two bytes later, and at the end of the best.
    fn look_ahead(&self, search: &Search<'_>, best: &mut Match, s: i32, base: i32, limit: i32) {
        let plain = search.plain;
        let (value, value2) = (long(plain, s + 1), long(plain, s + 2));
        let [short, _] = self.short.at(short_slot(value), base);
        let longs = self.long.at(long_slot(value), base);
        let longs2 = self.long.at(long_slot(value2), base);
        search.improve(best, short, s + 1, value as u32, -1);
        for before in longs {
            search.improve(best, before, s + 1, value as u32, -1);
        }
        for before in longs2 {
            search.improve(best, before, s + 2, value2 as u32, -1);
        }
        let end = best.at + best.length;
        if best.at > s - SKIPPED && end < limit {
            for (i, before) in self.long.at(long_slot(long(plain, end)), base).into_iter().enumerate() {
                let before = before - best.length + SKIPPED;
                if before >= 0 {
                    let at = best.at + SKIPPED;
                    search.improve(best, before, at, word(plain, at), -1);
                } else if i == 0 {
                    break;
                }
            }
        }
    }
}

impl Best {
    pub(super) fn new() -> Self {
        Self { tables: Tables { long: Places::new(), short: Places::new() }, costs: Costs::new() }
    }

    fn matches(&mut self, history: &History, start: i32, found: &mut Found) -> i32 {
        let (plain, base) = (history.plain(), history.base());
        let tables = &mut self.tables;
        let mut search = Search {
            plain,
            costs: &self.costs,
            window: history.window(),
            emitted: start,
            bits_per_byte: bits_per_byte(&plain[start as usize..]),
        };
        let mut s = start;
        let limit = plain.len() as i32 - MARGIN;
        let [mut offset1, mut offset2, mut offset3] = [1, 4, 8];
        loop {
            let value = long(plain, s);
            let [one, other] = tables.long.at(long_slot(value), base);
            let [short, other_short] = tables.short.at(short_slot(value), base);
            let mut best = Match { before: 0, at: s, length: 0, repeat: 0, cost: HIGH };
            for before in [one, other, short, other_short] {
                search.improve(&mut best, before, s, value as u32, -1);
            }
            if found.can_repeat() && best.length < GOOD {
                if s == search.emitted {
                    search.improve(&mut best, s - offset2, s, value as u32, 1 | 4);
                    search.improve(&mut best, s - offset3, s, value as u32, 2 | 4);
                    if offset1 > 1 {
                        search.improve(&mut best, s - (offset1 - 1), s, value as u32, 3 | 4);
                    }
                }
                if best.repeat <= 0 {
                    for (offset, repeat) in [(offset1, 1), (offset2, 2), (offset3, 3)] {
                        search.improve(&mut best, s + 1 - offset, s + 1, (value >> 8) as u32, repeat);
                    }
                    if best.repeat < 0 {
                        for (offset, repeat) in [(offset1, 1), (offset2, 2), (offset3, 3)] {
                            search.improve(&mut best, s + 3 - offset, s + 3, (value >> 24) as u32, repeat);
                        }
                    }
                }
            }
            tables.note(value, s, base);
            let mut next = s + 1;
            if best.length < GOOD {
                if best.length < 4 {
                    s += 1 + ((s - search.emitted) >> PATIENCE);
                    if s >= limit {
                        break;
                    }
                    continue;
                }
                tables.look_ahead(&search, &mut best, s, base, limit);
            }

            s = best.at;
            let offset = if best.repeat > 0 { best.repeat as u32 & 3 } else { (s - best.before) as u32 + 3 };
            found.add(&plain[search.emitted as usize..s as usize], best.length, offset);
            [offset1, offset2, offset3] = match best.repeat {
                ..=0 => [s - best.before, offset1, offset2],
                2 | 5 => [offset2, offset1, offset3],
                3 | 6 => [offset3, offset1, offset2],
                7 => [offset1 - 1, offset1, offset2],
                _ => [offset1, offset2, offset3],
            };
            s += best.length;
            search.emitted = s;
            let end = if best.repeat > 0 { s.min(limit + 4) } else { s.min(limit - 4) };
            while next < end {
                tables.note(long(plain, next), next, base);
                next += 1;
            }
            if s >= limit {
                break;
            }
        }
        search.emitted
    }
}

impl Finder for Best {
    fn find(&mut self, history: &History, start: i32, _alone: bool, found: &mut Found) {
        let plain = history.plain();
        let block = &plain[start as usize..];
        self.tables.long.before.resize(plain.len(), 0);
        self.tables.short.before.resize(plain.len(), 0);
        if block.len() > MIN_MATCH as usize && is_run(block) {
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
        self.tables.long.move_down(least, by);
        self.tables.short.move_down(least, by);
    }
}

/// What a literal costs, in 1024ths of a bit: the entropy of the block, and a bit at least.
fn bits_per_byte(block: &[u8]) -> i32 {
    let mut counts = [0u32; 256];
    block.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let part = 1.0 / block.len() as f64;
    let mut bits = 0.0;
    for count in counts.into_iter().filter(|&count| count > 0) {
        let count = f64::from(count);
        bits += (-log2(count * part) * count).ceil();
    }
    ((bits.ceil() as i64 * 1024 / block.len() as i64) as i32).max(1024)
}

/// Logarithms as Go has them: exact for powers of two.
fn log2(number: f64) -> f64 {
    let exponent = ((number.to_bits() >> 52) & 0x7ff) as i32 - 1022;
    let fraction = f64::from_bits(number.to_bits() & !(0x7ff << 52) | 1022 << 52);
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    fraction.ln() * std::f64::consts::LOG2_E + f64::from(exponent)
}
