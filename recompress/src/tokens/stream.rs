//! A whole stream: its corrections written, and the stream written again from plain bytes and corrections.
//! Takes and gives bytes in order, within bounded memory.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use super::code::{Model, Settings, Token};
use super::coder::{Decoder, Writer};
use super::header::Header;
use super::predict::{Candidate, LOOKAHEAD, Plain};
use super::reader::{Event, Kind, ReadError, TokenReader};
use crate::deflate::codes::{
    D_CODES, DISTANCE_BASE, DISTANCE_EXTRA, END_BLOCK, FIXED_LENGTHS, LENGTH_BASE, LENGTH_CODE, LENGTH_EXTRA,
    MIN_MATCH, distance_code_of, numbered,
};
use crate::deflate::{BitWriter, Bulk};
use crate::source::Source;

/// Events that are read at a time; each is at most 258 plain bytes or one stored block.
const EVENTS: usize = 64;
/// Plain bytes of the longest stored block, and what is looked at behind it.
const ENOUGH: usize = (1 << 16) + LOOKAHEAD;
/// Finished bytes are passed on from this many on.
const FLUSH: usize = 64 * 1024;

/// What went wrong when a stream was written again.
#[derive(Debug)]
pub(crate) enum CorrectionsError<E> {
    /// The corrections end too early, or lead nowhere.
    Damaged,
    /// The corrections cannot be read.
    Read(io::Error),
    /// The plain bytes cannot be read.
    Plain(E),
    /// The stream cannot be written.
    Write(E),
}

/// What corrections came to.
pub(crate) struct Corrected {
    /// Whether the stream was coded to its end. Otherwise it ended in a way that no program would choose,
    /// or became too expensive, or `most` plain bytes were reached.
    pub(crate) complete: bool,
    /// Bytes of corrections.
    pub(crate) len: u64,
    /// How many blocks ended.
    pub(crate) blocks: u64,
}

/// Reads a stream from `source` and writes its corrections, at most a quarter of the stream. It ends after
/// about `most` plain bytes. The outer error is of reading, the inner of writing.
pub(crate) fn correct(
    source: &mut Source<'_>,
    settings: Settings,
    most: u64,
    out: &mut dyn Write,
) -> io::Result<Result<Corrected, io::Error>> {
    let begin = source.position();
    let mut coder = Writer::new();
    let mut model = Model::new(settings);
    let mut plain = Plain::new(settings.hash, settings.depth.into());
    let mut reader = TokenReader::new();
    let mut events = VecDeque::new();
    let (mut more, mut kind) = (true, None);
    let (mut len, mut taken, mut blocks) = (0u64, 0u64, 0u64);
    loop {
        // As much as a reader of the corrections sees at this point, or the whole rest.
        while more && plain.ahead() < ahead_of(events.front()) {
            plain.room();
            more = match reader.read(source, EVENTS, &mut plain, &mut events) {
                Ok(more) => more,
                Err(ReadError::Io(error)) => return Err(error),
                Err(ReadError::Damaged) => return Ok(Ok(Corrected { complete: false, len, blocks })),
            };
        }
        let Some(event) = events.pop_front() else {
            break;
        };
        let before = plain.ahead();
        match &event {
            Event::Begin(begun, last) => {
                model.begin(&mut coder, begun)?;
                if let Kind::Stored(size, _) = begun {
                    plain.advance((*size).into(), usize::MAX);
                } else if settings.header_first {
                    head(&mut model, &mut coder, begun, *last)?;
                }
                kind = Some((begun.clone(), *last));
            }
            Event::Literal => {
                if model.token(&mut coder, &mut plain, Token::Literal).is_err() {
                    return Ok(Ok(Corrected { complete: false, len, blocks }));
                }
            }
            &Event::Match(len_, distance) => {
                let found = Candidate { len: len_.into(), distance: distance.into() };
                if model.token(&mut coder, &mut plain, Token::Match(found)).is_err() {
                    return Ok(Ok(Corrected { complete: false, len, blocks }));
                }
            }
            Event::End => {
                let Some((kind, last)) = kind.take() else {
                    break;
                };
                blocks += 1;
                if matches!(kind, Kind::Stored(..)) {
                    model.last(&mut coder, last)?;
                    continue;
                }
                model.token(&mut coder, &mut plain, Token::End)?;
                if !settings.header_first {
                    head(&mut model, &mut coder, &kind, last)?;
                }
            }
        }
        taken += (before - plain.ahead()) as u64;
        if coder.out().len() >= FLUSH {
            len += coder.out().len() as u64;
            if let Err(error) = out.write_all(coder.out()) {
                return Ok(Err(error));
            }
            coder.out().clear();
            // What does not pay is not worth the time either: a quarter of the stream.
            if len > (source.position() - begin) / 4 {
                return Ok(Ok(Corrected { complete: false, len, blocks }));
            }
        }
        if taken >= most {
            len += coder.out().len() as u64;
            return Ok(Ok(Corrected { complete: false, len, blocks }));
        }
    }
    model.padding(&mut coder, reader.padding)?;
    coder.finish();
    len += coder.out().len() as u64;
    if let Err(error) = out.write_all(coder.out()) {
        return Ok(Err(error));
    }
    Ok(Ok(Corrected { complete: true, len, blocks }))
}

/// The header of a block with codes, and whether it is the last.
fn head(model: &mut Model, coder: &mut Writer, kind: &Kind, last: bool) -> io::Result<()> {
    if let Kind::Dynamic(header) = kind {
        model.header(coder, Some(header))?;
    }
    model.last(coder, last)?;
    Ok(())
}

/// How many plain bytes the coding of an event may look at.
fn ahead_of(event: Option<&Event>) -> usize {
    match event {
        Some(Event::Begin(Kind::Stored(len, _), _)) => LOOKAHEAD + usize::from(*len),
        _ => LOOKAHEAD,
    }
}

/// Writes a stream of `size` plain bytes again, which `more` gives a few at a time.
pub(crate) fn restore<E>(
    settings: Settings,
    size: u64,
    corrections: &mut dyn Read,
    mut more: impl FnMut(usize, &mut Plain) -> Result<usize, E>,
    mut write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), CorrectionsError<E>> {
    let mut coder = Decoder::new(corrections).map_err(io_error)?;
    let mut model = Model::new(settings);
    let mut plain = Plain::new(settings.hash, settings.depth.into());
    let mut left = size;
    let mut bits = BitWriter::default();
    let (mut out, mut tokens) = (Vec::new(), Vec::new());
    let mut fill = |plain: &mut Plain, left: &mut u64| -> Result<(), CorrectionsError<E>> {
        while *left > 0 && plain.ahead() < ENOUGH {
            let room = plain.room().min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= more(room, plain).map_err(CorrectionsError::Plain)? as u64;
        }
        Ok(())
    };
    loop {
        fill(&mut plain, &mut left)?;
        let kind = model.begin(&mut coder, &Kind::Fixed).map_err(io_error)?;
        let last;
        if let Kind::Stored(len, padding) = kind {
            let len = usize::from(len);
            if plain.ahead() < len {
                return Err(CorrectionsError::Damaged);
            }
            last = model.last(&mut coder, false).map_err(io_error)?;
            bits.put(u64::from(last), 3, &mut out);
            let fill_up = (8 - bits.pending()) & 7;
            bits.put(u64::from(padding) & ((1 << fill_up) - 1), fill_up, &mut out);
            out.extend((len as u16).to_le_bytes());
            out.extend((!len as u16).to_le_bytes());
            out.extend_from_slice(&plain.rest()[..len]);
            plain.advance(len, usize::MAX);
        } else {
            let dynamic = matches!(kind, Kind::Dynamic(_));
            tokens.clear();
            let mut codes = None;
            last = loop {
                if codes.is_none() && (settings.header_first || tokens.last() == Some(&END)) {
                    let header = match dynamic {
                        true => Some(model.header(&mut coder, None).map_err(io_error)?),
                        false => None,
                    };
                    let last = model.last(&mut coder, false).map_err(io_error)?;
                    bits.put(u64::from(last) | if dynamic { 4 } else { 2 }, 3, &mut out);
                    if let Some(header) = &header {
                        header.write(&mut bits, &mut out);
                    }
                    codes = Some((Codes::of(header), last));
                }
                let ended = tokens.last() == Some(&END);
                if let Some((codes, last)) = &codes
                    && (ended || tokens.len() >= FLUSH)
                {
                    if !codes.write(&tokens, &mut bits, &mut out) {
                        return Err(CorrectionsError::Damaged);
                    }
                    tokens.clear();
                    write(&out).map_err(CorrectionsError::Write)?;
                    out.clear();
                    if ended {
                        break *last;
                    }
                }
                if plain.ahead() < LOOKAHEAD {
                    fill(&mut plain, &mut left)?;
                }
                let literal = plain.rest().first().copied().unwrap_or_default();
                tokens.push(match model.token(&mut coder, &mut plain, Token::Literal).map_err(io_error)? {
                    Token::Literal => u32::from(literal),
                    Token::Match(found) => (found.distance as u32) << 9 | found.len as u32,
                    Token::End => END,
                });
            };
        }
        if out.len() >= FLUSH {
            write(&out).map_err(CorrectionsError::Write)?;
            out.clear();
        }
        if last {
            break;
        }
    }
    let padding = model.padding(&mut coder, 0).map_err(io_error)?;
    let fill_up = (8 - bits.pending()) & 7;
    bits.put(u64::from(padding) & ((1 << fill_up) - 1), fill_up, &mut out);
    if plain.ahead() > 0 || left > 0 {
        return Err(CorrectionsError::Damaged);
    }
    write(&out).map_err(CorrectionsError::Write)
}

/// The token that ends a block. Others are literals, or (distance << 9) | length.
const END: u32 = END_BLOCK as u32;

/// The codes of a block.
struct Codes {
    literals: Vec<u8>,
    distances: Vec<u8>,
    literal_codes: Vec<u16>,
    distance_codes: Vec<u16>,
}

impl Codes {
    /// Those of a header, or the fixed ones.
    fn of(header: Option<Header>) -> Self {
        let (literals, distances) = match header {
            Some(header) => (header.literals, header.distances),
            None => (FIXED_LENGTHS.to_vec(), vec![5; D_CODES]),
        };
        let (literal_codes, distance_codes) = (numbered(&literals), numbered(&distances));
        Self { literals, distances, literal_codes, distance_codes }
    }

    fn literal(&self, symbol: usize) -> Option<(u64, u32)> {
        let len = self.literals.get(symbol).copied().filter(|&len| len > 0)?;
        Some((self.literal_codes[symbol].into(), len.into()))
    }

    fn distance(&self, symbol: usize) -> Option<(u64, u32)> {
        let len = self.distances.get(symbol).copied().filter(|&len| len > 0)?;
        Some((self.distance_codes[symbol].into(), len.into()))
    }

    /// Writes tokens; false if one has no code.
    fn write(&self, tokens: &[u32], bits: &mut BitWriter, out: &mut Vec<u8>) -> bool {
        // A match takes 15 + 5 + 15 + 13 bits at most.
        let mut bulk = bits.bulk(6 * tokens.len(), out);
        let whole = tokens.iter().all(|&token| self.write_token(token, &mut bulk).is_some());
        bulk.end();
        whole
    }

    #[inline(always)]
    fn write_token(&self, token: u32, bulk: &mut Bulk<'_>) -> Option<()> {
        let distance = (token >> 9) as usize;
        if distance == 0 {
            let (code, count) = self.literal(token as usize)?;
            bulk.put(code, count);
            return Some(());
        }
        let len = (token & 511) as usize - MIN_MATCH;
        let symbol = LENGTH_CODE[len & 255] as usize;
        let (code, count) = self.literal(257 + symbol)?;
        bulk.put(code, count);
        bulk.put((len - LENGTH_BASE[symbol] as usize) as u64, LENGTH_EXTRA[symbol].into());
        let symbol = distance_code_of(distance - 1);
        let (code, count) = self.distance(symbol)?;
        bulk.put(code, count);
        let extra = distance - 1 - DISTANCE_BASE[symbol] as usize;
        bulk.put(extra as u64, DISTANCE_EXTRA[symbol].into());
        Some(())
    }
}

fn io_error<E>(error: io::Error) -> CorrectionsError<E> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => CorrectionsError::Damaged,
        _ => CorrectionsError::Read(error),
    }
}
