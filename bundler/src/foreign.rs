//! Layers that are marked non-distributable, such as those of Windows' base images: how they travel when people
//! ask for them, and which of an image's a bundle lacks. Takes manifests; gives an artifact that has the layers
//! as its own (docs/format.md §Non-distributable layers), with the addresses that the manifests name for them.

use std::collections::{HashMap, HashSet};

use bundle_format::{Artifact, Graph, Kind};
use bundle_oci::{Digest, Manifest, MediaType, ProjectName, RepositoryName};
use bundle_registry::FetchedManifest;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ResolveCause;
use crate::referrer::FoundReferrer;
use crate::resolve::parse;
use crate::store::Store;

/// The artifact type of what carries layers.
const ARTIFACT_TYPE: &str = "application/vnd.bundle.foreign-layers.v1";
/// The type of an empty config (image-spec, manifest.md §Guidance for an Empty Descriptor).
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";
/// How many addresses of one layer are asked. Windows' base images name one or two.
const MOST_ADDRESSES: usize = 4;
/// An address, in bytes: what is longer no server takes.
const LONGEST_ADDRESS: usize = 2 << 10;

/// The artifact that carries an image's non-distributable layers.
pub(crate) struct ForeignCarrier {
    /// The artifact, attached to the image.
    pub(crate) artifact: FoundReferrer,
    /// Where else than at the registry each layer is, as the manifests say.
    pub(crate) addresses: HashMap<Digest, Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CarrierManifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    artifact_type: &'static str,
    config: Descriptor<'a>,
    layers: Vec<Descriptor<'a>>,
    subject: Descriptor<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: Digest,
    size: u64,
}

/// The addresses in a manifest's layers: [`Manifest`] leaves them out.
#[derive(Deserialize)]
struct Addressed {
    #[serde(default)]
    layers: Option<Vec<AddressedLayer>>,
}

#[derive(Deserialize)]
struct AddressedLayer {
    digest: Digest,
    #[serde(default)]
    urls: Option<Vec<String>>,
}

impl ForeignCarrier {
    /// The carrier for an image whose manifests are all in the store; none if it has no non-distributable
    /// layer.
    pub(crate) fn of(root: &FetchedManifest, store: &Store) -> Result<Option<Self>, ResolveCause> {
        let mut layers: Vec<(MediaType, Digest, u64)> = Vec::new();
        let mut addresses: HashMap<Digest, Vec<String>> = HashMap::new();
        let mut seen = HashSet::new();
        // The last one is next: children are put there in reverse.
        let mut open = vec![root.clone()];
        while let Some(fetched) = open.pop() {
            match parse(&fetched)? {
                Manifest::Index(index) => {
                    for child in index.children.iter().rev() {
                        let digest = child.descriptor.digest;
                        if seen.insert(digest)
                            && let Some(below) = store.manifest(digest)
                        {
                            let media_type = child.descriptor.media_type.clone();
                            open.push(FetchedManifest { media_type, ..below });
                        }
                    }
                }
                Manifest::Image(image) => {
                    let foreign = image.layers.into_iter().filter_map(|layer| {
                        Some((layer.media_type.distributable()?, layer.digest, layer.size))
                    });
                    let foreign: Vec<_> = foreign.collect();
                    if foreign.is_empty() {
                        continue;
                    }
                    for layer in foreign {
                        if seen.insert(layer.1) {
                            layers.push(layer);
                        }
                    }
                    named_addresses(&fetched, &mut addresses);
                }
            }
        }
        if layers.is_empty() {
            return Ok(None);
        }
        let part = |media_type, digest, size| Descriptor { media_type, digest, size };
        let manifest = CarrierManifest {
            schema_version: 2,
            media_type: MediaType::IMAGE_MANIFEST,
            artifact_type: ARTIFACT_TYPE,
            config: part(EMPTY_TYPE, Digest::of(EMPTY), EMPTY.len() as u64),
            layers: layers.iter().map(|(kind, digest, size)| part(kind.as_str(), *digest, *size)).collect(),
            subject: part(root.media_type.as_str(), root.digest, root.bytes.len() as u64),
        };
        let wrong = |source| ResolveCause::Manifest {
            digest: root.digest,
            source: bundle_oci::ManifestError::Json(source),
        };
        let bytes = Bytes::from(serde_json::to_vec(&manifest).map_err(wrong)?);
        let unnamed = |error: bundle_oci::ParseMediaTypeError| {
            wrong(<serde_json::Error as serde::de::Error>::custom(error))
        };
        let media_type = MediaType::IMAGE_MANIFEST.parse().map_err(unnamed)?;
        let manifest = FetchedManifest { digest: Digest::of(&bytes), bytes, media_type };
        store.keep_manifest(manifest.clone(), 0)?;
        store.reserve(EMPTY.len() as u64)?;
        store.keep_config(Digest::of(EMPTY), Bytes::from_static(EMPTY));
        addresses.retain(|digest, _| layers.iter().any(|(_, layer, _)| layer == digest));
        for (_, digest, _) in &layers {
            addresses.entry(*digest).or_default();
        }
        let artifact = FoundReferrer { kind: Kind::Artifact, tag: None, subject: root.digest, manifest };
        Ok(Some(Self { artifact, addresses }))
    }
}

/// Takes note of the addresses that a manifest names for its layers, as far as they are asked.
fn named_addresses(manifest: &FetchedManifest, addresses: &mut HashMap<Digest, Vec<String>>) {
    // A manifest that does not follow the specification names no address.
    let Ok(Addressed { layers: Some(layers) }) = serde_json::from_slice(&manifest.bytes) else { return };
    for AddressedLayer { digest, urls } in layers {
        let known = addresses.entry(digest).or_default();
        for url in urls.into_iter().flatten() {
            if known.len() < MOST_ADDRESSES && url.len() <= LONGEST_ADDRESS && !known.contains(&url) {
                known.push(url);
            }
        }
    }
}

/// How many of an artifact's layers are marked non-distributable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ForeignCount {
    /// Those that the bundle lacks.
    pub(crate) lacking: usize,
    /// Those that another artifact pushes into the same repository.
    pub(crate) carried: usize,
}

impl ForeignCount {
    /// Its mark in the statement.
    pub(crate) fn mark(self) -> Option<String> {
        let layers = |count| if count == 1 { "1 layer is".to_owned() } else { format!("{count} layers are") };
        match self {
            Self { lacking: 0, carried: 0 } => None,
            Self { lacking: 0, carried } => Some(format!(
                "foreign layers: {} marked non-distributable and in the bundle",
                layers(carried)
            )),
            Self { lacking, .. } => Some(format!(
                "incomplete: {} marked non-distributable and not in the bundle",
                layers(lacking)
            )),
        }
    }
}

/// For each artifact, how many of its layers are marked non-distributable.
pub(crate) fn count(graph: &Graph, artifacts: &[Artifact]) -> Vec<ForeignCount> {
    if graph.foreign_layers.is_empty() {
        return vec![ForeignCount::default(); artifacts.len()];
    }
    let foreign: HashSet<Digest> = graph.foreign_layers.iter().copied().collect();
    let mut counts = vec![ForeignCount::default(); artifacts.len()];
    // One repository after the other: all of them together may name each layer many times.
    let mut places: HashMap<(&ProjectName, &RepositoryName), Vec<usize>> = HashMap::new();
    for (at, Artifact { target, .. }) in artifacts.iter().enumerate() {
        places.entry((&target.project, &target.repository)).or_default().push(at);
    }
    for here in places.values() {
        let extents = here.iter().flat_map(|&at| graph.extent(artifacts[at].digest));
        let brought: HashSet<Digest> =
            extents.map(|blob| blob.digest).filter(|digest| foreign.contains(digest)).collect();
        for &at in here {
            let layers = graph.foreign_of(artifacts[at].digest);
            let carried = layers.iter().filter(|layer| brought.contains(&layer.digest)).count();
            counts[at] = ForeignCount { lacking: layers.len() - carried, carried };
        }
    }
    counts
}
