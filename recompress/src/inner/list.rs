//! Which DEFLATE streams of a base are of use, and what they are inflated. Takes positions from whoever looked for
//! streams, gives a list of a few bytes each; takes such a list from anybody, gives the bytes within its bounds.
//!
//! # Encoding
//! One entry for each stream, in order, up to the end: two numbers (LEB128 in its shortest form, as in a recipe), *s* and
//! *t*. After the end of the stream before, at first of the base's beginning, *s* bytes are of no use, *t* bytes come as
//! they are, and a DEFLATE stream (RFC 1951) begins, which says itself where it ends. What the list gives are, for each
//! entry, these *t* bytes and the inflated stream.

use std::io::{self, Write};

use flate2::{Decompress, FlushDecompress, Status};

use super::positioned::Positioned;
use crate::reuse::ReadAt;
use crate::varint::{Reader, put};

/// The longest list in bytes.
pub const MAX_STREAM_LIST: usize = 1024 * 1024;
/// Inflated bytes of one step.
const STEP: usize = 64 * 1024;

/// Why streams do not come out of a base.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamsError {
    /// The base cannot be read.
    #[error("the base cannot be read: {0}")]
    Read(#[source] io::Error),
    /// What was inflated cannot be written.
    #[error("inflated streams cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The list does not fit the base, or gives more than was said.
    #[error("the list of streams does not fit the base")]
    Damaged,
}

/// Writes a list.
#[derive(Debug, Default)]
pub struct StreamListWriter {
    bytes: Vec<u8>,
    end: u64,
}

impl StreamListWriter {
    /// Adds the stream from `data` to `end`, with the bytes from `from` on before it that belong to it. False if it
    /// begins before the last one ended, or the list is full.
    pub fn add(&mut self, from: u64, data: u64, end: u64) -> bool {
        if from < self.end || data < from || end < data || self.bytes.len() + 20 > MAX_STREAM_LIST {
            return false;
        }
        put(from - self.end, &mut self.bytes);
        put(data - from, &mut self.bytes);
        self.end = end;
        true
    }

    /// Where the last stream ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many bytes the list has so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is in the list yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The list.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Inflates the streams of a list out of a base of `size` bytes, and gives how many bytes were written: at most `most`.
/// Needs 200 KiB.
///
/// # Errors
/// See [`StreamsError`]. What was written then is of no use.
pub fn inflate_streams(
    list: &[u8],
    base: &dyn ReadAt,
    size: u64,
    most: u64,
    out: &mut dyn Write,
) -> Result<u64, StreamsError> {
    if list.len() > MAX_STREAM_LIST {
        return Err(StreamsError::Damaged);
    }
    let mut list = Reader::new(list);
    let mut source = Positioned::new(base, size);
    let mut inflater = Inflater::new();
    let (mut at, mut left) = (0u64, most);
    while !list.is_empty() {
        let skipped = list.varint().ok_or(StreamsError::Damaged)?;
        let taken = list.varint().ok_or(StreamsError::Damaged)?;
        at = at.checked_add(skipped).ok_or(StreamsError::Damaged)?;
        let data = at.checked_add(taken).filter(|&data| data <= size).ok_or(StreamsError::Damaged)?;
        left = left.checked_sub(taken).ok_or(StreamsError::Damaged)?;
        while at < data {
            let bytes = source.at(at).map_err(StreamsError::Read)?;
            let now = bytes.len().min(usize::try_from(data - at).unwrap_or(usize::MAX));
            out.write_all(&bytes[..now]).map_err(StreamsError::Write)?;
            at += now as u64;
        }
        at = inflater.run(&mut source, at, |plain| {
            left = left.checked_sub(plain.len() as u64).ok_or(StreamsError::Damaged)?;
            out.write_all(plain).map_err(StreamsError::Write)
        })?;
    }
    Ok(most - left)
}

/// How many bytes the stream from `data` to `end` has inflated; none if there is no such stream, or it has more than
/// `most`.
///
/// # Errors
/// The bytes cannot be read.
pub fn inflated_len(base: &dyn ReadAt, data: u64, end: u64, most: u64) -> io::Result<Option<u64>> {
    let mut length = 0u64;
    let mut source = Positioned::new(base, end);
    let result = Inflater::new().run(&mut source, data, |plain| {
        length += plain.len() as u64;
        if length > most { Err(StreamsError::Damaged) } else { Ok(()) }
    });
    match result {
        Ok(at) if at == end => Ok(Some(length)),
        Err(StreamsError::Read(error)) => Err(error),
        _ => Ok(None),
    }
}

/// Inflates one stream after the other.
pub(super) struct Inflater {
    stream: Decompress,
    plain: Vec<u8>,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self { stream: Decompress::new(false), plain: vec![0; STEP] }
    }

    /// Inflates the stream at a position, and gives where it ends.
    pub(super) fn run(
        &mut self,
        source: &mut Positioned<'_>,
        mut at: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), StreamsError>,
    ) -> Result<u64, StreamsError> {
        self.stream.reset(false);
        loop {
            let bytes = source.at(at).map_err(StreamsError::Read)?;
            let (before, given) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.decompress(bytes, &mut self.plain, FlushDecompress::None);
            let (read, made) = (self.stream.total_in() - before, self.stream.total_out() - given);
            at += read;
            take(&self.plain[..made as usize])?;
            match status {
                Ok(Status::StreamEnd) => return Ok(at),
                // Without a byte in or out the stream is cut off.
                Ok(_) if read > 0 || made > 0 => {}
                _ => return Err(StreamsError::Damaged),
            }
        }
    }
}
