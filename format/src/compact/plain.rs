//! A base, uncompressed: its plain bytes in a scratch file, and its tokens in another where a recipe takes them over.
//! Takes the base as it lies there; gives what recipes and differences read.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bundle_delta::PlainFile;
use bundle_recompress::{BaseTokens, InflateError, ReadAt, inflate_base};

use crate::compact::error::CompactError;
use crate::compact::form::{Part, RecipeHead};
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
        let found = Arc::new(TokenFile(scratch.file().map_err(CompactError::Io)?));
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
}

/// Four bytes for each sequence of tokens.
struct TokenFile(File);

impl ReadAt for TokenFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        bundle_os::read_exact_at(&self.0, buffer, offset)
    }
}
