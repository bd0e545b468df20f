//! What is needed, besides the plain bytes, to write a compressed blob again: a recipe of a few bytes.
//!
//! # Encoding, versions 1 to 3
//! A recipe is the byte 1; or 2, if it has parts of kind 5; or 3, if it has parts of kind 6 to 8. Then come parts, in the
//! order of the blob's bytes, up to the end of the recipe.
//! `number` is an unsigned LEB128 number below 2⁶⁴ in its shortest form. Each part begins with one byte:
//!
//! | byte | then | the blob goes on with |
//! |---|---|---|
//! | 0 | number *n*, *n* bytes | these bytes |
//! | 1 | model, number *n* (1 to 65,536), *n* bytes, number *p* | a gzip member: these *n* bytes (its header); the DEFLATE stream of the model for the next *p* plain bytes; their CRC-32 and *p* modulo 2³², four bytes each, the lowest first |
//! | 2 | number *p* | a gzip member as the last part of kind 1 or 3, of *p* plain bytes |
//! | 3 | hash (3 to 7), depth (1 to 255), entered (1 to 255), flags (1 lazy, 2 headers first), a byte each; number *n*, *n* bytes, number *p* | a gzip member as kind 1, but the DEFLATE stream comes from the next corrections, which are beside the recipe |
//! | 4 | level (1 to 9), flags (1 checksum, 2 size in the header, 4 end given after the last bytes), number *p* | a frame of libzstd 1.5 with one thread, of the next *p* plain bytes |
//! | 5 (version 2) | number *n* (at least 1), *n* runs | nothing; the next part is of kind 1, or 2 after one of kind 1, with the model 4 of a level from 4 on: runs of tokens in its stream that the encoder does not choose |
//! | 6 (version 3) | version (0 to 4), level (0 to 3), form (0 to 4), window (10 to 23), flags (1 checksum, 2 other literals, 4 no entropy, 8 large blocks), first block (0 to 255), a byte each; number *p* | a frame of `github.com/klauspost/compress/zstd`, of the next *p* plain bytes |
//! | 7 (version 3) | number *p* | a frame as the last part of kind 6, of *p* plain bytes |
//! | 8 (version 3) | number *n* (at least 1), number *p* | *n* bytes of the corrections as they are, which stand for the next *p* plain bytes: a skippable frame, or a frame of another encoder among many of a known one |
//!
//! A blob of *c* bytes has at most 16 + *c* / 128 gzip members, and 16 + *c* / 32 parts of kinds 4 and 6 to 8. There are at
//! most 1,024 parts of kind 6.
//!
//! A run is four numbers: the plain bytes since the end of the run before (at first of the member); the position of a base
//! among those of the difference; where the run begins in the plain bytes of that base, less where the run before ended in
//! the plain bytes of its own, at first 0, as 2 *d*, or for a negative *d* as -2 *d* - 1; and how many plain bytes it has, less
//! 1024. It must end within the member. In a run, the stream has the tokens (literals and matches, with lengths and
//! distances) that the base's DEFLATE streams have for the bytes of the base; a literal is the layer's byte. Begin and
//! end must be those of a token, in the base and in the layer. The base is a gzip file, and the tokens of stored blocks
//! and matches of three bytes are no part of runs. Before a run the encoder writes the byte that it may hold back as a
//! literal; behind it, it goes on as at the start of a stream with all bytes so far in its tables. Where blocks end and
//! which codes they have is as if it had chosen these tokens.
//!
//! A model is one byte, and its settings:
//!
//! | byte | then | encoder |
//! |---|---|---|
//! | 1 | level (1 to 9), memLevel (1 to 9), strategy (0 default, 2 Huffman only, 3 runs), a byte each | zlib |
//! | 2 | level (1 to 9) | GNU gzip |
//! | 3 | level (1 to 9), blocks (0 with a dictionary, 1 of one stream, 2 independent), number KiB of a block (32 to 65,536) | pigz |
//! | 4 | level + 2 (0, 2 to 11) | Go's `compress/flate` up to Go 1.26 |
//! | 5 | version (0 for 1.14.0 and what writes alike, 1: 1.15.0, 2: 1.15.11, 3: 1.15.14, 4: 1.18.0, 5: 1.18.2, 6: 1.20.0, 7: 1.20.4), level + 2 | `github.com/klauspost/compress/flate` |
//! | 6 | version, level + 2, number KiB of a block (17 to 4,096) | `github.com/klauspost/pgzip` |
//!
//! The versions of part 6 begin with 1.15.0, 1.16.5, 1.17.3, 1.17.8 and 1.20.3. Its levels are fastest, default, better and
//! best, which not all versions have: 0 and 1 are in all but the third, 2 from the third on, 3 from the fourth on, for
//! 512 KiB at most. Its forms are a stream (0), one of known size (1), one call that may make a single segment (2), must (3) or must
//! not (4). The window is a power of two. Other literals: blocks without a match have Huffman codes where the level has none,
//! or none where it has. Large blocks, at level 0 only: 128 KiB, not 64. First block: the length of a first block of its own in a
//! stream, 0 if there is none.

use crate::encoder::Encoder;
use crate::gzip::MAX_HEADER;
use crate::klauspost_zstd::{FrameEncoder, FrameSettings};
use crate::model::Model;
use crate::reuse::{Run, SHORTEST_READ};
use crate::tokens::Settings;
use crate::varint::{Reader, put};
use crate::zstd::ZstdSettings;

/// The longest recipe in bytes. It is kept in memory; a member that is like the one before takes about four
/// bytes of it, so 200,000 members fit.
pub const MAX_RECIPE: usize = 1024 * 1024;

/// How many gzip members a blob of a length may have: each costs an encoder, and an empty one has 23 bytes. Files that
/// are members of their own (eStargz) have more bytes on the average.
pub(crate) fn most_members(compressed: u64) -> u64 {
    16 + compressed / 128
}

/// How many frames a blob of a length may have, those of all encoders and those that are carried: the smallest have 9
/// bytes, those of zstd:chunked some 60 on the average where files are tiny.
pub(crate) fn most_frames(compressed: u64) -> u64 {
    16 + compressed / 32
}

/// How often the settings of frames may change: each costs an encoder.
pub(crate) const MAX_SETTINGS: u32 = 1024;

const VERSION: u8 = 1;
/// With runs.
const VERSION_RUNS: u8 = 2;
/// With frames of Go, or what is carried.
const VERSION_FRAMES: u8 = 3;
const VERBATIM: u8 = 0;
const MEMBER: u8 = 1;
const SAME_MEMBER: u8 = 2;
const CORRECTED_MEMBER: u8 = 3;
const FRAME: u8 = 4;
const RUNS: u8 = 5;
const GO_FRAME: u8 = 6;
const SAME_FRAME: u8 = 7;
const CARRIED: u8 = 8;

/// How to write a compressed blob again from its plain bytes. Its encoding is in the source file's
/// description, `recipe.rs`; it is checked when it is read, but whether the blob comes out can only be known
/// by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    bytes: Vec<u8>,
}

/// Bytes that are no recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Longer than [`MAX_RECIPE`].
    #[error("the recipe has more than {MAX_RECIPE} bytes")]
    TooLong,
    /// Written by a later version of this program.
    #[error("the recipe has the unknown version {0}")]
    Version(u8),
    /// Cut off, or no recipe at all.
    #[error("the recipe is damaged")]
    Damaged,
}

impl Recipe {
    /// The recipe in its encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Reads an encoding.
    ///
    /// # Errors
    /// It is too long, of another version or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecipeError> {
        if bytes.len() > MAX_RECIPE {
            return Err(RecipeError::TooLong);
        }
        match bytes.first() {
            Some(&(VERSION | VERSION_RUNS | VERSION_FRAMES)) => {}
            Some(&version) => return Err(RecipeError::Version(version)),
            None => return Err(RecipeError::Damaged),
        }
        let recipe = Self { bytes: bytes.to_vec() };
        let mut parts = recipe.parts();
        let is_whole = parts.by_ref().all(|part| part.is_some());
        let version = match (recipe.has_frames(), recipe.has_runs()) {
            (true, _) => VERSION_FRAMES,
            (false, true) => VERSION_RUNS,
            (false, false) => VERSION,
        };
        if is_whole && recipe.bytes[0] == version { Ok(recipe) } else { Err(RecipeError::Damaged) }
    }

    /// The models of the recipe's members, one for each change of model.
    pub fn models(&self) -> Vec<Model> {
        let mut models = Vec::new();
        for part in self.parts().flatten() {
            if let Part::Member { way: Way::Model(model), .. } = part
                && models.last() != Some(&model)
            {
                models.push(model);
            }
        }
        models
    }

    /// Whether the recipe needs the stream of corrections that [`crate::examine`] wrote.
    pub fn has_corrections(&self) -> bool {
        let corrected = |part: Part<'_>| {
            matches!(part, Part::Member { way: Way::Corrections(_), .. } | Part::Carried { .. })
        };
        self.parts().flatten().any(corrected)
    }

    /// Whether the recipe has parts of version 3.
    fn has_frames(&self) -> bool {
        let new = |part: Part<'_>| matches!(part, Part::Frame { way: Way::Go(_), .. } | Part::Carried { .. });
        self.parts().flatten().any(new)
    }

    /// Whether the recipe takes tokens of bases over.
    pub fn has_runs(&self) -> bool {
        self.parts().flatten().any(|part| matches!(part, Part::Member { runs, .. } if !runs.is_empty()))
    }

    /// The parts in order; `None` where the encoding is damaged, which ends them.
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts { bytes: Reader::new(&self.bytes[1..]), last: None, frame: None, settings: 0, damaged: false }
    }
}

/// One part of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Bytes as they are.
    Verbatim(&'a [u8]),
    /// A Zstandard frame.
    Frame { way: Way, plain: u64 },
    /// Bytes of the corrections, which stand for plain bytes.
    Carried { length: u64, plain: u64 },
    /// A gzip member.
    Member { way: Way, header: &'a [u8], plain: u64, runs: Runs<'a> },
}

/// Runs of tokens, which were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Runs<'a> {
    bytes: Reader<'a>,
    number: u64,
    at: u64,
    from: u64,
}

impl<'a> Runs<'a> {
    const NONE: Self = Self { bytes: Reader::new(&[]), number: 0, at: 0, from: 0 };

    pub(crate) fn is_empty(&self) -> bool {
        self.number == 0
    }

    /// Reads the runs over, and gives where the last ends in the member.
    fn read(bytes: &mut Reader<'a>) -> Option<(Self, u64)> {
        let number = bytes.varint().filter(|&number| number > 0)?;
        let runs = Self { bytes: *bytes, number, at: 0, from: 0 };
        let mut rest = runs;
        for _ in 0..number {
            rest.read_one()?;
        }
        *bytes = rest.bytes;
        Some((runs, rest.at))
    }

    fn read_one(&mut self) -> Option<Run> {
        let at = self.at.checked_add(self.bytes.varint()?)?;
        let base = usize::try_from(self.bytes.varint()?).ok()?;
        let shift = self.bytes.varint()?;
        let shift = (shift >> 1) as i64 ^ -((shift & 1) as i64);
        let from = self.from.checked_add_signed(shift)?;
        let length = self.bytes.varint()?.checked_add(SHORTEST_READ)?;
        (self.at, self.from) = (at.checked_add(length)?, from.checked_add(length)?);
        Some(Run { at, base, from, length })
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        self.number = self.number.checked_sub(1)?;
        self.read_one()
    }
}

/// Where a stream comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A model makes it.
    Model(Model),
    /// It is predicted, and the corrections say what differs.
    Corrections(Settings),
    /// libzstd makes it.
    Zstd(ZstdSettings),
    /// klauspost's encoder of frames makes it.
    Go(FrameSettings),
}

impl Way {
    /// The encoder that makes the stream of `size` plain bytes; `None` for corrections, which need more.
    pub(crate) fn encoder(self, size: u64) -> Option<Box<dyn Encoder>> {
        match self {
            Self::Model(model) => Some(model.encoder()),
            Self::Zstd(settings) => settings.encoder(size),
            Self::Go(settings) => Some(Box::new(FrameEncoder::new(settings, size))),
            Self::Corrections(_) => None,
        }
    }
}

impl Way {
    /// The same; that which is kept, if it is of this way and begins another stream. If not, it is dropped before there
    /// is another, for memory.
    pub(crate) fn encoder_again(self, size: u64, kept: &mut Kept) -> Option<Box<dyn Encoder>> {
        if let Some((way, mut encoder)) = kept.take()
            && way == self
            && encoder.restart(size)
        {
            return Some(encoder);
        }
        self.encoder(size)
    }
}

/// An encoder that may be used again.
pub(crate) type Kept = Option<(Way, Box<dyn Encoder>)>;

/// The parts of a recipe.
pub(crate) struct Parts<'a> {
    bytes: Reader<'a>,
    last: Option<(Way, &'a [u8])>,
    frame: Option<Way>,
    settings: u32,
    damaged: bool,
}

impl<'a> Parts<'a> {
    fn read(&mut self) -> Option<Part<'a>> {
        let bytes = &mut self.bytes;
        let (kind, (runs, end)) = match bytes.byte()? {
            RUNS => {
                let runs = Runs::read(bytes)?;
                (bytes.byte().filter(|&kind| kind == MEMBER || kind == SAME_MEMBER)?, runs)
            }
            kind => (kind, (Runs::NONE, 0)),
        };
        let member = |way, header, plain| {
            let follows = matches!(way, Way::Model(model) if model.follows());
            let fits = runs.is_empty() || (follows && end <= plain);
            fits.then_some(Part::Member { way, header, plain, runs })
        };
        match kind {
            VERBATIM => {
                let len = usize::try_from(bytes.varint()?).ok()?;
                Some(Part::Verbatim(bytes.bytes(len)?))
            }
            kind @ (MEMBER | CORRECTED_MEMBER) => {
                let way = match kind {
                    MEMBER => Way::Model(Model::read(bytes)?),
                    _ => Way::Corrections(Settings::read(bytes)?),
                };
                let len =
                    usize::try_from(bytes.varint()?).ok().filter(|len| (1..=MAX_HEADER).contains(len))?;
                let header = bytes.bytes(len)?;
                self.last = Some((way, header));
                member(way, header, bytes.varint()?)
            }
            FRAME => Some(Part::Frame { way: Way::Zstd(ZstdSettings::read(bytes)?), plain: bytes.varint()? }),
            GO_FRAME => {
                let way = Way::Go(FrameSettings::read(bytes)?);
                self.settings += 1;
                self.frame = Some(way);
                (self.settings <= MAX_SETTINGS).then_some(Part::Frame { way, plain: bytes.varint()? })
            }
            SAME_FRAME => Some(Part::Frame { way: self.frame?, plain: bytes.varint()? }),
            CARRIED => {
                let length = bytes.varint().filter(|&length| length > 0)?;
                Some(Part::Carried { length, plain: bytes.varint()? })
            }
            SAME_MEMBER => {
                let (way, header) = self.last?;
                member(way, header, bytes.varint()?)
            }
            _ => None,
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Option<Part<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.damaged || self.bytes.is_empty() {
            return None;
        }
        let part = self.read();
        self.damaged = part.is_none();
        Some(part)
    }
}

/// Runs that go on where the one before ended are one.
fn merged(runs: &[Run]) -> Vec<Run> {
    let mut merged: Vec<Run> = Vec::with_capacity(runs.len());
    for &run in runs {
        match merged.last_mut() {
            Some(last)
                if last.base == run.base
                    && last.at + last.length == run.at
                    && last.from + last.length == run.from =>
            {
                last.length += run.length;
            }
            _ => merged.push(run),
        }
    }
    merged
}

/// Writes a recipe part by part.
#[derive(Debug)]
pub(crate) struct RecipeWriter {
    bytes: Vec<u8>,
    last: Option<(Way, Vec<u8>)>,
    frame: Option<Way>,
    settings: u32,
}

impl RecipeWriter {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![VERSION], last: None, frame: None, settings: 0 }
    }

    /// Adds bytes as they are.
    pub(crate) fn verbatim(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes.push(VERBATIM);
            put(bytes.len() as u64, &mut self.bytes);
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Adds the runs of the next member, in their order.
    pub(crate) fn runs(&mut self, runs: &[Run]) {
        let (mut bytes, mut number) = (Vec::new(), 0u64);
        let (mut at, mut from) = (0, 0);
        for run in merged(runs) {
            let shift = run.from.wrapping_sub(from) as i64;
            put(run.at - at, &mut bytes);
            put(run.base as u64, &mut bytes);
            put((shift << 1 ^ shift >> 63) as u64, &mut bytes);
            put(run.length - SHORTEST_READ, &mut bytes);
            (at, from) = (run.at + run.length, run.from + run.length);
            number += 1;
        }
        if number > 0 {
            self.needs(VERSION_RUNS);
            self.bytes.push(RUNS);
            put(number, &mut self.bytes);
            self.bytes.append(&mut bytes);
        }
    }

    /// Adds a gzip member.
    pub(crate) fn member(&mut self, way: Way, header: &[u8], plain: u64) {
        if self.last.as_ref().is_some_and(|last| last.0 == way && last.1 == header) {
            self.bytes.push(SAME_MEMBER);
        } else {
            match way {
                Way::Model(model) => {
                    self.bytes.push(MEMBER);
                    model.write(&mut self.bytes);
                }
                Way::Corrections(settings) => {
                    self.bytes.push(CORRECTED_MEMBER);
                    settings.write(&mut self.bytes);
                }
                // A frame has no header besides, and does not become a member.
                Way::Zstd(_) | Way::Go(_) => return self.frame(way, plain),
            }
            put(header.len() as u64, &mut self.bytes);
            self.bytes.extend_from_slice(header);
            self.last = Some((way, header.to_vec()));
        }
        put(plain, &mut self.bytes);
    }

    /// Adds a Zstandard frame.
    pub(crate) fn frame(&mut self, way: Way, plain: u64) {
        match way {
            Way::Zstd(settings) => {
                self.bytes.push(FRAME);
                settings.write(&mut self.bytes);
            }
            Way::Go(_) if self.frame == Some(way) => self.bytes.push(SAME_FRAME),
            Way::Go(settings) => {
                self.needs(VERSION_FRAMES);
                self.bytes.push(GO_FRAME);
                settings.write(&mut self.bytes);
                self.frame = Some(way);
                self.settings += 1;
            }
            Way::Model(_) | Way::Corrections(_) => return self.member(way, &[], plain),
        }
        put(plain, &mut self.bytes);
    }

    /// Adds bytes that are in the corrections, for so many plain bytes.
    pub(crate) fn carried(&mut self, length: u64, plain: u64) {
        self.needs(VERSION_FRAMES);
        self.bytes.push(CARRIED);
        put(length, &mut self.bytes);
        put(plain, &mut self.bytes);
    }

    fn needs(&mut self, version: u8) {
        self.bytes[0] = self.bytes[0].max(version);
    }

    /// Whether it has become longer than a recipe may be, or has too many settings.
    pub(crate) fn is_too_long(&self) -> bool {
        self.bytes.len() > MAX_RECIPE || self.settings > MAX_SETTINGS
    }

    pub(crate) fn end(self) -> Recipe {
        Recipe { bytes: self.bytes }
    }
}
