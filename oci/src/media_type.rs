//! Media types (RFC 6838), as descriptors and HTTP headers have them.
//! Takes text, gives a type without parameters, of at most 127 characters on each side.

use std::borrow::Cow;
use std::str::FromStr;

/// A media type as RFC 6838 §4.2 has it: `type/subtype` of restricted characters, at most 127 on
/// each side, without parameters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Cow<'static, str>);

impl MediaType {
    /// OCI image manifest.
    pub const IMAGE_MANIFEST: &'static str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const IMAGE_INDEX: &'static str = "application/vnd.oci.image.index.v1+json";
    /// Docker image manifest, version 2, schema 2.
    pub const DOCKER_MANIFEST: &'static str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_LIST: &'static str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// The four types of manifest that can be carried.
    pub const MANIFESTS: [&'static str; 4] =
        [Self::IMAGE_MANIFEST, Self::IMAGE_INDEX, Self::DOCKER_MANIFEST, Self::DOCKER_LIST];

    /// The bytes that its text takes of its own: none for those that nearly all descriptors have.
    pub(crate) fn allocated(&self) -> usize {
        match &self.0 {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.capacity(),
        }
    }

    /// Whether content of this type is an index or manifest list.
    pub fn is_index(&self) -> bool {
        matches!(self.as_str(), Self::IMAGE_INDEX | Self::DOCKER_LIST)
    }

    /// Whether content of this type is an image manifest.
    pub fn is_image_manifest(&self) -> bool {
        matches!(self.as_str(), Self::IMAGE_MANIFEST | Self::DOCKER_MANIFEST)
    }

    /// Whether content of this type is an image's config (image-spec, config.md; Docker's schema 2).
    pub fn is_image_config(&self) -> bool {
        matches!(
            self.as_str(),
            "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
        )
    }

    /// Whether layers of this type stay with their vendor and are left out of registries and
    /// bundles (image-spec, layer.md §Non-Distributable Layers; Docker's foreign layers).
    pub fn is_non_distributable(&self) -> bool {
        self.0.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar")
            || self.0.starts_with("application/vnd.docker.image.rootfs.foreign.diff.tar")
    }

    /// The type of the same bytes as a layer that registries keep; none if this type is not marked
    /// non-distributable.
    pub fn distributable(&self) -> Option<Self> {
        let marks = [
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.docker.image.rootfs.foreign.diff.tar",
        ];
        let rest = marks.into_iter().find_map(|mark| self.0.strip_prefix(mark))?;
        // Docker writes `.gzip` where OCI writes `+gzip`.
        format!("application/vnd.oci.image.layer.v1.tar{}", rest.replace('.', "+")).parse().ok()
    }
}

/// The most frequent types of descriptors: they take no memory of their own.
const COMMON: [&str; 17] = [
    MediaType::IMAGE_MANIFEST,
    MediaType::IMAGE_INDEX,
    MediaType::DOCKER_MANIFEST,
    MediaType::DOCKER_LIST,
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.oci.empty.v1+json",
    "application/vnd.in-toto+json",
    "application/vnd.cncf.helm.config.v1+json",
    "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    "application/vnd.dev.cosign.simplesigning.v1+json",
    "application/octet-stream",
];

/// A text that is no media type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("media type is not of the form type/subtype")]
pub struct ParseMediaTypeError;

impl FromStr for MediaType {
    type Err = ParseMediaTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = |name: &str| {
            (1..=127).contains(&name.len())
                && name.as_bytes()[0].is_ascii_alphanumeric()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        match text.split_once('/') {
            Some((kind, subtype)) if valid(kind) && valid(subtype) => {
                let common = COMMON.iter().find(|common| **common == text);
                Ok(Self(common.map_or_else(|| Cow::Owned(text.to_owned()), |common| Cow::Borrowed(*common))))
            }
            _ => Err(ParseMediaTypeError),
        }
    }
}

crate::string_type!(MediaType);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_have_two_plain_parts() {
        for good in MediaType::MANIFESTS {
            let parsed: MediaType = good.parse().unwrap();
            assert_ne!(parsed.is_index(), parsed.is_image_manifest());
        }
        for bad in ["", "a", "/", "a/", "a/b; charset=utf-8", "a/b/c", "a/\n", "a /b"] {
            assert!(bad.parse::<MediaType>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_type_that_is_marked_non_distributable_has_one_that_registries_keep() {
        for (marked, plain) in [
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
                Some("application/vnd.oci.image.layer.v1.tar+zstd"),
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                Some("application/vnd.oci.image.layer.v1.tar+gzip"),
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar",
                Some("application/vnd.oci.image.layer.v1.tar"),
            ),
            ("application/vnd.oci.image.layer.v1.tar+gzip", None),
        ] {
            let parsed: MediaType = marked.parse().unwrap();
            assert_eq!(parsed.distributable().as_ref().map(MediaType::as_str), plain);
            assert_eq!(parsed.is_non_distributable(), plain.is_some());
        }
    }
}
