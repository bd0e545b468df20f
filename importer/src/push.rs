use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bundle_format::{Archive, Blob, BlobSink, Damage, Entry, EntryName, Pipe, Statement};
use bundle_oci::{Digest, Hasher, Registry, RepositoryName};
use bundle_registry::{BlobSource, Client, Error, Name, Progress, Uploaded};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};

use crate::bundle::Contents;
use crate::{Bundle, Decision, ImportPlan, Need, Supply, referrer};

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

/// Why an import stopped. No tag was moved unless [`PushError::Moved`] says so.
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
    read: std::sync::Mutex<HashSet<Digest>>,
}

/// All blobs and manifests of a bundle are verified and in place. Only [`push`] makes one, and without
/// one no tag is moved.
#[derive(Debug)]
pub struct Pushed {
    statement: Statement,
    manifests: HashMap<Digest, Bytes>,
    report: Report,
}

struct Push<'a> {
    client: &'a Client,
    registry: &'a Registry,
    plan: &'a ImportPlan,
    progress: &'a Arc<dyn Progress>,
    jobs: usize,
    counters: Counters,
}

/// Carries out a plan up to the tags: blobs, then manifests.
///
/// # Errors
/// Any [`PushError`]; a second run goes on where this one ended.
pub async fn push(
    bundle: Bundle,
    plan: &ImportPlan,
    client: &Client,
    registry: &Registry,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<Pushed, PushError> {
    let push = Push {
        client,
        registry,
        plan,
        progress: &progress,
        jobs: jobs.max(1),
        counters: Counters::default(),
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
    Ok(Pushed { statement: trusted.statement().clone(), manifests, report })
}

impl Push<'_> {
    async fn everything(
        &self,
        statement: &Statement,
        graph: &bundle_format::Graph,
        contents: Contents,
    ) -> Result<HashMap<Digest, Bytes>, PushError> {
        let manifests = match contents {
            Contents::File(archive) => {
                let archive = Arc::new(archive);
                self.blobs_from(&archive, statement).await?;
                self.unread(&archive).await?;
                let mut manifests = HashMap::new();
                for (blob, entry) in statement.blobs.iter().zip(archive.layout().blobs()) {
                    if self.plan.manifests.iter().any(|(digest, _)| *digest == blob.digest) {
                        let bytes = archive.read(entry)?;
                        if Digest::of(&bytes) != blob.digest {
                            return Err(Damage::Content(*entry).into());
                        }
                        manifests.insert(blob.digest, Bytes::from(bytes));
                    }
                }
                match self.manifests(graph, &manifests).await {
                    // Garbage collection may take a blob between its push and its manifest's.
                    Err(PushError::Manifest { source: Error::Answer(answer), .. })
                        if answer.code.as_deref().is_some_and(|code| code.ends_with("BLOB_UNKNOWN")) =>
                    {
                        self.blobs_from(&archive, statement).await?;
                        self.manifests(graph, &manifests).await?;
                    }
                    other => other?,
                }
                manifests
            }
            Contents::Pipe { pipe, kept } => {
                self.blobs_piped(pipe, &kept).await?;
                self.manifests(graph, &kept).await?;
                kept
            }
        };
        Ok(manifests)
    }

    async fn blobs_from(
        &self,
        archive: &Arc<Archive<std::fs::File>>,
        statement: &Statement,
    ) -> Result<(), PushError> {
        let entries: HashMap<Digest, Entry> = statement
            .blobs
            .iter()
            .map(|blob| blob.digest)
            .zip(archive.layout().blobs().iter().copied())
            .collect();
        let entries = &entries;
        futures_util::stream::iter(&self.plan.blobs)
            .map(|need| async move {
                let source = entries.get(&need.blob.digest).map(|entry| Stored {
                    archive: archive.clone(),
                    entry: *entry,
                    digest: need.blob.digest,
                    progress: self.progress.clone(),
                });
                self.blob(need, source.as_ref().map(|source| source as &dyn BlobSource)).await
            })
            .buffer_unordered(self.jobs)
            .try_collect()
            .await
    }

    /// Hashes what was not read on its way to the registry, so that a bundle that was imported is
    /// a bundle that was right.
    async fn unread(&self, archive: &Arc<Archive<std::fs::File>>) -> Result<(), PushError> {
        let sent = self.counters.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
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
    async fn blob(&self, need: &Need, source: Option<&dyn BlobSource>) -> Result<(), PushError> {
        let Need { blob, repositories, .. } = need;
        let failed = |repository: &RepositoryName| {
            let repository = repository.clone();
            move |source| match source {
                Error::Source(error) => match error.downcast::<Damage>() {
                    Ok(damage) => PushError::Damage(damage),
                    Err(error) => {
                        PushError::Blob { digest: blob.digest, repository, source: Error::Source(error) }
                    }
                },
                source => PushError::Blob { digest: blob.digest, repository, source },
            }
        };
        if need.supply == Supply::Carried {
            self.progress.begin(blob.digest, blob.size, 0);
        }
        let there: Vec<bool> = futures_util::stream::iter(repositories)
            .map(|repository| async move {
                let found = self.client.has_blob(self.registry, repository, blob.digest).await;
                found.map_err(failed(repository))
            })
            .buffered(self.jobs)
            .try_collect()
            .await?;
        let mut holder =
            repositories.iter().zip(&there).find(|(_, there)| **there).map(|(repository, _)| repository);
        if holder.is_some() && need.supply == Supply::Carried {
            self.progress.advance(blob.digest, blob.size);
        }
        holder = holder.or(need.holders.first());
        for (repository, there) in repositories.iter().zip(there) {
            if there {
                self.counters.found.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let copy = holder.map(|holder| Copied {
                client: self.client.clone(),
                registry: self.registry.clone(),
                holder: holder.clone(),
                blob: *blob,
            });
            let copy = copy.as_ref().map(|copy| copy as &dyn BlobSource);
            let Some(source) = source.or(copy) else {
                return Err(PushError::Gone { digest: blob.digest, repository: repository.clone() });
            };
            let uploaded = self
                .client
                .upload_blob(self.registry, repository, blob.digest, blob.size, holder, source)
                .await
                .map_err(failed(repository))?;
            match uploaded {
                Uploaded::Mounted => self.counters.mounted.fetch_add(1, Ordering::Relaxed),
                Uploaded::Found => self.counters.found.fetch_add(1, Ordering::Relaxed),
                Uploaded::Sent => {
                    if need.supply == Supply::Carried {
                        self.counters
                            .read
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner)
                            .insert(blob.digest);
                    }
                    // It could not be mounted; the next one has a better place to take it from.
                    holder = Some(repository);
                    self.counters.sent_bytes.fetch_add(blob.size, Ordering::Relaxed);
                    self.counters.sent.fetch_add(1, Ordering::Relaxed)
                }
            };
            holder.get_or_insert(repository);
        }
        self.progress.end(blob.digest);
        Ok(())
    }

    /// What was kept of a pipe first, then its layers as they come.
    async fn blobs_piped(
        &self,
        pipe: Pipe<Box<dyn std::io::Read + Send>>,
        kept: &HashMap<Digest, Bytes>,
    ) -> Result<(), PushError> {
        let needs: HashMap<Digest, &Need> =
            self.plan.blobs.iter().map(|need| (need.blob.digest, need)).collect();
        for need in &self.plan.blobs {
            if let Some(bytes) = kept.get(&need.blob.digest) {
                self.blob(need, Some(&Memory(bytes.clone()))).await?;
            } else if need.supply == Supply::Required {
                self.blob(need, None).await?;
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
            let need = needs.get(&blob.digest).copied();
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
                let put = match need {
                    Some(need) => self.blob(need, Some(&source)).await,
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
        graph: &bundle_format::Graph,
        contents: &HashMap<Digest, Bytes>,
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
                    let name = Name::Digest(digest);
                    let pushed = self
                        .client
                        .push_manifest(self.registry, repository, &name, &node.media_type, bytes.clone())
                        .await
                        .map_err(failed)?;
                    if node.manifest.subject().is_some() && !pushed.subject_recognised {
                        let size = bytes.len() as u64;
                        referrer::list_by_tag(self.client, self.registry, repository, digest, size, node)
                            .await
                            .map_err(failed)?;
                    }
                }
                Ok(())
            })
            .buffer_unordered(self.jobs)
            .try_collect()
            .await
    }
}

impl Pushed {
    /// Sets the tags, and looks at each of them again.
    ///
    /// # Errors
    /// Any [`PushError`]; a second import sets the rest.
    pub async fn set_tags(
        self,
        plan: &ImportPlan,
        client: &Client,
        registry: &Registry,
        jobs: usize,
    ) -> Result<Report, PushError> {
        let Self { statement, manifests, report } = self;
        let (statement, manifests) = (&statement, &manifests);
        let moves =
            plan.steps.iter().filter(|step| matches!(step.decision, Decision::Push | Decision::Move(_)));
        futures_util::stream::iter(moves)
            .map(|step| async move {
                let artifact = &statement.artifacts[step.artifact];
                let (Some(tag), Some(bytes)) = (&artifact.target.tag, manifests.get(&artifact.digest)) else {
                    return Ok(());
                };
                let failed = |source| PushError::Manifest {
                    name: tag.to_string(),
                    repository: step.repository.clone(),
                    source,
                };
                let (name, repository) = (Name::Tag(tag.clone()), &step.repository);
                client
                    .push_manifest(registry, repository, &name, &artifact.media_type, bytes.clone())
                    .await
                    .map_err(failed)?;
                let found = client.manifest_info(registry, repository, &name).await.map_err(failed)?;
                match found {
                    Some(info) if info.digest == artifact.digest => Ok(()),
                    found => Err(PushError::Moved {
                        target: artifact.target.to_string(),
                        expected: artifact.digest,
                        found: found.map_or_else(|| "nothing".to_owned(), |info| info.digest.to_string()),
                    }),
                }
            })
            .buffer_unordered(jobs.max(1))
            .try_collect::<()>()
            .await?;
        Ok(report)
    }
}

const PIECE: usize = 1 << 20;

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

/// A blob that a delta leaves out, taken from where the registry has it: for registries that do not
/// mount, and accounts that may not. The registry itself checks what it gets.
struct Copied {
    client: Client,
    registry: Registry,
    holder: RepositoryName,
    blob: Blob,
}

impl BlobSource for Copied {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let Blob { digest, size } = self.blob;
        let download = self.client.blob(&self.registry, &self.holder, digest, size, 0);
        let pieces = futures_util::stream::try_unfold(download, |mut download| async move {
            let piece = download.next().await.map_err(std::io::Error::other)?;
            Ok(piece.map(|piece| (piece, download)))
        });
        Some(pieces.boxed())
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
