//! The inventory of the far side.
//! Takes the errors of `where`, `receipt log` and what reads the same files; gives identifiers and hints.

use bundle_inventory::{FilesError, SearchError};

use super::{Failure, Id};

impl From<FilesError> for Failure {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Read { .. } => Self::new(Id::FileUnreadable, &error),
            FilesError::TooMany { .. } => {
                Self::new(Id::LimitReached, &error).hint("move the oldest ones elsewhere")
            }
        }
    }
}

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Files(error) => error.into(),
            SearchError::Registry(error) => error.into(),
            SearchError::TooMany(..) => {
                Self::new(Id::LimitReached, &error).hint("name the image more exactly")
            }
        }
    }
}
