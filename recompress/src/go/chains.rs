//! Levels 2 to 9 of Go's encoder (`deflate.go`): hash chains over a window of 64 KiB, without (2 and 3) and
//! with lazy matching (4 to 9).
//!
//! How the program cuts its writes matters here, though rarely: the window moves when the encoder has read
//! up to 262 bytes before its end, also when it is not full yet because a write ended there, and from then on
//! matches reach back less far. [`Chains::cut`] says where a write ended; without it every write is taken to
//! be followed by more until the window is full. Writes of a power of two from 512 bytes on, as `io.Copy`
//! of files and `bufio` make them, never end there.

use super::block::Blocks;
use super::table::{Effort, MASK, MAX_MATCH, MIN_MATCH, PADDED, Table, WINDOW, boxed, enter};
use super::token::Token;
use crate::reuse::{Follow, Piece, Shared};

/// As long as there are fewer bytes ahead, nothing is decided.
const AHEAD: usize = MIN_MATCH + MAX_MATCH;
const MAX_TOKENS: usize = 1 << 14;

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
    /// How many plain bytes came before the window.
    origin: u64,
    /// Runs of tokens that are taken over.
    follow: Option<Shared>,
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
            table: Table::new(),
            cut: false,
            origin: 0,
            follow: None,
        })
    }

    /// Takes tokens over where there are runs. Only lazy matching enters each place, and can go on behind one.
    pub(super) fn follow(&mut self, follow: Shared) {
        self.follow = (self.effort.lazy > 0).then_some(follow);
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
        self.table.reset();
        self.cut = false;
        self.origin = 0;
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
        self.origin += WINDOW as u64;
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
        match self.follow.clone() {
            Some(follow) => self.following(&mut follow.lock(), last, blocks, out),
            None => {
                while let Some(index) = self.scan_lazy(last, usize::MAX) {
                    self.block(index, blocks, out);
                }
            }
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

    /// Makes tokens, or takes them over where there is a run.
    fn following(&mut self, follow: &mut Follow, last: bool, blocks: &mut Blocks, out: &mut Vec<u8>) {
        loop {
            if follow.is_running() {
                let full = self.take_run(follow, last);
                if let Some(index) = full {
                    self.block(index, blocks, out);
                } else if follow.is_running() {
                    return;
                }
                continue;
            }
            let start = follow.next().map(|at| at.saturating_sub(self.origin));
            let start = start.and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
            if self.index < start {
                if let Some(index) = self.scan_lazy(last, start) {
                    self.block(index, blocks, out);
                    continue;
                }
                if self.index < start {
                    return;
                }
            }
            if self.index > start {
                // The run begins inside of a match.
                follow.fail();
                continue;
            }
            // Go writes the literal before only when it has looked at the byte behind.
            if self.pending && self.index >= self.stop(last) && !last {
                return;
            }
            if self.pending {
                self.tokens.push(Token::literal(self.window[(self.index - 1) & MASK]));
                self.pending = false;
            }
            self.length = MIN_MATCH - 1;
            follow.begin();
            if self.tokens.len() == MAX_TOKENS {
                self.block(self.index, blocks, out);
            }
        }
    }

    /// Takes tokens of a run over, as many as Go would have made by now; once there are enough for a block, gives up
    /// to where they reach.
    #[inline(never)]
    fn take_run(&mut self, follow: &mut Follow, last: bool) -> Option<usize> {
        // A token is written when the byte behind its first one was looked at.
        let stop = if last { self.end } else { self.stop(last).saturating_sub(1) };
        let mut index = self.index;
        let mut full = None;
        while index < stop && full.is_none() {
            let room = (stop - index).min(MAX_TOKENS - self.tokens.len());
            match follow.take(room, self.end - index) {
                Piece::Literals(literals) => {
                    let plain = self.window[index..].iter().take(literals);
                    self.tokens.extend(plain.map(|&byte| Token::literal(byte)));
                    index += literals;
                }
                Piece::Copy(length, distance) => {
                    self.tokens.push(Token::copy(length, distance));
                    index += length;
                }
                Piece::Over => break,
            }
            full = (self.tokens.len() == MAX_TOKENS).then_some(index);
        }
        self.index = index;
        if !follow.is_running() {
            // What is farther back than a match reaches need not be entered any more.
            self.table.entered = self.table.entered.max(index.saturating_sub(WINDOW));
        }
        full
    }

    /// Up to where places are looked at, with the bytes that are there.
    fn stop(&self, last: bool) -> usize {
        if last { self.end } else { (self.end + 1).saturating_sub(AHEAD) }
    }

    /// Makes tokens up to a place; once there are enough for a block, gives up to where they reach.
    #[inline(never)]
    fn scan_lazy(&mut self, last: bool, to: usize) -> Option<usize> {
        let (mut index, end, effort) = (self.index, self.end, self.effort);
        let (mut length, mut distance, mut pending) = (self.length, self.distance, self.pending);
        let stop = self.stop(last).min(to);
        let enterable = end.saturating_sub(MIN_MATCH - 1);
        let (window, table) = (&self.window, &mut self.table);
        // A match that begins before `to` may be compared with places behind it.
        table.enter_all(window, enterable.min(to.saturating_add(AHEAD)));
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
