//! An entry of `images` in a `bundle.yaml`.
//! Takes a line as in a list of images, or a map with settings and perhaps a choice of tags; gives an [`Image`], and
//! its JSON Schema.

use std::fmt;

use bundle_input::schema;
use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::settings::{Number, present, with_image_settings};

/// A line as in a list of images, or a map with settings.
pub(super) enum Image {
    Line(String),
    Map(Box<ImageMap>),
}

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ImageVisitor;

        impl<'de> Visitor<'de> for ImageVisitor {
            type Value = Image;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reference, or a map with ref and settings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Image, E> {
                Ok(Image::Line(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Image, A::Error> {
                ImageMap::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|map| Image::Map(Box::new(map)))
            }
        }

        deserializer.deserialize_any(ImageVisitor)
    }
}

with_image_settings! {
    /// A reference with settings of its own, or a repository with a choice of its tags
    #[schemars(extend("dependentSchemas" = {
        "exclude": {"$ref": "#/$defs/ImageMap/$defs/choice"},
        "maxTags": {"$ref": "#/$defs/ImageMap/$defs/choice"},
        "tags": {"$ref": "#/$defs/ImageMap/$defs/untagged"},
        "semver": {"$ref": "#/$defs/ImageMap/$defs/repository"},
        "newest": {"$ref": "#/$defs/ImageMap/$defs/repository"},
    }, "$defs" = {
        "choice": {"anyOf": [
            {"required": ["tags"]},
            {"required": ["semver"]},
            {"required": ["newest"]},
            {"properties": {"ref": {"pattern": ":[^/@:]*[*?][^/@:]*$"}}},
        ]},
        "untagged": {"properties": {"ref": {"pattern": "^(.*/)?[^/@:]+$"}}},
        "repository": {"properties": {"ref": {"pattern": "^(.*/)?[^/@:]+(:[^/@:]*[*?][^/@:]*)?$"}}},
    }))]
    struct ImageMap {
        first {
            /// The reference, or a local source such as docker-archive:PATH; with a choice of tags, a repository; `*` and `?`
            /// in the tag are a pattern of tags
            #[schemars(with = "schema::NonEmpty")]
            pub(super) r#ref: Spanned<String>,
            /// The name inside the project
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "schema::NonEmpty")]
            pub(super) r#as: Option<Spanned<String>>,
            /// The tags that match a pattern, or one of several; `*` stands for any characters, `?` for one
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "TagsWord")]
            pub(super) tags: Option<Spanned<TagsField>>,
            /// The tags that are versions in this range, such as '>=1.25 <2'; pre-releases only if it names one
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "schema::NonEmpty")]
            pub(super) semver: Option<Spanned<String>>,
            /// Only the newest so many versions
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "u32", range(min = 1, max = 1000))]
            pub(super) newest: Option<Spanned<Number>>,
            /// How many tags may be chosen; more are an error [default: 100]
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "u32", range(min = 1, max = 10000))]
            pub(super) max_tags: Option<Spanned<Number>>,
            /// Patterns of tags to exclude from the choice
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "Vec<schema::TagGlob>")]
            pub(super) exclude: Option<Vec<Spanned<String>>>,
        }
        /// The platforms of this image
        platforms
        then {}
    }
}

/// The forms that [`Image`] reads.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum ImageWord {
    Line(#[schemars(with = "schema::NonEmpty")] String),
    Map(Box<ImageMap>),
}

/// A pattern of tags, or several.
pub(super) struct TagsField(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for TagsField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TagsVisitor;

        impl<'de> Visitor<'de> for TagsVisitor {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pattern of tags, or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(vec![text.to_owned()])
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut patterns = Vec::new();
                while let Some(pattern) = list.next_element()? {
                    patterns.push(pattern);
                }
                Ok(patterns)
            }
        }

        deserializer.deserialize_any(TagsVisitor).map(TagsField)
    }
}

/// The forms that [`TagsField`] reads.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum TagsWord {
    One(schema::TagGlob),
    Some(#[schemars(length(min = 1))] Vec<schema::TagGlob>),
}
