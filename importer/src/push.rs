use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bundle_format::{Archive, Blob, Damage, Entry, EntryName, FileError, Graph, Medium, Pipe, Statement};
use bundle_oci::{Digest, RepositoryName};
use bundle_registry::{BlobSource, Clamped, Error, Name, Progress, Refusal, Uploaded};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::bundle::Contents;
use crate::room::Rooms;
use crate::source::{Copied, Forward, Memory, Once, Stored};
use crate::{
    BlobStep, Bundle, Decision, Destination, ImportPlan, Limits, Presence, Share, Spool, Supply, accessory,
    referrer,
};

/// What an import did.
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
}

/// Why an import stopped. Of [`push`], no tag was moved; of [`Pushed::set_tags`], some may have been.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// A blob could not be put in place.
    #[error("blob {digest} cannot be stored in {repository}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// The repository.
        repository: RepositoryName,
        /// Why not.
        source: Error,
    },
    /// The bundle turned out damaged while its blobs were read.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// A manifest could not be put in place.
    #[error("manifest {name} cannot be stored in {repository}")]
    Manifest {
        /// The manifest.
        name: String,
        /// The repository.
        repository: RepositoryName,
        /// Why not.
        source: Error,
    },
    /// A tag is not what it was set to.
    #[error("{target} was set to {expected}, and now someone else moved it to {found}")]
    Moved {
        /// The target.
        target: String,
        /// What it was set to.
        expected: Digest,
        /// What it is.
        found: String,
    },
    /// A signature or the like that a Harbor has and does not attach to what it belongs to.
    #[error("{repository} has {accessory}, but not as an accessory of {subject}")]
    NotAttached {
        /// The repository.
        repository: RepositoryName,
        /// What should be attached.
        accessory: Digest,
        /// To what.
        subject: Digest,
    },
    /// A blob that a delta builds on, and that was there when the import began.
    #[error(
        "blob {digest} is not in the bundle, which builds on it, and is gone from the registry; {repository} needs it"
    )]
    Gone {
        /// The blob.
        digest: Digest,
        /// The repository.
        repository: RepositoryName,
    },
    /// A part of a blob cannot be kept for the next volume.
    #[error(transparent)]
    Spool(#[from] FileError),
    /// A part of the program ended early.
    #[error("a task ended early")]
    Task(#[from] tokio::task::JoinError),
}

#[derive(Default)]
struct Counters {
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    mounted: AtomicU64,
    found: AtomicU64,
    /// Blobs that were hashed on their way.
    read: Mutex<HashSet<Digest>>,
}

/// All blobs and manifests of a bundle are verified and in place. Only [`push`] makes one, and without
/// one no tag is moved.
#[derive(Debug)]
pub struct Pushed {
    statement: Statement,
    graph: Graph,
    manifests: HashMap<Digest, Bytes>,
    report: Report,
    rooms: Rooms,
}

/// What one import delivers of a bundle.
#[derive(Clone, Debug, Default)]
pub struct Portion {
    /// Its share of the blobs.
    pub share: Share,
    /// Where parts of blobs are kept that are larger than the volumes that are there.
    pub spool: Option<PathBuf>,
}

/// How far an import came.
#[derive(Debug)]
pub enum Progressed {
    /// All blobs and manifests are in place; the tags are not set yet.
    All(Box<Pushed>),
    /// Some blobs are still to come: from other volumes, or by those who have the other shares.
    Part(Remaining),
}

/// What is still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// How many blobs.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The volumes that have them.
    pub volumes: Vec<PathBuf>,
}

struct Push<'a> {
    destination: &'a Destination,
    plan: &'a ImportPlan,
    progress: &'a Arc<dyn Progress>,
    jobs: usize,
    limits: Limits,
    /// The blobs that this import delivers; none for all.
    share: Option<HashSet<Digest>>,
    counters: Counters,
    /// When a blob was last seen in a repository of a Harbor, whose garbage collection takes it
    /// some time after that.
    seen: Mutex<HashMap<(Digest, RepositoryName), Instant>>,
    rooms: Rooms,
}

/// Whether what the plan knows of blobs still counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    Current,
    /// The registry has lost something since.
    Stale,
}

/// Carries out a plan up to the tags: blobs, then manifests. What is not in the portion is looked
/// for in the registry.
///
/// # Errors
/// Any [`PushError`]; a second run goes on where this one ended.
pub async fn push(
    bundle: Bundle,
    plan: &ImportPlan,
    destination: &Destination,
    portion: &Portion,
    jobs: usize,
    limits: &Limits,
    progress: Arc<dyn Progress>,
) -> Result<Progressed, PushError> {
    let rooms = Rooms::new(destination, plan, limits);
    let progress: Arc<dyn Progress> = Arc::new(Clamped::new(progress));
    let push = Push {
        destination,
        plan,
        progress: &progress,
        jobs: jobs.max(1),
        limits: *limits,
        share: portion.share.blobs(bundle.statement()),
        counters: Counters::default(),
        seen: Mutex::default(),
        rooms,
    };
    progress.total(plan.bytes());
    let Bundle { trusted, graph, contents } = bundle;
    let statement = trusted.statement();
    let spool = portion.spool.as_deref().map(|directory| Spool::of(directory, trusted.digest()));
    let manifests = match push.everything(statement, &graph, contents, spool.as_ref()).await? {
        Ok(manifests) => manifests,
        Err(remaining) => return Ok(Progressed::Part(remaining)),
    };
    if let Some(spool) = spool {
        spool.clear();
    }
    let count =
        |wanted: fn(&Decision) -> bool| plan.steps.iter().filter(|step| wanted(&step.decision)).count();
    let report = Report {
        pushed: plan.pushes(),
        present: count(|decision| matches!(decision, Decision::Present)),
        skipped: count(|decision| matches!(decision, Decision::Skip(_))),
        sent: push.counters.sent.into_inner(),
        sent_bytes: push.counters.sent_bytes.into_inner(),
        mounted: push.counters.mounted.into_inner(),
        found: push.counters.found.into_inner(),
    };
    let statement = statement.clone();
    Ok(Progressed::All(Box::new(Pushed { statement, graph, manifests, report, rooms: push.rooms })))
}

impl Push<'_> {
    async fn everything(
        &self,
        statement: &Statement,
        graph: &Graph,
        contents: Contents,
        spool: Option<&Spool>,
    ) -> Result<Result<HashMap<Digest, Bytes>, Remaining>, PushError> {
        let manifests = match contents {
            Contents::File(archive) => {
                let file = Stock::new(archive);
                let mut absent = self.blobs_from(&file, Knowledge::Current, |_| true).await?;
                self.unread(&file.archive).await?;
                if self.share.is_some() && !absent.is_empty() {
                    // Those who have the other shares work at the same time. Whoever is done last with its
                    // own, and looks then, finds all of theirs.
                    let digests: HashSet<Digest> = absent
                        .iter()
                        .filter_map(|entry| match entry.name {
                            EntryName::Blob(digest) => Some(digest),
                            _ => None,
                        })
                        .collect();
                    let is_absent = |digest: Digest| digests.contains(&digest);
                    absent = self.blobs_from(&file, Knowledge::Stale, is_absent).await?;
                }
                if !absent.is_empty() {
                    return Ok(Err(self.remaining(&file.archive, absent, spool).await?));
                }
                let wanted = self.manifests_to_read(statement, graph);
                let mut manifests = HashMap::new();
                for (blob, entry) in statement.blobs.iter().zip(file.archive.layout().blobs()) {
                    if wanted.contains(&blob.digest) {
                        let bytes = file.archive.read(entry)?;
                        if Digest::of(&bytes) != blob.digest {
                            return Err(file.archive.damaged(entry).into());
                        }
                        manifests.insert(blob.digest, Bytes::from(bytes));
                    }
                }
                let mut rounds = 1;
                while let Err(error) = self.manifests(graph, &manifests, Some(&file)).await {
                    if rounds == self.limits.rounds || !self.lost_content(&error) {
                        return Err(error);
                    }
                    // Content that is being removed is there again only when it is gone.
                    if rounds > 1 {
                        tokio::time::sleep(self.limits.scan_wait).await;
                    }
                    rounds += 1;
                    self.blobs_from(&file, Knowledge::Stale, |_| true).await?;
                }
                manifests
            }
            Contents::Pipe { pipe, kept } => {
                self.blobs_piped(pipe, &kept).await?;
                self.manifests(graph, &kept, None).await?;
                kept
            }
        };
        Ok(Ok(manifests))
    }

    /// Tells of blobs that are nowhere yet, and keeps what is there of them.
    async fn remaining(
        &self,
        archive: &Arc<Archive<Medium>>,
        absent: Vec<Entry>,
        spool: Option<&Spool>,
    ) -> Result<Remaining, PushError> {
        let mut volumes = Vec::new();
        if let Medium::Volumes(set) = archive.reader() {
            let missing = set.missing();
            let of_absent =
                absent.iter().flat_map(|entry| set.volumes_of(&(entry.offset..entry.offset + entry.size)));
            volumes = of_absent.filter(|path| missing.contains(path)).collect();
            volumes.sort();
            volumes.dedup();
        }
        let (blobs, bytes) = (absent.len(), absent.iter().map(|entry| entry.size).sum());
        if let Some(spool) = spool.cloned() {
            let archive = archive.clone();
            tokio::task::spawn_blocking(move || spool.keep(&archive, &absent)).await??;
        }
        Ok(Remaining { blobs, bytes, volumes })
    }

    /// The manifests that are pushed, and those that may have to be attached once more.
    fn manifests_to_read(&self, statement: &Statement, graph: &Graph) -> HashSet<Digest> {
        let planned = self.plan.manifests.iter().map(|(digest, _)| *digest);
        let attached = accessory::attached(self.destination, self.plan, statement, graph);
        planned.chain(attached.map(|attached| attached.accessory)).collect()
    }

    /// Whether garbage collection took something between its push and that of a manifest which names
    /// it. A Harbor says NOT_FOUND while it removes the manifest itself.
    fn lost_content(&self, error: &PushError) -> bool {
        let PushError::Manifest { source, .. } = error else { return false };
        match source.refusal() {
            Some(Refusal::MissingContent) => true,
            Some(Refusal::NotFound) => matches!(self.destination, Destination::Harbor(_)),
            _ => false,
        }
    }

    /// Puts in place what is there and ours of the blobs that are wanted, and tells which of them are
    /// nowhere yet.
    async fn blobs_from(
        &self,
        file: &Stock,
        knowledge: Knowledge,
        is_wanted: impl Fn(Digest) -> bool,
    ) -> Result<Vec<Entry>, PushError> {
        futures_util::stream::iter(self.plan.blobs.iter().filter(|step| is_wanted(step.blob.digest)))
            .map(|step| async move {
                let digest = step.blob.digest;
                let source = self.is_ours(digest).then(|| file.blob(digest, self.progress)).flatten();
                let source = source.as_ref().map(|source| source as &dyn BlobSource);
                match self.blob(step, knowledge, source).await {
                    Err(PushError::Gone { .. }) if step.supply == Supply::Carried => {
                        Ok(file.entries.get(&digest).copied())
                    }
                    done => done.map(|()| None),
                }
            })
            .buffer_unordered(self.jobs)
            .try_filter_map(|absent| async move { Ok(absent) })
            .try_collect()
            .await
    }

    fn is_ours(&self, blob: Digest) -> bool {
        self.share.as_ref().is_none_or(|share| share.contains(&blob))
    }

    /// Hashes what was not read on its way to the registry, so that a bundle that was imported is
    /// a bundle that was right.
    async fn unread(&self, archive: &Arc<Archive<Medium>>) -> Result<(), PushError> {
        let sent = lock(&self.counters.read).clone();
        let (archive, threads, share) = (archive.clone(), self.jobs, self.share.clone());
        let hash = move || {
            let unread = archive.layout().blobs().iter().filter(|entry| match entry.name {
                EntryName::Blob(digest) => {
                    let ours = share.as_ref().is_none_or(|share| share.contains(&digest));
                    ours && !sent.contains(&digest) && archive.has(entry)
                }
                _ => false,
            });
            let threads = threads.min(std::thread::available_parallelism().map_or(1, usize::from));
            archive.damaged_among(unread.collect(), threads, &|_| ()).into_iter().next()
        };
        match tokio::task::spawn_blocking(hash).await? {
            Some(damage) => Err(damage.into()),
            None => Ok(()),
        }
    }

    /// Puts one blob into all repositories that need it: sent at most once, then mounted.
    async fn blob(
        &self,
        step: &BlobStep,
        knowledge: Knowledge,
        source: Option<&dyn BlobSource>,
    ) -> Result<(), PushError> {
        let (client, registry) = (self.destination.client(), self.destination.registry());
        let blob = step.blob;
        let carried = step.supply == Supply::Carried;
        if carried {
            self.progress.begin(blob.digest, blob.size, 0);
        }
        let there: Vec<bool> = futures_util::stream::iter(&step.places)
            .map(|place| async move {
                match (knowledge, place.presence) {
                    (Knowledge::Current, Presence::There) => Ok(true),
                    (Knowledge::Current, Presence::Absent) => Ok(false),
                    (Knowledge::Stale, _) | (Knowledge::Current, Presence::Unknown) => {
                        let found = client.has_blob(registry, &place.repository, blob.digest).await;
                        found.map_err(blob_failed(blob, &place.repository))
                    }
                }
            })
            .buffered(self.jobs)
            .try_collect()
            .await?;
        let found = step.places.iter().zip(&there).find(|(_, there)| **there);
        let mut holder = found.map(|(place, _)| &place.repository).or(step.holders.first());
        let mut passed = false;
        for (place, there) in step.places.iter().zip(there) {
            let repository = &place.repository;
            if there {
                self.counters.found.fetch_add(1, Ordering::Relaxed);
            } else {
                let uploaded = self.upload(blob, repository, holder, source).await?;
                if uploaded == Uploaded::Sent {
                    passed = true;
                    // It could not be mounted; the next one has a better place to take it from.
                    holder = Some(repository);
                }
            }
            self.saw(blob.digest, repository);
            holder.get_or_insert(repository);
        }
        if carried {
            if !passed {
                self.progress.advance(blob.digest, blob.size);
            }
            self.progress.end(blob.digest);
        }
        Ok(())
    }

    /// Puts a blob into one repository, and counts how.
    async fn upload(
        &self,
        blob: Blob,
        repository: &RepositoryName,
        holder: Option<&RepositoryName>,
        source: Option<&dyn BlobSource>,
    ) -> Result<Uploaded, PushError> {
        let (client, registry) = (self.destination.client(), self.destination.registry());
        let _room = self.rooms.enter(repository).await;
        let copy = holder.map(|holder| Copied {
            client: client.clone(),
            registry: registry.clone(),
            holder: holder.clone(),
            blob,
        });
        let carried = source.is_some();
        let Some(source) = source.or(copy.as_ref().map(|copy| copy as &dyn BlobSource)) else {
            return Err(PushError::Gone { digest: blob.digest, repository: repository.clone() });
        };
        let uploaded = client
            .upload_blob(registry, repository, blob.digest, blob.size, holder, source)
            .await
            .map_err(blob_failed(blob, repository))?;
        match uploaded {
            Uploaded::Mounted => self.counters.mounted.fetch_add(1, Ordering::Relaxed),
            Uploaded::Found => self.counters.found.fetch_add(1, Ordering::Relaxed),
            Uploaded::Sent => {
                if carried {
                    lock(&self.counters.read).insert(blob.digest);
                }
                self.counters.sent_bytes.fetch_add(blob.size, Ordering::Relaxed);
                self.counters.sent.fetch_add(1, Ordering::Relaxed)
            }
        };
        Ok(uploaded)
    }

    fn saw(&self, blob: Digest, repository: &RepositoryName) {
        if matches!(self.destination, Destination::Harbor(_)) {
            lock(&self.seen).insert((blob, repository.clone()), Instant::now());
        }
    }

    /// Looks for the blobs again that were seen long ago, before a manifest names them, and sends
    /// those that are gone. To look is what keeps a Harbor's garbage collection from them.
    async fn refresh(
        &self,
        manifest: &bundle_oci::Manifest,
        repository: &RepositoryName,
        file: Option<&Stock>,
    ) -> Result<(), PushError> {
        let (client, registry) = (self.destination.client(), self.destination.registry());
        for descriptor in Graph::blobs_of(manifest) {
            let blob = Blob { digest: descriptor.digest, size: descriptor.size };
            let seen = lock(&self.seen).get(&(blob.digest, repository.clone())).copied();
            if seen.is_none_or(|seen| seen.elapsed() < self.limits.recheck_after) {
                continue;
            }
            let there = client.has_blob(registry, repository, blob.digest).await;
            if !there.map_err(blob_failed(blob, repository))? {
                let source = file.and_then(|file| file.blob(blob.digest, self.progress));
                let source = source.as_ref().map(|source| source as &dyn BlobSource);
                self.upload(blob, repository, None, source).await?;
            }
            self.saw(blob.digest, repository);
        }
        Ok(())
    }

    /// What was kept of a pipe first, then its layers as they come.
    async fn blobs_piped(
        &self,
        pipe: Pipe<Box<dyn std::io::Read + Send>>,
        kept: &HashMap<Digest, Bytes>,
    ) -> Result<(), PushError> {
        let needs: HashMap<Digest, &BlobStep> =
            self.plan.blobs.iter().map(|step| (step.blob.digest, step)).collect();
        for step in &self.plan.blobs {
            if let Some(bytes) = kept.get(&step.blob.digest) {
                self.blob(step, Knowledge::Current, Some(&Memory(bytes.clone()))).await?;
            } else if step.supply == Supply::Required {
                self.blob(step, Knowledge::Current, None).await?;
            }
        }
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<(Blob, Bytes)>(4);
        let reading = tokio::task::spawn_blocking(move || pipe.finish(&mut Forward(sender)));
        let mut result = Ok(());
        let mut held: Option<(Blob, Bytes)> = None;
        while result.is_ok()
            && let Some((blob, first)) = match held.take() {
                Some(held) => Some(held),
                None => receiver.recv().await,
            }
        {
            let (pieces, stream) = tokio::sync::mpsc::channel(2);
            let source = Once(std::sync::Mutex::new(Some(stream)), self.progress.clone(), blob.digest);
            let step = needs.get(&blob.digest).copied();
            let feed = async {
                let mut next = Some((blob, first));
                let mut wanted = true;
                loop {
                    match next {
                        // A blob that is there already is read on, to be verified.
                        Some((of, bytes)) if of == blob => {
                            wanted = wanted && pieces.send(Ok(bytes)).await.is_ok()
                        }
                        Some(other) => {
                            drop(pieces);
                            return Some(other);
                        }
                        None => {
                            drop(pieces);
                            return None;
                        }
                    }
                    next = receiver.recv().await;
                }
            };
            let put = async {
                let put = match step {
                    Some(step) => self.blob(step, Knowledge::Current, Some(&source)).await,
                    None => Ok(()),
                };
                // Nobody listens any longer; the feed goes on without us.
                drop(source);
                put
            };
            let (put, next) = tokio::join!(put, feed);
            result = put;
            held = next;
        }
        drop(receiver);
        match (reading.await?, result) {
            // A reader that stopped because nobody listens has nothing to tell.
            (Err(Damage::Read(error)), Err(told)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Err(told)
            }
            // A blob that broke off could not be stored either.
            (Err(damage), _) => Err(damage.into()),
            (Ok(()), result) => result,
        }
    }

    async fn manifests(
        &self,
        graph: &Graph,
        contents: &HashMap<Digest, Bytes>,
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
                    let (Some(node), Some(bytes)) = (graph.manifests.get(&digest), contents.get(&digest))
                    else {
                        continue;
                    };
                    let failed = |source| PushError::Manifest {
                        name: digest.to_string(),
                        repository: repository.clone(),
                        source,
                    };
                    self.refresh(&node.manifest, repository, file).await?;
                    let name = Name::Digest(digest);
                    let (client, registry) = (self.destination.client(), self.destination.registry());
                    let room = self.rooms.enter(repository).await;
                    client
                        .push_manifest(registry, repository, &name, &node.media_type, bytes.clone())
                        .await
                        .map_err(failed)?;
                    drop(room);
                }
                Ok(())
            })
            .buffer_unordered(self.jobs)
            .try_collect()
            .await
    }
}

impl Pushed {
    /// Sets the tags, and looks at each of them again. Then what belongs to something is attached to it:
    /// a Harbor does so itself, which is looked at; elsewhere it is listed under its subject's tag.
    ///
    /// # Errors
    /// Any [`PushError`]; a second import sets the rest.
    pub async fn set_tags(
        self,
        plan: &ImportPlan,
        destination: &Destination,
        jobs: usize,
    ) -> Result<Report, PushError> {
        let moves =
            plan.steps.iter().filter(|step| matches!(step.decision, Decision::Push | Decision::Move(_)));
        let pushed = &self;
        futures_util::stream::iter(moves)
            .map(|step| async move {
                let artifact = &pushed.statement.artifacts[step.artifact];
                let bytes = pushed.manifests.get(&artifact.digest);
                let (Some(tag), Some(bytes)) = (&artifact.target.tag, bytes) else {
                    return Ok(());
                };
                let failed = |source| PushError::Manifest {
                    name: tag.to_string(),
                    repository: step.repository.clone(),
                    source,
                };
                let (name, repository) = (Name::Tag(tag.clone()), &step.repository);
                let (client, registry) = (destination.client(), destination.registry());
                let room = pushed.rooms.enter(repository).await;
                let set = client
                    .push_manifest(registry, repository, &name, &artifact.media_type, bytes.clone())
                    .await;
                drop(room);
                let found = destination.digest_at(&artifact.target, artifact.digest).await;
                match set {
                    Ok(_) => {}
                    // Another import may have set it since the plan was made.
                    Err(error) if error.refusal() == Some(Refusal::ImmutableTag) => {
                        if !matches!(found, Ok(Some(found)) if found == artifact.digest) {
                            return Err(failed(error));
                        }
                    }
                    Err(error) => return Err(failed(error)),
                }
                match found.map_err(failed)? {
                    Some(found) if found == artifact.digest => Ok(()),
                    found => Err(PushError::Moved {
                        target: artifact.target.to_string(),
                        expected: artifact.digest,
                        found: found.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string()),
                    }),
                }
            })
            .buffer_unordered(jobs.max(1))
            .try_collect::<()>()
            .await?;
        if let Destination::Plain { client, registry } = destination {
            referrer::list(client, registry, plan, &self.statement, &self.graph, jobs).await?;
        }
        if let Destination::Harbor(harbor) = destination {
            let attached = accessory::attached(destination, plan, &self.statement, &self.graph).collect();
            accessory::attach(harbor, attached, &self.manifests, jobs).await?;
        }
        Ok(self.report)
    }
}

/// Says for which blob and repository something failed; that the bundle is damaged says more.
fn blob_failed(blob: Blob, repository: &RepositoryName) -> impl FnOnce(Error) -> PushError {
    let (digest, repository) = (blob.digest, repository.clone());
    move |source| match source {
        Error::Source(error) => match error.downcast::<Damage>() {
            Ok(damage) => PushError::Damage(damage),
            Err(error) => PushError::Blob { digest, repository, source: Error::Source(error) },
        },
        source => PushError::Blob { digest, repository, source },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded stays whole even if a thread panics between two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An archive, and where in it each blob lies.
struct Stock {
    archive: Arc<Archive<Medium>>,
    entries: HashMap<Digest, Entry>,
}

impl Stock {
    fn new(archive: Archive<Medium>) -> Self {
        let entries = archive.layout().blobs().iter().filter_map(|entry| match entry.name {
            EntryName::Blob(digest) => Some((digest, *entry)),
            _ => None,
        });
        Self { entries: entries.collect(), archive: Arc::new(archive) }
    }

    /// The blob, if all of it is there.
    fn blob(&self, digest: Digest, progress: &Arc<dyn Progress>) -> Option<Stored> {
        let entry = *self.entries.get(&digest).filter(|entry| self.archive.has(entry))?;
        let told = Arc::default();
        Some(Stored { archive: self.archive.clone(), entry, digest, progress: progress.clone(), told })
    }
}
