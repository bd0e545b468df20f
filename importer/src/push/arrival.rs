//! The blobs of a pipe on their way from the thread that reads them to the tasks that send them.
//! Takes bytes in the pipe's order, gives blobs: small ones whole, so that many are sent at once,
//! others while they are read. Bounds what is in memory.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bundle_format::{Blob, BlobSink};
use bundle_oci::Digest;
use bundle_registry::{BlobSource, Progress};
use bytes::Bytes;
use futures_util::Stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Limits;
use crate::push::source::{InMemory, Once};

/// A blob that came, or that is coming.
pub(super) struct Arrival {
    pub(super) blob: Blob,
    pub(super) source: Box<dyn BlobSource>,
    /// Its part of the memory.
    pub(super) _room: OwnedSemaphorePermit,
}

/// The blobs as they come.
pub(super) struct Arrivals(Receiver<Arrival>);

/// Takes them from the pipe.
pub(super) struct Splitter {
    arrivals: Sender<Arrival>,
    wanted: HashSet<Digest>,
    /// Whether an earlier import ended early.
    kept: bool,
    progress: Arc<dyn Progress>,
    /// KiB.
    memory: Arc<Semaphore>,
    limits: Limits,
    runtime: Handle,
    current: Option<(Blob, Current)>,
}

enum Current {
    /// No task needs it, or needs it any longer; it is read on, to be verified.
    Unwanted,
    Gathered(Vec<u8>, OwnedSemaphorePermit),
    Flowing(Sender<std::io::Result<Bytes>>),
}

impl Arrivals {
    /// The sink, and the wanted blobs that pass through it. Must be called within a runtime; the sink
    /// must be used outside of its tasks. With `kept`, all that is under way is kept in memory.
    pub(super) fn new(
        wanted: HashSet<Digest>,
        kept: bool,
        progress: Arc<dyn Progress>,
        limits: &Limits,
    ) -> (Splitter, Self) {
        let (arrivals, receiver) = channel(1);
        let memory = Arc::new(Semaphore::new(kib(limits.piped_blobs) as usize));
        let (limits, runtime) = (*limits, Handle::current());
        (
            Splitter { arrivals, wanted, kept, progress, memory, limits, runtime, current: None },
            Self(receiver),
        )
    }
}

impl Stream for Arrivals {
    type Item = Arrival;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Arrival>> {
        self.0.poll_recv(context)
    }
}

impl Splitter {
    fn begin(&mut self, blob: Blob) -> std::io::Result<Current> {
        if !self.wanted.contains(&blob.digest) {
            return Ok(Current::Unwanted);
        }
        let room = self.room(blob)?;
        if blob.size <= self.limits.piped_blob {
            return Ok(Current::Gathered(Vec::with_capacity(blob.size as usize), room));
        }
        let (pieces, receiver) = channel(1);
        let (pieces_of, progress, kept) = (Mutex::new(Some(receiver)), self.progress.clone(), self.kept);
        let source = Box::new(Once { pieces: pieces_of, progress, digest: blob.digest, kept });
        self.give(Arrival { blob, source, _room: room })?;
        Ok(Current::Flowing(pieces))
    }

    /// Waits until there is memory for one more blob.
    fn room(&self, blob: Blob) -> std::io::Result<OwnedSemaphorePermit> {
        let takes = if blob.size <= self.limits.piped_blob { blob.size } else { self.limits.piped_large };
        let takes = kib(takes.min(self.limits.piped_blobs));
        let gone = self.arrivals.closed();
        self.runtime.block_on(async {
            tokio::select! {
                room = self.memory.clone().acquire_many_owned(takes) => room.map_err(|_| nobody()),
                () = gone => Err(nobody()),
            }
        })
    }

    fn give(&self, arrival: Arrival) -> std::io::Result<()> {
        self.arrivals.blocking_send(arrival).map_err(|_| nobody())
    }
}

impl BlobSink for Splitter {
    fn take(&mut self, blob: Blob, bytes: &[u8]) -> std::io::Result<()> {
        let mut current = match self.current.take() {
            Some((of, current)) if of == blob => current,
            _ => self.begin(blob)?,
        };
        match &mut current {
            Current::Unwanted => {}
            Current::Gathered(gathered, _) => gathered.extend_from_slice(bytes),
            Current::Flowing(pieces) => {
                if pieces.blocking_send(Ok(Bytes::copy_from_slice(bytes))).is_err() {
                    if self.arrivals.is_closed() {
                        return Err(nobody());
                    }
                    current = Current::Unwanted;
                }
            }
        }
        match current {
            Current::Gathered(gathered, room) if gathered.len() as u64 >= blob.size => {
                let progress = self.progress.clone();
                let source =
                    Box::new(InMemory { bytes: gathered.into(), blob, progress, told: Arc::default() });
                self.give(Arrival { blob, source, _room: room })
            }
            current => {
                self.current = Some((blob, current));
                Ok(())
            }
        }
    }
}

/// The error if no task waits for blobs any longer: the failure is reported elsewhere.
fn nobody() -> std::io::Error {
    std::io::ErrorKind::BrokenPipe.into()
}

/// At least one.
fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).max(1)
}
