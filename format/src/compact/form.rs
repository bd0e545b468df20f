//! The bytes of a compact encoding: its header, the heads of its sections, the table at its end.
//! Takes bytes of a file that anybody may have written, gives numbers within their bounds.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use bundle_oci::{Digest, RepositoryName};
use bundle_recompress::{InnerRecipe, MAX_INNER_RECIPE, MAX_STREAM_LIST};
use serde::{Deserialize, Serialize};

use crate::compact::error::CompactError;
use crate::{Layer, Limits};

/// The first bytes of a compact encoding.
pub(crate) const MAGIC: &[u8; 16] = b"compact-bundle 1";
/// The last bytes of a compact encoding.
pub(crate) const END: &[u8; 16] = b"compact-bundle.\n";
/// Kind, content and stored bytes of a section.
pub(crate) const SECTION_HEAD: u64 = 17;
/// The number of sections and [`END`].
pub(crate) const FOOTER: u64 = 24;
/// Bases that one recipe may name.
pub(crate) const MOST_BASES: usize = 64;
/// How much larger than a blob its uncompressed bytes may be: what DEFLATE can do at most (1032 to 1,
/// RFC 1951), and something for tiny blobs.
const MOST_EXPANSION: u64 = 1_032;

/// A blob that the other side has, of which recipes take bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CompactBase {
    /// The blob, as it lies there.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The repository that has it at the destination, without the registry.
    pub repository: RepositoryName,
}

/// What stands before the first section.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Header {
    pub(crate) bases: Vec<CompactBase>,
}

impl Header {
    /// The magic bytes, the length of the JSON in four bytes, and the JSON.
    pub(crate) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length = u32::try_from(json.len()).map_err(|_| io::Error::other("there are too many bases"))?;
        Ok([&MAGIC[..], &length.to_le_bytes(), &json].concat())
    }

    /// Reads a header from its first byte on, and says how long it is.
    pub(crate) fn read(reader: &mut dyn Read, limits: &Limits) -> Result<(Self, u64), CompactError> {
        let mut start = [0; 20];
        reader.read_exact(&mut start).map_err(CompactError::of)?;
        let length = u32_at(&start, 16);
        if !start.starts_with(MAGIC) || u64::from(length) > limits.statement {
            return Err(CompactError::Header);
        }
        let mut json = Vec::new();
        reader.take(u64::from(length)).read_to_end(&mut json).map_err(CompactError::of)?;
        if json.len() as u64 != u64::from(length) {
            return Err(CompactError::Cut);
        }
        let header: Self = serde_json::from_slice(&json).map_err(|_| CompactError::Header)?;
        if header.bases.len() > limits.blobs {
            return Err(CompactError::Header);
        }
        Ok((header, 20 + u64::from(length)))
    }
}

/// How a section is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectionKind {
    /// A frame of Zstandard.
    Frame,
    /// The bytes themselves.
    Bytes,
    /// A recipe for one blob.
    Recipe,
    /// A recipe for one blob, in whose uncompressed bytes archives are opened.
    Opened,
    /// The end: what follows is the table.
    End,
}

impl SectionKind {
    fn number(self) -> u8 {
        match self {
            Self::End => 0,
            Self::Frame => 1,
            Self::Bytes => 2,
            Self::Recipe => 3,
            Self::Opened => 4,
        }
    }

    /// Whether the section makes a blob.
    pub(crate) fn is_recipe(self) -> bool {
        matches!(self, Self::Recipe | Self::Opened)
    }
}

/// The head of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectionHead {
    pub(crate) kind: SectionKind,
    /// How many bytes of the archive it gives; at the end, how many sections there were.
    pub(crate) content: u64,
    /// How many bytes follow.
    pub(crate) stored: u64,
}

impl SectionHead {
    pub(crate) fn to_bytes(self) -> [u8; SECTION_HEAD as usize] {
        let mut bytes = [0; SECTION_HEAD as usize];
        bytes[0] = self.kind.number();
        bytes[1..9].copy_from_slice(&self.content.to_le_bytes());
        bytes[9..].copy_from_slice(&self.stored.to_le_bytes());
        bytes
    }

    /// Checks everything that can be known of a section alone.
    pub(crate) fn parse(bytes: &[u8; SECTION_HEAD as usize], limits: &Limits) -> Result<Self, CompactError> {
        let (content, stored) = (u64_at(bytes, 1), u64_at(bytes, 9));
        // Sums of all sections must fit into 64 bits: no file is half as large.
        if content > i64::MAX as u64 || stored > i64::MAX as u64 {
            return Err(CompactError::Section);
        }
        let kind = match bytes[0] {
            0 => SectionKind::End,
            1 => SectionKind::Frame,
            2 => SectionKind::Bytes,
            3 => SectionKind::Recipe,
            4 => SectionKind::Opened,
            _ => return Err(CompactError::Section),
        };
        let bound =
            zstd::zstd_safe::compress_bound(usize::try_from(limits.frame).unwrap_or(usize::MAX)) as u64;
        let is_possible = match kind {
            SectionKind::End => content <= limits.frames as u64 && stored == content * SECTION_HEAD,
            SectionKind::Frame => (1..=limits.frame).contains(&content) && stored <= bound,
            SectionKind::Bytes => content > 0 && content == stored,
            SectionKind::Recipe | SectionKind::Opened => content > 0,
        };
        if is_possible { Ok(Self { kind, content, stored }) } else { Err(CompactError::Section) }
    }
}

/// Where one base of a recipe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BasePlace {
    /// These bytes of the same archive, which lie before the blob.
    Earlier { offset: u64, size: u64 },
    /// This one of the header's bases.
    Outer(u32),
}

/// A base of a recipe: a compressed blob, of which the uncompressed bytes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecipeBase {
    pub(crate) place: BasePlace,
    /// How many bytes it has uncompressed.
    pub(crate) plain: u64,
}

/// What stands at the start of a recipe's section; the difference follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecipeHead {
    /// How many bytes the blob has uncompressed.
    pub(crate) plain: u64,
    pub(crate) bases: Vec<RecipeBase>,
    /// How the uncompressed bytes are compressed again, as `bundle-recompress` reads it.
    pub(crate) recipe: Vec<u8>,
    /// What a section of the kind `Opened` has besides.
    pub(crate) opened: Option<OpenedHead>,
    /// The length of the corrections, which follow; the difference comes behind them.
    pub(crate) corrections: u64,
}

/// How archives are opened in the uncompressed bytes of a blob and of its bases: the difference is one of opened bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenedHead {
    /// How many bytes the blob has opened.
    pub(crate) size: u64,
    /// How they are closed again.
    pub(crate) recipe: InnerRecipe,
    /// Of each base, the streams whose inflated bytes come behind its uncompressed ones.
    pub(crate) streams: Vec<BaseStreams>,
}

/// Streams of a base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BaseStreams {
    /// How many bytes the list gives.
    pub(crate) size: u64,
    /// Where the streams are, as `bundle-recompress` reads it.
    pub(crate) list: Vec<u8>,
}

impl RecipeHead {
    /// The most bytes that a blob of this size may have uncompressed.
    pub(crate) fn most_plain(size: u64) -> u64 {
        size.saturating_mul(MOST_EXPANSION).saturating_add(64 << 10)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.plain.to_le_bytes().to_vec();
        bytes.push(self.bases.len() as u8);
        for base in &self.bases {
            match base.place {
                BasePlace::Earlier { offset, size } => {
                    bytes.push(0);
                    bytes.extend_from_slice(&offset.to_le_bytes());
                    bytes.extend_from_slice(&size.to_le_bytes());
                }
                BasePlace::Outer(index) => {
                    bytes.push(1);
                    bytes.extend_from_slice(&index.to_le_bytes());
                }
            }
            bytes.extend_from_slice(&base.plain.to_le_bytes());
        }
        bytes.extend_from_slice(&(self.recipe.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.recipe);
        if let Some(opened) = &self.opened {
            bytes.extend_from_slice(&opened.size.to_le_bytes());
            let recipe = opened.recipe.as_bytes();
            bytes.extend_from_slice(&(recipe.len() as u32).to_le_bytes());
            bytes.extend_from_slice(recipe);
            for BaseStreams { size, list } in &opened.streams {
                bytes.extend_from_slice(&size.to_le_bytes());
                bytes.extend_from_slice(&(list.len() as u32).to_le_bytes());
                bytes.extend_from_slice(list);
            }
        }
        bytes.extend_from_slice(&self.corrections.to_le_bytes());
        bytes
    }

    /// Reads the head of a recipe for `content` bytes of the archive from `start` on, in a section of this kind. `bases`
    /// are the header's.
    pub(crate) fn read(
        reader: &mut dyn Read,
        kind: SectionKind,
        start: u64,
        content: u64,
        bases: &[CompactBase],
        limits: &Limits,
    ) -> Result<Self, CompactError> {
        let plain = read_u64(reader)?;
        let number = usize::from(read_array::<1>(reader)?[0]);
        if plain > Self::most_plain(content) || number > MOST_BASES {
            return Err(CompactError::Recipe);
        }
        let (mut found, mut sizes) = (Vec::with_capacity(number), Vec::with_capacity(number));
        for _ in 0..number {
            let (place, size) = match read_array::<1>(reader)?[0] {
                0 => {
                    let (offset, size) = (read_u64(reader)?, read_u64(reader)?);
                    // Only what lies before: so there are no cycles.
                    if offset.checked_add(size).is_none_or(|end| end > start) {
                        return Err(CompactError::Recipe);
                    }
                    (BasePlace::Earlier { offset, size }, size)
                }
                1 => {
                    let index = u32::from_le_bytes(read_array(reader)?);
                    let base = bases.get(index as usize).ok_or(CompactError::Recipe)?;
                    (BasePlace::Outer(index), base.size)
                }
                _ => return Err(CompactError::Recipe),
            };
            let plain = read_u64(reader)?;
            if plain > Self::most_plain(size) {
                return Err(CompactError::Recipe);
            }
            found.push(RecipeBase { place, plain });
            sizes.push(size);
        }
        let recipe = read_bytes(reader, limits.recipe)?;
        let opened = match kind {
            SectionKind::Opened => Some(OpenedHead::read(reader, content, &sizes)?),
            _ => None,
        };
        let corrections = read_u64(reader)?;
        Ok(Self { plain, bases: found, recipe, opened, corrections })
    }
}

impl OpenedHead {
    /// Reads what stands behind the recipe, for `content` bytes of the archive and bases of these sizes.
    fn read(reader: &mut dyn Read, content: u64, bases: &[u64]) -> Result<Self, CompactError> {
        let size = read_u64(reader)?;
        if size > RecipeHead::most_plain(content) {
            return Err(CompactError::Recipe);
        }
        let recipe = read_bytes(reader, MAX_INNER_RECIPE as u64)?;
        let recipe = InnerRecipe::from_bytes(&recipe).map_err(|_| CompactError::Recipe)?;
        let (mut streams, mut room) = (Vec::with_capacity(bases.len()), MAX_STREAM_LIST as u64);
        for base in bases {
            let size = read_u64(reader)?;
            if size > RecipeHead::most_plain(*base) {
                return Err(CompactError::Recipe);
            }
            let list = read_bytes(reader, room)?;
            room -= list.len() as u64;
            streams.push(BaseStreams { size, list });
        }
        Ok(Self { size, recipe, streams })
    }
}

/// Reads from a place of a layer on, up to another.
pub(crate) struct Part<'a> {
    layer: &'a dyn Layer,
    start: u64,
    at: u64,
    end: u64,
}

impl<'a> Part<'a> {
    /// These bytes of the layer.
    pub(crate) fn new(layer: &'a dyn Layer, bytes: Range<u64>) -> Self {
        Self { layer, start: bytes.start, at: bytes.start, end: bytes.end }
    }

    /// All of a layer of this size.
    pub(crate) fn of(layer: &'a dyn Layer, size: u64) -> Self {
        Self::new(layer, 0..size)
    }

    /// Where it reads next.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }
}

impl Seek for Part<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(offset) => self.start.checked_add(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
        };
        self.at = at.filter(|at| *at >= self.start).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at - self.start)
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.at);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.layer.read_exact_at(&mut buffer[..length], self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn read_array<const N: usize>(reader: &mut dyn Read) -> Result<[u8; N], CompactError> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map_err(CompactError::of)?;
    Ok(bytes)
}

/// The length in four bytes, and so many bytes.
fn read_bytes(reader: &mut dyn Read, most: u64) -> Result<Vec<u8>, CompactError> {
    let length = u64::from(u32::from_le_bytes(read_array(reader)?));
    if length > most {
        return Err(CompactError::Recipe);
    }
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes).map_err(CompactError::of)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(CompactError::Recipe) }
}

fn read_u64(reader: &mut dyn Read) -> Result<u64, CompactError> {
    Ok(u64::from_le_bytes(read_array(reader)?))
}
