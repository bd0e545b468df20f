//! The settings of zlib's `deflateInit2`, as far as they shape the output of a raw stream with a window of
//! 32 KiB: level, memory level and strategy.
//!
//! After madler/zlib `deflate.c` (`configuration_table`, unchanged since 1.0).

/// A level from 1 to 9. (Level 0 stores blocks whose sizes depend on the caller's buffers: no model.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// The level, if it is 1 to 9.
    pub fn new(level: u8) -> Option<Self> {
        (1..=9).contains(&level).then_some(Self(level))
    }

    /// 1 to 9.
    pub fn number(self) -> u8 {
        self.0
    }

    pub(crate) fn tuning(self) -> Tuning {
        let (good, lazy, nice, chain) = match self.0 {
            1 => (4, 4, 8, 4),
            2 => (4, 5, 16, 8),
            3 => (4, 6, 32, 32),
            4 => (4, 4, 16, 16),
            5 => (8, 16, 32, 32),
            6 => (8, 16, 128, 128),
            7 => (8, 32, 128, 256),
            8 => (32, 128, 258, 1024),
            _ => (32, 258, 258, 4096),
        };
        Tuning { good, lazy, nice, chain }
    }
}

/// How zlib looks for matches (`Z_FIXED` and `Z_FILTERED` are of no use for layers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// `Z_DEFAULT_STRATEGY`.
    Default,
    /// `Z_HUFFMAN_ONLY`: no matches.
    HuffmanOnly,
    /// `Z_RLE`: matches of distance one.
    Runs,
}

/// What was given to `deflateInit2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZlibSettings {
    /// The level.
    pub level: Level,
    /// 1 to 9; 8 by default. It gives the size of hash table and block.
    pub memory: u8,
    /// The strategy.
    pub strategy: Strategy,
}

impl ZlibSettings {
    /// What nearly everybody uses: the default strategy and memory level 8.
    pub fn usual(level: Level) -> Self {
        Self { level, memory: 8, strategy: Strategy::Default }
    }
}

/// When a search for a match ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// From this length of the match before on, only a quarter of the chain is searched.
    pub(crate) good: usize,
    /// From this length of the match before on, no better one is looked for; with levels 1 to 3 the longest
    /// match of which all positions enter the hash table.
    pub(crate) lazy: usize,
    /// A match of this length is good enough.
    pub(crate) nice: usize,
    /// How many candidates are looked at.
    pub(crate) chain: usize,
}
