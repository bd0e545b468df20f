//! Levels 7 to 9 (`deflateLazy`): hash chains over a window of 64 KiB and lazy matching; level 9 weighs what a
//! match saves.

use super::block::Blocks;
use super::tokens::Tokens;
use super::version::Version;
use crate::go::huffman::Codes;
use crate::go::token::{DISTANCE_EXTRA, LENGTH_CODE, LENGTH_EXTRA, distance_code};

const WINDOW: usize = 1 << 15;
const HASH_BITS: u32 = 17;
const MIN_MATCH: usize = 4;
const MAX_MATCH: usize = 258;
/// As long as there are fewer bytes ahead, nothing is decided.
const AHEAD: usize = MIN_MATCH + MAX_MATCH;
const MAX_OFFSET: u32 = 1 << 28;
const MAX_TOKENS: usize = 1 << 15;
/// A better match at the end of one may differ in so many bytes at its start.
const SKIPPED: usize = 2;

/// The state of levels 7 to 9, about 1 MiB.
pub(super) struct Lazy {
    version: Version,
    lazy: usize,
    nice: usize,
    chain: usize,
    window: Vec<u8>,
    index: usize,
    end: usize,
    /// Where the tokens in hand start, if that is still in the window.
    block_start: Option<usize>,
    /// The byte before `index` is still to be written.
    pending: bool,
    length: usize,
    distance: usize,
    /// How many bytes in a row had no match; wraps around.
    misses: u16,
    /// The last place for each hash, as index and `offset`; 0 for none.
    head: Vec<u32>,
    /// The place before each place of the window.
    back: Vec<u32>,
    offset: u32,
    /// Level 9: what literals cost, summed up from where the last step began.
    costs: Vec<u32>,
    literals: Codes<256>,
}

impl Lazy {
    pub(super) fn new(version: Version, level: i32) -> Option<Self> {
        let (lazy, nice, chain) = match level {
            7 => (12, 16, 24),
            8 => (30, 40, 64),
            9 => (258, 258, 1024),
            _ => return None,
        };
        Some(Lazy {
            version,
            lazy,
            nice,
            chain,
            window: vec![0; 2 * WINDOW + 8],
            index: 0,
            end: 0,
            block_start: Some(0),
            pending: false,
            length: MIN_MATCH - 1,
            distance: 0,
            misses: 0,
            head: vec![0; 1 << HASH_BITS],
            back: vec![0; WINDOW],
            offset: 1,
            costs: if chain > 100 { vec![0; 2 * WINDOW + 1] } else { Vec::new() },
            literals: Codes::with_trees(version.has_trees()),
        })
    }

    /// Starts over, behind a dictionary of at most 32 KiB.
    pub(super) fn reset(&mut self, dictionary: &[u8]) {
        self.head.fill(0);
        self.back.fill(0);
        self.offset = 1;
        self.pending = false;
        self.length = MIN_MATCH - 1;
        self.distance = 0;
        self.misses = 0;
        self.window[..dictionary.len()].copy_from_slice(dictionary);
        self.end = dictionary.len();
        self.index = self.end;
        // Before 1.20 the first block was taken to begin with the dictionary.
        self.block_start = Some(if self.version >= Version::V1_20_0 { self.end } else { 0 });
        self.enter_all(0, (self.end + 1).saturating_sub(MIN_MATCH));
    }

    pub(super) fn is_full(&self) -> bool {
        self.end == 2 * WINDOW
    }

    /// Takes what there is room for.
    pub(super) fn fill(&mut self, plain: &[u8]) -> usize {
        if self.index >= 2 * WINDOW - AHEAD {
            self.window.copy_within(WINDOW..2 * WINDOW, 0);
            self.index -= WINDOW;
            self.end -= WINDOW;
            self.block_start = self.block_start.and_then(|start| start.checked_sub(WINDOW));
            self.offset += WINDOW as u32;
            if self.offset > MAX_OFFSET {
                let less = self.offset - 1;
                self.offset = 1;
                for place in self.head.iter_mut().chain(&mut self.back) {
                    *place = place.saturating_sub(less);
                }
            }
        }
        let n = plain.len().min(2 * WINDOW - self.end);
        self.window[self.end..self.end + n].copy_from_slice(&plain[..n]);
        self.end += n;
        n
    }

    fn hash(&self, at: usize) -> usize {
        let mut word = [0; 4];
        word.copy_from_slice(&self.window[at..at + 4]);
        (u32::from_le_bytes(word).wrapping_mul(2_654_435_761) >> (32 - HASH_BITS)) as usize
    }

    /// Enters `at`, and gives the last place with its hash.
    fn enter(&mut self, at: usize) -> u32 {
        let hash = self.hash(at);
        let head = self.head[hash];
        self.back[at & (WINDOW - 1)] = head;
        self.head[hash] = at as u32 + self.offset;
        head
    }

    fn enter_all(&mut self, from: usize, to: usize) {
        for at in from..to {
            self.enter(at);
        }
    }

    /// A place as an index of the window, if it is there.
    fn index_of(&self, place: u32) -> Option<usize> {
        place.checked_sub(self.offset).map(|at| at as usize)
    }

    fn match_len(&self, a: usize, b: usize, max: usize) -> usize {
        let (a, b) = (&self.window[a..a + max], &self.window[b..b + max]);
        let mut n = 0;
        for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
            if x != y {
                break;
            }
            n += 8;
        }
        n + a[n..].iter().zip(&b[n..]).take_while(|(x, y)| x == y).count()
    }

    /// Looks for the best match, the first candidate being `at`.
    fn find(&self, mut at: usize, ahead: usize) -> Option<(usize, usize)> {
        let pos = self.index;
        let max = ahead.min(MAX_MATCH);
        let nice = self.nice.min(max);
        let oldest = pos.saturating_sub(WINDOW);
        let weighs = self.chain > 100;
        let mut length = MIN_MATCH - 1;
        let mut found = None;
        let mut least = if self.version < Version::V1_15_14 { 0 } else { 4i64 };
        let mut wanted = self.window[pos + length];
        for _ in 0..self.chain {
            if self.window[at + length] == wanted {
                let n = self.match_len(at, pos, max);
                let gain = if n > length && weighs { self.gain(pos, n, pos - at) } else { i64::MAX };
                if n > length && gain > least {
                    length = n;
                    found = Some((n, pos - at));
                    if weighs {
                        least = gain;
                    }
                    if n >= nice {
                        break;
                    }
                    wanted = self.window[pos + n];
                }
            }
            if at <= oldest {
                break;
            }
            match self.index_of(self.back[at & (WINDOW - 1)]) {
                Some(next) if next >= oldest => at = next,
                _ => break,
            }
        }
        found
    }

    /// About how many bits a match saves.
    fn gain(&self, pos: usize, length: usize, distance: usize) -> i64 {
        let literals = self.costs[pos + length].wrapping_sub(self.costs[pos]);
        // The original takes the distance itself where the table wants one less.
        let extra = DISTANCE_EXTRA[distance_code(distance)];
        let length_extra = LENGTH_EXTRA[usize::from(LENGTH_CODE[(length - 3) & 255])];
        let base = if self.version < Version::V1_15_14 { 6 } else { 3 };
        i64::from(literals) - i64::from(extra) - base - i64::from(length_extra)
    }

    /// Weighs the bytes ahead as literals.
    fn weigh(&mut self) {
        let plain = &self.window[self.index..self.end];
        // Before 1.18 all were counted, later no more than a block can have.
        let counted = match self.version < Version::V1_18_2 {
            true => plain,
            false => &plain[..plain.len().min(MAX_TOKENS)],
        };
        let mut freq = [0u32; 256];
        for &byte in counted {
            freq[usize::from(byte)] += 1;
        }
        // Counts had 16 bits.
        for count in &mut freq {
            *count &= 0xffff;
        }
        self.literals.generate(&freq, 15);
        let mut total = 0u32;
        self.costs[self.index] = 0;
        for (i, &byte) in plain.iter().enumerate() {
            total += u32::from(self.literals.codes[usize::from(byte)].len);
            self.costs[self.index + i + 1] = total;
        }
    }

    /// What follows a match of `length` may belong to a better one, whose first bytes may differ: its length
    /// without these, and its distance.
    fn better_end(
        &self,
        length: usize,
        distance: usize,
        ahead: usize,
        last: usize,
    ) -> Option<(usize, usize)> {
        let start = self.index - 1;
        if length >= MAX_MATCH - SKIPPED || start + length >= last {
            return None;
        }
        let oldest = self.index.saturating_sub(WINDOW);
        let place = self.head[self.hash(start + length)];
        let other = self.index_of(place)?.checked_sub(length)?;
        if start - other == distance || other <= oldest + SKIPPED {
            return None;
        }
        let max = ahead.min(MAX_MATCH + SKIPPED) - SKIPPED;
        let better = self.match_len(start + SKIPPED, other + SKIPPED, max);
        (better > length).then_some((better, start - other))
    }

    /// The same before 1.15.14: the better one starts at the same byte.
    fn better_tail(&self, length: usize, distance: usize, ahead: usize, last: usize) -> (usize, usize) {
        let start = self.index - 1;
        if start + length + 2 >= last {
            return (length, distance);
        }
        let oldest = self.index.saturating_sub(WINDOW);
        let place = self.head[self.hash(start + length - 2)];
        let other = self.index_of(place).and_then(|at| (at + 2).checked_sub(length));
        let Some(other) = other.filter(|&other| other > oldest) else { return (length, distance) };
        let better = self.match_len(start, other, ahead.min(MAX_MATCH));
        if better > length { (better, start - other) } else { (length, distance) }
    }

    fn literal(&self, at: usize, tokens: &mut Tokens) {
        tokens.literal(self.window[at]);
    }

    fn block(
        &mut self,
        index: usize,
        sync: bool,
        tokens: &mut Tokens,
        blocks: &mut Blocks,
        out: &mut Vec<u8>,
    ) {
        let plain = self.block_start.and_then(|start| self.window.get(start..index));
        self.block_start = Some(index);
        blocks.dynamic(tokens, plain, sync, out);
        tokens.clear();
    }

    /// Writes what can be decided; with `sync` all.
    pub(super) fn step(&mut self, sync: bool, tokens: &mut Tokens, blocks: &mut Blocks, out: &mut Vec<u8>) {
        if self.end - self.index < AHEAD && !sync {
            return;
        }
        if self.end != self.index && self.chain > 100 {
            self.weigh();
        }
        // From here on four bytes are not there any more.
        let last = self.end.saturating_sub(MIN_MATCH - 1);
        macro_rules! full_block {
            () => {
                if tokens.count() == MAX_TOKENS {
                    self.block(self.index, sync, tokens, blocks, out);
                }
            };
        }
        loop {
            let ahead = self.end - self.index;
            if ahead < AHEAD && !sync {
                return;
            }
            if ahead == 0 {
                if self.pending {
                    self.literal(self.index - 1, tokens);
                    self.pending = false;
                }
                if tokens.count() > 0 {
                    self.block(self.index, sync, tokens, blocks, out);
                }
                return;
            }
            let (mut before, mut before_distance) = (self.length, self.distance);
            self.length = MIN_MATCH - 1;
            self.distance = 0;
            let oldest = self.index.saturating_sub(WINDOW);
            if self.index < last {
                let head = self.enter(self.index);
                if let Some(at) = self.index_of(head).filter(|&at| at >= oldest)
                    && ahead > before
                    && before < self.lazy
                    && let Some((length, distance)) = self.find(at, ahead)
                {
                    self.length = length;
                    self.distance = distance;
                }
            }
            if before >= MIN_MATCH && self.length <= before {
                if self.version < Version::V1_15_14 {
                    (before, before_distance) = self.better_tail(before, before_distance, ahead, last);
                } else if let Some((length, distance)) = self.better_end(before, before_distance, ahead, last)
                {
                    (before, before_distance) = (length, distance);
                    let (start, other) = (self.index - 1, self.index - 1 - distance);
                    for i in (0..SKIPPED).rev() {
                        if before >= MAX_MATCH || self.window[start + i] != self.window[other + i] {
                            for j in 0..=i {
                                self.literal(start + j, tokens);
                                full_block!();
                                self.index += 1;
                                if self.index < last {
                                    self.enter(self.index);
                                }
                            }
                            break;
                        }
                        before += 1;
                    }
                }
                tokens.copy(before, before_distance);
                let next = self.index + before - 1;
                self.enter_all((self.index + 1).min(last), next.min(last));
                self.index = next;
                self.pending = false;
                self.length = MIN_MATCH - 1;
                full_block!();
                self.misses = 0;
                continue;
            }
            if self.length >= MIN_MATCH {
                self.misses = 0;
            }
            if !self.pending {
                self.index += 1;
                self.pending = true;
                continue;
            }
            self.misses = self.misses.wrapping_add(1);
            self.literal(self.index - 1, tokens);
            full_block!();
            self.index += 1;
            // After long without a match bytes are passed over.
            if let Some(n) = usize::from(self.misses).checked_sub(self.chain).filter(|&n| n > 0) {
                for _ in 0..1 + (n >> 6) {
                    if self.index >= self.end - 1 {
                        break;
                    }
                    self.literal(self.index - 1, tokens);
                    full_block!();
                    if self.index < last {
                        self.enter(self.index);
                    }
                    self.index += 1;
                }
                self.literal(self.index - 1, tokens);
                self.pending = false;
                full_block!();
            }
        }
    }
}
