//! Everything that a plan needs beside the live state: receipts, bundles, and the registry's own record of accepted
//! bundles. Takes files, keys and a Harbor; gives a ledger and what the kept bundles want, or says what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::{BundleId, Cursor, Medium, PublicKey, Statement, StreamName, Unverified, bundle_of};
use bundle_harbor::Harbor;
use bundle_importer::RecordedStream;
use bundle_oci::{Digest, ProjectName, RegistryPath};
use bundle_os::begins_with_field;
use bundle_registry::Error;
use bundle_site::{HarborOptions, HarborSite};
use bundle_trust::{ReceiptFileError, Signer, load_receipt};
use tracing::info;

use crate::{Kept, Ledger, Limits, Recorded, Wanted};

/// Where it is known from what bundles brought and want.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    /// Receipts, or directories with them.
    pub receipts: &'a [PathBuf],
    /// The keys one of which must have signed each; any receipt counts without.
    pub keys: &'a [PublicKey],
    /// Bundles, or directories with them, for what a bundle without a receipt wants.
    pub bundles: &'a [PathBuf],
    /// The site's key: where there is one, only records that it signed count.
    pub site_key: Option<Arc<Signer>>,
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
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// More receipts than [`Limits`] allow.
    #[error("{} has more than the {limit} receipts allowed", .path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// How many there may be.
        limit: usize,
    },
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
    for path in each(sources.receipts, is_receipt)? {
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
    let mut unreadable = BTreeSet::new();
    let recorded = recorded(harbor, &ledger.projects(), sources.site_key.as_ref(), &mut unreadable).await?;
    let mut kept = kept_of(&ledger, keep, &recorded);
    let unknown: BTreeSet<Digest> =
        kept.values().flat_map(|kept| &kept.unknown).map(|bundle| bundle.statement).collect();
    if !unknown.is_empty() {
        for path in each(sources.bundles, |name, _| bundle_of(name).is_some())? {
            // A file that is no bundle, or another one, is no reason to stop: what is missing is said below.
            if let Some((bundle, statement)) = head(&path, &unknown) {
                ledger.add_statement(&bundle, &statement);
            }
        }
        kept = kept_of(&ledger, keep, &recorded);
    }
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

fn kept_of(
    ledger: &Ledger,
    keep: usize,
    recorded: &BTreeMap<StreamName, Recorded>,
) -> BTreeMap<StreamName, Kept> {
    let streams: BTreeSet<&StreamName> = ledger.streams().chain(recorded.keys()).collect();
    let none = Recorded::default();
    let kept = |stream: &StreamName| ledger.kept(stream, keep, recorded.get(stream).unwrap_or(&none));
    streams.into_iter().map(|stream| (stream.clone(), kept(stream))).collect()
}

/// The record of accepted bundles in all projects that the account sees: another importer's streams may want
/// something too. It must be able to read those that receipts name.
async fn recorded(
    harbor: &Harbor,
    named: &BTreeSet<ProjectName>,
    site_key: Option<&Arc<Signer>>,
    unreadable: &mut BTreeSet<String>,
) -> Result<BTreeMap<StreamName, Recorded>, Error> {
    let destination = HarborSite::new(harbor.clone(), HarborOptions::default());
    let seen = harbor.projects().await?;
    let mut all: BTreeMap<StreamName, Recorded> = BTreeMap::new();
    for project in named.iter().cloned().chain(seen).collect::<BTreeSet<ProjectName>>() {
        let is_named = named.contains(&project);
        let projects = [project];
        let read = RecordedStream::accepted(
            &destination,
            &projects,
            None,
            usize::MAX,
            site_key.cloned(),
            unreadable,
        );
        let streams = match read.await {
            Err(error) if !is_named && matches!(error.status(), Some(401 | 403)) => continue,
            streams => streams?,
        };
        for stream in streams {
            let recorded = all.entry(stream.stream).or_default();
            for known in stream.bundles {
                let key = (known.bundle.sequence, known.bundle.statement);
                recorded.accepted.insert(key);
                if known.taken_back.is_some() {
                    recorded.taken_back.insert(key);
                }
            }
        }
    }
    Ok(all)
}

/// The files that were named, and those right below directories that were, in the order of their names.
fn each(paths: &[PathBuf], is_one: impl Fn(&str, &Path) -> bool) -> Result<Vec<PathBuf>, GatherError> {
    let limit = Limits::DEFAULT.receipts;
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = |source| GatherError::Read { path: path.clone(), source };
        let mut below = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (name, file) = (entry.file_name(), entry.path());
            if name.to_str().is_some_and(|name| !name.starts_with('.') && is_one(name, &file)) {
                below.push(file);
            }
            if below.len() > limit {
                return Err(GatherError::TooMany { path: path.clone(), limit });
            }
        }
        below.sort();
        files.extend(below);
    }
    Ok(files)
}

/// Whether a file of a directory is a receipt: JSON, and neither a plan nor a record of a removal.
fn is_receipt(name: &str, path: &Path) -> bool {
    if !name.ends_with(".json") {
        return false;
    }
    let mut start = [0; 64];
    let read = bundle_os::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut start));
    let start = read.map_or(&[][..], |length| start.get(..length).unwrap_or_default());
    let is = |field: &str| !start.is_empty() && begins_with_field(start, field);
    !is("planVersion") && !is("removalVersion")
}

/// The statement of a bundle, if it is one of those that are looked for. Its digest proves what the signature would.
fn head(path: &Path, wanted: &BTreeSet<Digest>) -> Option<(BundleId, Statement)> {
    let limits = bundle_format::Limits::V1;
    let medium = Medium::open(path, &limits).ok()?;
    let head = Unverified::read(&mut Cursor::new(&medium).ok()?, &limits).ok()?;
    let digest = Digest::of(&head.statement);
    if !wanted.contains(&digest) {
        return None;
    }
    let statement = Statement::parse(&head.statement, &limits).ok()?;
    Some((BundleId::of(&statement, digest), statement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_receipts_in_order_and_no_plans_or_records() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.json", "{\"receiptVersion\":1}"),
            ("a.json", "{\"receiptVersion\":1}"),
            ("a.json.sig", "x"),
            ("empty.json", ""),
            (".hidden.json", "{}"),
            ("removals.json", "{\n  \"planVersion\": 1\n}"),
            ("removals.record.json", "{\"removalVersion\":1}"),
        ] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let found = each(&[directory.path().to_owned(), "named.json".into()], is_receipt).unwrap();
        let names: Vec<&str> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        // A receipt that was cut off is one that cannot be read, and that must be said.
        assert_eq!(names, ["a.json", "b.json", "empty.json", "named.json"]);
        assert!(each(&[directory.path().join("a.json")], is_receipt).unwrap().len() == 1);
    }
}
