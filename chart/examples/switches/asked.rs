//! The images that rendered documents ask for, read without the crate's own discovery.
//! Takes a document; gives the plain fields: images of containers, fields of custom resources,
//! `repository` + `image` + `version`, environment variables and flags, JSON and YAML in ConfigMaps.

use bundle_chart::{Limits, Map, Value, yaml};
use bundle_oci::Reference;

use crate::{Images, keep};

/// An image's name with its registry, and `:latest` if it has neither tag nor digest.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let reference: Reference = text.trim().parse().ok()?;
    let bare = reference.tag().is_none() && reference.digest().is_none();
    Some(format!("{reference}{}", if bare { ":latest" } else { "" }))
}

/// Adds what a document asks for; `switch` is what was turned.
pub(crate) fn collect(document: &Value, switch: &str, images: &mut Images) {
    let Value::Map(map) = document else { return };
    let kind = text(map, "kind");
    if kind == "CustomResourceDefinition" {
        return;
    }
    let name = map.get("metadata").and_then(|meta| Some(text(meta.as_map()?, "name"))).unwrap_or_default();
    walk(document, &format!("{switch}; {kind}/{name}"), 0, images);
}

fn text(map: &Map, key: &str) -> String {
    map.get(key).as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// How deep texts inside texts are read.
const DEPTH: usize = 3;

fn walk(value: &Value, place: &str, depth: usize, images: &mut Images) {
    match value {
        Value::List(items) => {
            for (position, item) in items.iter().enumerate() {
                if let Some(word) = item.as_str() {
                    flag(word, &format!("{place}[{position}]"), images);
                }
                walk(item, &format!("{place}[{position}]"), depth, images);
            }
        }
        Value::Map(map) => {
            let is_container = ["containers", "initContainers", "ephemeralContainers"].iter().any(|list| {
                place.rsplit('.').next().is_some_and(|last| last.starts_with(&format!("{list}[")))
            });
            grouped(map, place, images);
            for (key, value) in map.entries() {
                let place = format!("{place}.{key}");
                let Some(text) = value.as_str() else {
                    walk(&value, &place, depth, images);
                    continue;
                };
                if &*key == "image" && is_container {
                    keep(images, text, || place.clone());
                } else if (&*key == "image" || key.ends_with("Image")) && is_whole(text) {
                    keep(images, text, || place.clone());
                } else if depth < DEPTH
                    && text.contains("image")
                    && text.contains('\n') | text.starts_with('{')
                    && let Ok(inner @ (Value::Map(_) | Value::List(_))) =
                        yaml::parse_values(text, &Limits::DEFAULT)
                {
                    walk(&inner, &place, depth + 1, images);
                }
            }
            let (name, value) = (text(map, "name"), text(map, "value"));
            if name.to_ascii_uppercase().contains("IMAGE") && is_hosted(&value) {
                keep(images, &value, || format!("{place} env {name}"));
            }
        }
        _ => {}
    }
}

/// `repository`, `image` and `version` or `tag` beside each other, and `prefix`, `name` and `tag`.
fn grouped(map: &Map, place: &str, images: &mut Images) {
    let (repository, image) = (text(map, "repository"), text(map, "image"));
    let tag = ["tag", "version"].map(|key| text(map, key)).into_iter().find(|tag| !tag.is_empty());
    let Some(tag) = tag else { return };
    let joined = |name: String| match tag.starts_with("sha256:") {
        true => format!("{name}@{tag}"),
        false => format!("{name}:{tag}"),
    };
    if !repository.is_empty() && !image.is_empty() && !image.contains([':', '@']) {
        keep(images, &joined(format!("{repository}/{image}")), || {
            format!("{place} (repository, image, version)")
        });
    }
    let (prefix, name) = (text(map, "prefix"), text(map, "name"));
    if !prefix.is_empty() && !name.is_empty() && map.contains("tag") {
        keep(images, &joined(format!("{prefix}/{name}")), || format!("{place} (prefix, name, tag)"));
    }
}

/// `--some-image=quay.io/a/b:1`.
fn flag(word: &str, place: &str, images: &mut Images) {
    if let Some((name, value)) = word.split_once('=')
        && name.starts_with('-')
        && name.to_ascii_lowercase().contains("image")
        && is_hosted(value)
    {
        keep(images, value, || format!("{place} {name}"));
    }
}

/// Whether a text is an image with a tag or digest.
fn is_whole(text: &str) -> bool {
    let last = text.rsplit('/').next().unwrap_or(text);
    !text.contains([' ', '\n', '{', '$']) && last.contains([':', '@']) && canonical(text).is_some()
}

/// Whether a text is an image with a registry and a tag.
fn is_hosted(text: &str) -> bool {
    is_whole(text)
        && text.split_once('/').is_some_and(|(host, _)| host.contains('.') && !text.contains("://"))
}
