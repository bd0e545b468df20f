//! What is needed, besides the opened bytes, to close them again: where DEFLATE streams were, and which model makes
//! them. Takes and gives a few bytes a stream.
//!
//! # Encoding, version 1
//! The byte 1, and then one part for each stream, in order, up to the end. A part is a number *n*, a number 2 *p* + *f*,
//! and if *f* is 1 a model: the closed bytes go on with *n* bytes as they are in the opened ones, and with the DEFLATE
//! stream of the model for the next *p* opened bytes. With *f* 0 the model is that of the part before; the first part has
//! *f* 1. After the last part, the rest is as it is. Numbers and models are those of a recipe of compressed blobs
//! (`recompress/src/recipe.rs`), without the models 3 and 6. Closed bytes of *c* bytes have at most 16 + *c* / 64 streams.

use crate::model::Model;
use crate::recipe::RecipeError;
use crate::varint::{Reader, put};

/// The longest inner recipe in bytes: some 200,000 streams.
pub const MAX_INNER_RECIPE: usize = 1024 * 1024;

const VERSION: u8 = 1;

/// How many streams closed bytes of a length may have: each costs an encoder, and one in a zip has 76 bytes beside it.
pub(super) fn most_streams(closed: u64) -> u64 {
    16 + closed / 64
}

/// Whether streams of this model can be opened: models that need a MiB of memory at most.
pub(super) fn is_known(model: Model) -> bool {
    !matches!(model, Model::Pigz(_) | Model::Pgzip(_))
}

/// How to close opened bytes. Its encoding is in the source file's description, `inner/recipe.rs`; it is checked when it
/// is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerRecipe {
    bytes: Vec<u8>,
    streams: u64,
}

/// Some bytes as they are, and a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) verbatim: u64,
    pub(super) model: Model,
    pub(super) plain: u64,
}

impl InnerRecipe {
    /// The recipe in its encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many streams there are.
    pub fn streams(&self) -> u64 {
        self.streams
    }

    /// Reads an encoding.
    ///
    /// # Errors
    /// It is too long, of another version or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecipeError> {
        if bytes.len() > MAX_INNER_RECIPE {
            return Err(RecipeError::TooLong);
        }
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(RecipeError::Version(version)),
            None => return Err(RecipeError::Damaged),
        }
        let mut recipe = Self { bytes: bytes.to_vec(), streams: 0 };
        let (mut parts, mut streams) = (recipe.parts(), 0);
        while parts.next().is_some() {
            streams += 1;
        }
        if !parts.reader.is_empty() {
            return Err(RecipeError::Damaged);
        }
        recipe.streams = streams;
        Ok(recipe)
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts { reader: Reader::new(&self.bytes[1..]), model: None }
    }
}

/// The parts of a recipe, up to the end or what is no part.
pub(super) struct Parts<'a> {
    reader: Reader<'a>,
    model: Option<Model>,
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        if self.reader.is_empty() {
            return None;
        }
        let mut reader = self.reader;
        let verbatim = reader.varint()?;
        let plain = reader.varint()?;
        if plain & 1 == 1 {
            self.model = Some(Model::read(&mut reader).filter(|&model| is_known(model))?);
        }
        let part = Part { verbatim, model: self.model?, plain: plain >> 1 };
        self.reader = reader;
        Some(part)
    }
}

/// Writes a recipe part by part.
#[derive(Debug)]
pub(super) struct RecipeWriter {
    bytes: Vec<u8>,
    model: Option<Model>,
    streams: u64,
}

impl RecipeWriter {
    pub(super) fn new() -> Self {
        Self { bytes: vec![VERSION], model: None, streams: 0 }
    }

    pub(super) fn part(&mut self, part: Part) {
        let is_other = self.model != Some(part.model);
        put(part.verbatim, &mut self.bytes);
        put(part.plain << 1 | u64::from(is_other), &mut self.bytes);
        if is_other {
            part.model.write(&mut self.bytes);
            self.model = Some(part.model);
        }
        self.streams += 1;
    }

    pub(super) fn streams(&self) -> u64 {
        self.streams
    }

    /// Whether another part still fits.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() + 32 <= MAX_INNER_RECIPE
    }

    pub(super) fn end(self) -> InnerRecipe {
        InnerRecipe { bytes: self.bytes, streams: self.streams }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zlib::{Level, ZlibSettings};

    fn zlib(level: u8) -> Model {
        Model::Zlib(ZlibSettings::usual(Level::new(level).unwrap()))
    }

    #[test]
    fn parts_are_read_as_they_were_written_and_damage_is_refused() {
        let parts = [(7, 6, 1000), (0, 6, 0), (1 << 40, 9, 1 << 50)].map(|(verbatim, level, plain)| Part {
            verbatim,
            model: zlib(level),
            plain,
        });
        let mut writer = RecipeWriter::new();
        parts.iter().for_each(|&part| writer.part(part));
        let recipe = writer.end();
        assert_eq!(recipe.parts().collect::<Vec<_>>(), parts);
        assert_eq!(InnerRecipe::from_bytes(recipe.as_bytes()), Ok(recipe.clone()));
        // A model is needed first; pigz is none here; a part is whole.
        for damaged in [&[1, 0, 2][..], &[1, 0, 3, 3, 6, 0, 128, 1], &[1, 5], &recipe.as_bytes()[..9]] {
            assert_eq!(InnerRecipe::from_bytes(damaged), Err(RecipeError::Damaged), "{damaged:?}");
        }
        assert_eq!(InnerRecipe::from_bytes(&[2]), Err(RecipeError::Version(2)));
    }
}
