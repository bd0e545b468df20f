//! What there is to scan in a bundle: its images, each with the manifests of its platforms.
//! Takes a statement and the graph of its manifests, gives images without charts, signatures and attestations.

use bundle_format::{Graph, Kind, Statement, Target};
use bundle_oci::{Digest, Manifest, Platform};

/// One image of a bundle.
#[derive(Clone, Debug)]
pub struct ScanImage {
    /// Where it goes.
    pub target: Target,
    /// Where it came from.
    pub source: String,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// What a scanner looks at: the manifest of each platform.
    pub parts: Vec<Part>,
}

/// The manifest of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its digest.
    pub digest: Digest,
    /// The platform, if the index or the statement says it.
    pub platform: Option<Platform>,
}

/// The images of a bundle.
pub fn images(statement: &Statement, graph: &Graph) -> Vec<ScanImage> {
    let artifacts = statement.artifacts.iter().filter(|it| it.kind == Kind::Image && it.subject.is_none());
    artifacts
        .map(|artifact| {
            let mut parts = Vec::new();
            let only = match &artifact.platforms[..] {
                [platform] => Some(platform),
                _ => None,
            };
            add_parts(artifact.digest, only, graph, &mut parts);
            ScanImage {
                target: artifact.target.clone(),
                source: artifact.source.to_string(),
                digest: artifact.digest,
                parts,
            }
        })
        .collect()
}

/// The format's limits bound the depth of the graph, which is acyclic because digests are.
fn add_parts(digest: Digest, platform: Option<&Platform>, graph: &Graph, parts: &mut Vec<Part>) {
    match graph.manifests.get(&digest).map(|node| &node.manifest) {
        Some(Manifest::Index(index)) => {
            for child in &index.children {
                let attests = child.attests().is_some();
                let unknown = child.platform.as_ref().is_some_and(Platform::is_unknown);
                // Children of platforms that were not chosen are in no bundle.
                if attests || unknown || !graph.manifests.contains_key(&child.descriptor.digest) {
                    continue;
                }
                add_parts(child.descriptor.digest, child.platform.as_ref().or(platform), graph, parts);
            }
        }
        _ if parts.iter().any(|part| part.digest == digest) => {}
        _ => parts.push(Part { digest, platform: platform.cloned() }),
    }
}

impl ScanImage {
    /// `project/repository:tag`, or with its digest without a tag.
    pub fn name(&self) -> String {
        match &self.target.tag {
            Some(_) => self.target.to_string(),
            None => format!("{}@{}", self.target, self.digest),
        }
    }

    /// The names by which an exception can mean it.
    pub fn names(&self) -> Vec<String> {
        vec![self.name(), self.source.clone()]
    }

    /// The reference of a part at a registry that serves the bundle at `host`.
    pub fn reference(&self, part: &Part, host: &str) -> String {
        format!("{host}/{}/{}@{}", self.target.project, self.target.repository, part.digest)
    }
}
