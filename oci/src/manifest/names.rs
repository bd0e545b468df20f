//! The names of a manifest's fields, looked at before its kind is known.
//! Readers disagree about repeated, misspelled and foreign fields (CVE-2021-41190); such bytes are refused.

use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::error::ManifestError;
use crate::json;

/// The fields at the top of a manifest, before its kind is known.
pub(super) struct Top {
    pub(super) schema_version: Option<u64>,
    pub(super) media_type: Option<String>,
    pub(super) fields: Vec<String>,
}

impl Top {
    /// Fields of the other kind of manifest, in any spelling that Go's `encoding/json` takes for them.
    pub(super) fn refuse(&self, foreign: &[&str]) -> Result<(), ManifestError> {
        match self.fields.iter().find(|field| foreign.contains(&json::fold(field).as_str())) {
            Some(field) => Err(ManifestError::Ambiguous(field.clone())),
            None => Ok(()),
        }
    }
}

/// The names that the specifications give a meaning: image-spec's manifest.md, image-index.md and
/// descriptor.md, distribution-spec's referrers list, and Docker's schemas.
pub(super) const KNOWN: [&str; 25] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "blobs",
    "digest",
    "size",
    "urls",
    "data",
    "platform",
    "os",
    "architecture",
    "variant",
    "os.version",
    "os.features",
    "features",
    "fsLayers",
    "history",
    "signatures",
    "name",
    "tag",
];

/// Below these, people choose the names.
pub(super) const FREE: [&str; 1] = ["annotations"];

impl<'de> Deserialize<'de> for Top {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TopVisitor;

        impl<'de> Visitor<'de> for TopVisitor {
            type Value = Top;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top, A::Error> {
                let mut top = Top { schema_version: None, media_type: None, fields: Vec::new() };
                while let Some(field) = map.next_key::<String>()? {
                    if top.fields.len() == 256 {
                        return Err(serde::de::Error::custom("more than 256 fields"));
                    }
                    if top.fields.contains(&field) {
                        return Err(serde::de::Error::custom("repeated field"));
                    }
                    match field.as_str() {
                        "schemaVersion" => top.schema_version = Some(map.next_value()?),
                        "mediaType" => {
                            top.media_type =
                                map.next_value::<Option<String>>()?.filter(|text| !text.is_empty())
                        }
                        "config" | "subject" => {
                            map.next_value::<Option<Object>>()?;
                        }
                        "layers" | "manifests" => {
                            map.next_value::<Option<Vec<Object>>>()?;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                    top.fields.push(field);
                }
                Ok(top)
            }
        }

        deserializer.deserialize_map(TopVisitor)
    }
}

/// A descriptor or a platform, of which only the shape is looked at: what is derived for their
/// fields takes an array of the values as well, and other readers would not.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                while let Some(field) = map.next_key::<String>()? {
                    if field == "platform" {
                        map.next_value::<Option<Object>>()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}
