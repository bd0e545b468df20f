//! Downloads of blobs from where a plan says they are, in batches that are worth a thread.
//! Takes the plan's blobs in order, gives their bytes through a channel, verified by the client.

use bundle_oci::Digest;
use bundle_registry::{Client, Download, Error};
use bytes::{Bytes, BytesMut};

use crate::{CreateError, Plan};

/// How many bytes are hashed and written at once: several of each transfer are in memory.
pub(crate) const BATCH: usize = 512 << 10;
/// How many bytes come at most with one piece of a response: hyper's buffer has 408 KiB.
const MOST_PIECE: usize = 408 << 10;

/// Begins to fetch a blob, from some byte on.
pub(crate) fn start(
    client: &Client,
    plan: &Plan,
    digest: Digest,
    size: u64,
    from: u64,
) -> Result<Download, CreateError> {
    let (registry, repository) = plan.origin(digest).ok_or(CreateError::NoOrigin(digest))?;
    let download = client.blob(registry, repository, digest, size, from);
    Ok(match plan.addresses(digest) {
        Some(addresses) => download.or_at(addresses),
        None => download,
    })
}

/// The next bytes, gathered to a batch; empty at the end.
pub(crate) async fn next_batch(download: &mut Download) -> Result<Bytes, Error> {
    let left = usize::try_from(download.left()).unwrap_or(usize::MAX);
    // A growing buffer is copied, and takes twice the memory.
    let mut batch = BytesMut::with_capacity(left.min(BATCH + MOST_PIECE));
    while batch.len() < BATCH {
        match download.next().await? {
            Some(piece) => batch.extend_from_slice(&piece),
            None => break,
        }
    }
    Ok(batch.freeze())
}
