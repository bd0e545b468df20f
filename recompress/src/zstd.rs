//! Zstandard frames (RFC 8878) as libzstd writes them with one thread: what a frame's header says, and the
//! library itself as encoder. Takes plain bytes, gives a frame. Frames of other versions of the library and of its many
//! threads (the program `zstd`) are not found by this; those of Go's encoder are in `klauspost_zstd`.

use std::ops::Range;

use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use crate::encoder::Encoder;
use crate::klauspost_zstd::{FrameSettings, Header};
use crate::recipe::Way;
use crate::varint::Reader;

/// The first bytes of a frame.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// What follows the first byte of a skippable frame.
const SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// Up to this level the library needs 20 MiB at most.
const MAX_LEVEL: u8 = 9;
/// The largest window in powers of two: 8 MiB, as RFC 8878 wants every decoder to take.
pub(crate) const MAX_WINDOW_LOG: u32 = 23;
/// A whole block of plain bytes.
const BLOCK: usize = 128 * 1024;

const CHECKSUM: u8 = 1;
const CONTENT_SIZE: u8 = 2;
const ENDS_APART: u8 = 4;

/// How a frame was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZstdSettings {
    /// 1 to 9.
    pub(crate) level: u8,
    /// Whether there is a checksum, whether the size was known, and whether the last plain bytes were given
    /// before the end was known.
    flags: u8,
}

impl ZstdSettings {
    /// All settings that could have written a frame that begins so, the likeliest first; none if it does
    /// not begin like a frame without dictionary.
    pub(crate) fn candidates(header: &[u8]) -> Option<Vec<Self>> {
        let (magic, rest) = header.split_first_chunk::<4>()?;
        let descriptor = *rest.first()?;
        if *magic != MAGIC || descriptor & 0b1011 != 0 {
            return None;
        }
        let checksum = if descriptor & 4 != 0 { CHECKSUM } else { 0 };
        let size = if descriptor & 0xe0 != 0 { CONTENT_SIZE } else { 0 };
        let levels = [3, 1, 2, 4, 5, 6, 7, 8, 9];
        let settings = |level| [0, ENDS_APART].map(|end| Self { level, flags: checksum | size | end });
        Some(levels.into_iter().flat_map(settings).collect())
    }

    /// The two bytes that [`crate::Recipe`] specifies.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend([self.level, self.flags]);
    }

    /// The inverse of [`ZstdSettings::write`].
    pub(crate) fn read(bytes: &mut Reader<'_>) -> Option<Self> {
        let level = bytes.byte().filter(|level| (1..=MAX_LEVEL).contains(level))?;
        let flags = bytes.byte().filter(|&flags| flags < 8)?;
        Some(Self { level, flags })
    }

    /// An encoder for so many plain bytes. `None` if the library refuses.
    pub(crate) fn encoder(self, size: u64) -> Option<Box<dyn Encoder>> {
        let mut context = CCtx::try_create()?;
        context.set_parameter(CParameter::CompressionLevel(self.level.into())).ok()?;
        context.set_parameter(CParameter::ChecksumFlag(self.flags & CHECKSUM != 0)).ok()?;
        let known = self.flags & CONTENT_SIZE != 0;
        context.set_parameter(CParameter::ContentSizeFlag(known)).ok()?;
        if known {
            context.set_pledged_src_size(Some(size)).ok()?;
        }
        let ends_apart = self.flags & ENDS_APART != 0;
        Some(Box::new(Frame { context, ends_apart, held: Vec::new(), failed: false }))
    }
}

/// The length of a skippable frame (RFC 8878 section 3.1.2) with its header, if there is one at the beginning.
pub(crate) fn skippable_len(bytes: &[u8]) -> Option<u64> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let size = u32::from_le_bytes(*rest.first_chunk::<4>()?);
    let is_skippable = magic[0] & 0xf0 == 0x50 && magic[1..] == SKIPPABLE[..];
    is_skippable.then_some(8 + u64::from(size))
}

/// All ways that could have written a frame that begins so, the likeliest first; none if it does not begin like a frame
/// without dictionary.
pub(crate) fn ways(bytes: &[u8]) -> Option<Vec<Way>> {
    let settings = ZstdSettings::candidates(bytes)?;
    let (libzstd, go) = (settings.into_iter().map(Way::Zstd), go_candidates(bytes));
    // libzstd's windows are smaller, and programs that use it write no checksum by themselves.
    let is_like_go = bytes[MAGIC.len()] & 4 != 0;
    Some(if is_like_go { go.chain(libzstd).collect() } else { libzstd.chain(go).collect() })
}

fn go_candidates(bytes: &[u8]) -> impl Iterator<Item = Way> + use<> {
    let descriptor = bytes.get(MAGIC.len()).copied().unwrap_or_default();
    let window = bytes.get(MAGIC.len() + 1).copied().filter(|_| descriptor & 0x20 == 0);
    let has_size = descriptor & 0xe0 != 0;
    let header = Header {
        checksum: descriptor & 4 != 0,
        window_log: window.map(|window| 10 + (window >> 3)),
        size: has_size.then(|| content_size(bytes)),
        first: first_block(bytes),
    };
    // Go's encoder has powers of two only.
    let is_possible = window.is_none_or(|window| window & 7 == 0);
    let candidates = if is_possible { FrameSettings::candidates(header) } else { Vec::new() };
    candidates.into_iter().map(Way::Go)
}

/// The size that a frame's header promises, or 0.
pub(crate) fn content_size(header: &[u8]) -> u64 {
    let Some(at) = size_place(header) else {
        return 0;
    };
    let mut bytes = [0; 8];
    let len = at.len();
    match header.get(at) {
        Some(size) => bytes[..len].copy_from_slice(size),
        None => return 0,
    }
    u64::from_le_bytes(bytes) + if len == 2 { 256 } else { 0 }
}

/// Where the size of a frame is, and behind it the first block.
fn size_place(header: &[u8]) -> Option<Range<usize>> {
    let &descriptor = header.get(MAGIC.len())?;
    // Without a window of its own the frame is one segment, and has a size always.
    let single = descriptor & 0x20 != 0;
    let at = MAGIC.len() + 1 + usize::from(!single);
    let len = match descriptor >> 6 {
        0 => usize::from(single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    Some(at..at + len)
}

/// The length of the first block if it is one of a few plain bytes, and another follows; or 0.
fn first_block(frame: &[u8]) -> u8 {
    let header = size_place(frame).and_then(|size| frame.get(size.end..)?.first_chunk::<3>());
    let Some(&[low, middle, high]) = header else {
        return 0;
    };
    let header = u32::from_le_bytes([low, middle, high, 0]);
    // Not the last, and of plain bytes or of one byte over and over.
    if header & 1 == 0 && header >> 1 & 3 < 2 { u8::try_from(header >> 3).unwrap_or(0) } else { 0 }
}

struct Frame {
    context: CCtx<'static>,
    ends_apart: bool,
    held: Vec<u8>,
    /// The library gave an error, and nothing more is written: what comes out is wrong, and found to be.
    failed: bool,
}

impl Frame {
    fn run(&mut self, plain: &[u8], end: ZSTD_EndDirective, out: &mut Vec<u8>) {
        let mut input = InBuffer::around(plain);
        let mut buffer = [0; 16 * 1024];
        while !self.failed {
            let mut output = OutBuffer::around(&mut buffer[..]);
            let result = self.context.compress_stream2(&mut output, &mut input, end);
            out.extend_from_slice(output.as_slice());
            let consumed = input.pos() == plain.len();
            match result {
                Ok(0) => break,
                Ok(_) if end == ZSTD_EndDirective::ZSTD_e_continue && consumed => break,
                Ok(_) => {}
                Err(_) => self.failed = true,
            }
        }
    }
}

impl Encoder for Frame {
    fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(plain);
        // The last block waits, since it may be given together with the end.
        let ready = self.held.len().saturating_sub(1) / BLOCK * BLOCK;
        if ready > 0 {
            let held = std::mem::take(&mut self.held);
            for block in held[..ready].chunks(BLOCK) {
                self.run(block, ZSTD_EndDirective::ZSTD_e_continue, out);
            }
            self.held.extend_from_slice(&held[ready..]);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        if self.ends_apart {
            self.run(&held, ZSTD_EndDirective::ZSTD_e_continue, out);
            self.run(&[], ZSTD_EndDirective::ZSTD_e_end, out);
        } else {
            self.run(&held, ZSTD_EndDirective::ZSTD_e_end, out);
        }
    }
}
