//! A Helm repository's `index.yaml`.
//! Takes its text; chooses the version that a range asks for.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bundle_chart::{Constraint, Version};
use bundle_input::{Dialect, YamlError};
use bundle_oci::Digest;
use serde::Deserialize;

use super::error::ChartCause;

/// The content of a Helm repository's `index.yaml`.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    #[serde(default)]
    entries: BTreeMap<String, Vec<Entry>>,
}

/// One version of a chart.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub(super) version: String,
    /// Where its archive is; the first one is asked.
    #[serde(default)]
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
        let entries = self.entries.get(name).ok_or(ChartCause::NoChart)?;
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
    }
}
