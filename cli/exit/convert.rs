//! Other tools' files.
//! Takes the errors of converting, gives identifiers and hints.

use bundle_bundler::ConvertError;
use bundle_input::TextError;

use super::{Failure, Id};

impl From<ConvertError> for Failure {
    fn from(error: ConvertError) -> Self {
        let failure = Self::new(Id::FileInvalid, &error);
        match error {
            ConvertError::Unknown { .. } => failure.hint("say whose file it is with --from"),
            ConvertError::Nothing { .. } => failure.hint("is it another tool's file? --from names the tool"),
            ConvertError::Yaml(_) | ConvertError::Line { .. } | ConvertError::TooMany { .. } => failure,
        }
    }
}

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        let id = match error {
            TextError::Read { .. } => Id::FileUnreadable,
            TextError::Encoding { .. } | TextError::Utf16(_) => Id::FileInvalid,
        };
        Self::new(id, &error)
    }
}
