//! SBOMs of a directory, as `bundle scan --sbom` writes them, attached to the images that they are about.
//! Takes a directory and what was resolved; adds artifacts whose bytes are read from the directory, the same each time.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use bundle_format::{Artifact, Kind, Target, reason};
use bundle_oci::{Digest, Manifest, MediaType, Reference};
use bytes::Bytes;
use serde::Serialize;

use super::compression::digest;
use super::content::Content;
use super::error::{LocalCause, LocalError};
use super::store::{Blobs, Found, LocalImage, LocalStore};
use crate::{Limits, Origin, Resolved};

/// The type of an empty config (image-spec, manifest.md §Guidance for an Empty Descriptor).
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// How an SBOM of one form is attached.
struct Form {
    /// The end of its file's name, after the digits of the manifest's digest.
    ending: &'static str,
    layer: &'static str,
    config: &'static str,
    artifact_type: Option<&'static str>,
}

/// SPDX as Harbor attaches its own, which it shows as an SBOM (harbor, src/server/middleware/subject/subject.go and
/// src/controller/artifact/processor/sbom/sbom.go); CycloneDX as Trivy looks for it (trivy, pkg/oci/artifact.go).
const FORMS: [Form; 2] = [
    Form {
        ending: "spdx.json",
        layer: "application/spdx+json",
        config: "application/vnd.goharbor.harbor.sbom.v1",
        artifact_type: None,
    },
    Form {
        ending: "cdx.json",
        layer: "application/vnd.cyclonedx+json",
        config: EMPTY_TYPE,
        artifact_type: Some("application/vnd.cyclonedx+json"),
    },
];

/// The manifest that attaches an SBOM.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    schema_version: u32,
    media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    config: Part<'a>,
    layers: [Part<'a>; 1],
    subject: Part<'a>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    media_type: &'a str,
    digest: Digest,
    size: u64,
}

/// A manifest that an SBOM may be about.
struct Subject {
    digest: Digest,
    media_type: MediaType,
    size: u64,
}

/// Attaches the SBOMs of `directory` to the images that carry none, and says to how many manifests.
///
/// # Errors
/// The directory, or a file of it, cannot be used.
pub(crate) fn attach_sboms(directory: &Path, resolved: &mut Resolved) -> Result<usize, LocalError> {
    let name = format!("the SBOMs in {}", directory.display());
    attach(directory, &name, resolved).map_err(|cause| cause.of(&name))
}

fn attach(directory: &Path, name: &str, resolved: &mut Resolved) -> Result<usize, LocalCause> {
    if !directory.metadata()?.is_dir() {
        return Err(std::io::Error::from(std::io::ErrorKind::NotADirectory).into());
    }
    let wrong =
        |_| LocalCause::Document { file: "manifest".to_owned(), what: "has no media type".to_owned() };
    let media_type: MediaType = MediaType::IMAGE_MANIFEST.parse().map_err(wrong)?;
    let carried: HashSet<(Target, Digest)> = resolved
        .artifacts
        .iter()
        .filter(|artifact| artifact.kind == Kind::Sbom)
        .filter_map(|artifact| Some((untagged(&artifact.target), artifact.subject?)))
        .collect();
    let mut store = LocalStore::new(name.to_owned(), Blobs::Nowhere);
    store.known.insert(Digest::of(EMPTY), Content::Memory(Bytes::from_static(EMPTY)));
    // Names of one image share its SBOMs, each of which is hashed once.
    let mut known: HashMap<Digest, Vec<Bytes>> = HashMap::new();
    let mut attached: HashSet<(Target, Digest)> = HashSet::new();
    let mut made: Vec<(Artifact, Bytes)> = Vec::new();
    let images = resolved.artifacts.iter().filter(|it| it.kind == Kind::Image && it.subject.is_none());
    for image in images {
        let target = untagged(&image.target);
        // What a publisher attached to the whole image is about each of its platforms.
        let has = |digest: Digest| carried.contains(&(target.clone(), digest));
        if has(image.digest) {
            continue;
        }
        for subject in subjects(image, &resolved.contents) {
            if has(subject.digest) || !attached.insert((target.clone(), subject.digest)) {
                continue;
            }
            let manifests = match known.entry(subject.digest) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(manifests(directory, &subject, &mut store)?),
            };
            for bytes in manifests.iter() {
                let artifact = artifact(image, &target, &subject, &media_type, bytes);
                made.push((artifact, bytes.clone()));
            }
        }
    }
    let store = Arc::new(store);
    let number = made.iter().map(|(artifact, _)| artifact.subject).collect::<HashSet<_>>().len();
    for (artifact, bytes) in made {
        let (root, media_type) = (artifact.digest, artifact.media_type.clone());
        let found = Found { names: Vec::new(), tag: None, root, media_type };
        resolved.contents.insert(root, bytes);
        resolved.origins.insert(root, Origin::Local(LocalImage::new(&store, &found)));
        resolved.artifacts.push(artifact);
    }
    Ok(number)
}

fn untagged(target: &Target) -> Target {
    Target { tag: None, ..target.clone() }
}

/// The manifests of an image's platforms.
fn subjects(image: &Artifact, contents: &HashMap<Digest, Bytes>) -> Vec<Subject> {
    let mut found = Vec::new();
    let mut open = vec![(image.digest, image.media_type.clone())];
    // The format bounds the depth of indexes and what they list.
    for _ in 0..=bundle_format::Limits::V1.index_depth {
        for (digest, media_type) in std::mem::take(&mut open) {
            let Some(bytes) = contents.get(&digest) else { continue };
            match Manifest::parse(bytes, &media_type) {
                Ok(Manifest::Index(index)) => {
                    let children = index.children.into_iter().filter(|child| child.attests().is_none());
                    open.extend(children.map(|it| (it.descriptor.digest, it.descriptor.media_type)));
                }
                Ok(Manifest::Image(_)) => {
                    found.push(Subject { digest, media_type, size: bytes.len() as u64 });
                }
                // Whoever resolved it has parsed it.
                Err(_) => {}
            }
        }
    }
    found
}

/// The manifests that attach the SBOMs that the directory has of this one.
fn manifests(directory: &Path, subject: &Subject, store: &mut LocalStore) -> Result<Vec<Bytes>, LocalCause> {
    let mut made = Vec::new();
    for form in &FORMS {
        let file = format!("{}.{}", subject.digest.hex(), form.ending);
        let path = directory.join(&file);
        let size = match path.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let limit = Limits::DEFAULT.sbom;
        if size > limit {
            return Err(LocalCause::TooLarge { file, found: size, limit });
        }
        let content = Content::Whole { path, size };
        let digest = digest(&content)?;
        store.known.insert(digest, content);
        let manifest = Made {
            schema_version: 2,
            media_type: MediaType::IMAGE_MANIFEST,
            artifact_type: form.artifact_type,
            config: Part { media_type: form.config, digest: Digest::of(EMPTY), size: EMPTY.len() as u64 },
            layers: [Part { media_type: form.layer, digest, size }],
            subject: Part {
                media_type: subject.media_type.as_str(),
                digest: subject.digest,
                size: subject.size,
            },
        };
        let bytes = serde_json::to_vec(&manifest);
        made.push(bytes.map(Bytes::from).map_err(|source| LocalCause::Json { file, source })?);
    }
    Ok(made)
}

fn artifact(
    image: &Artifact,
    target: &Target,
    subject: &Subject,
    media_type: &MediaType,
    bytes: &Bytes,
) -> Artifact {
    let digest = Digest::of(bytes);
    let (registry, repository) = (image.source.registry().clone(), image.source.repository().clone());
    Artifact {
        kind: Kind::Sbom,
        source: Reference::pinned(registry, repository, digest),
        target: target.clone(),
        digest,
        media_type: media_type.clone(),
        platforms: Vec::new(),
        derived_from: None,
        subject: Some(subject.digest),
        reasons: vec![reason(&format!("sbom of {}, made by a scanner", image.source))],
    }
}
