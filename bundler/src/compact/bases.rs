//! Where bases are read while a bundle is made compact: the registries that the plan's images come from, which keep
//! old layers for a while. Takes a target's repository, asks the repository that its images are from.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

use bundle_format::{Bases, CompactBase};
use bundle_oci::{Registry, RepositoryName};
use bundle_registry::{BlockingBlobs, Client};

use crate::Plan;
use crate::resolve::Origin;

/// The upstream repositories of a plan, as a source of bases.
pub(crate) struct UpstreamBases {
    blobs: BlockingBlobs,
    places: HashMap<RepositoryName, BTreeSet<Arc<(Registry, RepositoryName)>>>,
}

impl UpstreamBases {
    pub(crate) fn new(client: &Client, plan: &Plan) -> Self {
        let mut places: HashMap<RepositoryName, BTreeSet<Arc<(Registry, RepositoryName)>>> = HashMap::new();
        for artifact in &plan.statement().artifacts {
            let Ok(repository) = artifact.target.path() else { continue };
            if let Some(Origin::Registry(place)) = plan.origin(artifact.digest) {
                places.entry(repository).or_default().insert(place.clone());
            }
        }
        Self { blobs: BlockingBlobs::new(client.clone()), places }
    }
}

impl Bases for UpstreamBases {
    fn has(&self, base: &CompactBase) -> bool {
        // Whether it is there is seen when it is read: one request instead of two.
        self.places.contains_key(&base.repository)
    }

    fn copy(&self, base: &CompactBase, out: &mut dyn Write) -> io::Result<()> {
        let mut answer = Err(io::ErrorKind::NotFound.into());
        for place in self.places.get(&base.repository).into_iter().flatten() {
            answer = self.blobs.copy(&place.0, &place.1, base.digest, base.size, out);
            match &answer {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => break,
            }
        }
        answer
    }
}
