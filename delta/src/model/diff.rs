//! The differences of nearly equal bytes, coded with what both sides know: the old bytes with some that follow, the
//! new bytes before, and earlier differences. In programs most differences are addresses that have moved: the place
//! that the old bytes point to, relative or absolute, says best by how much.

use super::Bits;
use super::predict::Predictor;

/// The old bytes after the last one that are looked at.
pub(crate) const AHEAD: usize = 3;
/// The bytes of an address that is predicted as a whole.
const FIELD: u32 = 4;
/// Differences that are remembered to find repetitions, and the table that finds them, as powers of two.
const HISTORY_LOG: u32 = 16;
const FOUND_LOG: u32 = 16;
/// Mixers: nine kinds of bits, four distances to the last difference, four lengths of a repetition.
const MIXERS: usize = 9 * 16;

/// The state of the model, which goes on through all groups.
pub(crate) struct DiffModel {
    predictor: Predictor,
    history: Vec<u8>,
    written: usize,
    found: Vec<u32>,
    /// Where in the history the repetition goes on, and for how long it has been right.
    repeats: usize,
    repeated: u32,
    /// The last eight differences, the latest in the low byte.
    differences: u64,
    /// The last eight old and new bytes.
    olds: u64,
    news: u64,
    /// Bytes since the last difference that is not zero, and that difference.
    gap: u32,
    last: u8,
    /// Bytes since the address that is being coded started, and where it points.
    since: u32,
    relative: u32,
    absolute: u32,
}

impl DiffModel {
    /// Takes the base-2 logarithm of the counters in a table.
    pub(crate) fn new(log: u32) -> DiffModel {
        DiffModel {
            predictor: Predictor::new(log, MIXERS),
            history: vec![0; 1 << HISTORY_LOG],
            written: 0,
            found: vec![0; 1 << FOUND_LOG],
            repeats: 0,
            repeated: 0,
            differences: 0,
            olds: 0,
            news: 0,
            gap: 0,
            last: 0,
            since: FIELD,
            relative: 0,
            absolute: 0,
        }
    }

    /// Codes the differences of `new` to `old`, which starts at `position` of its base and has up to [`AHEAD`] bytes
    /// more: those that follow, as far as the base goes. A decoder fills `new`.
    pub(crate) fn code(&mut self, bits: &mut impl Bits, position: u64, old: &[u8], new: &mut [u8]) {
        for at in 0..new.len() {
            let ahead = old[at..].first_chunk::<4>().map_or_else(
                || old[at..].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)),
                |bytes| u32::from_le_bytes(*bytes),
            );
            let old = old[at];
            let place = (position as u32).wrapping_add(at as u32);
            let difference = self.byte(bits, place, ahead, new[at].wrapping_sub(old));
            new[at] = old.wrapping_add(difference);
        }
    }

    fn byte(&mut self, bits: &mut impl Bits, place: u32, ahead: u32, difference: u8) -> u8 {
        let old = ahead & 0xff;
        if self.since >= FIELD {
            self.absolute = ahead;
            self.relative = ahead.wrapping_add(place);
        }
        let within = if self.since >= FIELD { 0 } else { self.since };
        // The differences of the address so far.
        let so_far = self.differences as u32 & ((1u32 << (8 * within)) - 1);
        let field = so_far.wrapping_mul(0x2c1b_3c6d).wrapping_add(within);
        let differences = self.differences;
        let mask = self.history.len() - 1;
        let expected = u32::from(self.history[self.repeats & mask]);
        let repeated = self.repeated.min(15);
        let gap = self.gap.min(15);
        let hashes = [
            hash(gap << 8 | u32::from(self.last), within),
            hash(differences as u32 & 0xff_ffff, 1),
            hash((differences as u32 & 0xff) << 16 | (self.olds as u32 & 0xff) << 8 | old, 2),
            hash((self.news as u32 & 0xffff) << 8 | old, 3),
            hash(self.relative, field),
            hash(self.relative >> 10, field ^ 5 << 28),
            hash(self.absolute, field ^ 6 << 28),
            hash(self.absolute >> 10, field ^ 7 << 28),
            hash((differences >> 56) as u32 | (differences >> 24) as u32 & 0xff00 | gap << 16, 8),
            hash(expected << 4 | repeated, 9),
        ];
        let distance = match self.gap {
            0 => 0,
            1..4 => 1,
            4..16 => 2,
            _ => 3,
        };
        let sure = match repeated {
            0 => 0,
            1..8 => 1,
            8..15 => 2,
            _ => 3,
        };
        let set = distance * 4 + sure;
        let differs = self.predictor.code(bits, difference != 0, &hashes, 0, set);
        let mut result = 0;
        if differs {
            let mut node = 1;
            for depth in 0..8 {
                let bit = difference >> (7 - depth) & 1 == 1;
                let bit = self.predictor.code(bits, bit, &hashes, node, (1 + depth) * 16 + set);
                node = node << 1 | u32::from(bit);
            }
            result = node as u8;
        }
        self.learn(result, old);
        result
    }

    fn learn(&mut self, difference: u8, old: u32) {
        let mask = self.history.len() - 1;
        if self.repeated > 0 && self.history[self.repeats & mask] == difference {
            self.repeated += 1;
            self.repeats += 1;
        } else {
            self.repeated = 0;
        }
        self.history[self.written & mask] = difference;
        self.written += 1;
        self.differences = self.differences << 8 | u64::from(difference);
        self.olds = self.olds << 8 | u64::from(old);
        self.news = self.news << 8 | u64::from((old as u8).wrapping_add(difference));
        let slot = ((self.differences & 0xffff_ffff_ffff).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            >> (64 - FOUND_LOG)) as usize;
        if self.repeated == 0 && self.found[slot] > 0 {
            self.repeats = self.found[slot] as usize;
            self.repeated = 1;
        }
        self.found[slot] = self.written as u32;
        if self.since >= FIELD {
            self.since = if difference != 0 { 1 } else { FIELD };
        } else {
            self.since += 1;
        }
        if difference == 0 {
            self.gap = self.gap.saturating_add(1);
        } else {
            (self.gap, self.last) = (0, difference);
        }
    }
}

/// A context as a number whose low bits choose a slot.
fn hash(value: u32, context: u32) -> u32 {
    let hash = value.wrapping_add(context.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0x9e37_79b1);
    let hash = (hash ^ hash >> 15).wrapping_mul(0x2c1b_3c6d);
    hash ^ hash >> 13
}
