//! The platform in an image's config (image-spec, config.md §Properties). Takes a config's bytes, gives the
//! platform and how much of it the config says itself.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::{Platform, Printable, json};

/// The platform in an image's config.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConfigPlatform {
    platform: Platform,
    says_variant: bool,
}

/// A config whose platform two readers take for two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("config names its platform in two spellings")]
pub struct TwoPlatforms;

impl ConfigPlatform {
    /// The largest config that is looked into, in bytes.
    pub const LARGEST: u64 = 8 << 20;

    /// Reads the platform of a config. Nothing, if it names none that can be written: artifacts have configs of
    /// all kinds.
    ///
    /// # Errors
    /// Readers disagree about it: a field is there twice, as Go's `encoding/json` takes names.
    pub fn read(config: &[u8]) -> Result<Option<Self>, TwoPlatforms> {
        let Ok(fields) = serde_json::from_slice::<Fields>(config) else { return Ok(None) };
        if fields.repeated {
            return Err(TwoPlatforms);
        }
        let [os, architecture, variant, os_version] = fields.values;
        let (Some(os), Some(architecture)) = (os, architecture) else { return Ok(None) };
        let platform = Platform::new(&os, &architecture, variant.as_deref(), os_version.as_deref());
        let says_variant = variant.is_some_and(|variant| !variant.is_empty());
        Ok(platform.ok().map(|platform| Self { platform, says_variant }))
    }

    /// The platform.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Whether an image with this config can be one for `said`. Many configs have no variant (those of Docker's
    /// images for `arm/v6`), and many indexes no version of the operating system: what one of both leaves open
    /// is not compared.
    pub fn can_be(&self, said: &Platform) -> bool {
        self.platform.can_be(said, self.says_variant)
    }
}

/// The longest part of a config's word that is shown, in characters.
const SHOWN: usize = 64;

/// The longest text of an odd platform, in characters.
const LONGEST: usize = 100;

/// The platform that a config names with characters or a length that no platform has, as text to show: each field
/// escaped and cut. None if the config names none, or a proper one.
pub fn odd_platform(config: &[u8]) -> Option<String> {
    let fields = serde_json::from_slice::<Fields>(config).ok().filter(|fields| !fields.repeated)?;
    let [os, architecture, variant, os_version] = fields.values;
    let (os, architecture) = (os?, architecture?);
    if os.is_empty() || architecture.is_empty() {
        // Some configs of attestations and other artifacts have both, and name nothing.
        return None;
    }
    if Platform::new(&os, &architecture, variant.as_deref(), os_version.as_deref()).is_ok() {
        return None;
    }
    let shown = |text: &str| {
        let start: String = text.chars().take(SHOWN).collect();
        let rest = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
        format!("{}{rest}", Printable(&start))
    };
    let mut text = format!("{}/{}", shown(&os), shown(&architecture));
    for (sign, field) in [('/', variant), (':', os_version)] {
        if let Some(field) = field.filter(|field| !field.is_empty()) {
            text.push(sign);
            text.push_str(&shown(&field));
        }
    }
    // Escapes are longer than what they stand for, and many of these texts are kept.
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    Some(text)
}

/// The fields that name a platform, in the order of [`NAMES`].
struct Fields {
    values: [Option<String>; 4],
    repeated: bool,
}

const NAMES: [&str; 4] = ["os", "architecture", "variant", "os.version"];

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut found = Fields { values: Default::default(), repeated: false };
                let mut seen = [false; 4];
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    let folded = json::fold(&name);
                    let Some(at) = NAMES.iter().position(|known| json::fold(known) == folded) else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    found.repeated |= std::mem::replace(&mut seen[at], true);
                    found.values[at] = map.next_value()?;
                }
                Ok(found)
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &str) -> ConfigPlatform {
        ConfigPlatform::read(config.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn what_a_config_leaves_open_contradicts_nothing() {
        let can = |config: &str, said: &str| read(config).can_be(&said.parse().unwrap());
        let arm = r#"{"architecture":"arm","os":"linux"}"#;
        assert!(can(arm, "linux/arm/v6") && can(arm, "linux/arm/v7"));
        assert!(!can(arm, "linux/arm64") && !can(arm, "windows/arm"));
        let v6 = r#"{"architecture":"arm","os":"linux","variant":"v6"}"#;
        assert!(can(v6, "linux/arm/v6") && !can(v6, "linux/arm/v7"));
        let aarch64 = r#"{"architecture":"arm64","os":"linux","variant":"v8"}"#;
        assert!(can(aarch64, "linux/arm64"));
        let windows = r#"{"architecture":"amd64","os":"windows","os.version":"10.0.17763.1"}"#;
        assert!(can(windows, "windows/amd64") && can(windows, "windows/amd64:10.0.17763.1"));
        assert!(!can(windows, "windows/amd64:10.0.20348.1"));
    }

    #[test]
    fn an_odd_platform_is_shown_escaped_and_cut() {
        let long = format!(r#"{{"os":"linux","architecture":"{}","variant":"v8"}}"#, "a".repeat(100_000));
        assert_eq!(odd_platform(long.as_bytes()).unwrap(), format!("linux/{}…/v8", "a".repeat(64)));
        let escaped = odd_platform(br#"{"os":"lin\u001b[31mux","architecture":"amd64"}"#).unwrap();
        assert_eq!(escaped, "lin\\u{1b}[31mux/amd64");
        let many = format!(r#"{{"os":"{}","architecture":"amd64"}}"#, "\\u001b".repeat(64));
        assert_eq!(odd_platform(many.as_bytes()).unwrap().chars().count(), LONGEST + 1);
        let empty = odd_platform(br#"{"os":"","architecture":"amd64"}"#);
        assert_eq!(empty, None);
        for proper in [r#"{"os":"linux","architecture":"amd64"}"#, "{}", r#"{"os":"linux"}"#] {
            assert_eq!(odd_platform(proper.as_bytes()), None, "{proper}");
        }
    }

    #[test]
    fn a_config_of_something_else_names_no_platform_and_one_with_two_is_refused() {
        for silent in ["{}", "[]", "no JSON", r#"{"os":7,"architecture":"amd64"}"#, r#"{"os":"linux"}"#] {
            assert_eq!(ConfigPlatform::read(silent.as_bytes()), Ok(None), "{silent}");
        }
        for two in [
            r#"{"os":"linux","architecture":"amd64","Architecture":"arm64"}"#,
            r#"{"os":"linux","o\u017f":"windows","architecture":"amd64"}"#,
            r#"{"os":"linux","os":"windows","architecture":"amd64"}"#,
        ] {
            assert_eq!(ConfigPlatform::read(two.as_bytes()), Err(TwoPlatforms), "{two}");
        }
    }
}
