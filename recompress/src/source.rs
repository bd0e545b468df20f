//! The compressed blob as it is read: a buffer with a view ahead, a position that can be gone back to, and
//! the inflating of one DEFLATE stream of which the end is known to the byte.

use std::io::{self, Read, Seek, SeekFrom};

use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use crate::gzip::MAX_HEADER;
use crate::zstd::MAX_WINDOW_LOG;

/// Something that can be read again from an earlier position: a file, or bytes in memory.
pub trait ReadSeek: Read + Seek {}

impl<T: Read + Seek + ?Sized> ReadSeek for T {}

/// The view ahead: at least a whole header, and one byte that says that there is more.
const BUFFER: usize = 2 * MAX_HEADER;
/// Plain bytes of one step.
const STEP: usize = 64 * 1024;

/// A blob with a buffer.
pub(crate) struct Source<'a> {
    blob: &'a mut dyn ReadSeek,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    at: u64,
}

impl<'a> Source<'a> {
    /// Reads from the blob's present position, which counts as 0.
    pub(crate) fn new(blob: &'a mut dyn ReadSeek) -> io::Result<Self> {
        let base = blob.stream_position()?;
        Ok(Self { blob, buffer: vec![0; BUFFER], from: 0, to: 0, at: base })
    }

    /// Where the next byte is.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// Goes to a position that [`Source::position`] gave.
    pub(crate) fn seek(&mut self, at: u64) -> io::Result<()> {
        self.blob.seek(SeekFrom::Start(at))?;
        (self.from, self.to, self.at) = (0, 0, at);
        Ok(())
    }

    /// The next bytes: `len` of them, unless the blob ends before. `len` is at most [`BUFFER`].
    pub(crate) fn peek(&mut self, len: usize) -> io::Result<&[u8]> {
        let len = len.min(BUFFER);
        if self.to - self.from < len {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        while self.to < len {
            match self.blob.read(&mut self.buffer[self.to..]) {
                Ok(0) => break,
                Ok(read) => self.to += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.to - self.from >= len {
                break;
            }
        }
        Ok(&self.buffer[self.from..self.to])
    }

    /// Goes over bytes that were seen.
    pub(crate) fn skip(&mut self, len: usize) {
        self.from += len;
        self.at += len as u64;
    }
}

/// What a stream is packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Deflate,
    Zstd,
}

enum Stream {
    Deflate(Decompress),
    Zstd(DCtx<'static>),
}

/// The inflating of one stream.
pub(crate) struct Inflate {
    stream: Stream,
    plain: Box<[u8]>,
    len: usize,
}

/// What a step of inflating came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more.
    More,
    /// The stream has ended.
    End,
    /// It is no DEFLATE, or is cut off.
    Damaged,
}

impl Inflate {
    pub(crate) fn new(packing: Packing) -> Self {
        let stream = match packing {
            Packing::Deflate => Stream::Deflate(Decompress::new(false)),
            Packing::Zstd => {
                let mut context = DCtx::create();
                // A larger window than this is refused by the library's default anyway, or by ours.
                let _ = context.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG));
                Stream::Zstd(context)
            }
        };
        Self { stream, plain: vec![0; STEP].into(), len: 0 }
    }

    /// The plain bytes of the last step.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.plain[..self.len]
    }

    /// Inflates some more of the source, and appends the bytes that were consumed for it to `consumed`.
    pub(crate) fn step(&mut self, source: &mut Source<'_>, consumed: &mut Vec<u8>) -> io::Result<Step> {
        let bytes = source.peek(1)?;
        let (status, taken) = match &mut self.stream {
            Stream::Deflate(stream) => {
                let (before_in, before_out) = (stream.total_in(), stream.total_out());
                let status = stream.decompress(bytes, &mut self.plain, FlushDecompress::None);
                self.len = (stream.total_out() - before_out) as usize;
                let step = match status {
                    Ok(Status::StreamEnd) => Step::End,
                    Ok(_) => Step::More,
                    Err(_) => Step::Damaged,
                };
                (step, (stream.total_in() - before_in) as usize)
            }
            Stream::Zstd(context) => {
                let mut input = InBuffer::around(bytes);
                let mut output = OutBuffer::around(&mut self.plain[..]);
                let hint = context.decompress_stream(&mut output, &mut input);
                self.len = output.pos();
                let step = match hint {
                    Ok(0) => Step::End,
                    Ok(_) => Step::More,
                    Err(_) => Step::Damaged,
                };
                (step, input.pos())
            }
        };
        consumed.extend_from_slice(&bytes[..taken]);
        source.skip(taken);
        // Without a byte in or out the stream is cut off.
        Ok(if status == Step::More && taken == 0 && self.len == 0 { Step::Damaged } else { status })
    }
}
