//! The disconnected side's scheduled job: imports an inbox's bundles in the order of their streams.
//! Takes a configuration and a destination; gives what happened to each bundle.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use bundle_format::{
    BundleId, CompactBase, Damage, FileError, Lent, Limits, MediumError, Receipt, ScratchSpace, Sequence,
    ShortReceipt, StreamName, Timestamp, TrustError, Verdict, VolumeNames, replace_file,
};
use bundle_importer::{
    Arrival, Arrived, Bundle, Delivery, DeliveryError, DeliveryOptions, Destination, Finding, HistoryError,
    HistoryNotice, Note, OpenError, PlanError, PushError, RegistryBases, StateError, StateFile,
    write_receipt,
};
use bundle_oci::{Printable, chain};
use bundle_registry::{Client, Progress};
use bundle_trust::{Effective, SignError, Signer};
use tracing::info;

use crate::absence::{Notices, absent, is_for_absence};
use crate::inbox::{self, Candidate, InboxError};
use crate::ledger::{self, Done, ImportLedger, LastImport, LedgerError, Unusable};
use crate::pruning::{PruneRun, PruneStatus, Pruning, bases};
use crate::status::ImportStatus;
use crate::{ImportConfig, JobLock, LockError};

/// The disconnected side's job.
#[derive(Debug)]
pub struct ImportJob<'a> {
    /// The configuration.
    pub config: &'a ImportConfig,
    /// The trust policy.
    pub policy: &'a Effective,
    /// Where they go.
    pub destination: &'a Arc<dyn Destination>,
    /// How they are delivered.
    pub options: &'a DeliveryOptions,
    /// The signer of receipts.
    pub signer: &'a Signer,
    /// The client for the layers there that compact bundles need.
    pub client: &'a Client,
    /// What is removed after a night that went well, if anything.
    pub pruning: Option<Pruning<'a>>,
}

/// The result of an import job.
#[derive(Debug)]
pub struct Imported {
    /// The outcome of each bundle in the inbox, in the order of the imports.
    pub items: Vec<InboxItem>,
    /// How many more there are, which the next run looks at.
    pub left: usize,
    /// What was removed; none if nothing was to be looked at.
    pub pruned: Option<PruneRun>,
    /// The note for operators.
    pub status: ImportStatus,
}

/// A bundle of the inbox and what happened to it.
#[derive(Debug)]
pub struct InboxItem {
    /// The bundle's name.
    pub name: String,
    /// The outcome.
    pub outcome: BundleOutcome,
}

/// The outcome for a bundle.
#[derive(Debug)]
pub enum BundleOutcome {
    /// It was imported, and lies in `done`.
    Imported(BundleId),
    /// It was imported before, and lies in `done`.
    Again(BundleId),
    /// It lies in `refused`, with the reason beside it.
    Refused(ItemError),
    /// It stays in the inbox, for something may still come that makes it good.
    Waiting(ItemError),
    /// It was imported or refused, and cannot be moved out of the inbox: nothing waits for that.
    Stuck(ItemError),
    /// It stays in the inbox after another error. The later bundles of its stream wait too.
    Failed(ItemError),
}

/// Why a bundle was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    /// It cannot be opened or trusted.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be delivered.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// It belongs to another site.
    #[error("bundle is of the stream '{0}', which is not imported here")]
    Stream(StreamName),
    /// Something that is remembered cannot be.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its receipt cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Its receipt cannot be written.
    #[error(transparent)]
    Receipt(#[from] FileError),
    /// Volumes of it are missing, or what it builds on, and its stream has gone on.
    #[error("bundle {bundle} {lack}, and bundle {} of its stream was imported already", .newest.dated())]
    Superseded {
        /// The bundle.
        bundle: BundleId,
        /// What is wrong with it.
        lack: &'static str,
        /// The newest number of its stream.
        newest: Sequence,
    },
    /// It was dealt with, and cannot be moved out of the inbox.
    #[error(transparent)]
    Stuck(#[from] InboxError),
    /// Some of it is missing. It can be rebuilt, but perhaps it is just being copied.
    #[error("some of the bundle is missing; it is rebuilt from parity if nothing more comes for a while")]
    Arriving,
    /// Some of it is still to come.
    #[error("volumes of the bundle are missing")]
    Part,
}

/// The error of an import job itself, apart from bundles'.
#[derive(Debug, thiserror::Error)]
pub enum ImportJobError {
    /// Another run is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The error of the job's ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The inbox.
    #[error(transparent)]
    Inbox(#[from] InboxError),
}

impl ImportJob<'_> {
    /// Imports the inbox's bundles, oldest first, and moves them out of it.
    ///
    /// # Errors
    /// Any [`ImportJobError`]. The error of a single bundle is in its [`InboxItem`].
    pub async fn run(&self, progress: Arc<dyn Progress>) -> Result<Imported, ImportJobError> {
        let _lock = JobLock::take(&self.config.state, "import")?;
        let ledger_path = self.config.state.join("import.json");
        let mut ledger: ImportLedger = ledger::load(&ledger_path)?;
        // Files that cannot be moved are found again below, if they still exist.
        let _ = inbox::carry_out(&ledger.moving);
        ledger.moving.clear();
        let mut items = Vec::new();
        let mut taken = Vec::new();
        let mut unusable = Vec::new();
        let mut left = 0;
        for candidate in inbox::scan(&self.config.inbox)? {
            match self.open(&candidate) {
                Ok(bundle)
                    if bundle.parity_notes().is_cut() && !self.has_settled(&candidate, &mut ledger) =>
                {
                    unusable.push((candidate, ItemError::Arriving));
                }
                Ok(bundle) => {
                    let id = BundleId::of(bundle.statement(), bundle.trusted().digest());
                    taken.push((id, candidate));
                }
                Err(error) if unusable.len() < crate::limits::Limits::DEFAULT.unusable => {
                    unusable.push((candidate, error))
                }
                Err(_) => left += 1,
            }
        }
        taken.sort_by(|(a, _), (b, _)| (&a.stream, a.sequence).cmp(&(&b.stream, b.sequence)));
        let mut stopped: Option<StreamName> = None;
        for (id, candidate) in taken {
            // One stream's trouble is not another's; of the same, nothing overtakes.
            if stopped.as_ref() == Some(&id.stream) {
                continue;
            }
            let imported = self.import(&candidate, progress.clone()).await;
            let stream = id.stream;
            let item = match imported {
                // A later bundle may do without what is gone.
                Err(error) if is_for_absence(&error) => {
                    unusable.push((candidate, error));
                    continue;
                }
                Ok(imported) => self.finish(candidate, imported, &mut ledger, &ledger_path)?,
                Err(error) => self.sort(candidate, error, &mut ledger, &ledger_path)?,
            };
            if matches!(item.outcome, BundleOutcome::Failed(_)) {
                stopped = Some(stream);
            }
            items.push(item);
        }
        // After the imports: what was imported just now may show that a set is out of date.
        for (candidate, error) in unusable {
            let error = self.superseded(&candidate, error);
            items.push(self.sort(candidate, error, &mut ledger, &ledger_path)?);
        }
        self.tidy_done(&mut ledger);
        let named = |wanted: fn(&BundleOutcome) -> Option<&ItemError>| -> Vec<(String, String)> {
            let items =
                items.iter().filter_map(|item| Some((item.name.clone(), chain(wanted(&item.outcome)?))));
            items.collect()
        };
        let waiting = named(|outcome| match outcome {
            BundleOutcome::Waiting(error) | BundleOutcome::Failed(error) | BundleOutcome::Stuck(error) => {
                Some(error)
            }
            _ => None,
        });
        let refused = named(|outcome| match outcome {
            BundleOutcome::Refused(error) => Some(error),
            _ => None,
        });
        let is_good = waiting.is_empty() && refused.is_empty() && left == 0;
        ledger.prune_due |= items.iter().any(|item| matches!(item.outcome, BundleOutcome::Imported(_)));
        let mut pruned = None;
        // Never after a night that failed: a bundle that waits may need what its base brought.
        if is_good
            && ledger.prune_due
            && let Some(pruning) = &self.pruning
        {
            // What was imported is remembered whatever becomes of the removal.
            ledger::save(&ledger_path, &ledger)?;
            progress.stage("removing", 0);
            let streams = ledger.last.iter().filter(|(stream, _)| self.config.expects(stream));
            let run = pruning.run(self.config, self.signer, streams).await;
            ledger.prune_due = run.error.is_some();
            ledger.pruned = Some(PruneStatus::of(&run, ledger.pruned.as_ref(), Timestamp::now()));
            pruned = Some(run);
        }
        if is_good && pruned.as_ref().is_none_or(|run| run.error.is_none()) {
            ledger.succeeded = Some(Timestamp::now());
        }
        ledger.unusable.retain(|name, _| waiting.iter().any(|(waiting, _)| waiting == name));
        ledger::save(&ledger_path, &ledger)?;
        Ok(Imported { status: ImportStatus::of(&ledger, waiting, left, refused), items, left, pruned })
    }

    /// The note for operators after a run that failed.
    ///
    /// # Errors
    /// The job's memory cannot be read.
    pub fn status(config: &ImportConfig) -> Result<ImportStatus, ImportJobError> {
        let ledger: ImportLedger = ledger::load(&config.state.join("import.json"))?;
        Ok(ImportStatus::of(&ledger, Vec::new(), 0, Vec::new()))
    }

    fn open(&self, candidate: &Candidate) -> Result<Bundle, ItemError> {
        let bundle = Bundle::open_arrived(&candidate.path, self.policy, &Limits::V1)?;
        let stream = &bundle.statement().stream;
        if !self.config.expects(stream) {
            return Err(ItemError::Stream(stream.clone()));
        }
        Ok(bundle)
    }

    /// A set that is incomplete waits for its other volumes, and a bundle for what it builds on, unless its stream has
    /// gone on without it.
    fn superseded(&self, candidate: &Candidate, error: ItemError) -> ItemError {
        if !matches!(error, ItemError::Open(OpenError::Missing(_))) && !is_for_absence(&error) {
            return error;
        }
        let identified = candidate.files.iter().find_map(|path| {
            let is_part = VolumeNames::read(path).is_some() || *path == candidate.path;
            is_part.then(|| Bundle::identify(path, self.policy, &Limits::V1).ok()).flatten()
        });
        let Some(bundle) = identified else { return error };
        let state = StateFile::look(&self.options.state).ok();
        let newest = state.and_then(|state| state.newest(&self.destination.root(), &bundle.stream));
        let Some(newest) = newest.map(|newest| newest.sequence) else { return error };
        // What was imported once, and builds on what is gone since, is no older than it was.
        let (lack, is_over) = match is_for_absence(&error) {
            true => ("builds on blobs that are gone", bundle.sequence < newest),
            false => ("is incomplete", bundle.sequence <= newest),
        };
        if is_over { ItemError::Superseded { bundle, lack, newest } } else { error }
    }

    async fn import(
        &self,
        candidate: &Candidate,
        progress: Arc<dyn Progress>,
    ) -> Result<Accepted, ItemError> {
        // It is opened again, for much time may have passed: what is noted is what was imported.
        let bundle = self.open(candidate)?;
        let there = RegistryBases::look(self.client, self.destination.registry(), bundle.bases()).await;
        let looked: Vec<CompactBase> = there.absent().cloned().collect();
        bundle.lend(&Lent { bases: Arc::new(there), scratch: ScratchSpace::default() });
        let id = BundleId::of(bundle.statement(), bundle.trusted().digest());
        let notices = Notices { config: self.config, signer: self.signer, registry: self.destination.root() };
        let imported = self.deliver(bundle, &id, progress.clone()).await;
        match &imported {
            Ok(_) => notices.take_back(&id),
            Err(error) => {
                let blobs = absent(error, looked);
                if !blobs.is_empty() {
                    // The bundle waits in any case. A notice that cannot be written must not hold up a later bundle,
                    // which may do without what is gone.
                    match notices.write(&id, blobs) {
                        Ok(Some(path)) => progress.note(&format!(
                            "{} says what is gone: carry it back with the receipts",
                            Printable(&path.display().to_string())
                        )),
                        Ok(None) => {}
                        Err(error) => progress.note(&format!(
                            "there is no notice of what is gone: {}",
                            Printable(&chain(&error))
                        )),
                    }
                }
            }
        }
        imported
    }

    async fn deliver(
        &self,
        bundle: Bundle,
        id: &BundleId,
        progress: Arc<dyn Progress>,
    ) -> Result<Accepted, ItemError> {
        let (created, bases) = (bundle.statement().created, bases(bundle.statement()));
        let waiting = || progress.note(&HistoryNotice::Waiting.to_string());
        let state = StateFile::open(&self.options.state, waiting)?;
        if let Some(notice) = state.notice() {
            progress.note(&notice.to_string());
        }
        let delivery = Delivery::plan(bundle, self.destination.clone(), state, self.options).await?;
        for notice in delivery.history().ignored() {
            progress.note(&notice.to_string());
        }
        if let Some(notice) = delivery.history().notice(&self.destination.root()) {
            progress.note(&notice.to_string());
        }
        for note in delivery.outlook().into_iter().flat_map(|outlook| &outlook.notes) {
            if matches!(
                note,
                Note::Unlabelled { .. } | Note::ExceptionExpired { .. } | Note::Retention { .. }
            ) {
                progress.note(&note.to_string());
            }
        }
        match delivery.carry_out(self.options, progress).await? {
            Arrival::Whole(arrived) => {
                if let Some(receipt) = &arrived.receipt {
                    self.write_receipt(receipt)?;
                }
                Ok(Accepted { id: id.clone(), created, bases, arrived: *arrived })
            }
            Arrival::Part(_) => Err(ItemError::Part),
        }
    }

    /// The receipt comes before the bundle leaves the inbox: a run that is killed in between makes it
    /// again.
    fn write_receipt(&self, receipt: &Receipt) -> Result<(), ItemError> {
        let directory = &self.config.receipts;
        let made = std::fs::create_dir_all(directory);
        made.map_err(|source| FileError { path: directory.clone(), source })?;
        let name = free_name(directory, &format!("{}-{}", receipt.bundle.stream, receipt.bundle.sequence));
        let bytes = receipt.to_bytes();
        let signature = self.signer.sign(&bytes)?;
        if receipt.is_whole() {
            let short = format!("{}\n", ShortReceipt::of(&receipt.bundle));
            replace_file(&directory.join(format!("{name}.short")), short.as_bytes())?;
        }
        write_receipt(&directory.join(format!("{name}.json")), &bytes, Some(&signature))?;
        Ok(())
    }

    fn finish(
        &self,
        candidate: Candidate,
        delivered: Accepted,
        ledger: &mut ImportLedger,
        ledger_path: &Path,
    ) -> Result<InboxItem, ImportJobError> {
        let Accepted { id, created, bases, arrived } = delivered;
        let again = arrived.report.pushed == 0
            && ledger.last.get(&id.stream).is_some_and(|last| last.statement == id.statement);
        let blocked = arrived.receipt.as_ref().map_or(0, |receipt| {
            let scans = receipt.artifacts.iter().filter_map(|artifact| artifact.scan.as_ref());
            scans.filter(|scan| scan.verdict == Verdict::Blocked).count() as u64
        });
        let last = LastImport {
            sequence: id.sequence,
            statement: id.statement,
            created,
            imported: Timestamp::now(),
            bytes: candidate.bytes,
            blocked,
            is_full: bases.is_empty(),
            // After one full bundle, the next may be a delta of the same base as the one before.
            bases: match ledger.last.get(&id.stream) {
                Some(before) if bases.is_empty() && !before.is_full => before.bases.clone(),
                _ => bases,
            },
        };
        ledger.last.insert(id.stream.clone(), last);
        let moves = candidate.moves(&self.config.done()).moves;
        let files = moves.iter().map(|step| step.to.clone()).collect();
        ledger.done.push(Done { stream: id.stream.clone(), files });
        let outcome = match self.carry_out(moves, ledger, ledger_path)? {
            Moved::Stuck(error) => BundleOutcome::Stuck(error.into()),
            Moved::Away if again => BundleOutcome::Again(id),
            Moved::Away => BundleOutcome::Imported(id),
        };
        let file = Printable(&candidate.name).to_string();
        info!(file, again, "imported, and moved out of the inbox");
        Ok(InboxItem { name: candidate.name, outcome })
    }

    /// Decides what happens to a bundle that could not be imported.
    fn sort(
        &self,
        candidate: Candidate,
        error: ItemError,
        ledger: &mut ImportLedger,
        ledger_path: &Path,
    ) -> Result<InboxItem, ImportJobError> {
        let name = candidate.name.clone();
        let judgement = judge(&error);
        let file = Printable(&name).to_string();
        info!(file, judgement = ?judgement, cause = %Printable(&chain(&error)), "not imported");
        let outcome = match judgement {
            Judgement::Wait => BundleOutcome::Waiting(error),
            Judgement::Fail => BundleOutcome::Failed(error),
            // A copy may still be in progress.
            Judgement::Settle if !self.has_settled(&candidate, ledger) => BundleOutcome::Waiting(error),
            Judgement::Settle | Judgement::Refuse => {
                let departure = candidate.moves(&self.config.refused());
                if let Some(reason) = departure.reason {
                    let text = format!("{}\n", Printable(&chain(&error)));
                    // If it cannot be written, the move to the same place reports it.
                    let _ = std::fs::create_dir_all(self.config.refused());
                    let _ = replace_file(&reason, text.as_bytes());
                }
                ledger.refused += 1;
                ledger.unusable.remove(&name);
                if let Moved::Stuck(stuck) = self.carry_out(departure.moves, ledger, ledger_path)? {
                    return Ok(InboxItem { name, outcome: BundleOutcome::Stuck(stuck.into()) });
                }
                BundleOutcome::Refused(error)
            }
        };
        Ok(InboxItem { name, outcome })
    }

    /// Whether a bundle has looked the same for a while.
    fn has_settled(&self, candidate: &Candidate, ledger: &mut ImportLedger) -> bool {
        let now = Timestamp::now();
        match ledger.unusable.get(&candidate.name) {
            // A clock that was put back begins the time anew.
            Some(known) if known.fingerprint == candidate.fingerprint && known.since <= now => {
                now.unix() - known.since.unix() >= i64::from(self.config.settle_seconds)
            }
            _ => {
                let fingerprint = candidate.fingerprint.clone();
                ledger.unusable.insert(candidate.name.clone(), Unusable { fingerprint, since: now });
                false
            }
        }
    }

    /// Moves files, in such a way that the next run goes on if this one is killed. Files that cannot be moved
    /// are no error.
    fn carry_out(
        &self,
        moves: Vec<ledger::Move>,
        ledger: &mut ImportLedger,
        ledger_path: &Path,
    ) -> Result<Moved, ImportJobError> {
        ledger.moving = moves;
        ledger::save(ledger_path, ledger)?;
        let moved = inbox::carry_out(&ledger.moving);
        ledger.moving.clear();
        Ok(match moved {
            Ok(()) => Moved::Away,
            Err(error) => Moved::Stuck(error),
        })
    }

    /// Removes old files from `done`. Files that the job did not put there stay.
    fn tidy_done(&self, ledger: &mut ImportLedger) {
        let mut kept: BTreeMap<StreamName, usize> = BTreeMap::new();
        let mut remaining = Vec::new();
        for done in ledger.done.drain(..).rev() {
            let count = kept.entry(done.stream.clone()).or_default();
            *count += 1;
            if *count <= self.config.keep {
                remaining.push(done);
                continue;
            }
            for path in &done.files {
                // A path that became something else since, such as a directory, is left alone.
                let _ = std::fs::remove_file(path);
            }
        }
        remaining.reverse();
        ledger.done = remaining;
    }
}

/// A name for a receipt under which no directory or the like lies.
fn free_name(directory: &Path, name: &str) -> String {
    let is_free = |name: &str| {
        ["json", "json.sig", "short"].iter().all(|end| {
            let found = directory.join(format!("{name}.{end}")).symlink_metadata();
            found.is_ok_and(|found| found.is_file()) || !directory.join(format!("{name}.{end}")).exists()
        })
    };
    let numbered = (2..).map(|number| format!("{name}.{number}"));
    std::iter::once(name.to_owned())
        .chain(numbered.take(crate::limits::Limits::DEFAULT.unusable))
        .find(|name| is_free(name))
        .unwrap_or_else(|| name.to_owned())
}

/// A bundle that was imported.
struct Accepted {
    id: BundleId,
    created: Timestamp,
    bases: Vec<BundleId>,
    arrived: Arrived,
}

/// Whether a bundle's files left the inbox.
enum Moved {
    Away,
    Stuck(InboxError),
}

/// The consequence of an error for a bundle.
#[derive(Debug)]
enum Judgement {
    /// Something may still come.
    Wait,
    /// It is damaged, or half copied, which looks the same: refused, once it no longer changes.
    Settle,
    /// It will never be good.
    Refuse,
    /// It is not the bundle's fault.
    Fail,
}

fn judge(error: &ItemError) -> Judgement {
    match error {
        ItemError::Open(error) => match error {
            OpenError::Trust(TrustError::TooFew { .. }) | OpenError::Missing(_) => Judgement::Wait,
            OpenError::Damage(damage) => damaged(damage),
            // It was copied with another account's rights, and may be complete and valid.
            OpenError::Open(MediumError::Open { source, .. })
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                Judgement::Wait
            }
            OpenError::Open(_) | OpenError::Countersignature(_) => Judgement::Settle,
            // Bytes of which the last ones are missing have no signature that holds.
            OpenError::Trust(TrustError::Stranger { .. } | TrustError::Statement(_)) => Judgement::Settle,
            OpenError::Trust(_) => Judgement::Refuse,
        },
        ItemError::Delivery(error) => match error {
            DeliveryError::History(HistoryError::Rollback(_)) => Judgement::Refuse,
            // Tags that must not move: only another bundle, or another registry, mends that.
            DeliveryError::Findings { findings, .. } if findings.iter().all(Finding::is_about_a_tag) => {
                Judgement::Refuse
            }
            // A clock that is corrected mends it, if it is this machine's.
            DeliveryError::Plan(PlanError::Base { .. }) | DeliveryError::Future { .. } => Judgement::Wait,
            DeliveryError::Push { error: PushError::Damage(damage), .. } => damaged(damage),
            // The registry understood it and refuses it for good: it would refuse it every night.
            DeliveryError::Push { error, .. } if is_refused_for_good(error) => Judgement::Refuse,
            DeliveryError::History(_)
            | DeliveryError::Plan(_)
            | DeliveryError::Findings { .. }
            | DeliveryError::Prepare(_)
            | DeliveryError::Interrupted
            | DeliveryError::Push { .. }
            | DeliveryError::Prove(_)
            | DeliveryError::Confirmation(_)
            | DeliveryError::Confirm(_) => Judgement::Fail,
        },
        ItemError::Stream(_) | ItemError::Superseded { .. } => Judgement::Refuse,
        ItemError::Part | ItemError::Arriving => Judgement::Wait,
        ItemError::State(_) | ItemError::Sign(_) | ItemError::Receipt(_) | ItemError::Stuck(_) => {
            Judgement::Fail
        }
    }
}

/// HTTP 400, 413 and 415 are about the content (distribution-spec §Error Codes), not about the account or
/// the hour.
fn is_refused_for_good(error: &PushError) -> bool {
    match error {
        PushError::Blob { source, .. }
        | PushError::Manifest { source, .. }
        | PushError::Incomplete { source, .. } => {
            matches!(source.status(), Some(400 | 413 | 415))
        }
        _ => false,
    }
}

fn damaged(damage: &Damage) -> Judgement {
    match damage.itself() {
        Damage::Read(_) => Judgement::Fail,
        // A later bundle, made without that base, mends it.
        Damage::NoBase(_) | Damage::WrongBase(_) => Judgement::Wait,
        _ => Judgement::Settle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_read_waits_and_is_not_refused() {
        let cannot = |kind: ErrorKind| {
            let source = kind.into();
            ItemError::Open(OpenError::Open(MediumError::Open { path: "in/a.tar".into(), source }))
        };
        assert!(matches!(judge(&cannot(ErrorKind::PermissionDenied)), Judgement::Wait));
        assert!(matches!(judge(&cannot(ErrorKind::InvalidInput)), Judgement::Settle));
    }
}
