//! Harbor's rows for blobs, manifests among them: what quotas and garbage collection go by.
//! A row outlives its use until the garbage collection takes it, as Harbor's does.

use super::answer::Refusal;
use super::clock::Time;
use super::state::State;

/// Garbage collection leaves what was touched in the last two hours (`GC_TIME_WINDOW_HOURS`).
pub(super) const GC_WINDOW: i64 = 2 * 3600;

/// Harbor's row for a blob (`pkg/blob/models`).
#[derive(Clone, Debug)]
pub(super) struct BlobRow {
    /// The size that the quota counts: the `Content-Length` of the last `PUT`, right or wrong.
    pub(super) size: u64,
    pub(super) content_type: String,
    pub(super) status: BlobStatus,
    pub(super) updated: Time,
}

/// Where garbage collection is with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobStatus {
    /// In use, or too young to be collected.
    None,
    /// Marked.
    Delete,
    /// Being deleted; treated as absent.
    Deleting,
    /// Could not be deleted; treated as absent until it is pushed again.
    DeleteFailed,
}

impl State {
    /// A `HEAD` of a blob: Harbor's core looks at its database first, which knows blobs by digest alone, and
    /// keeps the blob from being collected (`middleware/blob/head_blob.go`).
    pub(super) fn touch_blob(&mut self, digest: &str) -> Result<(), Refusal> {
        let Some(row) = self.blobs.get(digest) else {
            return Err(Refusal::not_found(format!("blob {digest} not found")));
        };
        match row.status {
            BlobStatus::None | BlobStatus::Delete => self.probe_blob(digest),
            BlobStatus::Deleting => {
                Err(Refusal::not_found("the asking blob is in GC, mark it as non existing"))
            }
            BlobStatus::DeleteFailed => {
                Err(Refusal::not_found("the asking blob is delete failed, mark it as non existing"))
            }
        }
    }

    /// Looks at a blob before something is made of it: one that is about to be collected is kept, and one that
    /// is being collected is not there (`middleware/blob probeBlob`).
    pub(super) fn probe_blob(&mut self, digest: &str) -> Result<(), Refusal> {
        let now = self.now();
        let Some(row) = self.blobs.get_mut(digest) else { return Ok(()) };
        if row.status == BlobStatus::Deleting && row.updated.plus_seconds(GC_WINDOW) >= now {
            return Err(Refusal::not_found("the asking blob is in GC, mark it as non existing"));
        }
        row.status = BlobStatus::None;
        row.updated = now;
        Ok(())
    }

    /// A row for the blob; one that is there keeps its size, right or wrong.
    pub(super) fn ensure_blob(&mut self, digest: &str, content_type: &str, size: u64) {
        let now = self.now();
        self.blobs.entry(digest.to_owned()).or_insert_with(|| BlobRow {
            size,
            content_type: content_type.to_owned(),
            status: BlobStatus::None,
            updated: now,
        });
    }

    /// Makes the blob one of the project's.
    pub(super) fn associate(&mut self, repository: &str, digest: &str) -> Result<(), Refusal> {
        let now = self.now();
        self.project_of_mut(repository)?.blobs.entry(digest.to_owned()).or_insert(now);
        Ok(())
    }
}
