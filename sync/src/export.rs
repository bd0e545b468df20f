//! The connected side's scheduled job: writes the next bundle to the outbox if anything changed since
//! what is known to have arrived. Takes a configuration, a signer and a client; gives what it did.

use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::{self, ExportLedger, Last, LedgerError};
use crate::outbox::{Outbox, OutboxError};
use crate::receipts::{Receipts, RefusedReceipt};
use crate::status::{ExportStatus, MissingStatus};
use crate::{ExportConfig, JobLock, LockError};
use bundle_bundler::{
    Asked, AssembleError, Assembled, Assembly, Compaction, Config, ConfigError, Confirm, CreateError,
    ExpiresError, Inventory, Lock, LockBeside, LockTextError, MissingImage, Notice, OutputError, Pins, Plan,
    PlanError, PolicyOverride, Referrers, Shape, Sink, StatementHead, Unchanged, create,
};
use bundle_format::{
    BundleId, Effort, Limits, ParseSequenceError, PublicKey, ScratchSpace, Sequence, Statement, StreamName,
    Timestamp, replace_file,
};
use bundle_oci::{Digest, Hasher, Printable};
use bundle_registry::{Client, Progress};
use bundle_trust::{SignError, Signer};
use tracing::info;

/// The connected side's job.
#[derive(Debug)]
pub struct ExportJob<'a> {
    /// The configuration.
    pub config: &'a ExportConfig,
    /// The public keys of the sites whose receipts count, none of them revoked.
    pub receipt_keys: &'a [PublicKey],
    /// The client for the registries.
    pub client: &'a Client,
    /// The signer of bundles.
    pub signer: &'a Signer,
    /// Whether a full bundle is made, even if its content is known to be there or under way.
    pub again: bool,
    /// How much is done at once.
    pub jobs: usize,
}

/// The result of an export job.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The bundle that was written, if there was one to write.
    pub bundle: Result<PathBuf, Nothing>,
    /// Receipts that were refused.
    pub refused: Vec<RefusedReceipt>,
    /// How many bundles were removed, because they arrived.
    pub pruned: usize,
    /// The note for operators.
    pub status: ExportStatus,
    /// The images that are gone at their registries and did not stop the run.
    pub missing: Vec<MissingImage>,
}

/// Why there was no bundle to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// Everything is on the other side.
    Arrived,
    /// Everything is under way, in a bundle that was written before.
    UnderWay,
}

/// Why an export job failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Another run is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The error of the job's ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The outbox, or the directory of receipts.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The error in the bundle.yaml.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It makes no plan.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The plan makes no delta.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An invalid time.
    #[error(transparent)]
    Expires(#[from] ExpiresError),
    /// No number is left.
    #[error("stream '{stream}' has no next sequence")]
    Sequence {
        /// The stream.
        stream: StreamName,
        /// The error of its next number.
        source: ParseSequenceError,
    },
    /// The bundle's file.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// What was resolved cannot be kept for the next run.
    #[error(transparent)]
    Remember(#[from] LockTextError),
    /// The bundle cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The bundle cannot be written.
    #[error(transparent)]
    Create(#[from] CreateError),
}

impl ExportJob<'_> {
    /// Writes the next bundle to the outbox if it would deliver anything, and removes those that
    /// arrived.
    ///
    /// # Errors
    /// Any [`ExportError`]. A second run goes on where this one ended.
    pub async fn run(&self, progress: Arc<dyn Progress>) -> Result<Exported, ExportError> {
        let config = self.config;
        let _lock = JobLock::take(&config.state, "export")?;
        let ledger_path = config.state.join("export.json");
        let mut ledger: ExportLedger = ledger::load(&ledger_path)?;
        let asked = Asked::from(Config::load(&config.file)?);
        let stream = asked.stream.clone().unwrap_or_default();
        let outbox = Outbox::open(&config.outbox, &stream)?;
        let receipts = self.receipts(&stream, &outbox)?;
        receipts.refused.iter().try_for_each(RefusedReceipt::put_aside)?;
        for path in &receipts.waiting {
            progress.note(&format!(
                "{} does not count: it or its signature cannot be read",
                Printable(&path.display().to_string())
            ));
        }
        for site in &receipts.silent {
            progress.note(&format!(
                "{} has no receipt of stream '{stream}': nothing is left out until it has one",
                Printable(&site.display().to_string())
            ));
        }
        let gone = match receipts.lost.blobs.len() {
            0 => None,
            1 => Some(
                "one blob is gone that a receipt proved: the next bundle does not build on it".to_owned(),
            ),
            many => Some(format!(
                "{many} blobs are gone that a receipt proved: the next bundle does not build on them"
            )),
        };
        if let Some(gone) = gone {
            progress.note(&format!("the other side says that {gone}"));
        }
        self.recall(&mut ledger, &stream, &outbox)?;

        let created = Timestamp::now();
        let begun = outbox.begun()?;
        let sequence = match begun.last() {
            // An interrupted run's bundle is continued under its number.
            Some((sequence, path))
                if Some(*sequence) > highest(&ledger, &stream, &receipts)
                    && *path == outbox.path(*sequence, config.compress) =>
            {
                *sequence
            }
            _ => next(&stream, highest(&ledger, &stream, &receipts), created)?,
        };
        begun.iter().filter(|(old, _)| *old != sequence).try_for_each(|(old, _)| outbox.give_up(*old))?;
        let last = ledger.last.get(&stream).cloned();
        let head = StatementHead {
            stream: stream.clone(),
            sequence,
            created,
            expires: config.expires.map(|expires| expires.after(created)).transpose()?,
            previous: last.as_ref().map(|last| last.statement),
        };
        let pins = if config.locked { Pins::Demand } else { Pins::Prefer };
        let assembly = Assembly {
            client: self.client,
            lock: LockBeside::read(&LockBeside::path_of(&config.file), pins)?,
            earlier: self.earlier(&*progress),
            pins,
            overrule: PolicyOverride {
                referrers: (!config.referrers).then_some(Referrers::Leave),
                foreign_layers: config.foreign_layers,
                ..PolicyOverride::default()
            },
            confirm: Confirm::Ask,
            jobs: self.jobs,
            referrers_max_age: Duration::from_secs(u64::from(config.referrers_max_age_days) * 24 * 3600),
        };
        let Assembled { mut plan, notices, .. } = assembly.plan(asked, &head, &*progress).await?;
        notices.iter().for_each(|notice| progress.note(&notice.to_string()));
        let missing: Vec<MissingImage> = notices.iter().filter_map(Notice::missing).cloned().collect();
        let lock = plan.lock();
        let deltas = last.as_ref().map_or(0, |last| last.deltas);
        let whole = self.again || config.full_every.is_some_and(|most| deltas >= most);
        let bundle = match self.to_send(&mut plan, &receipts, &outbox, last.as_ref(), whole)? {
            Some(nothing) => {
                info!(%stream, reason = ?nothing, "nothing to send");
                outbox.give_up(sequence)?;
                Err(nothing)
            }
            None => {
                let (blobs, omitted) = (plan.statement().blobs.len(), plan.statement().requires.len());
                info!(%stream, sequence = u64::from(sequence), whole, blobs, omitted, "writes a bundle");
                let base = receipts.newest.as_ref().filter(|_| config.compact && !whole);
                // Only what a bundle needed was looked for: where some is gone, other bases may be too.
                let base = base.map(|base| base.clone().without_all_of(&receipts.lost.repositories));
                Ok(self.write(plan, &outbox, deltas, base, &mut ledger, progress).await?)
            }
        };
        let pruned = match receipts.arrived() {
            // A bundle whose short receipt was typed is read again each night, until a whole receipt
            // comes.
            Some(arrived) => outbox.prune(arrived, config.keep, |sequence| sequence == arrived)?,
            None => 0,
        };
        if pruned > 0 {
            info!(%stream, pruned, "bundles that arrived are removed from the outbox");
        }
        ledger.succeeded = Some(Timestamp::now());
        ledger.missing.insert(stream.clone(), missing.iter().map(MissingStatus::of).collect());
        self.remember(&lock)?;
        ledger::save(&ledger_path, &ledger)?;
        let status = ExportStatus::of(&stream, &ledger, &outbox, receipts.arrived())?;
        Ok(Exported { bundle, refused: receipts.refused, pruned, status, missing })
    }

    /// The note for operators after a run that failed.
    ///
    /// # Errors
    /// The job's memory or the outbox cannot be read.
    pub fn status(&self) -> Result<ExportStatus, ExportError> {
        let config = self.config;
        let ledger: ExportLedger = ledger::load(&config.state.join("export.json"))?;
        let stream = match Config::load(&config.file) {
            Ok(asked) => asked.name.unwrap_or_default(),
            // The ledger itself may be unreadable.
            Err(_) => ledger.last.keys().next().cloned().unwrap_or_default(),
        };
        let outbox = Outbox::open(&config.outbox, &stream)?;
        let arrived = self.receipts(&stream, &outbox).ok().and_then(|receipts| receipts.arrived());
        Ok(ExportStatus::of(&stream, &ledger, &outbox, arrived)?)
    }

    /// Where the job keeps the digests of the last run that ended well.
    fn last_lock(&self) -> PathBuf {
        self.config.state.join("last.lock")
    }

    /// What the last run resolved, for images that are gone now. It is a hint: one that cannot be read is not used.
    fn earlier(&self, progress: &dyn Progress) -> Option<Lock> {
        let path = self.last_lock();
        path.symlink_metadata().ok()?;
        match Lock::load(&path) {
            Ok(lock) => Some(lock),
            Err(error) => {
                progress.note(&format!("{error}; what the last run resolved is not known"));
                None
            }
        }
    }

    fn remember(&self, lock: &Lock) -> Result<(), ExportError> {
        Ok(replace_file(&self.last_lock(), lock.to_yaml()?.as_bytes()).map_err(LedgerError::Write)?)
    }

    fn receipts(&self, stream: &StreamName, outbox: &Outbox) -> Result<Receipts, ExportError> {
        let directory = &self.config.receipts;
        Ok(match self.config.receipts_by_site {
            true => Receipts::read_sites(directory, self.receipt_keys, stream, outbox)?,
            false => Receipts::read(directory, self.receipt_keys, stream, outbox)?,
        })
    }

    /// Reads the last bundle from the outbox where the ledger is behind: a run was killed after its bundle
    /// had its name, or the ledger was lost.
    fn recall(
        &self,
        ledger: &mut ExportLedger,
        stream: &StreamName,
        outbox: &Outbox,
    ) -> Result<(), ExportError> {
        let known = ledger.last.get(stream).map(|last| last.sequence);
        for sent in outbox.bundles()?.into_iter().rev().take_while(|sent| Some(sent.sequence) > known) {
            // A file with such a name that is no bundle of this stream is skipped.
            let Ok(inventory) = Inventory::load(&sent.path, &[self.signer.public()], &Limits::V1) else {
                continue;
            };
            let is_named = |bundle: BundleId| bundle.stream == *stream && bundle.sequence == sent.sequence;
            if !inventory.bundle().is_some_and(is_named) {
                continue;
            }
            let artifacts = inventory.artifacts.iter().map(|held| (held.target.to_string(), held.digest));
            let last = Last {
                sequence: sent.sequence,
                statement: inventory.base.digest,
                created: Timestamp::now(),
                bytes: sent.bytes,
                contents: contents(artifacts),
                deltas: 0,
            };
            ledger.last.insert(stream.clone(), last);
            break;
        }
        Ok(())
    }

    /// Takes out of the plan what is there, and says whether nothing is left to send.
    fn to_send(
        &self,
        plan: &mut Plan,
        receipts: &Receipts,
        outbox: &Outbox,
        last: Option<&Last>,
        whole: bool,
    ) -> Result<Option<Nothing>, ExportError> {
        if self.again {
            return Ok(None);
        }
        let contents = contents(
            plan.statement().artifacts.iter().map(|artifact| (artifact.target.to_string(), artifact.digest)),
        );
        if let Some(last) = last.filter(|last| last.contents == contents) {
            match receipts.arrived().map(|arrived| last.sequence.cmp(&arrived)) {
                // What builds on blobs that are gone there does no good, however soon it comes.
                _ if receipts.lost.newest >= Some(last.sequence) => {}
                // The other side would leave out the same images again, because other images have their tags.
                Some(Ordering::Equal) => return Ok(Some(Nothing::Arrived)),
                // Bundles stay in the outbox until they arrived. One that is gone was lost, and is made
                // again.
                None | Some(Ordering::Greater)
                    if outbox.bundles()?.iter().any(|sent| sent.sequence == last.sequence) =>
                {
                    return Ok(Some(Nothing::UnderWay));
                }
                _ => {}
            }
        }
        let Some(base) = &receipts.newest else { return Ok(None) };
        let bases = std::slice::from_ref(base);
        if plan.unchanged_since(bases) == Unchanged::Yes {
            return Ok(Some(Nothing::Arrived));
        }
        if !whole {
            plan.build_on(bases, &Limits::V1)?;
        }
        Ok(None)
    }

    async fn write(
        &self,
        mut plan: Plan,
        outbox: &Outbox,
        deltas: u32,
        base: Option<Inventory>,
        ledger: &mut ExportLedger,
        progress: Arc<dyn Progress>,
    ) -> Result<PathBuf, ExportError> {
        let config = self.config;
        let path = outbox.path(plan.statement().sequence, config.compress);
        let shape = Shape { compress: config.compress, volumes: config.volume_size, parity: config.parity };
        let output = match config.compact {
            true => Sink::compact(&path, shape, compaction(config.compact_effort, base))?,
            false => Sink::file(&path, shape)?,
        };
        if let Some(earlier) = output.earlier(&Limits::V1)
            && plan.adopt(&earlier)
        {
            progress.note("resuming with the data that an earlier run fetched");
        }
        let signature = self.signer.sign(plan.statement_bytes())?;
        let plan = Arc::new(plan);
        let (client, jobs) = (self.client, self.jobs);
        let created = create(client, plan.clone(), &signature, output, jobs, progress.clone()).await?;
        created.other_platforms.iter().for_each(|other| progress.note(&other.to_string()));
        created.unread_bases.iter().for_each(|unread| progress.note(&unread.to_string()));
        let statement = plan.statement();
        let deltas = if statement.requires.is_empty() { 0 } else { deltas.saturating_add(1) };
        let last = last_of(statement, Digest::of(plan.statement_bytes()), plan.layout().size(), deltas);
        ledger.last.insert(statement.stream.clone(), last);
        Ok(path)
    }
}

/// How a night's bundle is made compact: as the difference to what the newest receipt proves.
fn compaction(effort: Option<Effort>, base: Option<Inventory>) -> Compaction {
    Compaction {
        effort: effort.unwrap_or_default(),
        bases: base.into_iter().collect(),
        at_hand: Arc::default(),
        scratch: ScratchSpace::default(),
    }
}

fn last_of(statement: &Statement, digest: Digest, bytes: u64, deltas: u32) -> Last {
    let artifacts = statement.artifacts.iter();
    Last {
        sequence: statement.sequence,
        statement: digest,
        created: statement.created,
        bytes,
        contents: contents(artifacts.map(|artifact| (artifact.target.to_string(), artifact.digest))),
        deltas,
    }
}

/// One digest of all that is delivered, in any order.
fn contents(artifacts: impl Iterator<Item = (String, Digest)>) -> Digest {
    let mut artifacts: Vec<_> = artifacts.collect();
    artifacts.sort();
    let mut hasher = Hasher::new();
    for (target, digest) in artifacts {
        hasher.update(format!("{target} {digest}\n").as_bytes());
    }
    hasher.finish()
}

/// The highest number that is taken, be it of a bundle that was written, that arrived, or that cannot be imported: a
/// notice counts until a higher number arrives.
fn highest(ledger: &ExportLedger, stream: &StreamName, receipts: &Receipts) -> Option<Sequence> {
    ledger.last.get(stream).map(|last| last.sequence).max(receipts.arrived()).max(receipts.lost.newest)
}

/// The next number: the time in seconds, so that a lost disk does not go back; or one more than the
/// last, where the clock does.
fn next(stream: &StreamName, highest: Option<Sequence>, now: Timestamp) -> Result<Sequence, ExportError> {
    let after = highest.map_or(1, |highest| u64::from(highest).saturating_add(1));
    Sequence::try_from(after.max(now.unix().unsigned_abs()))
        .map_err(|source| ExportError::Sequence { stream: stream.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_whatever_the_clock_says() {
        let now = Timestamp::from_unix(1_795_000_000).unwrap();
        let stream = "s".parse().unwrap();
        let number = |highest: Option<u64>| {
            u64::from(next(&stream, highest.map(|it| it.try_into().unwrap()), now).unwrap())
        };
        assert_eq!(number(None), 1_795_000_000);
        assert_eq!(number(Some(42)), 1_795_000_000);
        assert_eq!(number(Some(1_900_000_000)), 1_900_000_001);
        let end = ((1_u64 << 53) - 1).try_into().unwrap();
        assert!(next(&stream, Some(end), now).is_err());
    }

    #[test]
    fn the_next_number_is_higher_than_that_of_a_notice_which_would_count_for_ever_otherwise() {
        let (stream, now) = (StreamName::default(), Timestamp::from_unix(1_795_000_000).unwrap());
        let noticed: Sequence = 4_000_000_000.try_into().unwrap();
        let mut receipts = Receipts::default();
        receipts.lost.newest = Some(noticed);
        let highest = highest(&ExportLedger::default(), &stream, &receipts);
        assert!(next(&stream, highest, now).unwrap() > noticed);
    }

    #[test]
    fn contents_do_not_depend_on_their_order() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let list = |list: &[(&str, Digest)]| {
            contents(list.iter().map(|(name, digest)| ((*name).to_owned(), *digest)))
        };
        assert_eq!(list(&[("x", a), ("y", b)]), list(&[("y", b), ("x", a)]));
        assert_ne!(list(&[("x", a), ("y", b)]), list(&[("x", b), ("y", a)]));
    }
}
