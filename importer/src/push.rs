use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bundle_format::{Archive, Blob, BlobSink, Damage, Entry, EntryName, Graph, Pipe, Statement};
use bundle_oci::{Digest, Hasher, RepositoryName};
use bundle_registry::{BlobSource, Error, Name, Progress, Refusal, Uploaded};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};

use crate::bundle::Contents;
use crate::room::Rooms;
use crate::{BlobStep, Bundle, Decision, Destination, ImportPlan, Limits, Presence, accessory, referrer};

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

struct Push<'a> {
    destination: &'a Destination,
    plan: &'a ImportPlan,
    progress: &'a Arc<dyn Progress>,
    jobs: usize,
    limits: Limits,
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

/// Carries out a plan up to the tags: blobs, then manifests.
///
/// # Errors
/// Any [`PushError`]; a second run goes on where this one ended.
pub async fn push(
    bundle: Bundle,
    plan: &ImportPlan,
    destination: &Destination,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<Pushed, PushError> {
    let limits = Limits::DEFAULT;
    let rooms = Rooms::new(destination, plan, &limits);
    let push = Push {
        destination,
        plan,
        progress: &progress,
        jobs: jobs.max(1),
        limits,
        counters: Counters::default(),
        seen: Mutex::default(),
        rooms,
    };
    progress.total(plan.bytes());
    let Bundle { trusted, graph, contents } = bundle;
    let statement = trusted.statement();
    let manifests = push.everything(statement, &graph, contents).await?;
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
    Ok(Pushed { statement, graph, manifests, report, rooms: push.rooms })
}

impl Push<'_> {
    async fn everything(
        &self,
        statement: &Statement,
        graph: &Graph,
        contents: Contents,
    ) -> Result<HashMap<Digest, Bytes>, PushError> {
        let manifests = match contents {
            Contents::File(archive) => {
                let file = Stock::new(archive);
                self.blobs_from(&file, Knowledge::Current).await?;
                self.unread(&file.archive).await?;
                let wanted = self.manifests_to_read(statement, graph);
                let mut manifests = HashMap::new();
                for (blob, entry) in statement.blobs.iter().zip(file.archive.layout().blobs()) {
                    if wanted.contains(&blob.digest) {
                        let bytes = file.archive.read(entry)?;
                        if Digest::of(&bytes) != blob.digest {
                            return Err(Damage::Content(*entry).into());
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
                    self.blobs_from(&file, Knowledge::Stale).await?;
                }
                manifests
            }
            Contents::Pipe { pipe, kept } => {
                self.blobs_piped(pipe, &kept).await?;
                self.manifests(graph, &kept, None).await?;
                kept
            }
        };
        Ok(manifests)
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

    async fn blobs_from(&self, file: &Stock, knowledge: Knowledge) -> Result<(), PushError> {
        futures_util::stream::iter(&self.plan.blobs)
            .map(|step| async move {
                let source = file.blob(step.blob.digest, self.progress);
                let source = source.as_ref().map(|source| source as &dyn BlobSource);
                self.blob(step, knowledge, source).await
            })
            .buffer_unordered(self.jobs)
            .try_collect()
            .await
    }

    /// Hashes what was not read on its way to the registry, so that a bundle that was imported is
    /// a bundle that was right.
    async fn unread(&self, archive: &Arc<Archive<std::fs::File>>) -> Result<(), PushError> {
        let sent = lock(&self.counters.read).clone();
        let (archive, threads) = (archive.clone(), self.jobs);
        let hash = move || {
            let unread = archive.layout().blobs().iter().filter(|entry| match entry.name {
                EntryName::Blob(digest) => !sent.contains(&digest),
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
        self.progress.begin(blob.digest, blob.size, 0);
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
        let mut holder = found.map(|(place, _)| &place.repository).or(step.holder.as_ref());
        let mut passed = false;
        for (place, there) in step.places.iter().zip(there) {
            let repository = &place.repository;
            if there {
                self.counters.found.fetch_add(1, Ordering::Relaxed);
            } else {
                let uploaded = self.upload(blob, repository, holder, source).await?;
                passed |= uploaded == Uploaded::Sent;
            }
            self.saw(blob.digest, repository);
            holder.get_or_insert(repository);
        }
        if !passed {
            self.progress.advance(blob.digest, blob.size);
        }
        self.progress.end(blob.digest);
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
        let source = source.unwrap_or(&Absent);
        let uploaded = client
            .upload_blob(registry, repository, blob.digest, blob.size, holder, source)
            .await
            .map_err(blob_failed(blob, repository))?;
        match uploaded {
            Uploaded::Mounted => self.counters.mounted.fetch_add(1, Ordering::Relaxed),
            Uploaded::Found => self.counters.found.fetch_add(1, Ordering::Relaxed),
            Uploaded::Sent => {
                lock(&self.counters.read).insert(blob.digest);
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
            (_, Err(error)) if !matches!(error, PushError::Damage(_)) => Err(error),
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

const PIECE: usize = 1 << 20;

/// An archive, and where in it each blob lies.
struct Stock {
    archive: Arc<Archive<std::fs::File>>,
    entries: HashMap<Digest, Entry>,
}

impl Stock {
    fn new(archive: Archive<std::fs::File>) -> Self {
        let entries = archive.layout().blobs().iter().filter_map(|entry| match entry.name {
            EntryName::Blob(digest) => Some((digest, *entry)),
            _ => None,
        });
        Self { entries: entries.collect(), archive: Arc::new(archive) }
    }

    fn blob(&self, digest: Digest, progress: &Arc<dyn Progress>) -> Option<Stored> {
        let entry = *self.entries.get(&digest)?;
        Some(Stored { archive: self.archive.clone(), entry, digest, progress: progress.clone() })
    }
}

/// A blob in a file. Its last piece is only given away once the whole was found right.
struct Stored {
    archive: Arc<Archive<std::fs::File>>,
    entry: Entry,
    digest: Digest,
    progress: Arc<dyn Progress>,
}

impl BlobSource for Stored {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let (archive, entry, digest, progress) =
            (self.archive.clone(), self.entry, self.digest, self.progress.clone());
        let pieces = futures_util::stream::try_unfold((0, Hasher::new()), move |(done, mut hasher)| {
            let (archive, progress) = (archive.clone(), progress.clone());
            async move {
                if done == entry.size {
                    return Ok(None);
                }
                let length = (entry.size - done).min(PIECE as u64);
                let read = move || {
                    let mut piece = vec![0; length as usize];
                    bundle_format::ReadAt::read_exact_at(archive.reader(), &mut piece, entry.offset + done)?;
                    hasher.update(&piece);
                    Ok::<_, std::io::Error>((piece, hasher))
                };
                let (piece, hasher) =
                    tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)??;
                if done + length == entry.size && hasher.clone().finish() != digest {
                    return Err(std::io::Error::other(Damage::Content(entry)));
                }
                progress.advance(digest, length);
                Ok(Some((Bytes::from(piece), (done + length, hasher))))
            }
        });
        Some(pieces.boxed())
    }
}

/// A blob that was kept.
struct Memory(Bytes);

impl BlobSource for Memory {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let bytes = self.0.clone();
        Some(futures_util::stream::once(async move { Ok(bytes) }).boxed())
    }
}

/// A blob that a delta leaves out and the registry no longer has.
struct Absent;

impl BlobSource for Absent {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        None
    }
}

/// A blob that comes out of a pipe once.
struct Once(
    std::sync::Mutex<Option<tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>>>,
    Arc<dyn Progress>,
    Digest,
);

impl BlobSource for Once {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let receiver = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()?;
        let (progress, digest) = (self.1.clone(), self.2);
        let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        Some(
            pieces
                .inspect(move |piece| {
                    if let Ok(bytes) = piece {
                        progress.advance(digest, bytes.len() as u64);
                    }
                })
                .boxed(),
        )
    }
}

/// Hands a pipe's blobs from the thread that reads them to the tasks that send them.
struct Forward(tokio::sync::mpsc::Sender<(Blob, Bytes)>);

impl BlobSink for Forward {
    fn take(&mut self, blob: Blob, bytes: &[u8]) -> std::io::Result<()> {
        let piece = (blob, Bytes::copy_from_slice(bytes));
        self.0.blocking_send(piece).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}
