//! The Zstandard frames of a blob, one after the other: which encoder wrote each, and what is carried as it is.
//! Takes the blob, writes plain bytes, parts of the recipe and corrections.
//!
//! zstd:chunked has thousands of small frames with the same settings, which are found by the first; so they are tried
//! first, with the encoder of the frame before. Behind the frames it has skippable ones, the table of contents.

use std::io::Write;

use crate::examine::{ExamineError, Found, MAX_UNKNOWN, Member};
use crate::recipe::{Kept, RecipeWriter, Way, most_frames};
use crate::source::{Packing, Source};

/// After so many frames without a way, if some had one, only the way of the frame before is tried.
const MAX_UNKNOWN_FRAMES: u32 = 16;
/// Frames without a way are carried, if those with one before them are as long together, and this.
const MAX_CARRIED: u64 = 1024 * 1024;
/// A skippable frame up to this length is a part of the recipe.
const SMALL_SKIPPABLE: u64 = 256;
/// Bytes are carried so many at a time.
const PEEK: usize = 64 * 1024;

/// The Zstandard frames of a blob so far.
#[derive(Default)]
pub(crate) struct Frames {
    /// Also skippable ones.
    number: u64,
    last: Option<Way>,
    /// The encoder of the last frame.
    encoder: Kept,
    unknown: u32,
    /// The lengths of frames with a way and without one.
    known: u64,
    carried: u64,
}

impl Frames {
    /// Goes over a skippable frame of this length; false if the blob ends before.
    pub(crate) fn skippable(
        &mut self,
        source: &mut Source<'_>,
        length: u64,
        corrections: &mut dyn Write,
        recipe: &mut RecipeWriter,
    ) -> Result<bool, ExamineError> {
        self.number += 1;
        if length > SMALL_SKIPPABLE {
            recipe.carried(length, 0);
            return carry(source, length, corrections);
        }
        let length = length as usize;
        let bytes = source.peek(length).map_err(ExamineError::Read)?;
        let Some(bytes) = bytes.get(..length) else {
            return Ok(false);
        };
        recipe.verbatim(bytes);
        source.skip(length);
        Ok(true)
    }

    /// Whether a blob of this length may have so many frames, and enough of it is known.
    pub(crate) fn fit(&self, length: u64) -> bool {
        self.number <= most_frames(length) && self.carried <= self.known
    }

    /// Examines the next frame, for which there are these ways, and which says that it has so many plain bytes.
    /// False if the blob has no recipe.
    pub(crate) fn examine(
        &mut self,
        source: &mut Source<'_>,
        plain: &mut dyn Write,
        corrections: &mut dyn Write,
        recipe: &mut RecipeWriter,
        (mut ways, size): (Vec<Way>, u64),
    ) -> Result<bool, ExamineError> {
        if self.unknown > MAX_UNKNOWN_FRAMES {
            ways.clear();
        }
        let start = source.position();
        let mut frame = Member::new(source, plain, Packing::Zstd, size);
        frame.encoder = self.encoder.take();
        let found = frame.examine(ways, self.last)?;
        self.encoder = frame.encoder.take();
        let size = frame.len;
        let length = source.position() - start;
        self.number += 1;
        match found {
            Found::Way(way) => {
                recipe.frame(way, size);
                self.last = Some(way);
                self.known += length;
                Ok(true)
            }
            Found::NoWay => {
                self.unknown += 1;
                self.carried += length;
                if (self.last.is_none() && self.unknown >= MAX_UNKNOWN)
                    || self.carried > self.known + MAX_CARRIED
                {
                    return Ok(false);
                }
                source.seek(start).map_err(ExamineError::Read)?;
                recipe.carried(length, size);
                carry(source, length, corrections)
            }
            Found::Damaged => Ok(false),
        }
    }
}

/// Copies bytes of the blob to the corrections; false if it ends before.
fn carry(source: &mut Source<'_>, length: u64, corrections: &mut dyn Write) -> Result<bool, ExamineError> {
    let mut left = length;
    while left > 0 {
        let bytes = source.peek(PEEK).map_err(ExamineError::Read)?;
        let now = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if now == 0 {
            return Ok(false);
        }
        corrections.write_all(&bytes[..now]).map_err(ExamineError::Write)?;
        source.skip(now);
        left -= now as u64;
    }
    Ok(true)
}
