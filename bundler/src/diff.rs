//! How one inventory differs from another.
//! Takes two inventories, gives what is added, moved and removed by target, and the bytes that this costs.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::Target;
use bundle_oci::{Digest, Platform};
use serde::Serialize;

use crate::{Inventory, InventoryEntry};

/// The difference between two inventories, for people who approve a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InventoryDiff {
    /// The targets that are only in the second, moved, or only in the first, in order.
    pub changes: Vec<Change>,
    /// How many artifacts are the same in both.
    pub unchanged: usize,
    /// The bytes of blobs that the first does not have; none where one of them is a lock, which
    /// does not say what its artifacts consist of.
    pub new_bytes: Option<u64>,
    /// The number of these blobs.
    pub new_blobs: Option<usize>,
    /// The bytes of blobs that only the first has.
    pub dropped_bytes: Option<u64>,
}

/// The change of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum Change {
    /// It is only in the second.
    Added {
        /// The target.
        target: TargetText,
        /// Its digest.
        digest: Digest,
        /// The size of all its blobs in bytes.
        size: u64,
        /// Its missing parts, as the second says.
        lacks: Vec<String>,
    },
    /// It is another artifact in the second.
    Moved {
        /// The target.
        target: TargetText,
        /// Its digest in the first.
        from: Digest,
        /// Its digest in the second.
        to: Digest,
        /// The size of all its blobs in the second, in bytes.
        size: u64,
        /// The platforms that only the first has, where both say theirs.
        lost: Vec<Platform>,
        /// The platforms that only the second has, where both say theirs.
        gained: Vec<Platform>,
        /// Its missing parts that the first does not list.
        lacks: Vec<String>,
    },
    /// It is only in the first.
    Removed {
        /// The target.
        target: TargetText,
        /// Its digest.
        digest: Digest,
        /// The size of all its blobs in bytes.
        size: u64,
    },
}

/// A target as it is written: `project/repository:tag`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TargetText(pub String);

impl InventoryDiff {
    /// Returns the changes from `before` to `after`.
    pub fn between(before: &Inventory, after: &Inventory) -> Self {
        let (old, new) = (by_target(before), by_target(after));
        let targets: BTreeSet<&(Target, Option<Digest>)> = old.keys().chain(new.keys()).collect();
        let mut changes = Vec::new();
        let mut unchanged = 0;
        for key in targets {
            let target = TargetText(key.0.to_string());
            match (old.get(key), new.get(key)) {
                (Some(from), Some(to)) if from.digest == to.digest => unchanged += 1,
                (Some(from), Some(to)) => changes.push(Change::Moved {
                    target,
                    from: from.digest,
                    to: to.digest,
                    size: to.size,
                    lost: only_first(&from.platforms, &to.platforms),
                    gained: only_first(&to.platforms, &from.platforms),
                    lacks: to.lacks.iter().filter(|lack| !from.lacks.contains(lack)).cloned().collect(),
                }),
                (None, Some(held)) => changes.push(Change::Added {
                    target,
                    digest: held.digest,
                    size: held.size,
                    lacks: held.lacks.clone(),
                }),
                (Some(held), None) => {
                    changes.push(Change::Removed { target, digest: held.digest, size: held.size });
                }
                (None, None) => {}
            }
        }
        let mut diff = Self { changes, unchanged, new_bytes: None, new_blobs: None, dropped_bytes: None };
        if before.knows_blobs() && after.knows_blobs() {
            let (old, new) = (before.blobs(), after.blobs());
            let fresh = || new.iter().filter(|(digest, _)| !old.contains_key(digest));
            diff.new_bytes = Some(fresh().map(|(_, size)| size).sum());
            diff.new_blobs = Some(fresh().count());
            let gone = old.iter().filter(|(digest, _)| !new.contains_key(digest));
            diff.dropped_bytes = Some(gone.map(|(_, size)| size).sum());
        }
        diff
    }
}

/// The entry at each target. Without a tag, the digest is the name.
fn by_target(inventory: &Inventory) -> BTreeMap<(Target, Option<Digest>), &InventoryEntry> {
    let artifacts = inventory.artifacts.iter();
    artifacts
        .map(|held| {
            let name = held.target.tag.is_none().then_some(held.digest);
            ((held.target.clone(), name), held)
        })
        .collect()
}

/// The platforms that the first has and the second has not; none where one of them does not say.
pub(crate) fn only_first(first: &Option<Vec<Platform>>, second: &Option<Vec<Platform>>) -> Vec<Platform> {
    let (Some(first), Some(second)) = (first, second) else { return Vec::new() };
    first.iter().filter(|platform| !second.contains(platform)).cloned().collect()
}
