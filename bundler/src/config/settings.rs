//! The settings that the file, a project and an image of a `bundle.yaml` all have: platforms, referrers,
//! signed indexes, missing platforms and images, and foreign layers.
//! [`with_image_settings!`] declares a map that has these fields; [`ImageSettings`] reads them, and gives
//! values or an error with line, column and the path of the field.

use std::fmt;
use std::str::FromStr;

use bundle_input::schema;
use bundle_oci::Platform;
use schemars::JsonSchema;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::error::{ConfigError, FieldError, wrong};
use crate::Platforms;
use crate::policy::{MissingPlatforms, ParsePolicyError, PolicyOverride};

/// Declares a map that has the settings of images after the fields of `first` and before those of `then`, and
/// a method `settings` that gives them. The words before `platforms` are the help for that field.
///
/// A macro, because `serde(flatten)` would do the same without lines and columns, and would let unknown
/// fields pass.
macro_rules! with_image_settings {
    (
        $(#[$attribute:meta])*
        struct $name:ident {
            first { $($first:tt)* }
            $(#[$help:meta])*
            platforms
            then { $($then:tt)* }
        }
    ) => {
        #[derive(serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        $(#[$attribute])*
        pub(super) struct $name {
            $($first)*
            $(#[$help])*
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "crate::config::settings::PlatformsWord")]
            platforms: Option<serde_saphyr::Spanned<crate::config::settings::PlatformsField>>,
            /// Signatures and other referrers: require fails without any, or if one cannot be fetched; carry
            /// notes it; leave does not look for them [default: carry]
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "crate::config::settings::ReferrersWord")]
            referrers: Option<serde_saphyr::Spanned<String>>,
            /// Signed indexes when platforms are chosen: whole carries all platforms and the
            /// signatures; split carries neither [default: split]
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "crate::config::settings::SignedIndexesWord")]
            signed_indexes: Option<serde_saphyr::Spanned<String>>,
            /// Whether an image that lacks one of the chosen platforms is an error [default: false]
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "bool")]
            strict_platforms: Option<bool>,
            /// Layers marked non-distributable, such as those of Windows base images: include carries them,
            /// leave marks the image incomplete [default: leave]
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "crate::config::settings::ForeignLayersWord")]
            foreign_layers: Option<serde_saphyr::Spanned<String>>,
            /// An image whose tag or repository is gone: fail is an error; keep-last carries the digest that the lock
            /// or the last run has; skip leaves it out. The latter two report it [default: fail]
            #[serde(default, deserialize_with = "present")]
            #[schemars(with = "crate::config::settings::MissingWord")]
            missing: Option<serde_saphyr::Spanned<String>>,
            $($then)*
        }

        impl $name {
            /// The settings of images in this map.
            pub(super) fn settings(&self) -> crate::config::settings::ImageSettings<'_> {
                crate::config::settings::ImageSettings {
                    platforms: self.platforms.as_ref(),
                    referrers: self.referrers.as_ref(),
                    signed_indexes: self.signed_indexes.as_ref(),
                    strict_platforms: self.strict_platforms,
                    foreign_layers: self.foreign_layers.as_ref(),
                    missing: self.missing.as_ref(),
                }
            }
        }
    };
}
pub(super) use with_image_settings;

/// The settings of images in one map, as they are written.
pub(super) struct ImageSettings<'a> {
    pub(super) platforms: Option<&'a Spanned<PlatformsField>>,
    pub(super) referrers: Option<&'a Spanned<String>>,
    pub(super) signed_indexes: Option<&'a Spanned<String>>,
    pub(super) strict_platforms: Option<bool>,
    pub(super) foreign_layers: Option<&'a Spanned<String>>,
    pub(super) missing: Option<&'a Spanned<String>>,
}

impl ImageSettings<'_> {
    /// The policy. `parent` is the path of the map with a dot at its end, or empty; `name` is the file's.
    pub(super) fn policy(&self, name: &str, parent: &str) -> Result<PolicyOverride, ConfigError> {
        fn read<T: FromStr<Err = ParsePolicyError>>(
            name: &str,
            field: String,
            written: Option<&Spanned<String>>,
        ) -> Result<Option<T>, ConfigError> {
            let Some(written) = written else { return Ok(None) };
            let parsed = written.value.parse().map(Some);
            parsed.map_err(|error: ParsePolicyError| wrong(name, written.referenced, field, error))
        }
        Ok(PolicyOverride {
            referrers: read(name, format!("{parent}referrers"), self.referrers)?,
            signed_indexes: read(name, format!("{parent}signedIndexes"), self.signed_indexes)?,
            foreign_layers: read(name, format!("{parent}foreignLayers"), self.foreign_layers)?,
            missing_images: read(name, format!("{parent}missing"), self.missing)?,
            missing_platforms: self.strict_platforms.map(|strict| match strict {
                true => MissingPlatforms::Fail,
                false => MissingPlatforms::Note,
            }),
        })
    }

    /// The platforms, if the map chooses any; `name` and `parent` as for the policy.
    pub(super) fn platforms(&self, name: &str, parent: &str) -> Result<Option<Platforms>, ConfigError> {
        let Some(written) = self.platforms else { return Ok(None) };
        let texts = match &written.value {
            PlatformsField::Word(word) if word == "all" => return Ok(Some(Platforms::All)),
            PlatformsField::Word(_) => {
                let field = format!("{parent}platforms");
                return Err(wrong(name, written.referenced, field, FieldError::PlatformsWord));
            }
            PlatformsField::List(texts) => texts,
        };
        let mut platforms = Vec::new();
        for (position, platform) in texts.iter().enumerate() {
            let field = || format!("{parent}platforms[{position}]");
            let parsed = platform.value.parse::<Platform>();
            platforms.push(parsed.map_err(|error| wrong(name, platform.referenced, field(), error))?);
        }
        match Platforms::only(platforms) {
            Some(platforms) => Ok(Some(platforms)),
            None => {
                let field = format!("{parent}platforms");
                Err(wrong(name, written.referenced, field, FieldError::NoPlatform))
            }
        }
    }
}

/// A field that exists has a value: `platforms:` with nothing behind it is more likely a mistake than a wish
/// for all platforms.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A number without quotes: `'2'` is a text.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) u32);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bundle_input::plain(deserializer).map(Self)
    }
}

/// A list of platforms, or the word `all`.
pub(super) enum PlatformsField {
    Word(String),
    List(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for PlatformsField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlatformsVisitor;

        impl<'de> Visitor<'de> for PlatformsVisitor {
            type Value = PlatformsField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of platforms, or 'all'")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PlatformsField, E> {
                Ok(PlatformsField::Word(text.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<PlatformsField, A::Error> {
                let most = bundle_format::Limits::V1.platforms;
                let mut platforms = Vec::new();
                while let Some(platform) = list.next_element()? {
                    if platforms.len() == most {
                        return Err(de::Error::custom(format_args!("more than {most} platforms")));
                    }
                    platforms.push(platform);
                }
                Ok(PlatformsField::List(platforms))
            }
        }

        deserializer.deserialize_any(PlatformsVisitor)
    }
}

/// The word all, or a list of platforms
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum PlatformsWord {
    All(AllWord),
    Chosen(#[schemars(length(min = 1))] Vec<schema::Platform>),
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum AllWord {
    All,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum ReferrersWord {
    Require,
    Carry,
    Leave,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum SignedIndexesWord {
    Whole,
    Split,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum ForeignLayersWord {
    Include,
    Leave,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum MissingWord {
    Fail,
    KeepLast,
    Skip,
}
