//! Serving bundles.
//! Takes the errors of `serve`, gives identifiers and hints.

use bundle_serve::{IdentityError, StoreError, UsersError};

use super::{Failure, Id};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = |id| Self::new(id, &error);
        match &error {
            StoreError::Base { .. } => {
                failure(Id::BaseMissing).hint("serve the bundle that this one builds on beside it")
            }
            StoreError::Random(_) => failure(Id::Failed),
        }
    }
}

impl From<UsersError> for Failure {
    fn from(error: UsersError) -> Self {
        let failure = Self::new(Id::FileInvalid, &error);
        match error {
            UsersError::Line { .. } => failure.hint("make lines with `htpasswd -B`"),
            _ => failure,
        }
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        Self::new(Id::FileInvalid, &error)
    }
}
