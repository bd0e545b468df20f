//! The reports of `key`, `sign`, `trust`, `login` and `logout`. Takes names and fingerprints, never a secret;
//! gives models.

use schemars::JsonSchema;
use serde::Serialize;

use crate::artifact::dated;
use crate::{FileError, Report};

/// `'ops' and 'transfer'`.
pub(crate) fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    names.join(" and ")
}

/// `key generate` and `key show`: a key.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct KeyReport {
    /// The fingerprint of the public key.
    pub fingerprint: String,
    /// The private key's file that was written. Absent with `key show`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private: Option<String>,
    /// The public key's file that was written. Absent with `key show`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
}

impl Report for KeyReport {
    fn text(&self) -> String {
        match (&self.private, &self.public) {
            (Some(private), Some(public)) => format!(
                "wrote {private} (keep it secret) and {public} (transfer it to the far side)\nfingerprint {}\n",
                self.fingerprint
            ),
            _ => format!("{}\n", self.fingerprint),
        }
    }
}

/// `sign`: the countersignature that was written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SignReport {
    /// The file with the signature.
    pub signature: String,
    /// The stream of the bundle.
    pub stream: String,
    /// The bundle's number in the stream.
    pub sequence: u64,
    /// The names of the keys that had signed before.
    pub signers: Vec<String>,
    /// The approval that was written. Absent without `--report`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalEntry>,
}

/// An approval of a bundle by a report.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ApprovalEntry {
    /// The name of the key that approved. Absent for the key that signs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The name of the report's file.
    pub name: String,
    /// The digest of the report.
    pub report: String,
    /// When it was approved, by the signer's clock.
    pub approved: String,
    /// The file with the approval, if it was written now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Report for SignReport {
    fn text(&self) -> String {
        let mut text = format!(
            "signed bundle {} of the stream '{}', which is signed by {}: {}\n",
            dated(self.sequence),
            self.stream,
            quoted(&self.signers),
            self.signature
        );
        if let Some(ApprovalEntry { name, report, file: Some(file), .. }) = &self.approval {
            text.push_str(&format!("approved by the report {name} ({report}): {file}\n"));
        }
        text
    }
}

/// `sign FILE FILE...`: the countersignatures that were written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SignSetReport {
    /// The bundles that are signed now, in the order of the command line.
    pub bundles: Vec<SignReport>,
    /// The files that are not, with the cause, in the order of the command line.
    pub failed: Vec<FileError>,
}

impl Report for SignSetReport {
    fn text(&self) -> String {
        self.bundles.iter().map(SignReport::text).collect()
    }
}

/// `trust list`: the keys of the trust store.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TrustListReport {
    /// The number of signatures that each bundle needs.
    pub signatures: usize,
    /// The keys.
    pub keys: Vec<TrustedKeyEntry>,
}

/// A key of the trust store.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TrustedKeyEntry {
    /// Its name.
    pub name: String,
    /// The fingerprint.
    pub fingerprint: String,
    /// Patterns of the projects that it may write.
    pub projects: Vec<String>,
    /// The streams that it may sign for; null for any.
    pub streams: Option<Vec<String>>,
    /// Bundles that were made before are refused; null for no bound.
    pub since: Option<String>,
    /// Bundles that were made after are refused; null for no bound.
    pub until: Option<String>,
    /// Whether it is revoked.
    pub revoked: bool,
}

impl Report for TrustListReport {
    fn text(&self) -> String {
        if self.keys.is_empty() {
            return "no key is trusted\n".to_owned();
        }
        let mut text = format!("signatures needed: {}\n", self.signatures);
        for key in &self.keys {
            text.push_str(&format!(
                "{} {}\n  projects {}",
                key.name,
                key.fingerprint,
                key.projects.join(", ")
            ));
            if let Some(streams) = &key.streams {
                text.push_str(&format!(", streams {}", streams.join(", ")));
            }
            key.since.iter().for_each(|since| text.push_str(&format!(", since {since}")));
            key.until.iter().for_each(|until| text.push_str(&format!(", until {until}")));
            if key.revoked {
                text.push_str(", REVOKED");
            }
            text.push('\n');
        }
        text
    }
}

/// `trust add`: the key that is trusted from now on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TrustReport {
    /// The key's name.
    pub name: String,
    /// Its fingerprint.
    pub fingerprint: String,
}

impl Report for TrustReport {
    fn text(&self) -> String {
        format!("'{}' is trusted: {}\n", self.name, self.fingerprint)
    }
}

/// `trust revoke`: the key that is refused from now on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RevokeReport {
    /// The key's name or fingerprint, as it was given.
    pub revoked: String,
}

impl Report for RevokeReport {
    fn text(&self) -> String {
        format!("{} is revoked\n", self.revoked)
    }
}

/// `trust require`: how many signatures bundles need from now on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RequireReport {
    /// The number of signatures.
    pub signatures: usize,
}

impl Report for RequireReport {
    fn text(&self) -> String {
        format!("bundles need {} signatures\n", self.signatures)
    }
}

/// `trust rotate`: the document that was written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RotationReport {
    /// The document.
    pub document: String,
    /// Its signature.
    pub signature: String,
}

impl Report for RotationReport {
    fn text(&self) -> String {
        let Self { document, signature } = self;
        format!(
            "wrote {document} and {signature}; transfer both to the far side and run there: bundle trust accept {document}\n"
        )
    }
}

/// `trust accept`: the rotation that was accepted.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AcceptReport {
    /// The new key's name.
    pub name: String,
    /// The old key's fingerprint.
    pub replaces: String,
}

impl Report for AcceptReport {
    fn text(&self) -> String {
        format!("'{}' is trusted and replaces {}\n", self.name, self.replaces)
    }
}

/// `login`: the account that was stored.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LoginReport {
    /// The registry.
    pub registry: String,
    /// The user name.
    pub username: String,
    /// The file or the credential helper that has the password.
    pub stored: String,
}

impl Report for LoginReport {
    fn text(&self) -> String {
        format!("logged in at {} as {}, stored in {}\n", self.registry, self.username, self.stored)
    }
}

/// `logout`: the account that was removed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LogoutReport {
    /// The registry.
    pub registry: String,
    /// The file or the credential helper that had the password; null if there was none.
    pub removed: Option<String>,
}

impl Report for LogoutReport {
    fn text(&self) -> String {
        match &self.removed {
            Some(place) => format!("logged out from {}, removed from {place}\n", self.registry),
            None => format!("not logged in at {}\n", self.registry),
        }
    }
}
