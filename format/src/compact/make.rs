//! Makes a blob of its recipe: the difference is applied to the bases, and what comes out is compressed as it
//! was. Both run at once, with a small buffer between them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use bundle_delta::{DecodeError, Limits as DifferenceLimits, ReadAt};
use bundle_recompress::{BaseTokens, Closer, Recipe, RecreateError, recreate_beside};

use crate::compact::conduit::conduit;
use crate::compact::error::CompactError;
use crate::compact::form::{Part, RecipeHead};
use crate::compact::plain::{Joined, Plain};
use crate::{Layer, Limits, ScratchSpace};

/// The recipe in the head of a section; none if the blob is not compressed.
pub(crate) fn recipe_of(head: &RecipeHead) -> Result<Option<Recipe>, CompactError> {
    match head.recipe.is_empty() {
        true => Ok(None),
        false => Recipe::from_bytes(&head.recipe).map(Some).map_err(|_| CompactError::Recipe),
    }
}

/// The blob of a recipe, in a new file; none if the recipe gives something else than `content` bytes. Whether they
/// are the right ones only the blob's digest says.
pub(crate) fn make(
    head: &RecipeHead,
    recipe: Option<&Recipe>,
    content: u64,
    corrections: Part<'_>,
    difference: &mut (dyn Read + Send),
    plains: &[Arc<Plain>],
    scratch: &ScratchSpace,
) -> Result<Option<File>, CompactError> {
    let bases = bases_of(head, plains, scratch)?;
    let tokens: Vec<Option<Arc<BaseTokens>>> = plains.iter().map(|plain| plain.tokens.clone()).collect();
    let file = scratch.file().map_err(CompactError::Io)?;
    let mut out = Bounded { writer: &file, left: content };
    let mut corrections = decoder(io::BufReader::new(corrections)).map_err(CompactError::Io)?;
    let (mut from, mut to) = conduit();
    let (decoded, made) = std::thread::scope(|scope| {
        let decoded = scope.spawn(move || {
            let bases: Vec<&dyn ReadAt> = bases.iter().map(|base| base as &dyn ReadAt).collect();
            let decoded = decode_closed(head, difference, &bases, &mut to);
            let flushed = to.flush();
            decoded.and_then(|()| flushed.map_err(DecodeError::Output))
        });
        // The pipe ends when either side is gone, so that neither waits for the other.
        let limits = bundle_recompress::Limits { compressed: content };
        let made = match recipe {
            Some(recipe) => {
                recreate_beside(recipe, &mut from, &mut corrections, &tokens, &mut out, limits).map(drop)
            }
            // The blob was not compressed.
            None => io::copy(&mut from, &mut out).map(drop).map_err(RecreateError::Write),
        };
        drop(from);
        (decoded.join(), made)
    });
    let left = out.left;
    let decoded = decoded.map_err(|_| CompactError::Recipe)?;
    match (decoded, made) {
        (Err(DecodeError::Encoded(error) | DecodeError::Base(_, error)), _)
            if error.kind() != io::ErrorKind::UnexpectedEof && error.kind() != io::ErrorKind::InvalidData =>
        {
            Err(CompactError::Io(error))
        }
        (Ok(()), Ok(())) if left == 0 => Ok(Some(file)),
        (_, Err(RecreateError::Tokens(error))) => Err(CompactError::Io(error)),
        (_, Err(RecreateError::Write(error))) if error.kind() != io::ErrorKind::FileTooLarge => {
            Err(CompactError::Io(error))
        }
        _ => Ok(None),
    }
}

/// The bases as the difference sees them.
fn bases_of(
    head: &RecipeHead,
    plains: &[Arc<Plain>],
    scratch: &ScratchSpace,
) -> Result<Vec<Joined>, CompactError> {
    let mut bases = Vec::with_capacity(plains.len());
    for (number, plain) in plains.iter().enumerate() {
        let streams = head.opened.as_ref().and_then(|opened| opened.streams.get(number));
        let streams = streams.map(|streams| plain.inflate(streams, scratch)).transpose()?.flatten();
        bases.push(plain.reader_with(streams).map_err(CompactError::Io)?);
    }
    Ok(bases)
}

/// Writes the uncompressed bytes that a difference gives, closed again if it is one of opened bytes.
pub(crate) fn decode_closed(
    head: &RecipeHead,
    difference: &mut dyn Read,
    bases: &[&dyn ReadAt],
    out: &mut dyn Write,
) -> Result<(), DecodeError> {
    let windows = bundle_delta::WINDOWS;
    let Some(opened) = &head.opened else {
        let limits = DifferenceLimits { size: head.plain, windows };
        return bundle_delta::decode(difference, bases, limits, out).map(drop);
    };
    let mut closer = Closer::new(&opened.recipe, head.plain, out).map_err(DecodeError::Output)?;
    let limits = DifferenceLimits { size: opened.size, windows };
    bundle_delta::decode(difference, bases, limits, &mut closer)?;
    closer.finish().map(drop).map_err(DecodeError::Output)
}

/// Writes the uncompressed bytes of a blob of `size` bytes, and says how many they are: no more than such a blob
/// may have.
pub(crate) fn uncompress(blob: &File, size: u64, plain: &File) -> Result<u64, CompactError> {
    let most = RecipeHead::most_plain(size);
    let mut out = Bounded { writer: plain, left: most };
    let mut start = [0; 4];
    let known = size.min(4) as usize;
    blob.read_exact_at(&mut start[..known], 0).map_err(CompactError::of)?;
    let blob = io::BufReader::with_capacity(64 << 10, Part::of(blob, size));
    match copy_plain(Packing::of(&start), blob, &mut out) {
        Ok(()) => Ok(most - out.left),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::FileTooLarge => {
                CompactError::Recipe
            }
            _ => CompactError::Io(error),
        }),
    }
}

/// How a blob is compressed, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zstd,
    Not,
}

impl Packing {
    pub(crate) fn of(start: &[u8; 4]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstd,
            _ => Self::Not,
        }
    }
}

/// Decompresses Zstandard, with a window of no more than 8 MiB.
fn decoder<R: io::BufRead>(reader: R) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
    decoder.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(Limits::V1.piped_window))?;
    Ok(decoder)
}

/// Copies what a blob is uncompressed. Anything behind a stream that is no further one is an error.
fn copy_plain(packing: Packing, blob: impl io::BufRead, out: &mut dyn Write) -> io::Result<()> {
    match packing {
        Packing::Gzip => io::copy(&mut flate2::bufread::MultiGzDecoder::new(blob), out).map(drop),
        Packing::Zstd => {
            let mut decoder = decoder(blob)?;
            // What libzstd refuses is damage, whatever it calls it.
            io::copy(&mut decoder, out).map(drop).map_err(|error| match error.kind() {
                io::ErrorKind::Other => io::Error::new(io::ErrorKind::InvalidData, error),
                _ => error,
            })
        }
        Packing::Not => {
            let mut blob = blob;
            io::copy(&mut blob, out).map(drop)
        }
    }
}

/// Takes no more bytes than it should.
pub(crate) struct Bounded<W> {
    pub(crate) writer: W,
    pub(crate) left: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.writer.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
