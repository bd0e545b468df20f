//! Receipts as a log: one line a night. Takes files and keys; gives the nights in the order of their imports, and the
//! receipts that cannot be used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bundle_format::{
    BundleId, Limits, Outcome, Override, PublicKey, Receipt, SiteName, StreamName, Timestamp, Verdict,
};
use bundle_oci::{RegistryPath, chain};
use bundle_trust::load_receipt;

use crate::search::{At, Problem};
use crate::{FilesError, receipt_files};

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Night {
    /// The receipt.
    pub file: PathBuf,
    /// When the import ended.
    pub imported: Timestamp,
    /// The bundle.
    pub bundle: BundleId,
    /// The newest bundle of the stream before, as the importer knew it.
    pub previous: Option<BundleId>,
    /// Whether that one's receipt is missing, although there are older ones.
    pub is_gap: bool,
    /// The site.
    pub site: SiteName,
    /// The registry.
    pub registry: RegistryPath,
    /// The names of the keys that signed the bundle, as the site calls them.
    pub signers: Vec<String>,
    /// How many artifacts each outcome has.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// How many artifacts the registry's scanner blocks.
    pub blocked: usize,
    /// The rules that a person set aside.
    pub overrides: Vec<Override>,
}

/// The log.
#[derive(Clone, Debug, Default)]
pub struct NightLog {
    /// The nights, oldest first.
    pub nights: Vec<Night>,
    /// The receipts that cannot be used.
    pub problems: Vec<Problem>,
}

impl Night {
    fn of(file: &Path, receipt: Receipt) -> Self {
        let mut outcomes: BTreeMap<&'static str, usize> = BTreeMap::new();
        for artifact in &receipt.artifacts {
            *outcomes.entry(artifact.outcome.as_str()).or_default() += 1;
        }
        let scans = receipt.artifacts.iter().filter_map(|artifact| artifact.scan.as_ref());
        Self {
            file: file.to_owned(),
            imported: receipt.imported,
            is_gap: false,
            blocked: scans.filter(|scan| scan.verdict == Verdict::Blocked).count(),
            bundle: receipt.bundle,
            previous: receipt.previous,
            site: receipt.site,
            registry: receipt.registry,
            signers: receipt.signers,
            outcomes,
            overrides: receipt.overrides,
        }
    }

    /// How many artifacts have this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.get(outcome.as_str()).copied().unwrap_or_default()
    }
}

/// Reads receipts, or directories with them. With `keys`, one of them must have signed each.
///
/// # Errors
/// A directory cannot be read. A receipt that cannot be used is in [`NightLog::problems`].
pub fn nights(paths: &[PathBuf], keys: &[PublicKey]) -> Result<NightLog, FilesError> {
    let mut log = NightLog::default();
    for path in receipt_files(paths)? {
        match load_receipt(&path, keys, &Limits::V1) {
            Ok(receipt) => log.nights.push(Night::of(&path, receipt)),
            Err(error) => log.problems.push(Problem { at: At::Receipt(path), why: chain(&error) }),
        }
    }
    log.nights.sort_by(|a, b| {
        (a.imported, &a.bundle.stream, a.bundle.sequence).cmp(&(
            b.imported,
            &b.bundle.stream,
            b.bundle.sequence,
        ))
    });
    find_gaps(&mut log.nights);
    Ok(log)
}

/// Marks the nights whose previous bundle has no receipt here, but for the first of each stream at a registry.
fn find_gaps(nights: &mut [Night]) {
    let mut known: BTreeMap<(RegistryPath, StreamName), BTreeSet<(u64, String)>> = BTreeMap::new();
    let key = |bundle: &BundleId| (u64::from(bundle.sequence), bundle.statement.to_string());
    for night in nights {
        let known = known.entry((night.registry.clone(), night.bundle.stream.clone())).or_default();
        let has = |previous: &BundleId| known.contains(&key(previous));
        night.is_gap = !known.is_empty() && night.previous.as_ref().is_some_and(|previous| !has(previous));
        known.insert(key(&night.bundle));
    }
}

#[cfg(test)]
mod tests {
    use bundle_oci::Digest;

    use super::*;

    fn bundle(number: u64) -> BundleId {
        BundleId {
            stream: "s".parse().unwrap(),
            sequence: number.try_into().unwrap(),
            statement: Digest::of(&number.to_be_bytes()),
        }
    }

    fn night(number: u64, previous: Option<u64>) -> Night {
        Night {
            file: "r.json".into(),
            imported: Timestamp::from_unix(number as i64).unwrap(),
            bundle: bundle(number),
            previous: previous.map(bundle),
            is_gap: false,
            site: "plant".parse().unwrap(),
            registry: "harbor.example".parse().unwrap(),
            signers: Vec::new(),
            outcomes: BTreeMap::new(),
            blocked: 0,
            overrides: Vec::new(),
        }
    }

    #[test]
    fn a_night_whose_previous_receipt_is_missing_is_told_but_not_the_first() {
        let mut nights = vec![night(5, Some(4)), night(6, Some(5)), night(8, Some(7)), night(8, Some(8))];
        find_gaps(&mut nights);
        let gaps: Vec<bool> = nights.iter().map(|night| night.is_gap).collect();
        assert_eq!(gaps, [false, false, true, false]);
    }
}
