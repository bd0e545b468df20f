//! Where the manifests and small blobs of an image come from: the registry of its reference, or a local source.
//! Takes a reference and what is wanted of it; gives the same answers for both, so that resolving knows no
//! difference.

use bundle_oci::{Digest, Reference, Tag};
use bundle_registry::{Client, FetchedManifest, Name, ReferrerDescriptor, ReferrerList};
use bytes::Bytes;

use super::content::whole_blob;
use super::error::ResolveCause;
use super::resolver::Resolver;
use crate::local::{LocalCause, LocalImage};

/// The source of one reference.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Registry(&'a Client),
    Local(&'a LocalImage),
}

impl Resolver<'_> {
    /// The source of a reference.
    pub(crate) fn source(&self, reference: &Reference) -> Source<'_> {
        self.locals.get(reference).map_or(Source::Registry(self.client), |local| Source::Local(local))
    }
}

impl Source<'_> {
    /// A manifest, of at most `largest` bytes if that is known.
    pub(super) async fn manifest(
        self,
        reference: &Reference,
        name: &Name,
        largest: Option<usize>,
    ) -> Result<FetchedManifest, ResolveCause> {
        let (registry, repository) = (reference.registry(), reference.repository());
        match (self, largest) {
            (Self::Registry(client), Some(largest)) => {
                Ok(client.manifest_within(registry, repository, name, largest).await?)
            }
            (Self::Registry(client), None) => Ok(client.manifest(registry, repository, name).await?),
            (Self::Local(local), _) => {
                let digest = match name {
                    Name::Digest(digest) => *digest,
                    Name::Tag(tag) => local.tagged(tag).unwrap_or_else(|| local.root()),
                };
                let local = local.clone();
                let task = tokio::task::spawn_blocking(move || local.manifest(digest));
                match task.await {
                    Ok(read) => Ok(read?),
                    Err(error) => Err(self.ended(error)),
                }
            }
        }
    }

    /// A blob that fits into memory.
    pub(crate) async fn small(
        self,
        reference: &Reference,
        digest: Digest,
        size: u64,
    ) -> Result<Bytes, ResolveCause> {
        match self {
            Self::Registry(client) => Ok(whole_blob(client, reference, digest, size).await?),
            Self::Local(local) => {
                let local = local.clone();
                let task = tokio::task::spawn_blocking(move || local.small(digest, size));
                match task.await {
                    Ok(read) => Ok(read?),
                    Err(error) => Err(self.ended(error)),
                }
            }
        }
    }

    /// What the source lists as attached to a manifest.
    pub(crate) async fn referrers(
        self,
        reference: &Reference,
        subject: Digest,
    ) -> Result<ReferrerList, ResolveCause> {
        match self {
            Self::Registry(client) => {
                Ok(client.referrers(reference.registry(), reference.repository(), subject).await?)
            }
            Self::Local(local) => {
                let found = local.referrers(subject);
                let fallback = format!("sha256-{}", subject.hex()).parse();
                if found.is_empty() && fallback.is_ok_and(|tag| local.tagged(&tag).is_some()) {
                    return Ok(ReferrerList::Unsupported);
                }
                let of = |digest| ReferrerDescriptor { media_type: None, digest, size: None };
                Ok(ReferrerList::Listed(found.into_iter().map(of).collect()))
            }
        }
    }

    /// Whether a local source has a manifest of this tag; `None` for a registry, which has to be asked.
    pub(crate) fn knows(self, tag: &Tag) -> Option<bool> {
        match self {
            Self::Registry(_) => None,
            Self::Local(local) => Some(local.tagged(tag).is_some()),
        }
    }

    fn ended(self, error: tokio::task::JoinError) -> ResolveCause {
        let cause = LocalCause::Read(std::io::Error::other(error));
        match self {
            Self::Local(local) => local.error(cause).into(),
            Self::Registry(_) => cause.of(&"local source").into(),
        }
    }
}
