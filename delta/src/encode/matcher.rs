//! The matcher: takes old and new bytes in memory, gives new as steps of nearly the same old bytes and new bytes.
//! The rules of alignment are those of bsdiff (Colin Percival, "Naive differences of executable code", 2003); in place
//! of a suffix array there are two hash tables over blocks of the old bytes, whose memory is bounded.

/// The bytes of a short and a long anchor.
const SHORT: usize = 8;
const LONG: usize = 24;
/// Entries of the table of long anchors at most, as a power of two.
const LONG_LOG_MAX: u32 = 20;
/// The bits of an entry that are a position's number: two million positions. The others are of its hash, and spare most looks at old bytes.
const NUMBER_BITS: u32 = 21;
/// The entries of a bucket: 32 bytes, half of a cache line.
const WAYS: usize = 8;
/// A run of equal bytes at the current alignment that is taken without a search for a better one.
const RUN: usize = 24;
/// How many more bytes another alignment must give than the current one.
const GAIN: usize = 8;
/// Bytes ahead that are compared at the current alignment: with at most [`GAIN`] of them different no other alignment
/// that begins here can be better before their end, and the search waits.
const AHEAD: usize = 32;
/// How far the search then moves on.
const SKIP: usize = 16;
/// Bytes without any match after which the search takes larger steps, and the largest step.
const PATIENCE: usize = 1 << 10;
const STRIDE_MAX: usize = 7;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;
const NONE: u32 = u32::MAX;

/// A step; lengths are at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes of new that are nearly those of old.
    Near {
        /// Where in new.
        new: usize,
        /// Where in old.
        old: usize,
        /// How many.
        length: usize,
    },
    /// Bytes that are only in new.
    New {
        /// Where in new.
        new: usize,
        /// How many.
        length: usize,
    },
}

/// Tables over old bytes. They are kept to be filled again.
pub(crate) struct Matcher {
    /// Buckets of the newest entries of short anchors, by their hash.
    short: Vec<[u32; WAYS]>,
    /// The last entry of a long anchor's hash.
    long: Vec<u32>,
    stride: usize,
    buckets_log: u32,
    long_log: u32,
    /// The most positions that are indexed.
    most: usize,
    indexed: bool,
}

impl Matcher {
    /// Takes the most positions of old bytes that are indexed.
    pub(crate) fn new(most: usize) -> Matcher {
        let most = most.min(1 << NUMBER_BITS);
        Matcher {
            short: Vec::new(),
            long: Vec::new(),
            stride: 1,
            buckets_log: 0,
            long_log: 0,
            most,
            indexed: false,
        }
    }

    /// Says that the old bytes are others from now on.
    pub(crate) fn forget(&mut self) {
        self.indexed = false;
    }

    fn index(&mut self, old: &[u8]) {
        self.indexed = true;
        self.stride = old.len().div_ceil(self.most).max(1);
        let positions = old.len().div_ceil(self.stride).next_power_of_two();
        self.long_log = positions.ilog2().clamp(8, LONG_LOG_MAX);
        // Half of the entries stay empty, so that few are lost to others of the same bucket.
        self.buckets_log = ((2 * positions).min(self.most) / WAYS).max(256).ilog2();
        self.short.clear();
        self.short.resize(1 << self.buckets_log, [NONE; WAYS]);
        self.long.clear();
        self.long.resize(1 << self.long_log, NONE);
        let mut before = !word(old, 0);
        for at in (0..old.len().saturating_sub(SHORT - 1)).step_by(self.stride) {
            let now = word(old, at);
            // Long runs of one byte would fill a bucket with positions that are as good as each other.
            if now == before && now == now.rotate_left(8) {
                continue;
            }
            before = now;
            let number = (at / self.stride) as u32;
            let (bucket, tag) = self.short_hash(now);
            let bucket = &mut self.short[bucket];
            let [first, second, third, fourth, fifth, sixth, seventh, _] = *bucket;
            *bucket = [number | tag, first, second, third, fourth, fifth, sixth, seventh];
            if at + LONG <= old.len() {
                self.long[long_hash(old, at, self.long_log)] = number;
            }
        }
    }

    /// The longest match that the tables know: its length and where in old it is.
    fn longest(&self, old: &[u8], new: &[u8], at: usize) -> (usize, usize) {
        let mut best = (0, 0);
        if at + SHORT > new.len() {
            return best;
        }
        let mut look = |number: u32| {
            let position = number as usize * self.stride;
            // A longer match must have this byte, too.
            if best.0 > 0 && old.get(position + best.0) != new.get(at + best.0) {
                return;
            }
            let length = common(&new[at..], &old[position..]);
            if length > best.0 {
                best = (length, position);
            }
        };
        if at + LONG <= new.len() {
            let number = self.long[long_hash(new, at, self.long_log)];
            if number != NONE {
                look(number);
            }
        }
        let (bucket, tag) = self.short_hash(word(new, at));
        for entry in &self.short[bucket] {
            if *entry == NONE {
                break;
            }
            if entry & !NUMBER_MASK == tag {
                look(entry & NUMBER_MASK);
            }
        }
        if best.0 < SHORT { (0, 0) } else { best }
    }

    /// Where the bucket of a short anchor starts, and the bits of its entries that are not the position.
    fn short_hash(&self, word: u64) -> (usize, u32) {
        let hash = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Not all ones, so that no entry is NONE.
        let tag = ((hash >> 8) as u32 & (u32::MAX >> NUMBER_BITS)).min((u32::MAX >> NUMBER_BITS) - 1);
        ((hash >> (64 - self.buckets_log)) as usize, tag << NUMBER_BITS)
    }

    /// Gives the steps that make `new` from `old`. `alignment` is where in old the first byte of new is expected;
    /// what is given back is where in old the byte after new would be.
    pub(crate) fn steps(
        &mut self,
        old: &[u8],
        new: &[u8],
        alignment: i64,
        mut step: impl FnMut(Step),
    ) -> i64 {
        let mut scan = 0;
        let mut length = 0;
        let mut position = 0;
        let mut last_scan = 0;
        let mut offset = alignment;
        let mut found = 0;
        let aligned = |at: usize, offset: i64| -> Option<usize> {
            usize::try_from(at as i64 + offset).ok().filter(|position| *position < old.len())
        };
        let agrees =
            |at: usize, offset: i64| aligned(at, offset).is_some_and(|position| old[position] == new[at]);
        while scan < new.len() {
            let mut score = 0;
            scan += length;
            if length > 0 {
                found = scan;
            }
            length = 0;
            let mut counted = scan;
            while scan < new.len() {
                let good =
                    aligned(scan, offset).map_or(0, |position| good_ahead(&old[position..], &new[scan..]));
                if good > 0 {
                    (length, score) = (good, good);
                    break;
                }
                if !self.indexed {
                    self.index(old);
                }
                (length, position) = self.longest(old, new, scan);
                counted = counted.max(scan);
                while counted < scan + length {
                    score += usize::from(agrees(counted, offset));
                    counted += 1;
                }
                if (length == score && length != 0) || length > score + GAIN {
                    break;
                }
                if length > 0 {
                    found = scan;
                }
                length = 0;
                // Odd, so that all distances to the indexed positions, whose stride can be even, come up.
                let stride = (((scan - found) / PATIENCE) | 1).min(STRIDE_MAX);
                for _ in 0..stride.min(new.len() - scan) {
                    if counted > scan && agrees(scan, offset) {
                        score -= 1;
                    }
                    scan += 1;
                }
            }
            if length != score || scan >= new.len() {
                let last_position = last_scan as i64 + offset;
                let forward = extend_forward(old, new, last_scan, scan, last_position);
                let backward = if scan < new.len() {
                    extend_backward(old, new, scan - last_scan, scan, position)
                } else {
                    0
                };
                let (forward, backward) =
                    resolve(old, new, (last_scan, last_position, forward), (scan, position, backward));
                if forward > 0 {
                    // Forward extension starts inside of old only.
                    step(Step::Near { new: last_scan, old: last_position as usize, length: forward });
                }
                if last_scan + forward < scan - backward {
                    let new = last_scan + forward;
                    step(Step::New { new, length: scan - backward - new });
                }
                last_scan = scan - backward;
                if scan < new.len() {
                    offset = position as i64 - scan as i64;
                }
            }
        }
        // The last run was taken as part of the current alignment, which the loop ends before it gives it.
        if last_scan < new.len() {
            let last_position = last_scan as i64 + offset;
            let forward = extend_forward(old, new, last_scan, new.len(), last_position);
            if forward > 0 {
                step(Step::Near { new: last_scan, old: last_position as usize, length: forward });
            }
            if last_scan + forward < new.len() {
                step(Step::New { new: last_scan + forward, length: new.len() - last_scan - forward });
            }
        }
        new.len() as i64 + offset
    }
}

/// How many bytes are good enough at an alignment to go on without a search: none, some, or a run of equal ones.
fn good_ahead(old: &[u8], new: &[u8]) -> usize {
    if let (Some(a), Some(b)) = (old.first_chunk::<AHEAD>(), new.first_chunk::<AHEAD>()) {
        let different: u8 = a.iter().zip(b).map(|(a, b)| u8::from(a != b)).sum();
        if usize::from(different) > GAIN {
            return 0;
        }
        let run = if different == 0 { common(old, new) } else { 0 };
        return run.max(SKIP);
    }
    let run = common(old, new);
    if run >= RUN || run == new.len() { run } else { 0 }
}

/// How far the last alignment goes on, so that twice the equal bytes minus all is largest.
fn extend_forward(old: &[u8], new: &[u8], from: usize, to: usize, position: i64) -> usize {
    let Ok(position) = usize::try_from(position) else { return 0 };
    let Some(old) = old.get(position..) else { return 0 };
    let (mut score, mut best, mut length) = (0i64, 0i64, 0);
    for (at, (old, new)) in old.iter().zip(&new[from..to]).enumerate() {
        score += if old == new { 1 } else { -1 };
        if score > best {
            (best, length) = (score, at + 1);
        }
    }
    length
}

/// How far the next alignment goes back.
fn extend_backward(old: &[u8], new: &[u8], most: usize, scan: usize, position: usize) -> usize {
    let (mut score, mut best, mut length) = (0i64, 0i64, 0);
    let before = old[..position].iter().rev().zip(new[..scan].iter().rev()).take(most);
    for (at, (old, new)) in before.enumerate() {
        score += if old == new { 1 } else { -1 };
        if score > best {
            (best, length) = (score, at + 1);
        }
    }
    length
}

/// Divides bytes that both extensions claim where the most are equal.
fn resolve(
    old: &[u8],
    new: &[u8],
    (last_scan, last_position, forward): (usize, i64, usize),
    (scan, position, backward): (usize, usize, usize),
) -> (usize, usize) {
    let overlap = (last_scan + forward).saturating_sub(scan - backward);
    if overlap == 0 {
        return (forward, backward);
    }
    let (mut score, mut best, mut kept) = (0i64, 0i64, 0);
    let first = last_scan + forward - overlap;
    let first_old = last_position as usize + forward - overlap;
    let second_old = position - backward;
    for at in 0..overlap {
        score += i64::from(new[first + at] == old[first_old + at]);
        score -= i64::from(new[first + at] == old[second_old + at]);
        if score > best {
            (best, kept) = (score, at + 1);
        }
    }
    (forward + kept - overlap, backward - kept)
}

/// The number of bytes that are equal from the start.
pub(crate) fn common(a: &[u8], b: &[u8]) -> usize {
    let most = a.len().min(b.len());
    let (a, b) = (&a[..most], &b[..most]);
    let mut at = 0;
    while let (Some(x), Some(y)) = (a[at..].first_chunk::<8>(), b[at..].first_chunk::<8>()) {
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return at + (differ.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < most && a[at] == b[at] {
        at += 1;
    }
    at
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk::<8>().map_or(0, |word| u64::from_le_bytes(*word))
}

fn long_hash(bytes: &[u8], at: usize, log: u32) -> usize {
    let mut hash = word(bytes, at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ word(bytes, at + 8)).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    hash = (hash.rotate_left(29) ^ word(bytes, at + 16)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> (64 - log)) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Checks that the steps cover new in order, stay within old, and gives the number of bytes that are not equal.
    fn cost(old: &[u8], new: &[u8], alignment: i64) -> usize {
        let (mut at, mut cost) = (0, 0);
        Matcher::new(1 << 20).steps(old, new, alignment, |step| match step {
            Step::Near { new: from, old: position, length } => {
                assert_eq!(from, at);
                let pairs = old[position..position + length].iter().zip(&new[from..from + length]);
                cost += pairs.filter(|(old, new)| old != new).count();
                at += length;
            }
            Step::New { new: from, length } => {
                assert_eq!(from, at);
                at += length;
                cost += length;
            }
        });
        assert_eq!(at, new.len());
        cost
    }

    #[test]
    fn an_insertion_costs_itself() {
        let old: Vec<u8> =
            (0..20_000u32).flat_map(|number| number.wrapping_mul(0x9e37_79b1).to_le_bytes()).collect();
        let mut new = old.clone();
        new.splice(40_000..40_000, b"inserted".iter().copied());
        new[60_000] ^= 1;
        assert!(cost(&old, &new, 0) <= 9);
        assert!(cost(&old, &new[30_000..], 0) <= 9, "the alignment is only a hint");
    }

    proptest! {
        #[test]
        fn steps_cover_new_and_stay_within_old(
            old in prop::collection::vec(0u8..3, 0..400),
            new in prop::collection::vec(0u8..3, 0..400),
            alignment in -500i64..500,
        ) {
            cost(&old, &new, alignment);
        }
    }
}
