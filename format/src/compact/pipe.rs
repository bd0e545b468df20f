//! A compact encoding in a pipe, read as the archive that it encodes, from its first byte to its last. What is
//! stored is kept in a scratch file as it comes, for later blobs may be differences to earlier ones.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use crate::compact::error::CompactError;
use crate::compact::form::{Header, SECTION_HEAD, SectionHead, SectionKind};
use crate::compact::layer::Compact;
use crate::{Layer, Lent, Limits};

/// How much is read at once, in bytes.
const PIECE: usize = 128 << 10;

/// The archive that a compact encoding in a pipe gives.
pub(crate) struct CompactPipe<R> {
    reader: R,
    stored: Arc<File>,
    /// How much is stored.
    length: u64,
    compact: Compact,
    /// What was read of the archive and not yet given.
    ready: Range<u64>,
    ended: bool,
    limits: Limits,
}

impl<R: Read> CompactPipe<R> {
    /// Reads the header.
    pub(crate) fn new(mut reader: R, lent: Lent, limits: &Limits) -> Result<Self, CompactError> {
        let (header, _) = Header::read(&mut reader, limits)?;
        let stored = Arc::new(lent.scratch.file().map_err(CompactError::Io)?);
        let compact = Compact::begin(stored.clone(), header, limits);
        compact.lend(lent.bases, lent.scratch);
        Ok(Self { reader, stored, length: 0, compact, ready: 0..0, ended: false, limits: *limits })
    }

    /// Reads the next section, which is stored behind the one before.
    fn next(&mut self) -> Result<(), CompactError> {
        let mut head = [0; SECTION_HEAD as usize];
        self.reader.read_exact(&mut head).map_err(CompactError::of)?;
        let head = SectionHead::parse(&head, &self.limits)?;
        if head.kind == SectionKind::End {
            self.ended = true;
            return Ok(());
        }
        let mut piece = vec![0; PIECE];
        let mut left = head.stored;
        while left > 0 {
            let length = left.min(PIECE as u64) as usize;
            self.reader.read_exact(&mut piece[..length]).map_err(CompactError::of)?;
            (&*self.stored).write_all(&piece[..length]).map_err(CompactError::Io)?;
            left -= length as u64;
        }
        self.ready = self.compact.push(head, self.length)?;
        self.length += head.stored;
        Ok(())
    }
}

impl<R: Read> Read for CompactPipe<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.ended && !buffer.is_empty() {
            self.next().map_err(|error| match error {
                CompactError::Cut => io::ErrorKind::UnexpectedEof.into(),
                other => other.into_io(),
            })?;
        }
        let left = usize::try_from(self.ready.end - self.ready.start).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        self.compact.read_exact_at(&mut buffer[..length], self.ready.start)?;
        self.ready.start += length as u64;
        Ok(length)
    }
}
