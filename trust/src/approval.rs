//! Approvals: signed files beside a bundle that say which report a person approved it by (docs/format.md §Approvals).
//! Takes paths and keys; gives what was approved, and by whom.

use std::io::Read;
use std::path::{Path, PathBuf};

use bundle_format::{
    APPROVAL_VERSION, Approval, ApprovalError, FileError, PublicKey, SignatureBytes, Timestamp, Trusted,
    TrustedKey, replace_file,
};
use bundle_oci::Digest;

use crate::Effective;
use crate::limits::Limits;
use crate::signature_file::{SignatureFileError, read_signature};

/// The approvals beside a bundle.
#[derive(Debug, Default)]
pub struct Approvals {
    /// Those that count, each with the name of its key.
    pub given: Vec<(String, Approval)>,
    /// Files that do not count, and why.
    pub ignored: Vec<ApprovalFileError>,
}

/// An approval's file that does not count.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalFileError {
    /// It cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// It is larger than any approval.
    #[error("{} is larger than {} bytes", .0.display(), Limits::DEFAULT.approval)]
    TooLarge(PathBuf),
    /// Its contents are not right, or not signed by its key.
    #[error("{}: {source}", .path.display())]
    Approval {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ApprovalError,
    },
    /// The signature beside it.
    #[error(transparent)]
    Signature(#[from] SignatureFileError),
}

/// A report that nobody approved.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// No signer of the bundle named any report.
    #[error("no signer of the bundle approved it by a report")]
    NoReport,
    /// Other reports were approved.
    #[error("the report has the digest {report}, and {} approved {approved}", names(.signers))]
    OtherReport {
        /// The digest of the report at hand.
        report: Digest,
        /// The digest of the report that was approved first.
        approved: Digest,
        /// The keys that approved others.
        signers: Vec<String>,
    },
}

fn names(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" and ")
}

/// Where `key`'s approval of a file lies: beside it, as `NAME.<start of the key's fingerprint>.approval.json`. Its
/// signature has `.sig` appended.
pub fn approval_path(signed: &Path, key: &PublicKey) -> PathBuf {
    let mut path = crate::countersignature_path(signed, key).with_extension("").into_os_string();
    path.push(".approval.json");
    path.into()
}

fn signature_path(approval: &Path) -> PathBuf {
    let mut path = approval.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Writes an approval and its signature beside what is approved.
///
/// # Errors
/// A file cannot be written.
pub fn write_approval(
    signed: &Path,
    key: &PublicKey,
    approval: &[u8],
    signature: &SignatureBytes,
) -> Result<PathBuf, FileError> {
    let path = approval_path(signed, key);
    replace_file(&path, approval)?;
    replace_file(&signature_path(&path), signature.as_ref())?;
    Ok(path)
}

impl Approvals {
    /// Reads the approvals of these keys that lie beside a file. Each of them must have signed the statement: an approval
    /// without a signature of the bundle counts for nothing. Files of other keys are not looked at.
    pub fn read<'a>(
        signed: &Path,
        statement: Digest,
        signers: impl IntoIterator<Item = &'a TrustedKey>,
    ) -> Self {
        let mut approvals = Self::default();
        for signer in signers {
            match read(&approval_path(signed, &signer.key), &signer.key, statement) {
                Ok(Some(approval)) => approvals.given.push((signer.name.clone(), approval)),
                Ok(None) => {}
                Err(error) => approvals.ignored.push(error),
            }
        }
        approvals
    }

    /// The names of the keys that approved the report with this digest, at least one.
    ///
    /// # Errors
    /// Nobody did.
    pub fn of_report(&self, report: Digest) -> Result<Vec<&str>, NotApproved> {
        let Some((_, first)) = self.given.first() else { return Err(NotApproved::NoReport) };
        let by = self.given.iter().filter(|(_, approval)| approval.report == report);
        let by: Vec<&str> = by.map(|(name, _)| name.as_str()).collect();
        if by.is_empty() {
            let signers = self.given.iter().filter(|(_, approval)| approval.report == first.report);
            let signers = signers.map(|(name, _)| name.clone()).collect();
            return Err(NotApproved::OtherReport { report, approved: first.report, signers });
        }
        Ok(by)
    }
}

impl Effective {
    /// The approvals of a verified bundle's signers, which lie beside it.
    pub fn approvals(&self, signed: &Path, trusted: &Trusted) -> Approvals {
        let signed_it = |key: &&TrustedKey| trusted.signer_keys().contains(&key.key.fingerprint());
        Approvals::read(signed, trusted.digest(), self.policy().keys.iter().filter(signed_it))
    }
}

/// A report that is in front of a person now.
#[derive(Debug)]
pub struct SeenReport {
    path: PathBuf,
    digest: Digest,
    size: u64,
    /// None if it is no text, such as a PDF.
    text: Option<String>,
}

/// A report that cannot be approved.
#[derive(Debug, thiserror::Error)]
pub enum SeenReportError {
    /// It cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// It is larger than any report.
    #[error("{} is larger than {} MiB, and no report is", .0.display(), Limits::DEFAULT.report >> 20)]
    TooLarge(PathBuf),
    /// It is of another bundle.
    #[error("{} is not a report on this bundle, whose statement is {statement}", .path.display())]
    OtherBundle {
        /// The file.
        path: PathBuf,
        /// The digest of the bundle's statement.
        statement: Digest,
    },
    /// Its name cannot be written into an approval.
    #[error("{} has a name that is not printable", .0.display())]
    Name(PathBuf),
}

impl SeenReport {
    /// Reads a report.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub fn read(path: &Path) -> Result<Self, SeenReportError> {
        let failed = |source| SeenReportError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = bundle_os::open(path).map_err(failed)?;
        file.take(Limits::DEFAULT.report + 1).read_to_end(&mut bytes).map_err(failed)?;
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        if size > Limits::DEFAULT.report {
            return Err(SeenReportError::TooLarge(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), digest, size, text: String::from_utf8(bytes).ok() })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The approval of the bundle with this statement by this report. A report that must have `mark` in its text and does
    /// not is of another bundle, which nobody approves by mistake; what has no mark, such as a scan of signed paper, is the
    /// signer's own affair.
    ///
    /// # Errors
    /// The report is of another bundle, or its name cannot be written.
    pub fn approve(
        &self,
        statement: Digest,
        mark: Option<&str>,
        approved: Timestamp,
    ) -> Result<Approval, SeenReportError> {
        let has = |mark: &str| self.text.as_ref().is_some_and(|text| text.contains(mark));
        if mark.is_some_and(|mark| !has(mark)) {
            return Err(SeenReportError::OtherBundle { path: self.path.clone(), statement });
        }
        let name =
            self.path.file_name().and_then(|name| name.to_str()).filter(|name| Approval::is_name(name));
        let Some(name) = name else { return Err(SeenReportError::Name(self.path.clone())) };
        Ok(Approval {
            approval_version: APPROVAL_VERSION,
            statement,
            report: self.digest,
            size: self.size,
            name: name.to_owned(),
            approved,
        })
    }
}

fn read(path: &Path, key: &PublicKey, statement: Digest) -> Result<Option<Approval>, ApprovalFileError> {
    let failed = |source| ApprovalFileError::Read { path: path.to_owned(), source };
    let file = match bundle_os::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(Limits::DEFAULT.approval + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > Limits::DEFAULT.approval {
        return Err(ApprovalFileError::TooLarge(path.to_owned()));
    }
    let signature = read_signature(&signature_path(path))?;
    let approval = Approval::check(&bytes, &signature, key, statement);
    Ok(Some(approval.map_err(|source| ApprovalFileError::Approval { path: path.to_owned(), source })?))
}

#[cfg(test)]
mod tests {
    use bundle_format::{PrivateKey, TrustPolicy};

    use super::*;

    fn approval(report: &[u8]) -> Vec<u8> {
        let approval = Approval {
            approval_version: APPROVAL_VERSION,
            statement: Digest::of(b"s"),
            report: Digest::of(report),
            size: report.len() as u64,
            name: "r.html".to_owned(),
            approved: Timestamp::from_unix(1_800_000_000).unwrap(),
        };
        approval.to_bytes()
    }

    #[test]
    fn only_approvals_of_the_signers_count() {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path().join("b.tar");
        let keys = [1, 2].map(|seed| PrivateKey::from_seed(&[seed; 32]));
        let policy = TrustPolicy::single("one", keys[0].public());
        let read = || Approvals::read(&bundle, Digest::of(b"s"), &policy.keys);
        assert_eq!(read().of_report(Digest::of(b"r")), Err(NotApproved::NoReport));
        let bytes = approval(b"r");
        // A stranger's, and then the signer's.
        write_approval(&bundle, &keys[1].public(), &bytes, &keys[1].sign(&bytes)).unwrap();
        assert!(read().given.is_empty() && read().ignored.is_empty());
        let path = write_approval(&bundle, &keys[0].public(), &bytes, &keys[0].sign(&bytes)).unwrap();
        assert!(path.to_str().unwrap().ends_with(".approval.json"));
        assert_eq!(read().of_report(Digest::of(b"r")), Ok(vec!["one"]));
        assert!(matches!(
            read().of_report(Digest::of(b"x")),
            Err(NotApproved::OtherReport { approved, .. }) if approved == Digest::of(b"r")
        ));
        // They are no countersignatures for anybody who reads those.
        assert_eq!(crate::read_countersignatures(&bundle).unwrap(), []);
        write_approval(&bundle, &keys[0].public(), &approval(b"x"), &keys[0].sign(&bytes)).unwrap();
        assert!(read().given.is_empty());
        assert!(read().ignored[0].to_string().contains("not signed by its key"));
        std::fs::write(&path, vec![b' '; 70_000]).unwrap();
        assert!(matches!(read().ignored[0], ApprovalFileError::TooLarge(_)));
    }
}
