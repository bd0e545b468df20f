//! Decoding: takes an encoded layer and its bases, gives the layer's plain bytes as a stream.
//! Memory is bounded by the windows and parts of the format; nothing is believed that could give more bytes than declared.

use std::io::{self, Read, Write};

use zstd::stream::raw::{DParameter, Decoder as Zstd, InBuffer, Operation, OutBuffer};

use crate::cached::Cached;
use crate::format::{self, Kind, STREAMS, stream};
use crate::model::{AHEAD, DiffModel, INPUTS, RangeDecoder};
use crate::read_at::ReadAt;
use crate::varint;

/// How many bytes are in hand at once.
const STEP: usize = 64 << 10;

/// Enough for the windows of what [`encode`](crate::encode()) writes at any level: 32 MiB.
pub const WINDOWS: u64 = 32 << 20;

/// What a caller allows an encoded layer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The exact number of plain bytes that must come out.
    pub size: u64,
    /// The most memory in bytes that the windows of all streams may take together.
    pub windows: u64,
}

/// Why an encoded layer does not decode.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The encoded bytes could not be read, or they end early.
    #[error("reading the encoded layer")]
    Encoded(#[source] io::Error),
    /// The base with this number could not be read.
    #[error("reading base {0}")]
    Base(usize, #[source] io::Error),
    /// The plain bytes could not be written.
    #[error("writing the layer")]
    Output(#[source] io::Error),
    /// The bytes do not begin as an encoded layer does.
    #[error("not an encoded layer")]
    Magic,
    /// Another version of the format, which is given.
    #[error("the encoded layer has version {0}, and this program reads version {version}", version = format::VERSION)]
    Version(u8),
    /// The encoded layer declares another length than the caller knows.
    #[error("the encoded layer gives {declared} bytes instead of {expected}")]
    Size {
        /// What the encoded layer declares.
        declared: u64,
        /// What the caller knows.
        expected: u64,
    },
    /// The encoded layer needs another number of bases than there are.
    #[error("the encoded layer has {declared} bases instead of {given}")]
    Bases {
        /// How many the encoded layer names.
        declared: u64,
        /// How many the caller gives.
        given: usize,
    },
    /// A base has another length than it had for the encoder.
    #[error("base {base} has {given} bytes instead of {declared}")]
    BaseSize {
        /// The number of the base.
        base: usize,
        /// The length for the encoder.
        declared: u64,
        /// The length now.
        given: u64,
    },
    /// The windows need more memory than the caller allows; both numbers are bytes.
    #[error("the encoded layer needs {needed} bytes of windows, and {allowed} are allowed")]
    Windows {
        /// What the encoded layer needs.
        needed: u64,
        /// What the caller allows.
        allowed: u64,
    },
    /// The encoded bytes break the rules of the format: which one.
    #[error("the encoded layer is damaged: {0}")]
    Damaged(&'static str),
}

impl From<varint::TooLarge> for Error {
    fn from(_: varint::TooLarge) -> Error {
        Error::Damaged("a number is too large")
    }
}

/// What the head of an encoded layer declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of plain bytes.
    pub size: u64,
    /// The bases in their order.
    pub bases: Vec<HeadBase>,
    windows: [u8; STREAMS],
}

/// One base in the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadBase {
    /// The number of bytes of the whole base.
    pub size: u64,
    /// About how many of them decoding reads. A hint for people and plans: it is not enforced.
    pub reads: u64,
}

impl Head {
    /// Reads the head, and leaves `encoded` at the first group.
    ///
    /// # Errors
    /// When it cannot be read, is of another version, or breaks the rules.
    pub fn read(encoded: &mut dyn Read) -> Result<Head, Error> {
        let mut start = [0; 5];
        encoded.read_exact(&mut start).map_err(Error::Encoded)?;
        if start[..4] != format::MAGIC {
            return Err(Error::Magic);
        }
        if start[4] != format::VERSION {
            return Err(Error::Version(start[4]));
        }
        let size = number(encoded)?;
        let mut windows = [0; STREAMS];
        encoded.read_exact(&mut windows).map_err(Error::Encoded)?;
        for (number, log) in windows.iter().enumerate() {
            let (allowed, log) = match number {
                stream::DIFF if log & format::MODEL != 0 => {
                    (format::MODEL_LOG_MIN..=format::MODEL_LOG_MAX, log & !format::MODEL)
                }
                _ => (format::WINDOW_LOG_MIN..=format::WINDOW_LOG_MAX, *log),
            };
            if !allowed.contains(&log) {
                return Err(Error::Damaged("a window is out of bounds"));
            }
        }
        let count = number(encoded)?;
        if count > format::BASES_MAX {
            return Err(Error::Damaged("there are too many bases"));
        }
        let mut bases = Vec::new();
        for _ in 0..count {
            bases.push(HeadBase { size: number(encoded)?, reads: number(encoded)? });
        }
        Ok(Head { size, bases, windows })
    }

    /// The memory in bytes that the windows of all streams and the model of differences need to decode.
    pub fn windows(&self) -> u64 {
        let model = self.model().map_or(0, |log| (2 * INPUTS as u64 * 4) << log);
        let windows = self.windows.iter().filter(|log| **log & format::MODEL == 0);
        windows.map(|log| 1 << log).sum::<u64>() + model
    }

    /// The size of the model of differences, if they are coded by it.
    fn model(&self) -> Option<u8> {
        let log = self.windows[stream::DIFF];
        (log & format::MODEL != 0).then_some(log & !format::MODEL)
    }
}

/// Decodes a layer, and gives the number of bytes written, which is `limits.size`.
///
/// `encoded` is left after the encoded layer's last byte. `bases` are those of the encoder, in its order. Whether
/// the bytes are the right ones only their digest says: bases with other bytes of the same length give other output.
///
/// # Errors
/// See [`Error`]. What was written until then is of no use.
pub fn decode(
    encoded: &mut dyn Read,
    bases: &[&dyn ReadAt],
    limits: Limits,
    out: &mut dyn Write,
) -> Result<u64, Error> {
    let head = Head::read(encoded)?;
    if head.size != limits.size {
        return Err(Error::Size { declared: head.size, expected: limits.size });
    }
    if head.windows() > limits.windows {
        return Err(Error::Windows { needed: head.windows(), allowed: limits.windows });
    }
    if head.bases.len() != bases.len() {
        return Err(Error::Bases { declared: head.bases.len() as u64, given: bases.len() });
    }
    for (number, (declared, base)) in head.bases.iter().zip(bases).enumerate() {
        if declared.size != base.size() {
            return Err(Error::BaseSize { base: number, declared: declared.size, given: base.size() });
        }
    }
    let mut streams = Vec::new();
    for log in head.windows {
        // Where the model takes the place of zstd the stream only holds the part.
        streams.push(Stream::new(if log & format::MODEL != 0 { format::WINDOW_LOG_MIN } else { log })?);
    }
    let mut decoder = Decoder {
        streams,
        bases: Cached::new(bases),
        base: 0,
        position: 0,
        left: head.size,
        buffer: vec![0; STEP + AHEAD],
        new: vec![0; STEP],
        model: None,
        model_log: head.model(),
        differences: None,
    };
    while decoder.group(encoded, out)? {}
    if decoder.left > 0 {
        return Err(Error::Damaged("it ends before the declared length"));
    }
    Ok(head.size)
}

/// Where decoding is.
struct Decoder<'a> {
    streams: Vec<Stream>,
    bases: Cached<'a>,
    base: usize,
    position: u64,
    left: u64,
    buffer: Vec<u8>,
    new: Vec<u8>,
    /// Made when the first differences come.
    model: Option<Box<DiffModel>>,
    model_log: Option<u8>,
    differences: Option<RangeDecoder>,
}

impl Decoder<'_> {
    /// Decodes one group; false at the end mark.
    fn group(&mut self, encoded: &mut dyn Read, out: &mut dyn Write) -> Result<bool, Error> {
        match byte(encoded)? {
            format::END => return Ok(false),
            format::GROUP => {}
            _ => return Err(Error::Damaged("there is neither a group nor the end")),
        }
        for stream in &mut self.streams {
            let length = number(encoded)?;
            if length > format::PART_MAX {
                return Err(Error::Damaged("a part of a group is too long"));
            }
            stream.fill(encoded, length)?;
        }
        if self.model_log.is_some() {
            let part = std::mem::take(&mut self.streams[stream::DIFF].input);
            self.streams[stream::DIFF].drained = true;
            self.differences = (!part.is_empty()).then(|| RangeDecoder::new(part));
        }
        let mut idle = 0;
        while let Some(first) = self.streams[stream::OPS].next_byte()? {
            let kind = Kind::of(first).ok_or(Error::Damaged("an operation is unknown"))?;
            let short = first >> 3;
            let value = if short < format::LONG {
                u64::from(short)
            } else {
                let ops = &mut self.streams[stream::OPS];
                varint::get(|| ops.next_byte()?.ok_or(Error::Damaged("an operation is cut off")))?
                    .checked_add(u64::from(format::LONG))
                    .ok_or(varint::TooLarge)?
            };
            match kind {
                Kind::Seek => {
                    self.position = self
                        .position
                        .checked_add_signed(varint::unzigzag(value))
                        .ok_or(Error::Damaged("a position is out of the base"))?;
                }
                Kind::Base => {
                    self.base = usize::try_from(value)
                        .ok()
                        .filter(|base| *base < self.bases.count())
                        .ok_or(Error::Damaged("a base is unknown"))?;
                    self.position = 0;
                }
                Kind::Copy | Kind::Add | Kind::New | Kind::NewHead | Kind::AddHead => {
                    idle = 0;
                    self.bytes(kind, value.checked_add(1).ok_or(varint::TooLarge)?, out)?;
                    continue;
                }
            }
            idle += 1;
            if idle > format::IDLE_MAX {
                return Err(Error::Damaged("operations follow each other without bytes"));
            }
        }
        if self.differences.take().is_some_and(|differences| !differences.is_at_end()) {
            return Err(Error::Damaged("a group has differences that nothing uses"));
        }
        for stream in &mut self.streams {
            if stream.next_byte()?.is_some() || !stream.is_consumed() {
                return Err(Error::Damaged("a group has bytes that nothing uses"));
            }
        }
        Ok(true)
    }

    /// Gives the bytes of one operation.
    fn bytes(&mut self, kind: Kind, length: u64, out: &mut dyn Write) -> Result<(), Error> {
        if length > self.left {
            return Err(Error::Damaged("it gives more bytes than declared"));
        }
        self.left -= length;
        let (from_base, extra) = match kind {
            Kind::Copy => (true, None),
            Kind::Add => (true, Some(stream::DIFF)),
            Kind::AddHead => (true, Some(stream::HEAD)),
            Kind::NewHead => (false, Some(stream::HEAD)),
            _ => (false, Some(stream::NEW)),
        };
        if from_base {
            let size = if self.bases.count() > 0 { self.bases.size(self.base) } else { 0 };
            let end = self.position.checked_add(length).filter(|end| *end <= size);
            end.ok_or(Error::Damaged("a copy is out of the base"))?;
        }
        let mut rest = length;
        while rest > 0 {
            let step = rest.min(STEP as u64) as usize;
            if let (Kind::Add, Some(log)) = (kind, self.model_log) {
                self.add(step, log)?;
                out.write_all(&self.new[..step]).map_err(Error::Output)?;
                rest -= step as u64;
                continue;
            }
            let buffer = &mut self.buffer[..step];
            if from_base {
                self.bases
                    .read(self.base, buffer, self.position)
                    .map_err(|error| Error::Base(self.base, error))?;
                self.position += step as u64;
                if let Some(extra) = extra {
                    let diff = &mut self.new[..step];
                    self.streams[extra].exact(diff)?;
                    for (byte, diff) in buffer.iter_mut().zip(diff) {
                        *byte = byte.wrapping_add(*diff);
                    }
                }
            } else if let Some(extra) = extra {
                self.streams[extra].exact(buffer)?;
            }
            out.write_all(buffer).map_err(Error::Output)?;
            rest -= step as u64;
        }
        Ok(())
    }

    /// Makes `new` from base bytes and their differences.
    fn add(&mut self, length: usize, model_log: u8) -> Result<(), Error> {
        let differences = self.differences.as_mut().ok_or(Error::Damaged("a stream ends early"))?;
        let left = self.bases.size(self.base).saturating_sub(self.position);
        let old = &mut self.buffer[..((length + AHEAD) as u64).min(left) as usize];
        self.bases.read(self.base, old, self.position).map_err(|error| Error::Base(self.base, error))?;
        let model = self.model.get_or_insert_with(|| Box::new(DiffModel::new(u32::from(model_log))));
        model.code(differences, self.position, old, &mut self.new[..length]);
        if differences.is_past_end() {
            return Err(Error::Damaged("a stream ends early"));
        }
        self.position += length as u64;
        Ok(())
    }
}

/// One stream: a zstd frame whose bytes come group by group.
struct Stream {
    zstd: Zstd<'static>,
    input: Vec<u8>,
    consumed: usize,
    output: Vec<u8>,
    taken: usize,
    /// Whether zstd has given all that it can from the part: asked again and again it would report an error.
    drained: bool,
}

impl Stream {
    fn new(window_log: u8) -> Result<Stream, Error> {
        let mut zstd = Zstd::new().map_err(Error::Encoded)?;
        zstd.set_parameter(DParameter::WindowLogMax(u32::from(window_log))).map_err(Error::Encoded)?;
        Ok(Stream {
            zstd,
            input: Vec::new(),
            consumed: 0,
            output: Vec::with_capacity(STEP),
            taken: 0,
            drained: true,
        })
    }

    /// Takes the next group's part, whose length is within bounds.
    fn fill(&mut self, encoded: &mut dyn Read, length: u64) -> Result<(), Error> {
        self.input.clear();
        self.consumed = 0;
        self.drained = length == 0;
        // Grows with what arrives, not with what is declared.
        let read = encoded.take(length).read_to_end(&mut self.input).map_err(Error::Encoded)?;
        if (read as u64) < length {
            return Err(Error::Encoded(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// Whether all of the part went into zstd.
    fn is_consumed(&self) -> bool {
        self.consumed == self.input.len()
    }

    /// Decompresses some more; false when the part gives no more.
    fn refill(&mut self) -> Result<bool, Error> {
        self.output.clear();
        self.taken = 0;
        while self.output.is_empty() {
            if self.drained {
                return Ok(false);
            }
            let mut input = InBuffer::around(&self.input[self.consumed..]);
            let mut output = OutBuffer::around(&mut self.output);
            self.zstd
                .run(&mut input, &mut output)
                .map_err(|_| Error::Damaged("a stream does not decompress"))?;
            self.consumed += input.pos();
            self.drained = self.is_consumed() && self.output.len() < self.output.capacity();
        }
        Ok(true)
    }

    fn next_byte(&mut self) -> Result<Option<u8>, Error> {
        if self.taken == self.output.len() && !self.refill()? {
            return Ok(None);
        }
        self.taken += 1;
        Ok(self.output.get(self.taken - 1).copied())
    }

    fn exact(&mut self, mut into: &mut [u8]) -> Result<(), Error> {
        while !into.is_empty() {
            if self.taken == self.output.len() && !self.refill()? {
                return Err(Error::Damaged("a stream ends early"));
            }
            let length = into.len().min(self.output.len() - self.taken);
            let (now, later) = into.split_at_mut(length);
            now.copy_from_slice(&self.output[self.taken..self.taken + length]);
            self.taken += length;
            into = later;
        }
        Ok(())
    }
}

fn byte(encoded: &mut dyn Read) -> Result<u8, Error> {
    let mut byte = [0];
    encoded.read_exact(&mut byte).map_err(Error::Encoded)?;
    Ok(byte[0])
}

fn number(encoded: &mut dyn Read) -> Result<u64, Error> {
    varint::get(|| byte(encoded))
}
