//! Images whose name and tag stand in two neighbouring fields.
//! Takes the neighbours; gives the groups that they make.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group::Group;
use crate::limits::IMAGE_NAME;
use crate::metadata::scalar_text;
use crate::{List, Map, Value};

/// Images that two neighbours name together: `INIT_IMAGE_REPOSITORY` and `INIT_VERSION`,
/// `--proxy-image=…` and `--proxy-tag=…`, `sidecarImage` and `sidecarImageTag`. A neighbour is a
/// key, a name and a text; each image comes under the key of the one that has its name. A tag for all
/// (`IMAGE_TAG`) completes the names that have none of their own.
pub(super) fn pairs<K: Clone + Ord>(
    neighbours: impl Iterator<Item = (K, String, String)>,
) -> BTreeMap<K, Group> {
    let neighbours: Vec<(K, String, String)> = neighbours.collect();
    // Most have no image at all.
    let is_open = |text: &str| text.contains('/') && !text.contains("://") && !text.contains(['{', ' ']);
    if !neighbours.iter().any(|(_, _, text)| is_open(text)) {
        return BTreeMap::new();
    }
    let by_words: BTreeMap<Vec<String>, &str> =
        neighbours.iter().map(|(_, name, text)| (words(name), text.as_str())).collect();
    let by_words = Words(by_words);
    let mut found = BTreeMap::new();
    for (key, name, text) in neighbours.iter().filter(|(_, _, text)| is_open(text)) {
        let name = words(name);
        let stem = NAMES.iter().find_map(|end| {
            let at = name.len().checked_sub(end.len())?;
            name.get(at..)?.iter().eq(*end).then(|| name.get(..at)).flatten()
        });
        let Some(stem) = stem else { continue };
        let says_image = name.iter().any(|word| word == "image");
        // Without a stem a map is a group already; a list of variables or flags is not.
        if stem.is_empty() && !says_image {
            continue;
        }
        let tag = TAGS.iter().find_map(|end| {
            let name: Vec<String> =
                stem.iter().cloned().chain(end.iter().map(|&word| word.to_owned())).collect();
            by_words.get(&name.iter().map(String::as_str).collect::<Vec<_>>()).filter(|tag| !tag.is_empty())
        });
        let for_all = || SHARED.iter().find_map(|name| by_words.get(name)).filter(|tag| !tag.is_empty());
        let tag = tag.or_else(|| for_all().filter(|_| says_image));
        found.extend(tag.and_then(|tag| Group::tagged(text, tag)).map(|group| (key.clone(), group)));
    }
    found
}

/// The images that variables or flags in a list name in pairs, by their positions.
pub(super) fn paired_items(list: &List) -> BTreeMap<usize, Vec<Group>> {
    let may = |item: &Value| match item {
        Value::Map(map) => map.get("value").as_ref().is_some_and(may_be_name),
        item => may_be_name(item),
    };
    if !list.iter().any(may) {
        return BTreeMap::new();
    }
    let text = |map: &Map, key| map.get(key).as_ref().and_then(short_text);
    let named = |(position, item): (usize, &Value)| match item {
        Value::Map(map) => Some((position, text(map, "name")?, text(map, "value")?)),
        Value::String(_) => {
            let flag = short_text(item)?;
            let flag = flag.strip_prefix('-')?;
            if let Some((name, value)) = flag.split_once('=') {
                return Some((position, name.to_owned(), value.to_owned()));
            }
            // A flag, and its value behind it.
            let value = list.get(position + 1).and_then(short_text).filter(|next| !next.starts_with('-'))?;
            Some((position + 1, flag.to_owned(), value))
        }
        _ => None,
    };
    let groups = pairs(list.iter().enumerate().filter_map(named));
    let registry = registry_of(list);
    groups
        .into_iter()
        .map(|(position, group)| {
            let below = registry.as_deref().and_then(|registry| group.at(registry));
            (position, below.into_iter().chain([group]).collect())
        })
        .collect()
}

/// The registry that a variable or a flag of a list says for the others.
pub(super) fn registry_of(list: &List) -> Option<String> {
    let named = |item: &Value| match item {
        Value::Map(map) => {
            let text = |key| map.get(key).as_ref().and_then(short_text);
            Some((text("name")?, text("value")?))
        }
        Value::String(text) if text.len() <= IMAGE_NAME => {
            let (name, value) = text.trim_start_matches('-').split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        }
        _ => None,
    };
    list.iter().filter_map(named).find_map(|(name, value)| {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let is_host = value.contains(['.', ':']) && !value.contains([' ', '{', '$']);
        (is_host && matches!(name.as_str(), "registry" | "image_registry" | "docker_registry"))
            .then(|| value.trim_end_matches('/').to_owned())
    })
}

/// The images that fields of a map name in pairs.
pub(super) fn paired_fields(entries: &[(Arc<str>, Value)]) -> BTreeMap<Arc<str>, Group> {
    if !entries.iter().any(|(_, value)| may_be_name(value)) {
        return BTreeMap::new();
    }
    let named =
        |(field, value): &(Arc<str>, Value)| Some((field.clone(), field.to_string(), short_text(value)?));
    pairs(entries.iter().filter_map(named))
}

/// Whether a value may have the name of an image in it. Most have none, and need no copies.
fn may_be_name(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() <= IMAGE_NAME && text.contains('/'))
}

/// A scalar that is short enough for a name or a tag.
pub(super) fn short_text(value: &Value) -> Option<String> {
    let is_long = value.as_str().is_some_and(|text| text.len() > IMAGE_NAME);
    if is_long { None } else { scalar_text(value) }
}

/// Texts by the words of their names.
struct Words<'a>(BTreeMap<Vec<String>, &'a str>);

impl<'a> Words<'a> {
    fn get(&self, name: &[&str]) -> Option<&&'a str> {
        let name: Vec<String> = name.iter().map(|&word| word.to_owned()).collect();
        self.0.get(&name)
    }
}

/// Tags that several images share.
const SHARED: [&[&str]; 3] = [&["image", "tag"], &["images", "tag"], &["default", "image", "tag"]];

/// How the name of an image ends; the longest first.
const NAMES: [&[&str]; 7] = [
    &["image", "repository"],
    &["image", "repo"],
    &["image", "name"],
    &["base", "image"],
    &["image"],
    &["repository"],
    &["repo"],
];

/// How what belongs to it ends.
const TAGS: [&[&str]; 10] = [
    &["image", "tag"],
    &["tag"],
    &["image", "version"],
    &["version"],
    &["image", "digest"],
    &["digest"],
    &["base", "image", "tag"],
    &["image", "sha"],
    &["sha"],
    &["sha", "256"],
];

/// `--proxyImage_tag` is proxy, image, tag.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for character in name.chars() {
        let camel =
            word.ends_with(|before: char| before.is_ascii_lowercase()) && character.is_ascii_uppercase();
        if (camel || !character.is_ascii_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word).to_ascii_lowercase());
        }
        word.extend(character.is_ascii_alphanumeric().then_some(character));
    }
    if !word.is_empty() {
        words.push(word.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(neighbours: &[(&str, &str)]) -> Vec<(usize, String)> {
        let named = neighbours.iter().enumerate();
        let named = named.map(|(at, &(name, text))| (at, name.to_owned(), text.to_owned()));
        let text = |group: &Group| group.reference().map(|reference| reference.to_string());
        pairs(named).iter().filter_map(|(at, group)| Some((*at, text(group)?))).collect()
    }

    #[test]
    fn neighbours_name_an_image_together() {
        for (neighbours, at, image) in [
            (
                [("INIT_DB_VERSION", "1.9"), ("INIT_DB_IMAGE_REPOSITORY", "quay.io/a/db")],
                1,
                "quay.io/a/db:1.9",
            ),
            ([("--proxy-base-image", "a.example/b/proxy"), ("--proxy-tag", "v2")], 0, "a.example/b/proxy:v2"),
            ([("sidecarImage", "a/side"), ("sidecarImageTag", "3")], 0, "docker.io/a/side:3"),
            ([("trivy.repository", "ghcr.io/a/trivy"), ("trivy.tag", "0.5")], 0, "ghcr.io/a/trivy:0.5"),
            ([("image.repository", "ghcr.io/a/tool"), ("image.tag", "v1")], 0, "ghcr.io/a/tool:v1"),
            ([("VECTOR_IMAGE", "a/vector"), ("IMAGE_TAG", "0.34-x")], 0, "docker.io/a/vector:0.34-x"),
        ] {
            assert_eq!(found(&neighbours), [(at, image.to_owned())]);
        }
    }

    #[test]
    fn neighbours_of_other_names_do_not() {
        for neighbours in [
            [("A_IMAGE", "a/b"), ("B_TAG", "1")],
            [("GIT_REPOSITORY", "https://a.example/b"), ("GIT_TAG", "1")],
            [("A_IMAGE", "a/b"), ("A_TAG", "")],
            [("A_IMAGE", "a/b"), ("A_TAG", "no tag")],
            [("A_IMAGE", "nginx"), ("A_TAG", "1")],
        ] {
            assert_eq!(found(&neighbours), [], "{neighbours:?}");
        }
    }
}
