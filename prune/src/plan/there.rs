//! One repository as it is: its artifacts, and which index lists which.
//! Takes what Harbor lists, gives it by digest.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bundle_oci::Digest;

use crate::LiveArtifact;

/// One repository as it is.
pub(super) struct There<'a> {
    pub(super) artifacts: BTreeMap<Digest, &'a LiveArtifact>,
    /// The indexes that list each manifest.
    parents: HashMap<Digest, BTreeSet<Digest>>,
}

impl<'a> There<'a> {
    pub(super) fn of(artifacts: &'a [LiveArtifact]) -> Self {
        let mut parents: HashMap<Digest, BTreeSet<Digest>> = HashMap::new();
        for artifact in artifacts {
            for child in &artifact.children {
                parents.entry(*child).or_default().insert(artifact.digest);
            }
        }
        Self { artifacts: artifacts.iter().map(|it| (it.digest, it)).collect(), parents }
    }

    pub(super) fn parents(&self, digest: Digest) -> impl Iterator<Item = Digest> + '_ {
        self.parents.get(&digest).into_iter().flatten().copied()
    }
}
