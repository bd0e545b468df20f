//! A local source that was opened: its images, and where each of their blobs is. Takes digests; gives bytes,
//! which are checked where they are small and for the receiver to check where they are layers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bundle_oci::{Digest, Manifest, MediaType, Reference, Tag};
use bundle_registry::FetchedManifest;
use bytes::Bytes;

use super::content::Content;
use super::error::{LocalCause, LocalError};
use super::tree::Tree;

/// A local source that was opened.
#[derive(Debug)]
pub(crate) struct LocalStore {
    /// Its name in messages.
    pub(super) name: String,
    /// Where blobs are found by their digests.
    pub(super) blobs: Blobs,
    /// What is not found by its digest: documents that were made, and layers with other names.
    pub(super) known: HashMap<Digest, Content>,
    /// Content that is fetched from a web server.
    pub(super) web: HashMap<Digest, String>,
    pub(super) images: Vec<Found>,
    /// What is attached to a manifest.
    pub(super) referrers: HashMap<Digest, Vec<Digest>>,
    /// Manifests by their tags, such as cosign's.
    pub(super) tags: HashMap<Tag, Digest>,
}

/// How blobs lie in a source.
#[derive(Debug)]
pub(super) enum Blobs {
    /// `blobs/sha256/HEX` (image-spec, image-layout.md).
    Layout(Tree),
    /// `HEX`, and manifests as `HEX.manifest.json` (containers/image, directory/).
    Plain(Tree),
    /// None but those that are known.
    Nowhere,
}

/// An image of a source.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its names; a source may give none.
    pub(super) names: Vec<Reference>,
    /// Its tag, if the source names only that.
    pub(super) tag: Option<Tag>,
    pub(super) root: Digest,
    pub(super) media_type: MediaType,
}

impl LocalStore {
    /// An empty one of this name.
    pub(super) fn new(name: String, blobs: Blobs) -> Self {
        Self {
            name,
            blobs,
            known: HashMap::new(),
            web: HashMap::new(),
            images: Vec::new(),
            referrers: HashMap::new(),
            tags: HashMap::new(),
        }
    }

    /// Where a blob is.
    pub(super) fn find(&self, digest: Digest) -> Result<Option<Content>, LocalCause> {
        if let Some(known) = self.known.get(&digest) {
            return Ok(Some(known.clone()));
        }
        match &self.blobs {
            Blobs::Layout(tree) => tree.find(&format!("blobs/sha256/{}", digest.hex())),
            Blobs::Plain(tree) => match tree.find(&digest.hex())? {
                Some(found) => Ok(Some(found)),
                None => tree.find(&format!("{}.manifest.json", digest.hex())),
            },
            Blobs::Nowhere => Ok(None),
        }
    }

    /// A blob that fits into memory, checked; `None` if there is none.
    pub(super) fn small(&self, digest: Digest, limit: u64) -> Result<Option<Bytes>, LocalCause> {
        let Some(content) = self.find(digest)? else { return Ok(None) };
        let found = content.size();
        if found > limit {
            return Err(LocalCause::TooLarge { file: digest.to_string(), found, limit });
        }
        let bytes = Bytes::from(content.read()?);
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(LocalCause::Content { expected: digest, found });
        }
        Ok(Some(bytes))
    }

    /// A manifest, checked and parsed; `None` if there is none.
    pub(super) fn parsed(
        &self,
        digest: Digest,
        media_type: &MediaType,
    ) -> Result<Option<Manifest>, LocalCause> {
        let Some(bytes) = self.small(digest, Manifest::LARGEST as u64)? else { return Ok(None) };
        let parsed = Manifest::parse(&bytes, media_type);
        parsed.map(Some).map_err(|source| LocalCause::Manifest { digest, source })
    }
}

/// One image of a local source.
#[derive(Clone)]
pub struct LocalImage {
    store: Arc<LocalStore>,
    root: Digest,
    media_type: MediaType,
}

impl LocalImage {
    pub(super) fn new(store: &Arc<LocalStore>, found: &Found) -> Self {
        Self { store: store.clone(), root: found.root, media_type: found.media_type.clone() }
    }

    /// The digest of its manifest or index.
    pub(crate) fn root(&self) -> Digest {
        self.root
    }

    /// Whether it is a single file.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.store.blobs, Blobs::Nowhere)
    }

    /// The source's name in messages.
    pub(crate) fn name(&self) -> &str {
        &self.store.name
    }

    /// An error of its source.
    pub(crate) fn error(&self, cause: impl Into<LocalCause>) -> LocalError {
        cause.into().of(&self.store.name)
    }

    /// A manifest of its source, which need not be this image's.
    ///
    /// # Errors
    /// [`LocalCause::Missing`], or its bytes are not what they are named.
    pub(crate) fn manifest(&self, digest: Digest) -> Result<FetchedManifest, LocalError> {
        let limit = Manifest::LARGEST as u64;
        let read = || {
            let bytes = self.store.small(digest, limit)?.ok_or(LocalCause::Missing(digest))?;
            let media_type = if digest == self.root {
                self.media_type.clone()
            } else {
                Manifest::media_type(&bytes, None)
                    .map_err(|source| LocalCause::Manifest { digest, source })?
            };
            Ok(FetchedManifest { bytes, digest, media_type })
        };
        read().map_err(|cause: LocalCause| self.error(cause))
    }

    /// A blob of this size that fits into memory.
    ///
    /// # Errors
    /// As [`LocalImage::manifest`].
    pub(crate) fn small(&self, digest: Digest, size: u64) -> Result<Bytes, LocalError> {
        let read = || {
            let bytes = self.store.small(digest, size)?.ok_or(LocalCause::Missing(digest))?;
            same_size(digest, size, bytes.len() as u64)?;
            Ok(bytes)
        };
        read().map_err(|cause: LocalCause| self.error(cause))
    }

    /// Where a blob of this size is.
    ///
    /// # Errors
    /// It is not there, or has another size.
    pub(crate) fn content(&self, digest: Digest, size: u64) -> Result<Content, LocalError> {
        let find = || {
            let content = self.store.find(digest)?.ok_or(LocalCause::Missing(digest))?;
            same_size(digest, size, content.size())?;
            Ok(content)
        };
        find().map_err(|cause: LocalCause| self.error(cause))
    }

    /// The address from which a blob is fetched, for files of web servers.
    pub(crate) fn address(&self, digest: Digest) -> Option<&str> {
        self.store.web.get(&digest).map(String::as_str)
    }

    /// What the source lists as attached to a manifest.
    pub(crate) fn referrers(&self, subject: Digest) -> Vec<Digest> {
        self.store.referrers.get(&subject).cloned().unwrap_or_default()
    }

    /// The manifest of this tag in the source.
    pub(crate) fn tagged(&self, tag: &Tag) -> Option<Digest> {
        self.store.tags.get(tag).copied()
    }
}

fn same_size(digest: Digest, expected: u64, found: u64) -> Result<(), LocalCause> {
    if expected == found { Ok(()) } else { Err(LocalCause::Size { digest, expected, found }) }
}

/// The same image of the same source.
impl PartialEq for LocalImage {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root && self.store.name == other.store.name
    }
}

impl Eq for LocalImage {}

impl fmt::Debug for LocalImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalImage({} of {})", self.root, self.store.name)
    }
}
