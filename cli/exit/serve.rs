//! Serving bundles.

use bundle_serve::{IdentityError, StoreError, UsersError};

use super::{Code, Failure};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = |code| Self::new(code, &error);
        match &error {
            StoreError::Base { .. } => {
                failure(Code::Incomplete).hint("serve the bundle that this one builds on beside it")
            }
            StoreError::Random(_) => failure(Code::Failed),
        }
    }
}

impl From<UsersError> for Failure {
    fn from(error: UsersError) -> Self {
        let failure = Self::new(Code::Usage, &error);
        match error {
            UsersError::Line { .. } => failure.hint("make lines with `htpasswd -B`"),
            _ => failure,
        }
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        Self::new(Code::Usage, &error)
    }
}
