//! The files that an archive's encoded bytes go to, one or volumes, and the archive's start beside volumes. Takes
//! what an encoder writes; frames stay whole wherever one fits into a volume.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::OutputError;
use crate::sink::names::{hidden, open_own};
use crate::sink::parts::{Part, Parts};

/// The archive up to its first layer, in a file of its own.
pub(crate) struct StartFile {
    pub(crate) part: Part,
    left: u64,
}

impl Drop for StartFile {
    /// A run that ends early has no use for it; after the last step it has another name.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.part.partial);
    }
}

impl StartFile {
    pub(crate) fn new(path: &Path, length: u64) -> Result<Self, OutputError> {
        let partial = hidden(path, "head.partial");
        let file = open_own(&partial)?;
        let part = Part { file, path: partial.clone(), partial, range: 0..0 };
        part.file.set_len(0).map_err(|source| part.failed("emptied", source))?;
        Ok(Self { part, left: length })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.left -= length as u64;
        self.part.append(&bytes[..length])
    }
}

/// The files that encoded bytes are written to: each write is one frame, or what may be cut.
pub(crate) struct Files {
    pub(crate) parts: Parts,
    /// Why the last write failed, in words of ours.
    failed: Option<OutputError>,
}

impl Files {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, failed: None }
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let Some(size) = self.parts.volume_size() else {
            return self.parts.last_part().append(bytes);
        };
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let has = self.parts.last_part().length();
            let room = size.bytes() - has;
            let length = bytes.len() as u64;
            if has > 0 && (room == 0 || length > room && length <= size.bytes()) {
                let end = self.parts.last_part().range.end;
                self.parts.add_part(end..end)?;
                self.parts.last_part().empty()?;
                continue;
            }
            let (now, later) = bytes.split_at(length.min(room) as usize);
            self.parts.last_part().append(now)?;
            bytes = later;
        }
        Ok(())
    }

    /// Why the last write failed.
    pub(crate) fn failure(&mut self, path: PathBuf, source: io::Error) -> OutputError {
        self.failed.take().unwrap_or(OutputError::Io { path, doing: "written", source })
    }
}

impl Write for Files {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.append(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.failed = Some(error);
                Err(io::Error::other("the file cannot be written"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
