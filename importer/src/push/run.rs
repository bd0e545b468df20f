//! Carries a plan out up to the tags. Takes a bundle and its plan; gives [`Pushed`], with which
//! alone a tag can be set, or says what is still to come.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bundle_format::{Archive, Artifact, Blob, Damage, Graph, Layer, Medium, Target, image_extents};
use bundle_oci::{Digest, RepositoryName};
use bundle_registry::{Clamped, ImageExtent, Progress, Refusal};
use tokio::sync::Semaphore;

use crate::open::bundle::Contents;
use crate::push::failures::Failures;
use crate::push::manifest_bytes::ManifestBytes;
use crate::push::rate_limit::RateLimit;
use crate::push::source::Stock;
use crate::{
    Bundle, Decision, DeliveryOptions, Destination, ImportPlan, Limits, PushError, PushRules, Pushed,
    Scratch, Shard, Supply,
};

/// The counts of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Artifacts that were pushed.
    pub pushed: usize,
    /// Artifacts that were there already.
    pub present: usize,
    /// Artifacts that were left out because their tag is there with another digest.
    pub skipped: usize,
    /// Blobs whose bytes were sent.
    pub sent: u64,
    /// The bytes of these.
    pub sent_bytes: u64,
    /// Blobs that the registry took from another of its repositories.
    pub mounted: u64,
    /// Blobs that were there already.
    pub found: u64,
    /// Artifacts that could not be stored, where the import went on without them.
    pub unstored: Vec<Unstored>,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) mounted: AtomicU64,
    pub(super) found: AtomicU64,
    /// Blobs that were hashed on their way.
    pub(super) read: Mutex<HashSet<Digest>>,
}

/// An artifact that could not be stored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstored {
    /// Where it should be.
    pub target: String,
    /// The destination's answer.
    pub reason: String,
}

/// The treatment of the other artifacts if one cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The import ends, and no tag is set.
    #[default]
    Stop,
    /// They are delivered. The tag of the artifact is not set.
    KeepGoing,
}

/// The part of a bundle that one import delivers.
#[derive(Clone, Debug, Default)]
pub struct Portion {
    /// Its shard of the blobs.
    pub shard: Shard,
    /// Where parts of blobs are kept that are larger than the volumes that are there.
    pub scratch: Option<PathBuf>,
}

/// How far an import came.
#[derive(Debug)]
pub enum Progressed {
    /// All blobs and manifests are in place; the tags are not set yet.
    All(Box<Pushed>),
    /// Some blobs are still to come: from other volumes, or from other shards.
    Part(Remaining),
}

/// The blobs and volumes still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// How many blobs.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The volumes that have them.
    pub volumes: Vec<PathBuf>,
}

pub(super) struct Push<'a> {
    pub(super) destination: &'a dyn Destination,
    pub(super) rules: PushRules,
    pub(super) plan: &'a ImportPlan,
    pub(super) progress: &'a Arc<dyn Progress>,
    pub(super) jobs: usize,
    /// How many small requests are made at once: more over a long line, where they wait most of the time.
    pub(super) small_jobs: usize,
    /// Uploads of small blobs, and lookups.
    pub(super) slots: Semaphore,
    /// Uploads of the others.
    pub(super) large_slots: Semaphore,
    pub(super) limits: Limits,
    /// The blobs that this import delivers; none for all.
    pub(super) shard: Option<HashSet<Digest>>,
    pub(super) counters: Counters,
    /// When a blob was last seen in a repository whose garbage collection takes it some time after
    /// that.
    pub(super) seen: Mutex<HashMap<(Digest, RepositoryName), Instant>>,
    pub(super) rate_limit: RateLimit,
    pub(super) failures: Failures,
}

/// Whether the plan's knowledge of blobs is still current.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    Current,
    /// The registry has lost something since.
    Stale,
}

/// The result of storing a bundle's blobs.
enum Stored {
    /// All are in place; this has the manifests.
    All(ManifestBytes),
    /// Some are still to come.
    Part(Remaining),
}

/// Carries out a plan up to the tags: blobs, then manifests. Blobs outside the portion are looked up at the
/// destination.
///
/// # Errors
/// Any [`PushError`]; a second run goes on where this one ended.
pub async fn push(
    bundle: Bundle,
    plan: ImportPlan,
    destination: Arc<dyn Destination>,
    options: &DeliveryOptions,
    progress: Arc<dyn Progress>,
) -> Result<Progressed, PushError> {
    let portion = &options.portion;
    let mut plan = plan;
    let rules = destination.rules();
    let rate_limit = RateLimit::new(rules.uploads_per_project, &plan);
    let jobs = options.jobs.max(1);
    let small_jobs = if options.adapts_jobs { over_line(jobs, rules.round_trip) } else { jobs };
    let progress: Arc<dyn Progress> = Arc::new(Clamped::new(progress));
    let push = Push {
        destination: &*destination,
        rules,
        plan: &plan,
        progress: &progress,
        jobs,
        small_jobs,
        slots: Semaphore::new(small_jobs),
        large_slots: Semaphore::new(jobs),
        limits: options.limits,
        failures: Failures::new(options.on_failure),
        shard: portion.shard.blobs(bundle.statement()),
        counters: Counters::default(),
        seen: Mutex::default(),
        rate_limit,
    };
    progress.total(plan.bytes());
    let carried = plan.blobs.iter().filter(|step| step.supply == Supply::Carried);
    let carried: HashSet<Digest> = carried.map(|step| step.blob.digest).collect();
    let steps: HashSet<&Target> = plan.steps.iter().map(|step| &step.target).collect();
    let artifacts = bundle.statement().artifacts.iter().filter(|artifact| steps.contains(&artifact.target));
    progress.images(&extents(artifacts, bundle.graph(), |blob| carried.contains(&blob.digest)));
    let Bundle { trusted, graph, contents } = bundle;
    let scratch = portion.scratch.as_deref().map(|directory| Scratch::of(directory, trusted.digest()));
    let manifests = match push.everything(&graph, contents, scratch.as_ref()).await? {
        Stored::All(manifests) => manifests,
        Stored::Part(remaining) => return Ok(Progressed::Part(remaining)),
    };
    if let Some(scratch) = scratch {
        scratch.clear();
    }
    let Push { counters, rate_limit, failures, .. } = push;
    let unstored = failures.omit(&mut plan, &graph);
    let count =
        |wanted: fn(&Decision) -> bool| plan.steps.iter().filter(|step| wanted(&step.decision)).count();
    let report = Report {
        pushed: plan.pushes(),
        present: count(|decision| matches!(decision, Decision::Present)),
        skipped: count(|decision| matches!(decision, Decision::Skip(_))),
        sent: counters.sent.into_inner(),
        sent_bytes: counters.sent_bytes.into_inner(),
        mounted: counters.mounted.into_inner(),
        found: counters.found.into_inner(),
        unstored,
    };
    let pushed = Pushed { destination, plan, graph, manifests, report, rate_limit, small_jobs };
    Ok(Progressed::All(Box::new(pushed)))
}

/// The images of these artifacts for a display of progress, with those of their blobs that are wanted.
pub fn extents<'a>(
    artifacts: impl IntoIterator<Item = &'a Artifact>,
    graph: &Graph,
    wanted: impl Fn(&Blob) -> bool,
) -> Vec<ImageExtent> {
    let image = |(name, blobs): (String, Vec<Blob>)| ImageExtent {
        name,
        blobs: blobs.into_iter().map(|blob| (blob.digest, blob.size)).collect(),
    };
    image_extents(artifacts, graph, wanted).into_iter().map(image).collect()
}

/// How many small requests keep a line of this delay as busy as `jobs` keep a short one: one more of them for each
/// five milliseconds, up to four times as many, for registries limit connections.
fn over_line(jobs: usize, round_trip: Option<Duration>) -> usize {
    let more = round_trip.map_or(0, |time| time.as_millis() / 5);
    jobs.saturating_mul(1 + usize::try_from(more).unwrap_or(3).min(3))
}

impl Push<'_> {
    async fn everything(
        &self,
        graph: &Graph,
        contents: Contents,
        scratch: Option<&Scratch>,
    ) -> Result<Stored, PushError> {
        let manifests = match contents {
            Contents::File(archive) => {
                let file = Stock(Arc::new(archive));
                let mut absent = self.blobs_from(&file, Knowledge::Current, |_| true).await?;
                self.unread(&file.0).await?;
                if self.shard.is_some() && !absent.is_empty() {
                    // The other shards are imported at the same time. The last to finish finds the blobs of
                    // all others.
                    let digests: HashSet<Digest> = absent.iter().map(|blob| blob.digest).collect();
                    let is_absent = |digest: Digest| digests.contains(&digest);
                    absent = self.blobs_from(&file, Knowledge::Stale, is_absent).await?;
                }
                if !absent.is_empty() {
                    return Ok(Stored::Part(self.remaining(&file.0, absent, scratch).await?));
                }
                let manifests = ManifestBytes::of_file(file.0.clone());
                let mut rounds = 1;
                while let Err(error) = self.manifests(graph, &manifests, Some(&file)).await {
                    if rounds == self.limits.rounds || !self.lost_content(&error) {
                        return Err(error);
                    }
                    // Content that is being removed is there again only when it is gone.
                    if rounds > 1 {
                        tokio::time::sleep(self.limits.round_wait).await;
                    }
                    rounds += 1;
                    self.blobs_from(&file, Knowledge::Stale, |_| true).await?;
                }
                manifests
            }
            Contents::Pipe { pipe, kept } => {
                self.blobs_piped(pipe, &kept).await?;
                let manifests = ManifestBytes::kept(kept);
                self.manifests(graph, &manifests, None).await?;
                manifests
            }
        };
        Ok(Stored::All(manifests))
    }

    /// Returns the missing blobs, and keeps the available parts of them.
    async fn remaining(
        &self,
        archive: &Arc<Archive<Medium>>,
        absent: Vec<Blob>,
        scratch: Option<&Scratch>,
    ) -> Result<Remaining, PushError> {
        let missing = archive.reader().missing();
        let base = absent.iter().find_map(|blob| archive.missing_bases_of_blob(blob.digest).pop());
        if let Some(base) = base {
            return Err(PushError::Damage(Damage::NoBase(Box::new(base))));
        }
        let of_absent = absent.iter().flat_map(|blob| archive.files_of_blob(blob.digest));
        let mut volumes: Vec<_> = of_absent.filter(|path| missing.contains(path)).collect();
        volumes.sort();
        volumes.dedup();
        let (blobs, bytes) = (absent.len(), absent.iter().map(|blob| blob.size).sum());
        if let Some(scratch) = scratch.cloned() {
            let archive = archive.clone();
            tokio::task::spawn_blocking(move || scratch.keep(&archive, &absent)).await??;
        }
        Ok(Remaining { blobs, bytes, volumes })
    }

    /// Whether garbage collection took something between its push and that of a manifest which names
    /// it.
    pub(super) fn lost_content(&self, error: &PushError) -> bool {
        let PushError::Manifest { source, .. } = error else { return false };
        match source.refusal() {
            Some(Refusal::MissingContent) => true,
            Some(Refusal::NotFound) => self.rules.not_found_is_lost_content,
            _ => false,
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded value is valid even if a thread panics between two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_line_gets_more_requests_at_once_up_to_four_times_as_many() {
        let over = |millis| over_line(8, Some(Duration::from_millis(millis)));
        assert_eq!([0, 4, 5, 10, 20, 100, 10_000].map(over), [8, 8, 16, 24, 32, 32, 32]);
        assert_eq!(over_line(8, None), 8);
    }
}
