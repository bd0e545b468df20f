//! How much there is in a lockfile, counted before any of it is kept: a platform takes three bytes in the file, and
//! two hundred once parsed. Takes YAML; gives numbers to hold to the limits of the statement that it becomes.

use bundle_format::{Count, fold_list};
use bundle_input::YamlError;
use serde::de::{Deserialize, Deserializer};

use crate::{ConfigError, Limits};

/// How many there are of what a lock lists.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct LockCensus {
    #[serde(default)]
    artifacts: Entries,
    #[serde(default)]
    patterns: Patterns,
    #[serde(default)]
    missing: Count,
}

impl LockCensus {
    /// Holds the numbers to the limits.
    ///
    /// # Errors
    /// [`ConfigError::Yaml`].
    pub(crate) fn check(&self, name: &str) -> Result<(), ConfigError> {
        let (format, entries) = (bundle_format::Limits::V1, &self.artifacts);
        for (what, found, most) in [
            ("artifacts", entries.count, Limits::DEFAULT.images),
            // Those that were chosen and those that there are.
            ("platforms", entries.platforms, 2 * format.all_platforms),
            ("reasons", entries.reasons, format.all_reasons),
            ("tags of patterns", self.patterns.tags, Limits::DEFAULT.images),
            ("missing images", self.missing.0, Limits::DEFAULT.images),
        ] {
            if found > most {
                let message = format!("{found} {what}, more than {most}");
                let name = name.to_owned();
                return Err(YamlError { name, line: 1, column: 1, message }.into());
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Entries {
    count: usize,
    platforms: usize,
    reasons: usize,
}

#[derive(Debug, Default)]
struct Patterns {
    tags: usize,
}

#[derive(serde::Deserialize)]
struct OfPattern {
    #[serde(default)]
    tags: Count,
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fold_list(deserializer, "a list of patterns", |all: &mut Self, OfPattern { tags }| {
            all.tags += tags.0 + 1
        })
    }
}

#[derive(serde::Deserialize)]
struct Lists {
    #[serde(default)]
    only: Count,
    #[serde(default)]
    platforms: Count,
    #[serde(default)]
    why: Count,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fold_list(deserializer, "a list of artifacts", |all: &mut Self, Lists { only, platforms, why }| {
            all.count += 1;
            all.platforms += only.0 + platforms.0;
            all.reasons += why.0;
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::Lock;

    /// A lock of one artifact with these lists.
    fn told(lists: &str) -> String {
        let digest = format!("sha256:{}", "0".repeat(64));
        let text = format!(
            "version: 1\nname: s\nartifacts:\n- {{reference: 'a.b/r:1', target: 'cache/r:1', kind: image, digest: '{digest}', \
             mediaType: application/vnd.oci.image.manifest.v1+json, size: 1, blobs: 1, {lists}}}\n"
        );
        match Lock::parse(&text, "bundle.lock") {
            Ok(lock) => format!("{} artifacts", lock.artifacts.len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_lock_that_is_small_in_bytes_and_large_in_memory_has_an_end() {
        let many = |one: &str, count: usize| vec![one; count].join(",");
        assert_eq!(told(&format!("why: [{}]", many("wanted", 200_000))), "1 artifacts");
        let error = told(&format!("why: [{}]", many("x", 600_000)));
        assert!(error.contains("600000 reasons, more than 400000"), "{error}");
        let error = told(&format!("why: [x], only: [{}]", many("a/b", 400_001)));
        assert!(error.contains("400001 platforms, more than 400000"), "{error}");
    }
}
