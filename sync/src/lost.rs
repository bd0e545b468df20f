//! What came back from the far side about blobs that are gone there. Takes absence notices and what a receipt proved, gives
//! what of it is still there.

use std::collections::{BTreeSet, HashMap, HashSet};

use bundle_bundler::Inventory;
use bundle_format::{AbsenceNotice, CompactBase, Sequence, StreamName};
use bundle_oci::{Digest, RepositoryName};

/// The notices of one stream.
#[derive(Debug, Default)]
pub(crate) struct Absences {
    /// Each with the newest bundle that lacked it. A site may say the same every night, and it counts once.
    gone: HashMap<CompactBase, Sequence>,
}

impl Absences {
    /// Takes note of a notice of this stream.
    pub(crate) fn add(&mut self, notice: AbsenceNotice, stream: &StreamName) {
        if notice.bundle.stream != *stream {
            return;
        }
        let sequence = notice.bundle.sequence;
        for blob in notice.blobs {
            let newest = self.gone.entry(blob).or_insert(sequence);
            *newest = sequence.max(*newest);
        }
    }

    /// Takes out of an inventory what is gone since. A receipt of the bundle of a notice, or of a later one, proves anew
    /// what is there: then the notice is out of date. Without a receipt, none is.
    pub(crate) fn apply(self, inventory: Option<Inventory>) -> (Option<Inventory>, Lost) {
        let proved = inventory.as_ref().and_then(|inventory| inventory.base.sequence);
        let mut lost = Lost::default();
        let mut gone = Vec::new();
        for (blob, sequence) in self.gone.into_iter().filter(|(_, sequence)| Some(*sequence) > proved) {
            lost.newest = lost.newest.max(Some(sequence));
            lost.blobs.insert(blob.digest);
            lost.repositories.insert(blob.repository.clone());
            gone.push(blob);
        }
        (inventory.map(|inventory| inventory.without(&gone)), lost)
    }
}

/// What notices came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The blobs that are gone from at least one repository.
    pub(crate) blobs: HashSet<Digest>,
    /// The repositories that lack something.
    pub(crate) repositories: BTreeSet<RepositoryName>,
    /// The newest bundle that cannot be imported for it.
    pub(crate) newest: Option<Sequence>,
}

impl Lost {
    /// Adds what another site lost.
    pub(crate) fn add(&mut self, other: Self) {
        self.blobs.extend(other.blobs);
        self.repositories.extend(other.repositories);
        self.newest = self.newest.max(other.newest);
    }
}
