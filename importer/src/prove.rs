//! Reads back what a receipt is for: manifests from each artifact on, then all else that it consists of, each
//! digest once. Takes a destination and a receipt; holds in memory only the manifests in transit.

use std::collections::{HashMap, HashSet};

use bundle_format::{Blob, Delivered, Receipt, Target};
use bundle_oci::{Digest, Hasher, Manifest, ManifestError, RepositoryName};
use bundle_registry::{Error, Name, Progress};
use futures_util::{StreamExt, TryStreamExt};

use crate::Destination;

/// How often wrong bytes are read again: a proxy may have damaged them on the way.
const ATTEMPTS: usize = 2;

/// Why a registry does not have what it says.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Other bytes than those of the digest.
    #[error("{target} is damaged in the registry: {digest} was asked for, and {found} came")]
    Wrong {
        /// The artifact.
        target: String,
        /// The digest asked for.
        digest: Digest,
        /// The answer.
        found: String,
    },
    /// A manifest that is what its digest says, and cannot be read.
    #[error("{target}: the manifest {digest} cannot be used")]
    Manifest {
        /// The artifact.
        target: String,
        /// The manifest.
        digest: Digest,
        /// The fault.
        source: ManifestError,
    },
    /// The registry could not be asked.
    #[error("{target}: {digest} cannot be read back")]
    Registry {
        /// The artifact.
        target: String,
        /// The digest asked for.
        digest: Digest,
        /// Why not.
        source: Error,
    },
}

/// Reads all that is in place by a receipt back from a destination, and hashes it. One digest is read once, from
/// the first repository that the receipt names for it. Gives the targets of the artifacts that could not be read,
/// because a policy of the registry holds them back.
///
/// # Errors
/// The first [`ProveError`].
pub async fn prove(
    destination: &dyn Destination,
    receipt: &Receipt,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<HashSet<Target>, ProveError> {
    let in_place: Vec<&Delivered> =
        receipt.artifacts.iter().filter(|artifact| artifact.outcome.is_in_place()).collect();
    let bytes: u64 = receipt.blobs.iter().map(|blob| blob.size).sum();
    progress.note(&format!("reading back {} blobs of {bytes} bytes", receipt.blobs.len()));
    progress.stage("proving", bytes);
    let jobs = jobs.max(1);
    let mut manifests: HashSet<Digest> = HashSet::new();
    let mut held: HashSet<Digest> = HashSet::new();
    let mut level: Vec<(&Delivered, Digest)> =
        in_place.iter().map(|artifact| (*artifact, artifact.digest)).collect();
    while !level.is_empty() {
        level.retain(|(_, digest)| manifests.insert(*digest));
        let below: Vec<Result<Vec<(&Delivered, Digest)>, Digest>> =
            futures_util::stream::iter(std::mem::take(&mut level))
                .map(|(artifact, digest)| async move {
                    let children = children(destination, artifact, digest).await?;
                    let below = |all: Vec<Digest>| all.into_iter().map(|child| (artifact, child)).collect();
                    Ok(children.map(below).ok_or(digest))
                })
                .buffer_unordered(jobs)
                .try_collect()
                .await?;
        for found in below {
            match found {
                Ok(below) => level.extend(below),
                Err(digest) => drop(held.insert(digest)),
            }
        }
    }
    let mut blobs: HashMap<Digest, (&Delivered, Blob)> = HashMap::new();
    let mut unread = HashSet::new();
    for artifact in in_place {
        let own: Vec<&Blob> =
            artifact.blobs.iter().filter_map(|&position| receipt.blobs.get(position as usize)).collect();
        // The content below an unreadable manifest is unknown.
        if own.iter().any(|blob| held.contains(&blob.digest)) {
            unread.insert(artifact.target.clone());
            continue;
        }
        for blob in own.into_iter().filter(|blob| !manifests.contains(&blob.digest)) {
            blobs.entry(blob.digest).or_insert((artifact, *blob));
        }
    }
    futures_util::stream::iter(blobs.into_values())
        .map(|(artifact, blob)| read_back(destination, artifact, blob, progress))
        .buffer_unordered(jobs)
        .try_collect::<()>()
        .await?;
    for target in &unread {
        progress.note(&format!("{target} is held back by a policy of the registry and was not read back"));
    }
    Ok(unread)
}

fn repository(destination: &dyn Destination, artifact: &Delivered) -> Result<RepositoryName, ProveError> {
    let failed = |source| failed(artifact, artifact.digest, source);
    destination.repository(&artifact.target).map_err(failed)
}

/// The manifests that a manifest lists, which has the bytes of its digest; none if a policy keeps everybody from
/// reading it (Harbor's "prevent vulnerable images from running" answers 412, src/server/middleware/vulnerable).
async fn children(
    destination: &dyn Destination,
    artifact: &Delivered,
    digest: Digest,
) -> Result<Option<Vec<Digest>>, ProveError> {
    let repository = repository(destination, artifact)?;
    let mut attempts = 0;
    let fetched = loop {
        attempts += 1;
        match destination.manifest(&repository, &Name::Digest(digest)).await {
            Err(Error::WrongContent { .. }) if attempts < ATTEMPTS => {}
            Err(error) if error.status() == Some(412) => return Ok(None),
            fetched => break fetched.map_err(|source| failed(artifact, digest, source))?,
        }
    };
    let manifest = Manifest::parse(&fetched.bytes, &fetched.media_type)
        .map_err(|source| ProveError::Manifest { target: artifact.target.to_string(), digest, source })?;
    Ok(Some(match manifest {
        Manifest::Index(index) => index.children.into_iter().map(|child| child.descriptor.digest).collect(),
        Manifest::Image(_) => Vec::new(),
    }))
}

/// Reads a blob to its end, and a second time where other bytes came.
async fn read_back(
    destination: &dyn Destination,
    artifact: &Delivered,
    blob: Blob,
    progress: &dyn Progress,
) -> Result<(), ProveError> {
    let repository = repository(destination, artifact)?;
    let source = destination.blob(&repository, blob);
    let mut found = String::new();
    progress.begin(blob.digest, blob.size, 0);
    for _ in 0..ATTEMPTS {
        let Some(mut pieces) = source.open() else { break };
        let (mut hasher, mut size) = (Hasher::new(), 0_u64);
        // Nothing is read beyond the size that was signed for.
        while size <= blob.size
            && let Some(piece) = pieces.next().await
        {
            let piece = piece.map_err(|error| failed(artifact, blob.digest, registry_error(error)))?;
            size = size.saturating_add(piece.len() as u64);
            hasher.update(&piece);
            progress.advance(blob.digest, piece.len() as u64);
        }
        let came = hasher.finish();
        if size == blob.size && came == blob.digest {
            progress.end(blob.digest);
            return Ok(());
        }
        progress.rewind(blob.digest, size);
        found = if size > blob.size { "more bytes".to_owned() } else { came.to_string() };
    }
    Err(ProveError::Wrong { target: artifact.target.to_string(), digest: blob.digest, found })
}

/// The cause of a failed stream of a registry's bytes.
fn registry_error(error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::Misbehaved { host: "the registry".to_owned(), what: error.to_string() },
    }
}

fn failed(artifact: &Delivered, digest: Digest, source: Error) -> ProveError {
    let target = artifact.target.to_string();
    match source {
        Error::WrongContent { found, .. } => ProveError::Wrong { target, digest, found: found.to_string() },
        source => ProveError::Registry { target, digest, source },
    }
}
