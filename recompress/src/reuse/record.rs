//! Uncompresses a base, and records its tokens. Takes a gzip file, gives its plain bytes, and for each sequence of
//! tokens four bytes.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use flate2::Crc;

use super::base::{Anchor, BaseTokens, Marks, ReadAt};
use super::inflate::{Inflater, WANTED};
use super::sequence::Sequence;
use crate::gzip;
use crate::source::{ReadSeek, Source};

/// The most anchors of one base.
const MOST_ANCHORS: usize = 64 * 1024;
/// A place is an anchor where so many bits of the hash are zeros, at first.
pub(super) const LEAST_LEVEL: u32 = 6;

/// Why a base could not be uncompressed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// The base cannot be read.
    #[error("the base cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The plain bytes or the tokens cannot be written.
    #[error("the plain bytes of the base cannot be written: {0}")]
    Write(#[source] io::Error),
    /// It is no gzip file from its first to its last byte.
    #[error("the base is no gzip file")]
    Damaged,
}

/// Uncompresses all members of a gzip file to `plain`, and writes its tokens to `tokens`, from where they are read
/// again as `file`. `anchors` says that an encoder will look for places in the base.
///
/// # Errors
/// Reading or writing fails, or the base is damaged or has something behind its last member. What was written then is
/// of no use.
pub fn inflate_base(
    base: &mut dyn ReadSeek,
    plain: &mut dyn Write,
    tokens: &mut dyn Write,
    file: Arc<dyn ReadAt>,
    anchors: bool,
) -> Result<BaseTokens, InflateError> {
    let mut source = Source::new(base).map_err(InflateError::Read)?;
    let mut record = Record {
        tokens: BufWriter::with_capacity(64 * 1024, tokens),
        marks: Marks::new(),
        anchors: Vec::new(),
        wanted: anchors,
        level: LEAST_LEVEL,
        hash: 0,
    };
    let mut inflater = Inflater::new();
    loop {
        let bytes = source.peek(gzip::MAX_HEADER).map_err(InflateError::Read)?;
        if bytes.is_empty() && record.marks.total() > 0 {
            break;
        }
        let header = gzip::header_len(bytes).ok_or(InflateError::Damaged)?;
        source.skip(header);
        inflater.reset();
        let (mut crc, mut length) = (Crc::new(), 0u64);
        while !inflater.is_at_end() {
            let bytes = source.peek(WANTED).map_err(InflateError::Read)?;
            let taken = inflater.step(bytes, bytes.len() < WANTED).map_err(|_| InflateError::Damaged)?;
            source.skip(taken);
            let bytes = inflater.plain();
            crc.update(bytes);
            length += bytes.len() as u64;
            plain.write_all(bytes).map_err(InflateError::Write)?;
            record.add(inflater.sequences()).map_err(InflateError::Write)?;
        }
        let trailer = source.peek(gzip::TRAILER).map_err(InflateError::Read)?;
        if trailer.get(..gzip::TRAILER) != Some(&gzip::trailer(crc.sum(), length)) {
            return Err(InflateError::Damaged);
        }
        source.skip(gzip::TRAILER);
    }
    record.anchors.sort_unstable();
    for anchor in &record.anchors {
        record.tokens.write_all(&anchor.to_bytes()).map_err(InflateError::Write)?;
    }
    record.tokens.flush().map_err(InflateError::Write)?;
    Ok(BaseTokens { marks: record.marks, anchors: record.anchors.len(), level: record.level, file })
}

struct Record<'a> {
    tokens: BufWriter<&'a mut dyn Write>,
    marks: Marks,
    anchors: Vec<Anchor>,
    wanted: bool,
    level: u32,
    hash: u64,
}

impl Record<'_> {
    fn add(&mut self, sequences: &[Sequence]) -> io::Result<()> {
        for &sequence in sequences {
            self.marks.add(sequence);
            self.tokens.write_all(&sequence.to_bytes())?;
            self.hash = sequence.hash(self.hash);
            if self.hash >> (64 - self.level) == 0 && self.wanted {
                self.anchor();
            }
        }
        Ok(())
    }

    #[cold]
    fn anchor(&mut self) {
        // In a long repetition each place is as good as the one before.
        if self.anchors.last().is_some_and(|last| last.hash == self.hash) {
            return;
        }
        if self.anchors.len() == MOST_ANCHORS {
            self.level += 1;
            let level = self.level;
            self.anchors.retain(|anchor| anchor.hash >> (64 - level) == 0);
            if self.hash >> (64 - level) != 0 || self.anchors.len() == MOST_ANCHORS {
                return;
            }
        }
        self.anchors.push(Anchor { hash: self.hash, plain: self.marks.total() });
    }
}
