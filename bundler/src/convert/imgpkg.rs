//! imgpkg's `ImagesLock` and `BundleLock` (carvel.dev/imgpkg, "resources"): references with digests.
//! Takes a document; fills a [`Draft`].

use serde::Deserialize;

use super::ConvertError;
use super::document::{Document, Others};
use super::draft::Draft;

/// How `apiVersion` begins.
pub(super) const API_GROUP: &str = "imgpkg.carvel.dev/";

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    images: Vec<Image>,
    bundle: Option<Bundle>,
    #[serde(rename = "apiVersion")]
    _version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct Image {
    image: String,
    /// Its name when it was locked, and what kbld knows of it: notes for people.
    #[serde(rename = "annotations")]
    _annotations: Option<serde::de::IgnoredAny>,
    #[serde(flatten)]
    others: Others,
}

#[derive(Deserialize)]
struct Bundle {
    image: String,
    tag: Option<String>,
}

/// Reads a lock.
pub(super) fn read(document: &Document, draft: &mut Draft) -> Result<(), ConvertError> {
    let lock: Lock = document.read()?;
    for (at, image) in lock.images.iter().enumerate() {
        let place = format!("images[{at}]");
        draft.unread(&place, &image.others);
        draft.reference(&place, &image.image);
    }
    if let Some(Bundle { image, tag }) = lock.bundle {
        let reference = match (&tag, image.split_once('@')) {
            (Some(tag), Some((repository, digest))) => format!("{repository}:{}@{digest}", tag),
            _ => image,
        };
        draft.reference("bundle", &reference);
        draft.lost(
            "bundle",
            "images that this imgpkg bundle names are not carried: convert its .imgpkg/images.yml too",
        );
    }
    draft.unread("", &lock.others);
    Ok(())
}
