//! Made-up indexes: OCI image indexes and docker's manifest lists.
//! Takes the children; gives the bytes with their digest, ready to push.

use std::collections::BTreeMap;

use crate::image::Format;
use crate::manifest::{DOCKER_LIST, IndexDocument, Manifest, OCI_INDEX};

/// The specification of an index.
#[derive(Clone, Debug)]
pub struct Index {
    format: Format,
    manifests: Vec<Manifest>,
    annotations: BTreeMap<String, String>,
}

impl Index {
    /// An OCI index without manifests.
    pub fn oci() -> Index {
        Index { format: Format::Oci, manifests: Vec::new(), annotations: BTreeMap::new() }
    }

    /// A docker manifest list without manifests.
    pub fn docker() -> Index {
        Index { format: Format::DockerSchema2, ..Index::oci() }
    }

    /// Adds a manifest, of an image or of anything else; an index nests.
    pub fn manifest(mut self, manifest: Manifest) -> Index {
        self.manifests.push(manifest);
        self
    }

    /// Adds an image and, after all images, as `docker buildx` does, its attestation manifest.
    pub fn attested(self, image: Manifest) -> Index {
        let attestation = image.attestation();
        self.manifest(image).manifest(attestation)
    }

    /// Adds an annotation; docker's format has none, and they are left out there.
    pub fn annotation(mut self, name: &str, value: &str) -> Index {
        self.annotations.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The index with its manifests.
    pub fn build(&self) -> Manifest {
        let media_type = match self.format {
            Format::Oci => OCI_INDEX,
            Format::DockerSchema2 => DOCKER_LIST,
        };
        // A sort that keeps the order within: buildx lists its attestations last.
        let mut children = self.manifests.clone();
        children.sort_by_key(Manifest::is_attestation);
        let document = IndexDocument {
            schema_version: 2,
            media_type,
            manifests: children.iter().map(Manifest::descriptor).collect(),
            annotations: match self.format {
                Format::Oci => self.annotations.clone(),
                Format::DockerSchema2 => BTreeMap::new(),
            },
        };
        Manifest { children, ..Manifest::from_document(media_type, &document) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageSpec, LayerSpec, Platform};

    #[test]
    fn an_index_describes_its_manifests() {
        let amd64 = ImageSpec::oci().layer(LayerSpec::new(1, 10)).build();
        let arm = ImageSpec::oci().layer(LayerSpec::new(1, 10)).platform(Platform::linux_arm_v7()).build();
        let index = Index::oci().attested(amd64.clone()).manifest(arm.clone()).build();
        let document: serde_json::Value = serde_json::from_slice(&index.bytes).unwrap();
        let manifests = document["manifests"].as_array().unwrap();
        assert_eq!(manifests.len(), 3);
        assert_eq!(manifests[0]["digest"], amd64.digest);
        assert_eq!(manifests[1]["platform"]["variant"], "v7");
        assert_eq!(manifests[2]["platform"]["architecture"], "unknown");
        assert_eq!(manifests[2]["annotations"]["vnd.docker.reference.digest"], amd64.digest);
        assert_eq!(manifests[2]["digest"], index.children[2].digest);
    }
}
