//! What the match finders of all levels have in common: the window, places in it, and what they find.
//!
//! A place stands in the tables as its index in the window and `base`, so that the window can move down without a
//! look at the tables. 0 is no place: it is out of reach always.

use super::sequences::{MIN_MATCH, Sequence};

/// The longest match with what is in front of it.
pub(super) const MAX_MATCH: i32 = 131_074;
/// How much the window grows before it moves down, at least.
const SLACK: usize = 1 << 20;
/// Places are moved down before they come near to what 32 bits hold.
const TOO_HIGH: i32 = i32::MAX - (64 << 20);

/// What a finder makes of a block.
#[derive(Default)]
pub(super) struct Found {
    pub(super) literals: Vec<u8>,
    pub(super) sequences: Vec<Sequence>,
}

impl Found {
    /// A match behind literals.
    #[inline(always)]
    pub(super) fn add(&mut self, literals: &[u8], length: i32, offset: u32) {
        self.literals.extend_from_slice(literals);
        let (literals, length) = (literals.len() as u32, length as u32 - MIN_MATCH);
        self.sequences.push(Sequence { literals, length, offset });
    }

    pub(super) fn clear(&mut self) {
        self.literals.clear();
        self.sequences.clear();
    }

    /// Offsets of before are used from the fourth match of a block on.
    #[inline(always)]
    pub(super) fn can_repeat(&self) -> bool {
        self.sequences.len() > 2
    }
}

/// A match finder.
pub(super) trait Finder: Send {
    /// Finds matches for what the window has from `start` on, which may reach back less than `window`. `alone` if
    /// it is a whole frame.
    fn find(&mut self, history: &History, start: i32, alone: bool, found: &mut Found);

    /// Moves all places: those below `least` become none, the others `by` less.
    fn move_down(&mut self, least: i32, by: i32);
}

/// The bytes that matches may reach, and those of the block.
pub(super) struct History {
    bytes: Vec<u8>,
    base: i32,
    window: usize,
}

impl History {
    /// With a window of so many bytes, 8 MiB at most.
    pub(super) fn new(window: usize) -> Self {
        Self { bytes: Vec::new(), base: window as i32, window }
    }

    /// As after almost as many bytes as places can count.
    #[cfg(test)]
    pub(super) fn age(&mut self) {
        self.base = TOO_HIGH - 300_000;
    }

    /// All bytes.
    #[inline(always)]
    pub(super) fn plain(&self) -> &[u8] {
        &self.bytes
    }

    /// What is added to an index to make a place.
    #[inline(always)]
    pub(super) fn base(&self) -> i32 {
        self.base
    }

    /// Matches reach back less than this.
    #[inline(always)]
    pub(super) fn window(&self) -> i32 {
        self.window as i32
    }

    /// Puts all that has been seen out of reach.
    pub(super) fn reset(&mut self, finder: Option<&mut dyn Finder>) {
        if self.base > TOO_HIGH {
            if let Some(finder) = finder {
                finder.move_down(i32::MAX, 0);
            }
            self.base = self.window();
        } else {
            self.base += self.window() + self.bytes.len() as i32;
        }
        self.bytes.clear();
    }

    /// Appends a block, and gives where it starts.
    pub(super) fn add(&mut self, block: &[u8], finder: &mut dyn Finder) -> i32 {
        if self.base > TOO_HIGH {
            let least = self.base + self.bytes.len() as i32 - self.window();
            let by = self.base - self.window();
            finder.move_down(least, by);
            self.base -= by;
        }
        let most = self.window + SLACK.max(self.window / 4);
        if self.bytes.len() + block.len() > most {
            let gone = self.bytes.len().saturating_sub(self.window);
            self.bytes.copy_within(gone.., 0);
            self.bytes.truncate(self.bytes.len() - gone);
            self.base += gone as i32;
        }
        let start = self.bytes.len();
        if self.bytes.capacity() < start + block.len() {
            // Twice as much as before, but never more than there can be.
            let wanted = (2 * start).max(start + block.len()).min(most);
            self.bytes.reserve_exact(wanted - start);
        }
        self.bytes.extend_from_slice(block);
        start as i32
    }
}

/// A place below `least` is none; another is `by` less.
pub(super) fn moved(place: i32, least: i32, by: i32) -> i32 {
    if place < least { 0 } else { place - by }
}

/// Four bytes.
#[inline(always)]
pub(super) fn word(plain: &[u8], at: i32) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&plain[at as usize..at as usize + 4]);
    u32::from_le_bytes(word)
}

/// Eight bytes.
#[inline(always)]
pub(super) fn long(plain: &[u8], at: i32) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&plain[at as usize..at as usize + 8]);
    u64::from_le_bytes(word)
}

/// A hash of the lowest `BYTES` bytes (4 to 8), of `BITS` bits.
#[inline(always)]
pub(super) fn hash<const BYTES: u32, const BITS: u32>(value: u64) -> usize {
    let (value, prime) = match BYTES {
        4 => (value << 32, 0x9e37_79b1),
        5 => (value << 24, 0xcf_1bbc_dcbb),
        6 => (value << 16, 0xcf1b_bcdc_bf9b),
        _ => (value, 0xcf1b_bcdc_b7a5_6463),
    };
    (value.wrapping_mul(prime) >> (64 - BITS)) as usize
}

/// How many bytes from `at` on are those from `before` on, which is less, up to the end.
#[inline(always)]
pub(super) fn match_len(plain: &[u8], at: i32, before: i32) -> i32 {
    let (Some(a), Some(b)) = (plain.get(at as usize..), plain.get(before as usize..)) else {
        return 0;
    };
    let (a_words, a_rest) = a.as_chunks::<8>();
    let (b_words, _) = b.as_chunks::<8>();
    let mut len = 0;
    for (a, b) in a_words.iter().zip(b_words) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return len + (differ.trailing_zeros() / 8) as i32;
        }
        len += 8;
    }
    let b_rest = &b[len as usize..];
    len + a_rest.iter().zip(b_rest).take_while(|(a, b)| a == b).count() as i32
}

/// How many bytes a match can be longer to the front: not before `first`, nor over `emitted`, and `most` at most.
#[inline(always)]
pub(super) fn match_back(plain: &[u8], at: i32, before: i32, emitted: i32, first: i32, most: i32) -> i32 {
    let mut len = 0;
    let most = most.min(at - emitted).min(before - first);
    while len < most && plain[(before - len - 1) as usize] == plain[(at - len - 1) as usize] {
        len += 1;
    }
    len.max(0)
}

/// A place with the bytes there.
#[derive(Clone, Copy, Default)]
pub(super) struct Entry {
    pub(super) bytes: u32,
    pub(super) place: i32,
}

/// A place, and that before it with the same hash.
#[derive(Clone, Copy, Default)]
pub(super) struct Pair {
    pub(super) place: i32,
    pub(super) before: i32,
}

impl Pair {
    pub(super) fn move_down(&mut self, least: i32, by: i32) {
        self.place = moved(self.place, least, by);
        self.before = if self.place == 0 { 0 } else { moved(self.before, least, by) };
    }
}

/// A table of 2^`bits` empty places, of which only the touched pages take memory.
pub(super) fn table<T: Clone + Default, const SIZE: usize>() -> Box<[T; SIZE]> {
    match vec![T::default(); SIZE].into_boxed_slice().try_into() {
        Ok(table) => table,
        Err(_) => unreachable!("a vector of this size"),
    }
}

/// Whether all bytes are the same.
pub(super) fn is_run(block: &[u8]) -> bool {
    block.split_first().is_some_and(|(first, rest)| rest.iter().all(|byte| byte == first))
}
