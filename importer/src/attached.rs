//! What is attached to which image of a bundle, and how much of the bundle both take together.
//! Takes artifacts and the graph of their manifests; gives positions and bytes.

use std::collections::{HashMap, HashSet};

use bundle_format::{Artifact, Graph};
use bundle_oci::{Digest, Manifest, ProjectName, RepositoryName};

/// How long a chain of attachments may be: a signature of an SBOM of an image has two links.
const LONGEST_CHAIN: usize = 8;

/// For each artifact the position of the one that it is attached to in the end, or its own position. Signatures of one
/// platform belong to its index, if the graph is known.
pub fn heads_of(artifacts: &[Artifact], graph: Option<&Graph>) -> Vec<usize> {
    fn place(artifact: &Artifact, digest: Digest) -> (&ProjectName, &RepositoryName, Digest) {
        (&artifact.target.project, &artifact.target.repository, digest)
    }

    let mut owners = HashMap::new();
    for (at, artifact) in artifacts.iter().enumerate() {
        owners.entry(place(artifact, artifact.digest)).or_insert(at);
    }
    for (at, artifact) in artifacts.iter().enumerate() {
        let node = graph.and_then(|graph| graph.manifests.get(&artifact.digest));
        if let Some(Manifest::Index(index)) = node.map(|node| &node.manifest) {
            for child in &index.children {
                owners.entry(place(artifact, child.descriptor.digest)).or_insert(at);
            }
        }
    }
    let head = |start: usize| {
        let mut at = start;
        for _ in 0..LONGEST_CHAIN {
            let Some(subject) = artifacts[at].subject else { return at };
            let Some(&owner) = owners.get(&place(&artifacts[start], subject)) else { return start };
            at = owner;
        }
        start
    };
    (0..artifacts.len()).map(head).collect()
}

/// The bytes of an artifact together with what is attached to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TotalSize {
    /// The bytes of all their blobs.
    pub size: u64,
    /// The bytes of the blobs that nothing else needs: without them, the bundle is smaller by so much. Other names of the
    /// same digest are left out as well.
    pub own: u64,
}

/// The bytes of each artifact with what is attached to it, in the order of the artifacts; none for what is attached. `heads`
/// is of [`heads_of`].
pub fn total_sizes(artifacts: &[Artifact], graph: &Graph, heads: &[usize]) -> Vec<Option<TotalSize>> {
    // By the digest of the head: names of one digest are one content.
    let mut users: HashMap<Digest, (u64, Digest, bool)> = HashMap::new();
    let mut members: HashMap<Digest, HashSet<Digest>> = HashMap::new();
    for (artifact, &head) in artifacts.iter().zip(heads) {
        members.entry(artifacts[head].digest).or_default().insert(artifact.digest);
    }
    let mut totals: HashMap<Digest, TotalSize> = HashMap::new();
    for (head, members) in &members {
        let blobs: HashMap<Digest, u64> = members
            .iter()
            .flat_map(|member| graph.extent(*member))
            .map(|blob| (blob.digest, blob.size))
            .collect();
        totals.entry(*head).or_default().size = blobs.values().sum();
        for (blob, size) in blobs {
            users.entry(blob).and_modify(|user| user.2 = true).or_insert((size, *head, false));
        }
    }
    for (size, head, _) in users.values().filter(|(_, _, shared)| !shared) {
        totals.entry(*head).or_default().own += size;
    }
    let total =
        |(at, &head): (usize, &usize)| (at == head).then(|| totals.get(&artifacts[at].digest).copied())?;
    heads.iter().enumerate().map(total).collect()
}
