//! Puts manifests in place by their digests, each after all that it names.
//! Takes the plan's manifests and the proof that their blobs are in place.

use std::collections::{HashMap, HashSet};

use bundle_format::Graph;
use bundle_oci::{Digest, Manifest, RepositoryName};
use bundle_registry::{Name, Refusal};
use futures_util::{StreamExt, TryStreamExt};

use crate::PushError;
use crate::push::manifest_bytes::ManifestBytes;
use crate::push::run::Push;
use crate::push::source::Stock;

impl Push<'_> {
    pub(super) async fn manifests(
        &self,
        graph: &Graph,
        contents: &ManifestBytes,
        file: Option<&Stock>,
    ) -> Result<(), PushError> {
        // Each repository is a line of its own, in which children come before their parents and
        // subjects before their referrers.
        let mut lines: Vec<(&RepositoryName, Vec<Digest>)> = Vec::new();
        let mut positions: HashMap<&RepositoryName, usize> = HashMap::new();
        for (digest, repository) in &self.plan.manifests {
            let position = *positions.entry(repository).or_insert_with(|| {
                lines.push((repository, Vec::new()));
                lines.len() - 1
            });
            lines[position].1.push(*digest);
        }
        futures_util::stream::iter(lines)
            .map(|(repository, digests)| async move {
                for digest in digests {
                    let Some(node) = graph.manifests.get(&digest) else { continue };
                    let failed = |source| PushError::Manifest {
                        name: digest.to_string(),
                        repository: repository.clone(),
                        source,
                    };
                    if self.failures.inherit(digest, needs(&node.manifest), repository) {
                        continue;
                    }
                    let pushed = async {
                        self.refresh(&node.manifest, repository, file).await?;
                        let name = Name::Digest(digest);
                        let _permit = self.rate_limit.enter(repository).await;
                        let Some(held) = contents.of(digest).await? else { return Ok(()) };
                        self.destination
                            .put_manifest(repository, &name, &node.media_type, held.bytes.clone())
                            .await
                            .map_err(failed)
                    };
                    match pushed.await.map_err(|error| self.foreign(error, graph, digest, repository)) {
                        Ok(()) => {}
                        // Content that was lost is sent again first.
                        Err(error) if self.lost_content(&error) => return Err(error),
                        Err(error) => self.failures.note(digest, repository, error)?,
                    }
                }
                Ok(())
            })
            .buffer_unordered(self.small_jobs)
            .try_collect()
            .await
    }
}

/// The digests that a repository must have before a manifest.
fn needs(manifest: &Manifest) -> Vec<Digest> {
    let mut needs: Vec<Digest> = Graph::blobs_of(manifest).map(|blob| blob.digest).collect();
    if let Manifest::Index(index) = manifest {
        needs.extend(index.children.iter().map(|child| child.descriptor.digest));
    }
    needs
}

impl Push<'_> {
    /// Says of a manifest that was refused how many of its layers are marked non-distributable, if that may be
    /// why, and whether they are missing or the registry takes no such layers.
    fn foreign(
        &self,
        error: PushError,
        graph: &Graph,
        digest: Digest,
        repository: &RepositoryName,
    ) -> PushError {
        let foreign = match graph.manifests.get(&digest).map(|node| &node.manifest) {
            Some(Manifest::Image(image)) => {
                let foreign = image.layers.iter().filter(|layer| layer.media_type.is_non_distributable());
                foreign.map(|layer| layer.digest).collect::<HashSet<_>>()
            }
            _ => return error,
        };
        match error {
            // 500 too: distribution says so of layers with `urls` that it does not allow, and of those without
            // that it does not have.
            PushError::Manifest { name, repository: place, source }
                if !foreign.is_empty() && matches!(source.status(), Some(400 | 404 | 422 | 500)) =>
            {
                // An artifact of its own pushes them into the repository.
                let here = self
                    .plan
                    .steps
                    .iter()
                    .filter(|step| step.repository == *repository && step.decision.is_in_place());
                let brought: HashSet<Digest> =
                    here.flat_map(|step| graph.extent(step.digest)).map(|blob| blob.digest).collect();
                let lacking = foreign.difference(&brought).count();
                match lacking {
                    0 if source.refusal() == Some(Refusal::MissingContent) => {
                        PushError::Manifest { name, repository: place, source }
                    }
                    0 => PushError::Foreign { name, repository: place, layers: foreign.len(), source },
                    layers => PushError::Incomplete { name, repository: place, layers, source },
                }
            }
            error => error,
        }
    }
}
