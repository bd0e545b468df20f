//! Storage quotas of projects: read and set (Harbor's `src/server/v2.0/handler/quota.go`).
//! Takes a project, gives the bytes that it has and may have; sets the latter.

use std::fmt;
use std::str::FromStr;

use bundle_oci::ProjectName;
use bundle_registry::{Error, Method};
use serde::Deserialize;
use serde_json::json;

use crate::Harbor;

/// How much a project may store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageLimit {
    /// As much as there is.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

/// A text that says no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quota must be 'unlimited', or a whole number above 0 with KiB, MiB, GiB or TiB")]
pub struct ParseStorageLimitError;

impl StorageLimit {
    /// Harbor's spelling: -1 for no limit.
    pub(crate) fn wire(self) -> i64 {
        match self {
            Self::Unlimited => -1,
            Self::Bytes(bytes) => i64::try_from(bytes).unwrap_or(i64::MAX),
        }
    }

    fn read(wire: i64) -> Self {
        // Harbor takes any negative number as no limit.
        u64::try_from(wire).map_or(Self::Unlimited, Self::Bytes)
    }
}

impl FromStr for StorageLimit {
    type Err = ParseStorageLimitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim_start() {
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => return Err(ParseStorageLimitError),
        };
        let number: i64 = number.parse().map_err(|_| ParseStorageLimitError)?;
        let bytes = number.checked_mul(1 << shift).and_then(|bytes| u64::try_from(bytes).ok());
        bytes.filter(|bytes| *bytes > 0).map(Self::Bytes).ok_or(ParseStorageLimitError)
    }
}

impl fmt::Display for StorageLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Bytes(bytes) => {
                let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
                match units.into_iter().find(|(shift, _)| *bytes > 0 && bytes % (1_u64 << shift) == 0) {
                    Some((shift, unit)) => write!(f, "{}{unit}", bytes >> shift),
                    None => write!(f, "{bytes}B"),
                }
            }
        }
    }
}

/// How much a project stores, and may store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageUse {
    /// How much it may store.
    pub limit: StorageLimit,
    /// How much it stores, in bytes.
    pub used: u64,
}

/// A quota that can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Harbor's number for it.
    pub id: i64,
    /// How much may be stored.
    pub limit: StorageLimit,
}

#[derive(Deserialize)]
struct WireSummary {
    #[serde(default)]
    quota: Option<WireUse>,
}

#[derive(Deserialize)]
struct WireUse {
    #[serde(default)]
    hard: Option<WireStorage>,
    #[serde(default)]
    used: Option<WireStorage>,
}

#[derive(Deserialize)]
struct WireStorage {
    storage: i64,
}

#[derive(Deserialize)]
struct WireQuota {
    id: i64,
    hard: WireStorage,
}

impl Harbor {
    /// How much a project stores, and may store; none if the account may not know, or this Harbor
    /// keeps no quotas.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn storage(&self, project: &ProjectName) -> Result<Option<StorageUse>, Error> {
        let doing = format!("tell what the project {project} stores");
        let summary: WireSummary = self.get(&format!("/projects/{project}/summary"), &doing).await?;
        Ok(summary.quota.and_then(|quota| {
            let used = quota.used.map_or(0, |used| used.storage);
            Some(StorageUse {
                limit: StorageLimit::read(quota.hard?.storage),
                used: u64::try_from(used).unwrap_or_default(),
            })
        }))
    }

    /// The quota of the project with this number.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to list quotas.
    pub async fn quota(&self, project: i64) -> Result<Option<Quota>, Error> {
        let path = format!("/quotas?reference=project&reference_id={project}");
        let quotas: Vec<WireQuota> = self.list(&path, "list quotas").await?;
        let quota = quotas.into_iter().next();
        Ok(quota.map(|quota| Quota { id: quota.id, limit: StorageLimit::read(quota.hard.storage) }))
    }

    /// Changes a quota.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right.
    pub async fn set_quota(&self, quota: i64, limit: StorageLimit) -> Result<(), Error> {
        let body = json!({"hard": {"storage": limit.wire()}});
        self.call(Method::Put, &format!("/quotas/{quota}"), "set a quota", Some(&body)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_with_a_unit() {
        for (text, limit, shown) in [
            ("unlimited", StorageLimit::Unlimited, "unlimited"),
            ("10GiB", StorageLimit::Bytes(10 << 30), "10GiB"),
            ("10 GiB", StorageLimit::Bytes(10 << 30), "10GiB"),
            ("1536MiB", StorageLimit::Bytes(1536 << 20), "1536MiB"),
            ("1024KiB", StorageLimit::Bytes(1 << 20), "1MiB"),
        ] {
            assert_eq!(text.parse(), Ok(limit));
            assert_eq!(limit.to_string(), shown);
            assert_eq!(StorageLimit::read(limit.wire()), limit);
        }
        for bad in ["", "10", "10GB", "0GiB", "-1GiB", "1.5GiB", "GiB", "9999999999TiB", "Unlimited", "+1GiB"]
        {
            assert_eq!(bad.parse::<StorageLimit>(), Err(ParseStorageLimitError), "{bad:?}");
        }
        assert_eq!(StorageLimit::Bytes(1000).to_string(), "1000B");
    }
}
