//! What the far side says when a bundle builds on blobs that are gone there. Takes the error of an import, writes a
//! signed notice among the receipts and takes it back when it is out of date.

use std::path::PathBuf;

use bundle_format::{AbsenceNotice, BundleId, CompactBase, Damage, FileError, Limits, Sequence, Timestamp};
use bundle_importer::{DeliveryError, OpenError, PlanError, PushError, signature_path, write_absence_notice};
use bundle_oci::RegistryPath;
use bundle_trust::Signer;

use crate::{ImportConfig, ItemError, listing};

/// The end of a notice's name.
pub(crate) const ABSENT: &str = "absent";

/// The notices of an import job.
pub(crate) struct Notices<'a> {
    pub(crate) config: &'a ImportConfig,
    pub(crate) signer: &'a Signer,
    pub(crate) registry: RegistryPath,
}

/// The blobs for want of which a bundle could not be imported; `looked` are those of its bases that are known to be
/// gone. Empty if the error is another.
pub(crate) fn absent(error: &ItemError, looked: Vec<CompactBase>) -> Vec<CompactBase> {
    let damage = match error {
        ItemError::Delivery(DeliveryError::Plan(PlanError::Base { absent, .. })) => {
            return looked.into_iter().chain(absent.iter().cloned()).collect();
        }
        ItemError::Open(OpenError::Damage(damage))
        | ItemError::Delivery(DeliveryError::Push { error: PushError::Damage(damage), .. }) => {
            damage.itself()
        }
        _ => return Vec::new(),
    };
    match damage {
        Damage::NoBase(base) | Damage::WrongBase(base) => {
            looked.into_iter().chain([base.as_ref().clone()]).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a bundle could not be imported for want of what it builds on.
pub(crate) fn is_for_absence(error: &ItemError) -> bool {
    !absent(error, Vec::new()).is_empty()
}

impl Notices<'_> {
    /// Writes the notice of a bundle, unless one that says the same is there. Gives its path if it is new.
    pub(crate) fn write(
        &self,
        bundle: &BundleId,
        blobs: Vec<CompactBase>,
    ) -> Result<Option<PathBuf>, ItemError> {
        let directory = &self.config.receipts;
        let made = std::fs::create_dir_all(directory);
        made.map_err(|source| FileError { path: directory.clone(), source })?;
        let path = self.path(bundle);
        let site = self.config.site.clone();
        let notice = AbsenceNotice::new(bundle.clone(), site, self.registry.clone(), Timestamp::now(), blobs);
        let keys = [self.signer.public()];
        let there = bundle_trust::load_absence_notice(&path, &keys, &Limits::V1);
        if there.is_ok_and(|there| there.repeats(&notice)) {
            return Ok(None);
        }
        let bytes = notice.to_bytes();
        let signature = self.signer.sign(&bytes)?;
        write_absence_notice(&path, &bytes, &signature)?;
        Ok(Some(path))
    }

    /// Removes the notices of a bundle that was imported after all, and of earlier ones of its stream: nobody need carry
    /// them any more. One that stays says nothing new.
    pub(crate) fn take_back(&self, bundle: &BundleId) {
        let start = format!("{}-", bundle.stream);
        let keys = [self.signer.public()];
        for file in listing::files(&self.config.receipts).unwrap_or_default() {
            let number =
                file.name.strip_prefix(&start).and_then(|rest| rest.strip_suffix(&format!(".{ABSENT}")));
            let Some(number) = number.and_then(|number| number.parse::<Sequence>().ok()) else { continue };
            if number <= bundle.sequence
                && bundle_trust::load_absence_notice(&file.path, &keys, &Limits::V1).is_ok()
            {
                let _ = std::fs::remove_file(&file.path);
                let _ = std::fs::remove_file(signature_path(&file.path));
            }
        }
    }

    fn path(&self, bundle: &BundleId) -> PathBuf {
        self.config.receipts.join(format!("{}-{}.{ABSENT}", bundle.stream, bundle.sequence))
    }
}
