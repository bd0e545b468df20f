//! oc-mirror's `ImageSetConfiguration`, v1alpha2 and v2alpha1 (openshift/oc-mirror, docs/imageset-config-ref.yaml):
//! additional images, Helm charts and blocked images. Takes a document; fills a [`Draft`].

use serde::Deserialize;

use super::ConvertError;
use super::document::{Document, Others};
use super::draft::Draft;
use super::draft::{Chart, Image};

/// The kind of its document.
pub(super) const KIND: &str = "ImageSetConfiguration";

/// oc-mirror reads keys in any case (sigs.k8s.io/yaml); these are known as it documents them, and in small letters.
const NOT_KNOWN: &str = "is not known, and what it asks for is not carried: is its name right, and its case?";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    #[serde(default)]
    mirror: Mirror,
    #[serde(alias = "archivesize")]
    archive_size: Option<String>,
    #[serde(rename = "apiVersion", alias = "apiversion")]
    _version: Option<String>,
    #[serde(rename = "kind")]
    _kind: Option<String>,
    /// Where oc-mirror keeps its own state.
    #[serde(rename = "storageConfig", alias = "storageconfig")]
    _storage: Option<serde::de::IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Mirror {
    #[serde(alias = "additionalimages")]
    additional_images: Vec<ImageEntry>,
    #[serde(alias = "blockedimages")]
    blocked_images: Vec<ImageEntry>,
    helm: Helm,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageEntry {
    name: String,
    #[serde(alias = "targetrepo")]
    target_repo: Option<String>,
    #[serde(alias = "targettag")]
    target_tag: Option<String>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Helm {
    repositories: Vec<Repository>,
    local: Vec<Local>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct Repository {
    url: String,
    #[serde(default)]
    charts: Vec<ChartEntry>,
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChartEntry {
    name: String,
    version: Option<String>,
    #[serde(alias = "imagepaths")]
    image_paths: Option<serde::de::IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct Local {
    path: String,
}

/// Reads a configuration.
pub(super) fn read(document: &Document, draft: &mut Draft) -> Result<(), ConvertError> {
    let Configuration { mirror, archive_size, others, .. } = document.read()?;
    if let Some(size) = archive_size {
        let text = format!("is not expressed: `bundle create --volume-size {}GiB`", size);
        draft.note("archiveSize", text);
    }
    for name in others.keys() {
        match name.eq_ignore_ascii_case("mirror") {
            true => draft.lost(name, "is not read: write 'mirror'"),
            false => draft.note(name, "is not expressed"),
        }
    }
    for (at, entry) in mirror.additional_images.into_iter().enumerate() {
        let place = format!("mirror.additionalImages[{at}]");
        draft.unread(&place, &entry.others);
        if entry.target_repo.is_some() || entry.target_tag.is_some() {
            draft.note(&place, "targetRepo and targetTag are not expressed: in 'cache' an image keeps its name; 'as:' gives another");
        }
        let name = entry.name;
        let reference = name.strip_prefix("docker://").unwrap_or(&name);
        match name.strip_prefix("oci://") {
            Some(path) => draft.images.push(Image { reference: format!("oci:{path}"), ..Image::default() }),
            None => draft.reference(&place, reference),
        }
    }
    for (at, entry) in mirror.blocked_images.into_iter().enumerate() {
        let name = entry.name;
        // Version 2 takes regular expressions here.
        match name.contains(['^', '$', '*', '(', '[', '\\']) {
            true => draft.note(
                &format!("mirror.blockedImages[{at}]"),
                format!("'{name}' is a pattern: name these images below 'exclude:'"),
            ),
            false => drop(draft.exclude.insert(name)),
        }
    }
    for name in mirror.helm.others.keys() {
        draft.lost(&format!("mirror.helm.{name}"), NOT_KNOWN);
    }
    for (at, repository) in mirror.helm.repositories.into_iter().enumerate() {
        let place = format!("mirror.helm.repositories[{at}]");
        for name in repository.others.keys() {
            draft.lost(&format!("{place}.{name}"), NOT_KNOWN);
        }
        if repository.charts.is_empty() {
            draft.lost(&place, "asks for all charts of the repository: list them");
        }
        for chart in repository.charts {
            draft.unread(&format!("{place}.charts[]"), &chart.others);
            if chart.image_paths.is_some() {
                draft.note(
                    "mirror.helm.repositories[].charts[].imagePaths",
                    "is not needed: every field of a rendered chart is searched",
                );
            }
            draft.chart(Chart {
                repo: Some(repository.url.clone()),
                name: chart.name,
                version: chart.version,
                ..Chart::default()
            });
        }
    }
    for chart in mirror.helm.local {
        draft.chart(Chart { name: chart.path, ..Chart::default() });
    }
    for name in mirror.others.keys() {
        let place = format!("mirror.{name}");
        match name.as_str() {
            "platform" => {
                draft.lost(&place, "OpenShift's releases are not converted: keep oc-mirror for them")
            }
            "operators" => {
                draft.lost(&place, "operator catalogs are not converted: list the images of the operators")
            }
            "samples" => draft.lost(&place, "samples are not converted: list their images"),
            _ => draft.lost(&place, NOT_KNOWN),
        }
    }
    Ok(())
}
