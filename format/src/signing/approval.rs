//! The signed document by which a person approves a bundle and says which report was in front of them.
//! Takes the document's bytes; gives what was approved.

use bundle_oci::json::Bounds;
use bundle_oci::{Digest, Printable};
use serde::{Deserialize, Serialize};

use crate::{PublicKey, SignatureBytes, Timestamp};

/// The version of the approval that this crate reads and writes.
pub const APPROVAL_VERSION: u32 = 1;

/// An approval of a bundle by a report (docs/format.md §Approvals): JSON, with the raw signature in a file of its own
/// beside it. The key that signs it has also signed the statement, with a countersignature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Approval {
    /// [`APPROVAL_VERSION`].
    pub approval_version: u32,
    /// The digest of the statement's bytes.
    pub statement: Digest,
    /// The digest of the report's bytes.
    pub report: Digest,
    /// The size of the report in bytes.
    pub size: u64,
    /// The name of the report's file, for people: 1 to 256 bytes. It decides nothing.
    pub name: String,
    /// When it was signed, by the signer's clock. No decision depends on it.
    pub approved: Timestamp,
}

/// Why an approval does not count.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The key did not sign these bytes.
    #[error("approval is not signed by its key, or was changed after it was signed")]
    Signature,
    /// A version of the document from another time.
    #[error("approval is of version {0}, and this program reads version {APPROVAL_VERSION}")]
    Version(u64),
    /// No JSON of the expected shape.
    #[error("approval is not valid")]
    Json(#[from] serde_json::Error),
    /// A name that is empty, too long or not printable.
    #[error("approval names a report in a way that is not printable")]
    Name,
    /// Another bundle was approved.
    #[error("approval is of another bundle, with the statement {0}")]
    OtherBundle(Digest),
}

/// The longest name of a report in bytes: that of a file (Linux, `NAME_MAX`).
const LONGEST_NAME: usize = 256;

impl Approval {
    /// The document's bytes, to be signed and written.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an approval has no map with keys other than strings")
    }

    /// The approval of the bundle with this statement, which `key` signed.
    ///
    /// # Errors
    /// Any [`ApprovalError`]. Nothing of the document is read before the signature is checked.
    pub fn check(
        bytes: &[u8],
        signature: &SignatureBytes,
        key: &PublicKey,
        statement: Digest,
    ) -> Result<Self, ApprovalError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            approval_version: u64,
        }

        if !key.verify(bytes, signature) {
            return Err(ApprovalError::Signature);
        }
        // Two readers must not take the same bytes for two things (docs/format.md §JSON).
        bundle_oci::json::check(bytes, Bounds::STATEMENT, &[], &[])?;
        let versioned: Versioned = serde_json::from_slice(bytes)?;
        if versioned.approval_version != u64::from(APPROVAL_VERSION) {
            return Err(ApprovalError::Version(versioned.approval_version));
        }
        let approval: Self = serde_json::from_slice(bytes)?;
        if !Self::is_name(&approval.name) {
            return Err(ApprovalError::Name);
        }
        if approval.statement != statement {
            return Err(ApprovalError::OtherBundle(approval.statement));
        }
        Ok(approval)
    }

    /// Whether an approval may call a report so.
    pub fn is_name(name: &str) -> bool {
        (1..=LONGEST_NAME).contains(&name.len()) && Printable(name).to_string() == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, PrivateKey, Statement};

    fn approval() -> Approval {
        Approval {
            approval_version: APPROVAL_VERSION,
            statement: Digest::of(b"statement"),
            report: Digest::of(b"report"),
            size: 6,
            name: "report.html".to_owned(),
            approved: Timestamp::from_unix(1_800_000_000).unwrap(),
        }
    }

    fn checked(bytes: &[u8], signer: u8) -> Result<Approval, ApprovalError> {
        let key = PrivateKey::from_seed(&[1; 32]).public();
        let signature = PrivateKey::from_seed(&[signer; 32]).sign(bytes);
        Approval::check(bytes, &signature, &key, Digest::of(b"statement"))
    }

    #[test]
    fn what_was_approved_is_what_was_signed_and_nothing_else() {
        use ApprovalError as E;
        let bytes = approval().to_bytes();
        assert_eq!(checked(&bytes, 1).unwrap(), approval());
        assert!(matches!(checked(&bytes, 2), Err(E::Signature)));
        let other = Approval { statement: Digest::of(b"other"), ..approval() };
        assert!(matches!(checked(&other.to_bytes(), 1), Err(E::OtherBundle(_))));
        let newer = Approval { approval_version: 2, ..approval() };
        assert!(matches!(checked(&newer.to_bytes(), 1), Err(E::Version(2))));
        for name in ["", "\u{1b}[31m", &"x".repeat(257)] {
            let named = Approval { name: name.to_owned(), ..approval() };
            assert!(matches!(checked(&named.to_bytes(), 1), Err(E::Name)), "{name:?}");
        }
        let text = String::from_utf8(bytes.clone()).unwrap();
        for wrong in [text.replace("\"size\":6", "\"size\":6,\"size\":7"), text.replace("}", ",\"more\":1}")]
        {
            assert!(matches!(checked(wrong.as_bytes(), 1), Err(E::Json(_))), "{wrong}");
        }
        // One key signs statements and approvals: neither is taken for the other.
        assert!(Statement::parse(&bytes, &Limits::V1).is_err());
    }
}
