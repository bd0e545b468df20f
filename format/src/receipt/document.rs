//! The receipt of an import as signed JSON: the artifacts that it delivered and read back. Takes and gives
//! its canonical bytes; its signature lies beside it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

use bundle_oci::json::Bounds;
use bundle_oci::{Digest, Printable, RegistryPath};
use serde::{Deserialize, Serialize};

use crate::object::{self, Object};
use crate::receipt::census::Census;
use crate::{Blob, Limits, PublicKey, Sequence, SignatureBytes, Statement, StreamName, Target, Timestamp};
use bundle_oci::ProjectName;

/// The version of the receipt that this crate reads and writes.
pub const RECEIPT_VERSION: u32 = 1;

/// The receipt of an import (docs/format.md §Receipts): the JSON that goes back to the connected side, where
/// it is the base of the next delta.
///
/// Its signature is a file of its own beside it, the raw 64 bytes over the bytes as they stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Receipt {
    /// [`RECEIPT_VERSION`].
    pub receipt_version: u32,
    /// Which bundle was imported.
    #[serde(deserialize_with = "object::one")]
    pub bundle: BundleId,
    /// The bundle of the same stream that was the newest one before; none at the first import.
    #[serde(default, deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub previous: Option<BundleId>,
    /// The name of the importing site.
    pub site: SiteName,
    /// The registry that was imported into, with the path below which all repositories are.
    pub registry: RegistryPath,
    /// When the import ended, by the importing machine's clock.
    pub imported: Timestamp,
    /// The names that the site's trust policy gives to the keys that signed the bundle.
    pub signers: Vec<String>,
    /// The result for each artifact, in the order of the statement.
    #[serde(deserialize_with = "object::many")]
    pub artifacts: Vec<Delivered>,
    /// The blobs of the artifacts that are in place, each once.
    pub blobs: Vec<Blob>,
    /// The policies of the projects, where the registry has any.
    #[serde(default, deserialize_with = "object::by_name", skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<ProjectName, ProjectPolicy>,
    /// The rules that a person set aside, with the reasons.
    #[serde(default, deserialize_with = "object::many", skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
}

/// The identity of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BundleId {
    /// The series that it belongs to.
    pub stream: StreamName,
    /// Its place in the series.
    pub sequence: Sequence,
    /// The digest of its statement's bytes.
    pub statement: Digest,
}

impl BundleId {
    /// The name of the bundle with this statement, whose bytes have this digest.
    pub fn of(statement: &Statement, digest: Digest) -> Self {
        Self { stream: statement.stream.clone(), sequence: statement.sequence, statement: digest }
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.stream, self.sequence.dated_with(&self.statement))
    }
}

/// The result for one artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Delivered {
    /// Where it belongs.
    #[serde(deserialize_with = "object::one")]
    pub target: Target,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// The outcome.
    pub outcome: Outcome,
    /// The digest of the tag before it was moved, or its present one where the artifact was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Digest>,
    /// All that it consists of, its manifests too: positions in [`Receipt::blobs`], rising. Empty
    /// if it is not in place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<u32>,
    /// How it is known that the registry has its content. Receipts say it where content was read back; without
    /// it, [`Delivered::evidence`] knows.
    #[serde(default, rename = "evidence", skip_serializing_if = "Option::is_none")]
    pub read_back: Option<Evidence>,
    /// The result of the registry's scanner.
    #[serde(default, deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub scan: Option<Scan>,
}

impl Delivered {
    /// How it is known that the registry has the artifact's content; none if it is not in place.
    pub fn evidence(&self) -> Option<Evidence> {
        let usual = match self.outcome {
            Outcome::Pushed | Outcome::Moved => Evidence::Uploaded,
            Outcome::Present => Evidence::Looked,
            Outcome::Skipped | Outcome::Missing => return None,
        };
        Some(self.read_back.unwrap_or(usual))
    }
}

/// How it is known that a registry has content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The import looked for it (HEAD), and the registry said that it has it.
    Looked,
    /// The import sent what the registry did not have, which took it under its digest; and looked afterwards.
    Uploaded,
    /// The import read all of it back, and it was what its digest says.
    Proved,
}

impl Evidence {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Looked => "looked",
            Self::Uploaded => "uploaded",
            Self::Proved => "proved",
        }
    }
}

/// The outcome for an artifact. All but [`Outcome::Skipped`] and [`Outcome::Missing`] were read back from the
/// registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was pushed.
    Pushed,
    /// It was pushed, and its tag moved there from another digest.
    Moved,
    /// It was there before.
    Present,
    /// It was left out, for its tag is there with another digest.
    Skipped,
    /// It was not delivered: it was outside the request, or could not be stored.
    Missing,
}

impl Outcome {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pushed => "pushed",
            Self::Moved => "moved",
            Self::Present => "present",
            Self::Skipped => "skipped",
            Self::Missing => "missing",
        }
    }

    /// Whether the artifact is in its place.
    pub fn is_in_place(self) -> bool {
        !matches!(self, Self::Skipped | Self::Missing)
    }
}

/// A registry's scan of an artifact, and the verdict of its project's policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scan {
    /// Whether it can be pulled.
    pub verdict: Verdict,
    /// How many vulnerabilities of each severity were found, on the platform with the worst.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<Severity, u64>,
    /// For how many of them there is a remedy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fixable: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The verdict of a project's policy on a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It can be pulled.
    Allowed,
    /// It can be pulled, and has vulnerabilities that someone should look at.
    Warned,
    /// It cannot be pulled.
    Blocked,
    /// No scan has ended yet, or there is no scanner.
    Unscanned,
}

/// How bad a vulnerability is, in the words of Harbor's scanners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Without a known severity.
    Unknown,
    /// Negligible or low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// How a project was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ProjectPolicy {
    /// Whether anybody can pull without an account.
    pub public: bool,
    /// Whether each push starts a scan.
    pub scan_on_push: bool,
    /// From which severity on nothing can be pulled; none if everything can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_from: Option<Severity>,
    /// How many bytes it may hold; none if there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
    /// The patterns of tags that cannot move, as far as the importing account could know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub immutable_tags: Vec<String>,
}

/// A rule that a person set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Override {
    /// Which rule.
    pub rule: Rule,
    /// Why, in that person's words.
    pub reason: String,
}

/// A rule that a person can set aside with a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// No bundle that is older than the newest of its stream.
    Rollback,
    /// No other bundle with a number that is taken.
    ReusedSequence,
    /// No bundle after its own time.
    Expired,
}

impl Rule {
    /// The rule's name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::ReusedSequence => "reused-sequence",
            Self::Expired => "expired",
        }
    }
}

/// The name of a site: 1 to 128 printable characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteName(String);

/// A text that is no site's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("site's name must be 1 to 128 printable characters")]
pub struct ParseSiteError;

impl FromStr for SiteName {
    type Err = ParseSiteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = !text.starts_with(' ') && !text.ends_with(' ');
        if !text.is_empty() && text.len() <= 128 && trimmed && Printable(text).to_string() == text {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseSiteError)
        }
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

bundle_oci::serde_as_text!(SiteName);

/// Why bytes are no receipt that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// A version of the receipt from another time.
    #[error("receipt is of version {0}, and this program reads version {RECEIPT_VERSION}")]
    Version(u64),
    /// No JSON of the expected shape.
    #[error("receipt is not valid")]
    Json(#[from] serde_json::Error),
    /// More of something than [`Limits`] allow.
    #[error("receipt has {found} {what}, more than the {limit} allowed")]
    TooMany {
        /// The objects counted.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// One target twice.
    #[error("receipt names {0} twice")]
    RepeatedTarget(Target),
    /// One blob twice.
    #[error("receipt lists the blob {0} twice")]
    RepeatedBlob(Digest),
    /// An artifact whose blobs are not among the receipt's, or contradict its outcome.
    #[error("receipt gives {0} blobs that do not fit")]
    Blobs(Target),
    /// An artifact whose outcome and found digest contradict each other.
    #[error("receipt is inconsistent about the digest found at {0}")]
    Found(Target),
    /// A reason or a key's name that is empty, too long or not printable.
    #[error("receipt has a text that is not printable")]
    Text,
    /// No trusted key made the signature, or the receipt was changed afterwards.
    #[error("receipt is not signed by the site's key, or was changed after it was signed")]
    Signature,
}

impl Receipt {
    /// Reads a receipt and checks that it is consistent. Whether its signature holds is for
    /// [`Receipt::verify`] to say.
    ///
    /// # Errors
    /// Any [`ReceiptError`] but those about signatures.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, ReceiptError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            receipt_version: u64,
        }

        over("bytes", bytes.len() as u64, limits.receipt)?;
        // Another version may have other fields, and the version is the better message.
        // Two readers must not take the same bytes for two things (docs/format.md §JSON).
        bundle_oci::json::check(bytes, Bounds::STATEMENT, &[], &[])?;
        let versioned: Versioned = serde_json::from_slice(bytes)?;
        if versioned.receipt_version != u64::from(RECEIPT_VERSION) {
            return Err(ReceiptError::Version(versioned.receipt_version));
        }
        // Documents that would take too much memory are refused before they are parsed.
        Census::of(bytes)?.check(limits)?;
        let Object(receipt) = serde_json::from_slice::<Object<Self>>(bytes)?;
        receipt.check(limits)?;
        Ok(receipt)
    }

    /// Reads a receipt that one of `keys` has signed.
    ///
    /// # Errors
    /// Any [`ReceiptError`]. Nothing of the receipt is looked at before its signature holds.
    pub fn verify(
        bytes: &[u8],
        signature: &SignatureBytes,
        keys: &[PublicKey],
        limits: &Limits,
    ) -> Result<Self, ReceiptError> {
        over("bytes", bytes.len() as u64, limits.receipt)?;
        if !keys.iter().any(|key| key.verify(bytes, signature)) {
            return Err(ReceiptError::Signature);
        }
        Self::parse(bytes, limits)
    }

    /// Checks the rules that the shape of the JSON does not express.
    ///
    /// # Errors
    /// Any [`ReceiptError`] but those about JSON and signatures.
    pub fn check(&self, limits: &Limits) -> Result<(), ReceiptError> {
        over("artifacts", self.artifacts.len() as u64, limits.artifacts as u64)?;
        over("blobs", self.blobs.len() as u64, limits.blobs as u64)?;
        over("signers", self.signers.len() as u64, limits.reasons as u64)?;
        over("overrides", self.overrides.len() as u64, limits.reasons as u64)?;
        over("policies", self.policies.len() as u64, limits.artifacts as u64)?;
        let patterns = self.policies.values().flat_map(|policy| &policy.immutable_tags);
        let texts = self.signers.iter().chain(self.overrides.iter().map(|made| &made.reason)).chain(patterns);
        for text in texts {
            let short = !text.is_empty() && text.len() <= limits.reasons;
            if !short || Printable(text).to_string() != *text {
                return Err(ReceiptError::Text);
            }
        }
        let mut blobs = HashSet::with_capacity(self.blobs.len());
        if let Some(twice) = self.blobs.iter().find(|blob| !blobs.insert(blob.digest)) {
            return Err(ReceiptError::RepeatedBlob(twice.digest));
        }
        let mut targets = HashSet::with_capacity(self.artifacts.len());
        for artifact in &self.artifacts {
            let target = &artifact.target;
            if !targets.insert((target, target.tag.is_none().then_some(artifact.digest))) {
                return Err(ReceiptError::RepeatedTarget(target.clone()));
            }
            let known = artifact.blobs.iter().all(|&blob| (blob as usize) < self.blobs.len());
            let rising = artifact.blobs.is_sorted_by(|a, b| a < b);
            let in_place = artifact.outcome.is_in_place();
            let proved_nothing = artifact.read_back.is_some() && !in_place;
            if !known || !rising || in_place == artifact.blobs.is_empty() || proved_nothing {
                return Err(ReceiptError::Blobs(target.clone()));
            }
            let found = match artifact.outcome {
                Outcome::Moved | Outcome::Skipped => {
                    artifact.found.is_some_and(|found| found != artifact.digest)
                }
                Outcome::Pushed | Outcome::Present | Outcome::Missing => artifact.found.is_none(),
            };
            if !found {
                return Err(ReceiptError::Found(target.clone()));
            }
        }
        Ok(())
    }

    /// The receipt's bytes, to be signed and written.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a receipt has no map with keys other than strings")
    }

    /// The same receipt, once all that is in place was read back, but for `held`.
    #[must_use]
    pub fn proved(mut self, held: &HashSet<Target>) -> Self {
        let is_proved =
            |artifact: &&mut Delivered| artifact.outcome.is_in_place() && !held.contains(&artifact.target);
        for artifact in self.artifacts.iter_mut().filter(is_proved) {
            artifact.read_back = Some(Evidence::Proved);
        }
        self
    }

    /// Whether every artifact of the bundle is in its place.
    pub fn is_whole(&self) -> bool {
        self.artifacts.iter().all(|artifact| artifact.outcome.is_in_place())
    }

    /// The artifacts that are in their place, with all blobs that they consist of: what a delta
    /// may rely on.
    pub fn in_place(&self) -> impl Iterator<Item = (&Delivered, impl Iterator<Item = Blob> + '_)> {
        let in_place = self.artifacts.iter().filter(|artifact| artifact.outcome.is_in_place());
        in_place.map(|artifact| {
            let blobs = artifact.blobs.iter().filter_map(|&blob| self.blobs.get(blob as usize).copied());
            (artifact, blobs)
        })
    }
}

pub(super) fn over(what: &'static str, found: u64, limit: u64) -> Result<(), ReceiptError> {
    if found > limit { Err(ReceiptError::TooMany { what, found, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{key, receipt};

    fn altered(change: impl FnOnce(&mut serde_json::Value)) -> Result<Receipt, ReceiptError> {
        let mut value = serde_json::to_value(receipt()).unwrap();
        change(&mut value);
        Receipt::parse(&serde_json::to_vec(&value).unwrap(), &Limits::V1)
    }

    #[test]
    fn a_receipt_reads_back_as_it_was_written() {
        let receipt = receipt();
        assert_eq!(Receipt::parse(&receipt.to_bytes(), &Limits::V1).unwrap(), receipt);
        assert!(receipt.is_whole());
        let held: Vec<Blob> = receipt.in_place().flat_map(|(_, blobs)| blobs).collect();
        assert_eq!(held, receipt.blobs);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        use ReceiptError as E;
        assert!(matches!(altered(|r| r["receiptVersion"] = 2.into()), Err(E::Version(2))));
        assert!(matches!(altered(|r| r["extra"] = 1.into()), Err(E::Json(_))));
        assert!(matches!(altered(|r| r["artifacts"][0]["outcome"] = "lost".into()), Err(E::Json(_))));
        assert!(matches!(altered(|r| r["artifacts"][0]["outcome"] = "skipped".into()), Err(E::Blobs(_))));
        assert!(matches!(altered(|r| r["artifacts"][0]["outcome"] = "moved".into()), Err(E::Found(_))));
        assert!(matches!(altered(|r| r["artifacts"][0]["blobs"] = serde_json::json!([9])), Err(E::Blobs(_))));
        assert!(matches!(
            altered(|r| {
                let bundle = &r["bundle"];
                r["bundle"] = serde_json::json!([bundle["stream"], bundle["sequence"], bundle["statement"]]);
            }),
            Err(E::Json(_))
        ));
        assert!(matches!(
            altered(|r| r["artifacts"][0]["blobs"] = serde_json::json!([1, 0])),
            Err(E::Blobs(_))
        ));
        assert!(matches!(altered(|r| r["artifacts"][0]["blobs"] = serde_json::json!([])), Err(E::Blobs(_))));
        assert!(matches!(altered(|r| r["signers"] = serde_json::json!(["\u{1b}[2J"])), Err(E::Text)));
        assert!(matches!(altered(|r| r["site"] = "".into()), Err(E::Json(_))));
        assert!(matches!(
            altered(|r| {
                let blob = r["blobs"][0].clone();
                r["blobs"].as_array_mut().unwrap().push(blob);
            }),
            Err(E::RepeatedBlob(_))
        ));
        assert!(matches!(
            altered(|r| {
                let artifact = r["artifacts"][0].clone();
                r["artifacts"].as_array_mut().unwrap().push(artifact);
            }),
            Err(E::RepeatedTarget(_))
        ));
    }

    #[test]
    fn only_the_sites_key_makes_a_receipt_that_is_believed() {
        let bytes = receipt().to_bytes();
        let signature = key().sign(&bytes);
        let keys = [key().public()];
        Receipt::verify(&bytes, &signature, &keys, &Limits::V1).unwrap();
        let stranger = crate::PrivateKey::from_seed(&[9; 32]);
        let other = stranger.sign(&bytes);
        assert!(matches!(Receipt::verify(&bytes, &other, &keys, &Limits::V1), Err(ReceiptError::Signature)));
        let mut changed = bytes.clone();
        changed[30] ^= 1;
        assert!(matches!(
            Receipt::verify(&changed, &signature, &keys, &Limits::V1),
            Err(ReceiptError::Signature)
        ));
    }
}
