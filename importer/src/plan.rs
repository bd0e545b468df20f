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

/// What an import will do to a registry.
#[derive(Clone, Debug)]
pub struct ImportPlan {
    /// The steps, in the order of the statement.
    pub steps: Vec<Step>,
    /// The blobs that the repositories need, largest first.
    pub blobs: Vec<Need>,
    /// The manifests that the repositories need, each after all that it names.
    pub manifests: Vec<(Digest, RepositoryName)>,
}

/// A blob and the repositories that need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The blob.
    pub blob: Blob,
    /// The repositories that need it, in order.
    pub places: Vec<Place>,
    /// Other repositories of the bundle that have it already.
    pub holders: Vec<RepositoryName>,
    /// Whether it is in the bundle, or must be in one of the repositories.
    pub supply: Supply,
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

impl Need {
    /// How the blob will come into each of its places, as far as is known. One that nobody has looked
    /// for is taken for absent.
    pub fn ways(&self) -> impl Iterator<Item = (&RepositoryName, Way)> {
        let there = self.places.iter().any(|place| place.presence == Presence::There);
        let mut somewhere = there || !self.holders.is_empty();
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

/// Where a blob's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// In the bundle.
    Carried,
    /// In the registry: the bundle is a delta and builds on it.
    Required,
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
            let mut order = Vec::new();
            children_first(graph, root, &mut order);
            for digest in order {
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
        let mut blobs: Vec<Need> = graph
            .blobs
            .iter()
            .filter_map(|blob| {
                let repositories = repositories.get(&blob.digest)?;
                let holders = holders.get(&blob.digest).into_iter().flatten();
                Some(Need {
                    blob: *blob,
                    holders: holders
                        .filter(|name| !repositories.contains(**name))
                        .copied()
                        .cloned()
                        .collect(),
                    places: repositories
                        .iter()
                        .map(|name| Place { repository: (*name).clone(), presence: Presence::Unknown })
                        .collect(),
                    supply: if required.contains(&blob.digest) { Supply::Required } else { Supply::Carried },
                })
            })
            .collect();
        blobs.sort_by_key(|need| std::cmp::Reverse(need.blob.size));
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
            .map(|need| async move {
                if need.supply == Supply::Carried {
                    return Ok(None);
                }
                let held = need.holders.iter().map(|holder| (holder, Presence::Unknown));
                let places = need.places.iter().map(|place| (&place.repository, place.presence));
                for (repository, presence) in places.chain(held) {
                    let there = match presence {
                        Presence::There => true,
                        Presence::Absent => false,
                        Presence::Unknown => client.has_blob(registry, repository, need.blob.digest).await?,
                    };
                    if there {
                        return Ok(Some(repository.clone()));
                    }
                }
                Ok::<_, Error>(None)
            })
            .buffered(jobs.max(1) * 4)
            .try_collect()
            .await?;
        let mut missing = HashSet::new();
        for (need, holder) in self.blobs.iter_mut().zip(found) {
            match (need.supply, holder) {
                (Supply::Carried, _) => {}
                (Supply::Required, Some(holder)) => need.holders = vec![holder],
                (Supply::Required, None) => {
                    missing.insert(need.blob.digest);
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
        let carried = self.blobs.iter().filter(|need| need.supply == Supply::Carried);
        carried.map(|need| need.blob.size).sum()
    }
}

fn children_first(graph: &Graph, digest: Digest, order: &mut Vec<Digest>) {
    if let Some(node) = graph.manifests.get(&digest)
        && let Manifest::Index(index) = &node.manifest
    {
        for child in &index.children {
            children_first(graph, child.descriptor.digest, order);
        }
    }
    order.push(digest);
}
