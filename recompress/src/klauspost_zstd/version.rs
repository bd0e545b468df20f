//! The versions of `klauspost/compress` whose Zstandard encoders write differently.
//! Takes and gives a name; what is equal between versions has one.

use super::settings::FrameLevel;

/// From which version of `github.com/klauspost/compress` on the frames are the same, up to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ZstdVersion {
    /// 1.15.0 to 1.16.3 of streams, 1.15.9 to 1.16.3 of frames of one call; the two faster levels only.
    V1_15_0,
    /// 1.16.5 to 1.17.2: other blocks are worth a try. The two faster levels only.
    V1_16_5,
    /// 1.17.3 to 1.17.7: the level "better" remembers more; up to 1.17.4 its streams have a window of 16 MiB, which is
    /// too large. This level only.
    V1_17_3,
    /// 1.17.8 to 1.20.2: blocks of one byte over and over.
    V1_17_8,
    /// 1.20.3 and later: other codes of sequences.
    V1_20_3,
}

impl ZstdVersion {
    /// All of them; their places are their numbers in a recipe, which never change.
    pub const ALL: [ZstdVersion; 5] = [
        ZstdVersion::V1_15_0,
        ZstdVersion::V1_16_5,
        ZstdVersion::V1_17_3,
        ZstdVersion::V1_17_8,
        ZstdVersion::V1_20_3,
    ];

    /// Whether this level of it is modelled.
    pub fn has(self, level: FrameLevel) -> bool {
        match level {
            FrameLevel::Fastest | FrameLevel::Default => self != ZstdVersion::V1_17_3,
            FrameLevel::Better => self >= ZstdVersion::V1_17_3,
            FrameLevel::Best => self >= ZstdVersion::V1_17_8,
        }
    }

    /// Blocks in which all bytes are the same have a form of their own.
    pub(super) fn has_runs(self) -> bool {
        self >= ZstdVersion::V1_17_8
    }

    /// A block without a match that is as long as blocks can be stays as it is; others are tried.
    pub(super) fn leaves_full_blocks(self) -> bool {
        self < ZstdVersion::V1_16_5
    }

    /// How many bytes matches must save at least: the block, shifted by this.
    pub(super) fn least_saving(self) -> u32 {
        if self < ZstdVersion::V1_16_5 { 5 } else { 6 }
    }

    /// Blocks without a match get Huffman codes at this level, if no option says otherwise.
    pub(super) fn codes_all_literals(self, level: FrameLevel) -> bool {
        let last_without =
            if self < ZstdVersion::V1_16_5 { FrameLevel::Fastest } else { FrameLevel::Default };
        level > last_without
    }

    /// A choice of codes counts the states at the end and the real header.
    pub(super) fn counts_states(self) -> bool {
        self >= ZstdVersion::V1_20_3
    }
}
