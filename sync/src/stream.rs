//! The connected side's stream, and how a person sets it back after a mistake. Takes the job's configuration
//! and the sites' keys; gives the stream, and moves files aside.

use std::io::Write;
use std::path::{Path, PathBuf};

use bundle_bundler::{Config, ConfigError};
use bundle_format::{BundleId, FileError, Limits, PublicKey, Sequence, StreamName};
use bundle_importer::{TakenBack, signature_path};
use bundle_trust::{load_absence_notice, load_receipt};
use serde_json::json;

use crate::absence::ABSENT;
use crate::ledger::{self, ExportLedger, LedgerError};
use crate::outbox::{Outbox, OutboxError, Sent};
use crate::receipts::Receipts;
use crate::status::{ExportStatus, StreamStatus};
use crate::{ExportConfig, JobLock, LockError, listing};

/// The stream of an export job, as this machine knows it.
#[derive(Clone, Debug)]
pub struct ExportedStream {
    /// The stream.
    pub stream: StreamName,
    /// The last bundle that was written; none if no run remembers one.
    pub last: Option<StreamStatus>,
    /// The finished bundles in the outbox, oldest first.
    pub outbox: Vec<Sent>,
    /// The newest bundle that a receipt says has arrived.
    pub arrived: Option<BundleId>,
    /// The signed receipts of the stream: each file, with the bundle that it is of.
    pub receipts: Vec<(PathBuf, BundleId)>,
}

/// The files that were moved aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// The bundles in the outbox, by their numbers.
    pub bundles: Vec<Sequence>,
    /// The receipts, by the bundles that they are of.
    pub receipts: Vec<BundleId>,
}

/// Why a stream cannot be shown or set back.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// A run of the job is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The error of the job's ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The outbox, or the directory of receipts.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The file that names the stream.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The note about who did it.
    #[error(transparent)]
    Write(#[from] FileError),
}

/// Where bundles and receipts go that were taken back, inside the outbox and the directory of receipts.
const ASIDE: &str = "taken-back";

impl ExportedStream {
    /// Looks at the job's memory, its outbox, and the receipts that came back.
    ///
    /// # Errors
    /// Any [`StreamError`] but those of writing.
    pub fn look(config: &ExportConfig, keys: &[PublicKey]) -> Result<Self, StreamError> {
        let stream = Config::load(&config.file)?.name.unwrap_or_default();
        let ledger: ExportLedger = ledger::load(&config.state.join("export.json"))?;
        let outbox = Outbox::open(&config.outbox, &stream)?;
        let newest = Receipts::read(&config.receipts, keys, &stream, &outbox)?;
        let failed = |source| OutboxError { path: config.receipts.clone(), doing: "read", source };
        let files = listing::files(&config.receipts).map_err(failed)?;
        let signed = files.into_iter().filter(|file| file.name.ends_with(".json")).filter_map(|file| {
            let receipt = load_receipt(&file.path, keys, &Limits::V1).ok()?;
            (receipt.bundle.stream == stream).then_some((file.path, receipt.bundle))
        });
        let mut receipts: Vec<(PathBuf, BundleId)> = signed.collect();
        receipts.sort_by_key(|(_, bundle)| bundle.sequence);
        let status = ExportStatus::of(&stream, &ledger, &outbox, newest.arrived())?;
        let arrived = newest.newest.as_ref().and_then(bundle_bundler::Inventory::bundle);
        Ok(Self { last: status.last, outbox: outbox.bundles()?, arrived, receipts, stream })
    }

    /// Sets the stream back to the bundle with this number, or to its beginning: bundles, receipts and absence notices
    /// that are newer go aside, and the job forgets them. `taken-back.json` beside the ledger notes who did so,
    /// when and why, one line for each time.
    ///
    /// # Errors
    /// Any [`StreamError`]. A second run goes on where this one ended.
    pub fn set_back(
        config: &ExportConfig,
        keys: &[PublicKey],
        back_to: Option<Sequence>,
        mark: &TakenBack,
    ) -> Result<Withdrawn, StreamError> {
        let _lock = JobLock::take(&config.state, "export")?;
        let known = Self::look(config, keys)?;
        let is_above = |sequence: Sequence| back_to.is_none_or(|back_to| sequence > back_to);
        let outbox = Outbox::open(&config.outbox, &known.stream)?;
        let bundles: Vec<&Sent> = known.outbox.iter().filter(|sent| is_above(sent.sequence)).collect();
        let receipts: Vec<&(PathBuf, BundleId)> =
            known.receipts.iter().filter(|(_, bundle)| is_above(bundle.sequence)).collect();
        let line = json!({
            "at": mark.at.to_string(),
            "by": mark.by,
            "reason": mark.reason,
            "stream": known.stream.to_string(),
            "last": known.last.as_ref().map(|last| u64::from(last.sequence)),
            "backTo": back_to.map(u64::from),
            "bundles": bundles.iter().map(|sent| u64::from(sent.sequence)).collect::<Vec<_>>(),
        });
        note(&config.state.join("taken-back.json"), &line.to_string())?;
        for (begun, _) in outbox.begun()? {
            if is_above(begun) {
                outbox.give_up(begun)?;
            }
        }
        for sent in &bundles {
            sent.files.iter().try_for_each(|file| aside(file))?;
        }
        for (file, _) in &receipts {
            aside(&signature_path(file))?;
            aside(file)?;
        }
        let failed = |source| OutboxError { path: config.receipts.clone(), doing: "read", source };
        for file in listing::files(&config.receipts).map_err(failed)? {
            if file.path.extension().is_none_or(|end| end != ABSENT) {
                continue;
            }
            // A notice that stayed would keep the number that was taken back.
            let Ok(notice) = load_absence_notice(&file.path, keys, &Limits::V1) else { continue };
            if notice.bundle.stream == known.stream && is_above(notice.bundle.sequence) {
                aside(&signature_path(&file.path))?;
                aside(&file.path)?;
            }
        }
        let path = config.state.join("export.json");
        let mut ledger: ExportLedger = ledger::load(&path)?;
        if ledger.last.get(&known.stream).is_some_and(|last| is_above(last.sequence)) {
            ledger.last.remove(&known.stream);
            ledger::save(&path, &ledger)?;
        }
        Ok(Withdrawn {
            bundles: bundles.iter().map(|sent| sent.sequence).collect(),
            receipts: receipts.into_iter().map(|(_, bundle)| bundle.clone()).collect(),
        })
    }
}

/// Adds a line to a file of such lines, and syncs it to disk.
fn note(path: &Path, line: &str) -> Result<(), FileError> {
    let failed = |source| FileError { path: path.to_owned(), source };
    let opened = bundle_os::open_or_create(path, bundle_os::Access::Owner);
    let mut file = opened.map_err(failed)?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(failed)?;
    file.write_all(format!("{line}\n").as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// Moves a file into the directory for what was taken back, beside it.
fn aside(file: &Path) -> Result<(), OutboxError> {
    let failed = |source| OutboxError { path: file.to_owned(), doing: "moved", source };
    let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else { return Ok(()) };
    let to = directory.join(ASIDE);
    std::fs::create_dir_all(&to).map_err(failed)?;
    match std::fs::rename(file, to.join(name)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}
