//! Content that is parsed while references are resolved: manifests, configs and small blobs.
//! Takes bytes or a client; gives a [`Manifest`], the platform of a config, or the bytes of a blob.

use bundle_oci::{ConfigPlatform, Digest, Manifest, Platform, Reference};
use bundle_registry::{Client, Error, FetchedManifest};
use bytes::Bytes;

use super::error::ResolveCause;

/// The manifest in bytes that a registry served.
pub(crate) fn parse(fetched: &FetchedManifest) -> Result<Manifest, ResolveCause> {
    Manifest::parse(&fetched.bytes, &fetched.media_type)
        .map_err(|source| ResolveCause::Manifest { digest: fetched.digest, source })
}

/// A blob that fits into memory.
pub(crate) async fn whole_blob(
    client: &Client,
    reference: &Reference,
    digest: Digest,
    size: u64,
) -> Result<Bytes, Error> {
    if let Some(known) = client.kept(digest, size) {
        return Ok(known);
    }
    let mut download = client.blob(reference.registry(), reference.repository(), digest, size, 0);
    loop {
        let mut bytes = Vec::new();
        while let Some(piece) = download.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let found = Digest::of(&bytes);
        if found == digest {
            client.keep(digest, &bytes);
            return Ok(bytes.into_boxed_slice().into());
        }
        download.restart(found).await?;
    }
}

/// The platform that an image's config names (image-spec, config.md §Properties).
pub(crate) fn platform_of(config: &[u8]) -> Option<Platform> {
    ConfigPlatform::read(config).ok().flatten().map(|found| found.platform().clone())
}
