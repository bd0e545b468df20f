//! Every bound that an import keeps to, with its reason. Those of one kind of destination are with
//! its adapter.

use std::time::Duration;

/// Every bound of an import. None is part of the bundle's format.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How often blobs that a destination lost before their manifest are sent again.
    pub rounds: usize,
    /// The wait before the second of these rounds and each after it: content that is being removed is
    /// there again only when it is gone.
    pub round_wait: Duration,
    /// How far ahead of this machine's clock a bundle may have been made, in seconds: clocks differ, and zones
    /// are mistaken.
    pub ahead: i64,
    /// The size in bytes of the state file: enough for the newest bundle of each stream of each registry.
    pub state_file: u64,
    /// The largest blob of a pipe, in bytes, that is read as a whole before it is sent, so that several are sent
    /// at once and one that fails is sent again.
    pub piped_blob: u64,
    /// Memory counted for a larger blob, in bytes, which is sent while it is read: the client's part
    /// (`registry::Limits::trial_piece`), and the buffers between.
    pub piped_large: u64,
    /// The bytes that the blobs of a pipe take in memory altogether.
    pub piped_blobs: u64,
    /// The size in bytes of the list of the tags that a stream set, in the registry.
    pub tag_list: u64,
    /// How many tags such a list has: as many as a bundle has artifacts. Those beyond are moved like tags of
    /// another owner.
    pub listed_tags: usize,
}

impl Limits {
    /// The limits that every import keeps to.
    pub const DEFAULT: Self = Self {
        rounds: 3,
        round_wait: Duration::from_millis(500),
        ahead: 24 * 60 * 60,
        state_file: 16 << 20,
        piped_blob: 4 << 20,
        piped_large: 27 << 20,
        piped_blobs: 32 << 20,
        tag_list: 32 << 20,
        listed_tags: 100_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
