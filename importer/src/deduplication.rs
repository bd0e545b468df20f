//! How many bytes a bundle saves because its artifacts have blobs in common.
//! Takes artifacts and the graph of their manifests, gives the bytes of each that others need too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bundle_format::{Artifact, Blob, Graph};
use bundle_oci::Digest;

/// How large an artifact is, and what it has in common with the others of its bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deduplication<'a> {
    /// The bytes of all its blobs.
    pub size: u64,
    /// The bytes of those that no other artifact needs.
    pub own: u64,
    /// Other artifacts that need some of its bytes, and how many; those that need most first.
    pub with: Vec<(&'a Artifact, u64)>,
    /// Whether there are more of them than are named.
    pub more: bool,
}

/// How many others are named. A base that thousands of images share says nothing about each of them, and
/// listing them all takes the square of their number.
const NAMED: usize = 10;

/// Returns the shared bytes of each artifact, in their order. Artifacts of one digest are one object under
/// several names, and share nothing with each other.
pub fn deduplication_of<'a>(artifacts: &'a [Artifact], graph: &Graph) -> Vec<Deduplication<'a>> {
    let mut extents: BTreeMap<Digest, Vec<Blob>> = BTreeMap::new();
    let mut users: HashMap<Digest, BTreeSet<Digest>> = HashMap::new();
    let mut named: BTreeMap<Digest, &Artifact> = BTreeMap::new();
    for artifact in artifacts {
        named.entry(artifact.digest).or_insert(artifact);
        let extent = extents.entry(artifact.digest).or_insert_with(|| {
            let mut extent = graph.extent(artifact.digest);
            extent.sort_by_key(|blob| std::cmp::Reverse(blob.size));
            extent
        });
        for blob in extent.iter() {
            users.entry(blob.digest).or_default().insert(artifact.digest);
        }
    }
    let share = |artifact: &Artifact| {
        let extent = &extents[&artifact.digest];
        // Some of the artifacts that share the largest blobs; all of them, if they are few.
        let mut others: BTreeSet<Digest> = BTreeSet::new();
        let (mut own, mut more) = (0, false);
        for Blob { digest, size } in extent {
            let users = &users[digest];
            own += if users.len() == 1 { *size } else { 0 };
            let mut new = users.iter().filter(|other| **other != artifact.digest && !others.contains(other));
            let found: Vec<Digest> = new.by_ref().take(NAMED).copied().collect();
            more |= new.next().is_some() || others.len() + found.len() > NAMED;
            if others.len() < NAMED {
                others.extend(found);
            }
        }
        let common = |other: &Digest| -> u64 {
            extent.iter().filter(|blob| users[&blob.digest].contains(other)).map(|blob| blob.size).sum()
        };
        let mut with: Vec<_> = others.iter().map(|other| (named[other], common(other))).collect();
        with.sort_by(|(a, most), (b, less)| (less, &a.target).cmp(&(most, &b.target)));
        with.truncate(NAMED);
        Deduplication { size: extent.iter().map(|blob| blob.size).sum(), own, with, more }
    };
    artifacts.iter().map(share).collect()
}
