//! The window, the hash chains in it, and the search for the longest match: what costs the time.
//!
//! After madler/zlib `deflate.c` (`longest_match`, `slide_hash`) and gzip 1.12 `deflate.c`. All tables have
//! fixed sizes, so that the compiler sees that no index is out of bounds.

use crate::deflate::codes::{MAX_MATCH, MIN_MATCH};

/// Bytes that a match may reach back over, and a little more.
pub(crate) const WINDOW: usize = 1 << 15;
/// Two windows: the upper half moves down when it is full.
pub(crate) const SPAN: usize = 2 * WINDOW;
/// A match is looked for only with this many bytes ahead, except at the end.
pub(crate) const MIN_LOOKAHEAD: usize = MAX_MATCH + MIN_MATCH + 1;
/// The longest distance that is used.
pub(crate) const MAX_DISTANCE: usize = WINDOW - MIN_LOOKAHEAD;
/// Room behind the span, so that reads of eight bytes need no check.
const GUARD: usize = 1024;

pub(crate) type Bytes = [u8; SPAN + GUARD];
pub(crate) type Heads = [u16; 1 << 16];
pub(crate) type Chains = [u16; WINDOW];

/// The window with its hash chains. Positions are of the window, and 0 stands for "none".
pub(crate) struct Matcher {
    pub(crate) window: Box<Bytes>,
    pub(crate) head: Box<Heads>,
    pub(crate) prev: Box<Chains>,
    /// The number of each position in the chain of its hash, if all positions are entered.
    number: Box<Chains>,
    mask: usize,
    shift: u32,
    pub(crate) hash: usize,
}

impl Matcher {
    /// An empty window with a hash of `bits` bits: 8 to 16.
    pub(crate) fn new(bits: u32) -> Self {
        Self {
            window: filled(),
            head: filled(),
            prev: filled(),
            number: filled(),
            mask: (1 << bits) - 1,
            shift: bits.div_ceil(MIN_MATCH as u32),
            hash: 0,
        }
    }

    /// Adds a byte to the hash. (`UPDATE_HASH`)
    #[inline(always)]
    pub(crate) fn roll(&mut self, at: usize) {
        self.hash = ((self.hash << self.shift) ^ self.window[at] as usize) & self.mask;
    }

    /// Enters the string at a position; gives the last one before with the same hash. (`INSERT_STRING`)
    #[inline(always)]
    pub(crate) fn insert(&mut self, at: usize) -> usize {
        let at = at & (SPAN - 1);
        self.roll(at + MIN_MATCH - 1);
        let before = self.head[self.hash & 0xffff];
        self.prev[at & (WINDOW - 1)] = before;
        self.number[at & (WINDOW - 1)] = self.number[before as usize & (WINDOW - 1)].wrapping_add(1);
        self.head[self.hash & 0xffff] = at as u16;
        before as usize
    }

    /// Enters all strings from `from` to before `to`.
    pub(crate) fn insert_all(&mut self, from: usize, to: usize) {
        let (window, head, prev) = (&*self.window, &mut *self.head, &mut *self.prev);
        let number = &mut *self.number;
        let (mut hash, shift, mask) = (self.hash, self.shift, self.mask);
        for at in from..to {
            let at = at & (SPAN - 1);
            hash = ((hash << shift) ^ window[at + MIN_MATCH - 1] as usize) & mask;
            let before = head[hash & 0xffff];
            prev[at & (WINDOW - 1)] = before;
            number[at & (WINDOW - 1)] = number[before as usize & (WINDOW - 1)].wrapping_add(1);
            head[hash & 0xffff] = at as u16;
        }
        self.hash = hash;
    }

    /// Moves the upper half down. (`slide_hash`)
    pub(crate) fn slide(&mut self) {
        self.window.copy_within(WINDOW..SPAN, 0);
        let used = self.mask + 1;
        for position in self.head[..used].iter_mut().chain(self.prev.iter_mut()) {
            *position = position.saturating_sub(WINDOW as u16);
        }
    }

    /// Makes everything as it was at first, where the window was filled before `end`.
    pub(crate) fn reset(&mut self, end: usize) {
        self.window[..end.min(SPAN)].fill(0);
        self.head[..self.mask + 1].fill(0);
        self.prev[..end.min(WINDOW)].fill(0);
        self.number[..end.min(WINDOW)].fill(0);
        self.hash = 0;
    }

    /// Forgets all strings. (`CLEAR_HASH`)
    pub(crate) fn forget(&mut self) {
        let used = self.mask + 1;
        self.head[..used].fill(0);
    }

    /// The longest match that `search` finds: its length, up to 258, and where it begins.
    #[inline(always)]
    pub(crate) fn longest(&self, search: Search) -> Option<(usize, usize)> {
        longest(&self.window, &self.prev, search)
    }

    /// As [`Matcher::longest`], and faster, if all positions before were entered.
    #[inline(always)]
    pub(crate) fn longest_of_all(&self, search: Search) -> Option<(usize, usize)> {
        let tables = Tables {
            window: &self.window,
            head: &self.head,
            prev: &self.prev,
            number: &self.number,
            mask: self.mask,
            shift: self.shift,
        };
        longest_of_all(tables, search)
    }
}

struct Tables<'a> {
    window: &'a Bytes,
    head: &'a Heads,
    prev: &'a Chains,
    number: &'a Chains,
    mask: usize,
    shift: u32,
}

impl Tables<'_> {
    /// The last position with the three bytes at `at`, or others of the same hash.
    #[inline(always)]
    fn last(&self, at: usize) -> usize {
        let at = at & (SPAN - 1);
        let bytes = [self.window[at], self.window[at + 1], self.window[at + 2]].map(usize::from);
        let hash = (bytes[0] << (2 * self.shift)) ^ (bytes[1] << self.shift) ^ bytes[2];
        self.head[hash & self.mask & 0xffff] as usize
    }
}

/// What `longest_match` is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search {
    /// The position that a match is looked for.
    pub(crate) at: usize,
    /// A match of this length is good enough.
    pub(crate) nice: usize,
    /// Only longer matches count; at least 1.
    pub(crate) longer_than: usize,
    /// How many candidates are looked at; at least 1.
    pub(crate) chain: usize,
    /// The first of the candidates.
    pub(crate) candidate: usize,
}

/// Not inlined: the arguments' types tell the compiler that nothing else points there.
#[inline(never)]
fn longest(window: &Bytes, prev: &Chains, search: Search) -> Option<(usize, usize)> {
    let Search { at, nice, longer_than: mut best, mut chain, candidate } = search;
    let at = at & (SPAN - 1);
    let limit = at.saturating_sub(MAX_DISTANCE);
    let mut candidate = candidate & (SPAN - 1);
    let mut found = None;
    // A longer match must agree in its last two bytes; they differ most often.
    let mut last = (best - 1) & 511;
    let mut end = two(window, at + last);
    let start = two(window, at);
    loop {
        if two(window, candidate + last) == end && two(window, candidate) == start {
            let length = common(window, at, candidate);
            if length > best {
                best = length;
                found = Some((length, candidate));
                if length >= nice {
                    break;
                }
                last = (best - 1) & 511;
                end = two(window, at + last);
            }
        }
        candidate = prev[candidate & (WINDOW - 1)] as usize;
        if candidate <= limit {
            break;
        }
        chain -= 1;
        if chain == 0 {
            break;
        }
    }
    found
}

/// zlib walks the chain of the three bytes at the position, for so many candidates, and takes the first of
/// the longest ones. The same is found by walking whichever chain leads back farthest: a match longer than
/// the best one has the three bytes at each place of that one in common. Whether zlib would have come that
/// far, the numbers in its chain tell.
#[inline(never)]
fn longest_of_all(tables: Tables<'_>, search: Search) -> Option<(usize, usize)> {
    let Search { at, nice, longer_than: mut best, chain, candidate } = search;
    let Tables { window, prev, number, .. } = tables;
    let at = at & (SPAN - 1);
    let limit = at.saturating_sub(MAX_DISTANCE);
    let nearest = candidate & (SPAN - 1);
    let mut candidate = nearest;
    let here = number[at & (WINDOW - 1)];
    let mut found = None;
    // How far behind the candidate the position is whose chain is walked.
    let mut behind = 0;
    for n in 1..=best.saturating_sub(2).min(at - candidate) {
        let farther = tables.last(at + n).saturating_sub(n);
        if farther < candidate {
            candidate = farther;
            behind = n;
        }
    }
    let mut last = (best - 1) & 511;
    let mut end = two(window, at + last);
    let start = three(window, at);
    // Only the first of zlib's candidates may be at the limit.
    while candidate > limit || (candidate == nearest && candidate == limit) {
        let mut next = (prev[(candidate + behind) & (WINDOW - 1)] as usize).saturating_sub(behind);
        if three(window, candidate) == start {
            if usize::from(here.wrapping_sub(number[candidate & (WINDOW - 1)])) > chain {
                break;
            }
            let direct = prev[candidate & (WINDOW - 1)] as usize;
            if direct < next {
                (next, behind) = (direct, 0);
            }
            if two(window, candidate + last) == end {
                let length = common(window, at, candidate);
                if length > best {
                    best = length;
                    found = Some((length, candidate));
                    if length >= nice {
                        break;
                    }
                    last = (best - 1) & 511;
                    end = two(window, at + last);
                    // Of what both have in common, the chain that leads back farthest.
                    for n in 1..=(best - 3).min(at - candidate) {
                        let farther = (prev[(candidate + n) & (WINDOW - 1)] as usize).saturating_sub(n);
                        if farther < next {
                            (next, behind) = (farther, n);
                        }
                    }
                    // A longer match has one byte more.
                    let n = (best - 2).min(at - candidate);
                    let farther = tables.last(at + n).saturating_sub(n);
                    if farther < next {
                        (next, behind) = (farther, n);
                    }
                }
            }
        }
        candidate = next;
    }
    found
}

#[inline(always)]
fn three(window: &Bytes, at: usize) -> u32 {
    let at = at & (SPAN - 1);
    u32::from_le_bytes([window[at], window[at + 1], window[at + 2], 0])
}

#[inline(always)]
fn two(window: &Bytes, at: usize) -> u16 {
    u16::from_le_bytes([window[at], window[at + 1]])
}

#[inline(always)]
fn eight(window: &Bytes, at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&window[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// How many bytes are the same at two positions, at most 258.
#[inline(always)]
fn common(window: &Bytes, one: usize, other: usize) -> usize {
    let mut length = 0;
    while length < 256 {
        let difference = eight(window, one + length) ^ eight(window, other + length);
        if difference != 0 {
            return length + (difference.trailing_zeros() >> 3) as usize;
        }
        length += 8;
    }
    let same = two(window, one + 256) ^ two(window, other + 256);
    256 + (same.trailing_zeros() >> 3).min(2) as usize
}

/// A table of zeros that was never on the stack.
fn filled<T: Copy + Default, const N: usize>() -> Box<[T; N]> {
    // The length is the array's.
    match vec![T::default(); N].into_boxed_slice().try_into() {
        Ok(table) => table,
        Err(_) => unreachable!("as many elements as the array has"),
    }
}
