//! Files of `docker save` and `podman save` (moby, image/spec/spec.md §Combined Image JSON + Filesystem
//! Changeset Format), and those that crane, kaniko and Bazel write in this form. Takes a tree of files; gives
//! its images.
//!
//! Such a file has no manifest of a registry, unless it is of Docker 25 or newer, which puts an OCI layout
//! beside `manifest.json`. Then that manifest is taken byte for byte. Else one is made that depends on the
//! content alone: the config as it is, so that the image ID stays, and each layer as it is, without
//! compressing it.

use std::collections::HashMap;

use bundle_oci::{Digest, Manifest, MediaType, Reference};
use serde::{Deserialize, Serialize};

use super::compression::{Compression, digests};
use super::content::Content;
use super::error::LocalCause;
use super::layout::{self, Entry};
use super::store::{Blobs, Found, LocalStore};
use super::tree::Tree;
use crate::Limits;

const MANIFEST: &str = "manifest.json";

/// One image in `manifest.json`. Docker writes more fields.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

/// An image manifest (image-spec, manifest.md).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Part<'a>,
    layers: Vec<Part<'a>>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    media_type: &'a str,
    digest: Digest,
    size: u64,
}

/// A layer that was looked at.
struct Layer {
    media_type: String,
    digest: Digest,
    diff_id: Digest,
    content: Content,
}

/// Opens an archive.
pub(super) fn open(name: String, tree: Tree, limits: &Limits) -> Result<LocalStore, LocalCause> {
    let known = ["Config", "RepoTags", "Layers"];
    let saved: Vec<Saved> = tree
        .json(MANIFEST, Manifest::LARGEST as u64, &known, &["LayerSources"])?
        .ok_or(LocalCause::Lacks { file: MANIFEST, form: "a file of docker save" })?;
    if saved.len() > limits.local_images {
        return Err(document(format!("lists more than {} images", limits.local_images)));
    }
    let index = layout::read_index(&tree)?;
    let mut store = LocalStore::new(name, Blobs::Layout(tree));
    let beside = match index {
        Some(index) => manifests_beside(&store, index.manifests, limits)?,
        None => HashMap::new(),
    };
    let (mut layers, mut made_bytes) = (HashMap::new(), 0);
    for image in &saved {
        let found = read(&mut store, image, &beside, &mut layers, &mut made_bytes, limits)?;
        match store.images.iter_mut().find(|known| known.root == found.root) {
            Some(known) => known.names.extend(found.names),
            None => store.images.push(found),
        }
    }
    Ok(store)
}

fn tree(store: &LocalStore) -> Result<&Tree, LocalCause> {
    match &store.blobs {
        Blobs::Layout(tree) => Ok(tree),
        Blobs::Plain(_) | Blobs::Nowhere => Err(LocalCause::Empty),
    }
}

fn read(
    store: &mut LocalStore,
    image: &Saved,
    beside: &HashMap<Digest, (Digest, MediaType)>,
    layers: &mut HashMap<String, Layer>,
    made_bytes: &mut u64,
    limits: &Limits,
) -> Result<Found, LocalCause> {
    let absent = |file: &str| document(format!("names '{file}', which is not there"));
    let config = tree(store)?.read(&image.config, limits.config)?.ok_or_else(|| absent(&image.config))?;
    let in_place = tree(store)?.find(&image.config)?.ok_or_else(|| absent(&image.config))?;
    let id = Digest::of(&config);
    if let Some(named) = digest_in(&image.config)
        && named != id
    {
        return Err(LocalCause::Content { expected: named, found: id });
    }
    let names = names(image)?;
    if let Some((root, media_type)) = beside.get(&id) {
        return Ok(Found { names, tag: None, root: *root, media_type: media_type.clone() });
    }
    // Not compared by folded names as manifests are: people choose the names of labels.
    let parsed: Config = serde_json::from_slice(&config)
        .map_err(|source| LocalCause::Json { file: image.config.clone(), source })?;
    let diff_ids = parsed.rootfs.diff_ids.unwrap_or_default();
    let paths = image.layers.as_deref().unwrap_or_default();
    if diff_ids.len() != paths.len() {
        let (found, told) = (paths.len(), diff_ids.len());
        return Err(document(format!("lists {found} layers of an image whose config has {told}")));
    }
    for (path, diff_id) in paths.iter().zip(&diff_ids) {
        if !layers.contains_key(path) {
            let content = tree(store)?.find(path)?.ok_or_else(|| absent(path))?;
            layers.insert(path.clone(), Layer::of(content, *diff_id, limits)?);
        }
        let layer = &layers[path];
        if layer.diff_id != *diff_id {
            return Err(LocalCause::Content { expected: *diff_id, found: layer.diff_id });
        }
        store.known.insert(layer.digest, layer.content.clone());
    }
    let parts = paths.iter().filter_map(|path| layers.get(path)).map(Layer::part);
    let size = config.len() as u64;
    let made = Made {
        schema_version: 2,
        media_type: MediaType::IMAGE_MANIFEST,
        config: Part { media_type: "application/vnd.oci.image.config.v1+json", digest: id, size },
        layers: parts.collect(),
    };
    let manifest =
        serde_json::to_vec(&made).map_err(|source| LocalCause::Json { file: MANIFEST.to_owned(), source })?;
    *made_bytes += manifest.len() as u64;
    if manifest.len() > Manifest::LARGEST || *made_bytes > limits.manifests {
        return Err(document("lists more layers than manifests may have".to_owned()));
    }
    let root = Digest::of(&manifest);
    let media_type = Manifest::media_type(&manifest, Some(MediaType::IMAGE_MANIFEST))
        .map_err(|source| LocalCause::Manifest { digest: root, source })?;
    // Not kept in memory: an archive may have thousands.
    store.known.insert(id, in_place);
    store.known.insert(root, Content::Memory(manifest.into()));
    Ok(Found { names, tag: None, root, media_type })
}

impl Layer {
    /// Looks at a layer. One that is not compressed has its DiffID for a digest, which is compared when its
    /// bytes are read for the bundle; the digest of one that is compressed is not known before.
    fn of(content: Content, diff_id: Digest, limits: &Limits) -> Result<Self, LocalCause> {
        let compression = Compression::of(&content)?;
        let digest = match compression {
            Compression::None => diff_id,
            Compression::Gzip | Compression::Zstandard => {
                let found = digests(&content, compression, limits.unpacked_layer)?;
                if found.unpacked != diff_id {
                    return Err(LocalCause::Content { expected: diff_id, found: found.unpacked });
                }
                found.packed
            }
        };
        let media_type = format!("application/vnd.oci.image.layer.v1.tar{}", compression.suffix());
        Ok(Self { media_type, digest, diff_id, content })
    }

    fn part(&self) -> Part<'_> {
        Part { media_type: &self.media_type, digest: self.digest, size: self.content.size() }
    }
}

/// The names of an image, which have tags.
fn names(image: &Saved) -> Result<Vec<Reference>, LocalCause> {
    let mut names = Vec::new();
    for text in image.repo_tags.iter().flatten() {
        let name: Reference =
            text.parse().map_err(|error| document(format!("has the name '{text}': {error}")))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The digest in the name of a config: `HEX.json`, `blobs/sha256/HEX`, `sha256:HEX`.
fn digest_in(path: &str) -> Option<Digest> {
    let name = path.rsplit('/').next()?;
    let name = name.strip_suffix(".json").unwrap_or(name);
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    format!("sha256:{hex}").parse().ok()
}

/// The manifests of the layout beside `manifest.json` whose config and layers are all there, by their configs.
/// An index may list platforms that were not saved.
fn manifests_beside(
    store: &LocalStore,
    entries: Vec<Entry>,
    limits: &Limits,
) -> Result<HashMap<Digest, (Digest, MediaType)>, LocalCause> {
    let mut found = HashMap::new();
    let mut open: Vec<(Digest, MediaType)> =
        entries.into_iter().map(|entry| (entry.digest, entry.media_type)).collect();
    let mut seen = std::collections::HashSet::new();
    while let Some((digest, media_type)) = open.pop() {
        if !MediaType::MANIFESTS.contains(&media_type.as_str()) || !seen.insert(digest) {
            continue;
        }
        if seen.len() > limits.local_images {
            return Err(LocalCause::Document {
                file: "index.json".to_owned(),
                what: format!("leads to more than {} manifests", limits.local_images),
            });
        }
        match store.parsed(digest, &media_type)? {
            Some(Manifest::Index(index)) => {
                let children = index.children.into_iter().map(|child| child.descriptor);
                open.extend(children.map(|child| (child.digest, child.media_type)));
            }
            Some(Manifest::Image(image)) => {
                let mut whole = true;
                for blob in image.layers.iter().chain([&image.config]) {
                    whole &= store.find(blob.digest)?.is_some_and(|content| content.size() == blob.size);
                }
                if whole {
                    found.insert(image.config.digest, (digest, media_type));
                }
            }
            None => {}
        }
    }
    Ok(found)
}

fn document(what: String) -> LocalCause {
    LocalCause::Document { file: MANIFEST.to_owned(), what }
}
