//! How parity lies: which bytes of the bundle are in which shard and block, and where digests and parity
//! are in the files beside it. docs/format.md §Parity.

use std::ops::Range;

use bundle_oci::{Digest, json::Bounds};
use serde::{Deserialize, Serialize};

/// The version of the description of parity that this crate reads and writes.
pub const PARITY_VERSION: u32 = 1;

/// The unit of digests, of loss and of rebuilding: a sector of a disk, in bytes.
pub(crate) const BLOCK: u64 = 4096;

/// The shards that a bundle in one file is divided into.
pub(crate) const SHARDS_OF_A_FILE: usize = 100;

/// Shards of data and parity together. All blocks of a row are in memory when one is rebuilt.
pub(crate) const MOST_SHARDS: usize = 2048;

/// The description's place at either end of the table, in bytes.
pub(crate) const DESCRIPTION: u64 = 4096;

/// The digests in one page of the table; the page's own digest follows them.
pub(crate) const DIGESTS: u64 = PAGE / DIGEST - 1;
/// A page of the table, in bytes.
pub(crate) const PAGE: u64 = 4096;
/// The stored part of a digest, in bytes: enough against accidents; the statement protects against attacks.
pub(crate) const DIGEST: u64 = 8;

/// The code's unit of work, in bytes; all lengths are multiples of it.
const UNIT: u64 = 64;

/// The description of parity, as it stands in `NAME.parity`. It is not signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Description {
    /// [`PARITY_VERSION`].
    pub(crate) parity_version: u32,
    /// The digest of the bundle's statement.
    pub(crate) statement: Digest,
    /// The size of the file, or of all volumes together, in bytes.
    pub(crate) size: u64,
    /// Shards of data.
    pub(crate) shards: u32,
    /// Shards of parity.
    pub(crate) parity: u32,
    /// The length of each shard in bytes, as the code sees it.
    pub(crate) length: u64,
    /// Whether shards are volumes, and parity is in files of its own.
    pub(crate) volumes: bool,
}

/// Why a file is no parity of the bundle that it lies beside.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    /// No description that can be read.
    #[error("it has no description of parity that can be read")]
    Description,
    /// A version from another time.
    #[error("it is of version {0}, and this program reads version {PARITY_VERSION}")]
    Version(u64),
    /// Numbers that cannot be, or are not the bundle's.
    #[error("it does not belong to the bundle beside it")]
    Other,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(std::io::Error),
}

/// More volumes than parity can be made for.
#[derive(Debug, thiserror::Error)]
#[error("there can be parity for at most {MOST_SHARDS} volumes, its own among them")]
pub struct TooManyShards;

impl Description {
    /// Reads a description, with the blanks that follow it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ParityError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            parity_version: u64,
        }

        let text = bytes.trim_ascii_end();
        let wrong = |_| ParityError::Description;
        bundle_oci::json::check(text, Bounds::STATEMENT, &[], &[]).map_err(wrong)?;
        let versioned: Versioned = serde_json::from_slice(text).map_err(wrong)?;
        if versioned.parity_version != u64::from(PARITY_VERSION) {
            return Err(ParityError::Version(versioned.parity_version));
        }
        serde_json::from_slice(text).map_err(wrong)
    }

    /// The description with blanks and a line feed up to [`DESCRIPTION`] bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec(self).expect("a description has no map with keys other than strings");
        bytes.resize(DESCRIPTION as usize - 1, b' ');
        bytes.push(b'\n');
        bytes
    }
}

/// Which bytes are in which block.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) description: Description,
    /// The bytes of each shard of data. Bytes missing at a shard's end count as zeros.
    pub(crate) data: Vec<Range<u64>>,
}

impl Shape {
    /// The shape of parity for a file of this size.
    pub(crate) fn of_file(statement: Digest, size: u64, parity: usize) -> Self {
        let length = length_of_file(size);
        Self::new(statement, size, parity, length, data_of_file(size, length), false)
    }

    /// The shape of parity for these volumes.
    pub(crate) fn of_volumes(
        statement: Digest,
        volumes: Vec<Range<u64>>,
        parity: usize,
    ) -> Result<Self, TooManyShards> {
        if volumes.len().saturating_add(parity) > MOST_SHARDS {
            return Err(TooManyShards);
        }
        let length = length_of_volumes(&volumes);
        let size = volumes.last().map_or(0, |range| range.end);
        Ok(Self::new(statement, size, parity, length, volumes, true))
    }

    fn new(
        statement: Digest,
        size: u64,
        parity: usize,
        length: u64,
        data: Vec<Range<u64>>,
        volumes: bool,
    ) -> Self {
        let description = Description {
            parity_version: PARITY_VERSION,
            statement,
            size,
            shards: data.len() as u32,
            parity: parity as u32,
            length,
            volumes,
        };
        Self { description, data }
    }

    /// The shape that a description gives, of a bundle in volumes that belong here, or in a file.
    pub(crate) fn read(
        description: Description,
        volumes: Option<&[Range<u64>]>,
    ) -> Result<Self, ParityError> {
        let size = description.size;
        // With these bounds, no sum below can overflow.
        if size == 0 || size >= 1 << 53 || description.parity == 0 {
            return Err(ParityError::Other);
        }
        let (length, data) = match volumes {
            Some(volumes) => (length_of_volumes(volumes), volumes.to_vec()),
            None => {
                let length = length_of_file(size);
                (length, data_of_file(size, length))
            }
        };
        let sound = description.volumes == volumes.is_some()
            && description.shards as usize == data.len()
            && data.last().is_some_and(|range| range.end == size)
            && description.parity as usize <= data.len()
            && data.len() + description.parity as usize <= MOST_SHARDS
            && description.length == length;
        if sound { Ok(Self { description, data }) } else { Err(ParityError::Other) }
    }

    /// Shards of parity.
    pub(crate) fn parity(&self) -> usize {
        self.description.parity as usize
    }

    /// Shards of data and parity.
    pub(crate) fn shards(&self) -> usize {
        self.data.len() + self.parity()
    }

    /// The length of each shard in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.description.length
    }

    /// How many blocks each shard has.
    pub(crate) fn rows(&self) -> u64 {
        self.length().div_ceil(BLOCK)
    }

    /// How long the blocks of a row are.
    pub(crate) fn row_length(&self, row: u64) -> usize {
        (self.length() - row * BLOCK).min(BLOCK) as usize
    }

    /// The bytes that these rows of a shard have, of those that the shard has at all.
    pub(crate) fn bytes(&self, shard: usize, rows: &Range<u64>) -> Range<u64> {
        let range = self.data.get(shard).cloned().unwrap_or(0..0);
        let at = |row: u64| range.start + (row * BLOCK).min(range.end - range.start);
        at(rows.start)..at(rows.end)
    }

    /// The shard that has this byte.
    pub(crate) fn shard_of(&self, byte: u64) -> Option<usize> {
        let position = self.data.partition_point(|range| range.end <= byte);
        self.data.get(position).filter(|range| range.contains(&byte)).map(|_| position)
    }

    /// How many pages the table of digests has.
    pub(crate) fn pages(&self) -> u64 {
        (self.shards() as u64 * self.rows()).div_ceil(DIGESTS)
    }

    /// Where in `NAME.parity` a shard of parity lies, if it is not in a file of its own.
    pub(crate) fn place_of(&self, parity: usize) -> u64 {
        DESCRIPTION + self.pages() * PAGE + parity as u64 * self.length()
    }

    /// Where in `NAME.parity` the description stands again: at its end.
    pub(crate) fn second(&self) -> u64 {
        self.place_of(if self.description.volumes { 0 } else { self.parity() })
    }

    /// How many bytes all files of parity have together.
    pub(crate) fn total(&self) -> u64 {
        self.place_of(self.parity()) + DESCRIPTION
    }

    /// The rows that are worked on at a time, so that all shards' blocks are a few MiB together.
    pub(crate) fn rows_at_once(&self) -> u64 {
        const TOGETHER: u64 = 4 << 20;
        (TOGETHER / BLOCK / self.shards() as u64).clamp(1, 16)
    }
}

/// Sectors are not cut where there are enough of them.
fn length_of_file(size: u64) -> u64 {
    let length = size.div_ceil(SHARDS_OF_A_FILE as u64);
    length.next_multiple_of(if length > BLOCK { BLOCK } else { UNIT })
}

fn data_of_file(size: u64, length: u64) -> Vec<Range<u64>> {
    let at = |shard: usize| (shard as u64 * length).min(size);
    (0..SHARDS_OF_A_FILE).map(|shard| at(shard)..at(shard + 1)).collect()
}

fn length_of_volumes(volumes: &[Range<u64>]) -> u64 {
    let longest = volumes.iter().map(|range| range.end - range.start).max();
    longest.unwrap_or(0).next_multiple_of(UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_as_it_was_written_and_no_other_is() {
        let statement = Digest::of(b"x");
        for size in [1, 63, 8704, 409_600, 409_601, 5_000_000_000] {
            let shape = Shape::of_file(statement, size, 10);
            assert_eq!(shape.data.len(), 100);
            assert_eq!(shape.data.last().unwrap().end, size);
            assert!(shape.length().is_multiple_of(64) && shape.length() * 100 >= size);
            let bytes = shape.description.to_bytes();
            assert_eq!(bytes.len() as u64, DESCRIPTION);
            let again = Description::parse(&bytes).unwrap();
            assert_eq!(again, shape.description);
            assert_eq!(Shape::read(again, None).unwrap().data, shape.data);
        }
        let good = Shape::of_file(statement, 8704, 10).description;
        let with = |change: fn(&mut Description)| {
            let mut description = good.clone();
            change(&mut description);
            Shape::read(description, None)
        };
        for bad in [
            with(|description| description.size = 0),
            with(|description| description.size = 1 << 60),
            with(|description| description.shards = 99),
            with(|description| description.parity = 0),
            with(|description| description.parity = 101),
            with(|description| description.length += 64),
            with(|description| description.length = u64::MAX),
            with(|description| description.volumes = true),
        ] {
            assert!(matches!(bad, Err(ParityError::Other)));
        }
        let volumes = [0..100, 100..350, 350..360];
        let set = Shape::of_volumes(statement, volumes.to_vec(), 2).unwrap();
        assert_eq!(set.length(), 256);
        assert!(Shape::read(set.description.clone(), Some(&volumes)).is_ok());
        assert!(Shape::read(set.description.clone(), Some(&volumes[..2])).is_err());
        assert!(Shape::read(set.description, None).is_err());
        assert!(Shape::of_volumes(statement, volumes.to_vec(), 2046).is_err());
        assert!(matches!(Description::parse(br#"{"parityVersion":2}"#), Err(ParityError::Version(2))));
        assert!(matches!(Description::parse(b"{}"), Err(ParityError::Description)));
    }
}
