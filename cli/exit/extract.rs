//! Errors of extraction and of nodes' configuration. Takes the errors of `handout`, gives identifiers and
//! hints.

use bundle_handout::node::{LoginError, NoMirror, WriteError};
use bundle_handout::{ChoiceError, ExtractError};

use super::{Failure, Id};

impl From<ChoiceError> for Failure {
    fn from(error: ChoiceError) -> Self {
        let failure = Self::new(Id::NotInBundle, &error);
        match error {
            ChoiceError::NoImage(_) => failure.hint("`bundle inspect` shows what there is"),
            ChoiceError::NoProject { .. } => failure.hint("choose with --project NAME or --image REFERENCE"),
            ChoiceError::NoFile { .. } => failure.hint("`bundle extract FILE --files` lists them"),
            ChoiceError::Files { .. } => failure.hint("name one of them by its target"),
            ChoiceError::Reference { .. } | ChoiceError::NoChart { .. } => failure,
        }
    }
}

impl From<ExtractError> for Failure {
    fn from(error: ExtractError) -> Self {
        let failure = |id| Self::new(id, &error);
        match &error {
            ExtractError::Exists(_) => failure(Id::OutputExists)
                .hint("nothing is overwritten: remove it, or choose another place with --to"),
            ExtractError::Pipe => failure(Id::Usage),
            ExtractError::Space { .. } => {
                failure(Id::NoSpace).hint("make room, or choose another place with --to")
            }
            ExtractError::Io { .. } | ExtractError::Damage(bundle_format::Damage::Read(_)) => {
                failure(Id::FileSystem)
            }
            ExtractError::Damage(_) | ExtractError::Chart { .. } => failure(Id::Damaged),
            ExtractError::Absent { .. } => {
                failure(Id::BaseMissing).hint("extract it from its base bundle, or from a full bundle")
            }
            ExtractError::Names(_) => failure(Id::NotTrusted)
                .hint("name them as they are called at your registry, with --registry HOST"),
        }
    }
}

impl From<NoMirror> for Failure {
    fn from(error: NoMirror) -> Self {
        Self::new(Id::Usage, &error)
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        Self::new(Id::Credentials, &error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match &error {
            WriteError::Exists(_) => {
                Self::new(Id::OutputExists, &error).hint("remove it, or choose another -o")
            }
            WriteError::Io { .. } => Self::new(Id::FileSystem, &error),
        }
    }
}
