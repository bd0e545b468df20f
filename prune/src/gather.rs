//! Everything that a plan needs beside the live state: receipts, bundles, and the registry's own record of accepted
//! bundles. Takes files, keys and a Harbor; gives a ledger and what the kept bundles want, or says what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use bundle_format::{BundleId, PublicKey, StreamName};
use bundle_harbor::Harbor;
use bundle_importer::RecordKeys;
use bundle_inventory::{
    Depth, FilesError, RegistryRecord, StreamRecord, bundle_files, read_record, receipt_files, statement_of,
};
use bundle_oci::{Digest, RegistryPath};
use bundle_registry::Error;
use bundle_site::{HarborOptions, HarborSite};
use bundle_trust::{ReceiptFileError, Signer, load_receipt};
use tracing::info;

use crate::{Kept, Ledger, Wanted};

/// Where it is known from what bundles brought and want.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    /// Receipts, or directories with them.
    pub receipts: &'a [PathBuf],
    /// The keys one of which must have signed each; any receipt counts without.
    pub keys: &'a [PublicKey],
    /// Bundles, or directories with them, for what a bundle without a receipt wants, and for the bases of deltas.
    pub bundles: &'a [PathBuf],
    /// The site's key. Where there is one, or any of `keys`, a stream's record counts as far as they signed it.
    pub site_key: Option<Arc<Signer>>,
    /// The bases of deltas: they stay, and all bundles after them, for the next delta may need any of these.
    pub bases: &'a [BundleId],
}

/// What was gathered.
#[derive(Debug)]
pub struct Gathered {
    /// What receipts say.
    pub ledger: Ledger,
    /// The bundles of the stream that are kept, the newest first.
    pub kept: Vec<BundleId>,
    /// The bundles of other streams that are kept.
    pub others: Vec<BundleId>,
    /// What all of these want.
    pub wanted: Wanted,
    /// How many receipts of this Harbor there are.
    pub receipts: usize,
    /// How many of other registries were left alone.
    pub elsewhere: usize,
    /// Entries of the record that count for nothing.
    pub unreadable: BTreeSet<String>,
}

/// Why nothing can be planned.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// A receipt.
    #[error(transparent)]
    Receipt(#[from] ReceiptFileError),
    /// A directory or file that cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Harbor.
    #[error(transparent)]
    Registry(#[from] Error),
    /// There is nothing to go by.
    #[error("no receipt of the stream '{stream}' is of {registry}")]
    NoReceipt {
        /// The stream.
        stream: StreamName,
        /// The Harbor.
        registry: RegistryPath,
    },
    /// What a kept bundle wants is not known.
    #[error("no receipt of bundle {} is known, so that what it wants is not", .0.first().map_or_else(String::new, ToString::to_string))]
    Unknown(Vec<BundleId>),
    /// The record lacks a bundle of which there is a receipt, and so perhaps newer ones too.
    #[error("the registry's record of accepted bundles lacks bundle {0}, which a receipt says was imported")]
    Unrecorded(BundleId),
    /// The record has more entries that count for nothing than are read.
    #[error("the registry's record of the stream '{0}' has too many entries that count for nothing")]
    Crowded(StreamName),
}

/// Gathers what a plan for `stream` needs. What is wanted is known for each of the `keep` newest bundles of every
/// stream that the receipts or the registry's record name, or nothing is planned at all.
///
/// # Errors
/// Any [`GatherError`].
pub async fn gather(
    harbor: &Harbor,
    stream: &StreamName,
    keep: usize,
    sources: &Sources<'_>,
) -> Result<Gathered, GatherError> {
    let registry = RegistryPath::new(harbor.registry().clone(), None);
    let mut ledger = Ledger::default();
    let (mut receipts, mut elsewhere) = (0, 0);
    for path in receipt_files(sources.receipts)? {
        let receipt = load_receipt(&path, sources.keys, &bundle_format::Limits::V1)?;
        if receipt.registry == registry {
            ledger.add(&receipt);
            receipts += 1;
        } else {
            elsewhere += 1;
        }
    }
    if !ledger.streams().any(|name| name == stream) {
        return Err(GatherError::NoReceipt { stream: stream.clone(), registry });
    }
    let destination = HarborSite::new(harbor.clone(), HarborOptions::default());
    let seen = harbor.projects().await?;
    let keys = sources.record_keys();
    // Enough for those that were taken back, and for entries that count for nothing: with more, nothing is planned.
    let most = keep.saturating_mul(2).max(100);
    let RegistryRecord { streams: record, unreadable } =
        read_record(&destination, &ledger.projects(), seen, &keys, most, Depth::Bundles).await?;
    is_whole(&ledger, &record, keep)?;
    let mut bases: BTreeSet<BundleKey> = sources.bases.iter().map(key).collect();
    let mut kept = kept_of(&ledger, keep, &record, &bases);
    // The bases of kept bundles that are here, and what those want of which there is no receipt.
    let named: BTreeSet<Digest> =
        kept.values().flat_map(|kept| &kept.bundles).map(|bundle| bundle.statement).collect();
    for path in bundle_files(sources.bundles)? {
        // A file that is no bundle, or another one, is no reason to stop: what is missing is said below.
        let Some((bundle, statement)) = statement_of(&path, &named) else { continue };
        for base in &statement.base {
            bases.extend(base.sequence.map(|sequence| (base.stream.clone(), sequence, base.digest)));
        }
        if !ledger.knows(&bundle) {
            ledger.add_statement(&bundle, &statement);
        }
    }
    kept = match bases.is_empty() && sources.bundles.is_empty() {
        true => kept,
        false => kept_of(&ledger, keep, &record, &bases),
    };
    let unknown: Vec<BundleId> = kept.values().flat_map(|kept| kept.unknown.clone()).collect();
    if !unknown.is_empty() {
        return Err(GatherError::Unknown(unknown));
    }
    let own = kept.remove(stream).unwrap_or_default().bundles;
    let others: Vec<BundleId> = kept.into_values().flat_map(|kept| kept.bundles).collect();
    let wanted = ledger.wanted(own.iter().chain(&others));
    info!(receipts, kept = own.len(), others = others.len(), "gathered what bundles brought and want");
    Ok(Gathered { ledger, kept: own, others, wanted, receipts, elsewhere, unreadable })
}

/// A bundle, as sets have it.
type BundleKey = (StreamName, bundle_format::Sequence, Digest);

fn key(bundle: &BundleId) -> BundleKey {
    (bundle.stream.clone(), bundle.sequence, bundle.statement)
}

impl Sources<'_> {
    /// The keys whose entries in a record count.
    fn record_keys(&self) -> RecordKeys {
        let own = self.site_key.as_ref().map(|signer| signer.public().clone());
        let keys: Vec<PublicKey> = self.keys.iter().cloned().chain(own).collect();
        if keys.is_empty() { RecordKeys::Any } else { RecordKeys::Public(keys) }
    }
}

/// Whether the record can be relied on: it has the newest bundle of which there is a receipt, as it would not if
/// somebody had emptied it, and what counts in it was not crowded out by what does not.
fn is_whole(
    ledger: &Ledger,
    record: &BTreeMap<StreamName, StreamRecord>,
    keep: usize,
) -> Result<(), GatherError> {
    for stream in ledger.streams() {
        let entries = record.get(stream).map(|record| &record.entries);
        if let Some(newest) = ledger.newest(stream)
            && !entries.is_some_and(|entries| entries.contains(&(newest.sequence, newest.statement)))
        {
            return Err(GatherError::Unrecorded(newest));
        }
    }
    let is_crowded = |record: &StreamRecord| record.more > 0 && record.accepted.len() < keep.max(1);
    match record.iter().find(|(_, record)| is_crowded(record)) {
        Some((stream, _)) => Err(GatherError::Crowded(stream.clone())),
        None => Ok(()),
    }
}

fn kept_of(
    ledger: &Ledger,
    keep: usize,
    record: &BTreeMap<StreamName, StreamRecord>,
    bases: &BTreeSet<BundleKey>,
) -> BTreeMap<StreamName, Kept> {
    let none = StreamRecord::default();
    let streams: BTreeSet<&StreamName> =
        ledger.streams().chain(record.keys()).chain(bases.iter().map(|(stream, ..)| stream)).collect();
    let kept = |stream: &StreamName| {
        let record = record.get(stream).unwrap_or(&none);
        let mut kept = ledger.kept(stream, keep, record);
        let own: Vec<&BundleKey> = bases.iter().filter(|(of, ..)| of == stream).collect();
        let Some(oldest) = own.iter().map(|(_, sequence, _)| *sequence).min() else { return kept };
        // The next delta's base is this one, or any that came after it: as far as receipts went back by then.
        let since = ledger.bundles(stream).chain(record.accepted.iter().copied());
        let since = since.filter(|key| key.0 >= oldest && !record.taken_back.contains(key));
        let named = own.iter().map(|(_, sequence, statement)| (*sequence, *statement));
        for (sequence, statement) in since.chain(named).collect::<BTreeSet<_>>().into_iter().rev() {
            let base = BundleId { stream: stream.clone(), sequence, statement };
            if kept.bundles.contains(&base) {
                continue;
            }
            if !ledger.knows(&base) {
                kept.unknown.push(base.clone());
            }
            kept.bundles.push(base);
        }
        kept
    };
    streams.into_iter().map(|stream| (stream.clone(), kept(stream))).collect()
}

#[cfg(test)]
mod tests {
    use bundle_format::Outcome;

    use super::*;
    use crate::ledger::tests::{bundle, receipt};

    /// A ledger of the bundles `1..=last` of the stream `s`.
    fn ledger(last: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for number in 1..=last {
            ledger.add(&receipt(&bundle("s", number), number as i64, &[("a:1", "a", Outcome::Pushed)]));
        }
        ledger
    }

    fn record(numbers: &[u64], more: usize) -> BTreeMap<StreamName, StreamRecord> {
        let keys: BTreeSet<_> = numbers
            .iter()
            .map(|number| (bundle("s", *number).sequence, bundle("s", *number).statement))
            .collect();
        let record = StreamRecord { accepted: keys.clone(), entries: keys, more, ..StreamRecord::default() };
        [("s".parse().unwrap(), record)].into()
    }

    #[test]
    fn a_record_that_was_emptied_or_crowded_out_is_not_relied_on() {
        let known = ledger(3);
        assert!(is_whole(&known, &record(&[1, 2, 3], 0), 3).is_ok());
        assert!(is_whole(&known, &record(&[3, 4], 0), 3).is_ok());
        for emptied in [BTreeMap::new(), record(&[], 0), record(&[1, 2], 0)] {
            let error = is_whole(&known, &emptied, 3).unwrap_err();
            assert!(matches!(error, GatherError::Unrecorded(it) if it == bundle("s", 3)));
        }
        assert!(matches!(is_whole(&known, &record(&[2, 3], 9), 3), Err(GatherError::Crowded(_))));
        assert!(is_whole(&known, &record(&[1, 2, 3], 9), 3).is_ok());
    }

    #[test]
    fn the_base_of_a_delta_stays_with_all_after_it_and_one_that_is_not_known_is_said() {
        let known = ledger(6);
        let numbers = |base: u64| {
            let kept = kept_of(&known, 2, &BTreeMap::new(), &[key(&bundle("s", base))].into());
            let kept = &kept[&"s".parse().unwrap()];
            let numbers: Vec<u64> = kept.bundles.iter().map(|it| it.sequence.into()).collect();
            (numbers, kept.unknown.len())
        };
        assert_eq!(numbers(2), (vec![6, 5, 4, 3, 2], 0));
        assert_eq!(numbers(5), (vec![6, 5], 0));
        assert_eq!(numbers(9), (vec![6, 5, 9], 1));
    }
}
