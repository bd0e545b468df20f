//! The jobs that run every night, one on each side of the gap.
//!
//! Start at [`ExportJob`], which writes the next bundle to an outbox if anything changed since what is known
//! to have arrived, and [`ImportJob`], which takes an inbox's bundles in order. Both can be run at any time,
//! twice at once, and killed at any moment; both print nothing when there is nothing to do. Their ledgers are
//! hints: they can be lost, and are made again from the directories, the receipts and the registry.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod absence;
mod config;
mod export;
mod import;
mod inbox;
mod ledger;
mod limits;
mod listing;
mod lock;
mod lost;
mod metrics;
mod outbox;
mod pruning;
mod receipts;
mod status;
mod stream;

pub use config::{ExportConfig, ImportConfig, PruneConfig, SyncConfig, SyncConfigError, sync_schema};
pub use export::{ExportError, ExportJob, Exported, Nothing};
pub use import::{BundleOutcome, ImportJob, ImportJobError, Imported, InboxItem, ItemError};
pub use inbox::{Candidate, InboxError};
pub use ledger::LedgerError;
pub use lock::{JobLock, LockError};
pub use outbox::{Outbox, OutboxError, Sent};
pub use pruning::{PruneError, PruneRun, PruneStatus, PrunedStream, Pruning};
pub use receipts::RefusedReceipt;
pub use status::{
    Boards, ExportStatus, ImportStatus, MissingStatus, RunEnd, StreamStatus, status_for_others,
};
pub use stream::{ExportedStream, StreamError, Withdrawn};
