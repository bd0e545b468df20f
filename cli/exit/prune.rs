//! The removal of what no kept bundle wants.
//! Takes the errors of `prune`, gives identifiers and hints.

use bundle_prune::{DocumentError, GatherError, InUseError, RecordError};

use super::{Failure, Id, NAMED};

impl From<GatherError> for Failure {
    fn from(error: GatherError) -> Self {
        match error {
            GatherError::Receipt(error) => error.into(),
            GatherError::Registry(error) => error.into(),
            GatherError::Files(error) => error.into(),
            GatherError::NoReceipt { .. } => Self::new(Id::Usage, &error)
                .hint("name the directory of receipts, and Harbor and the stream as the import did"),
            GatherError::Unknown(ref bundles) => {
                let more = bundles.iter().skip(1).take(NAMED).map(|bundle| format!("also of {bundle}\n"));
                let more: String = more.collect();
                Self::new(Id::Incomplete, &error)
                    .hint(format!("{more}bring its receipt to --receipts, or name the bundle with --bundles"))
            }
            GatherError::Unrecorded(_) => Self::new(Id::Incomplete, &error).hint(
                "somebody removed entries of the repository bundle-state, or this account may not read all of it; the \
                 next import writes its own",
            ),
            GatherError::Crowded(_) => Self::new(Id::Incomplete, &error)
                .hint("find out who pushed them to bundle-state, and remove them"),
        }
    }
}

impl From<InUseError> for Failure {
    fn from(error: InUseError) -> Self {
        let id = match error {
            InUseError::Read { .. } => Id::FileUnreadable,
            InUseError::Json { .. } | InUseError::Line { .. } | InUseError::Empty(_) => Id::FileInvalid,
            InUseError::TooMany { .. } => Id::LimitReached,
        };
        Self::new(id, &error)
    }
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Read { .. } => Self::new(Id::FileUnreadable, &error),
            DocumentError::Json { .. } => Self::new(Id::FileInvalid, &error)
                .hint("rows of a plan can be taken out, but not changed; make a new one with --plan"),
            DocumentError::Version { .. } => Self::new(Id::NewerVersion, &error),
            DocumentError::Write(error) => error.into(),
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::File(error) => error.into(),
            RecordError::Sign(error) => error.into(),
        }
    }
}
