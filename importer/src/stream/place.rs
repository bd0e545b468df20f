//! The repository `bundle-state` of one project: what a record is read from and written to.
//! Takes a destination and a project; gives tags, small documents, and puts them.

use bundle_format::{Blob, RECORD_REPOSITORY, Sequence, StreamName, Target};
use bundle_oci::{Digest, Manifest, MediaType, ProjectName, RepositoryName, Tag};
use bundle_registry::{BlobSource, Error, Name, Refusal};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Destination, RecordedTag};

/// The type and content of a config that says nothing (image-spec, manifest.md §Guidance for an
/// Empty Descriptor).
pub(super) const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
pub(super) const EMPTY: &[u8] = b"{}";

/// The record's repository in one project.
pub(super) struct Place<'a> {
    pub(super) destination: &'a dyn Destination,
    pub(super) project: &'a ProjectName,
    /// The name inside the project.
    name: RepositoryName,
    /// The whole name.
    pub(super) repository: RepositoryName,
}

impl<'a> Place<'a> {
    pub(super) fn of(destination: &'a dyn Destination, project: &'a ProjectName) -> Result<Self, Error> {
        let too_long = || misbehaved(destination, "the name of the record is too long");
        let name: RepositoryName = RECORD_REPOSITORY.parse().map_err(|_| too_long())?;
        let target = Target { project: project.clone(), repository: name.clone(), tag: None };
        let repository = destination.repository(&target)?;
        Ok(Self { destination, project, name, repository })
    }

    fn target(&self, tag: Option<&Tag>) -> Target {
        Target { project: self.project.clone(), repository: self.name.clone(), tag: tag.cloned() }
    }

    /// All tags of the repository; none if it does not exist.
    pub(super) async fn tags(&self) -> Result<Vec<RecordedTag>, Error> {
        self.destination.tags(&self.target(None)).await
    }

    /// The annotations of the manifest with this tag; none if it is no image's.
    pub(super) async fn annotations(&self, tag: &Tag) -> Result<Option<BTreeMap<String, String>>, Error> {
        let fetched = self.destination.manifest(&self.repository, &Name::Tag(tag.clone())).await?;
        Ok(match Manifest::parse(&fetched.bytes, &fetched.media_type) {
            Ok(Manifest::Image(image)) => Some(Arc::unwrap_or_clone(image.annotations)),
            _ => None,
        })
    }

    /// The only layer of the image with this tag, if it has this type, at most so many bytes, and its digest. It is
    /// not fetched unless `is_signed` says so of the image's annotations and that digest.
    pub(super) async fn layer(
        &self,
        tag: &Tag,
        kind: &str,
        most: u64,
        is_signed: impl Fn(&BTreeMap<String, String>, Digest) -> bool,
    ) -> Result<Layer, Error> {
        let fetched = self.destination.manifest(&self.repository, &Name::Tag(tag.clone())).await?;
        let Ok(Manifest::Image(image)) = Manifest::parse(&fetched.bytes, &fetched.media_type) else {
            return Ok(Layer::Unreadable);
        };
        let [layer] = image.layers.as_slice() else { return Ok(Layer::Unreadable) };
        if layer.media_type.as_str() != kind || layer.size > most {
            return Ok(Layer::Unreadable);
        }
        if !is_signed(&image.annotations, layer.digest) {
            return Ok(Layer::Unsigned);
        }
        let blob = Blob { digest: layer.digest, size: layer.size };
        let Some(mut pieces) = self.destination.blob(&self.repository, blob).open() else {
            return Ok(Layer::Unreadable);
        };
        let mut bytes = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let Ok(piece) = piece else { return Ok(Layer::Unreadable) };
            if bytes.len() as u64 + piece.len() as u64 > layer.size {
                return Ok(Layer::Unreadable);
            }
            bytes.extend_from_slice(&piece);
        }
        let is_right = Digest::of(&bytes) == layer.digest;
        Ok(if is_right { Layer::Bytes(bytes.freeze()) } else { Layer::Unreadable })
    }

    /// Puts a small document under a tag, which is never moved: one that is there already stays.
    pub(super) async fn put(&self, tag: &Tag, document: &Document) -> Result<(), Error> {
        // A tag that cannot move must not even be set to what it is.
        match self.destination.digest_at(&self.target(Some(tag)), Digest::of(EMPTY)).await? {
            Some(_) => Ok(()),
            None => self.add(tag, document).await,
        }
    }

    /// Puts a small document under a tag, unless what is there already is right. Where the tag must not move, what
    /// is there stays.
    pub(super) async fn replace(
        &self,
        tag: &Tag,
        document: &Document,
        is_right: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> Result<(), Error> {
        let there = self.destination.digest_at(&self.target(Some(tag)), Digest::of(EMPTY)).await?;
        if there.is_some() && self.annotations(tag).await?.is_some_and(|there| is_right(&there)) {
            return Ok(());
        }
        match self.add(tag, document).await {
            // A registry may forbid moving tags, with an error of its own.
            Err(error) if there.is_some() && error.status().is_some_and(|it| (400..500).contains(&it)) => {
                Ok(())
            }
            added => added,
        }
    }

    /// Puts a small document under a tag that was not there when the tags were listed. A tag that another
    /// account added meanwhile has the same name, and so the same content.
    pub(super) async fn add(&self, tag: &Tag, document: &Document) -> Result<(), Error> {
        let media_type: MediaType =
            MediaType::IMAGE_MANIFEST.parse().map_err(|_| misbehaved(self.destination, "no media type"))?;
        let empty = Bytes::from_static(EMPTY);
        for bytes in std::iter::once(&empty).chain(document.layer.as_ref().map(|(_, bytes)| bytes)) {
            let blob = Blob { digest: Digest::of(bytes), size: bytes.len() as u64 };
            // Where it does not say whether it has one, the push decides.
            if !matches!(self.destination.has_blob(&self.repository, blob.digest).await, Ok(true)) {
                self.destination.put_blob(&self.repository, blob, None, &Held(bytes.clone())).await?;
            }
        }
        let name = Name::Tag(tag.clone());
        let manifest = Bytes::from(document.manifest());
        match self.destination.put_manifest(&self.repository, &name, &media_type, manifest).await {
            Err(error) if error.refusal() == Some(Refusal::ImmutableTag) => Ok(()),
            put => put,
        }
    }
}

/// What is in the only layer of an artifact of the record.
pub(super) enum Layer {
    /// Its bytes.
    Bytes(Bytes),
    /// It is not signed, and was not fetched.
    Unsigned,
    /// There is no such layer.
    Unreadable,
}

/// A small artifact of the record.
pub(super) struct Document {
    pub(super) artifact_type: &'static str,
    /// Its only layer, with its type; an empty one if there is none.
    pub(super) layer: Option<(&'static str, Bytes)>,
    pub(super) annotations: BTreeMap<&'static str, String>,
}

impl Document {
    /// The same document gives the same bytes: to put it twice changes nothing.
    pub(super) fn manifest(&self) -> Vec<u8> {
        let descriptor = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len()});
        let empty = descriptor(EMPTY_TYPE, EMPTY);
        let layer: Value = match &self.layer {
            Some((kind, bytes)) => descriptor(kind, bytes),
            None => empty.clone(),
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::IMAGE_MANIFEST,
            "artifactType": self.artifact_type,
            "config": empty,
            "layers": [layer],
            "annotations": self.annotations,
        });
        manifest.to_string().into_bytes()
    }
}

/// Bytes that are put.
struct Held(Bytes);

impl BlobSource for Held {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let bytes = self.0.clone();
        Some(futures_util::stream::once(async { Ok(bytes) }).boxed())
    }
}

pub(super) fn misbehaved(destination: &dyn Destination, what: impl Into<String>) -> Error {
    Error::Misbehaved { host: destination.registry().to_string(), what: what.into() }
}

/// The stream and the number in a tag `<stream>.<number>.<12 hexadecimal digits>`. Streams may have dots and
/// numbers in their names too, so the tag is read from its end.
pub(super) fn read_tag(tag: &str) -> Option<(StreamName, Sequence)> {
    let (start, digest) = tag.rsplit_once('.')?;
    let (name, number) = start.rsplit_once('.')?;
    let hex = digest.len() == 12 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let number: Sequence = number.parse().ok().filter(|_| hex && !number.starts_with('0'))?;
    Some((name.parse().ok()?, number))
}
