//! Takes the tokens and the block headers out of a DEFLATE stream (RFC 1951), and inflates it on the way.
//! Takes compressed bytes, gives tokens, headers and plain bytes.

use std::collections::VecDeque;
use std::io;

use super::header::Header;
use super::predict::Plain;
use crate::deflate::codes::{
    BL_CODES, CODE_LENGTH_ORDER, D_CODES, DISTANCE_BASE, DISTANCE_EXTRA, FIXED_LENGTHS, L_CODES, LENGTH_BASE,
    LENGTH_EXTRA, numbered,
};
use crate::deflate::trees::Run;
use crate::source::Source;

/// What a stream is made of, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A block begins; whether it is the last.
    Begin(Kind, bool),
    /// A literal: the next plain byte.
    Literal,
    /// A match of a length at a distance.
    Match(u16, u16),
    /// The block ends.
    End,
}

/// The type of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// So many bytes, behind these bits that fill the byte up, and nothing else.
    Stored(u16, u8),
    /// Fixed codes.
    Fixed,
    /// Codes of its own.
    Dynamic(Box<Header>),
}

/// Reads events.
pub(crate) struct TokenReader {
    bits: u64,
    count: u32,
    literals: Table,
    distances: Table,
    inside: bool,
    last: bool,
    /// Bits behind the last block, up to seven.
    pub(crate) padding: u8,
}

/// The stream is no DEFLATE, or none that can be coded.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    Damaged,
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl TokenReader {
    pub(crate) fn new() -> Self {
        Self {
            bits: 0,
            count: 0,
            literals: Table::default(),
            distances: Table::default(),
            inside: false,
            last: false,
            padding: 0,
        }
    }

    /// Reads up to `most` events; false at the end of the stream. Whole bytes of the source that were not
    /// needed are given back then.
    pub(crate) fn read(
        &mut self,
        source: &mut Source<'_>,
        most: usize,
        plain: &mut Plain,
        events: &mut VecDeque<Event>,
    ) -> Result<bool, ReadError> {
        for _ in 0..most {
            if !self.inside {
                if self.last {
                    let (unused, padding) = (self.count >> 3, self.count & 7);
                    self.padding = (self.bits & ((1 << padding) - 1)) as u8;
                    let end = source.position() - u64::from(unused);
                    source.seek(end)?;
                    return Ok(false);
                }
                self.begin(source, plain, events)?;
                continue;
            }
            self.fill(source)?;
            let (symbol, len) = self.literals.get(self.bits as u16).ok_or(ReadError::Damaged)?;
            self.take(len)?;
            match symbol {
                0..256 => {
                    plain.push(symbol as u8);
                    events.push_back(Event::Literal);
                }
                256 => {
                    self.inside = false;
                    events.push_back(Event::End);
                }
                _ => {
                    let code = symbol as usize - 257;
                    let base = *LENGTH_BASE.get(code).ok_or(ReadError::Damaged)?;
                    let len = base + 3 + self.take(u32::from(LENGTH_EXTRA[code]))? as u16;
                    let (code, bits) = self.distances.get(self.bits as u16).ok_or(ReadError::Damaged)?;
                    self.take(bits)?;
                    let code = code as usize;
                    let base = *DISTANCE_BASE.get(code).ok_or(ReadError::Damaged)?;
                    let distance = base + 1 + self.take(u32::from(DISTANCE_EXTRA[code]))? as u16;
                    // 258 has a code of its own, and is also 227 with 31: no writer does that.
                    if len > 258 || (len == 258 && symbol != 285) {
                        return Err(ReadError::Damaged);
                    }
                    if !plain.copy(distance as usize, len as usize) {
                        return Err(ReadError::Damaged);
                    }
                    events.push_back(Event::Match(len, distance));
                }
            }
        }
        Ok(true)
    }

    fn begin(
        &mut self,
        source: &mut Source<'_>,
        plain: &mut Plain,
        events: &mut VecDeque<Event>,
    ) -> Result<(), ReadError> {
        self.fill(source)?;
        self.last = self.take(1)? != 0;
        match self.take(2)? {
            0 => {
                let padding = self.take(self.count & 7)? as u8;
                self.fill(source)?;
                let (len, not) = (self.take(16)? as u16, self.take(16)? as u16);
                if len != !not {
                    return Err(ReadError::Damaged);
                }
                events.push_back(Event::Begin(Kind::Stored(len, padding), self.last));
                let mut left = len as usize;
                while left > 0 && self.count > 0 {
                    plain.push(self.take(8)? as u8);
                    left -= 1;
                }
                while left > 0 {
                    let bytes = source.peek(1)?;
                    if bytes.is_empty() {
                        return Err(ReadError::Damaged);
                    }
                    let now = left.min(bytes.len());
                    plain.extend(&bytes[..now]);
                    source.skip(now);
                    left -= now;
                }
                events.push_back(Event::End);
                return Ok(());
            }
            1 => {
                self.literals = Table::new(&FIXED_LENGTHS).ok_or(ReadError::Damaged)?;
                self.distances = Table::new(&[5; 32]).ok_or(ReadError::Damaged)?;
                events.push_back(Event::Begin(Kind::Fixed, self.last));
            }
            2 => {
                let header = self.header(source)?;
                self.literals = Table::new(&header.literals).ok_or(ReadError::Damaged)?;
                self.distances = Table::new(&header.distances).ok_or(ReadError::Damaged)?;
                events.push_back(Event::Begin(Kind::Dynamic(Box::new(header)), self.last));
            }
            _ => return Err(ReadError::Damaged),
        }
        self.inside = true;
        Ok(())
    }

    fn header(&mut self, source: &mut Source<'_>) -> Result<Header, ReadError> {
        let literals = self.take(5)? as usize + 257;
        let distances = self.take(5)? as usize + 1;
        let sent = self.take(4)? as usize + 4;
        if literals > L_CODES || distances > D_CODES {
            return Err(ReadError::Damaged);
        }
        let mut lengths = [0; BL_CODES];
        for &symbol in &CODE_LENGTH_ORDER[..sent] {
            self.fill(source)?;
            lengths[symbol as usize] = self.take(3)? as u8;
        }
        let table = Table::new(&lengths).ok_or(ReadError::Damaged)?;
        let mut all = Vec::with_capacity(literals + distances);
        let mut runs = Vec::new();
        while all.len() < literals + distances {
            self.fill(source)?;
            let (symbol, len) = table.get(self.bits as u16).ok_or(ReadError::Damaged)?;
            self.take(len)?;
            let mut run = Run { symbol: symbol as u8, extra: 0 };
            run.extra = self.take(run.extra_bits())? as u8;
            let length = match symbol {
                0..16 => symbol as u8,
                16 => *all.last().ok_or(ReadError::Damaged)?,
                _ => 0,
            };
            all.resize(all.len() + run.covers(), length);
            runs.push(run);
        }
        if all.len() != literals + distances {
            return Err(ReadError::Damaged);
        }
        let distances = all.split_off(literals);
        Ok(Header { literals: all, distances, runs, lengths, sent })
    }

    /// At least 48 bits, unless the source ends.
    #[inline(always)]
    fn fill(&mut self, source: &mut Source<'_>) -> io::Result<()> {
        while self.count < 48 {
            let bytes = source.peek(1)?;
            if bytes.is_empty() {
                break;
            }
            let now = bytes.len().min(((64 - self.count) >> 3) as usize);
            for &byte in &bytes[..now] {
                self.bits |= u64::from(byte) << self.count;
                self.count += 8;
            }
            source.skip(now);
        }
        Ok(())
    }

    #[inline(always)]
    fn take(&mut self, count: u32) -> Result<u32, ReadError> {
        if count > self.count {
            return Err(ReadError::Damaged);
        }
        let bits = self.bits & ((1 << count) - 1);
        self.bits >>= count;
        self.count -= count;
        Ok(bits as u32)
    }
}

/// Codes by their bits.
#[derive(Default)]
struct Table {
    /// (symbol << 4) | length, or 0, for the next bits.
    entries: Vec<u16>,
    mask: u16,
}

impl Table {
    /// `None` if there are more codes than bits for them.
    fn new(lengths: &[u8]) -> Option<Self> {
        let longest = u32::from(lengths.iter().copied().max()?);
        if longest > 15 {
            return None;
        }
        let used: u32 = lengths.iter().filter(|&&len| len > 0).map(|&len| 1u32 << (15 - len)).sum();
        if used > 1 << 15 {
            return None;
        }
        let mut entries = vec![0; 1 << longest];
        for (symbol, (&code, &len)) in numbered(lengths).iter().zip(lengths).enumerate() {
            if len > 0 {
                let entry = (symbol as u16) << 4 | u16::from(len);
                entries[code as usize..].iter_mut().step_by(1 << len).for_each(|place| *place = entry);
            }
        }
        Some(Self { mask: (entries.len() - 1) as u16, entries })
    }

    #[inline(always)]
    fn get(&self, bits: u16) -> Option<(u16, u32)> {
        let entry = *self.entries.get((bits & self.mask) as usize)?;
        (entry != 0).then_some((entry >> 4, u32::from(entry & 15)))
    }
}
