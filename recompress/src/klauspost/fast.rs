//! What levels 1 to 6 have in common: the history, tables of places in it, and how both are kept small.
//!
//! A place stands in the tables as its index in the history and `base`, so that the history can move down
//! without a look at the tables.

use super::tokens::Tokens;

/// Matches reach back less than this.
pub(super) const MAX_DISTANCE: i32 = 1 << 15;
/// The longest match of one token.
pub(super) const MAX_MATCH: i32 = 258;
/// Nothing is looked for in the last bytes of a block.
pub(super) const MARGIN: i32 = 11;
/// Smaller blocks have no tokens.
pub(super) const MIN_BLOCK: usize = 13;
const BLOCK: usize = 65535;
const KEPT: usize = 5 * BLOCK;
/// Places are moved down before they come near to what 32 bits hold.
const TOO_HIGH: i32 = i32::MAX - (KEPT + BLOCK) as i32;

/// The bytes that matches may reach, and those of the block.
pub(super) struct History {
    bytes: Vec<u8>,
    base: i32,
}

impl History {
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

    /// Appends a block, and gives where it starts.
    fn add(&mut self, block: &[u8]) -> i32 {
        if self.bytes.len() + block.len() > KEPT {
            let gone = self.bytes.len() - MAX_DISTANCE as usize;
            self.bytes.copy_within(gone.., 0);
            self.bytes.truncate(MAX_DISTANCE as usize);
            self.base += gone as i32;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(block);
        start as i32
    }
}

/// One of levels 1 to 6.
pub(super) trait Finder: Send {
    /// Makes tokens of what the history has from `start` on, at least 13 bytes; none at all if there is no
    /// match.
    fn find(&mut self, history: &History, start: i32, tokens: &mut Tokens);

    /// All tables.
    fn tables(&mut self) -> [&mut [i32]; 2];
}

/// Levels 1 to 6.
pub(super) struct Fast {
    history: History,
    finder: Box<dyn Finder>,
}

impl Fast {
    pub(super) fn new(finder: Box<dyn Finder>) -> Self {
        Fast { history: History { bytes: Vec::with_capacity(KEPT), base: BLOCK as i32 }, finder }
    }

    /// Puts all that has been seen out of reach.
    pub(super) fn reset(&mut self) {
        if self.history.base <= TOO_HIGH {
            self.history.base += MAX_DISTANCE + self.history.bytes.len() as i32;
        }
        self.history.bytes.clear();
    }

    pub(super) fn has_history(&self) -> bool {
        !self.history.bytes.is_empty()
    }

    /// Makes tokens of a block; none if it is too small or has no match.
    pub(super) fn encode(&mut self, block: &[u8], tokens: &mut Tokens) {
        if self.history.base >= TOO_HIGH {
            self.lower();
        }
        let start = self.history.add(block);
        if block.len() >= MIN_BLOCK {
            self.finder.find(&self.history, start, tokens);
        }
    }

    /// Moves all places down.
    fn lower(&mut self) {
        let base = self.history.base;
        let oldest = base + self.history.bytes.len() as i32 - MAX_DISTANCE;
        let forget = self.history.bytes.is_empty();
        for table in self.finder.tables() {
            for place in table {
                *place = if forget || *place <= oldest { 0 } else { *place - base + MAX_DISTANCE };
            }
        }
        self.history.base = MAX_DISTANCE;
    }
}

/// A table of `N` entries, on the heap.
pub(super) fn table<T: Copy + Default, const N: usize>() -> Box<[T; N]> {
    match vec![T::default(); N].into_boxed_slice().try_into() {
        Ok(table) => table,
        Err(_) => unreachable!("the vector has N items"),
    }
}

/// The four bytes at `at`.
#[inline(always)]
pub(super) fn four(src: &[u8], at: i32) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&src[at as usize..][..4]);
    u32::from_le_bytes(word)
}

/// The eight bytes at `at`.
#[inline(always)]
pub(super) fn eight(src: &[u8], at: i32) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&src[at as usize..][..8]);
    u64::from_le_bytes(word)
}

/// Whether `s` and `t` are near enough for a match; `t` may lie before the history.
#[inline(always)]
pub(super) fn near(s: i32, t: i32) -> bool {
    s.wrapping_sub(t) < MAX_DISTANCE
}

/// A hash of the lowest four bytes.
#[inline(always)]
pub(super) fn hash4<const BITS: u32>(value: u64) -> usize {
    ((value as u32).wrapping_mul(2_654_435_761) >> (32 - BITS)) as usize
}

/// A hash of the lowest five bytes.
#[inline(always)]
pub(super) fn hash5<const BITS: u32>(value: u64) -> usize {
    ((value << 24).wrapping_mul(889_523_592_379) >> (64 - BITS)) as usize
}

/// A hash of the lowest seven bytes.
#[inline(always)]
pub(super) fn hash7<const BITS: u32>(value: u64) -> usize {
    ((value << 8).wrapping_mul(58_295_818_150_454_627) >> (64 - BITS)) as usize
}

/// How many bytes are the same at `s` and, before it, `t`.
#[inline(always)]
pub(super) fn long_match(src: &[u8], s: i32, t: i32) -> i32 {
    match_len(&src[s as usize..], &src[t as usize..])
}

/// The same, but no more than 254.
#[inline(always)]
pub(super) fn short_match(src: &[u8], s: i32, t: i32) -> i32 {
    let a = &src[s as usize..];
    match_len(&a[..a.len().min(MAX_MATCH as usize - 4)], &src[t as usize..])
}

#[inline(always)]
fn match_len(a: &[u8], b: &[u8]) -> i32 {
    let b = &b[..a.len()];
    let mut n = 0;
    let (mut x, mut y) = (a, b);
    while let (Some((p, q)), Some((r, s))) = (x.split_first_chunk::<8>(), y.split_first_chunk::<8>()) {
        let differ = u64::from_le_bytes(*p) ^ u64::from_le_bytes(*r);
        if differ != 0 {
            return n + (differ.trailing_zeros() / 8) as i32;
        }
        n += 8;
        (x, y) = (q, s);
    }
    n + x.iter().zip(y).take_while(|(a, b)| a == b).count() as i32
}

/// How far a match can be extended backwards, down to `from`.
#[inline(always)]
pub(super) fn before(src: &[u8], s: i32, t: i32, from: i32) -> i32 {
    let mut n = 0;
    while t - n > 0 && s - n > from && src[(t - n - 1) as usize] == src[(s - n - 1) as usize] {
        n += 1;
    }
    n
}

/// The last literals of a block, unless it had no match at all.
pub(super) fn rest(src: &[u8], from: i32, tokens: &mut Tokens) {
    if (from as usize) < src.len() && tokens.count() > 0 {
        tokens.literals(&src[from as usize..]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::level1::Level1;
    use super::super::level3::Level3;
    use super::super::level4::Level4;
    use super::super::level5::Level5;
    use super::super::version::Version;
    use super::*;

    #[test]
    fn moving_the_places_down_changes_nothing() {
        let plain: Vec<u8> = (0..900_000u32).map(|i| ((i % 1013 * (i / 5000)) >> 3) as u8).collect();
        let run = |finder: Box<dyn Finder>, base: i32| {
            let mut fast = Fast::new(finder);
            fast.history.base = base;
            let mut all = Vec::new();
            for block in plain.chunks(BLOCK) {
                let mut tokens = Tokens::new(Version::V1_18_2);
                fast.encode(block, &mut tokens);
                all.extend(tokens.list);
            }
            all
        };
        let finders: [fn() -> Box<dyn Finder>; 4] = [
            || Box::new(Level1::<false>::new()),
            || Box::new(Level3::<false>::new()),
            || Box::new(Level4::new(Version::V1_18_2)),
            || Box::new(Level5::new(Version::V1_18_2)),
        ];
        for finder in finders {
            let usual = run(finder(), BLOCK as i32);
            assert!(usual.len() < plain.len() / 2);
            for steps in 0..10 {
                assert!(run(finder(), TOO_HIGH - steps * BLOCK as i32) == usual);
            }
        }
    }
}
