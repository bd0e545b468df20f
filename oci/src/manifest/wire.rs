//! Manifests as they are written: the fields of image-spec and of Docker's schema 2 that are read.
//! Takes deserialized fields; gives checked descriptors and children.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use super::document::{Child, Descriptor};
use super::error::ManifestError;
use crate::{Digest, MediaType, Platform};

/// An index as it is written. Only the fields that name a platform are read: readers differ in the types of
/// the others (`features`, `os.features`), which have no effect here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireIndex {
    #[serde(default, deserialize_with = "or_empty")]
    pub(super) manifests: Vec<WireDescriptor>,
    pub(super) subject: Option<WireDescriptor>,
    pub(super) artifact_type: Option<oci_spec::image::MediaType>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// A manifest as it is written. Go's clients write `null` for no layers, and artifacts leave them out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireImage {
    pub(super) config: WireDescriptor,
    pub(super) layers: Option<Vec<WireDescriptor>>,
    pub(super) subject: Option<WireDescriptor>,
    pub(super) artifact_type: Option<oci_spec::image::MediaType>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireDescriptor {
    media_type: oci_spec::image::MediaType,
    digest: String,
    size: u64,
    annotations: Option<WireAttestation>,
    data: Option<String>,
    platform: Option<WirePlatform>,
}

/// The annotations of a descriptor: texts, of which two say what the descriptor attests.
#[derive(Default)]
struct WireAttestation {
    is_attestation: bool,
    of: Option<Digest>,
}

impl<'de> Deserialize<'de> for WireAttestation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Annotations;

        impl<'de> Visitor<'de> for Annotations {
            type Value = WireAttestation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireAttestation, A::Error> {
                let mut found = WireAttestation::default();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    match name.as_str() {
                        "vnd.docker.reference.type" => {
                            found.is_attestation = value == "attestation-manifest";
                        }
                        "vnd.docker.reference.digest" => found.of = value.parse().ok(),
                        _ => {}
                    }
                }
                Ok(found)
            }
        }

        deserializer.deserialize_map(Annotations)
    }
}

#[derive(Deserialize)]
struct WirePlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    #[serde(rename = "os.version")]
    os_version: Option<String>,
}

fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<WireDescriptor>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl WirePlatform {
    /// The platform, if it can be named: an artifact's entry may carry an empty one, and Homebrew's have
    /// versions such as `macOS 12.6`, which no choice of platforms names.
    fn read(&self) -> Option<Platform> {
        let named = |version| Platform::new(&self.os, &self.architecture, self.variant.as_deref(), version);
        named(self.os_version.as_deref()).or_else(|_| named(None)).ok()
    }
}

pub(super) fn child(wire: WireDescriptor) -> Result<Child, ManifestError> {
    let platform = wire.platform.as_ref().and_then(WirePlatform::read);
    let attests = wire.annotations.as_ref().filter(|it| it.is_attestation).and_then(|it| it.of);
    let descriptor = checked(wire)?;
    // A child of schema 1 is refused when it is asked for itself: lists of old images have them beside
    // others.
    let known = descriptor.media_type.is_index() || descriptor.media_type.is_image_manifest();
    if !known && !is_schema1(descriptor.media_type.as_str()) {
        return Err(ManifestError::UnknownType(descriptor.media_type.to_string()));
    }
    Ok(Child { descriptor, platform, attests })
}

/// Whether a media type is one of Docker's schema 1, signed or not.
pub(super) fn is_schema1(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.distribution.manifest.v1+")
}

pub(super) fn checked(wire: WireDescriptor) -> Result<Descriptor, ManifestError> {
    let digest: Digest = wire.digest.parse().map_err(|_| ManifestError::Descriptor("digest"))?;
    let media_type = match wire.media_type.as_ref() {
        // Other clients' default for an empty type (RFC 9110 §8.3).
        "" => "application/octet-stream",
        given => given,
    };
    let media_type = media_type.parse().map_err(|_| ManifestError::Descriptor("media type"))?;
    if wire.size >= 1 << 53 {
        return Err(ManifestError::Descriptor("size"));
    }
    if let Some(data) = &wire.data {
        let data = base64::engine::general_purpose::STANDARD
            .decode(data)
            .map_err(|_| ManifestError::Descriptor("data"))?;
        if data.len() as u64 != wire.size || Digest::of(&data) != digest {
            return Err(ManifestError::Data(digest));
        }
    }
    Ok(Descriptor { media_type, digest, size: wire.size })
}

pub(super) fn artifact_type(
    kind: Option<oci_spec::image::MediaType>,
) -> Result<Option<MediaType>, ManifestError> {
    let kind = kind.as_ref().map(AsRef::as_ref).filter(|kind: &&str| !kind.is_empty());
    kind.map(str::parse).transpose().map_err(|_| ManifestError::Descriptor("artifact type"))
}
