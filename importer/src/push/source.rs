//! Where a blob's bytes come from on their way to the registry: the file, a pipe, memory, or another
//! repository of the same registry.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bundle_format::{Archive, Blob, BlobSink, Entry, EntryName, Medium};
use bundle_oci::{Digest, Hasher, Registry, RepositoryName};
use bundle_registry::{BlobSource, Client, Progress};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc::Receiver;

/// How much is read and sent at once, in bytes.
const PIECE: usize = 1 << 20;

/// A blob in a file. Its last piece is only given away once the whole was found right.
pub(crate) struct Stored {
    pub(crate) archive: Arc<Archive<Medium>>,
    pub(crate) entry: Entry,
    pub(crate) digest: Digest,
    pub(crate) progress: Arc<dyn Progress>,
    /// The bytes that were told of since it was opened last.
    pub(crate) told: Arc<AtomicU64>,
}

impl BlobSource for Stored {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let (archive, entry, digest, progress) =
            (self.archive.clone(), self.entry, self.digest, self.progress.clone());
        let told = self.told.clone();
        let in_vain = told.swap(0, Ordering::Relaxed);
        if in_vain > 0 {
            progress.rewind(digest, in_vain);
        }
        let pieces = futures_util::stream::try_unfold((0, Hasher::new()), move |(done, mut hasher)| {
            let (archive, progress, told) = (archive.clone(), progress.clone(), told.clone());
            async move {
                if done == entry.size {
                    return Ok(None);
                }
                let length = (entry.size - done).min(PIECE as u64);
                let reading = archive.clone();
                let read = move || {
                    let mut piece = vec![0; length as usize];
                    bundle_format::ReadAt::read_exact_at(reading.reader(), &mut piece, entry.offset + done)?;
                    hasher.update(&piece);
                    Ok::<_, std::io::Error>((piece, hasher))
                };
                let (piece, hasher) =
                    tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)??;
                if done + length == entry.size && hasher.clone().finish() != digest {
                    return Err(std::io::Error::other(archive.damaged(&entry)));
                }
                told.fetch_add(length, Ordering::Relaxed);
                progress.advance(digest, length);
                Ok(Some((Bytes::from(piece), (done + length, hasher))))
            }
        });
        Some(pieces.boxed())
    }
}

/// A blob that was kept.
pub(crate) struct Memory(pub(crate) Bytes);

impl BlobSource for Memory {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let bytes = self.0.clone();
        Some(futures_util::stream::once(async move { Ok(bytes) }).boxed())
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
pub(crate) struct Once(
    pub(crate) Mutex<Option<Receiver<std::io::Result<Bytes>>>>,
    pub(crate) Arc<dyn Progress>,
    pub(crate) Digest,
);

impl BlobSource for Once {
    fn is_repeatable(&self) -> bool {
        false
    }

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
pub(crate) struct Forward(pub(crate) tokio::sync::mpsc::Sender<(Blob, Bytes)>);

impl BlobSink for Forward {
    fn take(&mut self, blob: Blob, bytes: &[u8]) -> std::io::Result<()> {
        let piece = (blob, Bytes::copy_from_slice(bytes));
        self.0.blocking_send(piece).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

/// An archive, and where in it each blob lies.
pub(crate) struct Stock {
    pub(crate) archive: Arc<Archive<Medium>>,
    pub(crate) entries: HashMap<Digest, Entry>,
}

impl Stock {
    pub(crate) fn new(archive: Archive<Medium>) -> Self {
        let entries = archive.layout().blobs().iter().filter_map(|entry| match entry.name {
            EntryName::Blob(digest) => Some((digest, *entry)),
            _ => None,
        });
        Self { entries: entries.collect(), archive: Arc::new(archive) }
    }

    /// The blob, if all of it is there.
    pub(crate) fn blob(&self, digest: Digest, progress: &Arc<dyn Progress>) -> Option<Stored> {
        let entry = *self.entries.get(&digest).filter(|entry| self.archive.has(entry))?;
        let told = Arc::default();
        Some(Stored { archive: self.archive.clone(), entry, digest, progress: progress.clone(), told })
    }
}
