//! The receipt of an import: a draft from the plan, confirmed by looking at the registry again.
//! Takes a plan and the registry, gives a document to sign.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use bundle_format::{
    BundleId, Delivered, FileError, Graph, Outcome, Override, RECEIPT_VERSION, Receipt, SignatureBytes,
    SiteName, Target, Timestamp, replace_file,
};
use bundle_oci::{Digest, RegistryPath};
use bundle_os::{begins_with_field, may_replace};
use bundle_registry::Error;
use futures_util::{StreamExt, TryStreamExt};

use crate::{Bundle, Confirmation, Decision, Destination, ImageScan, ImportPlan};

/// A receipt before its confirmation. [`ReceiptDraft::confirm`] reads the registry again and makes a receipt
/// of it.
#[derive(Clone, Debug)]
pub struct ReceiptDraft {
    receipt: Receipt,
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// The registry could not be asked.
    #[error("{target} cannot be read again")]
    Registry {
        /// The target.
        target: String,
        /// Why not.
        source: Error,
    },
    /// A target that no longer is what was delivered.
    #[error("{target} should be {expected} and is {found}")]
    Changed {
        /// The target.
        target: String,
        /// The artifacts that were delivered.
        expected: Digest,
        /// The digest found.
        found: String,
    },
}

impl ReceiptDraft {
    /// The head of a receipt: nothing of `bundle` is delivered yet.
    pub fn new(
        bundle: &Bundle,
        registry: &RegistryPath,
        site: SiteName,
        previous: Option<BundleId>,
        overrides: Vec<Override>,
    ) -> Self {
        let receipt = Receipt {
            receipt_version: RECEIPT_VERSION,
            bundle: BundleId::of(bundle.statement(), bundle.trusted().digest()),
            previous,
            site,
            registry: registry.clone(),
            imported: bundle.statement().created,
            signers: bundle.trusted().signers().to_vec(),
            artifacts: Vec::new(),
            blobs: Vec::new(),
            policies: BTreeMap::new(),
            overrides,
        };
        Self { receipt }
    }

    /// Adds what happened to the artifacts of `plan`.
    #[must_use]
    pub fn of(mut self, plan: &ImportPlan, graph: &Graph) -> Self {
        let mut positions: HashMap<Digest, u32> = HashMap::new();
        let blobs = &mut self.receipt.blobs;
        for step in &plan.steps {
            let (outcome, found) = match step.decision {
                Decision::Push => (Outcome::Pushed, None),
                Decision::Present => (Outcome::Present, None),
                Decision::Move(found) => (Outcome::Moved, Some(found)),
                Decision::Skip(found) => (Outcome::Skipped, Some(found)),
                Decision::Omit => (Outcome::Missing, None),
            };
            let mut own = Vec::new();
            if outcome.is_in_place() {
                for blob in graph.extent(step.digest) {
                    own.push(*positions.entry(blob.digest).or_insert_with(|| {
                        blobs.push(blob);
                        // A statement has at most `Limits::blobs` of them.
                        u32::try_from(blobs.len() - 1).unwrap_or(u32::MAX)
                    }));
                }
            }
            own.sort_unstable();
            self.receipt.artifacts.push(Delivered {
                target: step.target.clone(),
                digest: step.digest,
                outcome,
                found,
                blobs: own,
                read_back: None,
                scan: None,
            });
        }
        self
    }

    /// Adds what the destination makes of what was delivered: how its projects are run, and what its
    /// scanners say.
    #[must_use]
    pub fn with(mut self, confirmation: &Confirmation) -> Self {
        self.receipt.policies = confirmation.policies.clone();
        if let Some(report) = &confirmation.scans {
            let scans: HashMap<&Target, &ImageScan> =
                report.images.iter().map(|image| (&image.target, image)).collect();
            for delivered in &mut self.receipt.artifacts {
                delivered.scan = scans.get(&delivered.target).map(|image| image.receipt());
            }
        }
        self
    }

    /// Looks at each artifact again that should be in its place, and gives the receipt.
    ///
    /// # Errors
    /// Any [`ConfirmError`]: then not all is delivered, and there is no receipt.
    pub async fn confirm(
        mut self,
        destination: &dyn Destination,
        imported: Timestamp,
        jobs: usize,
    ) -> Result<Receipt, ConfirmError> {
        let in_place = self.receipt.artifacts.iter().filter(|artifact| artifact.outcome.is_in_place());
        futures_util::stream::iter(in_place)
            .map(|artifact| async move {
                let target = || artifact.target.to_string();
                let found = destination.digest_at(&artifact.target, artifact.digest).await;
                match found.map_err(|source| ConfirmError::Registry { target: target(), source })? {
                    Some(found) if found == artifact.digest => Ok(()),
                    found => Err(ConfirmError::Changed {
                        target: target(),
                        expected: artifact.digest,
                        found: found.map_or_else(|| "gone".to_owned(), |digest| digest.to_string()),
                    }),
                }
            })
            .buffer_unordered(jobs.max(1) * 4)
            .try_collect::<()>()
            .await?;
        self.receipt.imported = imported;
        Ok(self.receipt)
    }
}

/// Where a receipt's signature lies: beside it, with `.sig` after its name.
pub fn signature_path(receipt: &Path) -> PathBuf {
    let mut path = receipt.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Makes sure that to write a receipt at `path` overwrites nothing but another receipt and its signature.
///
/// # Errors
/// There is something else.
pub fn may_replace_receipt(path: &Path) -> Result<(), FileError> {
    may_replace(path, |start, _| begins_with_field(start, "receiptVersion"))?;
    may_replace(&signature_path(path), |_, length| length == SignatureBytes::LENGTH as u64)
}

/// Writes a receipt's bytes, and its signature if there is one. The signature comes first: a
/// receipt that can be seen has one.
///
/// # Errors
/// A file cannot be written.
pub fn write_receipt(path: &Path, bytes: &[u8], signature: Option<&SignatureBytes>) -> Result<(), FileError> {
    may_replace_receipt(path)?;
    write_signed(path, bytes, signature)
}

/// Writes an absence notice's bytes and its signature, in the same way.
///
/// # Errors
/// Something else lies there, or a file cannot be written.
pub fn write_absence_notice(path: &Path, bytes: &[u8], signature: &SignatureBytes) -> Result<(), FileError> {
    may_replace(path, |start, _| begins_with_field(start, "absenceVersion"))?;
    may_replace(&signature_path(path), |_, length| length == SignatureBytes::LENGTH as u64)?;
    write_signed(path, bytes, Some(signature))
}

fn write_signed(path: &Path, bytes: &[u8], signature: Option<&SignatureBytes>) -> Result<(), FileError> {
    let beside = signature_path(path);
    match signature {
        Some(signature) => replace_file(&beside, signature.as_ref())?,
        // An earlier receipt's signature would make this one look forged.
        None => match std::fs::remove_file(&beside) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(FileError { path: beside, source });
            }
            _ => {}
        },
    }
    replace_file(path, bytes)
}
