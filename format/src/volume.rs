use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bundle_oci::Digest;
use bundle_oci::json::Bounds;
use serde::{Deserialize, Serialize};

use crate::{BLOCK, Layout, Limits};

/// The version of the volumes' index that this crate reads and writes.
pub const VOLUMES_VERSION: u32 = 1;

/// How large a volume may be, in bytes, a multiple of [`BLOCK`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeSize(u64);

/// A text that is no volume's size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("size must be at least 64KiB, like 700MiB, 4GiB or 4GB, or be fat32")]
pub struct ParseVolumeSizeError;

/// The largest file of FAT32 has one byte less than 4 GiB.
const FAT32: u64 = (4 << 30) - 1;
/// Smaller ones would be more names than bytes.
const SMALLEST: u64 = 64 << 10;

impl FromStr for VolumeSize {
    type Err = ParseVolumeSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const UNITS: [(&str, u64); 9] = [
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("TiB", 1 << 40),
            ("kB", 1_000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("TB", 1_000_000_000_000),
            ("", 1),
        ];
        let bytes = if text.eq_ignore_ascii_case("fat32") {
            FAT32
        } else {
            let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
            let unit = text[digits.len()..].trim();
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(ParseVolumeSizeError)?;
            let number: u64 = digits.trim().parse().map_err(|_| ParseVolumeSizeError)?;
            number.checked_mul(*factor).ok_or(ParseVolumeSizeError)?
        };
        let bytes = bytes / BLOCK * BLOCK;
        if bytes < SMALLEST { Err(ParseVolumeSizeError) } else { Ok(Self(bytes)) }
    }
}

impl VolumeSize {
    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// Cuts an archive into volumes (docs/format.md §Volumes): between two entries wherever an entry
    /// fits into one volume. One that does not is begun where it comes, and cut when the volume is
    /// full.
    pub fn cut(self, layout: &Layout) -> Vec<Range<u64>> {
        let (size, total) = (self.0, layout.size());
        // The closing blocks stay with the last entry.
        let mut borders: Vec<u64> = layout.entries().iter().map(|entry| entry.end()).collect();
        borders.pop();
        borders.push(total);
        let mut cuts = Vec::new();
        let mut start = 0;
        while start < total {
            let limit = start.saturating_add(size);
            let end = if limit >= total {
                total
            } else {
                // Borders rise; the first one beyond the limit ends the entry that does not fit.
                let beyond = borders.partition_point(|border| *border <= limit);
                let border = beyond.checked_sub(1).and_then(|last| borders.get(last)).copied();
                let next = borders.get(beyond).copied().unwrap_or(total);
                match border {
                    Some(border) if border > start && next - border <= size => border,
                    _ => limit,
                }
            };
            cuts.push(start..end);
            start = end;
        }
        cuts
    }
}

/// What the volumes of a set are, as it stands beside them in `NAME.volumes.json`. It is not signed:
/// what is in the volumes is held to the statement. It says where each of them belongs, and which
/// of several is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VolumeIndex {
    /// [`VOLUMES_VERSION`].
    pub volumes_version: u32,
    /// The digest of the statement: the set's identity.
    pub statement: Digest,
    /// The volumes in their order.
    pub volumes: Vec<VolumeEntry>,
}

/// One volume of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VolumeEntry {
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
}

/// Why bytes are no index of volumes.
#[derive(Debug, thiserror::Error)]
pub enum VolumeIndexError {
    /// A version from another time.
    #[error("index of volumes is of version {0}, and this program reads version {VOLUMES_VERSION}")]
    Version(u64),
    /// No JSON of the expected shape.
    #[error("index of volumes is not valid")]
    Json(#[from] serde_json::Error),
    /// No volume, one that is empty, too many, or more bytes than can be.
    #[error("index of volumes has numbers that cannot be")]
    Numbers,
}

impl VolumeIndex {
    /// Reads an index.
    ///
    /// # Errors
    /// Any [`VolumeIndexError`].
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, VolumeIndexError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            volumes_version: u64,
        }

        // Two readers must not take the same bytes for two things (docs/format.md §JSON).
        bundle_oci::json::check(bytes, Bounds::STATEMENT, &[], &[])?;
        let versioned: Versioned = serde_json::from_slice(bytes)?;
        if versioned.volumes_version != u64::from(VOLUMES_VERSION) {
            return Err(VolumeIndexError::Version(versioned.volumes_version));
        }
        let index: Self = serde_json::from_slice(bytes)?;
        let total = index.volumes.iter().try_fold(0_u64, |sum, volume| sum.checked_add(volume.size));
        let sound = !index.volumes.is_empty()
            && index.volumes.len() <= limits.volumes
            && index.volumes.iter().all(|volume| volume.size > 0)
            && total.is_some_and(|total| total < 1 << 53);
        if sound { Ok(index) } else { Err(VolumeIndexError::Numbers) }
    }

    /// The index's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an index has no map with keys other than strings")
    }

    /// Where each volume's bytes belong in the archive.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        let mut start = 0;
        let volumes = self.volumes.iter();
        volumes
            .map(|volume| {
                let end = start + volume.size;
                std::mem::replace(&mut start, end)..end
            })
            .collect()
    }
}

/// The names of a set's files. All begin like the bundle would be called as one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeNames(PathBuf);

impl VolumeNames {
    /// The names of the set that as one file would be called `path`.
    pub fn of(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// What the bundle would be called as one file. Countersignatures go by this name.
    pub fn bundle(&self) -> &Path {
        &self.0
    }

    /// The volume with this number, from 1: `NAME.003-of-014`.
    pub fn volume(&self, number: usize, of: usize) -> PathBuf {
        self.with(&format!("{number:03}-of-{of:03}"))
    }

    /// `NAME.volumes.json`: where each volume belongs.
    pub fn index(&self) -> PathBuf {
        self.with("volumes.json")
    }

    /// `NAME.head`: the archive up to its first layer, so that any volume can be used alone.
    pub fn head(&self) -> PathBuf {
        self.with("head")
    }

    /// `NAME.frames`: where the frames of a compressed archive begin.
    pub fn frames(&self) -> PathBuf {
        self.with("frames")
    }

    /// `NAME.bundle.json`: the statement, for people and for openssl.
    pub fn statement(&self) -> PathBuf {
        self.with("bundle.json")
    }

    /// `NAME.bundle.json.sig`: its signature.
    pub fn signature(&self) -> PathBuf {
        self.with("bundle.json.sig")
    }

    /// `NAME.SHA256SUMS`: for `sha256sum -c` at a kiosk.
    pub fn sums(&self) -> PathBuf {
        self.with("SHA256SUMS")
    }

    fn with(&self, end: &str) -> PathBuf {
        let mut path = self.0.as_os_str().to_owned();
        path.push(".");
        path.push(end);
        path.into()
    }

    /// What a file's name says of its place in a set: the set's names, its number and how many
    /// there are.
    pub fn read(path: &Path) -> Option<(Self, usize, usize)> {
        let name = path.file_name()?.to_str()?;
        let (base, end) = name.rsplit_once('.')?;
        let (number, of) = end.split_once("-of-")?;
        let parse = |text: &str| {
            let digits = text.len() >= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<usize>().ok().filter(|_| digits)
        };
        let (number, of) = (parse(number)?, parse(of)?);
        let names = Self(path.with_file_name(base));
        // One spelling only.
        let same = names.volume(number, of).file_name() == path.file_name();
        (!base.is_empty() && number > 0 && number <= of && same).then_some((names, number, of))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::statement;

    #[test]
    fn sizes_are_as_people_write_them() {
        for (text, bytes) in [
            ("4GiB", 4 << 30),
            ("4 GiB", 4 << 30),
            ("700MiB", 700 << 20),
            ("4GB", 4_000_000_000),
            ("fat32", (4 << 30) - 512),
            ("FAT32", (4 << 30) - 512),
            ("65536", 65536),
            ("65537", 65536),
        ] {
            assert_eq!(text.parse::<VolumeSize>(), Ok(VolumeSize(bytes)), "{text}");
        }
        for bad in ["", "4", "4GIB", "x", "-1GiB", "1.5GiB", "4 G", "99999999999TiB", "63KiB"] {
            assert_eq!(bad.parse::<VolumeSize>(), Err(ParseVolumeSizeError), "{bad}");
        }
    }

    #[test]
    fn names_say_where_a_volume_belongs() {
        let names = VolumeNames::of(Path::new("out/nightly.tar"));
        assert_eq!(names.volume(3, 14), Path::new("out/nightly.tar.003-of-014"));
        assert_eq!(VolumeNames::read(&names.volume(3, 14)), Some((names.clone(), 3, 14)));
        assert_eq!(VolumeNames::read(&names.volume(1000, 1200)), Some((names, 1000, 1200)));
        for bad in
            ["a.000-of-003", "a.004-of-003", "a.3-of-14", "a.0003-of-0014", ".001-of-001", "a", "a.tar.head"]
        {
            assert_eq!(VolumeNames::read(Path::new(bad)), None, "{bad}");
        }
    }

    #[test]
    fn an_index_that_cannot_be_is_refused() {
        let entry = |size| VolumeEntry { size, digest: Digest::of(b"") };
        let index = |volumes| VolumeIndex { volumes_version: 1, statement: Digest::of(b"x"), volumes };
        let good = index(vec![entry(10), entry(5)]);
        assert_eq!(VolumeIndex::parse(&good.to_bytes(), &Limits::V1).unwrap(), good);
        assert_eq!(good.ranges(), [0..10, 10..15]);
        for bad in [vec![], vec![entry(0)], vec![entry(u64::MAX), entry(2)], vec![entry(1); 20_000]] {
            assert!(VolumeIndex::parse(&index(bad).to_bytes(), &Limits::V1).is_err());
        }
        assert!(matches!(
            VolumeIndex::parse(br#"{"volumesVersion":2}"#, &Limits::V1),
            Err(VolumeIndexError::Version(2))
        ));
    }

    proptest! {
        #[test]
        fn volumes_join_to_the_archive_and_cut_no_entry_that_fits(
            layers in prop::collection::vec(0_u64..300_000, 1..12),
            size in (64_u64 << 10)..200_000,
        ) {
            let contents: Vec<Vec<u8>> =
                layers.iter().enumerate().map(|(at, &length)| vec![at as u8; length as usize]).collect();
            let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
            let statement = statement(&contents);
            let layout = Layout::of(&statement, statement.to_bytes().len() as u64);
            let size: VolumeSize = size.to_string().parse().unwrap();
            let cuts = size.cut(&layout);
            prop_assert_eq!(cuts[0].start, 0);
            prop_assert_eq!(cuts.last().unwrap().end, layout.size());
            for pair in cuts.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
            }
            for cut in &cuts {
                prop_assert!(cut.end > cut.start && cut.end - cut.start <= size.0);
            }
            let last = layout.entries().last().unwrap().header_offset();
            for entry in layout.entries() {
                let start = entry.header_offset();
                // The closing blocks are the last entry's.
                let end = if start == last { layout.size() } else { entry.end() };
                let inside = |cut: &&Range<u64>| cut.start <= start && end <= cut.end;
                let fits = end - start <= size.0;
                prop_assert!(!fits || cuts.iter().any(|cut| inside(&cut)), "{} is cut", entry.name);
            }
        }
    }
}
