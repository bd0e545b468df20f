//! The file of a planned removal, which people read, cut down and hand back. Takes and gives JSON with a version;
//! a plan can only lose rows between planning and doing, for each is judged again.

use std::path::{Path, PathBuf};

use bundle_format::{BundleId, FileError, StreamName, Timestamp, replace_file};
use bundle_oci::{Digest, RegistryPath};
use bundle_os::{begins_with_field, may_replace};
use serde::{Deserialize, Serialize};

use crate::{Freed, Left, Limits, Removal};

/// The version of the file.
const VERSION: u32 = 1;

/// A planned removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RemovalPlan {
    /// The version of the file: 1.
    pub plan_version: u32,
    /// The Harbor.
    pub registry: RegistryPath,
    /// The stream whose images may go.
    pub stream: StreamName,
    /// How many of its newest bundles are kept.
    pub keep: usize,
    /// When it was planned, by the planning machine's clock.
    pub planned: Timestamp,
    /// The kept bundles of the stream, the newest first.
    pub kept: Vec<BundleId>,
    /// The kept bundles of other streams.
    pub others: Vec<BundleId>,
    /// What goes, in the order in which it can be done. A row that is taken out stays.
    pub removals: Vec<Removal>,
    /// What no kept bundle wants and what stays nevertheless.
    pub left: Vec<Left>,
    /// What the removals free, after Harbor's garbage collection.
    pub frees: Freed,
}

/// Why a plan's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// It is no plan.
    #[error("{}: not a removal plan", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It is of another program's time.
    #[error("{} is of version {found}, and this program reads version {VERSION}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

impl RemovalPlan {
    /// The version that this program writes.
    pub const VERSION: u32 = VERSION;

    /// Reads a plan, and gives the digest of its bytes too.
    ///
    /// # Errors
    /// Any [`DocumentError`].
    pub fn read(path: &Path, limits: &Limits) -> Result<(Self, Digest), DocumentError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            plan_version: u64,
        }

        let failed = |source| DocumentError::Read { path: path.to_owned(), source };
        let bytes = bundle_os::read(path, limits.plan).map_err(failed)?;
        let json = |source| DocumentError::Json { path: path.to_owned(), source };
        let versioned: Versioned = serde_json::from_slice(&bytes).map_err(json)?;
        if versioned.plan_version != u64::from(VERSION) {
            return Err(DocumentError::Version { path: path.to_owned(), found: versioned.plan_version });
        }
        Ok((serde_json::from_slice(&bytes).map_err(json)?, Digest::of(&bytes)))
    }

    /// Makes sure that to write a plan at `path` overwrites nothing but another plan.
    ///
    /// # Errors
    /// There is something else.
    pub fn may_replace(path: &Path) -> Result<(), DocumentError> {
        Ok(may_replace(path, |start, _| begins_with_field(start, "planVersion"))?)
    }

    /// Writes the plan, with a line for each value, so that people can read and cut it.
    ///
    /// # Errors
    /// The file cannot be written, or is something else than a plan.
    pub fn write(&self, path: &Path) -> Result<(), DocumentError> {
        Self::may_replace(path)?;
        let json = |source| DocumentError::Json { path: path.to_owned(), source };
        let mut bytes = serde_json::to_vec_pretty(self).map_err(json)?;
        bytes.push(b'\n');
        Ok(replace_file(path, &bytes)?)
    }
}

/// A repository as `project/name`.
pub(crate) mod repository {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::Repository;

    pub(crate) fn serialize<S: Serializer>(
        repository: &Repository,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(repository)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Repository, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (project, name) =
            text.split_once('/').ok_or_else(|| Error::custom("repository must be PROJECT/NAME"))?;
        Ok(Repository {
            project: project.parse().map_err(Error::custom)?,
            name: name.parse().map_err(Error::custom)?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ledger::tests::{bundle, digest};
    use crate::{Repository, Why};

    pub(crate) fn removal(name: &str, of: &str, tags: &[&str], whole: bool) -> Removal {
        Removal {
            repository: Repository { project: "cache".parse().unwrap(), name: name.parse().unwrap() },
            digest: digest(of),
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            whole,
            with: Vec::new(),
            brought_by: bundle("s", 1),
            pulled: None,
            bytes: 6100,
        }
    }

    pub(crate) fn planned(removals: Vec<Removal>, left: Vec<Left>) -> RemovalPlan {
        RemovalPlan {
            plan_version: VERSION,
            registry: "harbor.example".parse().unwrap(),
            stream: "s".parse().unwrap(),
            keep: 3,
            planned: Timestamp::from_unix(1_795_510_800).unwrap(),
            kept: vec![bundle("s", 2)],
            others: Vec::new(),
            removals,
            left,
            frees: Freed { blobs: 2, bytes: 1100 },
        }
    }

    #[test]
    fn a_plan_reads_back_as_it_was_written_and_nothing_else_is_one_or_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("removals.json");
        let left = Left {
            repository: Repository { project: "cache".parse().unwrap(), name: "b".parse().unwrap() },
            digest: digest("b"),
            tag: Some("1".parse().unwrap()),
            why: Why::Pulled(Timestamp::from_unix(5).unwrap()),
        };
        let plan = planned(vec![removal("a/b", "a", &["1", "2"], true)], vec![left]);
        for _ in 0..2 {
            plan.write(&path).unwrap();
            assert_eq!(RemovalPlan::read(&path, &Limits::DEFAULT).unwrap().0, plan);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"repository\": \"cache/a/b\""), "{text}");
        for (from, to) in [
            ("\"planVersion\": 1", "\"planVersion\": 2"),
            ("\"keep\"", "\"keeps\""),
            ("cache/a/b", "cache"),
            ("cache/a/b", "../a"),
            ("}", ""),
        ] {
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            assert!(RemovalPlan::read(&path, &Limits::DEFAULT).is_err(), "{to}");
        }
        std::fs::write(&path, "something else").unwrap();
        assert!(plan.write(&path).is_err());
    }
}
