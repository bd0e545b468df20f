//! The versions of `klauspost/compress` that write differently.
//! Takes and gives a name; what is equal between versions has one.

/// From which version of `github.com/klauspost/compress` on the bytes are the same, up to the next one.
///
/// 1.18.1 is missing: it was withdrawn, for it wrote broken streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 1.12.0 to 1.13.6, levels -2 to 2 and 4 to 6 only.
    V1_12_0,
    /// 1.14.0 to 1.14.4: headers and codes are used again otherwise.
    V1_14_0,
    /// 1.15.0 to 1.15.9: long matches are cut otherwise.
    V1_15_0,
    /// 1.15.11 to 1.15.13: levels 1 to 3, 5 and 6 find other matches.
    V1_15_11,
    /// 1.15.14 to 1.17.11: levels 7 to 9 find other matches.
    V1_15_14,
    /// 1.18.0: level 4 takes other matches.
    V1_18_0,
    /// 1.18.2 to 1.19.2: the headers of blocks end with the last symbol that occurs.
    V1_18_2,
    /// 1.20.0 to 1.20.3: in pgzip a block of levels 7 to 9 no longer counts its dictionary.
    V1_20_0,
    /// 1.20.4 and later: other Huffman codes among the shortest, other small blocks.
    V1_20_4,
}

impl Version {
    /// All of them.
    pub const ALL: [Version; 9] = [
        Version::V1_12_0,
        Version::V1_14_0,
        Version::V1_15_0,
        Version::V1_15_11,
        Version::V1_15_14,
        Version::V1_18_0,
        Version::V1_18_2,
        Version::V1_20_0,
        Version::V1_20_4,
    ];

    /// Those that write differently at this level, in the order in which they are worth a try; `pgzip` for
    /// blocks with a dictionary.
    pub fn different(level: i32, pgzip: bool) -> &'static [Version] {
        use Version::{V1_12_0, V1_14_0, V1_15_0, V1_15_11, V1_15_14, V1_18_0, V1_18_2, V1_20_0, V1_20_4};
        match level {
            0 => &[V1_15_14],
            -2 => &[V1_15_14, V1_20_4],
            4 => &[V1_15_14, V1_18_2, V1_20_4, V1_18_0, V1_14_0, V1_12_0],
            7..=9 if pgzip => &[V1_15_14, V1_18_2, V1_20_4, V1_20_0, V1_15_0],
            7..=9 => &[V1_15_14, V1_18_2, V1_20_4, V1_15_0],
            3 => &[V1_15_11, V1_18_2, V1_20_4, V1_15_0, V1_14_0],
            _ => &[V1_15_11, V1_18_2, V1_20_4, V1_15_0, V1_14_0, V1_12_0],
        }
    }

    /// Whether this level of it is modelled.
    pub(crate) fn has(self, level: i32) -> bool {
        self >= Version::V1_14_0 || matches!(level, -2..=2 | 4..=6)
    }

    /// Headers describe every symbol, whether it occurs or not.
    pub(super) fn describes_all(self) -> bool {
        self < Version::V1_18_2
    }

    /// Plain Huffman trees are tried first.
    pub(super) fn has_trees(self) -> bool {
        self >= Version::V1_20_4
    }
}
