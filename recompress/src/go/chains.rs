//! Levels 2 to 9 of Go's encoder (`deflate.go`): hash chains over a window of 64 KiB, without (2 and 3) and
//! with lazy matching (4 to 9).
//!
//! How the program cuts its writes matters here, though rarely: the window moves when the encoder has read
//! up to 262 bytes before its end, also when it is not full yet because a write ended there, and from then on
//! matches reach back less far. [`Chains::cut`] says where a write ended; without it every write is taken to
//! be followed by more until the window is full. Writes of a power of two from 512 bytes on, as `io.Copy`
//! of files and `bufio` make them, never end there.

use super::block::Blocks;
use super::token::Token;

const WINDOW: usize = 1 << 15;
const MASK: usize = 2 * WINDOW - 1;
/// Words are read beyond the last byte.
const PADDED: usize = 2 * WINDOW + 16;
const HASH_BITS: u32 = 17;
const MIN_MATCH: usize = 4;
const MAX_MATCH: usize = 258;
/// As long as there are fewer bytes ahead, nothing is decided.
const AHEAD: usize = MIN_MATCH + MAX_MATCH;
/// Matches of four bytes from farther away are not taken.
const NEAR: usize = 4096;
const MAX_HASH_OFFSET: u32 = 1 << 24;
/// The link of a place without one before it that can be reached.
const TOO_FAR: u32 = 0xffff;
/// Steps along a chain after which it is asked whether Go would have come that far.
const PATIENCE: u32 = 64;
const MAX_TOKENS: usize = 1 << 14;

/// What a level does.
#[derive(Clone, Copy)]
struct Effort {
    /// No better match is looked for after one of this length; 0 for no lazy matching at all.
    lazy: usize,
    /// A match of this length is taken at once.
    nice: usize,
    /// How many candidates are looked at.
    chain: u32,
    /// Without lazy matching: inside of longer matches nothing is hashed.
    hash_all: usize,
}

/// Levels 2 to 9. Go's fifth number, `good`, never comes to bear.
const EFFORTS: [Effort; 8] = [
    Effort { lazy: 0, nice: 16, chain: 8, hash_all: 5 },
    Effort { lazy: 0, nice: 32, chain: 32, hash_all: 6 },
    Effort { lazy: 4, nice: 16, chain: 16, hash_all: 0 },
    Effort { lazy: 16, nice: 32, chain: 32, hash_all: 0 },
    Effort { lazy: 16, nice: 128, chain: 128, hash_all: 0 },
    Effort { lazy: 32, nice: 128, chain: 256, hash_all: 0 },
    Effort { lazy: 128, nice: 258, chain: 1024, hash_all: 0 },
    Effort { lazy: 258, nice: 258, chain: 4096, hash_all: 0 },
];

/// The state of levels 2 to 9, about 900 KiB.
pub(super) struct Chains {
    effort: Effort,
    window: Box<[u8; PADDED]>,
    /// Where the unprocessed bytes of the window start and end.
    index: usize,
    end: usize,
    /// Where the tokens in hand start, if that is still in the window.
    block_start: Option<usize>,
    /// The byte before `index` is still to be written.
    pending: bool,
    /// The match found one byte before, at least 3 long.
    length: usize,
    distance: usize,
    tokens: Vec<Token>,
    table: Table,
    /// A write ended at `end`.
    cut: bool,
}

/// Where four bytes were seen before. Links and numbers have the places of the window.
struct Table {
    /// The last place for each hash, as index and `offset`; 0 for none.
    head: Box<[u32; 1 << HASH_BITS]>,
    /// How far before each place the last one with its hash lies; at most [`TOO_FAR`], which is never followed.
    links: Box<[u16; 2 * WINDOW]>,
    /// The number of each place in the chain of its hash.
    numbers: Box<[u16; 2 * WINDOW]>,
    offset: u32,
    /// With lazy matching: up to where all places are entered.
    entered: usize,
}

fn boxed<T: Copy, const N: usize>(value: T) -> Box<[T; N]> {
    // A vector of N items is an array of N items; it never lies on the stack.
    match vec![value; N].into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("the vector has N items"),
    }
}

#[inline(always)]
fn four(window: &[u8; PADDED], at: usize) -> u32 {
    let at = at & MASK;
    u32::from_le_bytes([window[at], window[at + 1], window[at + 2], window[at + 3]])
}

#[inline(always)]
fn hash(window: &[u8; PADDED], at: usize) -> usize {
    (four(window, at).swap_bytes().wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS)) as usize
}

#[inline(always)]
fn eight(window: &[u8; PADDED], at: usize) -> u64 {
    let at = at & MASK;
    let mut word = [0; 8];
    word.copy_from_slice(&window[at..at + 8]);
    u64::from_le_bytes(word)
}

/// How many bytes are the same at `a` and `b`, at most `max`.
#[inline(always)]
fn match_len(window: &[u8; PADDED], a: usize, b: usize, max: usize) -> usize {
    let mut n = 0;
    while n < max {
        let differ = eight(window, a + n) ^ eight(window, b + n);
        if differ != 0 {
            return (n + (differ.trailing_zeros() / 8) as usize).min(max);
        }
        n += 8;
    }
    max
}

/// Enters `at`, and gives how far back the last place with the same hash is.
#[inline(always)]
fn enter(table: &mut Table, window: &[u8; PADDED], at: usize) -> usize {
    let here = at as u32 + table.offset;
    let head = &mut table.head[hash(window, at)];
    let back = here - *head;
    *head = here;
    table.links[at & MASK] = back.min(TOO_FAR) as u16;
    let before = table.numbers[at.wrapping_sub(back as usize) & MASK];
    table.numbers[at & MASK] = before.wrapping_add(1);
    back as usize
}

impl Table {
    /// How far before `at` the last place with its hash is.
    #[inline(always)]
    fn back(&self, at: usize) -> usize {
        usize::from(self.links[at & MASK])
    }

    /// How many places later in their chain `pos` is than `at`, which has the same hash.
    #[inline(always)]
    fn between(&self, at: usize, pos: usize) -> u32 {
        u32::from(self.numbers[pos & MASK].wrapping_sub(self.numbers[at & MASK]))
    }

    /// Enters all places before `to` that are not yet.
    #[inline(never)]
    fn enter_all(&mut self, window: &[u8; PADDED], to: usize) {
        for at in self.entered..to {
            enter(self, window, at);
        }
        self.entered = self.entered.max(to);
    }

    /// Looks for the longest match at `pos`; the first candidate is `back` bytes before.
    #[inline(always)]
    fn find(
        &self,
        window: &[u8; PADDED],
        pos: usize,
        mut back: usize,
        ahead: usize,
        effort: &Effort,
    ) -> Option<(usize, usize)> {
        // How far the window reaches back.
        let reach = pos.min(WINDOW);
        if back > reach {
            return None;
        }
        let max = ahead.min(MAX_MATCH);
        let nice = effort.nice.min(max);
        let mut length = MIN_MATCH - 1;
        let mut distance = 0;
        // A longer match has these four bytes in common, too.
        let mut want = four(window, pos + length - 3);
        let mut tries = effort.chain;
        while back <= reach && tries > 0 {
            let at = pos - back;
            if four(window, at + length - 3) == want {
                let n = match_len(window, at, pos, max);
                if n > length && (n > MIN_MATCH || back <= NEAR) {
                    length = n;
                    distance = back;
                    if n >= nice {
                        break;
                    }
                    want = four(window, pos + length - 3);
                }
            }
            tries -= 1;
            back += self.back(at);
        }
        (distance > 0).then_some((length, distance))
    }

    /// Looks for the longest match at `pos` that is longer than `length`. All places must have been entered
    /// up to three bytes before the end of what is ahead.
    ///
    /// Go walks the chain of the four bytes at `pos`, for so many candidates, and takes the first of the
    /// longest ones. The same is found by walking whichever chain leads back farthest: a match longer than
    /// `length` has the four bytes at each place of that length in common. Whether Go would have come that
    /// far, the numbers in its chain tell.
    #[inline(always)]
    fn find_longer(
        &self,
        window: &[u8; PADDED],
        pos: usize,
        mut length: usize,
        ahead: usize,
        effort: &Effort,
    ) -> Option<(usize, usize)> {
        // How far the window reaches back.
        let reach = pos.min(WINDOW);
        let mut back = self.back(pos);
        if back > reach {
            return None;
        }
        let max = ahead.min(MAX_MATCH);
        let nice = effort.nice.min(max);
        let mut distance = 0;
        // Whose chain is walked: that of the four bytes so far behind the candidate.
        let mut shift = 0;
        for at in 1..length - 2 {
            let farther = self.back(pos + at);
            if farther > back {
                back = farther;
                shift = at;
            }
        }
        let first = four(window, pos);
        // A longer match has these four bytes in common, too.
        let mut tail = length - 3;
        let mut want = four(window, pos + tail);
        let mut patience = PATIENCE;
        while back <= reach {
            let at = pos - back;
            let mut step = self.back(at + shift);
            if four(window, at + tail) == want && four(window, at) == first {
                if self.between(at, pos) > effort.chain {
                    break;
                }
                let n = match_len(window, at, pos, max);
                if n > length && (n > MIN_MATCH || back <= NEAR) {
                    length = n;
                    distance = back;
                    if n >= nice {
                        break;
                    }
                    tail = n - 3;
                    want = four(window, pos + tail);
                    for j in 0..tail {
                        let farther = self.back(at + j);
                        if farther > step {
                            step = farther;
                            shift = j;
                        }
                    }
                    let farther = self.back(pos + tail);
                    if farther > back + step {
                        step = farther - back;
                        shift = tail;
                    }
                }
            }
            back += step;
            patience -= 1;
            if patience == 0 {
                match self.own_chain(pos, back, reach, effort.chain) {
                    Some(own) => back = own,
                    None => break,
                }
                shift = 0;
                patience = PATIENCE;
            }
        }
        (distance > 0).then_some((length, distance))
    }

    /// The first candidate of Go's at least `back` bytes before `pos`, if Go comes that far.
    #[cold]
    fn own_chain(&self, pos: usize, back: usize, reach: usize, chain: u32) -> Option<usize> {
        let mut own = self.back(pos);
        for _ in 0..chain {
            if own >= back || own > reach {
                break;
            }
            own += self.back(pos - own);
        }
        (own >= back && own <= reach).then_some(own)
    }

    /// The window has moved.
    fn moved(&mut self) {
        self.links.copy_within(WINDOW.., 0);
        self.numbers.copy_within(WINDOW.., 0);
        self.entered = self.entered.saturating_sub(WINDOW);
        self.offset += WINDOW as u32;
        if self.offset > MAX_HASH_OFFSET {
            let less = self.offset - 1;
            self.offset = 1;
            for head in self.head.iter_mut() {
                *head = head.saturating_sub(less);
            }
        }
    }
}

impl Chains {
    /// A level from 2 to 9.
    pub(super) fn new(level: usize) -> Option<Self> {
        let effort = *EFFORTS.get(level.checked_sub(2)?)?;
        Some(Chains {
            effort,
            window: boxed(0),
            index: 0,
            end: 0,
            block_start: Some(0),
            pending: false,
            length: MIN_MATCH - 1,
            distance: 0,
            tokens: Vec::with_capacity(MAX_TOKENS),
            table: Table { head: boxed(0), links: boxed(0), numbers: boxed(0), offset: 1, entered: 0 },
            cut: false,
        })
    }

    /// Starts over.
    pub(super) fn reset(&mut self) {
        self.index = 0;
        self.end = 0;
        self.block_start = Some(0);
        self.pending = false;
        self.length = MIN_MATCH - 1;
        self.distance = 0;
        self.tokens.clear();
        self.table.head.fill(0);
        self.table.offset = 1;
        self.table.entered = 0;
        self.cut = false;
    }

    pub(super) fn write(&mut self, mut plain: &[u8], blocks: &mut Blocks, out: &mut Vec<u8>) {
        while !plain.is_empty() {
            if self.end == 2 * WINDOW || self.cut {
                self.cut = false;
                self.step(false, blocks, out);
                self.move_window();
            }
            let n = plain.len().min(2 * WINDOW - self.end);
            let (now, later) = plain.split_at(n);
            self.window[self.end..self.end + n].copy_from_slice(now);
            self.end += n;
            plain = later;
        }
    }

    /// Says that a write of the program ended after the last byte taken.
    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    pub(super) fn finish(&mut self, blocks: &mut Blocks, out: &mut Vec<u8>) {
        self.step(true, blocks, out);
    }

    fn move_window(&mut self) {
        if self.index < 2 * WINDOW - AHEAD {
            return;
        }
        self.window.copy_within(WINDOW..2 * WINDOW, 0);
        self.index -= WINDOW;
        self.end -= WINDOW;
        self.block_start = self.block_start.and_then(|start| start.checked_sub(WINDOW));
        self.table.moved();
    }

    fn step(&mut self, last: bool, blocks: &mut Blocks, out: &mut Vec<u8>) {
        if self.effort.lazy > 0 {
            self.lazy(last, blocks, out);
        } else {
            self.greedy(last, blocks, out);
        }
    }

    /// Writes the tokens in hand, which stand for the bytes up to `index`.
    #[inline(never)]
    fn block(&mut self, index: usize, blocks: &mut Blocks, out: &mut Vec<u8>) {
        let plain = self.block_start.and_then(|start| self.window.get(start..index));
        blocks.smallest(&self.tokens, plain, out);
        self.block_start = Some(index);
        self.tokens.clear();
    }

    fn greedy(&mut self, last: bool, blocks: &mut Blocks, out: &mut Vec<u8>) {
        while self.scan_greedy(last) {
            self.block(self.index, blocks, out);
        }
        if last && !self.tokens.is_empty() {
            self.block(self.index, blocks, out);
        }
    }

    /// Makes tokens; tells whether there are enough for a block.
    #[inline(never)]
    fn scan_greedy(&mut self, last: bool) -> bool {
        let (mut index, end, effort) = (self.index, self.end, self.effort);
        let (window, table) = (&self.window, &mut self.table);
        let stop = if last { end } else { (end + 1).saturating_sub(AHEAD) };
        let enterable = end.saturating_sub(MIN_MATCH - 1);
        while index < stop && self.tokens.len() < MAX_TOKENS {
            let mut found = None;
            if index < enterable {
                let back = enter(table, window, index);
                found = table.find(window, index, back, end - index, &effort);
            }
            match found {
                Some((length, distance)) => {
                    self.tokens.push(Token::copy(length, distance));
                    if length <= effort.hash_all {
                        for at in index + 1..(index + length).min(enterable) {
                            enter(table, window, at);
                        }
                    }
                    index += length;
                }
                None => {
                    self.tokens.push(Token::literal(window[index & MASK]));
                    index += 1;
                }
            }
        }
        self.index = index;
        self.tokens.len() == MAX_TOKENS
    }

    fn lazy(&mut self, last: bool, blocks: &mut Blocks, out: &mut Vec<u8>) {
        while let Some(index) = self.scan_lazy(last) {
            self.block(index, blocks, out);
        }
        if last {
            if self.pending {
                self.tokens.push(Token::literal(self.window[(self.index - 1) & MASK]));
                self.pending = false;
            }
            if !self.tokens.is_empty() {
                self.block(self.index, blocks, out);
            }
        }
    }

    /// Makes tokens; once there are enough for a block, gives up to where they reach.
    #[inline(never)]
    fn scan_lazy(&mut self, last: bool) -> Option<usize> {
        let (mut index, end, effort) = (self.index, self.end, self.effort);
        let (mut length, mut distance, mut pending) = (self.length, self.distance, self.pending);
        let stop = if last { end } else { (end + 1).saturating_sub(AHEAD) };
        let enterable = end.saturating_sub(MIN_MATCH - 1);
        let (window, table) = (&self.window, &mut self.table);
        table.enter_all(window, enterable);
        let mut full = None;
        while index < stop && full.is_none() {
            let (before, before_distance) = (length, distance);
            length = MIN_MATCH - 1;
            if index < enterable {
                let ahead = end - index;
                if before < effort.lazy
                    && ahead > before
                    && let Some(found) = table.find_longer(window, index, before, ahead, &effort)
                {
                    (length, distance) = found;
                }
            }
            if before >= MIN_MATCH && length <= before {
                // The match one byte before is the better one.
                self.tokens.push(Token::copy(before, before_distance));
                index += before - 1;
                pending = false;
                length = MIN_MATCH - 1;
                full = (self.tokens.len() == MAX_TOKENS).then_some(index);
            } else {
                if pending {
                    self.tokens.push(Token::literal(window[(index - 1) & MASK]));
                    full = (self.tokens.len() == MAX_TOKENS).then_some(index);
                }
                pending = true;
                index += 1;
            }
        }
        (self.index, self.length, self.distance, self.pending) = (index, length, distance, pending);
        full
    }
}
