//! The plan of an import before anything is written: the decision for each artifact, and the blobs and
//! manifests that each repository needs.

use std::collections::{BTreeSet, HashMap, HashSet};

use bundle_format::{Base, Blob, CompactBase, Graph, Kind, Target};
use bundle_oci::{Digest, Manifest, MediaType, RepositoryName};
use bundle_registry::Error;
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use crate::stream::record::Crowded;
use crate::stream::recorded::Records;
use crate::stream::tags::StreamTags;
use crate::{Bundle, DeliveryOptions, Destination, Finding, Found, Preparation, Record};

/// Treatment of a tag that exists with a different digest, unless the same stream set it. A tag
/// that an earlier bundle of the stream set is always moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnExistingTag {
    /// The import is refused before anything is written.
    #[default]
    Error,
    /// The artifact is left out, with a note.
    Skip,
    /// The tag is moved.
    Overwrite,
}

/// The decision for an artifact.
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
    /// It is left out: it was outside the request, or could not be stored.
    Omit,
}

/// One artifact of the bundle and the decision for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where the artifact goes.
    pub target: Target,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The type of its manifest.
    pub media_type: MediaType,
    /// The kind of artifact.
    pub kind: Kind,
    /// The repository at the registry.
    pub repository: RepositoryName,
    /// The decision.
    pub decision: Decision,
}

/// One blob and where it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobStep {
    /// The blob.
    pub blob: Blob,
    /// The repositories that need it, in order.
    pub places: Vec<BlobDestination>,
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
pub struct BlobDestination {
    /// The repository.
    pub repository: RepositoryName,
    /// Whether the blob is there already.
    pub presence: Presence,
}

/// Whether a blob is in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Not looked up yet.
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
    /// How the blob will come into each of its places, as far as is known. A blob that was not looked up
    /// counts as absent.
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

/// The plan of an import into a registry.
#[derive(Clone, Debug)]
pub struct ImportPlan {
    /// The steps, in the order of the statement.
    pub steps: Vec<Step>,
    /// The blobs that the repositories need, largest first.
    pub blobs: Vec<BlobStep>,
    /// The manifests that the repositories need, each after all that it names.
    pub manifests: Vec<(Digest, RepositoryName)>,
    /// The names of lists of the stream's tags in the registry's record that count for nothing.
    pub(crate) ignored: BTreeSet<String>,
}

/// Why a bundle cannot be imported as it is.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] Error),
    /// The lists of the stream's tags are crowded out.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// A delta whose base is not there.
    #[error("{} lack {blobs} of the blobs that this delta requires", images(.lacking.len()))]
    Base {
        /// The targets of the artifacts that cannot be delivered.
        lacking: Vec<String>,
        /// How many blobs are missing.
        blobs: usize,
        /// These blobs, each with all repositories that the bundle has it for.
        absent: Vec<CompactBase>,
        /// The bases of the delta.
        base: Vec<Base>,
    },
}

fn images(number: usize) -> String {
    if number == 1 { "one artifact would".to_owned() } else { format!("{number} artifacts would") }
}

impl Decision {
    /// The one decision table: what happens to an artifact, for all destinations. `own` says whether the
    /// bundle's stream set the tag to what is found.
    ///
    /// # Errors
    /// The tag exists with another digest, and must not move.
    pub fn of(
        target: &Target,
        bundle: Digest,
        found: Found,
        on_existing: OnExistingTag,
        own: bool,
    ) -> Result<Self, Finding> {
        let (found, immutable) = match found {
            // A target that cannot be read is pushed; the push shows whether it is allowed.
            Found::Absent | Found::Unknown => return Ok(Self::Push),
            Found::Manifest { digest, .. } if digest == bundle => return Ok(Self::Present),
            Found::Manifest { digest, immutable } => (digest, immutable),
        };
        match (on_existing, immutable) {
            (_, false) if own => Ok(Self::Move(found)),
            (OnExistingTag::Skip, _) => Ok(Self::Skip(found)),
            (OnExistingTag::Overwrite, false) => Ok(Self::Move(found)),
            (OnExistingTag::Error, false) => Err(Finding::Conflict { target: target.clone(), bundle, found }),
            (OnExistingTag::Error | OnExistingTag::Overwrite, true) => {
                Err(Finding::Immutable { target: target.clone(), bundle, found })
            }
        }
    }

    /// Whether the artifact is in its place in the end.
    pub fn is_in_place(&self) -> bool {
        !matches!(self, Self::Skip(_) | Self::Omit)
    }

    /// Whether the artifact is pushed.
    pub fn is_push(&self) -> bool {
        matches!(self, Self::Push | Self::Move(_))
    }
}

impl ImportPlan {
    /// Compares a bundle with what a destination has. Nothing is written. Obstacles are added to `findings`,
    /// and their artifacts are left out of the plan.
    ///
    /// # Errors
    /// Any [`PlanError`].
    pub(crate) async fn against(
        bundle: &Bundle,
        destination: &dyn Destination,
        preparation: &dyn Preparation,
        options: &DeliveryOptions,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, PlanError> {
        let (on_existing, jobs) = (options.on_existing, options.jobs);
        let artifacts = &bundle.statement().artifacts;
        let found: Vec<Found> = futures_util::stream::iter(artifacts)
            .map(|artifact| match options.asks_for(&artifact.target) {
                true => preparation.find(&artifact.target, artifact.digest),
                false => futures_util::future::ready(Ok(Found::Unknown)).boxed(),
            })
            .buffered(jobs.max(1) * 4)
            .try_collect()
            .await?;
        let mut others = artifacts.iter().zip(&found).filter(|(artifact, found)| match found {
            Found::Manifest { digest, immutable } => !immutable && *digest != artifact.digest,
            Found::Absent | Found::Unknown => false,
        });
        // With other findings nothing is written anyway, and the record may not be readable.
        let own = match others.next() {
            Some(_) if on_existing != OnExistingTag::Overwrite && findings.is_empty() => {
                let statement = bundle.statement();
                let records = Records::of(bundle.trusted(), options.site_key.clone());
                let record = Record::of(statement).believed(records);
                StreamTags::recall(&record, destination, &statement.stream).await?
            }
            _ => StreamTags::default(),
        };
        if let Some(crowded) = &own.crowded {
            return Err(crowded.clone().into());
        }
        let mut steps = Vec::new();
        for (artifact, found) in artifacts.iter().zip(found) {
            let is_own = matches!(found, Found::Manifest { digest, .. } if own.has(&artifact.target, digest));
            let decision = match options.asks_for(&artifact.target) {
                true => Decision::of(&artifact.target, artifact.digest, found, on_existing, is_own),
                false => Ok(Decision::Omit),
            };
            match decision {
                Ok(decision) => steps.push(Step {
                    target: artifact.target.clone(),
                    digest: artifact.digest,
                    media_type: artifact.media_type.clone(),
                    kind: artifact.kind,
                    repository: destination.repository(&artifact.target)?,
                    decision,
                }),
                Err(finding) => findings.push(finding),
            }
        }
        let mut plan = Self { ignored: own.ignored, ..Self::of(bundle, steps) };
        plan.look_for_blobs(preparation, jobs).await?;
        if findings.is_empty() {
            plan.check_base(bundle, destination, jobs).await?;
        }
        Ok(plan)
    }

    /// Looks where the blobs are already, if the destination wants to be asked beforehand.
    async fn look_for_blobs(&mut self, preparation: &dyn Preparation, jobs: usize) -> Result<(), Error> {
        let places = self.blobs.iter_mut().flat_map(|step| {
            let digest = step.blob.digest;
            step.places.iter_mut().map(move |place| (digest, place))
        });
        futures_util::stream::iter(places)
            .map(|(digest, place)| async move {
                place.presence = preparation.presence(&place.repository, digest).await?;
                Ok::<_, Error>(())
            })
            .buffer_unordered(jobs.max(1) * 4)
            .try_collect()
            .await
    }

    /// The needs of the artifacts that are pushed.
    fn of(bundle: &Bundle, steps: Vec<Step>) -> Self {
        let graph = bundle.graph();
        // Pairs of numbers: a bundle may have a million pairs of a blob and a repository that needs it.
        let names: BTreeSet<RepositoryName> = steps.iter().map(|step| step.repository.clone()).collect();
        let names: Vec<RepositoryName> = names.into_iter().collect();
        // A statement has far fewer of both than 2^32.
        let name_at: HashMap<&RepositoryName, u32> = names.iter().zip(0..).collect();
        let blob_at: HashMap<Digest, u32> = graph.blobs.iter().map(|blob| blob.digest).zip(0..).collect();
        let mut needed = Pairs::default();
        let mut held = Pairs::default();
        let mut manifests = Vec::new();
        let mut planned = HashSet::new();
        for step in &steps {
            let (root, here) = (step.digest, name_at[&step.repository]);
            match step.decision {
                Decision::Push | Decision::Move(_) => {}
                Decision::Present => {
                    held.add(graph.extent(root).iter().filter_map(|blob| blob_at.get(&blob.digest)), here);
                    continue;
                }
                Decision::Skip(_) | Decision::Omit => continue,
            }
            for digest in children_first(graph, root) {
                if !planned.insert((digest, here)) {
                    continue;
                }
                if let Some(node) = graph.manifests.get(&digest) {
                    let blobs = Graph::blobs_of(&node.manifest);
                    needed.add(blobs.filter_map(|blob| blob_at.get(&blob.digest)), here);
                }
                manifests.push((digest, step.repository.clone()));
            }
        }
        drop((planned, blob_at));
        let (needed, held) = (needed.sorted(), held.sorted());
        let required: HashSet<Digest> = bundle.statement().requires.iter().map(|blob| blob.digest).collect();
        let name = |(_, at): &(u32, u32)| names[*at as usize].clone();
        let place = |pair| BlobDestination { repository: name(pair), presence: Presence::Unknown };
        let mut blobs: Vec<BlobStep> = graph
            .blobs
            .iter()
            .zip(0..)
            .filter_map(|(blob, at)| {
                let needing = needed.of(at);
                let holders = held.of(at).iter().filter(|pair| needing.binary_search(pair).is_err());
                Some(BlobStep {
                    blob: *blob,
                    places: needing.iter().map(place).collect(),
                    holders: holders.map(name).collect(),
                    supply: if required.contains(&blob.digest) { Supply::Required } else { Supply::Carried },
                })
                .filter(|step| !step.places.is_empty())
            })
            .collect();
        blobs.shrink_to_fit();
        blobs.sort_by_key(|step| std::cmp::Reverse(step.blob.size));
        Self { steps, blobs, manifests, ignored: BTreeSet::new() }
    }

    /// The blobs that a delta omits must already exist. Each blob is looked for in the repositories that this
    /// bundle itself delivers it to, and nowhere else.
    async fn check_base(
        &mut self,
        bundle: &Bundle,
        destination: &dyn Destination,
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
                    if destination.has_blob(repository, step.blob.digest).await? {
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
        let lacks = |step: &&Step| {
            let extent = || bundle.graph().extent(step.digest);
            step.decision.is_push() && extent().iter().any(|blob| missing.contains(&blob.digest))
        };
        // Also where it was not looked for, because another's artifact has the tag: whoever made the bundle took the blob
        // to be in one of them.
        let mut absent = HashSet::new();
        for step in &self.steps {
            let blobs = bundle.graph().extent(step.digest);
            for Blob { digest, size } in blobs.into_iter().filter(|blob| missing.contains(&blob.digest)) {
                absent.insert(CompactBase { digest, size, repository: step.repository.clone() });
            }
        }
        Err(PlanError::Base {
            lacking: self.steps.iter().filter(lacks).map(|step| step.target.to_string()).collect(),
            blobs: missing.len(),
            absent: absent.into_iter().collect(),
            base: bundle.statement().base.clone(),
        })
    }

    /// Whether any tag will be set.
    pub(crate) fn sets_tags(&self) -> bool {
        self.steps.iter().any(|step| step.decision.is_push() && step.target.tag.is_some())
    }

    /// Whether a tag will be moved.
    pub(crate) fn moves_tags(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.decision, Decision::Move(_)) && step.target.tag.is_some())
    }

    /// How many artifacts will be pushed.
    pub fn pushes(&self) -> usize {
        self.steps.iter().filter(|step| step.decision.is_push()).count()
    }

    /// The most bytes that can have to be sent.
    pub fn bytes(&self) -> u64 {
        let carried = self.blobs.iter().filter(|step| step.supply == Supply::Carried);
        carried.map(|step| step.blob.size).sum()
    }
}

/// Pairs of a blob and a repository, by their positions.
#[derive(Default)]
struct Pairs(Vec<(u32, u32)>);

/// The same, in order, each once.
struct SortedPairs(Vec<(u32, u32)>);

impl Pairs {
    fn add<'a>(&mut self, blobs: impl Iterator<Item = &'a u32>, name: u32) {
        self.0.extend(blobs.map(|&blob| (blob, name)));
    }

    fn sorted(mut self) -> SortedPairs {
        self.0.sort_unstable();
        self.0.dedup();
        SortedPairs(self.0)
    }
}

impl SortedPairs {
    /// Those of a blob.
    fn of(&self, blob: u32) -> &[(u32, u32)] {
        let start = self.0.partition_point(|pair| pair.0 < blob);
        let count = self.0[start..].partition_point(|pair| pair.0 == blob);
        &self.0[start..start + count]
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
    fn one_table_decides_for_every_destination() {
        let target: Target =
            Target { project: "cache".parse().unwrap(), repository: "app".parse().unwrap(), tag: None };
        let (ours, theirs) = (Digest::of(b"ours"), Digest::of(b"theirs"));
        let at = |digest, immutable| Found::Manifest { digest, immutable };
        let decide = |found, on_existing| Decision::of(&target, ours, found, on_existing, false);
        use OnExistingTag::{Error, Overwrite, Skip};
        for on_existing in [Error, Skip, Overwrite] {
            assert_eq!(decide(Found::Absent, on_existing), Ok(Decision::Push));
            assert_eq!(decide(Found::Unknown, on_existing), Ok(Decision::Push));
            assert_eq!(decide(at(ours, false), on_existing), Ok(Decision::Present));
            assert_eq!(decide(at(ours, true), on_existing), Ok(Decision::Present));
        }
        for immutable in [false, true] {
            assert_eq!(decide(at(theirs, immutable), Skip), Ok(Decision::Skip(theirs)));
        }
        assert_eq!(decide(at(theirs, false), Overwrite), Ok(Decision::Move(theirs)));
        let name = |found, on_existing| decide(found, on_existing).unwrap_err().name();
        assert_eq!(name(at(theirs, false), Error), "conflict");
        assert_eq!(name(at(theirs, true), Error), "immutable-tag");
        assert_eq!(name(at(theirs, true), Overwrite), "immutable-tag");
        // The stream's own tag moves, unless the registry says that it must not.
        let own = |found, on_existing| Decision::of(&target, ours, found, on_existing, true);
        for on_existing in [Error, Skip, Overwrite] {
            assert_eq!(own(at(theirs, false), on_existing), Ok(Decision::Move(theirs)));
            assert_eq!(own(at(ours, false), on_existing), Ok(Decision::Present));
        }
        assert_eq!(own(at(theirs, true), Skip), Ok(Decision::Skip(theirs)));
        assert_eq!(own(at(theirs, true), Error).unwrap_err().name(), "immutable-tag");
    }

    #[test]
    fn an_index_that_lists_its_child_a_thousand_times_is_pushed_once() {
        let media_type: MediaType = MediaType::IMAGE_INDEX.parse().unwrap();
        let mut graph = Graph::default();
        let digests: Vec<Digest> = (0..4_u8).map(|level| Digest::of(&[level])).collect();
        for pair in digests.windows(2) {
            let descriptor = Descriptor { media_type: media_type.clone(), digest: pair[1], size: 1 };
            let children = vec![Child { descriptor, platform: None, attests: None }; 1000];
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
