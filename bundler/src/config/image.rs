//! An entry of `images` in a `bundle.yaml`.
//! Takes a line as in a list of images, or a map with settings; gives an [`Image`], and its JSON Schema.

use std::fmt;

use bundle_input::schema;
use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::settings::{present, with_image_settings};

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
                f.write_str("a reference, or a map with ref, as and platforms")
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
    /// A reference with a name or platforms of its own
    struct ImageMap {
        first {
            /// The reference, or a local source such as docker-archive:PATH
            #[schemars(with = "schema::NonEmpty")]
            pub(super) r#ref: Spanned<String>,
            /// The name inside the project
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "schema::NonEmpty")]
            pub(super) r#as: Option<Spanned<String>>,
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
