//! The file of `skopeo sync --src yaml` (skopeo-sync(1), "YAML file content"): images by registry, with tags, patterns
//! and ranges. Takes a document; fills a [`Draft`].

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use super::ConvertError;
use super::document::{Document, Others};
use super::draft::Draft;
use super::draft::Image;
use super::pattern::Globs;

/// The fields of a registry that ask for images.
pub(super) const FIELDS: [&str; 3] = ["images", "images-by-tag-regex", "images-by-semver"];

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    #[serde(default)]
    images: BTreeMap<String, Option<Vec<String>>>,
    #[serde(default)]
    images_by_tag_regex: BTreeMap<String, String>,
    #[serde(default)]
    images_by_semver: BTreeMap<String, Ranges>,
    credentials: Option<serde::de::IgnoredAny>,
    tls_verify: Option<String>,
    cert_dir: Option<String>,
    #[serde(flatten)]
    others: Others,
}

/// One range, or several.
struct Ranges(Vec<String>);

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RangesVisitor;

        impl<'de> Visitor<'de> for RangesVisitor {
            type Value = Ranges;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a range of versions, or a list of ranges")
            }

            fn visit_str<E: de::Error>(self, range: &str) -> Result<Ranges, E> {
                Ok(Ranges(vec![range.to_owned()]))
            }

            fn visit_f64<E: de::Error>(self, range: f64) -> Result<Ranges, E> {
                self.visit_str(&range.to_string())
            }

            fn visit_u64<E: de::Error>(self, range: u64) -> Result<Ranges, E> {
                self.visit_str(&range.to_string())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Ranges, A::Error> {
                let mut ranges = Vec::new();
                while let Some(range) = list.next_element()? {
                    ranges.push(range);
                }
                Ok(Ranges(ranges))
            }
        }

        deserializer.deserialize_any(RangesVisitor)
    }
}

/// Reads the registries.
pub(super) fn read(document: &Document, draft: &mut Draft) -> Result<(), ConvertError> {
    let registries: BTreeMap<String, Registry> = document.read()?;
    for (host, registry) in registries {
        for (repository, tags) in registry.images {
            let place = format!("{host} images.{repository}");
            let tags = tags.unwrap_or_default();
            if tags.is_empty() {
                let reference = format!("{host}/{repository}");
                draft.image(&place, Image { reference, tags: vec!["*".to_owned()], ..Image::default() });
            }
            for tag in tags {
                let separator = if tag.contains(':') { '@' } else { ':' };
                draft.reference(&place, &format!("{host}/{repository}{separator}{}", tag));
            }
        }
        for (repository, regex) in registry.images_by_tag_regex {
            let place = format!("{host} images-by-tag-regex.{repository}");
            let reference = format!("{host}/{repository}");
            match Globs::searched(&regex) {
                Some(Globs(tags)) => draft.image(&place, Image { reference, tags, ..Image::default() }),
                None => draft.lost(&place, no_glob(&regex)),
            }
        }
        for (repository, ranges) in registry.images_by_semver {
            for range in ranges.0 {
                let reference = format!("{host}/{repository}");
                let image = Image { reference, semver: Some(range), ..Image::default() };
                draft.image(&format!("{host} images-by-semver.{repository}"), image);
            }
        }
        if registry.credentials.is_some() {
            let text = format!("is not expressed: `bundle login {host}`, or 'credentials:' with a file");
            draft.note(&format!("{host} credentials"), text);
        }
        if registry.tls_verify.is_some_and(|verify| verify == "false") {
            let text = format!(
                "is not expressed: certificates are always verified; 'caFile:' names an authority, and 'plainHttp: [{host}]' allows HTTP"
            );
            draft.note(&format!("{host} tls-verify"), text);
        }
        if registry.cert_dir.is_some() {
            draft.note(
                &format!("{host} cert-dir"),
                "is not expressed: 'caFile:' names an authority; certs.d is read as by Podman",
            );
        }
        draft.unread(&host, &registry.others);
    }
    Ok(())
}

/// The remark on a regular expression that no pattern of tags expresses.
pub(super) fn no_glob(regex: &str) -> String {
    format!(
        "the regular expression '{regex}' is no pattern of '*' and '?': use 'tags:', 'semver:' or 'newest:'"
    )
}
