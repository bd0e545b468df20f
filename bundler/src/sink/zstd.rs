//! A compressed archive, in one file or in volumes. Frames stay whole wherever one fits into a
//! volume, and what is compressed cannot be gone on with: the next run starts anew.

use std::io::{self, Write};
use std::path::PathBuf;

use bundle_format::CompressedWriter;

use crate::OutputError;
use crate::sink::head::SinkHead;
use crate::sink::names::{hidden, open_own};
use crate::sink::parts::{Part, Parts};
use crate::sink::target::InOrder;
use crate::sink::volumes::{Beside, Start};

/// Compresses an archive into files.
pub(crate) struct Zstd {
    writer: CompressedWriter<Files>,
    /// For volumes, the start of the archive before compression.
    start: Option<StartFile>,
}

/// The archive up to its first layer, in a file of its own.
struct StartFile {
    part: Part,
    left: u64,
}

impl Drop for StartFile {
    /// A run that ends early has no use for it; after the last step it has another name.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.part.partial);
    }
}

impl Zstd {
    pub(crate) fn begin(mut parts: Parts, head: &SinkHead) -> Result<Self, OutputError> {
        parts.prepare_stream(head.plan().layout().size())?;
        let path = parts.path().to_owned();
        let start = parts.volume_size().map(|_| StartFile::new(&path, head.length())).transpose()?;
        let writer = CompressedWriter::new(Files { parts, failed: None })
            .map_err(|source| OutputError::Io { path, doing: "compressed", source })?;
        Ok(Self { writer, start })
    }

    fn path(&self) -> PathBuf {
        self.writer.get_ref().parts.path().to_owned()
    }
}

impl StartFile {
    fn new(path: &std::path::Path, length: u64) -> Result<Self, OutputError> {
        let partial = hidden(path, "head.partial");
        let file = open_own(&partial)?;
        let part = Part { file, path: partial.clone(), partial, range: 0..0 };
        part.file.set_len(0).map_err(|source| part.failed("emptied", source))?;
        Ok(Self { part, left: length })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.left -= length as u64;
        self.part.append(&bytes[..length])
    }
}

impl InOrder for Zstd {
    fn append(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        if let Some(start) = &mut self.start {
            start.append(bytes)?;
        }
        let written = self.writer.write_all(bytes);
        let path = self.path();
        written.map_err(|source| self.writer.get_mut().failure(path, source))
    }

    fn finish(self: Box<Self>, head: &SinkHead) -> Result<(), OutputError> {
        let path = self.path();
        let Self { writer, start } = *self;
        let (mut files, frames) = writer.finish().map_err(|source| OutputError::Io {
            path: path.clone(),
            doing: "written",
            source,
        })?;
        // A run that is killed while it gives names is known by this to have given them.
        files.parts.journal().start(head.digest())?;
        let Some(start) = start else { return files.parts.finish(head.digest(), None) };
        files.parts.name_volumes();
        let beside = Beside { head, start: Start::File(&start.part), frames: Some(&frames) };
        files.parts.finish(head.digest(), Some(&beside))
    }
}

/// The files that compressed bytes are written to: each write is one frame, or the table.
struct Files {
    parts: Parts,
    /// Why the last write failed, in words of ours.
    failed: Option<OutputError>,
}

impl Files {
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

    fn failure(&mut self, path: PathBuf, source: io::Error) -> OutputError {
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
