//! The bytes of a bundle's manifests on their way to a registry: read from the file when one is pushed, or kept
//! from a pipe. Takes digests; gives bytes that were found right, only so many of them at once.

use std::collections::HashMap;
use std::sync::Arc;

use bundle_format::{Archive, Medium};
use bundle_oci::{Digest, Manifest};
use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::PushError;

/// How many bytes of manifests are in memory at once where they can be had again: four of the largest. A bundle
/// may have any number of them.
const AT_ONCE: usize = 4 * Manifest::LARGEST;

/// Where the bytes of manifests are.
pub(crate) struct ManifestBytes {
    source: Source,
    /// Bytes that may be taken.
    room: Semaphore,
}

enum Source {
    File(Arc<Archive<Medium>>),
    Kept(HashMap<Digest, Bytes>),
}

/// A manifest's bytes, and their part of the memory.
pub(crate) struct Held<'a> {
    pub(crate) bytes: Bytes,
    _room: Option<SemaphorePermit<'a>>,
}

impl std::fmt::Debug for ManifestBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ManifestBytes")
    }
}

impl ManifestBytes {
    /// Those of a file.
    pub(crate) fn of_file(archive: Arc<Archive<Medium>>) -> Self {
        Self { source: Source::File(archive), room: Semaphore::new(AT_ONCE) }
    }

    /// Those of a pipe, which were kept.
    pub(crate) fn kept(manifests: HashMap<Digest, Bytes>) -> Self {
        Self { source: Source::Kept(manifests), room: Semaphore::new(AT_ONCE) }
    }

    /// The bytes of a manifest, when there is room for them; none if it is not in the bundle.
    ///
    /// # Errors
    /// The file cannot be read, or has other bytes than when it was opened.
    pub(crate) async fn of(&self, digest: Digest) -> Result<Option<Held<'_>>, PushError> {
        let archive = match &self.source {
            Source::Kept(kept) => {
                return Ok(kept.get(&digest).cloned().map(|bytes| Held { bytes, _room: None }));
            }
            Source::File(archive) => archive,
        };
        let Some(blob) = archive.blob(digest) else { return Ok(None) };
        // The walk of the manifests refuses larger ones, and the semaphore is never closed.
        let takes = u32::try_from(blob.size.min(AT_ONCE as u64)).unwrap_or(u32::MAX);
        let room = self.room.acquire_many(takes).await.ok();
        let archive = archive.clone();
        let read = tokio::task::spawn_blocking(move || archive.read_blob(digest)).await?;
        Ok(read.transpose()?.map(|bytes| Held { bytes: bytes.into(), _room: room }))
    }
}
