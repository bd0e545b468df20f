//! OCI image layouts (image-spec, image-layout.md), as skopeo, podman, buildx, crane, oras and this program
//! write them. Takes a tree of files; gives the images that `index.json` names, byte for byte, with what is
//! attached to them.

use std::collections::HashMap;

use bundle_oci::{Digest, Manifest, MediaType, Reference, Tag};
use serde::Deserialize;

use super::error::LocalCause;
use super::store::{Blobs, Found, LocalStore};
use super::tree::Tree;
use crate::Limits;

const INDEX: &str = "index.json";
const FORM: &str = "an OCI image layout";
/// The full name of an image (containerd and BuildKit write it).
const FULL_NAME: &str = "io.containerd.image.name";
/// The name of an image: by the specification a tag or any text, in practice often a full name.
const NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutVersion {
    image_layout_version: String,
}

#[derive(Deserialize)]
pub(super) struct LayoutIndex {
    pub(super) manifests: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) media_type: MediaType,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default)]
    annotations: Option<HashMap<String, String>>,
}

/// The index of a layout, if there is one.
pub(super) fn read_index(tree: &Tree) -> Result<Option<LayoutIndex>, LocalCause> {
    let known = ["manifests", "mediaType", "digest", "size", "annotations"];
    tree.json(INDEX, Manifest::LARGEST as u64, &known, &["annotations"])
}

/// Opens a layout.
pub(super) fn open(name: String, tree: Tree, limits: &Limits) -> Result<LocalStore, LocalCause> {
    let known = ["imageLayoutVersion"];
    let version: LayoutVersion = tree
        .json("oci-layout", limits.layout_version, &known, &[])?
        .ok_or(LocalCause::Lacks { file: "oci-layout", form: FORM })?;
    if version.image_layout_version != "1.0.0" {
        let what = "names a version of the layout other than 1.0.0".to_owned();
        return Err(LocalCause::Document { file: "oci-layout".to_owned(), what });
    }
    let index = read_index(&tree)?.ok_or(LocalCause::Lacks { file: INDEX, form: FORM })?;
    if index.manifests.len() > limits.local_images {
        let what = format!("lists more than {} manifests", limits.local_images);
        return Err(LocalCause::Document { file: INDEX.to_owned(), what });
    }
    let mut store = LocalStore::new(name, Blobs::Layout(tree));
    for entry in index.manifests {
        add(&mut store, entry)?;
    }
    Ok(store)
}

fn add(store: &mut LocalStore, entry: Entry) -> Result<(), LocalCause> {
    let Entry { media_type, digest, size, annotations } = entry;
    if !MediaType::MANIFESTS.contains(&media_type.as_str()) {
        // The specification allows entries of any type; what is no manifest is no image.
        return Ok(());
    }
    let manifest = store.parsed(digest, &media_type)?.ok_or(LocalCause::Missing(digest))?;
    let found = store.find(digest)?.map_or(0, |content| content.size());
    if found != size {
        return Err(LocalCause::Size { digest, expected: size, found });
    }
    let (name, tag) = name_of(digest, &annotations.unwrap_or_default());
    let any_tag = tag.clone().or_else(|| name.as_ref().and_then(|name| name.tag().cloned()));
    let of_referrer = any_tag.as_ref().is_some_and(is_referrers_tag);
    if let Some(tag) = any_tag {
        store.tags.entry(tag).or_insert(digest);
    }
    if let Some(subject) = manifest.subject() {
        store.referrers.entry(subject.digest).or_default().push(digest);
        return Ok(());
    }
    if of_referrer {
        return Ok(());
    }
    match store.images.iter_mut().find(|image| image.root == digest) {
        // One image may have several names, each with an entry.
        Some(known) => {
            known.names.extend(name.filter(|name| !known.names.contains(name)));
            known.tag = known.tag.take().or(tag);
        }
        None => store.images.push(Found { names: name.into_iter().collect(), tag, root: digest, media_type }),
    }
    Ok(())
}

/// The name of an entry, and its tag if it names only that.
fn name_of(digest: Digest, annotations: &HashMap<String, String>) -> (Option<Reference>, Option<Tag>) {
    let short = annotations.get(NAME).map(String::as_str).unwrap_or_default();
    let full = annotations.get(FULL_NAME).map(String::as_str);
    // A word without a separator is a tag: `oci:DIR:1.27` writes it, and buildx.
    let full = full.or_else(|| short.contains(['/', ':', '@']).then_some(short));
    let name = full.and_then(|name| name.parse::<Reference>().ok());
    // A name with another digest would be a lie.
    let name = name.filter(|name| name.digest().is_none_or(|named| named == digest));
    let tag = short.parse().ok().filter(|_| name.is_none());
    (name, tag)
}

/// Whether a tag is one of the referrers tag schema, or of cosign.
fn is_referrers_tag(tag: &Tag) -> bool {
    let digest = tag.as_str().strip_prefix("sha256-").and_then(|rest| rest.get(..64));
    digest.is_some_and(|hex| format!("sha256:{hex}").parse::<Digest>().is_ok())
}
