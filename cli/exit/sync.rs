//! The jobs of every night.
//! Takes the errors of `sync`, gives identifiers and hints.

use bundle_bundler::{CreateError, OutputError};
use bundle_sync::{
    ExportError, ImportJobError, ItemError, LockError, PruneError, StreamError, SyncConfigError,
};

use super::{Failure, Id};

impl From<SyncConfigError> for Failure {
    fn from(error: SyncConfigError) -> Self {
        Self::new(Id::FileInvalid, &error)
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        Self::new(Id::FileSystem, &error)
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Lock(error) => error.into(),
            ExportError::Config(error) => error.into(),
            ExportError::Assemble(error) => error.into(),
            ExportError::Plan(error) => error.into(),
            ExportError::Expires(error) => error.into(),
            ExportError::Output(error) => in_outbox(error),
            ExportError::Sign(error) => error.into(),
            ExportError::Create(CreateError::Output(error)) => in_outbox(error),
            ExportError::Create(error) => error.into(),
            ExportError::Sequence { .. } => Self::new(Id::LimitReached, &error)
                .hint("a receipt or the job's state has the highest possible sequence; find out who made it, or begin a new stream"),
            ExportError::Remember(_) => Self::new(Id::Failed, &error),
            ExportError::Ledger(_) | ExportError::Outbox(_) => Self::new(Id::FileSystem, &error),
        }
    }
}

impl From<PruneError> for Failure {
    fn from(error: PruneError) -> Self {
        match error {
            PruneError::InUse(error) => error.into(),
            PruneError::Gather(error) => error.into(),
            PruneError::Record(error) => error.into(),
            PruneError::Registry(error) => Self::from(error).also_hint(
                "the bundles are imported; what was removed is in the record, and the next run goes on",
            ),
            PruneError::Directory { .. } => Self::new(Id::FileSystem, &error),
        }
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Config(error) => error.into(),
            StreamError::Write(error) => error.into(),
            StreamError::Lock(_) => {
                Self::new(Id::FileSystem, &error).hint("wait until the job's run has ended")
            }
            StreamError::Ledger(_) | StreamError::Outbox(_) => Self::new(Id::FileSystem, &error),
        }
    }
}

/// A job has no options that say where its files are: `sync.yaml` does.
fn in_outbox(error: OutputError) -> Failure {
    let hint = match &error {
        OutputError::Space { .. } => Some("make room, or name another outbox in sync.yaml"),
        OutputError::Exists(_) => Some("remove it; the next run writes it again"),
        OutputError::TooLarge { .. } => Some("volumeSize: fat32 in sync.yaml cuts it into volumes"),
        OutputError::TooManyVolumes { .. } | OutputError::SmallVolumes(_) | OutputError::Parity { .. } => {
            Some("choose a larger volumeSize in sync.yaml")
        }
        OutputError::NoName(_)
        | OutputError::Busy(_)
        | OutputError::Io { .. }
        | OutputError::Beside(_)
        | OutputError::Pipe(_)
        | OutputError::OtherStatement(_)
        | OutputError::OtherShard { .. } => None,
    };
    let mut failure = Failure::from(error);
    failure.hint = hint.map(str::to_owned);
    failure
}

impl From<ImportJobError> for Failure {
    fn from(error: ImportJobError) -> Self {
        Self::new(Id::Failed, &error)
    }
}

impl From<ItemError> for Failure {
    fn from(error: ItemError) -> Self {
        match error {
            ItemError::Open(error) => error.into(),
            ItemError::Delivery(error) => error.into(),
            ItemError::State(error) => error.into(),
            ItemError::Sign(error) => error.into(),
            ItemError::Receipt(error) => error.into(),
            ItemError::Stream(_) => Self::new(Id::NotTrusted, &error)
                .hint("bring it to its site, or name the stream in sync.yaml"),
            ItemError::Superseded { .. } => Self::new(Id::Stale, &error)
                .hint("no action is needed: a newer bundle of the stream was imported; find out who brought this one"),
            ItemError::Stuck(error) => Self::new(Id::FileSystem, &error).hint(
                "look at what lies in its way in the directories done and refused, and at their rights",
            ),
            ItemError::Part | ItemError::Arriving => Self::new(Id::VolumeMissing, &error),
        }
    }
}
