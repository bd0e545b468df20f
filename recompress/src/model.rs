//! The models by name: which programs there are, in which order they are tried, and the few bytes that name
//! one of them in a recipe.

use crate::encoder::Encoder;
use crate::go::{GoEncoder, LAZY};
use crate::gzip::Hints;
use crate::klauspost::{KlauspostEncoder, PgzipEncoder, Version};
use crate::reuse::Shared;
use crate::varint::{Reader, put};
use crate::zlib::{Deflate, Level, Pigz, PigzBlocks, PigzSettings, Strategy, ZlibSettings};

const ZLIB: u8 = 1;
const GNU_GZIP: u8 = 2;
const PIGZ: u8 = 3;
const GO: u8 = 4;
const KLAUSPOST: u8 = 5;
const PGZIP: u8 = 6;

/// Blocks of pigz in a recipe: no smaller than its dictionary, no larger than what is of use.
const PIGZ_BLOCK_KIB: std::ops::RangeInclusive<u64> = 32..=65536;

/// Blocks of pgzip in a recipe: one is in memory.
const PGZIP_BLOCK_KIB: std::ops::RangeInclusive<u32> = 17..=4096;

/// A level of Go's encoders: -2 for Huffman codes only, 0 for stored blocks, 1 to 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoLevel(i8);

impl GoLevel {
    /// The level, if there is such a one. -1, "the default", is not among them: it is 6 with Go's own
    /// encoder and 5 with klauspost's.
    pub fn new(level: i8) -> Option<Self> {
        (level == -2 || (0..=9).contains(&level)).then_some(Self(level))
    }

    /// -2, or 0 to 9.
    pub fn number(self) -> i8 {
        self.0
    }

    fn write(self, out: &mut Vec<u8>) {
        out.push((self.0 + 2) as u8);
    }

    fn read(bytes: &mut Reader<'_>) -> Option<Self> {
        let byte = bytes.byte().filter(|&byte| byte < 12)?;
        Self::new(byte as i8 - 2)
    }
}

/// A version of klauspost/compress with a level that it models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KlauspostSettings {
    version: Version,
    level: GoLevel,
}

impl KlauspostSettings {
    /// The settings, if the version's encoder of this level is known.
    pub fn new(version: Version, level: GoLevel) -> Option<Self> {
        version.has(level.0.into()).then_some(Self { version, level })
    }

    fn write(self, out: &mut Vec<u8>) {
        out.push(version_number(self.version));
        self.level.write(out);
    }

    fn read(bytes: &mut Reader<'_>) -> Option<Self> {
        Self::new(version(bytes.byte()?)?, GoLevel::read(bytes)?)
    }
}

/// klauspost/compress with the blocks that pgzip cuts, each of 17 to 4096 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PgzipSettings {
    encoder: KlauspostSettings,
    block_kib: u32,
}

impl PgzipSettings {
    /// The settings, if there are blocks of this size.
    pub fn new(encoder: KlauspostSettings, block_kib: u32) -> Option<Self> {
        PGZIP_BLOCK_KIB.contains(&block_kib).then_some(Self { encoder, block_kib })
    }
}

/// A program's DEFLATE encoder with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Model {
    /// zlib, as Python, Java and many others use it.
    Zlib(ZlibSettings),
    /// GNU gzip from 1.2 on.
    GnuGzip(Level),
    /// pigz.
    Pigz(PigzSettings),
    /// `compress/gzip` of Go up to 1.26.
    Go(GoLevel),
    /// `github.com/klauspost/compress`.
    Klauspost(KlauspostSettings),
    /// `github.com/klauspost/pgzip`.
    Pgzip(PgzipSettings),
}

impl Model {
    /// An encoder that behaves as the program does.
    pub fn encoder(&self) -> Box<dyn Encoder> {
        match *self {
            Self::Zlib(settings) => Box::new(Deflate::zlib(settings)),
            Self::GnuGzip(level) => Box::new(Deflate::gnu_gzip(level)),
            Self::Pigz(settings) => Box::new(Pigz::new(settings)),
            Self::Go(level) => boxed(GoEncoder::new(level.0.into())),
            Self::Klauspost(KlauspostSettings { version, level }) => {
                boxed(KlauspostEncoder::new(version, level.0.into()))
            }
            Self::Pgzip(PgzipSettings { encoder: KlauspostSettings { version, level }, block_kib }) => {
                boxed(PgzipEncoder::new(version, level.0.into(), (block_kib as usize) << 10))
            }
        }
    }

    /// An encoder that takes tokens over where there are runs; none if the model cannot.
    pub(crate) fn following(&self, follow: Shared) -> Option<GoEncoder> {
        match *self {
            Self::Go(level) => GoEncoder::following(level.0.into(), follow),
            _ => None,
        }
    }

    /// Whether the model has runs of tokens.
    pub(crate) fn follows(&self) -> bool {
        matches!(*self, Self::Go(level) if i32::from(level.0) >= LAZY)
    }

    /// Whether the model cannot have written a stream that begins so: pgzip ends each block with an empty
    /// stored one, and needs a whole block to say anything.
    pub(crate) fn is_out_of_question(&self, compressed: &[u8]) -> bool {
        matches!(self, Self::Pgzip(..)) && !compressed.windows(4).any(|bytes| bytes == [0, 0, 0xff, 0xff])
    }

    /// Number of the program and its settings, as [`crate::Recipe`] specifies them.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Zlib(ZlibSettings { level, memory, strategy }) => {
                let strategy = match strategy {
                    Strategy::Default => 0,
                    Strategy::HuffmanOnly => 2,
                    Strategy::Runs => 3,
                };
                out.extend([ZLIB, level.number(), memory, strategy]);
            }
            Self::GnuGzip(level) => out.extend([GNU_GZIP, level.number()]),
            Self::Pigz(PigzSettings { level, block_kib, blocks }) => {
                let blocks = match blocks {
                    PigzBlocks::Dictionary => 0,
                    PigzBlocks::SameStream => 1,
                    PigzBlocks::Independent => 2,
                };
                out.extend([PIGZ, level.number(), blocks]);
                put(u64::from(block_kib), out);
            }
            Self::Go(level) => {
                out.push(GO);
                level.write(out);
            }
            Self::Klauspost(settings) => {
                out.push(KLAUSPOST);
                settings.write(out);
            }
            Self::Pgzip(PgzipSettings { encoder, block_kib }) => {
                out.push(PGZIP);
                encoder.write(out);
                put(block_kib.into(), out);
            }
        }
    }

    /// The inverse of [`Model::write`]; `None` for what names no model.
    pub(crate) fn read(bytes: &mut Reader<'_>) -> Option<Self> {
        match bytes.byte()? {
            ZLIB => {
                let level = Level::new(bytes.byte()?)?;
                let memory = bytes.byte().filter(|memory| (1..=9).contains(memory))?;
                let strategy = match bytes.byte()? {
                    0 => Strategy::Default,
                    2 => Strategy::HuffmanOnly,
                    3 => Strategy::Runs,
                    _ => return None,
                };
                Some(Self::Zlib(ZlibSettings { level, memory, strategy }))
            }
            GNU_GZIP => Some(Self::GnuGzip(Level::new(bytes.byte()?)?)),
            PIGZ => {
                let level = Level::new(bytes.byte()?)?;
                let blocks = match bytes.byte()? {
                    0 => PigzBlocks::Dictionary,
                    1 => PigzBlocks::SameStream,
                    2 => PigzBlocks::Independent,
                    _ => return None,
                };
                let block_kib = bytes.varint().filter(|kib| PIGZ_BLOCK_KIB.contains(kib))? as u32;
                Some(Self::Pigz(PigzSettings { level, block_kib, blocks }))
            }
            GO => Some(Self::Go(GoLevel::read(bytes)?)),
            KLAUSPOST => KlauspostSettings::read(bytes).map(Self::Klauspost),
            PGZIP => {
                let encoder = KlauspostSettings::read(bytes)?;
                let block_kib = u32::try_from(bytes.varint()?).ok()?;
                PgzipSettings::new(encoder, block_kib).map(Self::Pgzip)
            }
            _ => None,
        }
    }

    /// All models that are tried, the likeliest first, after what a header says.
    pub(crate) fn candidates(hints: Hints) -> Vec<Self> {
        // Go's programs say that they do not know the system; so does Java from 16 on.
        if hints.system == UNKNOWN_SYSTEM {
            let mut models = Self::of_go(hints);
            models.splice(2..2, Level::new(6).map(|level| Self::Zlib(ZlibSettings::usual(level))));
            models.extend(Self::of_c(hints));
            models
        } else {
            let mut models = Self::of_c(hints);
            models.extend(Self::of_go(hints));
            models
        }
    }

    fn of_go(hints: Hints) -> Vec<Self> {
        let levels: &[i8] = match hints.speed {
            2 => &[9, 6, 5, 8, 7, 4, 3, 2, 1, 0, -2],
            4 => &[1, 6, 5, 2, 3, 4, 7, 8, 9, 0, -2],
            _ => &[6, 5, 2, 3, 4, 7, 8, 0, -2, 1, 9],
        };
        let levels = || levels.iter().filter_map(|&level| GoLevel::new(level));
        let settings = |level: GoLevel, in_blocks: bool| {
            let versions = Version::different(level.0.into(), in_blocks).iter();
            versions.filter_map(move |&version| KlauspostSettings::new(version, level))
        };
        let klauspost = |level| settings(level, false).map(Self::Klauspost);
        let pgzip =
            |level| settings(level, true).filter_map(|it| PgzipSettings::new(it, 1024)).map(Self::Pgzip);
        levels()
            .flat_map(|level| [Self::Go(level)].into_iter().chain(klauspost(level)).chain(pgzip(level)))
            .collect()
    }

    fn of_c(hints: Hints) -> Vec<Self> {
        // Each program writes 2 for its slowest level and 4 for its fastest; some write 0 always.
        let levels: &[u8] = match hints.speed {
            2 => &[9, 6, 8, 7, 5, 4, 3, 2, 1],
            4 => &[1, 6, 9, 2, 3, 4, 5, 7, 8],
            _ => &[6, 9, 1, 5, 4, 7, 8, 3, 2],
        };
        let levels = || levels.iter().filter_map(|&level| Level::new(level));
        let zlib = levels().map(|level| Self::Zlib(ZlibSettings::usual(level)));
        let gzip = levels().map(Self::GnuGzip);
        let pigz = [PigzBlocks::Dictionary, PigzBlocks::SameStream, PigzBlocks::Independent]
            .into_iter()
            .flat_map(|blocks| levels().map(move |level| (level, blocks)))
            .map(|(level, blocks)| Self::Pigz(PigzSettings { level, block_kib: 128, blocks }));
        let large =
            levels().map(|level| Self::Zlib(ZlibSettings { level, memory: 9, strategy: Strategy::Default }));
        let rare = [Strategy::HuffmanOnly, Strategy::Runs]
            .into_iter()
            .filter_map(|strategy| Some((Level::new(6)?, strategy)))
            .map(|(level, strategy)| Self::Zlib(ZlibSettings { level, memory: 8, strategy }));
        zlib.chain(gzip).chain(pigz).chain(large).chain(rare).collect()
    }
}

/// The operating system that a header does not know (RFC 1952 section 2.3.1).
const UNKNOWN_SYSTEM: u8 = 255;

/// Versions of klauspost/compress by their numbers in a recipe, which never change.
const VERSIONS: [Version; 9] = [
    Version::V1_14_0,
    Version::V1_15_0,
    Version::V1_15_11,
    Version::V1_15_14,
    Version::V1_18_0,
    Version::V1_18_2,
    Version::V1_20_0,
    Version::V1_20_4,
    Version::V1_12_0,
];

fn version_number(version: Version) -> u8 {
    // All versions are in the list, as a test proves.
    VERSIONS.iter().position(|&other| other == version).unwrap_or_default() as u8
}

fn version(number: u8) -> Option<Version> {
    VERSIONS.get(usize::from(number)).copied()
}

/// The levels and sizes of a model are those that its encoder has.
fn boxed(encoder: Option<impl Encoder + 'static>) -> Box<dyn Encoder> {
    match encoder {
        Some(encoder) => Box::new(encoder),
        None => unreachable!("a level or a size of blocks that was checked before"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_is_read_as_it_was_written() {
        let all = [0, 2, 4].map(|speed| Model::candidates(Hints { speed, system: 3 })).concat();
        for model in all {
            let mut bytes = Vec::new();
            model.write(&mut bytes);
            let mut reader = Reader::new(&bytes);
            assert_eq!(Model::read(&mut reader), Some(model));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn each_version_of_klauspost_has_a_number_in_recipes() {
        let mut sorted = VERSIONS;
        sorted.sort_unstable();
        assert_eq!(sorted, Version::ALL);
    }

    #[test]
    fn whatever_names_a_model_in_a_recipe_names_one_with_an_encoder() {
        for kind in 0..=7 {
            for first in 0..=16 {
                for second in 0..=16 {
                    for third in [0, 1, 2, 8, 17, 64, 200] {
                        let bytes = [kind, first, second, third, 0x20, 0x01];
                        if let Some(model) = Model::read(&mut Reader::new(&bytes)) {
                            model.encoder();
                        }
                    }
                }
            }
        }
    }
}
