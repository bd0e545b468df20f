//! A base, uncompressed: its plain bytes in a scratch file, and its tokens in another where a recipe takes them over.
//! Takes the base as it lies there; gives what recipes and differences read.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bundle_delta::PlainFile;
use bundle_recompress::{BaseTokens, InflateError, ReadAt, StreamsError, inflate_base, inflate_streams};

use crate::compact::error::CompactError;
use crate::compact::form::{BaseStreams, Part, RecipeHead};
use crate::compact::make::{Bounded, Packing, uncompress};
use crate::{Layer, ScratchSpace};

/// What is wanted of a base's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tokens {
    /// Nothing.
    Unread,
    /// The tokens.
    Read,
    /// The tokens, and how an encoder finds its own among them.
    Found,
}

/// A base, uncompressed.
#[derive(Debug)]
pub(crate) struct Plain {
    file: File,
    pub(crate) size: u64,
    pub(crate) tokens: Option<Arc<BaseTokens>>,
}

impl Plain {
    /// Uncompresses a blob of `size` bytes: no more plain bytes than such a blob may have.
    pub(crate) fn of(
        blob: &File,
        size: u64,
        tokens: Tokens,
        scratch: &ScratchSpace,
    ) -> Result<Self, CompactError> {
        let mut start = [0; 4];
        let known = size.min(4) as usize;
        blob.read_exact_at(&mut start[..known], 0).map_err(CompactError::of)?;
        if tokens != Tokens::Unread
            && Packing::of(&start) == Packing::Gzip
            && let Some(plain) = Self::with_tokens(blob, size, tokens, scratch)?
        {
            return Ok(plain);
        }
        let file = scratch.file().map_err(CompactError::Io)?;
        let size = uncompress(blob, size, &file)?;
        Ok(Self { file, size, tokens: None })
    }

    /// None if it takes another reader to say what the blob is.
    fn with_tokens(
        blob: &File,
        size: u64,
        tokens: Tokens,
        scratch: &ScratchSpace,
    ) -> Result<Option<Self>, CompactError> {
        let most = RecipeHead::most_plain(size);
        let plain = scratch.file().map_err(CompactError::Io)?;
        let found = Arc::new(FileBytes(scratch.file().map_err(CompactError::Io)?));
        let mut out = Bounded { writer: &plain, left: most };
        let base = inflate_base(
            &mut Part::of(blob, size),
            &mut out,
            &mut &found.0,
            found.clone(),
            tokens == Tokens::Found,
        );
        let size = most - out.left;
        match base {
            Ok(base) => Ok(Some(Self { file: plain, size, tokens: Some(Arc::new(base)) })),
            Err(InflateError::Write(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(CompactError::Recipe)
            }
            Err(InflateError::Read(error) | InflateError::Write(error)) => Err(CompactError::of(error)),
            Err(_) => Ok(None),
        }
    }

    /// The plain bytes for positional reads.
    pub(crate) fn reader(&self) -> io::Result<PlainFile> {
        PlainFile::new(self.file.try_clone()?)
    }

    /// The same, with inflated streams behind them.
    pub(crate) fn reader_with(&self, streams: Option<File>) -> io::Result<Joined> {
        Ok(Joined { plain: self.reader()?, streams: streams.map(PlainFile::new).transpose()? })
    }

    /// The inflated streams of a list, in a scratch file; none if the list is empty.
    pub(crate) fn inflate(
        &self,
        streams: &BaseStreams,
        scratch: &ScratchSpace,
    ) -> Result<Option<File>, CompactError> {
        if streams.list.is_empty() && streams.size == 0 {
            return Ok(None);
        }
        let file = scratch.file().map_err(CompactError::Io)?;
        let mut out = io::BufWriter::with_capacity(64 << 10, &file);
        let bytes = FileBytes(self.file.try_clone().map_err(CompactError::Io)?);
        let inflated = inflate_streams(&streams.list, &bytes, self.size, streams.size, &mut out);
        let flushed = out.flush().map_err(CompactError::Io);
        drop(out);
        match inflated {
            Ok(size) if size == streams.size => flushed.map(|()| Some(file)),
            Ok(_) | Err(StreamsError::Damaged) => Err(CompactError::Recipe),
            Err(StreamsError::Read(error) | StreamsError::Write(error)) => Err(CompactError::of(error)),
            Err(_) => Err(CompactError::Recipe),
        }
    }

    /// The plain bytes as those see them who look for archives.
    pub(crate) fn bytes(&self) -> io::Result<FileBytes> {
        Ok(FileBytes(self.file.try_clone()?))
    }
}

/// A base for the difference: its plain bytes, and inflated streams of them.
pub(crate) struct Joined {
    plain: PlainFile,
    streams: Option<PlainFile>,
}

impl bundle_delta::ReadAt for Joined {
    fn size(&self) -> u64 {
        self.plain.size() + self.streams.as_ref().map_or(0, PlainFile::size)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let left = self.plain.size().saturating_sub(offset);
        let (first, second) =
            buffer.split_at_mut(usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len()));
        if !first.is_empty() {
            self.plain.read_exact_at(first, offset)?;
        }
        match &self.streams {
            _ if second.is_empty() => Ok(()),
            Some(streams) => streams.read_exact_at(second, (offset + left) - self.plain.size()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A file for positional reads.
pub(crate) struct FileBytes(pub(crate) File);

impl ReadAt for FileBytes {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        bundle_os::read_exact_at(&self.0, buffer, offset)
    }
}
