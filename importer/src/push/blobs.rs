//! Puts blobs into the repositories that need them: each is sent at most once, then mounted. Blobs that are
//! not sent are hashed nevertheless.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bundle_format::{Archive, Blob, Damage, Graph, Medium};
use bundle_oci::{Digest, RepositoryName};
use bundle_registry::{BlobSource, Error, Uploaded};
use futures_util::{StreamExt, TryStreamExt};

use crate::push::run::{Knowledge, Push, lock};
use crate::push::source::Stock;
use crate::{BlobStep, Presence, PushError, Supply};

/// The largest blob, in bytes, whose upload takes the time of its round trips and not of its bytes.
const SMALL_BLOB: u64 = 256 << 10;

impl Push<'_> {
    /// Puts the available ones of the wanted blobs in place, and returns those that are missing everywhere.
    pub(super) async fn blobs_from(
        &self,
        file: &Stock,
        knowledge: Knowledge,
        is_wanted: impl Fn(Digest) -> bool,
    ) -> Result<Vec<Blob>, PushError> {
        futures_util::stream::iter(self.plan.blobs.iter().filter(|step| is_wanted(step.blob.digest)))
            .map(|step| async move {
                let digest = step.blob.digest;
                let source = self.is_ours(digest).then(|| file.blob(digest, self.progress)).flatten();
                let source = source.as_ref().map(|source| source as &dyn BlobSource);
                match self.blob(step, knowledge, source).await {
                    Err(PushError::Gone { .. }) if step.supply == Supply::Carried => Ok(file.0.blob(digest)),
                    done => done.map(|()| None),
                }
            })
            .buffer_unordered(self.small_jobs)
            .try_filter_map(|absent| async move { Ok(absent) })
            .try_collect()
            .await
    }

    pub(super) fn is_ours(&self, blob: Digest) -> bool {
        self.shard.as_ref().is_none_or(|shard| shard.contains(&blob))
    }

    /// Hashes what was not read on its way to the registry, so that a bundle that was imported is
    /// a bundle that was right.
    pub(super) async fn unread(&self, archive: &Arc<Archive<Medium>>) -> Result<(), PushError> {
        let sent = lock(&self.counters.read).clone();
        let (archive, threads, shard) = (archive.clone(), self.jobs, self.shard.clone());
        let hash = move || {
            let unread = |blob: &Blob| {
                let ours = shard.as_ref().is_none_or(|shard| shard.contains(&blob.digest));
                ours && !sent.contains(&blob.digest) && archive.has_blob(blob.digest)
            };
            let threads = threads.min(std::thread::available_parallelism().map_or(1, usize::from));
            archive.damaged_where(unread, threads, &|_, _| Ok(())).into_iter().next()
        };
        match tokio::task::spawn_blocking(hash).await? {
            Some(damage) => Err(damage.into()),
            None => Ok(()),
        }
    }

    /// Puts one blob into all repositories that need it: sent at most once, then mounted.
    pub(super) async fn blob(
        &self,
        step: &BlobStep,
        knowledge: Knowledge,
        source: Option<&dyn BlobSource>,
    ) -> Result<(), PushError> {
        let blob = step.blob;
        let carried = step.supply == Supply::Carried;
        if carried {
            self.progress.begin(blob.digest, blob.size, 0);
        }
        // The upload itself asks, in the same round trip.
        let asks = self.rules.asks_by_mounting && source.is_some() && knowledge == Knowledge::Current;
        let there: Vec<Option<bool>> = futures_util::stream::iter(&step.places)
            .map(|place| async move {
                match (knowledge, place.presence) {
                    (Knowledge::Current, Presence::There) => Ok(Some(true)),
                    (Knowledge::Current, Presence::Absent) => Ok(Some(false)),
                    (Knowledge::Current, Presence::Unknown) if asks => Ok(None),
                    (Knowledge::Stale, _) | (Knowledge::Current, Presence::Unknown) => {
                        // The semaphore is never closed.
                        let _slot = self.slots.acquire().await;
                        let found = self.destination.has_blob(&place.repository, blob.digest).await;
                        found.map(Some).map_err(blob_failed(blob, &place.repository))
                    }
                }
            })
            .buffered(self.jobs)
            .try_collect()
            .await?;
        let found = step.places.iter().zip(&there).find(|(_, there)| **there == Some(true));
        let mut holder = found.map(|(place, _)| &place.repository).or(step.holders.first());
        let mut passed = false;
        let mut refused: Option<&RepositoryName> = None;
        let again = source.is_none_or(BlobSource::is_repeatable);
        let mut places = step.places.iter().zip(there).peekable();
        // The first one that has the blob gives it to all others.
        while let Some((place, there)) = places.next_if(|_| holder.is_none() || !again) {
            let repository = &place.repository;
            if there == Some(true) {
                self.counters.found.fetch_add(1, Ordering::Relaxed);
            } else {
                let spent = refused.filter(|_| source.is_some_and(|source| !source.is_repeatable()));
                if let Some(refused) = spent {
                    self.failures.spread(blob.digest, refused, repository);
                    continue;
                }
                let from = holder.or(there.is_none().then_some(repository));
                let uploaded = match self.upload(blob, repository, from, source).await {
                    Ok(uploaded) => uploaded,
                    Err(error) => {
                        self.failures.note(blob.digest, repository, error)?;
                        refused = Some(repository);
                        continue;
                    }
                };
                if uploaded == Uploaded::Sent {
                    passed = true;
                    // It could not be mounted; the next one has a better place to take it from.
                    holder = Some(repository);
                }
            }
            self.saw(blob.digest, repository);
            holder.get_or_insert(repository);
        }
        let sent = futures_util::stream::iter(places)
            .map(|(place, there)| async move {
                let repository = &place.repository;
                if there == Some(true) {
                    self.counters.found.fetch_add(1, Ordering::Relaxed);
                    self.saw(blob.digest, repository);
                    return Ok(false);
                }
                match self.upload(blob, repository, holder, source).await {
                    Ok(uploaded) => {
                        self.saw(blob.digest, repository);
                        Ok(uploaded == Uploaded::Sent)
                    }
                    Err(error) => self.failures.note(blob.digest, repository, error).map(|()| false),
                }
            })
            .buffer_unordered(self.small_jobs)
            .try_fold(false, |any, sent| std::future::ready(Ok(any || sent)))
            .await?;
        passed |= sent;
        if carried {
            match (passed, self.failures.has(blob.digest)) {
                // An image without it is not done.
                (_, true) => return Ok(()),
                // What an attempt sent in vain need not have moved.
                (false, false) => self.progress.present(blob.digest, blob.size),
                (true, false) => {}
            }
            self.progress.end(blob.digest);
        }
        Ok(())
    }

    /// Puts a blob into one repository, and counts how.
    pub(super) async fn upload(
        &self,
        blob: Blob,
        repository: &RepositoryName,
        holder: Option<&RepositoryName>,
        source: Option<&dyn BlobSource>,
    ) -> Result<Uploaded, PushError> {
        let _permit = self.rate_limit.enter(repository).await;
        let slots = if blob.size > SMALL_BLOB { &self.large_slots } else { &self.slots };
        // The semaphore is never closed.
        let _slot = slots.acquire().await;
        let copy = holder.map(|holder| self.destination.blob(holder, blob));
        let carried = source.is_some();
        let Some(source) = source.or(copy.as_deref()) else {
            return Err(PushError::Gone { digest: blob.digest, repository: repository.clone() });
        };
        let uploaded = self
            .destination
            .put_blob(repository, blob, holder, source)
            .await
            .map_err(blob_failed(blob, repository))?;
        let how = match uploaded {
            Uploaded::Mounted => "mounted",
            Uploaded::Found => "found",
            Uploaded::Sent => "sent",
        };
        tracing::debug!(digest = %blob.digest, repository = %repository, bytes = blob.size, how, "blob");
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

    pub(super) fn saw(&self, blob: Digest, repository: &RepositoryName) {
        if self.rules.recheck_after.is_some() {
            lock(&self.seen).insert((blob, repository.clone()), Instant::now());
        }
    }

    /// Looks for the blobs again that were seen long ago, before a manifest names them, and sends
    /// those that are gone. To look is what keeps a Harbor's garbage collection from them.
    pub(super) async fn refresh(
        &self,
        manifest: &bundle_oci::Manifest,
        repository: &RepositoryName,
        file: Option<&Stock>,
    ) -> Result<(), PushError> {
        let Some(recheck_after) = self.rules.recheck_after else { return Ok(()) };
        for descriptor in Graph::blobs_of(manifest) {
            let blob = Blob { digest: descriptor.digest, size: descriptor.size };
            let seen = lock(&self.seen).get(&(blob.digest, repository.clone())).copied();
            if seen.is_none_or(|seen| seen.elapsed() < recheck_after) {
                continue;
            }
            let there = self.destination.has_blob(repository, blob.digest).await;
            if !there.map_err(blob_failed(blob, repository))? {
                let source = file.and_then(|file| file.blob(blob.digest, self.progress));
                let source = source.as_ref().map(|source| source as &dyn BlobSource);
                self.upload(blob, repository, None, source).await?;
            }
            self.saw(blob.digest, repository);
        }
        Ok(())
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
