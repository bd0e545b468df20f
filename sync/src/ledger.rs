//! The ledger of an export job between runs. It is a hint: if lost, it is made again from outbox and
//! receipts. Takes the state directory, gives and keeps one document for each job.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bundle_format::{BundleId, FileError, Sequence, StreamName, Timestamp, replace_file};
use bundle_oci::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::pruning::PruneStatus;
use crate::status::MissingStatus;

/// Why a job's memory cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

/// The ledger of an export job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ExportLedger {
    /// The last bundle that was written, by stream.
    pub(crate) last: BTreeMap<StreamName, Last>,
    /// When the job last ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) succeeded: Option<Timestamp>,
    /// The images that were gone at their registries when it did, by stream.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) missing: BTreeMap<StreamName, Vec<MissingStatus>>,
}

/// A bundle that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Last {
    pub(crate) sequence: Sequence,
    pub(crate) statement: Digest,
    pub(crate) created: Timestamp,
    /// The size of its archive in bytes.
    pub(crate) bytes: u64,
    /// Its contents, as one digest of all targets and their digests.
    pub(crate) contents: Digest,
    /// How many deltas there were since the last whole bundle; 0 if it is one.
    pub(crate) deltas: u32,
}

/// The ledger of an import job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ImportLedger {
    /// How those bundles looked that could not be used the last time: what has changed since is still
    /// being copied.
    #[serde(default)]
    pub(crate) unusable: BTreeMap<String, Unusable>,
    /// The files in `done`, oldest first.
    #[serde(default)]
    pub(crate) done: Vec<Done>,
    /// The files on their way out of the inbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) moving: Vec<Move>,
    /// The last bundle that was imported, by stream.
    #[serde(default)]
    pub(crate) last: BTreeMap<StreamName, LastImport>,
    /// How many bundles were refused.
    #[serde(default)]
    pub(crate) refused: u64,
    /// When the job last ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) succeeded: Option<Timestamp>,
    /// Whether something was imported since the last removal that ended well.
    #[serde(default)]
    pub(crate) prune_due: bool,
    /// How the last removal ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pruned: Option<PruneStatus>,
}

/// A bundle that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unusable {
    /// How it looked then.
    pub(crate) fingerprint: Fingerprint,
    /// Since when it has looked so.
    pub(crate) since: Timestamp,
}

/// How the files of a bundle look from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fingerprint {
    /// The size of each file and the time of its last change, in seconds and nanoseconds.
    pub(crate) files: BTreeMap<String, (u64, i64, i64)>,
}

/// An imported bundle's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Done {
    pub(crate) stream: StreamName,
    pub(crate) files: Vec<PathBuf>,
}

/// A file on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Move {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
}

/// A bundle that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct LastImport {
    pub(crate) sequence: Sequence,
    pub(crate) statement: Digest,
    pub(crate) created: Timestamp,
    pub(crate) imported: Timestamp,
    pub(crate) bytes: u64,
    /// The number of its images that the registry blocks.
    pub(crate) blocked: u64,
    /// The bundles that it is a delta of; those of the delta before it, if it is none itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) bases: Vec<BundleId>,
    /// Whether it is none itself.
    #[serde(default)]
    pub(crate) is_full: bool,
}

/// Reads what a job remembers. It is a hint: a file that is missing or makes no sense is an empty
/// one.
pub(crate) fn load<T: DeserializeOwned + Default>(path: &Path) -> Result<T, LedgerError> {
    let failed = |source| LedgerError::Read { path: path.to_owned(), source };
    match bundle_os::read(path, crate::limits::Limits::DEFAULT.ledger) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
        Err(error) => match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::FileTooLarge => Ok(T::default()),
            _ => Err(failed(error)),
        },
    }
}

/// Writes what a job remembers, at once and to disk.
pub(crate) fn save<T: Serialize>(path: &Path, ledger: &T) -> Result<(), LedgerError> {
    let failed = |error: serde_json::Error| FileError { path: path.to_owned(), source: error.into() };
    let mut bytes = serde_json::to_vec_pretty(ledger).map_err(failed)?;
    bytes.push(b'\n');
    Ok(replace_file(path, &bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("import.json");
        assert_eq!(load::<ImportLedger>(&path).unwrap(), ImportLedger::default());
        let ledger = ImportLedger { refused: 3, ..ImportLedger::default() };
        save(&path, &ledger).unwrap();
        assert_eq!(load::<ImportLedger>(&path).unwrap(), ledger);
        for nonsense in ["", "{", "{\"refused\":-1}", "{\"other\":1}"] {
            std::fs::write(&path, nonsense).unwrap();
            assert_eq!(load::<ImportLedger>(&path).unwrap(), ImportLedger::default());
        }
    }
}
