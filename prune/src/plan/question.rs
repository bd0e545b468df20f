//! What a plan is made of, and the plan of all repositories.
//! Takes what is known, gives rows in the order in which they can be done, and the bytes that they free.

use std::collections::{BTreeMap, HashSet};

use bundle_format::{RECORD_REPOSITORY, StreamName, Timestamp};
use bundle_oci::Digest;

use crate::plan::repository::Here;
use crate::plan::there::There;
use crate::{Freed, InUse, Ledger, Left, LiveArtifact, Removal, Repository, Wanted};

/// What a plan is made of.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What receipts say.
    pub ledger: &'a Ledger,
    /// The stream whose images may go.
    pub stream: &'a StreamName,
    /// What the kept bundles of all streams want.
    pub wanted: &'a Wanted,
    /// What is there, of each repository that the stream brought something to.
    pub live: &'a BTreeMap<Repository, Vec<LiveArtifact>>,
    /// What runs.
    pub in_use: &'a InUse,
    /// An image that was pulled at this time or later stays; none if pulls do not matter.
    pub pulled_since: Option<Timestamp>,
}

/// Plans the removal: everything that the stream brought, that is as it brought it, and that nothing needs. In the
/// order in which it can be done, indexes before their children.
pub fn plan(question: &Question<'_>) -> (Vec<Removal>, Vec<Left>, Freed) {
    let brought = question.ledger.brought(question.stream);
    let (mut removals, mut left) = (Vec::new(), Vec::new());
    let mut falling: HashSet<(&Repository, Digest)> = HashSet::new();
    // The registry's own record is nobody's image, whatever a receipt says.
    let live = question.live.iter().filter(|(repository, _)| repository.name.as_str() != RECORD_REPOSITORY);
    for (repository, artifacts) in live {
        let (Some(own), tags) = (brought.artifacts.get(repository), brought.tags.get(repository)) else {
            continue;
        };
        let here = Here { question, repository, own, tags, there: There::of(artifacts) };
        let (gone, stays) = here.plan();
        for removal in gone.iter().filter(|removal| removal.whole) {
            falling.insert((repository, removal.digest));
            falling.extend(removal.with.iter().map(|digest| (repository, *digest)));
        }
        removals.extend(gone);
        left.extend(stays);
    }
    let freed = freed(question, &falling);
    (removals, left, freed)
}

/// The blobs of what falls, without those of what stays.
fn freed(question: &Question<'_>, falling: &HashSet<(&Repository, Digest)>) -> Freed {
    let ledger = question.ledger;
    let mut needed = ledger.blobs_of_others(question.stream);
    for (repository, artifacts) in question.live {
        for artifact in artifacts.iter().filter(|it| !falling.contains(&(repository, it.digest))) {
            needed.extend(ledger.extent(artifact.digest).map(|blob| blob.digest));
        }
    }
    let mut counted = HashSet::new();
    let mut freed = Freed::default();
    for blob in falling.iter().flat_map(|(_, digest)| ledger.extent(*digest)) {
        if !needed.contains(&blob.digest)
            && !question.wanted.has_blob(blob.digest)
            && counted.insert(blob.digest)
        {
            freed.blobs += 1;
            freed.bytes = freed.bytes.saturating_add(blob.size);
        }
    }
    freed
}
