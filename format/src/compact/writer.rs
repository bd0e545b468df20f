//! Writes a compact encoding: the archive's bytes in order, each blob as its recipe where there is one.
//! Takes bytes and what [`crate::encode_blob`] made of blobs, gives sections, and the table at their end.

use std::fs::File;
use std::io::{self, Write};

use zstd::bulk::Compressor;

use crate::compact::encode::Encoded;
use crate::compact::form::{END, Header, Part, SECTION_HEAD, SectionHead, SectionKind};
use crate::{CompactBase, Limits};

/// How much is compressed into one frame, in bytes: what must be unpacked to read one byte of it.
const FRAME: usize = 2 << 20;
/// What is not a blob is small, and manifests compress well.
const LEVEL: i32 = 12;
/// Smaller blobs go into frames: a recipe of their own would not pay.
const SMALL: u64 = 4 << 10;

/// Writes a compact encoding (docs/format.md §Compact encoding).
pub struct CompactWriter<W> {
    writer: W,
    compressor: Compressor<'static>,
    pending: Vec<u8>,
    table: Vec<[u8; SECTION_HEAD as usize]>,
}

impl<W: Write> CompactWriter<W> {
    /// Writes the header, which names all bases that a recipe may have.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn new(mut writer: W, bases: Vec<CompactBase>) -> io::Result<Self> {
        writer.write_all(&Header { bases }.to_bytes()?)?;
        Self::without_header(writer)
    }

    /// Writes sections that go behind those of another writer, which has written the header.
    ///
    /// # Errors
    /// There is no memory for the compressor.
    pub fn without_header(writer: W) -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
        Ok(Self { writer, compressor, pending: Vec::with_capacity(FRAME), table: Vec::new() })
    }

    /// Whether a blob of this size may be worth a recipe.
    pub fn wants_recipe(size: u64) -> bool {
        size >= SMALL
    }

    /// The writer of the sections.
    pub fn get_ref(&self) -> &W {
        &self.writer
    }

    /// The writer of the sections; it gets each section's head and body in separate calls.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Adds bytes of the archive that are compressed together with their neighbours.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(FRAME - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == FRAME {
                self.frame()?;
            }
        }
        Ok(())
    }

    /// Adds a blob of `size` bytes: by its recipe, or as it is.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn blob(&mut self, blob: &File, size: u64, encoded: Option<&Encoded>) -> io::Result<()> {
        self.frame()?;
        let (kind, source, stored) = match encoded {
            Some(encoded) => (encoded.kind(), encoded.file(), encoded.size()),
            None => (SectionKind::Bytes, blob, size),
        };
        self.head(SectionHead { kind, content: size, stored })?;
        let mut body = Part::of(source, stored);
        if io::copy(&mut body, &mut self.writer)? != stored {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Writes the last frame and the table, and returns the writer with the table's bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn finish(self) -> io::Result<(W, Vec<u8>)> {
        let (mut writer, heads) = self.finish_part()?;
        let table = compact_table(&[&heads]);
        writer.write_all(&table)?;
        writer.flush()?;
        Ok((writer, table))
    }

    /// Writes the last frame, and no table: other sections follow. Returns the writer with the heads of the sections.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn finish_part(mut self) -> io::Result<(W, Vec<u8>)> {
        self.frame()?;
        self.writer.flush()?;
        Ok((self.writer, self.table.concat()))
    }

    fn head(&mut self, head: SectionHead) -> io::Result<()> {
        let bytes = head.to_bytes();
        self.table.push(bytes);
        self.writer.write_all(&bytes)
    }

    fn frame(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let frame = self.compressor.compress(&self.pending)?;
        self.head(SectionHead {
            kind: SectionKind::Frame,
            content: self.pending.len() as u64,
            stored: frame.len() as u64,
        })?;
        self.writer.write_all(&frame)?;
        self.pending.clear();
        Ok(())
    }
}

/// The end of an encoding and its table, of the heads of the sections of all its parts in order.
pub fn compact_table(parts: &[&[u8]]) -> Vec<u8> {
    let sections = parts.iter().map(|heads| heads.len() as u64).sum::<u64>() / SECTION_HEAD;
    let end = SectionHead { kind: SectionKind::End, content: sections, stored: sections * SECTION_HEAD };
    let mut table = end.to_bytes().to_vec();
    parts.iter().for_each(|heads| table.extend_from_slice(heads));
    table.extend_from_slice(&sections.to_le_bytes());
    table.extend_from_slice(END);
    table
}

/// How many bytes of an archive the sections with these heads give; none if they are no heads.
pub fn compact_content(heads: &[u8]) -> Option<u64> {
    let (heads, rest) = heads.as_chunks();
    let mut sum = 0_u64;
    for head in heads {
        sum = sum.checked_add(SectionHead::parse(head, &Limits::V1).ok()?.content)?;
    }
    rest.is_empty().then_some(sum)
}

impl<W> std::fmt::Debug for CompactWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CompactWriter({} sections)", self.table.len())
    }
}
