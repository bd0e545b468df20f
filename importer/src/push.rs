use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bundle_format::{Archive, Blob, Damage, Entry, EntryName, FileError, Medium, Pipe, Statement};
use bundle_oci::{Digest, Registry, RepositoryName};
use bundle_registry::{BlobSource, Client, Error, Name, Progress, Uploaded};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::bundle::Contents;
use crate::source::{Copied, Forward, Memory, Once, Stored};
use crate::{Bundle, Decision, ImportPlan, Need, Share, Spool, Supply, referrer};

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
    client: &'a Client,
    registry: &'a Registry,
    plan: &'a ImportPlan,
    progress: &'a Arc<dyn Progress>,
    jobs: usize,
    /// The blobs that this import delivers; none for all.
    share: Option<HashSet<Digest>>,
    counters: Counters,
}

/// Carries out a plan up to the tags: blobs, then manifests. What is not in the portion is looked
/// for in the registry.
///
/// # Errors
/// Any [`PushError`]; a second run goes on where this one ended.
pub async fn push(
    bundle: Bundle,
    plan: &ImportPlan,
    client: &Client,
    registry: &Registry,
    portion: &Portion,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<Progressed, PushError> {
    let push = Push {
        client,
        registry,
        plan,
        progress: &progress,
        jobs: jobs.max(1),
        share: portion.share.blobs(bundle.statement()),
        counters: Counters::default(),
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
    Ok(Progressed::All(Box::new(Pushed { statement: trusted.statement().clone(), manifests, report })))
}

impl Push<'_> {
    async fn everything(
        &self,
        statement: &Statement,
        graph: &bundle_format::Graph,
        contents: Contents,
        spool: Option<&Spool>,
    ) -> Result<Result<HashMap<Digest, Bytes>, Remaining>, PushError> {
        let manifests = match contents {
            Contents::File(archive) => {
                let archive = Arc::new(archive);
                let absent = self.blobs_from(&archive, statement).await?;
                self.unread(&archive).await?;
                if !absent.is_empty() {
                    return Ok(Err(self.remaining(&archive, absent, spool).await?));
                }
                let mut manifests = HashMap::new();
                let wanted: HashSet<Digest> = self.plan.manifests.iter().map(|(digest, _)| *digest).collect();
                for (blob, entry) in statement.blobs.iter().zip(archive.layout().blobs()) {
                    if wanted.contains(&blob.digest) {
                        let bytes = archive.read(entry)?;
                        if Digest::of(&bytes) != blob.digest {
                            return Err(archive.damaged(entry).into());
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

    /// Puts in place what is there and ours, and tells which blobs are nowhere yet.
    async fn blobs_from(
        &self,
        archive: &Arc<Archive<Medium>>,
        statement: &Statement,
    ) -> Result<Vec<Entry>, PushError> {
        let entries: HashMap<Digest, Entry> = statement
            .blobs
            .iter()
            .map(|blob| blob.digest)
            .zip(archive.layout().blobs().iter().copied())
            .collect();
        let entries = &entries;
        futures_util::stream::iter(&self.plan.blobs)
            .map(|need| async move {
                let entry = entries.get(&need.blob.digest);
                let there = entry.filter(|entry| self.is_ours(need.blob.digest) && archive.has(entry));
                let source = there.map(|entry| Stored {
                    archive: archive.clone(),
                    entry: *entry,
                    digest: need.blob.digest,
                    progress: self.progress.clone(),
                });
                match self.blob(need, source.as_ref().map(|source| source as &dyn BlobSource)).await {
                    Err(PushError::Gone { .. }) if need.supply == Supply::Carried => Ok(entry.copied()),
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
        let sent = self.counters.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
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
