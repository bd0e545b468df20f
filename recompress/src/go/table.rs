//! The hash chains of levels 2 to 9 of Go's encoder (`deflate.go`): where four bytes were seen before, and the longest
//! match among these places. Takes a window and a place, gives length and distance.

pub(super) const WINDOW: usize = 1 << 15;
pub(super) const MASK: usize = 2 * WINDOW - 1;
/// Words are read beyond the last byte.
pub(super) const PADDED: usize = 2 * WINDOW + 16;
const HASH_BITS: u32 = 17;
pub(super) const MIN_MATCH: usize = 4;
pub(super) const MAX_MATCH: usize = 258;
/// Matches of four bytes from farther away are not taken.
const NEAR: usize = 4096;
const MAX_HASH_OFFSET: u32 = 1 << 24;
/// The link of a place without one before it that can be reached.
const TOO_FAR: u32 = 0xffff;
/// Steps along a chain after which it is asked whether Go would have come that far.
const PATIENCE: u32 = 64;

/// What a level does.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    /// No better match is looked for after one of this length; 0 for no lazy matching at all.
    pub(super) lazy: usize,
    /// A match of this length is taken at once.
    pub(super) nice: usize,
    /// How many candidates are looked at.
    pub(super) chain: u32,
    /// Without lazy matching: inside of longer matches nothing is hashed.
    pub(super) hash_all: usize,
}

/// Where four bytes were seen before. Links and numbers have the places of the window; when it moves, they stay, and its
/// places are counted from the other half of them on.
pub(super) struct Table {
    /// The last place for each hash, as index and `offset`; 0 for none.
    head: Box<[u32; 1 << HASH_BITS]>,
    /// How far before each place the last one with its hash lies; at most [`TOO_FAR`], which is never followed.
    links: Box<[u16; 2 * WINDOW]>,
    /// The number of each place in the chain of its hash.
    numbers: Box<[u16; 2 * WINDOW]>,
    offset: u32,
    /// Where the links and numbers of the window's first place are: 0 or [`WINDOW`].
    turn: usize,
    /// With lazy matching: up to where all places are entered.
    pub(super) entered: usize,
}

pub(super) fn boxed<T: Copy, const N: usize>(value: T) -> Box<[T; N]> {
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
pub(super) fn enter(table: &mut Table, window: &[u8; PADDED], at: usize) -> usize {
    let here = at as u32 + table.offset;
    let head = &mut table.head[hash(window, at)];
    let back = here - *head;
    *head = here;
    let place = at + table.turn;
    table.links[place & MASK] = back.min(TOO_FAR) as u16;
    let before = table.numbers[place.wrapping_sub(back as usize) & MASK];
    table.numbers[place & MASK] = before.wrapping_add(1);
    back as usize
}

impl Table {
    pub(super) fn new() -> Self {
        Table { head: boxed(0), links: boxed(0), numbers: boxed(0), offset: 1, turn: 0, entered: 0 }
    }

    /// Forgets all places.
    pub(super) fn reset(&mut self) {
        self.head.fill(0);
        self.offset = 1;
        self.entered = 0;
    }

    /// How far before `at` the last place with its hash is.
    #[inline(always)]
    fn back(&self, at: usize) -> usize {
        usize::from(self.links[(at + self.turn) & MASK])
    }

    /// How many places later in their chain `pos` is than `at`, which has the same hash.
    #[inline(always)]
    fn between(&self, at: usize, pos: usize) -> u32 {
        let number = |place: usize| self.numbers[(place + self.turn) & MASK];
        u32::from(number(pos).wrapping_sub(number(at)))
    }

    /// Enters all places before `to` that are not yet.
    #[inline(never)]
    pub(super) fn enter_all(&mut self, window: &[u8; PADDED], to: usize) {
        for at in self.entered..to {
            enter(self, window, at);
        }
        self.entered = self.entered.max(to);
    }

    /// Looks for the longest match at `pos`; the first candidate is `back` bytes before.
    #[inline(always)]
    pub(super) fn find(
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
    pub(super) fn find_longer(
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
    pub(super) fn moved(&mut self) {
        self.turn ^= WINDOW;
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
