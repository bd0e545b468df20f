//! oc-mirror's `ImageSetConfiguration`, v1alpha2 and v2alpha1 (openshift/oc-mirror, docs/imageset-config-ref.yaml):
//! additional images, Helm charts and blocked images. Takes a document; fills a [`Draft`].

use serde::Deserialize;

use super::ConvertError;
use super::document::{Document, Others};
use super::draft::Draft;
use super::draft::{Chart, Image};

/// The kind of its document.
pub(super) const KIND: &str = "ImageSetConfiguration";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    #[serde(default)]
    mirror: Mirror,
    archive_size: Option<String>,
    #[serde(rename = "apiVersion")]
    _version: Option<String>,
    #[serde(rename = "kind")]
    _kind: Option<String>,
    /// Where oc-mirror keeps its own state.
    #[serde(rename = "storageConfig")]
    _storage: Option<serde::de::IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Mirror {
    additional_images: Vec<ImageEntry>,
    blocked_images: Vec<ImageEntry>,
    helm: Helm,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageEntry {
    name: String,
    target_repo: Option<String>,
    target_tag: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Helm {
    repositories: Vec<Repository>,
    local: Vec<Local>,
}

#[derive(Deserialize)]
struct Repository {
    url: String,
    #[serde(default)]
    charts: Vec<ChartEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChartEntry {
    name: String,
    version: Option<String>,
    image_paths: Option<serde::de::IgnoredAny>,
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
    draft.unread("", &others);
    for (at, entry) in mirror.additional_images.into_iter().enumerate() {
        let place = format!("mirror.additionalImages[{at}]");
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
    for repository in mirror.helm.repositories {
        for chart in repository.charts {
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
            _ => draft.note(&place, "is not expressed"),
        }
    }
    Ok(())
}
