//! Constants of the encoded form, as the crate's documentation specifies it: encoder and decoder both read them.
//! Takes nothing, gives numbers.

/// The first bytes of an encoded layer.
pub(crate) const MAGIC: [u8; 4] = *b"BDLT";
/// The version that this crate writes and reads.
pub(crate) const VERSION: u8 = 1;
/// The most bases that one encoded layer names.
pub(crate) const BASES_MAX: u64 = 64;
/// The number of streams in a group.
pub(crate) const STREAMS: usize = 4;
/// The most compressed bytes of one stream in one group. Bounds what the decoder holds in memory.
pub(crate) const PART_MAX: u64 = 4 << 20;
/// The largest window of a stream, as a power of two. Bounds what zstd holds in memory.
pub(crate) const WINDOW_LOG_MAX: u8 = 27;
/// The smallest window of a stream, as a power of two (zstd's own bound).
pub(crate) const WINDOW_LOG_MIN: u8 = 10;
/// Set in the window of differences when they are coded by the model: the other bits are its size.
pub(crate) const MODEL: u8 = 0x80;
/// The smallest and largest base-2 logarithm of the counters in a table of the model of differences.
pub(crate) const MODEL_LOG_MIN: u8 = 12;
pub(crate) const MODEL_LOG_MAX: u8 = 20;
/// The most operations in a row that give no bytes (a base, then a seek).
pub(crate) const IDLE_MAX: u32 = 2;
/// The value in an operation's first byte that says that a varint follows.
pub(crate) const LONG: u8 = 31;

/// Marks the end of the groups.
pub(crate) const END: u8 = 0;
/// Marks another group.
pub(crate) const GROUP: u8 = 1;

/// The streams by their number.
pub(crate) mod stream {
    /// Operations.
    pub(crate) const OPS: usize = 0;
    /// Differences to base bytes.
    pub(crate) const DIFF: usize = 1;
    /// New bytes.
    pub(crate) const NEW: usize = 2;
    /// Differences and new bytes of tar headers.
    pub(crate) const HEAD: usize = 3;
}

/// What an operation does: the low three bits of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Base bytes as they are.
    Copy = 0,
    /// Base bytes plus bytes of the stream `DIFF`.
    Add = 1,
    /// Bytes of the stream `NEW`.
    New = 2,
    /// Bytes of the stream `HEAD`.
    NewHead = 3,
    /// Base bytes plus bytes of the stream `HEAD`.
    AddHead = 4,
    /// Moves the position in the base.
    Seek = 5,
    /// Chooses a base.
    Base = 6,
}

impl Kind {
    /// The operation of an operation's first byte; none for the reserved one.
    pub(crate) fn of(byte: u8) -> Option<Kind> {
        Some(match byte & 7 {
            0 => Kind::Copy,
            1 => Kind::Add,
            2 => Kind::New,
            3 => Kind::NewHead,
            4 => Kind::AddHead,
            5 => Kind::Seek,
            6 => Kind::Base,
            _ => return None,
        })
    }
}
