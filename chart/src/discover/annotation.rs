//! Images that a chart lists in annotations of its `Chart.yaml`.
//! Takes a tree of charts; gives the listed images with chart and key.

use std::collections::BTreeSet;

use bundle_oci::Reference;

use super::shape::{Hint, image};
use crate::chart::Chart;
use crate::yaml::parse_values;
use crate::{Limits, Value, Warning};

/// Annotations that list a chart's images.
const KEYS: [&str; 3] = ["images", "helm.sh/images", "artifacthub.io/images"];

/// An image that a chart lists itself.
pub(super) struct Listed {
    pub(super) reference: Reference,
    pub(super) chart: String,
    pub(super) key: String,
}

/// The images that a chart and the charts inside it list.
pub(super) fn listed(
    chart: &Chart,
    parent: &str,
    limits: &Limits,
    warnings: &mut BTreeSet<Warning>,
) -> Vec<Listed> {
    let name = &chart.metadata.name;
    let path = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
    let mut found = Vec::new();
    for (key, text) in &chart.metadata.annotations {
        if !KEYS.contains(&key.as_str()) {
            continue;
        }
        let mut references = Vec::new();
        let read = parse_values(text, limits).is_ok_and(|value| collect(&value, &mut references));
        if !read {
            warnings.insert(Warning::Annotation { chart: path.clone(), key: key.clone() });
        }
        let listed = |reference| Listed { reference, chart: path.clone(), key: key.clone() };
        found.extend(references.into_iter().map(listed));
    }
    for below in &chart.dependencies {
        found.extend(listed(below, &path, limits, warnings));
    }
    found
}

/// Takes the images of a list of texts or of maps with a field `image`, or of a map of either.
/// Whether all of it could be read.
fn collect(value: &Value, references: &mut Vec<Reference>) -> bool {
    match value {
        Value::String(text) => match image(text, Hint::Container) {
            Some(reference) => {
                references.push(reference);
                true
            }
            None => false,
        },
        Value::List(items) => each(items.iter(), references),
        Value::Map(map) => match map.get("image") {
            Some(image) => collect(&image, references),
            None => each(map.entries().iter().map(|(_, item)| item), references),
        },
        Value::Nil => true,
        _ => false,
    }
}

/// As [`collect`], and one that cannot be read keeps no other from being read.
fn each<'a>(items: impl Iterator<Item = &'a Value>, references: &mut Vec<Reference>) -> bool {
    let mut read = true;
    for item in items {
        read &= collect(item, references);
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_of_all_forms_are_read() {
        for (text, images, warned) in [
            (
                "- name: a\n  image: quay.io/a/b:1\n- image: c\n  whitelisted: true\n",
                &["quay.io/a/b:1", "docker.io/library/c:latest"][..],
                false,
            ),
            ("[quay.io/a/b:1]", &["quay.io/a/b:1"], false),
            ("a: quay.io/a/b:1\n", &["quay.io/a/b:1"], false),
            ("- image: quay.io/a/b:1\n- image: 'not an image'\n", &["quay.io/a/b:1"], true),
            ("- [", &[], true),
            ("", &[], false),
        ] {
            let mut chart = Chart::default();
            "top".clone_into(&mut chart.metadata.name);
            chart.metadata.annotations.insert("artifacthub.io/images".to_owned(), text.to_owned());
            chart.metadata.annotations.insert("other".to_owned(), "- image: no/no:1".to_owned());
            let mut warnings = BTreeSet::new();
            let found = listed(&chart, "", &Limits::DEFAULT, &mut warnings);
            let found: Vec<String> = found.iter().map(|listed| listed.reference.to_string()).collect();
            assert_eq!(found, images, "{text}");
            assert_eq!(!warnings.is_empty(), warned, "{text}");
        }
    }
}
