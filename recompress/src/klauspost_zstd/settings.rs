//! How a frame was written: the level, version and options of klauspost's encoder, as far as they change its bytes.
//! Takes the header of a frame, gives what may have written it; and the few bytes that say so in a recipe.

use super::block::Literals;
use super::version::ZstdVersion;
use crate::varint::Reader;

/// The levels of the encoder, from the fastest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameLevel {
    /// `SpeedFastest`, for libzstd's levels below 3.
    Fastest,
    /// `SpeedDefault`, for 3 to 5.
    Default,
    /// `SpeedBetterCompression`, for 6 to 9.
    Better,
    /// `SpeedBestCompression`, from 10 on, which zstd:chunked has by default. Frames of 512 KiB at most.
    Best,
}

impl FrameLevel {
    /// All of them; their places are their numbers in a recipe.
    pub const ALL: [FrameLevel; 4] =
        [FrameLevel::Fastest, FrameLevel::Default, FrameLevel::Better, FrameLevel::Best];

    /// The window that a level has by itself, in powers of two.
    fn window_log(self) -> u8 {
        if self == Self::Fastest { 22 } else { 23 }
    }
}

/// How the plain bytes were given, which the header of the frame shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As a stream, of which the size was not known.
    Stream,
    /// As a stream of known size.
    Sized,
    /// In one call; a single segment if that fits.
    Whole,
    /// In one call, as a single segment.
    Single,
    /// In one call, never as a single segment.
    Windowed,
}

impl Form {
    /// Whether the plain bytes come piece by piece.
    pub(super) fn is_stream(self) -> bool {
        matches!(self, Self::Stream | Self::Sized)
    }
}

const FORMS: [Form; 5] = [Form::Stream, Form::Sized, Form::Whole, Form::Single, Form::Windowed];

/// The smallest window in powers of two, and the largest: 8 MiB, as RFC 8878 wants every decoder to take.
const WINDOW_LOGS: std::ops::RangeInclusive<u8> = 10..=23;
/// The largest block of plain bytes.
const BLOCK: usize = 128 << 10;
/// That of the fastest level.
const SMALL_BLOCK: usize = 64 << 10;

const CHECKSUM: u8 = 1;
const OTHER_LITERALS: u8 = 2;
const NO_ENTROPY: u8 = 4;
const LARGE_BLOCKS: u8 = 8;

/// A level of a version, with options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSettings {
    pub(super) version: ZstdVersion,
    pub(super) level: FrameLevel,
    pub(super) form: Form,
    window_log: u8,
    flags: u8,
    /// The length of a first block of its own, or 0.
    first: u8,
}

impl FrameSettings {
    /// The settings of a program that sets the level only; none if the level of this version is not modelled.
    pub fn new(version: ZstdVersion, level: FrameLevel, form: Form) -> Option<Self> {
        Self::checked(Self {
            version,
            level,
            form,
            window_log: level.window_log(),
            flags: CHECKSUM,
            first: 0,
        })
    }

    /// With a window of 2^10 to 2^23 bytes (`WithWindowSize`, before the level).
    pub fn with_window(self, window_log: u8) -> Option<Self> {
        Self::checked(Self { window_log, flags: self.flags | LARGE_BLOCKS, ..self })
    }

    /// With a checksum, or without one (`WithEncoderCRC`).
    pub fn with_checksum(self, checksum: bool) -> Self {
        Self { flags: self.flags & !CHECKSUM | if checksum { CHECKSUM } else { 0 }, ..self }
    }

    /// With codes for blocks without matches, or without (`WithAllLitEntropyCompression`).
    pub fn with_all_literals(self, all: bool) -> Self {
        let other = all != self.version.codes_all_literals(self.level);
        Self { flags: self.flags & !OTHER_LITERALS | if other { OTHER_LITERALS } else { 0 }, ..self }
    }

    /// With a first block of so many bytes of its own, in a stream: programs that look at the first bytes to see
    /// how they are compressed (skopeo, podman and buildah look at 8) give these to the encoder alone.
    pub fn with_first_block(self, first: u8) -> Option<Self> {
        Self::checked(Self { first, ..self })
    }

    /// Without codes for the literals of blocks with matches (`WithNoEntropyCompression`).
    pub fn without_entropy(self) -> Self {
        Self { flags: self.flags | NO_ENTROPY, ..self }
    }

    fn checked(self) -> Option<Self> {
        let large = self.flags & LARGE_BLOCKS == 0 || self.level == FrameLevel::Fastest;
        let flags = if large { self.flags } else { self.flags & !LARGE_BLOCKS };
        let fits = self.version.has(self.level) && WINDOW_LOGS.contains(&self.window_log) && flags < 16;
        let fits = fits && (self.first == 0 || self.form.is_stream());
        fits.then_some(Self { flags, ..self })
    }

    /// All settings that could have written a frame with this header, the likeliest first.
    pub(crate) fn candidates(header: Header) -> Vec<Self> {
        const LEVELS: [FrameLevel; 4] =
            [FrameLevel::Default, FrameLevel::Best, FrameLevel::Fastest, FrameLevel::Better];
        const VERSIONS: [ZstdVersion; 5] = [
            ZstdVersion::V1_17_8,
            ZstdVersion::V1_20_3,
            ZstdVersion::V1_16_5,
            ZstdVersion::V1_15_0,
            ZstdVersion::V1_17_3,
        ];
        let mut all = Vec::new();
        for level in LEVELS {
            let own = level.window_log();
            for version in VERSIONS {
                for (form, window_log) in header.forms(own) {
                    if let Some(settings) = Self::new(version, level, form)
                        && let Some(settings) = settings.with_first_block(header.first)
                    {
                        let settings = settings.with_checksum(header.checksum);
                        if window_log == own {
                            all.push(settings);
                        } else {
                            all.extend(settings.with_window(window_log));
                        }
                    }
                }
            }
        }
        all
    }

    /// The six bytes that [`crate::Recipe`] specifies.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let version = ZstdVersion::ALL.iter().position(|&version| version == self.version);
        let level = FrameLevel::ALL.iter().position(|&level| level == self.level);
        let form = FORMS.iter().position(|&form| form == self.form);
        let number = |place: Option<usize>| place.unwrap_or_default() as u8;
        out.extend([number(version), number(level), number(form), self.window_log, self.flags, self.first]);
    }

    /// The inverse of [`FrameSettings::write`].
    pub(crate) fn read(bytes: &mut Reader<'_>) -> Option<Self> {
        let version = *ZstdVersion::ALL.get(usize::from(bytes.byte()?))?;
        let level = *FrameLevel::ALL.get(usize::from(bytes.byte()?))?;
        let form = *FORMS.get(usize::from(bytes.byte()?))?;
        let (window_log, flags, first) = (bytes.byte()?, bytes.byte()?, bytes.byte()?);
        let settings = Self { version, level, form, window_log, flags, first };
        Self::checked(settings).filter(|&checked| checked == settings)
    }

    pub(super) fn window(self) -> usize {
        1 << self.window_log
    }

    /// The size of the first block, if it is one of its own.
    pub(super) fn first(self) -> Option<usize> {
        (self.first > 0).then_some(self.first.into())
    }

    /// The size of blocks.
    pub(super) fn block(self) -> usize {
        let small = self.level == FrameLevel::Fastest && self.flags & LARGE_BLOCKS == 0;
        self.window().min(if small { SMALL_BLOCK } else { BLOCK })
    }

    pub(super) fn has_checksum(self) -> bool {
        self.flags & CHECKSUM != 0
    }

    pub(super) fn literals(self) -> Literals {
        Literals {
            never: self.flags & NO_ENTROPY != 0,
            always: self.version.codes_all_literals(self.level) != (self.flags & OTHER_LITERALS != 0),
        }
    }
}

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) checksum: bool,
    /// In powers of two; none if the frame is a single segment.
    pub(crate) window_log: Option<u8>,
    pub(crate) size: Option<u64>,
    /// The length of the first block if it is shorter than any that is not the last: one of its own. 0 if not.
    pub(crate) first: u8,
}

impl Header {
    /// The ways of giving plain bytes that make such a header, with the window of the encoder, whose own it is
    /// to have 2^`own` bytes.
    fn forms(self, own: u8) -> Vec<(Form, u8)> {
        // A stream of one block is written in one call, and so stands for both.
        let Some(window_log) = self.window_log else {
            return vec![(Form::Stream, own), (Form::Whole, own), (Form::Single, own)];
        };
        match self.size {
            // The window in the header is that of the encoder, or as small as the size allows.
            Some(size) if size < 1 << window_log => {
                vec![(Form::Stream, own), (Form::Sized, own), (Form::Windowed, own)]
            }
            Some(_) => vec![(Form::Sized, window_log), (Form::Whole, window_log)],
            // Small sizes are not in the header.
            None if window_log == *WINDOW_LOGS.start() => {
                vec![(Form::Stream, own), (Form::Windowed, own), (Form::Stream, window_log)]
            }
            None => vec![(Form::Stream, window_log)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_settings_that_are_tried_are_read_as_they_were_written() {
        for window_log in [None, Some(10), Some(17), Some(22), Some(23)] {
            for size in [None, Some(300), Some(1 << 23)] {
                for first in [0, 8] {
                    for settings in
                        FrameSettings::candidates(Header { checksum: true, window_log, size, first })
                    {
                        let mut bytes = Vec::new();
                        settings.write(&mut bytes);
                        let mut reader = Reader::new(&bytes);
                        assert_eq!(FrameSettings::read(&mut reader), Some(settings));
                        assert!(reader.is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn settings_that_do_not_exist_are_refused() {
        let good = [3, 1, 0, 23, 1, 0];
        assert!(FrameSettings::read(&mut Reader::new(&good)).is_some());
        for (at, bad) in [(0, 5), (1, 4), (2, 5), (3, 9), (3, 24), (4, 8), (4, 16)] {
            let mut bytes = good;
            bytes[at] = bad;
            assert_eq!(FrameSettings::read(&mut Reader::new(&bytes)), None, "{bytes:?}");
        }
        // A level that the version lacks, and a first block of what comes in one call.
        for bytes in [[0, 2, 0, 23, 1, 0], [2, 1, 0, 23, 1, 0], [2, 3, 0, 23, 1, 0], [3, 1, 2, 23, 1, 8]] {
            assert_eq!(FrameSettings::read(&mut Reader::new(&bytes)), None, "{bytes:?}");
        }
    }
}
