//! Manifests as the registry reads them (distribution 2.8 `manifest/`): which are taken, and what they name.
//! Takes the pushed bytes and their media type; gives the references, or the error that the registry would send.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

/// A layer that is fetched from elsewhere and takes no storage.
pub(super) const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

pub(super) fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

pub(super) fn is_oci(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | OCI_INDEX)
}

/// A manifest or index that the registry takes.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) media_type: String,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Vec<Descriptor>,
    /// An index's.
    pub(super) manifests: Vec<Descriptor>,
    pub(super) subject: Option<Descriptor>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    pub(super) urls: Vec<String>,
    pub(super) platform: Option<Value>,
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    fs_layers: Option<Value>,
    history: Option<Value>,
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Document {
    /// Reads a manifest of that `Content-Type`. The error says what is wrong with it.
    pub(super) fn parse(content_type: &str, bytes: &[u8]) -> Result<Document, String> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if ![OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].contains(&media_type) {
            return Err(format!("unsupported manifest media type {media_type:?}"));
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let declared = raw.media_type.as_deref().unwrap_or_default();
        // OCI's may leave it out, docker's may not.
        if declared != media_type && !(declared.is_empty() && is_oci(media_type)) {
            return Err(format!("mediaType in manifest should be {media_type:?} not {declared:?}"));
        }
        // A document that could be read as both kinds is neither (CVE-2021-41190).
        let as_index = raw.manifests.is_some();
        let as_image = raw.config.is_some() || raw.layers.is_some();
        if is_index(media_type) && as_image {
            return Err("index: expected index but found config or layers".to_owned());
        }
        if !is_index(media_type) && (as_index || raw.fs_layers.is_some() || raw.history.is_some()) {
            return Err("manifest: expected manifest but found manifests, fsLayers or history".to_owned());
        }
        if raw.schema_version != Some(2) {
            return Err(format!("unrecognized manifest schema version {:?}", raw.schema_version));
        }
        Ok(Document {
            media_type: media_type.to_owned(),
            config: raw.config.or_else(|| (!is_index(media_type)).then(Descriptor::default)),
            layers: raw.layers.unwrap_or_default(),
            manifests: raw.manifests.unwrap_or_default(),
            subject: raw.subject,
            artifact_type: raw.artifact_type.filter(|kind| !kind.is_empty()),
            annotations: raw.annotations.unwrap_or_default(),
        })
    }

    /// The references of the manifest: config and layers, or an index's manifests.
    pub(super) fn references(&self) -> impl Iterator<Item = &Descriptor> {
        self.config.iter().chain(&self.layers).chain(&self.manifests)
    }

    /// The media type of an artifact of this manifest: the config's, or an index's own.
    pub(super) fn artifact_media_type(&self) -> &str {
        self.config.as_ref().map_or(&self.media_type, |config| &config.media_type)
    }

    /// Harbor `pkg/artifact ResolveArtifactType` and the processors it leads to.
    pub(super) fn kind(&self) -> String {
        let media_type = self.artifact_media_type();
        match self.artifact_type.as_deref().unwrap_or(media_type) {
            OCI_CONFIG | DOCKER_CONFIG | OCI_INDEX | DOCKER_LIST => "IMAGE".to_owned(),
            "application/vnd.cncf.helm.config.v1+json" => "CHART".to_owned(),
            "application/vnd.goharbor.harbor.sbom.v1" => "SBOM".to_owned(),
            "application/vnd.wasm.config.v1+json" => "WASM".to_owned(),
            _ => config_kind(media_type).unwrap_or_else(|| "UNKNOWN".to_owned()),
        }
    }

    pub(super) fn is_image(&self) -> bool {
        matches!(self.artifact_media_type(), OCI_CONFIG | DOCKER_CONFIG)
    }
}

/// `application/vnd.<org>.<kind>.config.<version>+json` (Harbor `artifact/processor/default.go`).
pub(super) fn config_kind(media_type: &str) -> Option<String> {
    let rest = media_type.strip_prefix("application/vnd.")?.strip_suffix("+json")?;
    let (_, rest) = rest.split_once('.')?;
    let (rest, version) = rest.rsplit_once('.')?;
    let kind = rest.strip_suffix(".config")?;
    (!version.contains('.') && !kind.is_empty()).then(|| kind.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_as_image_and_index_is_refused() {
        let both = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",
            "manifests":[],"config":{},"layers":[]}"#;
        assert!(Document::parse(OCI_INDEX, both).is_err());
        let neither = br#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(Document::parse(OCI_MANIFEST, neither).is_err());
        assert!(Document::parse(OCI_INDEX, neither).is_ok());
    }

    #[test]
    fn a_media_type_must_be_one_of_four_and_that_of_the_document() {
        let docker = br#"{"schemaVersion":2,"config":{},"layers":[]}"#;
        assert!(Document::parse(DOCKER_MANIFEST, docker).is_err());
        assert!(Document::parse(OCI_MANIFEST, docker).is_ok());
        for media_type in ["", "application/json", "application/octet-stream"] {
            assert!(Document::parse(media_type, docker).is_err());
        }
    }

    #[test]
    fn a_kind_is_read_off_the_configs_media_type() {
        for (media_type, kind) in [
            ("application/vnd.aquasec.trivy.config.v1+json", Some("TRIVY")),
            ("application/vnd.oci.empty.v1+json", None),
            ("text/plain", None),
        ] {
            assert_eq!(config_kind(media_type).as_deref(), kind);
        }
    }
}
