//! A made-up manifest of any kind, with everything it refers to.
//! Takes bytes and blobs; gives digest and media type, and the children to push first.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::blob::{Blob, sha256};
use crate::image::Platform;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A manifest or an index, its blobs and its children: all that a push needs.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The document, byte for byte.
    pub bytes: Vec<u8>,
    /// The document's media type.
    pub media_type: String,
    /// `sha256:<hex>` of the document.
    pub digest: String,
    /// The manifest's platform in an index.
    pub platform: Option<Platform>,
    /// `artifactType` of the document, or of its config where the document has none.
    pub artifact_type: Option<String>,
    /// Annotations an index puts on its descriptor of this manifest.
    pub descriptor_annotations: BTreeMap<String, String>,
    /// Config and layers; none for an index.
    pub blobs: Vec<Blob>,
    /// The manifests of an index; none otherwise.
    pub children: Vec<Manifest>,
}

impl Manifest {
    pub(crate) fn from_document(media_type: &str, document: &impl Serialize) -> Manifest {
        let bytes = json(document);
        Manifest {
            digest: sha256(&bytes),
            bytes,
            media_type: media_type.to_owned(),
            platform: None,
            artifact_type: None,
            descriptor_annotations: BTreeMap::new(),
            blobs: Vec::new(),
            children: Vec::new(),
        }
    }

    /// The bytes of the document and of all below it, each digest counted once.
    pub fn total_size(&self) -> u64 {
        let mut sizes = BTreeMap::new();
        self.collect_sizes(&mut sizes);
        sizes.values().sum()
    }

    fn collect_sizes<'a>(&'a self, sizes: &mut BTreeMap<&'a str, u64>) {
        sizes.insert(&self.digest, self.bytes.len() as u64);
        sizes.extend(self.blobs.iter().map(|blob| (blob.digest.as_str(), blob.size)));
        self.children.iter().for_each(|child| child.collect_sizes(sizes));
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest.clone(),
            size: self.bytes.len() as u64,
            platform: self.platform.clone(),
            artifact_type: self.artifact_type.clone(),
            annotations: self.descriptor_annotations.clone(),
        }
    }
}

/// image-spec §Content Descriptors.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub(crate) fn of(blob: &Blob) -> Descriptor {
        Descriptor {
            media_type: blob.media_type.clone(),
            digest: blob.digest.clone(),
            size: blob.size,
            platform: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// image-spec §Image Manifest, and docker's schema 2, which has a subset of the fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestDocument {
    pub(crate) schema_version: u8,
    pub(crate) media_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// image-spec §Image Index, and docker's manifest list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IndexDocument {
    pub(crate) schema_version: u8,
    pub(crate) media_type: &'static str,
    pub(crate) manifests: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Structs, never `serde_json::Value`: another crate of the build may switch on `preserve_order`, and then
/// the same value has other bytes and another digest.
pub(crate) fn json(document: &impl Serialize) -> Vec<u8> {
    // Strings, numbers, and maps with string keys only.
    serde_json::to_vec(document).expect("the document is plain data")
}
