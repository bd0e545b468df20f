//! Writes operations and their bytes as groups: takes steps in the order of the layer, joins those that continue each
//! other, and compresses a group when enough raw bytes have come together.

use std::io::Write;

use super::codec::Compressor;
use super::{Error, tuning::Tuning};
use crate::format::{self, Kind, STREAMS, stream};
use crate::model::{DiffModel, RangeEncoder};
use crate::varint;

/// Raw bytes of all streams that make a group. With zstd's growth of incompressible bytes a part stays below
/// [`format::PART_MAX`].
const GROUP_RAW: usize = 2 << 20;
/// The most bytes that one call adds to a stream.
pub(crate) const STEP_MAX: usize = 256 << 10;

/// Writes groups.
pub(crate) struct Groups<'a> {
    out: &'a mut dyn Write,
    raw: [Vec<u8>; STREAMS],
    compressors: Vec<Compressor>,
    /// Codes differences at levels that have it; zstd does otherwise.
    model: Option<Box<DiffModel>>,
    differences: RangeEncoder,
    /// Whether the group has differences.
    differs: bool,
    scratch: Vec<u8>,
    compressed: Vec<u8>,
    /// An operation that may still grow.
    open: Option<(Kind, u64)>,
    base: usize,
    /// Where in the base the open operation ends.
    position: u64,
    written: u64,
    /// Compressed bytes of each stream so far.
    pub(crate) sizes: [u64; STREAMS],
}

impl<'a> Groups<'a> {
    pub(crate) fn new(tuning: &Tuning, out: &'a mut dyn Write) -> Result<Groups<'a>, Error> {
        let mut compressors = Vec::new();
        for setting in tuning.streams {
            compressors.push(Compressor::new(setting).map_err(Error::Compress)?);
        }
        Ok(Groups {
            out,
            raw: Default::default(),
            compressors,
            model: tuning.model.map(|log| Box::new(DiffModel::new(u32::from(log)))),
            differences: RangeEncoder::new(),
            differs: false,
            scratch: Vec::new(),
            compressed: Vec::new(),
            open: None,
            base: 0,
            position: 0,
            written: 0,
            sizes: [0; STREAMS],
        })
    }

    /// Writes bytes outside of groups: the head.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes).map_err(Error::Output)
    }

    /// Base bytes as they are.
    pub(crate) fn copy(&mut self, base: usize, position: u64, length: u64) -> Result<(), Error> {
        if length == 0 {
            return Ok(());
        }
        self.seek(base, position);
        self.operation(Kind::Copy, length);
        self.position += length;
        self.flush_if_full()
    }

    /// Base bytes plus a difference. `old` are the base's bytes at the position, and the [`AHEAD`] bytes that follow
    /// if the base has so many. At most [`STEP_MAX`].
    ///
    /// [`AHEAD`]: crate::model::AHEAD
    pub(crate) fn add(&mut self, base: usize, position: u64, old: &[u8], new: &[u8]) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        self.seek(base, position);
        self.operation(Kind::Add, new.len() as u64);
        if let Some(model) = &mut self.model {
            self.scratch.clear();
            self.scratch.extend_from_slice(new);
            model.code(&mut self.differences, position, old, &mut self.scratch);
            self.differs = true;
        } else {
            self.raw[stream::DIFF].extend(old.iter().zip(new).map(|(old, new)| new.wrapping_sub(*old)));
        }
        self.position += new.len() as u64;
        self.flush_if_full()
    }

    /// Bytes of a base's header plus a difference.
    pub(crate) fn add_header(
        &mut self,
        base: usize,
        position: u64,
        old: &[u8],
        new: &[u8],
    ) -> Result<(), Error> {
        self.seek(base, position);
        self.operation(Kind::AddHead, new.len() as u64);
        self.position += new.len() as u64;
        self.raw[stream::HEAD].extend(old.iter().zip(new).map(|(old, new)| new.wrapping_sub(*old)));
        self.flush_if_full()
    }

    /// New bytes. At most [`STEP_MAX`].
    pub(crate) fn new_bytes(&mut self, kind: Kind, new: &[u8]) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        self.operation(kind, new.len() as u64);
        let number = if kind == Kind::NewHead { stream::HEAD } else { stream::NEW };
        self.raw[number].extend_from_slice(new);
        self.flush_if_full()
    }

    /// Writes what is left and the end. Gives the number of bytes of the whole encoded layer.
    pub(crate) fn finish(mut self) -> Result<(u64, [u64; STREAMS]), Error> {
        self.flush()?;
        self.write(&[format::END])?;
        Ok((self.written, self.sizes))
    }

    fn seek(&mut self, base: usize, position: u64) {
        if base != self.base {
            self.close();
            self.put(Kind::Base, base as u64);
            (self.base, self.position) = (base, 0);
        }
        if position != self.position {
            self.close();
            self.put(Kind::Seek, varint::zigzag(position.wrapping_sub(self.position) as i64));
            self.position = position;
        }
    }

    fn operation(&mut self, kind: Kind, length: u64) {
        match &mut self.open {
            Some((open, so_far)) if *open == kind => *so_far += length,
            _ => {
                self.close();
                self.open = Some((kind, length));
            }
        }
    }

    fn close(&mut self) {
        if let Some((kind, length)) = self.open.take() {
            self.put(kind, length - 1);
        }
    }

    fn put(&mut self, kind: Kind, value: u64) {
        let ops = &mut self.raw[stream::OPS];
        if value < u64::from(format::LONG) {
            ops.push(kind as u8 | (value as u8) << 3);
        } else {
            ops.push(kind as u8 | format::LONG << 3);
            varint::put(ops, value - u64::from(format::LONG));
        }
    }

    fn flush_if_full(&mut self) -> Result<(), Error> {
        let raw = self.raw.iter().map(Vec::len).sum::<usize>() + self.differences.bytes.len();
        if raw >= GROUP_RAW { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.close();
        if self.raw[stream::OPS].is_empty() {
            return Ok(());
        }
        self.write(&[format::GROUP])?;
        for number in 0..STREAMS {
            let mut compressed = std::mem::take(&mut self.compressed);
            compressed.clear();
            if number != stream::DIFF || self.model.is_none() {
                self.compressors[number]
                    .compress(&self.raw[number], &mut compressed)
                    .map_err(Error::Compress)?;
                self.raw[number].clear();
            } else if std::mem::take(&mut self.differs) {
                self.differences.finish();
                compressed.append(&mut self.differences.bytes);
            }
            let mut length = Vec::new();
            varint::put(&mut length, compressed.len() as u64);
            self.write(&length)?;
            self.write(&compressed)?;
            self.sizes[number] += compressed.len() as u64;
            self.compressed = compressed;
        }
        Ok(())
    }
}
