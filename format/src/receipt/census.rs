//! How much there is in a receipt, counted before any of it is kept: takes its bytes, and gives numbers to hold to
//! [`Limits`].

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::Limits;
use crate::count::{Count, fold_list};
use crate::receipt::document::{ReceiptError, over};

/// How many there are of what a receipt lists.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Census {
    #[serde(default)]
    artifacts: Artifacts,
    #[serde(default)]
    blobs: Count,
    #[serde(default)]
    signers: Count,
    #[serde(default)]
    overrides: Count,
    #[serde(default)]
    policies: Policies,
}

impl Census {
    /// Counts what a receipt's bytes list.
    ///
    /// # Errors
    /// They are no JSON of the shape.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Holds the numbers to the limits.
    ///
    /// # Errors
    /// [`ReceiptError::TooMany`].
    pub(super) fn check(&self, limits: &Limits) -> Result<(), ReceiptError> {
        let Self { artifacts, blobs, signers, overrides, policies } = self;
        for (what, found, limit) in [
            ("artifacts", artifacts.count, limits.artifacts),
            ("blobs", blobs.0, limits.blobs),
            ("blobs, counted for each artifact,", artifacts.parts, limits.parts),
            ("signers", signers.0, limits.reasons),
            ("overrides", overrides.0, limits.reasons),
            ("policies", policies.count, limits.artifacts),
            ("patterns of immutable tags", policies.patterns, limits.artifacts),
        ] {
            over(what, found as u64, limit as u64)?;
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Artifacts {
    count: usize,
    parts: usize,
}

#[derive(Deserialize)]
struct Lists {
    #[serde(default)]
    blobs: Count,
}

impl<'de> Deserialize<'de> for Artifacts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fold_list(deserializer, "a list of artifacts", |all: &mut Self, Lists { blobs }| {
            all.count += 1;
            all.parts += blobs.0;
        })
    }
}

#[derive(Debug, Default)]
struct Policies {
    count: usize,
    patterns: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    #[serde(default)]
    immutable_tags: Count,
}

impl<'de> Deserialize<'de> for Policies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Policies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("policies by project")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Policies, A::Error> {
                let mut all = Policies::default();
                while let Some((IgnoredAny, Policy { immutable_tags })) = map.next_entry()? {
                    all.count += 1;
                    all.patterns += immutable_tags.0;
                }
                Ok(all)
            }
        }

        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Receipt;
    use crate::testing::receipt;

    fn told(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut value = serde_json::to_value(receipt()).unwrap();
        change(&mut value);
        let limits = Limits { artifacts: 20, blobs: 20, parts: 40, reasons: 20, ..Limits::V1 };
        match Receipt::parse(&serde_json::to_vec(&value).unwrap(), &limits) {
            Ok(_) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_receipt_that_is_small_in_bytes_and_large_in_memory_has_an_end() {
        use serde_json::json;
        assert_eq!(told(|_| ()), "nothing");
        let many = |count: usize, one: serde_json::Value| serde_json::Value::Array(vec![one; count]);
        assert!(told(|it| it["signers"] = many(21, json!("x"))).contains("21 signers, more than the 20"));
        let made = json!({"rule": "rollback", "reason": "x"});
        assert!(told(|it| it["overrides"] = many(21, made)).contains("21 overrides"));
        let one = receipt().artifacts[0].clone();
        assert!(told(|it| it["artifacts"] = many(21, json!(one))).contains("21 artifacts"));
        assert!(told(|it| it["artifacts"][0]["blobs"] = many(41, json!(0))).contains("41 blobs, counted"));
        let blob = json!(receipt().blobs[0]);
        assert!(told(|it| it["blobs"] = many(21, blob)).contains("21 blobs"));
        let patterns = many(21, json!("v*"));
        let policy = json!({"public": false, "scanOnPush": true, "immutableTags": patterns});
        assert!(told(|it| it["policies"] = json!({"cache": policy})).contains("21 patterns"));
    }
}
