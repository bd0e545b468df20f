//! Where a blob's bytes come from on their way to the registry: the file, a pipe, memory, or another
//! repository of the same registry.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bundle_format::{Archive, Blob, Medium};
use bundle_oci::{Digest, Registry, RepositoryName};
use bundle_registry::{BlobSource, Client, Progress};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc::Receiver;

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 20;
/// How much is given to a connection at once, in bytes: what is counted as it is given is no further ahead of what
/// has gone.
const SLICE: usize = 64 << 10;

/// Slices of what was read.
fn slices(piece: std::io::Result<Bytes>) -> impl Stream<Item = std::io::Result<Bytes>> {
    let mut rest = Some(piece);
    futures_util::stream::iter(std::iter::from_fn(move || match rest.take()? {
        Ok(mut bytes) => {
            let slice = bytes.split_to(bytes.len().min(SLICE));
            rest = (!bytes.is_empty()).then_some(Ok(bytes));
            Some(Ok(slice))
        }
        Err(error) => Some(Err(error)),
    }))
}

/// A blob in a file. Its last piece is only given away once the whole was found right.
pub(crate) struct Stored {
    pub(crate) archive: Arc<Archive<Medium>>,
    pub(crate) blob: Blob,
    pub(crate) progress: Arc<dyn Progress>,
    /// The bytes reported since it was opened last.
    pub(crate) told: Arc<AtomicU64>,
}

impl BlobSource for Stored {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let (Blob { digest, size }, progress) = (self.blob, self.progress.clone());
        let reader = self.archive.open_blob(digest)?;
        let told = self.told.clone();
        let in_vain = told.swap(0, Ordering::Relaxed);
        if in_vain > 0 {
            progress.rewind(digest, in_vain);
        }
        let pieces = futures_util::stream::try_unfold((0, reader), move |(done, mut reader)| async move {
            if done == size && size > 0 {
                return Ok(None);
            }
            let read = move || {
                let mut piece = vec![0; (size - done).min(PIECE as u64) as usize];
                let read = reader.next(&mut piece);
                read.map(|_| (piece, reader)).map_err(std::io::Error::other)
            };
            let (piece, reader) =
                tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)??;
            let length = piece.len() as u64;
            if length == 0 {
                return Ok(None);
            }
            Ok(Some((Bytes::from(piece), (done + length, reader))))
        });
        let count = move |slice: &std::io::Result<Bytes>| {
            if let Ok(bytes) = slice {
                told.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                progress.advance(digest, bytes.len() as u64);
            }
        };
        Some(pieces.flat_map(slices).inspect(count).boxed())
    }
}

/// A blob that is in memory.
pub(crate) struct InMemory {
    pub(crate) bytes: Bytes,
    pub(crate) blob: Blob,
    pub(crate) progress: Arc<dyn Progress>,
    /// The bytes reported since it was opened last.
    pub(crate) told: Arc<AtomicU64>,
}

impl BlobSource for InMemory {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let (bytes, digest, progress) = (self.bytes.clone(), self.blob.digest, self.progress.clone());
        let told = self.told.clone();
        let in_vain = told.swap(0, Ordering::Relaxed);
        if in_vain > 0 {
            progress.rewind(digest, in_vain);
        }
        let count = move |slice: &std::io::Result<Bytes>| {
            if let Ok(bytes) = slice {
                told.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                progress.advance(digest, bytes.len() as u64);
            }
        };
        Some(slices(Ok(bytes)).inspect(count).boxed())
    }
}

/// A blob that a delta leaves out, taken from where the registry has it: for registries that do not
/// mount, and accounts that may not. The registry itself checks what it gets.
pub(crate) struct Copied {
    pub(crate) client: Client,
    pub(crate) registry: Registry,
    pub(crate) holder: RepositoryName,
    pub(crate) blob: Blob,
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
pub(crate) struct Once {
    pub(crate) pieces: Mutex<Option<Receiver<std::io::Result<Bytes>>>>,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) digest: Digest,
    /// Whether all that is under way is kept, because an earlier import ended early.
    pub(crate) kept: bool,
}

impl BlobSource for Once {
    fn is_repeatable(&self) -> bool {
        false
    }

    fn is_kept(&self) -> bool {
        self.kept
    }

    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let receiver = self.pieces.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()?;
        let (progress, digest) = (self.progress.clone(), self.digest);
        let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        Some(
            pieces
                .flat_map(slices)
                .inspect(move |piece| {
                    if let Ok(bytes) = piece {
                        progress.advance(digest, bytes.len() as u64);
                    }
                })
                .boxed(),
        )
    }
}

/// An archive whose blobs are sent.
pub(crate) struct Stock(pub(crate) Arc<Archive<Medium>>);

impl Stock {
    /// The blob, if all of it can be read.
    pub(crate) fn blob(&self, digest: Digest, progress: &Arc<dyn Progress>) -> Option<Stored> {
        let blob = self.0.blob(digest).filter(|_| self.0.has_blob(digest))?;
        Some(Stored { archive: self.0.clone(), blob, progress: progress.clone(), told: Arc::default() })
    }
}
