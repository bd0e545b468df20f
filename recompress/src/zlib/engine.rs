//! zlib's `deflate` and GNU gzip's: plain bytes in, matches found in the order and with the limits of the
//! originals, blocks ended where they end them. Every output bit is theirs.
//!
//! After madler/zlib `deflate.c` (1.3.1; the output has been the same since 1.2.5.1) and gzip 1.12
//! `deflate.c`, `trees.c`. Both fill the window as far as it goes before they look at it; so does this.

use super::matcher::{MAX_DISTANCE, MIN_LOOKAHEAD, Matcher, SPAN, Search, WINDOW};
use super::settings::{Level, Strategy, Tuning, ZlibSettings};
use crate::Encoder;
use crate::deflate::codes::{DISTANCE_EXTRA, MAX_MATCH, MIN_MATCH};
use crate::deflate::trees::{Block, Codes};

/// Matches of length 3 that are further away cost more than literals.
const TOO_FAR: usize = 4096;

/// zlib's.
pub(crate) type Zlib = Deflate<false>;

/// What happens to the bytes that are taken but not yet written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// They wait.
    No,
    /// They end a block (`Z_BLOCK`); up to seven bits may wait.
    Block,
    /// They end a block, and an empty stored block fills the byte (`Z_SYNC_FLUSH`).
    Sync,
    /// As `Sync`, and matches never reach back over it (`Z_FULL_FLUSH`).
    Full,
    /// They end the stream (`Z_FINISH`).
    Finish,
}

/// The encoder of zlib, or with `GNU` the one of GNU gzip.
pub struct Deflate<const GNU: bool> {
    matcher: Matcher,
    block: Block,
    tuning: Tuning,
    search: SearchKind,
    /// The next position of the window to look at.
    at: usize,
    /// Bytes in the window from `at` on.
    ahead: usize,
    /// Where the block begins; negative if that has left the window.
    block_start: isize,
    /// The match that waits for a better one at the next position.
    length: usize,
    start: usize,
    /// Whether a literal or a match of the position before waits.
    waiting: bool,
    /// Strings before `at` that are still to be entered (zlib only).
    unentered: usize,
    /// The hash has seen the first two bytes (GNU only).
    begun: bool,
    /// The window has moved.
    slid: bool,
    level: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SearchKind {
    Greedy,
    Lazy,
    None,
    Runs,
}

impl Deflate<false> {
    /// An encoder with these settings of `deflateInit2`.
    pub fn zlib(settings: ZlibSettings) -> Self {
        let memory = u32::from(settings.memory.clamp(1, 9));
        let search = match settings.strategy {
            Strategy::HuffmanOnly => SearchKind::None,
            Strategy::Runs => SearchKind::Runs,
            Strategy::Default if settings.level.number() <= 3 => SearchKind::Greedy,
            Strategy::Default => SearchKind::Lazy,
        };
        Self::new(settings.level, memory + 7, (1 << (memory + 6)) - 1, search)
    }

    /// Takes what matches may reach back to, at most 32 KiB, before the first byte.
    /// (`deflateSetDictionary`)
    pub(crate) fn dictionary(&mut self, plain: &[u8]) {
        let plain = &plain[plain.len().saturating_sub(WINDOW)..];
        self.matcher.window[..plain.len()].copy_from_slice(plain);
        self.at = plain.len();
        self.block_start = plain.len() as isize;
        if plain.len() < MIN_MATCH {
            self.unentered = plain.len();
            return;
        }
        self.matcher.hash = 0;
        self.matcher.roll(0);
        self.matcher.roll(1);
        self.unentered = MIN_MATCH - 1;
        self.matcher.insert_all(0, plain.len() - self.unentered);
    }
}

impl Deflate<true> {
    /// An encoder as `gzip` with the option of this level.
    pub fn gnu_gzip(level: Level) -> Self {
        let search = if level.number() <= 3 { SearchKind::Greedy } else { SearchKind::Lazy };
        Self::new(level, 15, (1 << 15) - 1, search)
    }
}

impl<const GNU: bool> Encoder for Deflate<GNU> {
    fn write(&mut self, mut plain: &[u8], out: &mut Vec<u8>) {
        while !plain.is_empty() {
            let taken = self.fill(plain);
            plain = &plain[taken..];
            self.flush(Flush::No, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.flush(Flush::Finish, out);
    }

    fn reset(&mut self) -> bool {
        let end = if self.slid { SPAN } else { self.at + self.ahead };
        self.matcher.reset(end);
        self.block.reset();
        (self.at, self.ahead, self.block_start, self.slid) = (0, 0, 0, false);
        (self.length, self.start, self.waiting) = (MIN_MATCH - 1, 0, false);
        (self.unentered, self.begun) = (0, false);
        true
    }
}

impl<const GNU: bool> Deflate<GNU> {
    fn new(level: Level, hash_bits: u32, full: usize, search: SearchKind) -> Self {
        Self {
            matcher: Matcher::new(hash_bits),
            block: Block::new(full, Codes::Any),
            tuning: level.tuning(),
            search,
            at: 0,
            ahead: 0,
            block_start: 0,
            length: MIN_MATCH - 1,
            start: 0,
            waiting: false,
            unentered: 0,
            begun: false,
            slid: false,
            level: level.number(),
        }
    }

    /// How many bits wait for the rest of their byte.
    pub(crate) fn pending_bits(&self) -> u32 {
        self.block.bits.pending()
    }

    /// Writes bits between two blocks. (`deflatePrime`)
    pub(crate) fn prime(&mut self, bits: u64, count: u32, out: &mut Vec<u8>) {
        self.block.bits.put(bits, count, out);
    }

    /// Takes plain bytes into the window, as many as fit. Fewer than `MIN_LOOKAHEAD` bytes are ahead.
    /// (`fill_window`)
    fn fill(&mut self, plain: &[u8]) -> usize {
        if self.at + self.ahead == SPAN {
            self.slide();
        }
        let end = self.at + self.ahead;
        let taken = plain.len().min(SPAN - end);
        self.matcher.window[end..end + taken].copy_from_slice(&plain[..taken]);
        self.ahead += taken;
        if GNU {
            self.begin_hash();
        } else {
            self.enter_late();
        }
        taken
    }

    /// gzip's hash begins with the first two bytes and then goes on for ever. (`lm_init`)
    fn begin_hash(&mut self) {
        if !self.begun && self.ahead >= MIN_LOOKAHEAD {
            self.begun = true;
            self.matcher.hash = 0;
            self.matcher.roll(0);
            self.matcher.roll(1);
        }
    }

    /// zlib begins the hash again with each filling, and enters what a flush left behind.
    fn enter_late(&mut self) {
        if self.ahead + self.unentered < MIN_MATCH {
            return;
        }
        let mut at = self.at - self.unentered;
        self.matcher.hash = 0;
        self.matcher.roll(at);
        self.matcher.roll(at + 1);
        while self.unentered > 0 {
            self.matcher.insert(at);
            at += 1;
            self.unentered -= 1;
            if self.ahead + self.unentered < MIN_MATCH {
                break;
            }
        }
    }

    fn slide(&mut self) {
        self.slid = true;
        self.matcher.slide();
        self.start = self.start.wrapping_sub(WINDOW);
        self.at -= WINDOW;
        self.block_start -= WINDOW as isize;
        self.unentered = self.unentered.min(self.at);
    }

    /// Writes what is there, in the way that `flush` says. (`deflate`)
    pub(crate) fn flush(&mut self, flush: Flush, out: &mut Vec<u8>) {
        if GNU && flush == Flush::Finish {
            self.end_of_file();
        }
        let ended = match self.search {
            SearchKind::Greedy => self.greedy(flush, out),
            SearchKind::Lazy => self.lazy(flush, out),
            SearchKind::None => self.literals(flush, out),
            SearchKind::Runs => self.runs(flush, out),
        };
        if !ended {
            return;
        }
        let strings = matches!(self.search, SearchKind::Greedy | SearchKind::Lazy);
        self.unentered = if strings { self.at.min(MIN_MATCH - 1) } else { 0 };
        if flush == Flush::Finish {
            self.flush_block(true, out);
            return;
        }
        if !self.block.is_empty() {
            self.flush_block(false, out);
        }
        if matches!(flush, Flush::Sync | Flush::Full) {
            self.block.bits.stored(&[], false, out);
        }
        if flush == Flush::Full {
            self.matcher.forget();
            self.slid = true;
            self.at = 0;
            self.block_start = 0;
            self.unentered = 0;
        }
    }

    /// gzip reads once more, gets nothing, and clears two bytes behind the last.
    fn end_of_file(&mut self) {
        if self.at >= WINDOW + MAX_DISTANCE {
            self.slide();
        }
        let end = self.at + self.ahead;
        self.matcher.window[end..end + MIN_MATCH - 1].fill(0);
        if !self.begun {
            self.begun = true;
            self.matcher.hash = 0;
            self.matcher.roll(0);
            self.matcher.roll(1);
        }
    }

    /// Whether there is something to look at: false once the plain bytes run out for now.
    #[inline(always)]
    fn more(&mut self, flush: Flush) -> More {
        if self.ahead >= MIN_LOOKAHEAD {
            return More::Yes;
        }
        if flush == Flush::No {
            return More::Later;
        }
        if !GNU && self.at >= WINDOW + MAX_DISTANCE {
            self.slide();
        }
        if self.ahead == 0 { More::No } else { More::Yes }
    }

    fn flush_block(&mut self, last: bool, out: &mut Vec<u8>) {
        let size = (self.at as isize - self.block_start) as usize;
        let plain = usize::try_from(self.block_start).ok().map(|from| &self.matcher.window[from..self.at]);
        self.block.flush(plain, size, last, out);
        self.block_start = self.at as isize;
    }

    /// Whether gzip ends a block early, since it is already worth it. (`ct_tally`)
    #[inline(always)]
    fn worth_ending(&self) -> bool {
        GNU && self.block.len() & 0xfff == 0 && self.level > 2 && self.worth_ending_now()
    }

    #[inline(never)]
    fn worth_ending_now(&self) -> bool {
        let bits: u64 = (self.block.distance_counts().iter().zip(DISTANCE_EXTRA))
            .map(|(&count, extra)| u64::from(count) * (5 + u64::from(extra)))
            .sum();
        let size = (self.block.len() as u64 * 8 + bits) >> 3;
        let plain = (self.at as isize - self.block_start) as u64;
        self.block.matches() < self.block.len() / 2 && size < plain / 2
    }

    /// Levels 1 to 3: the longest match at each position is taken. (`deflate_fast`)
    fn greedy(&mut self, flush: Flush, out: &mut Vec<u8>) -> bool {
        loop {
            match self.more(flush) {
                More::Yes => {}
                More::Later => return false,
                More::No => return true,
            }
            let mut candidate = 0;
            if GNU || self.ahead >= MIN_MATCH {
                candidate = self.matcher.insert(self.at);
            }
            let found = self.longest(MIN_MATCH - 1, candidate);
            let found = found
                .map(|(length, start)| (length.min(self.ahead), start))
                .filter(|&(length, _)| length >= MIN_MATCH);
            let Some((length, start)) = found else {
                let full = self.block.literal(self.matcher.window[self.at]) | self.worth_ending();
                self.ahead -= 1;
                self.at += 1;
                if full {
                    self.flush_block(false, out);
                }
                continue;
            };
            let full = self.block.copy(self.at - start, (length - MIN_MATCH) as u8) | self.worth_ending();
            self.ahead -= length;
            if length <= self.tuning.lazy && (GNU || self.ahead >= MIN_MATCH) {
                self.matcher.insert_all(self.at + 1, self.at + length);
                self.at += length;
            } else {
                self.at += length;
                self.matcher.hash = 0;
                self.matcher.roll(self.at);
                self.matcher.roll(self.at + 1);
            }
            if full {
                self.flush_block(false, out);
            }
        }
    }

    /// A match longer than `longer_than`, if one may begin at `candidate` or before it.
    #[inline(always)]
    fn longest(&self, longer_than: usize, candidate: usize) -> Option<(usize, usize)> {
        if candidate == 0 || self.at - candidate > MAX_DISTANCE {
            return None;
        }
        if GNU && self.at > SPAN - MIN_LOOKAHEAD {
            return None;
        }
        // zlib does not compare what lies behind the plain bytes; gzip does, and cuts the match afterwards.
        let nice = if GNU { self.tuning.nice } else { self.tuning.nice.min(self.ahead) };
        let chain = if longer_than >= self.tuning.good { self.tuning.chain >> 2 } else { self.tuning.chain };
        let search = Search { at: self.at, nice, longer_than, chain, candidate };
        if self.search == SearchKind::Lazy {
            self.matcher.longest_of_all(search)
        } else {
            self.matcher.longest(search)
        }
    }

    /// Levels 4 to 9: a match is taken if the next position has no longer one. (`deflate_slow`)
    fn lazy(&mut self, flush: Flush, out: &mut Vec<u8>) -> bool {
        loop {
            match self.more(flush) {
                More::Yes => {}
                More::Later => return false,
                More::No => break,
            }
            let mut candidate = 0;
            if GNU || self.ahead >= MIN_MATCH {
                candidate = self.matcher.insert(self.at);
            }
            let (before, before_start) = (self.length, self.start);
            self.length = MIN_MATCH - 1;
            if before < self.tuning.lazy {
                self.improve(before, candidate);
            }
            if before >= MIN_MATCH && self.length <= before {
                let last = self.at + self.ahead - MIN_MATCH;
                let distance = self.at - 1 - before_start;
                let full = self.block.copy(distance, (before - MIN_MATCH) as u8) | self.worth_ending();
                self.ahead -= before - 1;
                let end = self.at + before - 1;
                let entered = if GNU { end } else { end.min(last + 1) };
                self.matcher.insert_all(self.at + 1, entered);
                self.at = end;
                self.waiting = false;
                self.length = MIN_MATCH - 1;
                if full {
                    self.flush_block(false, out);
                }
            } else if self.waiting {
                let full = self.block.literal(self.matcher.window[self.at - 1]) | self.worth_ending();
                if full {
                    self.flush_block(false, out);
                }
                self.at += 1;
                self.ahead -= 1;
            } else {
                self.waiting = true;
                self.at += 1;
                self.ahead -= 1;
            }
        }
        if self.waiting {
            // Whether this one fills the block makes no difference: the block ends here anyway.
            self.block.literal(self.matcher.window[self.at - 1]);
            self.waiting = false;
        }
        true
    }

    /// Looks for a match that is longer than the one before; without one the length stays below it.
    #[inline(always)]
    fn improve(&mut self, before: usize, candidate: usize) {
        let Some((length, start)) = self.longest(before, candidate) else {
            return;
        };
        self.start = start;
        self.length = length.min(self.ahead);
        if self.length == MIN_MATCH && self.at - start > TOO_FAR {
            self.length = MIN_MATCH - 1;
        }
    }

    /// `Z_HUFFMAN_ONLY`. (`deflate_huff`)
    fn literals(&mut self, flush: Flush, out: &mut Vec<u8>) -> bool {
        while self.ahead > 0 {
            let full = self.block.literal(self.matcher.window[self.at]);
            self.at += 1;
            self.ahead -= 1;
            if full {
                self.flush_block(false, out);
            }
        }
        flush != Flush::No
    }

    /// `Z_RLE`. (`deflate_rle`)
    fn runs(&mut self, flush: Flush, out: &mut Vec<u8>) -> bool {
        loop {
            if self.ahead <= MAX_MATCH && flush == Flush::No {
                return false;
            }
            if self.ahead == 0 {
                return true;
            }
            let mut length = 0;
            if self.ahead >= MIN_MATCH && self.at > 0 {
                let window = &self.matcher.window;
                let most = self.ahead.min(MAX_MATCH);
                let byte = window[self.at - 1];
                length = window[self.at..self.at + most].iter().take_while(|&&next| next == byte).count();
            }
            let full = if length >= MIN_MATCH {
                self.at += length;
                self.ahead -= length;
                self.block.copy(1, (length - MIN_MATCH) as u8)
            } else {
                self.at += 1;
                self.ahead -= 1;
                self.block.literal(self.matcher.window[self.at - 1])
            };
            if full {
                self.flush_block(false, out);
            }
        }
    }
}

enum More {
    Yes,
    Later,
    No,
}
