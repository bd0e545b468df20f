use std::collections::{BTreeMap, BTreeSet, HashMap};

use bundle_format::{Artifact, Blob, Graph};
use bundle_oci::Digest;

/// How large an artifact is, and what it has in common with the others of its bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing<'a> {
    /// The bytes of all its blobs.
    pub size: u64,
    /// The bytes of those that no other artifact needs.
    pub own: u64,
    /// The other artifacts that need some of its bytes, and how many; those that need most first.
    pub with: Vec<(&'a Artifact, u64)>,
}

/// What each artifact shares, in their order. Artifacts of one digest are one thing under several
/// names, and share nothing with each other.
pub fn sharing<'a>(artifacts: &'a [Artifact], graph: &Graph) -> Vec<Sharing<'a>> {
    let mut extents: BTreeMap<Digest, Vec<Blob>> = BTreeMap::new();
    let mut users: HashMap<Digest, BTreeSet<Digest>> = HashMap::new();
    let mut named: BTreeMap<Digest, &Artifact> = BTreeMap::new();
    for artifact in artifacts {
        named.entry(artifact.digest).or_insert(artifact);
        let extent = extents.entry(artifact.digest).or_insert_with(|| graph.extent(artifact.digest));
        for blob in extent.iter() {
            users.entry(blob.digest).or_default().insert(artifact.digest);
        }
    }
    let share = |artifact: &Artifact| {
        let extent = &extents[&artifact.digest];
        let mut own = 0;
        let mut common: BTreeMap<Digest, u64> = BTreeMap::new();
        for Blob { digest, size } in extent {
            let others = users[digest].iter().filter(|other| **other != artifact.digest);
            let mut shared = false;
            for other in others {
                *common.entry(*other).or_default() += size;
                shared = true;
            }
            own += if shared { 0 } else { *size };
        }
        let mut with: Vec<_> = common.into_iter().map(|(digest, bytes)| (named[&digest], bytes)).collect();
        with.sort_by(|(a, more), (b, less)| (less, &a.target).cmp(&(more, &b.target)));
        Sharing { size: extent.iter().map(|blob| blob.size).sum(), own, with }
    };
    artifacts.iter().map(share).collect()
}
