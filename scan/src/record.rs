//! The result of a scan as it is kept beside the bundle: JSON that can be signed, and SARIF whose digest is in it.
//! Takes a judgement, gives files; nothing but results of earlier scans is overwritten.

use std::path::{Path, PathBuf};

use bundle_format::{BundleId, FileError, SignatureBytes, Timestamp, replace_file};
use bundle_oci::Digest;
use bundle_os::{begins_with_field, may_replace};
use bundle_trust::{SignError, SignatureFileError, Signer};
use serde::{Deserialize, Serialize};

use crate::{Exception, Identity, Judged, Severity, sarif};

/// The version of the record.
const VERSION: u32 = 1;

/// What a scan of a bundle found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScanRecord {
    /// The version of the record: 1. No other document that is signed has this field.
    pub scan_version: u32,
    /// The bundle.
    pub bundle: BundleId,
    /// The scanner and its database.
    pub scanner: Identity,
    /// The least severity that blocks.
    pub block: Severity,
    /// When the scan ended, by this machine's clock.
    pub scanned: Timestamp,
    /// The verdict on each image.
    pub images: Vec<Judged>,
    /// Exceptions that no longer counted.
    pub expired: Vec<Exception>,
    /// The digest of the SARIF file beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sarif: Option<Digest>,
}

/// The files of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenScan {
    /// The record.
    pub record: PathBuf,
    /// The same as SARIF.
    pub sarif: PathBuf,
}

/// Why a result cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The signature.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A file that cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// No result of a scan.
    #[error("{}: not the result of a scan", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A result of a newer program.
    #[error("{} is of version {found}, and this program reads version {VERSION}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// The signature beside it cannot be read.
    #[error(transparent)]
    Signature(#[from] SignatureFileError),
    /// None of the keys signed it.
    #[error("{} is not signed by any of the keys given", .0.display())]
    NotSigned(PathBuf),
    /// It is about another bundle.
    #[error("{} is the result of the scan of another bundle: {found}", .path.display())]
    OtherBundle {
        /// The file.
        path: PathBuf,
        /// The bundle that was scanned.
        found: BundleId,
    },
}

impl ScanRecord {
    /// The version that this program writes.
    pub const VERSION: u32 = VERSION;
}

pub(crate) fn signature_path(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".sig");
    beside.into()
}

impl WrittenScan {
    /// Where the result of a bundle's scan is written: `nightly.scan.json` and `nightly.scan.sarif` for `nightly.tar`,
    /// beside it or in `directory`.
    pub fn places(bundle: &Path, directory: Option<&Path>) -> Self {
        let place = |end: &str| {
            let name = bundle.with_extension(end);
            match (directory, name.file_name()) {
                (Some(directory), Some(name)) => directory.join(name),
                _ => name,
            }
        };
        Self { record: place("scan.json"), sarif: place("scan.sarif") }
    }

    /// Makes sure that to write there overwrites nothing but an earlier result.
    ///
    /// # Errors
    /// There is something else.
    pub fn may_replace(&self) -> Result<(), RecordError> {
        may_replace(&self.record, |start, _| begins_with_field(start, "scanVersion"))?;
        may_replace(&self.sarif, |start, _| begins_with_field(start, "$schema"))?;
        may_replace(&signature_path(&self.record), |_, length| length == SignatureBytes::LENGTH as u64)?;
        Ok(())
    }
}

/// Writes a result: SARIF first, then the signature if there is a signer, then the record with SARIF's digest.
///
/// # Errors
/// Any [`RecordError`].
pub fn write_record(
    places: &WrittenScan,
    record: &mut ScanRecord,
    signer: Option<&Signer>,
) -> Result<(), RecordError> {
    places.may_replace()?;
    let other = sarif(record);
    record.sarif = Some(Digest::of(&other));
    replace_file(&places.sarif, &other)?;
    let json = |source| RecordError::Json { path: places.record.clone(), source };
    let mut bytes = serde_json::to_vec_pretty(record).map_err(json)?;
    bytes.push(b'\n');
    let beside = signature_path(&places.record);
    match signer {
        Some(signer) => replace_file(&beside, signer.sign(&bytes)?.as_ref())?,
        None => match std::fs::remove_file(&beside) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(FileError { path: beside, source }.into());
            }
            _ => {}
        },
    }
    Ok(replace_file(&places.record, &bytes)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use bundle_format::PrivateKey;

    use super::*;
    use crate::{Counts, Finding, JudgedFinding, JudgedPart, Verdict};

    pub(crate) fn record() -> ScanRecord {
        let exception = Exception {
            vulnerability: "CVE-1".to_owned(),
            image: "*".to_owned(),
            owner: "o".to_owned(),
            expires: "2026-12-31".to_owned(),
            reason: "r".to_owned(),
        };
        let finding = Finding {
            id: "CVE-1".to_owned(),
            aliases: Vec::new(),
            severity: Severity::High,
            package: "p".to_owned(),
            installed: "1".to_owned(),
            fixed: Some("2".to_owned()),
            title: None,
        };
        let digest = Digest::of(b"a");
        ScanRecord {
            scan_version: VERSION,
            bundle: BundleId {
                stream: "s".parse().unwrap(),
                sequence: "1".parse().unwrap(),
                statement: digest,
            },
            scanner: Identity { name: "t".to_owned(), version: "1".to_owned(), database: None, vex: None },
            block: Severity::High,
            scanned: Timestamp::from_unix(5).unwrap(),
            images: vec![Judged {
                image: "cache/a:1".to_owned(),
                source: "r.example/a:1".to_owned(),
                digest,
                verdict: Verdict::Allowed,
                counts: Counts { excepted: 1, ..Counts::default() },
                platforms: vec![
                    JudgedPart {
                        platform: Some("linux/amd64".to_owned()),
                        digest,
                        error: None,
                        recognised: true,
                        findings: vec![JudgedFinding {
                            finding,
                            verdict: Verdict::Allowed,
                            exception: Some(exception),
                        }],
                    },
                    JudgedPart {
                        platform: None,
                        digest,
                        error: Some("timeout".to_owned()),
                        recognised: false,
                        findings: Vec::new(),
                    },
                ],
            }],
            expired: Vec::new(),
            sarif: None,
        }
    }

    #[test]
    fn a_result_is_signed_beside_it_and_overwrites_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path().join("nightly.tar");
        let places = WrittenScan::places(&bundle, None);
        assert!(places.record.ends_with("nightly.scan.json"));
        assert_eq!(
            WrittenScan::places(&bundle, Some(Path::new("o"))).sarif,
            Path::new("o/nightly.scan.sarif")
        );
        let key = PrivateKey::from_seed(&[1; 32]);
        let mut record = record();
        write_record(&places, &mut record, Some(&Signer::Key(key))).unwrap();
        let signature = signature_path(&places.record);
        assert!(signature.exists());
        assert_eq!(record.sarif, Some(Digest::of(&std::fs::read(&places.sarif).unwrap())));
        write_record(&places, &mut record, None).unwrap();
        assert!(!signature.exists());
        std::fs::write(&places.record, "{\"receiptVersion\":1}").unwrap();
        assert!(matches!(write_record(&places, &mut record, None), Err(RecordError::File(_))));
    }

    #[test]
    fn sarif_has_a_rule_a_result_its_exception_and_what_failed() {
        let document: serde_json::Value = serde_json::from_slice(&sarif(&record())).unwrap();
        let run = &document["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "CVE-1");
        let result = &run["results"][0];
        assert_eq!((&result["ruleId"], &result["level"]), (&"CVE-1".into(), &"error".into()));
        assert_eq!(result["suppressions"][0]["justification"], "r (owner o, until 2026-12-31)");
        let said = result["message"]["text"].as_str().unwrap();
        assert_eq!(said, "cache/a:1 (linux/amd64): p 1 has CVE-1 (high), mended in 2");
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        assert_eq!(
            run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"],
            "cache/a:1: timeout"
        );
    }
}
