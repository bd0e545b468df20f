//! What an import will do to a registry, before anything is written: what becomes of each artifact,
//! and which blobs and manifests are needed where.

use std::collections::{BTreeSet, HashMap, HashSet};

use bundle_format::{Base, Blob, Graph};
use bundle_oci::{Digest, Manifest, Registry, RepositoryName};
use bundle_registry::{Client, Error, Name};
use futures_util::{StreamExt, TryStreamExt};

use crate::Bundle;
use crate::destination::repository_of;

/// What becomes of a tag that is there with another digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnExistingTag {
    /// The import is refused before anything is written.
    #[default]
    Error,
    /// The artifact is left out, and people are told.
    Skip,
    /// The tag is moved.
    Overwrite,
}

/// What will become of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is there already.
    Present,
    /// It is pushed.
    Push,
    /// It is pushed, and its tag moved from another digest.
    Move(Digest),
    /// It is left out, for its tag is there with another digest.
    Skip(Digest),
}

/// One artifact and what will become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The artifact's position in the statement.
    pub artifact: usize,
    /// The repository at the registry.
    pub repository: RepositoryName,
    /// What will become of it.
    pub decision: Decision,
}

/// One blob and where it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobStep {
    /// The blob.
    pub blob: Blob,
    /// The repositories that need it, in order.
    pub places: Vec<Place>,
    /// Repositories of the bundle that need nothing and have it, for an artifact that is present
    /// there names it.
    pub holders: Vec<RepositoryName>,
    /// Whether it is in the bundle, or must be in one of the repositories.
    pub supply: Supply,
}

/// Where a blob's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// In the bundle.
    Carried,
    /// In the registry: the bundle is a delta and builds on it.
    Required,
}

/// A repository that needs a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The repository.
    pub repository: RepositoryName,
    /// Whether the blob is there already.
    pub presence: Presence,
}

/// Whether a blob is in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nobody has looked yet.
    Unknown,
    /// It is there.
    There,
    /// It is not.
    Absent,
}

/// How a blob comes into a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is there already.
    There,
    /// The registry takes it from another of its repositories.
    Mount,
    /// Its bytes are sent.
    Send,
}

impl BlobStep {
    /// How the blob will come into each of its places, as far as is known. One that nobody has looked
    /// for is taken for absent.
    pub fn ways(&self) -> impl Iterator<Item = (&RepositoryName, Way)> {
        let mut somewhere =
            !self.holders.is_empty() || self.places.iter().any(|place| place.presence == Presence::There);
        self.places.iter().map(move |place| {
            let way = match (place.presence, somewhere) {
                (Presence::There, _) => Way::There,
                (_, true) => Way::Mount,
                (_, false) => Way::Send,
            };
            somewhere = true;
            (&place.repository, way)
        })
    }
}

/// What an import will do to a registry.
#[derive(Clone, Debug)]
pub struct ImportPlan {
    /// The steps, in the order of the statement.
    pub steps: Vec<Step>,
    /// The blobs that the repositories need, largest first.
    pub blobs: Vec<BlobStep>,
    /// The manifests that the repositories need, each after all that it names.
    pub manifests: Vec<(Digest, RepositoryName)>,
}

/// Why a bundle cannot be imported as it is.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] Error),
    /// Tags that are there with another digest.
    #[error("{} of the tags are there with another digest", .0.len())]
    Conflicts(Vec<Conflict>),
    /// A delta whose base is not there.
    #[error("{} lack {blobs} of the blobs that this bundle builds on", images(.lacking.len()))]
    Base {
        /// The targets of the artifacts that cannot be delivered.
        lacking: Vec<String>,
        /// How many blobs are missing.
        blobs: usize,
        /// What the delta builds on.
        base: Vec<Base>,
    },
}

fn images(number: usize) -> String {
    if number == 1 { "one artifact would".to_owned() } else { format!("{number} artifacts would") }
}

/// A tag that is there with another digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The whole target.
    pub target: String,
    /// The digest in the bundle.
    pub bundle: Digest,
    /// The digest at the registry.
    pub registry: Digest,
}

impl ImportPlan {
    /// Compares a bundle with what a registry has. Nothing is written.
    ///
    /// # Errors
    /// Any [`PlanError`].
    pub async fn against(
        bundle: &Bundle,
        client: &Client,
        registry: &Registry,
        on_existing: OnExistingTag,
        jobs: usize,
    ) -> Result<Self, PlanError> {
        let statement = bundle.statement();
        client.ping(registry).await?;
        let found: Vec<(RepositoryName, Option<Digest>)> = futures_util::stream::iter(&statement.artifacts)
            .map(|artifact| async move {
                let repository = repository_of(registry, &artifact.target)?;
                let name = match &artifact.target.tag {
                    Some(tag) => Name::Tag(tag.clone()),
                    None => Name::Digest(artifact.digest),
                };
                let info = client.manifest_info(registry, &repository, &name).await?;
                Ok::<_, Error>((repository, info.map(|info| info.digest)))
            })
            .buffered(jobs.max(1) * 4)
            .try_collect()
            .await?;
        let mut steps = Vec::new();
        let mut conflicts = Vec::new();
        for (position, (artifact, (repository, found))) in statement.artifacts.iter().zip(found).enumerate() {
            let decision = match (found, on_existing) {
                (None, _) => Decision::Push,
                (Some(found), _) if found == artifact.digest => Decision::Present,
                (Some(found), OnExistingTag::Overwrite) => Decision::Move(found),
                (Some(found), OnExistingTag::Skip) => Decision::Skip(found),
                (Some(found), OnExistingTag::Error) => {
                    let target = artifact.target.to_string();
                    conflicts.push(Conflict { target, bundle: artifact.digest, registry: found });
                    continue;
                }
            };
            steps.push(Step { artifact: position, repository, decision });
        }
        if !conflicts.is_empty() {
            return Err(PlanError::Conflicts(conflicts));
        }
        let mut plan = Self::of(bundle, steps);
        plan.check_base(bundle, client, registry, jobs).await?;
        Ok(plan)
    }

    /// The needs of the artifacts that are pushed.
    pub(crate) fn of(bundle: &Bundle, steps: Vec<Step>) -> Self {
        let graph = bundle.graph();
        let mut repositories: HashMap<Digest, BTreeSet<&RepositoryName>> = HashMap::new();
        let mut holders: HashMap<Digest, BTreeSet<&RepositoryName>> = HashMap::new();
        let mut manifests = Vec::new();
        let mut planned = HashSet::new();
        for step in &steps {
            let root = bundle.statement().artifacts[step.artifact].digest;
            match step.decision {
                Decision::Push | Decision::Move(_) => {}
                Decision::Present => {
                    for blob in graph.extent(root) {
                        holders.entry(blob.digest).or_default().insert(&step.repository);
                    }
                    continue;
                }
                Decision::Skip(_) => continue,
            }
            for digest in children_first(graph, root) {
                if !planned.insert((digest, &step.repository)) {
                    continue;
                }
                if let Some(node) = graph.manifests.get(&digest) {
                    for blob in Graph::blobs_of(&node.manifest) {
                        repositories.entry(blob.digest).or_default().insert(&step.repository);
                    }
                }
                manifests.push((digest, step.repository.clone()));
            }
        }
        let required: HashSet<Digest> = bundle.statement().requires.iter().map(|blob| blob.digest).collect();
        let mut blobs: Vec<BlobStep> = graph
            .blobs
            .iter()
            .filter_map(|blob| {
                let place = |repository: &&RepositoryName| Place {
                    repository: (*repository).clone(),
                    presence: Presence::Unknown,
                };
                let needing = repositories.get(&blob.digest)?;
                let holders = holders.get(&blob.digest).into_iter().flatten();
                Some(BlobStep {
                    blob: *blob,
                    places: needing.iter().map(place).collect(),
                    holders: holders.filter(|name| !needing.contains(**name)).copied().cloned().collect(),
                    supply: if required.contains(&blob.digest) { Supply::Required } else { Supply::Carried },
                })
            })
            .collect();
        blobs.sort_by_key(|step| std::cmp::Reverse(step.blob.size));
        Self { steps, blobs, manifests }
    }

    /// What a delta leaves out must be there already. Each blob is looked for in the repositories
    /// that this bundle itself delivers it to, and nowhere else.
    pub(crate) async fn check_base(
        &mut self,
        bundle: &Bundle,
        client: &Client,
        registry: &Registry,
        jobs: usize,
    ) -> Result<(), PlanError> {
        let found: Vec<Option<RepositoryName>> = futures_util::stream::iter(&self.blobs)
            .map(|step| async move {
                if step.supply == Supply::Carried {
                    return Ok(None);
                }
                let there = step.places.iter().find(|place| place.presence == Presence::There);
                if let Some(place) = there {
                    return Ok(Some(place.repository.clone()));
                }
                let unknown = step.places.iter().filter(|place| place.presence == Presence::Unknown);
                for repository in unknown.map(|place| &place.repository).chain(&step.holders) {
                    if client.has_blob(registry, repository, step.blob.digest).await? {
                        return Ok(Some(repository.clone()));
                    }
                }
                Ok::<_, Error>(None)
            })
            .buffered(jobs.max(1) * 4)
            .try_collect()
            .await?;
        let mut missing = HashSet::new();
        for (step, holder) in self.blobs.iter_mut().zip(found) {
            match (step.supply, holder) {
                (Supply::Carried, _) => {}
                (Supply::Required, Some(holder)) => step.holders = vec![holder],
                (Supply::Required, None) => {
                    missing.insert(step.blob.digest);
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let artifacts = &bundle.statement().artifacts;
        let lacks = |step: &&Step| {
            let pushed = matches!(step.decision, Decision::Push | Decision::Move(_));
            let extent = || bundle.graph().extent(artifacts[step.artifact].digest);
            pushed && extent().iter().any(|blob| missing.contains(&blob.digest))
        };
        Err(PlanError::Base {
            lacking: self
                .steps
                .iter()
                .filter(lacks)
                .map(|step| artifacts[step.artifact].target.to_string())
                .collect(),
            blobs: missing.len(),
            base: bundle.statement().base.clone(),
        })
    }

    /// How many artifacts will be pushed.
    pub fn pushes(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.decision, Decision::Push | Decision::Move(_))).count()
    }

    /// The most bytes that can have to be sent.
    pub fn bytes(&self) -> u64 {
        let carried = self.blobs.iter().filter(|step| step.supply == Supply::Carried);
        carried.map(|step| step.blob.size).sum()
    }
}

/// A manifest after all manifests below it, each once: an index may list a child any number of
/// times.
pub(crate) fn children_first(graph: &Graph, root: Digest) -> Vec<Digest> {
    fn visit(graph: &Graph, digest: Digest, seen: &mut HashSet<Digest>, order: &mut Vec<Digest>) {
        if !seen.insert(digest) {
            return;
        }
        if let Some(node) = graph.manifests.get(&digest)
            && let Manifest::Index(index) = &node.manifest
        {
            for child in &index.children {
                visit(graph, child.descriptor.digest, seen, order);
            }
        }
        order.push(digest);
    }

    let mut order = Vec::new();
    visit(graph, root, &mut HashSet::new(), &mut order);
    order
}

#[cfg(test)]
mod tests {
    use bundle_format::Node;
    use bundle_oci::{Child, Descriptor, Index, MediaType};

    use super::*;

    #[test]
    fn an_index_that_lists_its_child_a_thousand_times_is_pushed_once() {
        let media_type: MediaType = MediaType::IMAGE_INDEX.parse().unwrap();
        let mut graph = Graph::default();
        let digests: Vec<Digest> = (0..4_u8).map(|level| Digest::of(&[level])).collect();
        for pair in digests.windows(2) {
            let descriptor = Descriptor {
                media_type: media_type.clone(),
                digest: pair[1],
                size: 1,
                annotations: Default::default(),
            };
            let children = vec![Child { descriptor, platform: None }; 1000];
            let manifest = Manifest::Index(Index {
                children,
                subject: None,
                artifact_type: None,
                annotations: Default::default(),
            });
            graph.manifests.insert(pair[0], Node { media_type: media_type.clone(), size: 1, manifest });
        }
        let order = children_first(&graph, digests[0]);
        assert_eq!(order, digests.iter().rev().copied().collect::<Vec<_>>());
    }
}
