//! The bytes of blobs from where a plan says they are: a registry, a web server, or this machine. Takes the
//! plan's blobs, gives their bytes in batches that are worth a thread; that they are right is for the
//! receiver to see, who may ask for them once more.

use std::io::Read;

use bundle_oci::Digest;
use bundle_registry::{Client, Download, Error, Stop};
use bytes::{Bytes, BytesMut};

use crate::local::{ContentReader, LocalCause, LocalImage};
use crate::resolve::Origin;
use crate::{FetchCause, Plan};

/// How many bytes are hashed and written at once: several of each transfer are in memory.
pub(crate) const BATCH: usize = 512 << 10;
/// How many bytes come at most with one piece of a response: hyper's buffer has 408 KiB.
const MOST_PIECE: usize = 408 << 10;

/// A blob on its way.
pub(crate) enum BlobStream {
    /// From a registry, which is asked again where a connection breaks.
    Remote(Box<Download>),
    /// From a web server, as a registry; people say which digest its file has.
    Web(Box<Download>, LocalImage),
    /// From this machine.
    Local(LocalStream),
}

/// A blob of a local source.
pub(crate) struct LocalStream {
    local: LocalImage,
    /// None while a piece is read.
    reader: Option<ContentReader>,
    digest: Digest,
    left: u64,
}

/// Begins to fetch a blob, from some byte on.
pub(crate) fn start(
    client: &Client,
    plan: &Plan,
    digest: Digest,
    size: u64,
    from: u64,
) -> Result<BlobStream, FetchCause> {
    match plan.origin(digest).ok_or(FetchCause::NoOrigin(digest))? {
        Origin::Registry(place) => {
            let download = client.blob(&place.0, &place.1, digest, size, from);
            Ok(BlobStream::Remote(Box::new(match plan.addresses(digest) {
                Some(addresses) => download.or_at(addresses),
                None => download,
            })))
        }
        Origin::Local(local) => match local.address(digest) {
            Some(address) => {
                let download = client.file_from(address, digest, size, from)?;
                Ok(BlobStream::Web(Box::new(download), local.clone()))
            }
            None => {
                let reader = local.content(digest, size)?.reader(from).map_err(|error| local.error(error))?;
                let left = size.saturating_sub(from);
                Ok(BlobStream::Local(LocalStream {
                    local: local.clone(),
                    reader: Some(reader),
                    digest,
                    left,
                }))
            }
        },
    }
}

impl BlobStream {
    /// The next bytes, gathered to a batch; empty at the end. With an error, or when it must end, those that came
    /// before. Each piece is told as it arrives.
    pub(crate) async fn next_batch(
        &mut self,
        ending: &Stop,
        told: impl Fn(u64),
    ) -> (Bytes, Option<FetchCause>) {
        let download = match self {
            Self::Remote(download) | Self::Web(download, _) => download,
            Self::Local(stream) => {
                return match ending.unless(stream.next_batch()).await {
                    Some(Ok(batch)) => {
                        told(batch.len() as u64);
                        (batch, None)
                    }
                    Some(Err(error)) => (Bytes::new(), Some(error)),
                    None => (Bytes::new(), Some(Error::Interrupted.into())),
                };
            }
        };
        let left = usize::try_from(download.left()).unwrap_or(usize::MAX);
        // A growing buffer is copied, and takes twice the memory.
        let mut batch = BytesMut::with_capacity(left.min(BATCH + MOST_PIECE));
        while batch.len() < BATCH {
            match ending.unless(download.next()).await {
                Some(Ok(Some(piece))) => {
                    told(piece.len() as u64);
                    batch.extend_from_slice(&piece);
                }
                Some(Ok(None)) => break,
                Some(Err(error)) => return (batch.freeze(), Some(error.into())),
                None => return (batch.freeze(), Some(Error::Interrupted.into())),
            }
        }
        (batch.freeze(), None)
    }

    /// Starts again from the first byte, because the bytes that came have another digest.
    pub(crate) async fn restart(&mut self, found: Digest) -> Result<(), FetchCause> {
        match self {
            Self::Remote(download) => Ok(download.restart(found).await?),
            Self::Web(download, local) => {
                let restarted = download.restart(found).await;
                restarted.map_err(|error| of_web(local, error))
            }
            // The same file gives the same bytes.
            Self::Local(_) => Err(self.wrong_content(found)),
        }
    }

    /// The error for content with another digest: for a receiver that cannot start again.
    pub(crate) fn wrong_content(&self, found: Digest) -> FetchCause {
        match self {
            Self::Remote(download) => download.wrong_content(found).into(),
            Self::Web(download, local) => of_web(local, download.wrong_content(found)),
            Self::Local(LocalStream { local, digest, .. }) => {
                local.error(LocalCause::Content { expected: *digest, found }).into()
            }
        }
    }
}

/// The error of a file's web server. Which digest the file has is said by people, who may be wrong.
fn of_web(local: &LocalImage, error: Error) -> FetchCause {
    match error {
        Error::WrongContent { expected, found, .. } => {
            local.error(LocalCause::WebContent { expected, found }).into()
        }
        error => error.into(),
    }
}

impl LocalStream {
    async fn next_batch(&mut self) -> Result<Bytes, FetchCause> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(BATCH);
        let Some(mut reader) = self.reader.take().filter(|_| length > 0) else { return Ok(Bytes::new()) };
        let task = tokio::task::spawn_blocking(move || {
            let mut batch = vec![0; length];
            let read = reader.read_exact(&mut batch);
            read.map(|()| (reader, batch))
        });
        let read = task.await.map_err(std::io::Error::other).and_then(|read| read);
        let (reader, batch) = read.map_err(|error| self.local.error(error))?;
        self.reader = Some(reader);
        self.left -= length as u64;
        Ok(batch.into())
    }
}
