//! `zarf.yaml`, v1alpha1 and v1beta1 (docs.zarf.dev, "Schema"): components with images, charts, files and manifests.
//! Takes a document; fills a [`Draft`]. Only what is carried is converted: zarf also deploys.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ConvertError;
use super::document::{Document, Others};
use super::draft::Draft;
use super::draft::{Chart, File, Image};

/// The kinds of its documents.
pub(super) const KINDS: [&str; 2] = ["ZarfPackageConfig", "ZarfInitConfig"];

/// Fields of a component that ask for nothing that is carried.
const ABOUT: [&str; 10] = [
    "name",
    "description",
    "default",
    "required",
    "optional",
    "group",
    "healthChecks",
    "cosignKeyPath",
    "service",
    "features",
];

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    components: Vec<Component>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: Option<String>,
    architecture: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(default)]
    images: Vec<ImageEntry>,
    #[serde(default)]
    image_archives: Vec<Archive>,
    #[serde(default)]
    charts: Vec<ChartEntry>,
    #[serde(default)]
    files: Vec<FileEntry>,
    #[serde(default)]
    manifests: Vec<Manifests>,
    only: Option<Only>,
    #[serde(flatten)]
    others: Others,
}

/// A text, or in v1beta1 a map.
#[derive(Deserialize)]
#[serde(untagged)]
enum ImageEntry {
    Text(String),
    Map { name: String },
}

#[derive(Deserialize)]
struct Archive {
    path: String,
    #[serde(default)]
    images: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Only {
    flavor: Option<String>,
    cluster: Option<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    architecture: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ChartEntry {
    name: Option<String>,
    url: Option<String>,
    repo_name: Option<String>,
    version: Option<String>,
    local_path: Option<String>,
    values_files: Vec<String>,
    helm_repository: Option<Origin>,
    helm: Option<Origin>,
    oci: Option<Origin>,
    git: Option<IgnoredAny>,
    local: Option<Local>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Origin {
    name: Option<String>,
    url: Option<String>,
    version: Option<String>,
}

#[derive(Deserialize)]
struct Local {
    path: String,
}

#[derive(Deserialize)]
struct FileEntry {
    source: String,
    shasum: Option<String>,
    checksum: Option<String>,
    executable: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Manifests {
    files: Vec<String>,
    kustomizations: Vec<String>,
}

/// Reads a package.
pub(super) fn read(document: &Document, draft: &mut Draft) -> Result<(), ConvertError> {
    let package: Package = document.read()?;
    draft.name = package.metadata.name;
    if let Some(architecture) = package.metadata.architecture {
        draft.platforms.insert(format!("linux/{}", architecture));
    }
    for name in package.others.keys().filter(|name| !["kind", "apiVersion", "build"].contains(&name.as_str()))
    {
        draft.note(name, "is not expressed: bundle carries, and does not deploy");
    }
    for (at, component) in package.components.into_iter().enumerate() {
        read_component(&format!("components[{at}]"), component, draft);
    }
    Ok(())
}

fn read_component(place: &str, component: Component, draft: &mut Draft) {
    if let Some(only) = component.only {
        if only.flavor.is_some() {
            draft.note(
                &format!("{place}.only.flavor"),
                "is not expressed: the content of every flavor is in the file",
            );
        }
        if let Some(architecture) = only.cluster.and_then(|cluster| cluster.architecture) {
            let text = format!("is not expressed: content for {} alone is in the file for all", architecture);
            draft.note(&format!("{place}.only.cluster.architecture"), text);
        }
    }
    for (at, image) in component.images.into_iter().enumerate() {
        let (ImageEntry::Text(reference) | ImageEntry::Map { name: reference }) = image;
        draft.reference(&format!("{place}.images[{at}]"), &reference);
    }
    for archive in component.image_archives {
        let image = |name: Option<String>| Image {
            reference: match name {
                Some(name) => format!("docker-archive:{}:{name}", archive.path),
                None => format!("docker-archive:{}", archive.path),
            },
            ..Image::default()
        };
        match archive.images.is_empty() {
            true => draft.images.push(image(None)),
            false => draft.images.extend(archive.images.iter().map(|name| image(Some(name.clone())))),
        }
    }
    for (at, chart) in component.charts.into_iter().enumerate() {
        read_chart(&format!("{place}.charts[{at}]"), chart, draft);
    }
    for (at, file) in component.files.into_iter().enumerate() {
        let sha256 = file.shasum.or(file.checksum).map(|sum| sum.trim_start_matches("sha256:").to_owned());
        let executable = file.executable.is_some_and(|word| word == "true");
        let source = file.source;
        draft.file(&format!("{place}.files[{at}]"), File { source, sha256, rename: None, executable });
    }
    for (at, manifests) in component.manifests.into_iter().enumerate() {
        for file in manifests.files {
            match file.contains("://") {
                true => draft.lost(
                    &format!("{place}.manifests[{at}]"),
                    format!("{} is on a web server: fetch it, and list it below 'manifests:'", file),
                ),
                false if draft.manifests.contains(&file) => {}
                false => draft.manifests.push(file),
            }
        }
        for directory in manifests.kustomizations {
            let text = format!("run `kustomize build {}`, and list its output below 'manifests:'", directory);
            draft.lost(&format!("{place}.manifests[{at}].kustomizations"), text);
        }
    }
    for name in component.others.keys() {
        let place = format!("{place}.{name}");
        match name.as_str() {
            name if ABOUT.contains(&name) => {}
            "repos" | "repositories" => {
                draft.lost(&place, "Git repositories are not carried: list `git bundle` files below 'files:'")
            }
            "import" => draft.lost(&place, "convert the zarf.yaml that it imports too"),
            "dataInjections" => draft.lost(&place, "list these files below 'files:'"),
            _ => draft.note(&place, "is not expressed: bundle carries, and does not deploy"),
        }
    }
}

fn read_chart(place: &str, entry: ChartEntry, draft: &mut Draft) {
    draft.note(
        "components[].charts",
        "zarf carries only the images that it lists; with bundle all images of a chart travel (see 'carry:')",
    );
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let values: Vec<String> = entry.values_files;
    if let Some(path) = text(entry.local_path).or(entry.local.map(|local| local.path)) {
        return draft.chart(Chart { name: path, values, ..Chart::default() });
    }
    let origin = entry.helm_repository.or(entry.helm).or(entry.oci).unwrap_or_default();
    let url = text(entry.url).or(text(origin.url));
    let version = text(entry.version).or(text(origin.version));
    let name = text(entry.repo_name).or(text(origin.name)).or(text(entry.name));
    let (repo, name) = match (url, name) {
        (Some(url), _) if url.starts_with("oci://") => match url.rsplit_once('/') {
            Some((repo, name)) if repo != "oci:/" => (repo.to_owned(), name.to_owned()),
            _ => return draft.lost(place, format!("{url} names no chart")),
        },
        (Some(url), _) if is_in_git(&url) || entry.git.is_some() => {
            return draft
                .lost(place, format!("{url} is in Git: clone it, and name its directory with 'path:'"));
        }
        (Some(url), Some(name)) => (url, name),
        _ if entry.git.is_some() => {
            return draft.lost(place, "is in Git: clone it, and name its directory with 'path:'");
        }
        _ => return draft.lost(place, "names no repository"),
    };
    draft.chart(Chart { repo: Some(repo), name, version, values, ..Chart::default() });
}

/// Whether an address is of a Git repository, alone or with `@` and a reference, as zarf tells them from others
/// (src/internal/packager/helm/repo.go). Many Helm repositories are at `github.io`.
fn is_in_git(url: &str) -> bool {
    url.ends_with(".git") || url.contains(".git@")
}
