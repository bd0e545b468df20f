//! Inflates DEFLATE (RFC 1951) and keeps what the stream is made of. Takes compressed bytes as they come, gives plain
//! bytes and sequences of tokens; what is refused here may still be good enough for another reader.

use super::sequence::{MOST_LITERALS, MOST_UNKNOWN, Sequence};
use crate::deflate::codes::{
    BL_CODES, CODE_LENGTH_ORDER, D_CODES, DISTANCE_BASE, DISTANCE_EXTRA, END_BLOCK, FIXED_LENGTHS, L_CODES,
    LENGTH_BASE, LENGTH_EXTRA, numbered,
};

/// How far matches reach back.
const WINDOW: usize = 32 * 1024;
/// Plain bytes of one step, and a match more.
const STEP: usize = 128 * 1024;
/// Room behind the last byte: a match, and what is copied beyond its end.
const SLACK: usize = 258 + 16;
/// With so many bytes ahead there is a whole header of a block, or some tokens.
const MARGIN: usize = 1024;
/// Compressed bytes that [`Inflater::step`] should be given, unless there are no more.
pub(crate) const WANTED: usize = 16 * 1024;

/// The stream is no DEFLATE, or is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;

/// Inflates one stream.
pub(crate) struct Inflater {
    out: Box<[u8]>,
    /// Where the plain bytes of the last step begin and end.
    start: usize,
    end: usize,
    sequences: Vec<Sequence>,
    /// Literals since the last sequence.
    literals: usize,
    /// Fewer than eight between two steps.
    bits: u64,
    count: u32,
    state: State,
    last: bool,
    symbols: Table<11>,
    distances: Table<9>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    Codes,
    /// So many bytes are left of a stored block.
    Stored(usize),
    End,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            out: vec![0; WINDOW + STEP + SLACK].into(),
            start: 0,
            end: 0,
            sequences: Vec::new(),
            literals: 0,
            bits: 0,
            count: 0,
            state: State::Header,
            last: false,
            symbols: Table::new(),
            distances: Table::new(),
        }
    }

    /// Begins another stream.
    pub(crate) fn reset(&mut self) {
        (self.start, self.end, self.literals) = (0, 0, 0);
        (self.bits, self.count, self.state, self.last) = (0, 0, State::Header, false);
        self.sequences.clear();
    }

    /// The plain bytes of the last step.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.out[self.start..self.end]
    }

    /// The sequences that ended in the last step.
    pub(crate) fn sequences(&self) -> &[Sequence] {
        &self.sequences
    }

    /// Whether the stream has ended.
    pub(crate) fn is_at_end(&self) -> bool {
        self.state == State::End
    }

    /// Inflates some more, and gives how many bytes of `input` are done with. `all` says that nothing comes after
    /// `input`; without it there should be [`WANTED`] bytes.
    pub(crate) fn step(&mut self, input: &[u8], all: bool) -> Result<usize, Damaged> {
        let kept = self.end.min(WINDOW);
        self.out.copy_within(self.end - kept..self.end, 0);
        (self.start, self.end) = (kept, kept);
        self.sequences.clear();
        let mut ahead = Ahead { input, at: 0, bits: self.bits, count: self.count };
        while self.end - self.start < STEP && self.state != State::End {
            if !all && ahead.left() < MARGIN {
                break;
            }
            match self.state {
                State::Header => self.header(&mut ahead)?,
                State::Codes => self.codes(&mut ahead, all)?,
                State::Stored(left) => self.stored(&mut ahead, left)?,
                State::End => {}
            }
        }
        while self.literals >= MOST_LITERALS {
            self.sequences.push(Sequence::full());
            self.literals -= MOST_LITERALS;
        }
        if self.state == State::End && self.literals > 0 {
            self.unknown(0);
        }
        // Whole bytes that were not needed are given back.
        let at = ahead.at.checked_sub((ahead.count >> 3) as usize).ok_or(Damaged)?;
        if at > input.len() {
            return Err(Damaged);
        }
        self.count = ahead.count & 7;
        self.bits = ahead.bits & ((1 << self.count) - 1);
        Ok(at)
    }

    /// Ends the literals in hand, with so many bytes of unknown tokens behind them.
    fn unknown(&mut self, mut bytes: usize) {
        loop {
            let (literals, now) = (self.literals.min(MOST_LITERALS), bytes.min(MOST_UNKNOWN));
            let now = if literals < self.literals { 0 } else { now };
            self.sequences.push(Sequence::unknown(literals, now));
            self.literals -= literals;
            bytes -= now;
            if self.literals == 0 && bytes == 0 {
                return;
            }
        }
    }

    fn header(&mut self, ahead: &mut Ahead<'_>) -> Result<(), Damaged> {
        if self.last {
            // The rest of the last byte is padding.
            ahead.take(ahead.count & 7);
            self.state = State::End;
            return Ok(());
        }
        ahead.fill()?;
        self.last = ahead.take(1) != 0;
        match ahead.take(2) {
            0 => {
                ahead.take(ahead.count & 7);
                ahead.fill()?;
                let (length, not) = (ahead.take(16), ahead.take(16));
                if length != !not & 0xffff {
                    return Err(Damaged);
                }
                // Bytes that were read ahead are read again.
                ahead.at -= (ahead.count >> 3) as usize;
                (ahead.bits, ahead.count) = (0, 0);
                self.state = State::Stored(length as usize);
            }
            1 => {
                self.symbols.fill(&FIXED_LENGTHS, symbol)?;
                self.distances.fill(&[5; D_CODES], distance)?;
                self.state = State::Codes;
            }
            2 => {
                self.lengths(ahead)?;
                self.state = State::Codes;
            }
            _ => return Err(Damaged),
        }
        Ok(())
    }

    fn lengths(&mut self, ahead: &mut Ahead<'_>) -> Result<(), Damaged> {
        let (symbols, distances) = (ahead.take(5) as usize + 257, ahead.take(5) as usize + 1);
        let sent = ahead.take(4) as usize + 4;
        if symbols > L_CODES || distances > D_CODES {
            return Err(Damaged);
        }
        let mut lengths = [0; BL_CODES];
        for &code in &CODE_LENGTH_ORDER[..sent] {
            ahead.fill()?;
            lengths[usize::from(code)] = ahead.take(3) as u8;
        }
        let mut table = [(0u8, 0u8); 128];
        let used: u32 = lengths.iter().filter(|&&len| len > 0).map(|&len| 128 >> len).sum();
        if used > 128 {
            return Err(Damaged);
        }
        for (value, (&code, &len)) in numbered(&lengths).iter().zip(&lengths).enumerate() {
            if len > 0 {
                let places = table[usize::from(code)..].iter_mut().step_by(1 << len);
                places.for_each(|place| *place = (value as u8, len));
            }
        }
        let mut all = [0u8; L_CODES + D_CODES];
        let (mut at, total) = (0, symbols + distances);
        while at < total {
            ahead.fill()?;
            let (value, len) = table[(ahead.bits & 127) as usize];
            if len == 0 {
                return Err(Damaged);
            }
            ahead.take(u32::from(len));
            let (length, times) = match value {
                0..16 => (value, 1),
                16 => (all[at.checked_sub(1).ok_or(Damaged)?], 3 + ahead.take(2) as usize),
                17 => (0, 3 + ahead.take(3) as usize),
                _ => (0, 11 + ahead.take(7) as usize),
            };
            all[..total].get_mut(at..at + times).ok_or(Damaged)?.fill(length);
            at += times;
        }
        if all[END_BLOCK] == 0 {
            return Err(Damaged);
        }
        self.symbols.fill(&all[..symbols], symbol)?;
        self.distances.fill(&all[symbols..total], distance)
    }

    fn stored(&mut self, ahead: &mut Ahead<'_>, left: usize) -> Result<(), Damaged> {
        let now = left.min(ahead.left()).min(STEP - (self.end - self.start));
        if now == 0 && left > 0 {
            return Err(Damaged);
        }
        let bytes = ahead.input.get(ahead.at..ahead.at + now).ok_or(Damaged)?;
        self.out[self.end..self.end + now].copy_from_slice(bytes);
        (self.end, ahead.at) = (self.end + now, ahead.at + now);
        if now > 0 {
            self.unknown(now);
        }
        self.state = if left == now { State::Header } else { State::Stored(left - now) };
        Ok(())
    }

    /// Tokens, until the block ends or there is no room or nothing ahead.
    #[inline(never)]
    fn codes(&mut self, ahead: &mut Ahead<'_>, all: bool) -> Result<(), Damaged> {
        let Ahead { input, mut at, mut bits, mut count } = *ahead;
        let (out, symbols, distances) = (&mut self.out[..], &*self.symbols.entries, &*self.distances.entries);
        let most = self.start + STEP;
        let mut end = self.end;
        // Where the literals in hand begin, as far as they are of this step.
        let mut anchor = end;
        let enough = if all { usize::MAX } else { input.len().saturating_sub(MARGIN) };
        while end < most && at <= enough {
            refill(input, &mut at, &mut bits, &mut count)?;
            let mut entry = symbols[bits as usize & 2047];
            if entry & SUB != 0 {
                entry = sub(symbols, entry, bits, 11);
            }
            if entry & LITERAL != 0 {
                take(&mut bits, &mut count, entry & 15);
                out[end] = (entry >> 16) as u8;
                end += 1;
                // There are bits for a second one.
                entry = symbols[bits as usize & 2047];
                if entry & LITERAL != 0 {
                    take(&mut bits, &mut count, entry & 15);
                    out[end] = (entry >> 16) as u8;
                    end += 1;
                    continue;
                }
                refill(input, &mut at, &mut bits, &mut count)?;
                if entry & SUB != 0 {
                    entry = sub(symbols, entry, bits, 11);
                }
                if entry & LITERAL != 0 {
                    take(&mut bits, &mut count, entry & 15);
                    out[end] = (entry >> 16) as u8;
                    end += 1;
                    continue;
                }
            }
            if entry & BLOCK_END != 0 {
                take(&mut bits, &mut count, entry & 15);
                self.state = State::Header;
                break;
            }
            if entry >> 16 == 0 {
                return Err(Damaged);
            }
            // At most 48 bits of at least 56.
            take(&mut bits, &mut count, entry & 15);
            let length = (entry >> 16) as usize + take(&mut bits, &mut count, entry >> 4 & 15) as usize;
            let mut entry = distances[bits as usize & 511];
            if entry & SUB != 0 {
                entry = sub(distances, entry, bits, 9);
            }
            if entry >> 16 == 0 {
                return Err(Damaged);
            }
            take(&mut bits, &mut count, entry & 15);
            let distance = (entry >> 16) as usize + take(&mut bits, &mut count, entry >> 4 & 15) as usize;
            if distance > end {
                return Err(Damaged);
            }
            let mut literals = self.literals + (end - anchor);
            self.literals = 0;
            while literals >= MOST_LITERALS {
                self.sequences.push(Sequence::full());
                literals -= MOST_LITERALS;
            }
            self.sequences.push(Sequence::matched(literals, length, distance));
            copy(out, end, distance, length);
            end += length;
            anchor = end;
        }
        self.literals += end - anchor;
        self.end = end;
        *ahead = Ahead { input, at, bits, count };
        Ok(())
    }
}

/// Copies a match; some bytes behind its end become others.
#[inline(always)]
fn copy(out: &mut [u8], end: usize, distance: usize, length: usize) {
    let from = end - distance;
    if distance >= 16 {
        let mut done = 0;
        while done < length {
            let mut piece = [0; 16];
            piece.copy_from_slice(&out[from + done..from + done + 16]);
            out[end + done..end + done + 16].copy_from_slice(&piece);
            done += 16;
        }
    } else if distance == 1 {
        let byte = out[from];
        out[end..end + length].fill(byte);
    } else {
        for at in 0..length {
            out[end + at] = out[from + at];
        }
    }
}

#[inline(always)]
fn take(bits: &mut u64, count: &mut u32, number: u32) -> u32 {
    let value = *bits & ((1 << number) - 1);
    *bits >>= number;
    *count -= number;
    value as u32
}

/// At least 56 bits; beyond the end of the input they are zeros, but not for long.
#[inline(always)]
fn refill(input: &[u8], at: &mut usize, bits: &mut u64, count: &mut u32) -> Result<(), Damaged> {
    if let Some(chunk) = input.get(*at..).and_then(|rest| rest.first_chunk::<8>()) {
        *bits |= u64::from_le_bytes(*chunk) << *count;
        *at += ((63 - *count) >> 3) as usize;
        *count |= 56;
        return Ok(());
    }
    while *count < 56 {
        if *at > input.len() + 16 {
            return Err(Damaged);
        }
        *bits |= u64::from(input.get(*at).copied().unwrap_or(0)) << *count;
        *at += 1;
        *count += 8;
    }
    Ok(())
}

/// Compressed bytes ahead.
struct Ahead<'a> {
    input: &'a [u8],
    at: usize,
    bits: u64,
    count: u32,
}

impl Ahead<'_> {
    fn left(&self) -> usize {
        self.input.len().saturating_sub(self.at)
    }

    fn fill(&mut self) -> Result<(), Damaged> {
        // Bits above those that count would be added to.
        self.bits &= (1 << self.count) - 1;
        refill(self.input, &mut self.at, &mut self.bits, &mut self.count)
    }

    /// At most 16 bits of those that [`Self::fill`] gave.
    fn take(&mut self, number: u32) -> u32 {
        take(&mut self.bits, &mut self.count, number)
    }
}

/// The entry is a literal.
const LITERAL: u32 = 1 << 15;
/// The entry ends the block.
const BLOCK_END: u32 = 1 << 14;
/// The code is longer than the table's bits, and goes on elsewhere.
const SUB: u32 = 1 << 13;
const ROOM: usize = 8192;

/// Codes by their first `BITS` bits, and tables for longer ones behind. An entry has the length of its code in the
/// lowest four bits, the number of extra bits in the next four, and its value in the upper half; 0 is no code.
struct Table<const BITS: usize> {
    entries: Box<[u32; ROOM]>,
}

impl<const BITS: usize> Table<BITS> {
    fn new() -> Self {
        match vec![0; ROOM].into_boxed_slice().try_into() {
            Ok(entries) => Self { entries },
            Err(_) => unreachable!("as many entries as the array has"),
        }
    }

    /// Codes of these lengths, at most 15; `value` gives an entry without its length.
    fn fill(&mut self, lengths: &[u8], value: impl Fn(usize) -> u32) -> Result<(), Damaged> {
        let used: u32 = lengths.iter().filter(|&&len| len > 0).map(|&len| 1u32 << (15 - len)).sum();
        if used > 1 << 15 {
            return Err(Damaged);
        }
        let codes = numbered(lengths);
        let first = 1 << BITS;
        self.entries[..first].fill(0);
        let mut longest = [0u8; 2048];
        for (&code, &len) in codes.iter().zip(lengths) {
            let within = usize::from(code) & (first - 1);
            if usize::from(len) > BITS {
                longest[within] = longest[within].max(len - BITS as u8);
            }
        }
        let mut next = first;
        for (symbol, (&code, &len)) in codes.iter().zip(lengths).enumerate() {
            let len = usize::from(len);
            if len == 0 {
                continue;
            }
            let (within, entry) = (usize::from(code) & (first - 1), value(symbol));
            if len <= BITS {
                let places = self.entries[within..first].iter_mut().step_by(1 << len);
                places.for_each(|place| *place = entry | len as u32);
                continue;
            }
            let more = usize::from(longest[within]);
            if self.entries[within] & SUB == 0 {
                self.entries[next..next + (1 << more)].fill(0);
                self.entries[within] = (next as u32) << 16 | SUB | (more as u32) << 4;
                next += 1 << more;
            }
            let from = (self.entries[within] >> 16) as usize;
            let places = self.entries[from..from + (1 << more)].iter_mut();
            let places = places.skip(usize::from(code) >> BITS).step_by(1 << (len - BITS));
            places.for_each(|place| *place = entry | len as u32);
        }
        Ok(())
    }
}

/// The entry of a longer code.
#[inline(always)]
fn sub(entries: &[u32; ROOM], entry: u32, bits: u64, first: u32) -> u32 {
    let within = (bits >> first) as usize & ((1 << (entry >> 4 & 15)) - 1);
    entries[((entry >> 16) as usize + within) & (ROOM - 1)]
}

fn symbol(symbol: usize) -> u32 {
    match symbol {
        0..END_BLOCK => (symbol as u32) << 16 | LITERAL,
        END_BLOCK => BLOCK_END,
        _ => match (LENGTH_BASE.get(symbol - 257), LENGTH_EXTRA.get(symbol - 257)) {
            (Some(&base), Some(&extra)) => u32::from(base + 3) << 16 | u32::from(extra) << 4,
            // The fixed codes have two that stand for nothing.
            _ => 0,
        },
    }
}

fn distance(symbol: usize) -> u32 {
    u32::from(DISTANCE_BASE[symbol] + 1) << 16 | u32::from(DISTANCE_EXTRA[symbol]) << 4
}
