//! The removal after a night that went well: what no kept bundle wants goes from Harbor, and is recorded.
//! Takes the job's receipts and a Harbor; gives what was removed of each stream, or why nothing more was.

use std::path::{Path, PathBuf};

use bundle_format::{BundleId, PublicKey, StreamName, Timestamp};
use bundle_harbor::Harbor;
use bundle_oci::chain;
use bundle_prune::{
    Approved, GatherError, InUse, InUseError, Limits, Planned, RecordError, Request, Sources, carry_out,
};
use bundle_registry::Error;
use bundle_site::account_text;
use bundle_trust::Signer;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::ImportConfig;
use crate::config::PruneConfig;
use crate::ledger::LastImport;

/// What is needed to remove.
#[derive(Clone, Debug)]
pub struct Pruning<'a> {
    /// The settings.
    pub settings: &'a PruneConfig,
    /// The Harbor.
    pub harbor: &'a Harbor,
    /// The keys of receipts besides the job's own: earlier ones of the site.
    pub keys: &'a [PublicKey],
    /// How many requests are made at once.
    pub jobs: usize,
}

/// What was removed of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunedStream {
    /// The stream.
    pub stream: StreamName,
    /// How many artifacts and tags went, a row of the record each.
    pub removed: usize,
    /// How many stayed that nobody wants: somebody pulled one, or Harbor refused.
    pub left: usize,
    /// The bytes that Harbor's garbage collection frees, at most.
    pub bytes: u64,
    /// The record; none if nothing could go.
    pub record: Option<PathBuf>,
}

/// How the last removal ended, as the job remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PruneStatus {
    /// When it ended.
    pub ended: Timestamp,
    /// When one last ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<Timestamp>,
    /// How many artifacts and tags it removed.
    pub removed: u64,
    /// How many it left that nobody wants.
    pub left: u64,
    /// How many were ever removed.
    pub removed_in_all: u64,
    /// The records of that run, of each stream of which something went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<String>,
    /// Why it ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why nothing, or not all, was removed.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// A list of what runs.
    #[error(transparent)]
    InUse(#[from] InUseError),
    /// It cannot be planned.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// The record cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Harbor.
    #[error(transparent)]
    Registry(#[from] Error),
    /// The directory of records.
    #[error("{} cannot be made", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
}

/// What a run of the job removed, and why no more.
#[derive(Debug)]
pub struct PruneRun {
    /// Each stream.
    pub streams: Vec<PrunedStream>,
    /// The error, if it ended early.
    pub error: Option<PruneError>,
}

impl Pruning<'_> {
    /// Removes what no kept bundle of these streams wants, one stream after the other, until one fails.
    pub(crate) async fn run<'a>(
        &self,
        config: &ImportConfig,
        signer: &Signer,
        last: impl IntoIterator<Item = (&'a StreamName, &'a LastImport)>,
    ) -> PruneRun {
        let mut run = PruneRun { streams: Vec::new(), error: None };
        for (stream, last) in last {
            match self.prune(config, signer, stream, last).await {
                Ok((pruned, error)) => {
                    run.streams.push(pruned);
                    run.error = error.map(PruneError::from);
                }
                Err(error) => run.error = Some(error),
            }
            if run.error.is_some() {
                break;
            }
        }
        run
    }

    async fn prune(
        &self,
        config: &ImportConfig,
        signer: &Signer,
        stream: &StreamName,
        last: &LastImport,
    ) -> Result<(PrunedStream, Option<Error>), PruneError> {
        let mut in_use = InUse::default();
        for path in &self.settings.in_use {
            in_use.add_file(path, &Limits::DEFAULT)?;
        }
        let keys: Vec<PublicKey> =
            self.keys.iter().cloned().chain(std::iter::once(signer.public().clone())).collect();
        let sources = Sources {
            receipts: std::slice::from_ref(&config.receipts),
            keys: &keys,
            bundles: &[],
            site_key: None,
            // The next delta may be of the same base, and needs what that one brought.
            bases: &last.bases,
        };
        let keep = self.settings.keep;
        let pulled_within = u16::try_from(self.settings.pulled_within_days).unwrap_or(u16::MAX);
        let request = Request { stream, keep, sources, in_use: &in_use, pulled_within, jobs: self.jobs };
        let account = self.harbor.account().await?;
        let planned = Planned::make(self.harbor, &account, request, Timestamp::now()).await?;
        for remark in &planned.remarks {
            info!(stream = %stream, remark = %remark, "before the removal");
        }
        let mut pruned = PrunedStream {
            stream: stream.clone(),
            removed: 0,
            left: planned.plan.left.len(),
            bytes: planned.plan.frees.bytes,
            record: None,
        };
        if planned.plan.removals.is_empty() {
            return Ok((pruned, None));
        }
        let directory = config.removals();
        let failed = |source| PruneError::Directory { path: directory.clone(), source };
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let record = free(&directory, stream, last.sequence.into());
        let approved = Approved { removals: &planned.plan.removals, file: None, frees: planned.plan.frees };
        let removed =
            carry_out(self.harbor, &account_text(&account), approved, &planned, &record, Some(signer))
                .await?;
        let left = removed.left();
        pruned.removed = removed.record.results.len() - left;
        pruned.left += left;
        pruned.record = Some(record);
        info!(stream = %stream, removed = pruned.removed, left, "removed what no kept bundle wants");
        removed.written?;
        Ok((pruned, removed.error))
    }
}

/// A name for a record that nothing has yet: `nightly-1795000000.record.json`.
fn free(directory: &Path, stream: &StreamName, sequence: u64) -> PathBuf {
    let named = |end: &str| directory.join(format!("{stream}-{sequence}{end}.record.json"));
    let mut path = named("");
    let mut number = 2_u64;
    while path.symlink_metadata().is_ok() {
        path = named(&format!(".{number}"));
        number += 1;
    }
    path
}

impl PruneStatus {
    /// Of a run, after an earlier one.
    pub(crate) fn of(run: &PruneRun, before: Option<&Self>, ended: Timestamp) -> Self {
        let removed = run.streams.iter().map(|it| it.removed as u64).sum();
        Self {
            ended,
            succeeded: match run.error {
                None => Some(ended),
                Some(_) => before.and_then(|before| before.succeeded),
            },
            removed,
            left: run.streams.iter().map(|it| it.left as u64).sum(),
            removed_in_all: before.map_or(0, |before| before.removed_in_all).saturating_add(removed),
            records: run
                .streams
                .iter()
                .filter_map(|it| Some(it.record.as_ref()?.display().to_string()))
                .collect(),
            error: run.error.as_ref().map(|error| chain(error)),
        }
    }
}

/// The bases of a bundle that are bundles themselves.
pub(crate) fn bases(statement: &bundle_format::Statement) -> Vec<BundleId> {
    let of = |base: &bundle_format::Base| {
        Some(BundleId { stream: base.stream.clone(), sequence: base.sequence?, statement: base.digest })
    };
    statement.base.iter().filter_map(of).collect()
}
