//! The record of a removal: what a reviewed plan asked for, and what became of each row. Takes results, gives JSON
//! to sign; its signature lies beside it, as a receipt's does.

use std::path::{Path, PathBuf};

use bundle_format::{BundleId, FileError, SignatureBytes, StreamName, Timestamp, replace_file};
use bundle_oci::{Digest, RegistryPath, Tag};
use bundle_os::{begins_with_field, may_replace};
use bundle_trust::{SignError, Signer};
use serde::{Deserialize, Serialize};

use crate::{Freed, Repository, Why};

/// The version of the record.
const VERSION: u32 = 1;

/// What was removed, by whom, and what was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RemovalRecord {
    /// The version of the record: 1. No receipt and no statement has this field, so that the same key can sign them.
    pub removal_version: u32,
    /// The Harbor.
    pub registry: RegistryPath,
    /// The stream whose images were removed.
    pub stream: StreamName,
    /// The digest of the reviewed plan's file; none for a job that had no reviewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// The account at Harbor that removed them.
    pub account: String,
    /// The kept bundles of the stream when it was done.
    pub kept: Vec<BundleId>,
    /// When it began, by this machine's clock.
    pub began: Timestamp,
    /// When it ended; none if it is under way, or was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// What became of each row of the plan.
    pub results: Vec<RemovalResult>,
    /// What the plan frees, if all of it is done.
    pub frees: Freed,
}

/// What became of a row of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RemovalResult {
    /// Where it is.
    #[serde(with = "crate::document::repository")]
    pub repository: Repository,
    /// The artifact.
    pub digest: Digest,
    /// The tags that were removed.
    pub tags: Vec<Tag>,
    /// Whether the artifact was removed.
    pub artifact: bool,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a row of the plan ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Nobody came to it yet.
    Pending,
    /// All of it was removed.
    Removed,
    /// It was gone already.
    Gone,
    /// It was left, or a part of it.
    Left(Why),
    /// Harbor did not do it.
    Failed(String),
}

impl Outcome {
    /// Whether the row is as the plan wants it.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Removed | Self::Gone)
    }
}

/// Why a record cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The signature.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl RemovalRecord {
    /// The version that this program writes.
    pub const VERSION: u32 = VERSION;

    /// The record's bytes, to be signed and written.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a record has no map");
        bytes.push(b'\n');
        bytes
    }
}

/// Where the record of a plan lies unless somebody says otherwise: `removals.record.json` for `removals.json`.
pub fn record_path(plan: &Path) -> PathBuf {
    plan.with_extension("record.json")
}

/// Signs a record if there is a signer, and writes it; the signature comes first. Nothing but a record is overwritten.
///
/// # Errors
/// Any [`RecordError`].
pub fn write_record(path: &Path, record: &RemovalRecord, signer: Option<&Signer>) -> Result<(), RecordError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".sig");
    let beside = PathBuf::from(beside);
    may_replace(path, |start, _| begins_with_field(start, "removalVersion"))?;
    may_replace(&beside, |_, length| length == SignatureBytes::LENGTH as u64)?;
    let bytes = record.to_bytes();
    match signer {
        Some(signer) => replace_file(&beside, signer.sign(&bytes)?.as_ref())?,
        None => match std::fs::remove_file(&beside) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(FileError { path: beside, source }.into());
            }
            _ => {}
        },
    }
    Ok(replace_file(path, &bytes)?)
}

#[cfg(test)]
mod tests {
    use bundle_format::PrivateKey;

    use super::*;
    use crate::ledger::tests::{bundle, digest};

    #[test]
    fn a_record_is_signed_beside_it_and_is_taken_for_no_receipt() {
        let directory = tempfile::tempdir().unwrap();
        let path = record_path(&directory.path().join("removals.json"));
        assert!(path.ends_with("removals.record.json"));
        let time = Timestamp::from_unix(5).unwrap();
        let record = RemovalRecord {
            removal_version: VERSION,
            registry: "harbor.example".parse().unwrap(),
            stream: "s".parse().unwrap(),
            plan: Some(digest("plan")),
            account: "admin".to_owned(),
            kept: vec![bundle("s", 2)],
            began: time,
            ended: Some(time),
            results: vec![RemovalResult {
                repository: Repository { project: "cache".parse().unwrap(), name: "a".parse().unwrap() },
                digest: digest("a"),
                tags: vec!["1".parse().unwrap()],
                artifact: false,
                outcome: Outcome::Left(Why::Immutable),
            }],
            frees: Freed::default(),
        };
        let key = PrivateKey::from_seed(&[1; 32]);
        let (public, signer) = (key.public(), Signer::Key(key));
        write_record(&path, &record, Some(&signer)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let signature =
            bundle_trust::read_signature(&directory.path().join("removals.record.json.sig")).unwrap();
        assert!(public.verify(&bytes, &signature));
        assert_eq!(serde_json::from_slice::<RemovalRecord>(&bytes).unwrap(), record);
        assert!(bundle_format::Receipt::parse(&bytes, &bundle_format::Limits::V1).is_err());
        // Without a key, no signature of an earlier record is left beside it.
        write_record(&path, &record, None).unwrap();
        assert!(!directory.path().join("removals.record.json.sig").exists());
        std::fs::write(&path, "{\"receiptVersion\":1}").unwrap();
        assert!(write_record(&path, &record, None).is_err());
    }
}
