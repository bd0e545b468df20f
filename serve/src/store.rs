//! Trusted bundles whose blobs prove themselves as they are read.
//! Takes archives; gives content by name and digest.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bundle_format::{Archive, Graph, Layer, Sequence};
use bundle_oci::{Digest, Hasher};
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::buffer::{Buffer, Buffers};
use crate::catalog::{Addition, Catalog, Content};
use crate::medium::Reopening;
use crate::proof::{Marker, PIECE, Proof, State};
use crate::{Event, Limits, Note, Observer, Reopen};

/// Bundles that are trusted, whose frames and manifests are right, and whose blobs prove themselves
/// as they are read.
pub struct Store {
    pub(crate) catalog: Catalog,
    bundles: Vec<Held>,
    proofs: Mutex<HashMap<Digest, Arc<Proof>>>,
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

struct Held {
    medium: Reopening,
    summary: Summary,
}

/// One bundle of a store.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its name for people.
    pub name: String,
    /// The digest of its statement.
    pub digest: Digest,
    /// The names of the keys that signed it.
    pub signers: Vec<String>,
    /// Its stream and its place there.
    pub stream: String,
    /// Its place in the stream.
    pub sequence: Sequence,
    /// The number of artifacts that it delivers.
    pub artifacts: usize,
}

/// The counts of blobs so far.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) proven: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) unreadable: AtomicU64,
}

/// A trusted bundle whose frame and manifests are right, on its way into a [`Store`].
pub struct Source {
    /// The bundle. Opening it has proven its frame.
    pub archive: Archive<Arc<dyn Layer>>,
    /// The graph of its manifests.
    pub graph: Graph,
    /// Where to look for its bytes when they cannot be read any more.
    pub medium: Box<dyn Reopen>,
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
        let additions: Vec<_> = sources
            .iter()
            .map(|Source { archive, graph, .. }| Addition {
                trusted: archive.trusted(),
                places: archive.places_of_blobs().collect(),
                graph,
            })
            .collect();
        let catalog = Catalog::new(&additions);
        for Source { archive, medium, .. } in &sources {
            let absent = catalog.absent(archive.statement().requires.iter().map(|blob| blob.digest));
            if let Some(&first) = absent.first() {
                return Err(StoreError::Base { name: medium.name(), count: absent.len(), first });
            }
        }
        let marker = Marker::new().map_err(|error| StoreError::Random(io::Error::other(error)))?;
        Ok(Self {
            catalog,
            bundles: sources.into_iter().map(|source| Held::new(source, &limits, &observer)).collect(),
            proofs: Mutex::default(),
            marker,
            limits,
            reads: Arc::new(Semaphore::new(limits.reads)),
            hashing: Arc::new(Semaphore::new(limits.reads)),
            buffers: Buffers::new(limits.in_flight / PIECE as usize),
            streams: AtomicUsize::new(0),
            counts: Counts::default(),
            observer,
        })
    }

    /// The bundles, in the order of the arguments.
    pub fn bundles(&self) -> impl Iterator<Item = &Summary> {
        self.bundles.iter().map(|held| &held.summary)
    }

    /// Notes for the user about the content that is served.
    pub fn notes(&self) -> &[Note] {
        self.catalog.notes()
    }

    /// How many blobs there are, and their bytes.
    pub fn size(&self) -> (usize, u64) {
        self.catalog.size()
    }

    /// Whether each bundle's medium is there, with the bundle.
    pub(crate) fn health(&self) -> impl Iterator<Item = (&Summary, bool)> {
        self.bundles.iter().map(|held| (&held.summary, held.medium.is_good()))
    }

    /// Returns the proof of a blob, and starts hashing it if there is none.
    pub(crate) fn prove(self: &Arc<Self>, digest: Digest, content: Content) -> Arc<Proof> {
        let proof = {
            let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
            proofs.entry(digest).or_insert_with(|| Arc::new(Proof::new())).clone()
        };
        if proof.take_on(self.limits.again) {
            let (store, task) = (self.clone(), proof.clone());
            tokio::spawn(async move {
                let permit = store.hashing.clone().acquire_owned().await;
                let hashed = task.clone();
                let work = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    store.hash(digest, content, &hashed)
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
        proof: &Arc<Proof>,
        content: Content,
        from: u64,
        until: u64,
    ) -> Option<Bytes> {
        let medium = &self.bundles.get(content.bundle as usize)?.medium;
        let start = from - from % PIECE;
        let wanted = (from - start) as usize..(until - start) as usize;
        let mut piece = self.buffers.take(PIECE.min(content.size() - start) as usize);
        // Content in memory needs no other thread.
        if medium.read_at_once(content.place, piece.as_mut(), start) {
            return self.proven(proof, content, start, piece, wanted);
        }
        let permit = self.reads.clone().acquire_owned().await;
        let (store, proof) = (self.clone(), proof.clone());
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let medium = &store.bundles.get(content.bundle as usize)?.medium;
            if medium.read(content.place, piece.as_mut(), start).is_err() {
                store.counts.unreadable.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            store.proven(&proof, content, start, piece, wanted)
        });
        work.await.ok().flatten()
    }

    /// The wanted bytes of a piece, if it has its mark.
    fn proven(
        &self,
        proof: &Proof,
        content: Content,
        start: u64,
        piece: Buffer,
        wanted: std::ops::Range<usize>,
    ) -> Option<Bytes> {
        let mark = self.marker.mark(content.bundle, content.place.number(start), piece.as_ref());
        if proof.matches((start / PIECE) as usize, mark) {
            return Some(piece.into_bytes(wanted));
        }
        self.damaged(content);
        proof.doubt();
        None
    }

    /// Hashes a whole blob and marks its pieces; whether its digest is right.
    fn hash(&self, digest: Digest, content: Content, proof: &Proof) -> bool {
        const STEP: u64 = 8 * PIECE;
        let Some(held) = self.bundles.get(content.bundle as usize) else {
            return false;
        };
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
                self.marker.mark(content.bundle, number, piece)
            });
            proof.add(&marks.collect::<Vec<_>>());
            done += step.len() as u64;
        }
        let right = hasher.finish() == digest;
        if right {
            self.counts.proven.fetch_add(1, Ordering::Relaxed);
        } else {
            self.damaged(content);
        }
        right
    }

    /// Takes note that a medium gives other bytes than the statement promises.
    fn damaged(&self, content: Content) {
        self.counts.damaged.fetch_add(1, Ordering::Relaxed);
        if let Some(held) = self.bundles.get(content.bundle as usize) {
            held.medium.doubt();
            self.observer
                .event(&Event::Damaged { bundle: &held.summary.name, byte: content.place.number(0) });
        }
    }
}

impl Held {
    fn new(source: Source, limits: &Limits, observer: &Arc<dyn Observer>) -> Self {
        let Source { archive, medium, .. } = source;
        let statement = archive.statement();
        let summary = Summary {
            name: medium.name(),
            digest: archive.trusted().digest(),
            signers: archive.trusted().signers().to_vec(),
            stream: statement.stream.to_string(),
            sequence: statement.sequence,
            artifacts: statement.artifacts.len(),
        };
        let (reader, size) = (archive.reader().clone(), archive.size());
        let medium = Reopening::new(medium, reader, size, limits.again, observer.clone());
        Self { medium, summary }
    }
}
