//! A compressed archive, in one file or in volumes. Frames stay whole wherever one fits into a
//! volume, and what is compressed cannot be gone on with: the next run starts anew.

use std::io::Write;
use std::path::PathBuf;

use bundle_format::CompressedWriter;

use crate::OutputError;
use crate::sink::head::SinkHead;
use crate::sink::packed::{Files, StartFile};
use crate::sink::parts::Parts;
use crate::sink::target::InOrder;
use crate::sink::volumes::{Beside, Start};

/// Compresses an archive into files.
pub(crate) struct Zstd {
    writer: CompressedWriter<Files>,
    /// For volumes, the start of the archive before compression.
    start: Option<StartFile>,
}

impl Zstd {
    pub(crate) fn begin(mut parts: Parts, head: &SinkHead) -> Result<Self, OutputError> {
        parts.prepare_stream(head.plan().layout().size())?;
        let path = parts.path().to_owned();
        let start = parts.volume_size().map(|_| StartFile::new(&path, head.length())).transpose()?;
        let writer = CompressedWriter::new(Files::new(parts)).map_err(|source| OutputError::Io {
            path,
            doing: "compressed",
            source,
        })?;
        Ok(Self { writer, start })
    }

    fn path(&self) -> PathBuf {
        self.writer.get_ref().parts().path().to_owned()
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
