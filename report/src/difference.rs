//! The report of `diff`.
//! Takes two inventories' differences, gives a model.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Bytes, Report, count};

/// `diff`: how two bundles, receipts or lockfiles differ.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DiffReport {
    /// The earlier one.
    pub before: SideEntry,
    /// The later one.
    pub after: SideEntry,
    /// The differences.
    pub diff: DifferenceEntry,
}

/// A bundle, receipt or lockfile.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SideEntry {
    /// bundle, receipt or lock.
    pub kind: String,
    /// The stream.
    pub stream: String,
    /// The number in the stream; null for a lockfile.
    pub sequence: Option<u64>,
    /// The digest of the statement or of the lockfile.
    pub digest: String,
    /// Whether a signature was checked.
    pub verified: bool,
    /// Its name for people.
    #[serde(skip)]
    #[schemars(skip)]
    pub name: String,
}

/// The differences.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceEntry {
    /// The targets that differ.
    pub changes: Vec<ChangeEntry>,
    /// The number of artifacts that are the same.
    pub unchanged: usize,
    /// The bytes of blobs that only the later one has; null where one side is a lockfile.
    pub new_bytes: Option<u64>,
    /// The number of these blobs.
    pub new_blobs: Option<usize>,
    /// The bytes of blobs that only the earlier one has.
    pub dropped_bytes: Option<u64>,
}

/// The change of one target.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum ChangeEntry {
    /// It is only in the later one.
    Added {
        /// The target.
        target: String,
        /// Its digest.
        digest: String,
        /// The bytes of all its blobs.
        size: u64,
        /// Its missing parts: platforms, signatures or layers.
        lacks: Vec<String>,
    },
    /// It has another digest in the later one.
    Moved {
        /// The target.
        target: String,
        /// The digest in the earlier one.
        from: String,
        /// The digest in the later one.
        to: String,
        /// The bytes of all its blobs in the later one.
        size: u64,
        /// The platforms that only the earlier one has.
        #[serde(rename = "lostPlatforms")]
        lost_platforms: Vec<String>,
        /// The platforms that only the later one has.
        #[serde(rename = "gainedPlatforms")]
        gained_platforms: Vec<String>,
        /// Its missing parts that the earlier one had: platforms, signatures or layers.
        lacks: Vec<String>,
    },
    /// It is only in the earlier one.
    Removed {
        /// The target.
        target: String,
        /// Its digest.
        digest: String,
        /// The bytes of all its blobs.
        size: u64,
    },
}

impl Report for DiffReport {
    fn text(&self) -> String {
        let mut text = format!("from {}\nto   {}\n", self.before.name, self.after.name);
        if !self.before.verified || !self.after.verified {
            text.push_str("NOT VERIFIED: pass --trust to check signatures; without, anyone may have written the contents.\n");
        }
        text.push('\n');
        let diff = &self.diff;
        diff.changes.iter().for_each(|change| text.push_str(&change.line()));
        text.push_str(&format!("{}, {} unchanged", count(diff.changes.len(), "change"), diff.unchanged));
        if let (Some(bytes), Some(blobs)) = (diff.new_bytes, diff.new_blobs) {
            text.push_str(&format!("; {} new, {}", count(blobs, "blob"), Bytes(bytes)));
        }
        if let Some(bytes) = diff.dropped_bytes.filter(|bytes| *bytes > 0) {
            text.push_str(&format!("; {} no longer used", Bytes(bytes)));
        }
        text.push('\n');
        text
    }
}

impl ChangeEntry {
    fn line(&self) -> String {
        match self {
            Self::Added { target, digest, size, lacks } => {
                format!("added    {}  {}  {digest}\n{}", Bytes(*size), Printable(target), lines(lacks))
            }
            Self::Moved { target, from, to, size, lost_platforms, gained_platforms, lacks } => {
                let mut line = format!("moved    {}  {}  {from} -> {to}\n", Bytes(*size), Printable(target));
                for (word, platforms) in [("lost", lost_platforms), ("gained", gained_platforms)] {
                    if !platforms.is_empty() {
                        line.push_str(&format!("         {word} platforms: {}\n", platforms.join(", ")));
                    }
                }
                line.push_str(&lines(lacks));
                line
            }
            Self::Removed { target, digest, size } => {
                format!("removed  {}  {}  {digest}\n", Bytes(*size), Printable(target))
            }
        }
    }
}

/// Each on a line of its own, below its change.
fn lines(lacks: &[String]) -> String {
    lacks.iter().map(|lack| format!("         {}\n", Printable(lack))).collect()
}
