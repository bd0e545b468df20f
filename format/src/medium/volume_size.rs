//! How large volumes may be, and where an archive is cut into them.
//! Takes text such as `4GiB` or `fat32` and a layout, gives ranges that end between blobs where possible.

use std::ops::Range;
use std::str::FromStr;

use crate::{BLOCK, Layout};

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
