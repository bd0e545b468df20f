//! An entry of `lists` in a `bundle.yaml`, and `exclude` wherever it stands.
//! Takes a file's name, or a map with settings; gives a [`ListEntry`], its JSON Schema, and [`Exclude`]s.

use std::fmt;

use bundle_input::schema;
use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::error::{ConfigError, FieldError, wrong};
use super::settings::{present, with_image_settings};
use crate::{Exclude, Reason};

/// A file's name, or a map with settings.
pub(super) enum ListEntry {
    File(String),
    Map(Box<ListMap>),
}

impl<'de> Deserialize<'de> for ListEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;

        impl<'de> Visitor<'de> for ListVisitor {
            type Value = ListEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file's name, or a map with file and exclude")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ListEntry, E> {
                Ok(ListEntry::File(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ListEntry, A::Error> {
                ListMap::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|map| ListEntry::Map(Box::new(map)))
            }
        }

        deserializer.deserialize_any(ListVisitor)
    }
}

with_image_settings! {
    /// A list with settings of its own
    struct ListMap {
        first {
            /// The list: a file beside this one, with one reference a line
            #[schemars(with = "schema::NonEmpty")]
            pub(super) file: Spanned<String>,
            /// Images of the list to exclude; without a tag, all tags; a tag may have `*` and `?`; HOST/* excludes all
            /// images of a host
            #[serde(default)]
            #[schemars(with = "Vec<schema::NonEmpty>")]
            pub(super) exclude: Vec<Spanned<String>>,
        }
        /// The platforms of its images
        platforms
        then {}
    }
}

/// The forms that [`ListEntry`] reads.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum ListWord {
    File(#[schemars(with = "schema::NonEmpty")] String),
    Map(Box<ListMap>),
}

/// The images that the field `parent` + `exclude` of the file called `name` leaves out.
pub(crate) fn read_excludes(
    name: &str,
    parent: &str,
    written: Vec<Spanned<String>>,
) -> Result<Vec<Exclude>, ConfigError> {
    let read = |(position, image): (usize, Spanned<String>)| {
        let place = Reason::File { name: name.to_owned(), line: image.referenced.line() };
        let field = || format!("{parent}exclude[{position}]");
        Exclude::new(&image.value, place)
            .map_err(|error| wrong(name, image.referenced, field(), FieldError::Exclude(error)))
    };
    written.into_iter().enumerate().map(read).collect()
}
