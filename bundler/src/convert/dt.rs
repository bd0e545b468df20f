//! The `Images.lock` of `helm dt` (vmware-labs/distribution-tooling-for-helm, imagelock): a chart's images with a
//! digest for each platform. Takes a document; fills a [`Draft`].

use std::collections::BTreeSet;

use serde::Deserialize;

use super::ConvertError;
use super::document::{Document, Others};
use super::draft::Draft;
use super::draft::Image;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    images: Vec<Locked>,
    chart: Option<Chart>,
    #[serde(rename = "apiVersion")]
    _version: Option<String>,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "metadata")]
    _metadata: Option<serde::de::IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct Chart {
    name: String,
    version: Option<String>,
}

#[derive(Deserialize)]
struct Locked {
    image: String,
    #[serde(default)]
    digests: Vec<Digest>,
}

#[derive(Deserialize)]
struct Digest {
    arch: String,
}

/// Reads a lock.
pub(super) fn read(document: &Document, draft: &mut Draft) -> Result<(), ConvertError> {
    let lock: Lock = document.read()?;
    let mut pinned = false;
    for (at, locked) in lock.images.into_iter().enumerate() {
        let platforms: BTreeSet<String> = locked.digests.into_iter().map(|digest| digest.arch).collect();
        pinned |= !platforms.is_empty();
        let platforms = platforms.into_iter().collect();
        let image = Image { reference: locked.image, platforms, ..Image::default() };
        draft.image(&format!("images[{at}]"), image);
    }
    if pinned {
        draft.note(
            "images[].digests",
            "digests of single platforms are not expressed: run `bundle lock`, and compare them with bundle.lock",
        );
    }
    if let Some(chart) = lock.chart {
        let version = chart.version.map(|version| format!(" {}", version)).unwrap_or_default();
        let text = format!(
            "the chart {}{version} itself is not carried: the lock does not say where it is",
            chart.name
        );
        draft.lost("chart", text);
    }
    draft.unread("", &lock.others);
    Ok(())
}
