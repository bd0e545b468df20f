//! The bounds on what is read for an inventory: directories of files, lists of a registry.
//! Takes nothing; each number has the reason why it is as it is.

/// Every bound beside those of a receipt, of a bundle and of Harbor's answers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Receipts, or bundles, in one directory: fifty streams for five years.
    pub files: usize,
    /// Places in an answer. A moving tag has one for each night; a table with more is read by nobody.
    pub places: usize,
    /// Characters of what is searched for: a repository's name has at most 255, a tag 128, a digest 71.
    pub subject: usize,
    /// Digits of a digest at least: with fewer, others fit by chance.
    pub digits: usize,
}

impl Limits {
    /// The bounds that the program keeps to.
    pub const DEFAULT: Self = Self { files: 100_000, places: 1_000_000, subject: 1024, digits: 8 };
}
