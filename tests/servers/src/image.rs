//! Made-up images: valid for every registry and runtime, and the same bytes for the same specification.
//! Takes a specification of layers, platform and format; gives a manifest with its blobs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::blob::Blob;
use crate::layer::Layer;
use crate::manifest::{DOCKER_MANIFEST, Descriptor, Manifest, ManifestDocument, OCI_MANIFEST, json};

/// Which specification's media types a manifest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OCI image-spec 1.1.
    Oci,
    /// Docker image manifest, version 2 schema 2.
    DockerSchema2,
}

/// The platform of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Platform {
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `linux`, …
    pub os: String,
    /// `v7`, … where the architecture has variants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// A platform without a variant.
    pub fn new(os: &str, architecture: &str) -> Platform {
        Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// `linux/amd64`.
    pub fn linux_amd64() -> Platform {
        Platform::new("linux", "amd64")
    }

    /// `linux/arm64`.
    pub fn linux_arm64() -> Platform {
        Platform::new("linux", "arm64")
    }

    /// `linux/arm/v7`.
    pub fn linux_arm_v7() -> Platform {
        Platform { variant: Some("v7".to_owned()), ..Platform::new("linux", "arm") }
    }

    /// The platform of buildx's attestation manifests.
    pub fn unknown() -> Platform {
        Platform::new("unknown", "unknown")
    }
}

/// The specification of an image. Images with equal fields are the same image.
#[derive(Clone, Debug)]
pub struct ImageSpec {
    /// The media types' family.
    pub format: Format,
    /// The platform in the config.
    pub platform: Platform,
    /// From the base upwards.
    pub layers: Vec<Layer>,
    /// Labels of the config.
    pub labels: BTreeMap<String, String>,
    /// Entrypoint of the config.
    pub entrypoint: Vec<String>,
    /// Annotations of the manifest; docker's format has none, and they are left out there.
    pub annotations: BTreeMap<String, String>,
}

impl ImageSpec {
    /// An OCI image for linux/amd64 without layers.
    pub fn oci() -> ImageSpec {
        ImageSpec {
            format: Format::Oci,
            platform: Platform::linux_amd64(),
            layers: Vec::new(),
            labels: BTreeMap::new(),
            entrypoint: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// The same in docker's format.
    pub fn docker() -> ImageSpec {
        ImageSpec { format: Format::DockerSchema2, ..ImageSpec::oci() }
    }

    /// Sets the platform.
    pub fn platform(mut self, platform: Platform) -> ImageSpec {
        self.platform = platform;
        self
    }

    /// Adds a layer on top: a [`LayerSpec`](crate::LayerSpec), or a [`Layer`] that other images share.
    pub fn layer(mut self, layer: impl Into<Layer>) -> ImageSpec {
        self.layers.push(layer.into());
        self
    }

    /// Adds a label, by which two images of the same layers can differ.
    pub fn label(mut self, name: &str, value: &str) -> ImageSpec {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets the program the image runs.
    pub fn entrypoint(mut self, arguments: &[&str]) -> ImageSpec {
        self.entrypoint = arguments.iter().map(|&a| a.to_owned()).collect();
        self
    }

    /// Adds an annotation to the manifest.
    pub fn annotation(mut self, name: &str, value: &str) -> ImageSpec {
        self.annotations.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The image's manifest with its config and layers.
    pub fn build(&self) -> Manifest {
        let media_type = match self.format {
            Format::Oci => OCI_MANIFEST,
            Format::DockerSchema2 => DOCKER_MANIFEST,
        };
        let config = self.config_blob(self.layers.iter().map(|layer| layer.diff_id.clone()).collect());
        let layers: Vec<Blob> = self.layers.iter().map(|layer| layer.blob(self.format)).collect();
        let document = ManifestDocument {
            schema_version: 2,
            media_type,
            artifact_type: None,
            config: Descriptor::of(&config),
            layers: layers.iter().map(Descriptor::of).collect(),
            subject: None,
            annotations: match self.format {
                Format::Oci => self.annotations.clone(),
                Format::DockerSchema2 => BTreeMap::new(),
            },
        };
        Manifest {
            platform: Some(self.platform.clone()),
            blobs: std::iter::once(config).chain(layers).collect(),
            ..Manifest::from_document(media_type, &document)
        }
    }

    pub(crate) fn config_blob(&self, diff_ids: Vec<String>) -> Blob {
        let media_type = match self.format {
            Format::Oci => "application/vnd.oci.image.config.v1+json",
            Format::DockerSchema2 => "application/vnd.docker.container.image.v1+json",
        };
        let history =
            diff_ids.iter().map(|_| History { created: EPOCH, created_by: "bundle-fixtures" }).collect();
        let document = ConfigDocument {
            created: EPOCH,
            platform: self.platform.clone(),
            config: RunConfig {
                env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                entrypoint: self.entrypoint.clone(),
                labels: self.labels.clone(),
            },
            rootfs: RootFs { kind: "layers", diff_ids },
            history,
        };
        Blob::new(media_type, json(&document))
    }
}

const EPOCH: &str = "1970-01-01T00:00:00Z";

/// image-spec §Image Configuration.
#[derive(Serialize)]
struct ConfigDocument {
    created: &'static str,
    #[serde(flatten)]
    platform: Platform,
    config: RunConfig,
    rootfs: RootFs,
    history: Vec<History>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig {
    env: [&'static str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<String>,
}

#[derive(Serialize)]
struct History {
    created: &'static str,
    created_by: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerSpec;

    fn spec() -> ImageSpec {
        ImageSpec::oci().layer(LayerSpec::new(1, 1000)).layer(LayerSpec::new(2, 2000)).label("a", "b")
    }

    #[test]
    fn an_image_is_the_same_bytes_on_every_machine() {
        let pinned = "sha256:f9ec8dae29fc5a950ca46db0c97a5e7ed2c908ce4bf4dbc62585d372f3fa666a";
        assert_eq!(spec().build().digest, pinned);
    }

    #[test]
    fn every_field_of_the_specification_names_another_image() {
        let others = [
            spec().label("a", "c"),
            spec().layer(LayerSpec::new(3, 1)),
            spec().platform(Platform::linux_arm_v7()),
            spec().annotation("x", "y"),
            spec().entrypoint(&["/bin/sh"]),
            ImageSpec { format: Format::DockerSchema2, ..spec() },
        ];
        for other in others {
            assert_ne!(other.build().digest, spec().build().digest, "{other:?}");
        }
    }

    #[test]
    fn the_config_lists_the_layers_diff_ids() {
        let image = ImageSpec::docker().layer(LayerSpec::new(1, 1000)).build();
        let config: serde_json::Value = serde_json::from_slice(&image.blobs[0].bytes().unwrap()).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], LayerSpec::new(1, 1000).build().diff_id);
        assert_eq!((&config["os"], &config["architecture"]), (&"linux".into(), &"amd64".into()));
        assert_eq!(image.media_type, DOCKER_MANIFEST);
        assert_eq!(image.blobs[1].media_type, "application/vnd.docker.image.rootfs.diff.tar.gzip");
    }
}
