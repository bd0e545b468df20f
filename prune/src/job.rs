//! A removal from its request to its record: what people and the nightly job both do.
//! Takes a Harbor, sources and a date; gives a plan, and then what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bundle_format::{StreamName, Timestamp};
use bundle_harbor::{Account, Harbor};
use bundle_oci::{Digest, RegistryPath};
use bundle_registry::Error;
use bundle_trust::Signer;

use crate::{
    Applied, Freed, GatherError, Gathered, InUse, LiveArtifact, Outcome, Question, RecordError, Remark,
    Removal, RemovalPlan, RemovalRecord, RemovalResult, Repository, Sources, apply, gather, look, plan,
    remarks, write_record,
};

/// What is to be planned.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The stream whose images may go.
    pub stream: &'a StreamName,
    /// How many of the newest bundles of each stream are kept.
    pub keep: usize,
    /// What bundles brought and want.
    pub sources: Sources<'a>,
    /// What runs.
    pub in_use: &'a InUse,
    /// What was pulled in so many days stays; 0 if pulls do not matter.
    pub pulled_within: u16,
    /// How many requests are made at once.
    pub jobs: usize,
}

/// A plan that was made just now, and what it was made of.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: RemovalPlan,
    /// What else in Harbor bears on it.
    pub remarks: Vec<Remark>,
    /// What is there.
    pub live: BTreeMap<Repository, Vec<LiveArtifact>>,
    /// How many receipts of other registries were left alone.
    pub elsewhere: usize,
    /// Entries of the registry's record that count for nothing.
    pub unreadable: BTreeSet<String>,
}

impl Planned {
    /// Plans; nothing is removed.
    ///
    /// # Errors
    /// Any [`GatherError`].
    pub async fn make(
        harbor: &Harbor,
        account: &Account,
        request: Request<'_>,
        now: Timestamp,
    ) -> Result<Self, GatherError> {
        let Request { stream, keep, sources, in_use, pulled_within, jobs } = request;
        let Gathered { ledger, kept, others, wanted, elsewhere, unreadable, .. } =
            gather(harbor, stream, keep, &sources).await?;
        let live = look(harbor, ledger.repositories(stream), jobs).await?;
        let before = now.unix() - i64::from(pulled_within) * 24 * 3600;
        let pulled_since = Timestamp::from_unix(before.max(0)).ok().filter(|_| pulled_within > 0);
        let (removals, left, frees) =
            plan(&Question { ledger: &ledger, stream, wanted: &wanted, live: &live, in_use, pulled_since });
        let projects = removals.iter().map(|removal| removal.repository.project.clone()).collect();
        let remarks = match removals.is_empty() {
            true => Vec::new(),
            false => remarks(harbor, account, &projects).await?,
        };
        let registry = RegistryPath::new(harbor.registry().clone(), None);
        let plan = RemovalPlan {
            plan_version: RemovalPlan::VERSION,
            registry,
            stream: stream.clone(),
            keep,
            planned: now,
            kept,
            others,
            removals,
            left,
            frees,
        };
        Ok(Self { plan, remarks, live, elsewhere, unreadable })
    }
}

/// What is to be removed: rows that were reviewed, or all of a plan where nobody reviews.
#[derive(Clone, Copy, Debug)]
pub struct Approved<'a> {
    /// The rows.
    pub removals: &'a [Removal],
    /// The digest of the reviewed file; none where nobody reviewed.
    pub file: Option<Digest>,
    /// What they free together.
    pub frees: Freed,
}

/// What became of a removal.
#[derive(Debug)]
pub struct Removed {
    /// The record as it was written last.
    pub record: RemovalRecord,
    /// The first error of Harbor, after which nothing more was begun.
    pub error: Option<Error>,
    /// Whether the record could be written at the end.
    pub written: Result<(), RecordError>,
}

impl Removed {
    /// How many rows were left or failed.
    pub fn left(&self) -> usize {
        self.record.results.iter().filter(|result| !result.outcome.is_done()).count()
    }
}

/// Removes what is approved and what the fresh plan has too. The record is written and signed before anything is
/// removed, and again at the end.
///
/// # Errors
/// The record cannot be written; then nothing was removed.
pub async fn carry_out(
    harbor: &Harbor,
    account: &str,
    approved: Approved<'_>,
    fresh: &Planned,
    path: &Path,
    signer: Option<&Signer>,
) -> Result<Removed, RecordError> {
    let pending = approved.removals.iter().map(|removal| RemovalResult {
        repository: removal.repository.clone(),
        digest: removal.digest,
        tags: Vec::new(),
        artifact: false,
        outcome: Outcome::Pending,
    });
    let mut record = RemovalRecord {
        removal_version: RemovalRecord::VERSION,
        registry: fresh.plan.registry.clone(),
        stream: fresh.plan.stream.clone(),
        plan: approved.file,
        account: account.to_owned(),
        kept: fresh.plan.kept.clone(),
        began: Timestamp::now(),
        ended: None,
        results: pending.collect(),
        frees: approved.frees,
    };
    // Before anything is removed, it can be written, and says what is going to be.
    write_record(path, &record, signer)?;
    let Applied { results, error } =
        apply(harbor, approved.removals, &fresh.plan.removals, &fresh.plan.left, &fresh.live).await;
    record.results = results;
    record.ended = Some(Timestamp::now());
    let written = write_record(path, &record, signer);
    Ok(Removed { record, error, written })
}
