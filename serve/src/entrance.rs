//! The server's certificate and users, which may change while it runs. Takes new ones, gives those of now; a
//! connection keeps the certificate that it began with.

use std::sync::{Arc, PoisonError, RwLock};

use crate::{Identity, Users};

/// The server's certificate and users. Whether there is TLS, and whether there is a password, does not
/// change.
pub struct Entrance {
    users: RwLock<Option<Arc<Users>>>,
    identity: RwLock<Option<Identity>>,
}

impl Entrance {
    pub(crate) fn new(users: Option<Users>, identity: Option<Identity>) -> Self {
        Self { users: RwLock::new(users.map(Arc::new)), identity: RwLock::new(identity) }
    }

    /// From now on, these may read.
    pub fn admit(&self, users: Users) {
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(users));
    }

    /// New connections are shown this certificate.
    pub fn show(&self, identity: Identity) {
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = Some(identity);
    }

    pub(crate) fn users(&self) -> Option<Arc<Users>> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
