//! Trusted bundles whose blobs prove themselves as they are read.
//! Takes archives; gives content by name and digest.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use bundle_oci::{Digest, Hasher};
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::buffer::{Buffer, Buffers};
use crate::catalog::Content;
use crate::medium::Reopening;
use crate::proof::{Marker, PIECE, Proof, State};
use crate::shelf::{Held, Opened, Shelf};
use crate::{Event, Limits, Note, Observer, Reopen, Source, Summary};

/// Bundles that are trusted, whose frames and manifests are right, and whose blobs prove themselves
/// as they are read.
pub struct Store {
    shelf: RwLock<Arc<Shelf>>,
    /// The number of the next bundle that is taken in.
    next: AtomicU32,
    marker: Marker,
    pub(crate) limits: Limits,
    /// Media are read by so many threads at once.
    reads: Arc<Semaphore>,
    /// Blobs are hashed by so many threads at once.
    hashing: Arc<Semaphore>,
    buffers: Arc<Buffers>,
    /// Answers that are sending content.
    pub(crate) streams: AtomicUsize,
    pub(crate) counts: Counts,
    observer: Arc<dyn Observer>,
}

/// The counts of blobs so far.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) proven: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) unreadable: AtomicU64,
}

/// Why bundles cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A delta whose base is not among the bundles.
    #[error("{name} is a delta and needs {count} blobs that none of the bundles has; the first is {first}")]
    Base {
        /// The bundle.
        name: String,
        /// How many blobs are missing.
        count: usize,
        /// One of them.
        first: Digest,
    },
    /// The system gives no random bytes.
    #[error("the system's random number generator failed")]
    Random(#[source] io::Error),
}

impl Store {
    /// A store of these bundles. Blobs are hashed when they are first asked for.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn new(
        sources: Vec<Source>,
        limits: Limits,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let marker = Marker::new().map_err(|error| StoreError::Random(io::Error::other(error)))?;
        let store = Self {
            shelf: RwLock::default(),
            next: AtomicU32::new(0),
            marker,
            limits,
            reads: Arc::new(Semaphore::new(limits.reads)),
            hashing: Arc::new(Semaphore::new(limits.reads)),
            buffers: Buffers::new(limits.in_flight / PIECE as usize),
            streams: AtomicUsize::new(0),
            counts: Counts::default(),
            observer,
        };
        let mut shelf = Shelf::default();
        for source in sources {
            let (opened, medium) = source.split();
            shelf.add(store.hold(&opened, medium), &opened);
        }
        shelf.finish();
        if let Some((held, count, first)) = shelf.lacking().next() {
            return Err(StoreError::Base { name: held.summary.name.clone(), count, first });
        }
        store.put(shelf);
        Ok(store)
    }

    /// The bundles, in the order of the arguments.
    pub fn bundles(&self) -> Vec<Summary> {
        self.shelf().bundles().iter().map(|held| held.summary.clone()).collect()
    }

    /// Notes for the user about the content that is served.
    pub fn notes(&self) -> Vec<Note> {
        self.shelf().catalog.notes().to_vec()
    }

    /// How many blobs there are, and their bytes.
    pub fn size(&self) -> (usize, u64) {
        self.shelf().catalog.size()
    }

    /// The bundles served now. A request keeps them to the end of its answer.
    pub(crate) fn shelf(&self) -> Arc<Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves this from now on. Answers that began before end with what was served then.
    pub(crate) fn put(&self, shelf: Shelf) {
        let shelf = Arc::new(shelf);
        let before =
            std::mem::replace(&mut *self.shelf.write().unwrap_or_else(PoisonError::into_inner), shelf);
        // The lock is free while the old value is dropped.
        drop(before);
    }

    /// Takes a bundle in, without serving it.
    pub(crate) fn hold(&self, opened: &Opened, medium: Box<dyn Reopen>) -> Arc<Held> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (name, reader, size) = (medium.name(), opened.archive.reader().clone(), opened.archive.size());
        let medium = Reopening::new(medium, reader, size, self.limits.again, self.observer.clone());
        Arc::new(Held::new(opened, id, name, medium))
    }

    /// Returns the proof of a blob, and starts hashing it if there is none.
    pub(crate) fn prove(self: &Arc<Self>, held: &Arc<Held>, digest: Digest, content: Content) -> Arc<Proof> {
        let proof = {
            let mut proofs = held.proofs.lock().unwrap_or_else(PoisonError::into_inner);
            proofs.entry(digest).or_insert_with(|| Arc::new(Proof::new())).clone()
        };
        if proof.take_on(self.limits.again) {
            let (store, held, task) = (self.clone(), held.clone(), proof.clone());
            tokio::spawn(async move {
                let permit = store.hashing.clone().acquire_owned().await;
                let hashed = task.clone();
                let work = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    store.hash(&held, digest, content, &hashed)
                });
                // Waiting tasks are woken for any result.
                let right = work.await.unwrap_or(false);
                task.end(if right { State::Proven } else { State::Failed(Instant::now()) });
            });
        }
        proof
    }

    /// Reads the bytes `from..until` of a blob, which lie in one piece, and compares the piece with
    /// its mark. `None` if they cannot be had.
    pub(crate) async fn read(
        self: &Arc<Self>,
        held: &Arc<Held>,
        proof: &Arc<Proof>,
        content: Content,
        from: u64,
        until: u64,
    ) -> Option<Bytes> {
        let start = from - from % PIECE;
        let wanted = (from - start) as usize..(until - start) as usize;
        let mut piece = self.buffers.take(PIECE.min(content.size() - start) as usize);
        // Content in memory needs no other thread.
        if held.medium.read_at_once(content.place, piece.as_mut(), start) {
            return self.proven(held, proof, content, start, piece, wanted);
        }
        let permit = self.reads.clone().acquire_owned().await;
        let (store, held, proof) = (self.clone(), held.clone(), proof.clone());
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            if held.medium.read(content.place, piece.as_mut(), start).is_err() {
                store.counts.unreadable.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            store.proven(&held, &proof, content, start, piece, wanted)
        });
        work.await.ok().flatten()
    }

    /// The wanted bytes of a piece, if it has its mark.
    fn proven(
        &self,
        held: &Held,
        proof: &Proof,
        content: Content,
        start: u64,
        piece: Buffer,
        wanted: std::ops::Range<usize>,
    ) -> Option<Bytes> {
        let mark = self.marker.mark(held.id, content.place.number(start), piece.as_ref());
        if proof.matches((start / PIECE) as usize, mark) {
            return Some(piece.into_bytes(wanted));
        }
        self.damaged(held, content);
        proof.doubt();
        None
    }

    /// Hashes a whole blob and marks its pieces; whether its digest is right.
    fn hash(&self, held: &Held, digest: Digest, content: Content, proof: &Proof) -> bool {
        const STEP: u64 = 8 * PIECE;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; STEP.min(content.size()) as usize];
        let mut done = 0;
        while done < content.size() {
            let step = &mut buffer[..STEP.min(content.size() - done) as usize];
            if held.medium.read(content.place, step, done).is_err() {
                self.counts.unreadable.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            hasher.update(step);
            let marks = step.chunks(PIECE as usize).enumerate().map(|(position, piece)| {
                let number = content.place.number(done + position as u64 * PIECE);
                self.marker.mark(held.id, number, piece)
            });
            proof.add(&marks.collect::<Vec<_>>());
            done += step.len() as u64;
        }
        let right = hasher.finish() == digest;
        if right {
            self.counts.proven.fetch_add(1, Ordering::Relaxed);
        } else {
            self.damaged(held, content);
        }
        right
    }

    /// Takes note that a medium gives other bytes than the statement promises.
    fn damaged(&self, held: &Held, content: Content) {
        self.counts.damaged.fetch_add(1, Ordering::Relaxed);
        held.medium.doubt();
        self.observer.event(&Event::Damaged { bundle: &held.summary.name, byte: content.place.number(0) });
    }
}
