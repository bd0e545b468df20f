//! A search from its sources to its answer: receipts first, then the registry's record, bundles, and what is there.
//! Takes files, keys and a destination; gives the answer.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bundle_format::{Limits, PublicKey};
use bundle_harbor::Harbor;
use bundle_importer::{Bundle, Destination, OpenError, RecordKeys};
use bundle_oci::{ProjectName, chain};
use bundle_registry::Error;
use bundle_trust::{Effective, load_receipt};

use crate::search::answer::{Answer, At, Problem};
use crate::search::known::Known;
use crate::search::there;
use crate::{Depth, FilesError, Subject, bundle_files, read_record, receipt_files};

/// Where a search looks.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    /// Receipts, or directories with them.
    pub receipts: &'a [PathBuf],
    /// The sites' keys: a receipt that none of them signed is not believed, and neither is a registry's record.
    pub keys: &'a [PublicKey],
    /// Bundles, or directories with them.
    pub bundles: &'a [PathBuf],
    /// Whose bundles are believed; none if there are no bundles.
    pub policy: Option<&'a Effective>,
    /// The registry to look at.
    pub far: Option<&'a Far>,
}

/// A registry to look at.
#[derive(Debug)]
pub struct Far {
    /// The registry as a destination.
    pub destination: Arc<dyn Destination>,
    /// Its API, if it is a Harbor: only that lists all that is there.
    pub harbor: Option<Harbor>,
    /// Projects whose record is read, besides `cache`, `platform` and those that receipts and bundles name.
    pub projects: Vec<ProjectName>,
    /// How many requests are made at once.
    pub jobs: usize,
}

/// Why there is no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A directory that cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] Error),
    /// More places than [`crate::Limits`] allow.
    #[error("more than {0} places fit '{1}'")]
    TooMany(usize, String),
}

/// Searches.
///
/// # Errors
/// Any [`SearchError`]. A single file that cannot be used is no error: it is in [`Answer::problems`].
pub async fn search(subject: &Subject, sources: &Sources<'_>) -> Result<Answer, SearchError> {
    let mut known = Known::of(subject);
    let mut problems = Vec::new();
    for path in receipt_files(sources.receipts)? {
        match load_receipt(&path, sources.keys, &Limits::V1) {
            Ok(receipt) => known.add_receipt(&path, &receipt)?,
            Err(error) => problems.push(Problem { at: At::Receipt(path), why: chain(&error) }),
        }
    }
    let bundles = match sources.policy {
        Some(_) => bundle_files(sources.bundles)?,
        None => Vec::new(),
    };
    if let Some(far) = sources.far {
        record(far, sources.keys, &mut known, &mut problems).await?;
    }
    for path in bundles {
        let Some(policy) = sources.policy else { continue };
        match Bundle::open_arrived(&path, policy, &Limits::V1) {
            Ok(bundle) => known.add_bundle(bundle.trusted(), |digest| bundle.graph().extent(digest))?,
            // What it names is known from its first volume; what those consist of is not.
            Err(OpenError::Missing(_)) if !subject.is_by_digest() => {
                match Bundle::head(&path, policy, &Limits::V1) {
                    Ok(trusted) => known.add_bundle(&trusted, |_| Vec::new())?,
                    Err(error) => problems.push(Problem { at: At::Bundle(path), why: chain(&error) }),
                }
            }
            Err(error) => problems.push(Problem { at: At::Bundle(path), why: chain(&error) }),
        }
    }
    problems.extend(known.accepted_only());
    if let Some(far) = sources.far {
        there::look(far, subject, &mut known).await?;
    }
    let (receipts, bundles) = known.counts();
    Ok(Answer { places: known.places(), problems, receipts, bundles })
}

/// Reads the registry's record, as far as one of the keys signed it.
async fn record(
    far: &Far,
    keys: &[PublicKey],
    known: &mut Known<'_>,
    problems: &mut Vec<Problem>,
) -> Result<(), SearchError> {
    if keys.is_empty() {
        return Ok(());
    }
    let root = far.destination.root();
    let mut projects: BTreeSet<ProjectName> = [ProjectName::cache(), ProjectName::platform()].into();
    projects.extend(far.projects.iter().cloned());
    projects.extend(known.projects(&root));
    if let Some(harbor) = &far.harbor {
        projects.extend(harbor.projects().await?);
    }
    let (named, keys) = (BTreeSet::new(), RecordKeys::Public(keys.to_vec()));
    let read = read_record(&*far.destination, &named, projects, &keys, usize::MAX, Depth::Lists).await?;
    problems.extend(read.unreadable.into_iter().map(|entry| {
        // Entries are named as `NAME, which is …,` where more is known of them than that they are no record.
        let (name, why) =
            entry.split_once(", which ").unwrap_or((&entry, "is no record of an accepted bundle"));
        Problem { at: At::Record(name.to_owned()), why: why.trim_end_matches(',').to_owned() }
    }));
    for (stream, record) in read.streams {
        // Whoever can push there can write what nobody signed.
        if record.is_signed {
            known.add_record(&root, &stream, &record);
        } else {
            let entry = format!("the entries of the stream '{stream}'");
            let why = "none of the keys signed them".to_owned();
            problems.push(Problem { at: At::Record(entry), why });
        }
    }
    Ok(())
}
