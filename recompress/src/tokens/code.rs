//! The coding of tokens and blocks as differences from what is foreseen. The same functions write
//! corrections and read them.

use std::io;

use super::coder::{Chance, Coder};
use super::header::{Header, HeaderChances};
use super::predict::{Candidate, Candidates, Hash, Plain};
use super::reader::Kind;
use crate::deflate::codes::{
    D_CODES, END_BLOCK, L_CODES, LENGTH_CODE, MAX_MATCH, MIN_MATCH, distance_code_of,
};
use crate::varint::Reader;

/// A block with more tokens is not coded: they are in memory until it ends.
pub(crate) const MAX_TOKENS: u32 = 1 << 20;

/// How the program that wrote a stream is thought to look for matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// How it finds them.
    pub(crate) hash: Hash,
    /// Candidates that it looks at: 1 to 255.
    pub(crate) depth: u8,
    /// Positions of a match that it enters into its table; 255 for all.
    pub(crate) entered: u8,
    /// Whether the next position is considered.
    pub(crate) lazy: bool,
    /// Whether a block's header stands before its tokens in the corrections, and not behind them, where more
    /// is known: for blocks that are too long to be kept in memory.
    pub(crate) header_first: bool,
}

impl Settings {
    /// What is tried for a program that is not known.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let some = [
            (Hash::Four, 1, 255, false),
            (Hash::Four, 1, 3, false),
            (Hash::Four, 1, 1, false),
            (Hash::Four, 1, 255, true),
            (Hash::Three, 1, 255, false),
            (Hash::Three, 8, 255, false),
            (Hash::Three, 8, 4, false),
            (Hash::Three, 16, 255, true),
            (Hash::Three, 128, 255, true),
            (Hash::Four, 16, 255, true),
            (Hash::IgzipCrc, 1, 4, true),
            (Hash::IgzipCrc, 1, 3, false),
            (Hash::IgzipCrcLarge, 1, 4, true),
            (Hash::IgzipCrcLarge, 1, 3, false),
            (Hash::IgzipProduct, 1, 255, false),
            (Hash::IgzipProduct, 1, 255, true),
        ];
        let settings =
            |(hash, depth, entered, lazy)| Self { hash, depth, entered, lazy, header_first: false };
        some.into_iter().map(settings)
    }

    /// The four bytes that [`crate::Recipe`] specifies.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let hash = match self.hash {
            Hash::Three => 3,
            Hash::Four => 4,
            Hash::IgzipCrc => 5,
            Hash::IgzipProduct => 6,
            Hash::IgzipCrcLarge => 7,
        };
        let flags = u8::from(self.lazy) | u8::from(self.header_first) << 1;
        out.extend([hash, self.depth, self.entered, flags]);
    }

    /// The inverse of [`Settings::write`].
    pub(crate) fn read(bytes: &mut Reader<'_>) -> Option<Self> {
        let hash = match bytes.byte()? {
            3 => Hash::Three,
            4 => Hash::Four,
            5 => Hash::IgzipCrc,
            6 => Hash::IgzipProduct,
            7 => Hash::IgzipCrcLarge,
            _ => return None,
        };
        let depth = bytes.byte().filter(|&depth| depth > 0)?;
        let entered = bytes.byte().filter(|&entered| entered > 0)?;
        let flags = bytes.byte().filter(|&flags| flags < 4)?;
        Some(Self { hash, depth, entered, lazy: flags & 1 != 0, header_first: flags & 2 != 0 })
    }

    fn entered(self) -> usize {
        if self.entered == u8::MAX { MAX_MATCH } else { self.entered.into() }
    }
}

/// A token: a literal, or a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Literal,
    Match(Candidate),
    End,
}

/// What is known of the stream so far.
pub(crate) struct Model {
    settings: Settings,
    end: [[Chance; 3]; 4],
    kind: [[Chance; 4]; 4],
    stored: [Chance; 2],
    copy: Vec<Chance>,
    choice: [[Chance; 8]; 9],
    full: [Chance; 12],
    len: [Chance; 256],
    distance: [Chance; 256],
    header: HeaderChances,
    last_kind: usize,
    last_stored: u16,
    last_tokens: u32,
    tokens: u32,
    literals: [u32; L_CODES],
    distances: [u32; D_CODES],
    next: Option<Candidates>,
    deferred: usize,
}

impl Model {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            end: Default::default(),
            kind: Default::default(),
            stored: Default::default(),
            copy: vec![Chance::default(); 12 * 5 * 4],
            choice: Default::default(),
            full: Default::default(),
            len: [Chance::default(); 256],
            distance: [Chance::default(); 256],
            header: HeaderChances::default(),
            last_kind: 0,
            last_stored: 0,
            last_tokens: 0,
            tokens: 0,
            literals: [0; L_CODES],
            distances: [0; D_CODES],
            next: None,
            deferred: 0,
        }
    }

    /// The type of a block, with what is known before its tokens.
    pub(crate) fn begin(&mut self, coder: &mut impl Coder, kind: &Kind) -> io::Result<Kind> {
        let number = match kind {
            Kind::Stored(..) => 0,
            Kind::Fixed => 1,
            Kind::Dynamic(_) => 2,
        };
        let number = coder.tree(&mut self.kind[self.last_kind], number)?;
        self.last_kind = number as usize & 3;
        self.tokens = 0;
        self.literals = [0; L_CODES];
        self.distances = [0; D_CODES];
        Ok(match number {
            0 => {
                let (len, padding) = match *kind {
                    Kind::Stored(len, padding) => (len, padding),
                    _ => (0, 0),
                };
                let mut given = self.last_stored;
                if !coder.bit(&mut self.stored[0], len == given)? {
                    given = coder.raw(len.into(), 16)? as u16;
                    self.last_stored = given;
                }
                let padding = coding_of_padding(coder, &mut self.stored[1], padding)?;
                // Matches do not cross a stored block's edge, and what was foreseen is void.
                self.next = None;
                Kind::Stored(given, padding)
            }
            1 => Kind::Fixed,
            2 => match kind {
                Kind::Dynamic(header) => Kind::Dynamic(header.clone()),
                _ => Kind::Dynamic(Box::new(Header {
                    literals: Vec::new(),
                    distances: Vec::new(),
                    runs: Vec::new(),
                    lengths: [0; 19],
                    sent: 4,
                })),
            },
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }

    /// The header of a block, behind its tokens. `None` when reading.
    pub(crate) fn header(&mut self, coder: &mut impl Coder, actual: Option<&Header>) -> io::Result<Header> {
        self.literals[END_BLOCK] = 1;
        Header::code(coder, &mut self.header, &scaled(&self.literals), &scaled(&self.distances), actual)
    }

    /// Whether a block was the last.
    pub(crate) fn last(&mut self, coder: &mut impl Coder, last: bool) -> io::Result<bool> {
        coder.bit(&mut self.end[3][0], last)
    }

    /// Bits that fill the last byte up, mostly zeros.
    pub(crate) fn padding(&mut self, coder: &mut impl Coder, padding: u8) -> io::Result<u8> {
        coding_of_padding(coder, &mut self.stored[1], padding)
    }

    /// A token at the present position, or the block's end. The plain bytes go on behind it.
    pub(crate) fn token(
        &mut self,
        coder: &mut impl Coder,
        plain: &mut Plain,
        actual: Token,
    ) -> io::Result<Token> {
        let usual = match self.tokens.cmp(&self.last_tokens) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => 1,
            std::cmp::Ordering::Greater => 2,
        };
        let ended = plain.ahead() == 0;
        let context = if ended { 2 } else { usize::from(self.tokens & 0xfff == 0) };
        if coder.bit(&mut self.end[context][usual], actual == Token::End)? {
            self.last_tokens = self.tokens;
            return Ok(Token::End);
        }
        if ended || (self.tokens == MAX_TOKENS && !self.settings.header_first) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.tokens = self.tokens.saturating_add(1);

        let here = match self.next.take() {
            Some(next) => next,
            None => plain.candidates(0),
        };
        plain.enter_here();
        let next = (self.settings.lazy && here.longest() > 0).then(|| plain.candidates(1));
        let context = self.context(&here, next.as_ref());
        if !coder.bit(&mut self.copy[context], actual != Token::Literal)? {
            count(&mut self.literals[plain.rest()[0] as usize]);
            self.deferred = here.longest();
            self.next = next;
            plain.step();
            return Ok(Token::Literal);
        }
        let actual = match actual {
            Token::Match(candidate) => candidate,
            _ => Candidate::default(),
        };
        let found = self.copy(coder, plain, &here, actual)?;
        count(&mut self.literals[257 + LENGTH_CODE[found.len - MIN_MATCH] as usize]);
        count(&mut self.distances[distance_code_of(found.distance - 1)]);
        self.deferred = 0;
        plain.step();
        plain.advance(found.len - 1, self.settings.entered() - 1);
        Ok(Token::Match(found))
    }

    fn copy(
        &mut self,
        coder: &mut impl Coder,
        plain: &Plain,
        here: &Candidates,
        actual: Candidate,
    ) -> io::Result<Candidate> {
        let list = here.list();
        let mut distance = None;
        // The longest first, for most programs take it.
        for (n, candidate) in list.iter().rev().enumerate() {
            let chance = &mut self.choice[list.len()][n];
            if coder.bit(chance, candidate.distance == actual.distance)? {
                distance = Some(candidate.distance);
                break;
            }
        }
        let distance = match distance {
            Some(distance) => distance,
            None => {
                let given = (actual.distance.wrapping_sub(1) & 0x7fff) as u32;
                let high = coder.tree(&mut self.distance, given >> 7)?;
                (high << 7 | coder.raw(given & 0x7f, 7)?) as usize + 1
            }
        };
        let longest = plain.match_len(0, distance);
        if longest < MIN_MATCH {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let full = &mut self.full[bucket(longest)];
        if coder.bit(full, actual.len == longest)? {
            return Ok(Candidate { len: longest, distance });
        }
        let len = coder.tree(&mut self.len, actual.len.wrapping_sub(MIN_MATCH) as u32 & 0xff)? as usize;
        if len + MIN_MATCH > longest {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Candidate { len: len + MIN_MATCH, distance })
    }

    /// What a decision between literal and match depends on.
    fn context(&self, here: &Candidates, next: Option<&Candidates>) -> usize {
        let longest = here.longest();
        let far = here.list().last().is_some_and(|found| found.len == MIN_MATCH && found.distance > 4096);
        let length = if far { 11 } else { bucket(longest) };
        let better = match next.map_or(0, Candidates::longest) {
            0 => 0,
            next if next < longest => 1,
            next if next == longest => 2,
            next if next == longest + 1 => 3,
            _ => 4,
        };
        let deferred = match self.deferred {
            0 => 0,
            before if before < longest => 1,
            before if before == longest => 2,
            _ => 3,
        };
        (length * 5 + better) * 4 + deferred
    }
}

/// Counts of blocks without end stop: no sum of them overflows.
fn count(count: &mut u32) {
    if *count < MAX_TOKENS {
        *count += 1;
    }
}

fn coding_of_padding(coder: &mut impl Coder, chance: &mut Chance, padding: u8) -> io::Result<u8> {
    if coder.bit(chance, padding == 0)? { Ok(0) } else { Ok(coder.raw(padding.into(), 7)? as u8) }
}

fn bucket(len: usize) -> usize {
    match len {
        0..3 => 0,
        3 => 1,
        4 => 2,
        5 => 3,
        6 => 4,
        7..9 => 5,
        9..16 => 6,
        16..32 => 7,
        32..64 => 8,
        64..258 => 9,
        _ => 10,
    }
}

/// Counts that fit zlib's 16 bits, with none that vanishes.
fn scaled<const N: usize>(counts: &[u32; N]) -> [u16; N] {
    let total: u32 = counts.iter().sum();
    let shift = (32 - total.leading_zeros()).saturating_sub(15);
    counts.map(|count| if count == 0 { 0 } else { (count >> shift).max(1) as u16 })
}
