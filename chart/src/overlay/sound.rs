//! Finds the names and labels of a rendering that Kubernetes would refuse.
//! Takes a rendering; gives each invalid name and label.

use std::collections::BTreeSet;

use crate::{Map, Origin, Rendering, Value};

/// The names and labels of a rendering that Kubernetes would refuse. A tag with a digest
/// gives the right image, and an invalid label where a chart writes its tag into one.
pub(super) fn unsound(rendering: &Rendering) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for document in rendering.documents.iter().filter(|document| document.origin != Origin::Definition) {
        let Some(object) = document.value.as_map() else { continue };
        let name = object.get("metadata").and_then(|metadata| metadata.as_map()?.get("name"));
        if name.as_ref().and_then(Value::as_str).is_some_and(|name| !is_name(name)) {
            found.insert(format!("{} name", document.file));
        }
        labels(object, &document.file, &mut found);
    }
    found
}

fn labels(map: &Map, file: &str, found: &mut BTreeSet<String>) {
    for (key, value) in map.entries() {
        match &value {
            Value::Map(inner) if matches!(&*key, "labels" | "matchLabels" | "selector") => {
                for (label, value) in inner.entries() {
                    if value.as_str().is_some_and(|text| !is_label(text)) {
                        found.insert(format!("{file} {label}"));
                    }
                }
                labels(inner, file, found);
            }
            Value::Map(inner) => labels(inner, file, found),
            Value::List(list) => {
                list.iter().filter_map(Value::as_map).for_each(|inner| labels(inner, file, found));
            }
            _ => {}
        }
    }
}

/// A label's value (Kubernetes, labels and selectors §Syntax and character set).
fn is_label(text: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// An object's name; those of roles may have colons in them.
fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len()) && !text.contains(['/', '%', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_no_label() {
        for (text, sound) in [
            ("v1.2.3", true),
            ("", true),
            ("v1@sha256", false),
            ("v1:2", false),
            ("v1.", false),
            (&"a".repeat(63), true),
            (&"a".repeat(64), false),
        ] {
            assert_eq!(is_label(text), sound, "{text}");
        }
        assert!(is_name("system:node") && !is_name("job-v1@sha256:0") && !is_name(""));
    }
}
