//! Writes a compressed blob again from its plain bytes and a recipe. The recipe may be an attacker's: what
//! it can cost is bounded by the plain bytes and by the length of the blob that the caller allows.

use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;

use flate2::Crc;

use crate::encoder::Encoder;
use crate::gzip;
use crate::recipe::{Kept, Part, Recipe, Runs, Way, most_frames, most_members};
use crate::reuse::{BaseTokens, Shared, Trouble};
use crate::tokens::{CorrectionsError, Plain, Settings, restore};

/// How many plain bytes are handled at a time.
const CHUNK: usize = 64 * 1024;

/// What a recreated blob may cost. Memory is at most [`crate::MAX_MEMORY`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The length of the compressed blob in bytes. Writing ends with an error before it is exceeded.
    pub compressed: u64,
}

/// Why a blob could not be written again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecreateError {
    /// The plain bytes cannot be read.
    #[error("the plain bytes cannot be read: {0}")]
    Plain(#[source] io::Error),
    /// The blob cannot be written.
    #[error("the compressed bytes cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The plain bytes end before the recipe does.
    #[error("the plain bytes end too early for the recipe")]
    PlainTooShort,
    /// There are plain bytes that the recipe does not use.
    #[error("there are more plain bytes than the recipe takes")]
    PlainTooLong,
    /// The blob becomes longer than [`Limits::compressed`].
    #[error("the recipe gives more than the {0} compressed bytes that are expected")]
    TooLong(u64),
    /// The corrections end too early, or contradict the plain bytes.
    #[error("the corrections do not fit the plain bytes")]
    Corrections,
    /// The corrections cannot be read.
    #[error("the corrections cannot be read: {0}")]
    ReadCorrections(#[source] io::Error),
    /// The tokens of a base cannot be read.
    #[error("the tokens of a base cannot be read: {0}")]
    Tokens(#[source] io::Error),
    /// The recipe takes tokens over that are none of a base's.
    #[error("the recipe does not fit the bases")]
    Runs,
    /// There are more gzip members or frames than a blob of this length may have.
    #[error("the recipe has too many gzip members or frames for the bytes that are expected")]
    Members,
    /// The recipe is damaged.
    #[error("the recipe is damaged")]
    Damaged,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recreated {
    /// The length of the blob in bytes.
    pub written: u64,
    /// For how many plain bytes tokens of bases were taken over.
    pub taken_over: u64,
}

/// Writes the blob that `recipe` makes of all bytes of `plain` to `out`, and gives its length in bytes.
/// `corrections` is read only if the recipe has some ([`Recipe::has_corrections`]). Whether it is the right one is for the caller to check, by its digest.
///
/// # Errors
/// Reading or writing fails; the plain bytes are too few or too many for the recipe; or the blob exceeds
/// the limit.
pub fn recreate(
    recipe: &Recipe,
    plain: &mut dyn Read,
    corrections: &mut dyn Read,
    out: &mut dyn Write,
    limits: Limits,
) -> Result<u64, RecreateError> {
    recreate_beside(recipe, plain, corrections, &[], out, limits).map(|recreated| recreated.written)
}

/// The same, of a recipe that takes tokens of bases over ([`Recipe::has_runs`]). `bases` are those of
/// [`crate::examine_beside`], in its order; a base that is no gzip file is none here, and no run names it.
///
/// # Errors
/// As [`recreate`]; and the tokens of a base cannot be read, or are others than the recipe takes over.
pub fn recreate_beside(
    recipe: &Recipe,
    plain: &mut dyn Read,
    corrections: &mut dyn Read,
    bases: &[Option<Arc<BaseTokens>>],
    out: &mut dyn Write,
    limits: Limits,
) -> Result<Recreated, RecreateError> {
    let corrections = &mut BufReader::new(corrections);
    let mut out = Output { out, written: 0, limit: limits.compressed };
    let (mut taken_over, mut members, mut frames) = (0, 0, 0);
    let mut last: Kept = None;
    let mut buffer = vec![0; CHUNK];
    for part in recipe.parts() {
        match part.ok_or(RecreateError::Damaged)? {
            Part::Verbatim(bytes) => out.write(bytes)?,
            Part::Member { way, header, plain: len, runs } => {
                members += 1;
                if members > most_members(limits.compressed) {
                    return Err(RecreateError::Members);
                }
                out.write(header)?;
                let mut plain = PlainBytes { plain, crc: Crc::new() };
                match way {
                    Way::Corrections(settings) => {
                        restored(settings, len, &mut plain, &mut buffer, corrections, &mut out)?;
                    }
                    Way::Model(model) if !runs.is_empty() => {
                        let follow = following(runs, bases);
                        let mut encoder = model.following(follow.clone()).ok_or(RecreateError::Damaged)?;
                        encode(&mut encoder, len, &mut plain, &mut buffer, &mut out)?;
                        let mut follow = follow.lock();
                        taken_over += follow.taken();
                        follow.end().map_err(|trouble| match trouble {
                            Trouble::Read(error) => RecreateError::Tokens(error),
                            Trouble::Damaged => RecreateError::Runs,
                        })?;
                    }
                    Way::Model(_) | Way::Zstd(_) | Way::Go(_) => {
                        let mut encoder = way.encoder(len).ok_or(RecreateError::Damaged)?;
                        encode(&mut *encoder, len, &mut plain, &mut buffer, &mut out)?;
                    }
                }
                out.write(&gzip::trailer(plain.crc.sum(), len))?;
            }
            Part::Frame { way, plain: len } => {
                count_frame(&mut frames, limits)?;
                let mut plain = PlainBytes { plain, crc: Crc::new() };
                let mut encoder = way.encoder_again(len, &mut last).ok_or(RecreateError::Damaged)?;
                encode(&mut *encoder, len, &mut plain, &mut buffer, &mut out)?;
                last = Some((way, encoder));
            }
            Part::Carried { length, plain: len } => {
                count_frame(&mut frames, limits)?;
                carried(length, corrections, &mut buffer, &mut out)?;
                let mut plain = PlainBytes { plain, crc: Crc::new() };
                let mut left = len;
                while left > 0 {
                    left -= plain.read(&mut buffer[..left.min(CHUNK as u64) as usize])? as u64;
                }
            }
        }
    }
    match plain.read(&mut [0]).map_err(RecreateError::Plain)? {
        0 => Ok(Recreated { written: out.written, taken_over }),
        _ => Err(RecreateError::PlainTooLong),
    }
}

fn count_frame(frames: &mut u64, limits: Limits) -> Result<(), RecreateError> {
    *frames += 1;
    if *frames > most_frames(limits.compressed) { Err(RecreateError::Members) } else { Ok(()) }
}

/// Copies bytes of the corrections.
fn carried(
    length: u64,
    corrections: &mut dyn Read,
    buffer: &mut [u8],
    out: &mut Output<'_>,
) -> Result<(), RecreateError> {
    let mut left = length;
    while left > 0 {
        let now = left.min(CHUNK as u64) as usize;
        corrections.read_exact(&mut buffer[..now]).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => RecreateError::Corrections,
            _ => RecreateError::ReadCorrections(error),
        })?;
        out.write(&buffer[..now])?;
        left -= now as u64;
    }
    Ok(())
}

/// The runs of a member.
fn following(runs: Runs<'_>, bases: &[Option<Arc<BaseTokens>>]) -> Shared {
    let shared = Shared::new(bases);
    let mut follow = shared.lock();
    runs.for_each(|run| follow.push(run));
    drop(follow);
    shared
}

/// An encoder makes the stream.
fn encode(
    encoder: &mut dyn Encoder,
    len: u64,
    plain: &mut PlainBytes<'_>,
    buffer: &mut [u8],
    out: &mut Output<'_>,
) -> Result<(), RecreateError> {
    let mut encoded = Vec::new();
    let mut left = len;
    while left > 0 {
        let now = left.min(CHUNK as u64) as usize;
        let read = plain.read(&mut buffer[..now])?;
        encoder.write(&buffer[..read], &mut encoded);
        out.write(&encoded)?;
        encoded.clear();
        left -= read as u64;
    }
    encoder.finish(&mut encoded);
    out.write(&encoded)
}

/// The stream is predicted and corrected.
fn restored(
    settings: Settings,
    len: u64,
    plain: &mut PlainBytes<'_>,
    buffer: &mut [u8],
    corrections: &mut dyn Read,
    out: &mut Output<'_>,
) -> Result<(), RecreateError> {
    let more = |most: usize, into: &mut Plain| {
        let read = plain.read(&mut buffer[..most.min(CHUNK)])?;
        into.extend(&buffer[..read]);
        Ok(read)
    };
    restore(settings, len, corrections, more, |bytes| out.write(bytes)).map_err(|error| match error {
        CorrectionsError::Damaged => RecreateError::Corrections,
        CorrectionsError::Read(error) => RecreateError::ReadCorrections(error),
        CorrectionsError::Plain(error) | CorrectionsError::Write(error) => error,
    })
}

/// Plain bytes with their CRC-32.
struct PlainBytes<'a> {
    plain: &'a mut dyn Read,
    crc: Crc,
}

impl PlainBytes<'_> {
    /// At least one byte.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, RecreateError> {
        loop {
            match self.plain.read(into) {
                Ok(0) => return Err(RecreateError::PlainTooShort),
                Ok(read) => {
                    self.crc.update(&into[..read]);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(RecreateError::Plain(error)),
            }
        }
    }
}

struct Output<'a> {
    out: &'a mut dyn Write,
    written: u64,
    limit: u64,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), RecreateError> {
        self.written += bytes.len() as u64;
        if self.written > self.limit {
            return Err(RecreateError::TooLong(self.limit));
        }
        self.out.write_all(bytes).map_err(RecreateError::Write)
    }
}
