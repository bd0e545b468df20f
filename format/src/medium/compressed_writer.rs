//! Writes an archive compressed, in frames that can be unpacked alone.
//! Takes the archive's bytes, gives frames and the seek table at their end.

use std::io::{self, Write};

use zstd::bulk::Compressor;

use crate::medium::compressed::{SEEKABLE_MAGIC, TABLE_FOOTER, TABLE_HEADER, TABLE_MAGIC};

/// How much is compressed into one frame, in bytes: what must be unpacked to read one byte of it.
const FRAME: usize = 2 << 20;
/// Layers are compressed already; this gets nearly all there is to get in what is not.
const LEVEL: i32 = 3;

/// Compresses an archive into frames that can be unpacked alone, with a table of them at the end
/// (docs/format.md §Outer compression). Any `zstd` unpacks it.
pub struct CompressedWriter<W> {
    writer: W,
    compressor: Compressor<'static>,
    pending: Vec<u8>,
    table: Vec<(u32, u32)>,
}

impl<W: Write> CompressedWriter<W> {
    /// A writer that has written nothing.
    ///
    /// # Errors
    /// There is no memory for the compression.
    pub fn new(writer: W) -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
        Ok(Self { writer, compressor, pending: Vec::with_capacity(FRAME), table: Vec::new() })
    }

    /// The writer of the frames.
    pub fn get_ref(&self) -> &W {
        &self.writer
    }

    /// The writer of the frames; it gets each frame in one call.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Writes the last frame and the table, and returns the table's bytes too.
    ///
    /// # Errors
    /// The bytes cannot be written.
    pub fn finish(mut self) -> io::Result<(W, Vec<u8>)> {
        if !self.pending.is_empty() {
            self.frame()?;
        }
        let too_many = || io::Error::other("the archive has too many frames for a seek table");
        let frames = u32::try_from(self.table.len()).map_err(|_| too_many())?;
        let size = frames.checked_mul(8).and_then(|size| size.checked_add(TABLE_FOOTER as u32));
        let size = size.ok_or_else(too_many)?;
        let mut table = Vec::with_capacity(size as usize + TABLE_HEADER as usize);
        for number in [TABLE_MAGIC, size] {
            table.extend_from_slice(&number.to_le_bytes());
        }
        for (compressed, content) in &self.table {
            table.extend_from_slice(&compressed.to_le_bytes());
            table.extend_from_slice(&content.to_le_bytes());
        }
        table.extend_from_slice(&frames.to_le_bytes());
        // No checksums in the table: each frame has its own.
        table.push(0);
        table.extend_from_slice(&SEEKABLE_MAGIC.to_le_bytes());
        self.writer.write_all(&table)?;
        self.writer.flush()?;
        Ok((self.writer, table))
    }

    fn frame(&mut self) -> io::Result<()> {
        let frame = self.compressor.compress(&self.pending)?;
        self.writer.write_all(&frame)?;
        // Both are a little more than FRAME at most.
        self.table.push((frame.len() as u32, self.pending.len() as u32));
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write> Write for CompressedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(FRAME - self.pending.len());
        self.pending.extend_from_slice(&bytes[..length]);
        if self.pending.len() == FRAME {
            self.frame()?;
        }
        Ok(length)
    }

    /// Ends no frame: where frames end must not depend on how the bytes come.
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl<W> std::fmt::Debug for CompressedWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CompressedWriter({} frames)", self.table.len())
    }
}
