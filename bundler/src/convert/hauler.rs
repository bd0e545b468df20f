//! Hauler's manifests (hauler.dev, "Hauler Content"; pkg/apis/hauler.cattle.io): `Images`, `Charts`, `Files`, of
//! v1 and v1alpha1. Takes a document; fills a [`Draft`].

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ConvertError;
use super::document::{Document, Others};
use super::draft::Draft;
use super::draft::{Chart, File, Image};

/// How `apiVersion` begins.
pub(super) const API_GROUP: &str = "content.hauler.cattle.io/";

/// How the `apiVersion` of collections begins, which stand for content that Hauler knows.
pub(super) const COLLECTIONS: &str = "collection.hauler.cattle.io/";

/// The kinds of content (pkg/consts, `ImagesContentKind` and others).
const KINDS: [&str; 3] = ["Images", "Charts", "Files"];

#[derive(Deserialize)]
struct Manifest {
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    images: Vec<ImageEntry>,
    charts: Vec<ChartEntry>,
    files: Vec<FileEntry>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct ImageEntry {
    name: String,
    platform: Option<String>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChartEntry {
    name: String,
    #[serde(rename = "repoURL")]
    repo_url: Option<String>,
    version: Option<String>,
    values: Option<String>,
    #[serde(default)]
    values_files: Vec<String>,
    kube_version: Option<String>,
    /// Ours always carries a chart's images and dependencies.
    #[serde(alias = "add-images")]
    add_images: Option<String>,
    #[serde(rename = "addDependencies", alias = "add-dependencies")]
    _add_dependencies: Option<String>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct FileEntry {
    path: String,
    name: Option<String>,
    #[serde(flatten)]
    others: Others,
}

/// Reads a manifest.
pub(super) fn read(document: &Document, draft: &mut Draft) -> Result<(), ConvertError> {
    let Manifest { kind, metadata, spec } = document.read()?;
    if !KINDS.contains(&kind.as_str()) {
        let text = format!("'{kind}' is not converted: list its images, charts and files themselves");
        draft.lost(&format!("document at line {}", document.line), text);
        return Ok(());
    }
    let annotation = |name: &str| metadata.annotations.get(&format!("hauler.dev/{name}")).cloned();
    for name in metadata.annotations.keys().filter_map(|name| name.strip_prefix("hauler.dev/")) {
        if !["platform", "registry"].contains(&name) {
            draft.note(&format!("{kind} metadata.annotations.hauler.dev/{name}"), unchecked(name));
        }
    }
    for (at, image) in spec.images.into_iter().enumerate() {
        let place = format!("{kind} spec.images[{at}]");
        for name in image.others.keys() {
            draft.note(&format!("{place}.{name}"), unchecked(name));
        }
        let platform = image.platform.or_else(|| annotation("platform"));
        let mut reference = image.name;
        if let Some(registry) = annotation("registry").filter(|_| !has_registry(&reference)) {
            reference = format!("{registry}/{reference}");
        }
        let platforms =
            platform.into_iter().filter(|platform| !platform.is_empty() && platform != "all").collect();
        draft.image(&place, Image { reference, platforms, ..Image::default() });
    }
    for (at, chart) in spec.charts.into_iter().enumerate() {
        read_chart(&format!("{kind} spec.charts[{at}]"), chart, draft);
    }
    for (at, file) in spec.files.into_iter().enumerate() {
        let place = format!("{kind} spec.files[{at}]");
        draft.unread(&place, &file.others);
        let rename = file.name;
        draft.file(&place, File { source: file.path, sha256: None, rename, executable: false });
    }
    for name in spec.others.keys() {
        draft.lost(&format!("{kind} spec.{name}"), "is not converted: list its images and charts themselves");
    }
    Ok(())
}

fn read_chart(place: &str, entry: ChartEntry, draft: &mut Draft) {
    draft.unread(place, &entry.others);
    if entry.add_images.is_none_or(|wanted| wanted != "true") {
        draft.note(
            "spec.charts",
            "hauler carries these charts alone; with bundle their images travel too (see 'carry:')",
        );
    }
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (repo, name) = match text(entry.repo_url) {
        Some(repo) if repo.contains("://") => (Some(repo), entry.name),
        // A local chart is a path of its own, or a file in a directory.
        Some(directory) if directory != "." => {
            (None, format!("{}/{}", directory.trim_end_matches('/'), entry.name))
        }
        _ => (None, entry.name),
    };
    // The version of a local chart is in the chart.
    let version = text(entry.version).filter(|_| repo.is_some());
    let values = text(entry.values).into_iter().chain(entry.values_files).collect();
    draft.chart(Chart { repo, name, version, values, kube_version: text(entry.kube_version) });
}

fn unchecked(name: &str) -> &'static str {
    match name {
        "key" | "use-tlog-verify" => "is not expressed: create does not verify signatures, and carries them",
        name if name.starts_with("certificate-") => {
            "is not expressed: create does not verify signatures, and carries them"
        }
        "rewrite" => "is not expressed: in 'cache' an image keeps its name; 'as:' gives another",
        _ => "is not expressed",
    }
}

/// Whether a reference names its registry (distribution/reference: a dot, a colon, or localhost).
fn has_registry(reference: &str) -> bool {
    reference.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost")
}
