//! A Helm repository's `index.yaml`.
//! Takes its text; chooses the version that a range asks for.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use bundle_chart::{Constraint, Version};
use bundle_input::{Dialect, YamlError};
use bundle_oci::Digest;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::error::ChartCause;

/// The content of a Helm repository's `index.yaml`.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    #[serde(default)]
    entries: Entries,
}

/// The versions of all charts, by the charts' names.
#[derive(Debug, Default)]
struct Entries(BTreeMap<String, Vec<Entry>>);

/// The versions of all charts together. Bitnami's largest index had some 25,000; one takes six bytes in the file, and a
/// hundred once parsed.
const MOST_VERSIONS: usize = 200_000;
/// Charts of a repository, for the same reason.
const MOST_CHARTS: usize = 50_000;
/// Addresses of one version.
const MOST_URLS: usize = 16;

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("charts by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut all = BTreeMap::new();
                let mut left = MOST_VERSIONS;
                while let Some(name) = map.next_key::<String>()? {
                    all.insert(name, map.next_value_seed(Versions { left: &mut left })?);
                    if all.len() > MOST_CHARTS {
                        return Err(A::Error::custom(format_args!("more than {MOST_CHARTS} charts")));
                    }
                }
                Ok(Entries(all))
            }
        }

        deserializer.deserialize_map(All)
    }
}

/// The versions of one chart; of all charts so many are left.
struct Versions<'a> {
    left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Versions<'_> {
    type Value = Vec<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Versions<'_> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of versions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Entry>, A::Error> {
        let mut versions = Vec::new();
        while let Some(entry) = list.next_element()? {
            let none_left = format_args!("more than {MOST_VERSIONS} versions");
            *self.left = self.left.checked_sub(1).ok_or_else(|| A::Error::custom(none_left))?;
            versions.push(entry);
        }
        Ok(versions)
    }
}

/// The addresses of a version, as many as are of use.
fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Addresses;

    impl<'de> Visitor<'de> for Addresses {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of addresses")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
            let mut all = Vec::new();
            while let Some(address) = list.next_element()? {
                if all.len() == MOST_URLS {
                    return Err(A::Error::custom(format_args!(
                        "more than {MOST_URLS} addresses of a version"
                    )));
                }
                all.push(address);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_seq(Addresses)
}

/// One version of a chart.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub(super) version: String,
    /// Where its archive is; the first one is asked.
    #[serde(default, deserialize_with = "addresses")]
    pub(super) urls: Vec<String>,
    #[serde(default)]
    digest: Option<String>,
}

impl Index {
    /// Reads an index. Fields that Helm's own code skips are skipped.
    pub(super) fn parse(text: &str, address: &str) -> Result<Self, YamlError> {
        bundle_input::parse_yaml(text, address, Dialect::Helm)
    }

    /// The newest version of a chart that is in a range.
    pub(super) fn choose(&self, name: &str, range: Option<&str>) -> Result<&Entry, ChartCause> {
        let entries = self.entries.0.get(name).ok_or(ChartCause::NoChart)?;
        let versions = entries.iter().map(|entry| entry.version.as_str());
        let chosen = choose(versions, range)?;
        entries.iter().find(|entry| entry.version == chosen).ok_or(ChartCause::NoChart)
    }
}

impl Entry {
    /// The digest of the archive, if the index has one.
    pub(super) fn digest(&self) -> Option<Digest> {
        let text = self.digest.as_ref()?;
        text.parse().ok().or_else(|| format!("sha256:{text}").parse().ok())
    }
}

/// The newest of the versions that is in a range, or the one that is named exactly. Without a
/// range, the newest release.
pub(super) fn choose<'a>(
    versions: impl Iterator<Item = &'a str>,
    range: Option<&str>,
) -> Result<&'a str, ChartCause> {
    let mut versions: Vec<&str> = versions.collect();
    if let Some(exact) = range.and_then(|range| versions.iter().find(|version| **version == range)) {
        return Ok(exact);
    }
    let constraint: Option<Constraint> = range.unwrap_or("*").parse().ok();
    versions.sort_by(|a, b| match (a.parse::<Version>(), b.parse::<Version>()) {
        (Ok(a), Ok(b)) => b.compare(&a),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    });
    let fits = |version: &&&str| {
        let version = version.parse::<Version>();
        constraint.as_ref().is_some_and(|range| version.is_ok_and(|version| range.allows(&version)))
    };
    match versions.iter().find(fits) {
        Some(version) => Ok(version),
        None => {
            let versions = versions.iter().take(NEAREST).map(|version| (*version).to_owned()).collect();
            Err(ChartCause::NoVersion { versions })
        }
    }
}

/// The number of versions in the message where none fits.
const NEAREST: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "\
apiVersion: v1
generated: 2026-01-01T00:00:00Z
entries:
  app:
  - version: 1.10.0
    urls: [app-1.10.0.tgz]
    digest: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    appVersion: 1.10
    created: 2026-01-01T00:00:00Z
    dependencies: [{name: x}]
  - version: 2.0.0-rc.1
    urls: ['https://elsewhere.example/app.tgz']
  - version: 1.9.0
    urls: []
  - {version: latest}
";

    #[test]
    fn the_newest_version_of_a_range_is_chosen() {
        let index = Index::parse(INDEX, "i").unwrap();
        for (range, version) in [
            (None, Some("1.10.0")),
            (Some("1.x"), Some("1.10.0")),
            (Some("< 1.10"), Some("1.9.0")),
            (Some(">=2.0.0-0"), Some("2.0.0-rc.1")),
            (Some("2.0.0-rc.1"), Some("2.0.0-rc.1")),
            (Some("latest"), Some("latest")),
            (Some("3.x"), None),
        ] {
            let chosen = index.choose("app", range).ok().map(|entry| entry.version.as_str());
            assert_eq!(chosen, version, "{range:?}");
        }
        assert!(matches!(index.choose("other", None), Err(ChartCause::NoChart)));
        let error = index.choose("app", Some("3.x")).unwrap_err().to_string();
        assert_eq!(error, "this version does not exist; there are 2.0.0-rc.1, 1.10.0, 1.9.0, latest");
        assert_eq!(index.choose("app", None).unwrap().digest(), Some(Digest::of(b"")));
    }

    #[test]
    fn an_index_that_is_none_or_a_bomb_is_refused() {
        assert!(Index::parse("entries: [", "i").is_err());
        let bomb = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nentries: {}\n";
        assert!(Index::parse(bomb, "i").is_err());
        assert!(Index::parse(&format!("entries: {}", "[".repeat(10_000)), "i").is_err());
        // A few bytes each in the file.
        let versions = format!("entries: {{a: [{}]}}", "{},".repeat(MOST_VERSIONS + 1));
        let error = Index::parse(&versions, "i").unwrap_err().to_string();
        assert!(error.contains("more than 200000 versions"), "{error}");
        let urls = format!("entries: {{a: [{{urls: [{}]}}]}}", "a,".repeat(MOST_URLS + 1));
        assert!(Index::parse(&urls, "i").unwrap_err().to_string().contains("more than 16 addresses"));
    }
}
