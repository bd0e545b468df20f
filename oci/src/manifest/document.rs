//! A manifest or an index, parsed within bounds.
//! Takes bytes and a media type; gives a [`Manifest`], its media type, or the memory that it takes.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::error::ManifestError;
use super::names::{FREE, KNOWN, Top};
use super::wire::{WireImage, WireIndex, artifact_type, checked, child, is_schema1};
use crate::json::{self, Bounds};
use crate::{Digest, MediaType, Platform};

/// A reference to content by digest and size (image-spec, descriptor.md). Its annotations, urls and data are
/// checked and not kept: a manifest may have tens of thousands of descriptors, and a map of one entry takes
/// half a KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type of the content.
    pub media_type: MediaType,
    /// The digest of the content.
    pub digest: Digest,
    /// The content's length in bytes, at most 2^53 - 1.
    pub size: u64,
}

/// One manifest that an index lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The manifest or nested index.
    pub descriptor: Descriptor,
    /// The platform, if the index names it.
    pub platform: Option<Platform>,
    /// The sibling that this child is an attestation of, by the annotations that buildx writes.
    pub attests: Option<Digest>,
}

impl Child {
    /// The sibling that this child is an attestation of.
    pub fn attests(&self) -> Option<Digest> {
        self.attests
    }
}

/// An image manifest, of OCI or of Docker's schema 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageManifest {
    /// The configuration.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is attached to, if it is a referrer.
    pub subject: Option<Descriptor>,
    /// The type of artifact, if the manifest is one.
    pub artifact_type: Option<MediaType>,
    /// The manifest's annotations. Copies share them.
    pub annotations: Arc<BTreeMap<String, String>>,
}

impl ImageManifest {
    /// The artifact's type, as the referrers API reports it: the artifact type, or the media type of the
    /// config (distribution-spec §Listing Referrers).
    pub fn kind(&self) -> &MediaType {
        self.artifact_type.as_ref().unwrap_or(&self.config.media_type)
    }
}

/// An image index, or Docker's manifest list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The manifests in their order.
    pub children: Vec<Child>,
    /// The manifest that this index is attached to, if it is a referrer.
    pub subject: Option<Descriptor>,
    /// The type of artifact, if the index is one.
    pub artifact_type: Option<MediaType>,
    /// The index's annotations. Copies share them.
    pub annotations: Arc<BTreeMap<String, String>>,
}

/// A manifest as a registry stores it, read but never written again: its bytes are what counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// One image, or another artifact with a config and layers.
    Image(ImageManifest),
    /// A list of manifests.
    Index(Index),
}

impl Manifest {
    /// The largest manifest that is read, in bytes.
    pub const LARGEST: usize = 4 << 20;

    /// Reads a manifest that a descriptor or a registry's `Content-Type` says is `media_type`.
    ///
    /// # Errors
    /// Any [`ManifestError`]; the bytes are an attacker's.
    pub fn parse(bytes: &[u8], media_type: &MediaType) -> Result<Self, ManifestError> {
        if bytes.len() > Self::LARGEST {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let _turn = turn(bytes);
        Self::check_names(bytes)?;
        let top: Top = serde_json::from_slice(bytes)?;
        if top.schema_version != Some(2) {
            return Err(ManifestError::Schema1);
        }
        if let Some(found) = &top.media_type
            && found != media_type.as_str()
        {
            return Err(ManifestError::MediaType { expected: media_type.to_string(), found: found.clone() });
        }
        if media_type.is_index() {
            top.refuse(&["config", "layers", "fslayers", "blobs"])?;
            let index: WireIndex = serde_json::from_slice(bytes)?;
            Ok(Self::Index(Index {
                children: tight(index.manifests.into_iter().map(child))?,
                subject: index.subject.map(checked).transpose()?,
                artifact_type: artifact_type(index.artifact_type)?,
                annotations: index.annotations.map_or_else(none, Arc::new),
            }))
        } else if media_type.is_image_manifest() {
            top.refuse(&["manifests", "fslayers", "blobs"])?;
            let image: WireImage = serde_json::from_slice(bytes)?;
            Ok(Self::Image(ImageManifest {
                config: checked(image.config)?,
                layers: tight(image.layers.unwrap_or_default().into_iter().map(checked))?,
                subject: image.subject.map(checked).transpose()?,
                artifact_type: artifact_type(image.artifact_type)?,
                annotations: image.annotations.map_or_else(none, Arc::new),
            }))
        } else if is_schema1(media_type.as_str()) {
            Err(ManifestError::Schema1)
        } else {
            Err(ManifestError::UnknownType(media_type.to_string()))
        }
    }

    /// The media type of a manifest's bytes: the registry's `Content-Type` if it names one of the
    /// four, else the field `mediaType`, else what the fields show. Some registries and proxies
    /// answer with `application/json` or nothing.
    ///
    /// # Errors
    /// The bytes are no manifest, or one of a type that cannot be carried.
    pub fn media_type(bytes: &[u8], content_type: Option<&str>) -> Result<MediaType, ManifestError> {
        if bytes.len() > Self::LARGEST {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let _turn = turn(bytes);
        let content_type = content_type.map(|text| text.split(';').next().unwrap_or(text).trim());
        let top: Top = serde_json::from_slice(bytes)?;
        let known = |text: &&str| MediaType::MANIFESTS.contains(text);
        let found = match (content_type.filter(known), top.media_type.as_deref()) {
            (Some(header), _) => header,
            (None, Some(field)) => field,
            (None, None) if top.schema_version == Some(1) => return Err(ManifestError::Schema1),
            (None, None) if top.fields.iter().any(|field| field == "manifests") => MediaType::IMAGE_INDEX,
            (None, None) => MediaType::IMAGE_MANIFEST,
        };
        if is_schema1(found) {
            return Err(ManifestError::Schema1);
        }
        if !known(&found) {
            return Err(ManifestError::UnknownType(found.to_owned()));
        }
        found.parse().map_err(|_| ManifestError::UnknownType(found.to_owned()))
    }

    /// Checks that no two readers take the names of a document that a registry serves for different
    /// ones: a manifest, or a list of manifests or tags.
    ///
    /// # Errors
    /// The fault and its place.
    pub fn check_names(bytes: &[u8]) -> Result<(), serde_json::Error> {
        json::check(bytes, Bounds::MANIFEST, &KNOWN, &FREE)
    }

    /// How many bytes of memory this takes beside its own, at most: few bytes of JSON can take many.
    pub fn weight(&self) -> u64 {
        let (list, subject, kind, annotations) = match self {
            Self::Image(image) => {
                let layers = size_of::<Descriptor>() * image.layers.capacity();
                let types = image.layers.iter().map(media_type).sum::<usize>() + media_type(&image.config);
                (allocated(layers) + types, &image.subject, &image.artifact_type, &image.annotations)
            }
            Self::Index(index) => {
                let children = size_of::<Child>() * index.children.capacity();
                let each = |child: &Child| {
                    media_type(&child.descriptor) + child.platform.as_ref().map_or(0, Platform::weight)
                };
                let children = allocated(children) + index.children.iter().map(each).sum::<usize>();
                (children, &index.subject, &index.artifact_type, &index.annotations)
            }
        };
        let kind = kind.as_ref().map_or(0, |kind| allocated(kind.allocated()));
        (list + subject.as_ref().map_or(0, media_type) + kind + texts(annotations)) as u64
    }

    /// Forgets what only those need who list referrers: the annotations of a manifest that is none.
    pub fn forget_annotations(&mut self) {
        match self {
            Self::Image(ImageManifest { subject: None, annotations, .. })
            | Self::Index(Index { subject: None, annotations, .. }) => *annotations = none(),
            Self::Image(_) | Self::Index(_) => {}
        }
    }

    /// The manifest that this one is attached to, if it is a referrer.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(image) => image.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
        }
    }
}

/// The memory of an allocation of so many bytes: glibc's has a head of 8 bytes, is a multiple of 16, and at
/// least 32.
pub(crate) fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) }
}

fn media_type(descriptor: &Descriptor) -> usize {
    allocated(descriptor.media_type.allocated())
}

/// No annotations, which most manifests have, and all that have none share.
fn none() -> Arc<BTreeMap<String, String>> {
    static NONE: LazyLock<Arc<BTreeMap<String, String>>> = LazyLock::new(Arc::default);
    NONE.clone()
}

/// How many bytes of memory annotations take at most, in the nodes of their tree: a leaf has room for eleven
/// entries, of which five are used or, in the only one, one. One in six has a parent of the same size and twelve
/// edges.
fn texts(annotations: &BTreeMap<String, String>) -> usize {
    const LEAF: usize = 2 * 11 * size_of::<String>() + 16;
    const PARENT: usize = (LEAF + 12 * 8).div_ceil(6);
    let nodes = annotations.len().div_ceil(5) * (allocated(LEAF) + PARENT);
    let text = |(name, value): (&String, &String)| allocated(name.capacity()) + allocated(value.capacity());
    // The count beside them, for copies.
    allocated(size_of::<BTreeMap<String, String>>() + 16)
        + nodes
        + annotations.iter().map(text).sum::<usize>()
}

/// Collects into no more memory than is needed: the place of what is collected from is used again, and that is
/// several times as large.
fn tight<T>(parts: impl Iterator<Item = Result<T, ManifestError>>) -> Result<Vec<T>, ManifestError> {
    let mut all: Vec<T> = parts.collect::<Result<_, _>>()?;
    all.shrink_to_fit();
    Ok(all)
}

/// Large manifests are parsed one at a time: parsing takes ten times the bytes, and a registry that sends
/// them to all tasks at once must not get that much memory for each.
static TURN: Mutex<()> = Mutex::new(());

/// The size in bytes from which a manifest waits for its turn.
const LARGE: usize = 64 << 10;

fn turn(bytes: &[u8]) -> Option<std::sync::MutexGuard<'static, ()>> {
    // Nothing is behind the lock, so that nothing can be left half done.
    (bytes.len() > LARGE).then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn oci(text: &str) -> MediaType {
        text.parse().unwrap()
    }

    fn image() -> serde_json::Value {
        json!({
            "schemaVersion": 2,
            "mediaType": MediaType::IMAGE_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": EMPTY, "size": 2},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": EMPTY, "size": 2}],
        })
    }

    fn parse(value: &serde_json::Value, media_type: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(&serde_json::to_vec(value).unwrap(), &oci(media_type))
    }

    #[test]
    fn an_image_manifest_names_its_config_and_layers() {
        let Manifest::Image(manifest) = parse(&image(), MediaType::IMAGE_MANIFEST).unwrap() else {
            panic!("an image manifest was read as an index");
        };
        assert_eq!(manifest.config.digest.to_string(), EMPTY);
        assert_eq!(manifest.layers.len(), 1);
        assert_eq!(manifest.kind().as_str(), "application/vnd.oci.image.config.v1+json");
    }

    #[test]
    fn an_index_keeps_platform_versions_and_attestations() {
        let index = json!({
            "schemaVersion": 2,
            "manifests": [
                {"mediaType": MediaType::IMAGE_MANIFEST, "digest": EMPTY, "size": 2,
                 "platform": {"os": "windows", "architecture": "amd64", "os.version": "10.0.17763.1"}},
                {"mediaType": MediaType::IMAGE_MANIFEST, "digest": EMPTY, "size": 2,
                 "platform": {"os": "unknown", "architecture": "unknown"},
                 "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": EMPTY}},
            ],
        });
        let Manifest::Index(index) = parse(&index, MediaType::IMAGE_INDEX).unwrap() else {
            panic!("an index was read as an image manifest");
        };
        assert_eq!(index.children[0].platform.as_ref().unwrap().to_string(), "windows/amd64:10.0.17763.1");
        assert_eq!(index.children[0].attests(), None);
        assert_eq!(index.children[1].attests(), Some(EMPTY.parse().unwrap()));
    }

    #[test]
    fn bytes_that_readers_disagree_about_are_refused() {
        for (field, value) in [("manifests", json!([])), ("fsLayers", json!([]))] {
            let mut both = image();
            both[field] = value;
            assert!(
                matches!(parse(&both, MediaType::IMAGE_MANIFEST), Err(ManifestError::Ambiguous(_))),
                "{field}"
            );
        }
        // Two names that Go's programs take for one: at the top, and in a descriptor.
        for (field, value) in
            [("Layers", json!([])), ("layer\u{17f}", json!([])), ("MEDIATYPE", json!("a/b"))]
        {
            let mut both = image();
            both[field] = value;
            assert!(
                matches!(parse(&both, MediaType::IMAGE_MANIFEST), Err(ManifestError::Json(_))),
                "{field}"
            );
        }
        for (field, value) in [("Digest", json!(EMPTY)), ("\u{17f}ize", json!(3)), ("Url\u{17f}", json!([]))]
        {
            let mut both = image();
            both["layers"][0][field] = value;
            assert!(
                matches!(parse(&both, MediaType::IMAGE_MANIFEST), Err(ManifestError::Json(_))),
                "{field}"
            );
        }
        assert!(matches!(parse(&image(), MediaType::DOCKER_MANIFEST), Err(ManifestError::MediaType { .. })));
        let twice = br#"{"schemaVersion":2,"schemaVersion":2}"#;
        assert!(matches!(Manifest::parse(twice, &oci(MediaType::IMAGE_INDEX)), Err(ManifestError::Json(_))));
    }

    #[test]
    fn what_other_clients_take_is_taken() {
        let mut none = image();
        none["layers"] = json!(null);
        let Manifest::Image(read) = parse(&none, MediaType::IMAGE_MANIFEST).unwrap() else { panic!() };
        assert_eq!(read.layers, []);
        none.as_object_mut().unwrap().remove("layers");
        assert!(parse(&none, MediaType::IMAGE_MANIFEST).is_ok());
        let mut untyped = image();
        untyped["layers"][0]["mediaType"] = json!("");
        let Manifest::Image(read) = parse(&untyped, MediaType::IMAGE_MANIFEST).unwrap() else { panic!() };
        assert_eq!(read.layers[0].media_type.as_str(), "application/octet-stream");
        for (platform, named) in [
            (json!({}), None),
            (json!({"os": "", "architecture": ""}), None),
            (
                json!({"os": "darwin", "architecture": "arm64", "os.version": "macOS 12.6"}),
                Some("darwin/arm64"),
            ),
            (json!({"os": "linux", "architecture": "amd64", "os.features": "sse4"}), Some("linux/amd64")),
            (json!({"os": "linux", "architecture": "amd64", "features": ["sse4"]}), Some("linux/amd64")),
            (json!(null), None),
        ] {
            let index = json!({"schemaVersion": 2, "manifests": [
                {"mediaType": MediaType::IMAGE_MANIFEST, "digest": EMPTY, "size": 2, "platform": platform}]});
            let Manifest::Index(read) = parse(&index, MediaType::IMAGE_INDEX).unwrap() else { panic!() };
            let found = read.children[0].platform.as_ref().map(ToString::to_string);
            assert_eq!(found.as_deref(), named, "{platform}");
        }
    }

    #[test]
    fn hostile_bytes_are_refused_without_harm() {
        let index = oci(MediaType::IMAGE_INDEX);
        let deep =
            format!("{{\"schemaVersion\":2,\"manifests\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(Manifest::parse(deep.as_bytes(), &index), Err(ManifestError::Json(_))));
        let large = vec![b' '; Manifest::LARGEST + 1];
        assert!(matches!(Manifest::parse(&large, &index), Err(ManifestError::TooLarge(_))));
        let mut schema1 = image();
        schema1["schemaVersion"] = json!(1);
        assert!(matches!(parse(&schema1, MediaType::IMAGE_MANIFEST), Err(ManifestError::Schema1)));
        let mut data = image();
        data["config"]["data"] = json!("e30=");
        assert!(parse(&data, MediaType::IMAGE_MANIFEST).is_ok());
        data["config"]["data"] = json!("e31=");
        assert!(matches!(
            parse(&data, MediaType::IMAGE_MANIFEST),
            Err(ManifestError::Data(_) | ManifestError::Descriptor(_))
        ));
        let mut sha512 = image();
        sha512["config"]["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
        assert!(matches!(
            parse(&sha512, MediaType::IMAGE_MANIFEST),
            Err(ManifestError::Descriptor("digest"))
        ));
        let mut huge = image();
        huge["config"]["size"] = json!(u64::MAX);
        assert!(matches!(parse(&huge, MediaType::IMAGE_MANIFEST), Err(ManifestError::Descriptor("size"))));
    }

    #[test]
    fn the_media_type_is_found_where_registries_leave_it_out() {
        let bytes = serde_json::to_vec(&image()).unwrap();
        for content_type in [None, Some("application/json"), Some("text/plain; charset=utf-8")] {
            assert_eq!(
                Manifest::media_type(&bytes, content_type).unwrap().as_str(),
                MediaType::IMAGE_MANIFEST
            );
        }
        let index = br#"{"schemaVersion":2,"manifests":[]}"#;
        assert_eq!(Manifest::media_type(index, None).unwrap().as_str(), MediaType::IMAGE_INDEX);
        let docker =
            Manifest::media_type(&bytes, Some("application/vnd.docker.distribution.manifest.v2+json"));
        assert_eq!(docker.unwrap().as_str(), MediaType::DOCKER_MANIFEST);
        let schema1 = Manifest::media_type(
            br#"{"schemaVersion":1}"#,
            Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
        );
        assert!(matches!(schema1, Err(ManifestError::Schema1)));
    }
}
