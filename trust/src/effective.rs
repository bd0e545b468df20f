//! A site's effective trust: the keys of a file or of the store, less those that the store has revoked. Takes
//! a file and where the store is; gives an [`Effective`], which every reader of bundles asks for.

use std::path::{Path, PathBuf};

use bundle_format::{
    Expiry, Limits, PublicKey, SignatureBytes, Timestamp, TrustError, TrustPolicy, Trusted, Unverified,
};

use crate::key_file::load_public;
use crate::trust_file::load_trust;
use crate::{KeyFileError, TrustStore, TrustStoreError};

/// Where the site's trust store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// A file that was named, so it must exist: a name that is mistyped must not forget revocations.
    Named(PathBuf),
    /// The user's own file, which need not exist yet.
    Default(PathBuf),
    /// The store is disabled: no key is known to be revoked.
    Waived,
}

/// No store can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the trust store cannot be found: neither XDG_CONFIG_HOME nor HOME is set, so revoked keys are not known"
)]
pub struct StoreNotFound;

impl StoreLocation {
    /// The value that disables the store.
    pub const NONE: &'static str = "none";

    /// Returns `named`, a file or `none`; otherwise `bundle/trust.yaml` in the user's configuration (XDG Base
    /// Directory Specification, which ignores paths that are not absolute).
    ///
    /// # Errors
    /// Nothing says where the store is.
    pub fn find(
        named: Option<&Path>,
        config_home: Option<&Path>,
        home: Option<&Path>,
    ) -> Result<Self, StoreNotFound> {
        match named {
            Some(path) if path.as_os_str() == Self::NONE => return Ok(Self::Waived),
            Some(path) => return Ok(Self::Named(path.to_owned())),
            None => {}
        }
        let absolute = |path: &&Path| path.is_absolute();
        let config = config_home.filter(absolute).map(Path::to_owned);
        let config = config.or_else(|| home.filter(absolute).map(|home| home.join(".config")));
        config.map(|config| Self::Default(config.join("bundle/trust.yaml"))).ok_or(StoreNotFound)
    }

    /// The store's file; none if the store is waived.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Named(path) | Self::Default(path) => Some(path),
            Self::Waived => None,
        }
    }

    /// The store to be read; none if it is waived.
    fn read(&self) -> Result<Option<TrustStore>, TrustStoreError> {
        let Some(path) = self.path() else { return Ok(None) };
        if matches!(self, Self::Named(_)) && !path.exists() {
            return Err(TrustStoreError::Missing(path.to_owned()));
        }
        TrustStore::open(path).map(Some)
    }
}

/// The effective policy: the trusted keys less the store's revocations. Only [`Effective::load`] makes one,
/// so that no reader of bundles can forget the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    policy: TrustPolicy,
}

impl Effective {
    /// Loads the policy of `file` (a public key, or a `trust.yaml`), or the store's if there is no file. Keys
    /// that the store has revoked are refused in either case.
    ///
    /// # Errors
    /// A file cannot be used, or no key is trusted ([`TrustStoreError::NoKey`]).
    pub fn load(file: Option<&Path>, store: &StoreLocation) -> Result<Self, TrustStoreError> {
        let opened = store.read()?;
        let Some(file) = file else {
            return match opened {
                Some(store) if !store.is_empty() => Ok(Self { policy: store.policy()? }),
                _ => Err(TrustStoreError::NoKey(store.path().map(Path::to_owned))),
            };
        };
        let mut policy = load_trust(file)?;
        if let Some(store) = &opened {
            store.enforce(&mut policy)?;
        }
        Ok(Self { policy })
    }

    /// The same, with another rule for bundles after their own time.
    #[must_use]
    pub fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.policy.expiry = expiry;
        self
    }

    /// The same for a person who is about to add a signature: one is enough, because the others sign as well.
    #[must_use]
    pub fn for_signing(mut self) -> Self {
        self.policy.signatures = 1;
        self
    }

    /// The keys and how many of them must sign.
    pub fn policy(&self) -> &TrustPolicy {
        &self.policy
    }

    /// Checks signatures, time and scope of a statement (docs/format.md §Verification, steps 2 to 5).
    ///
    /// # Errors
    /// Any [`TrustError`].
    pub fn check(
        &self,
        head: Unverified,
        countersignatures: &[SignatureBytes],
        now: Timestamp,
        limits: &Limits,
    ) -> Result<Trusted, TrustError> {
        self.policy.check(head, countersignatures, now, limits)
    }
}

/// Public keys that are named one by one, for receipts and delta bases. None of them is revoked in the
/// store.
///
/// # Errors
/// A key cannot be read, or the store has revoked it.
pub fn load_keys(files: &[PathBuf], store: &StoreLocation) -> Result<Vec<PublicKey>, LoadKeysError> {
    let mut keys = Vec::new();
    for file in files {
        keys.push(load_public(file)?);
    }
    if let Some(store) = store.read()? {
        for (key, file) in keys.iter().zip(files) {
            if let Some(name) = store.revoked(key)? {
                return Err(LoadKeysError::Revoked { path: file.clone(), name });
            }
        }
    }
    Ok(keys)
}

/// Why keys that were named cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadKeysError {
    /// A key's file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The store.
    #[error(transparent)]
    Store(#[from] TrustStoreError),
    /// A key that the store has revoked.
    #[error("{}: the trust store has revoked this key, as '{name}'", .path.display())]
    Revoked {
        /// The key's file.
        path: PathBuf,
        /// The name of the key in the store.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use bundle_format::PrivateKey;

    use super::*;
    use crate::KeyScope;

    fn scene() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let (key, store) = (directory.path().join("ops.pub"), directory.path().join("store.yaml"));
        let public = PrivateKey::from_seed(&[1; 32]).public();
        std::fs::write(&key, public.to_pem().unwrap()).unwrap();
        let projects = vec!["*".parse().unwrap()];
        let scope = KeyScope { projects, streams: None, since: None, until: None };
        TrustStore::open(&store).unwrap().add("ops", &public, scope).unwrap();
        (directory, key, store)
    }

    #[test]
    fn the_store_is_found_or_it_is_said_that_it_is_not() {
        let path = |text: &'static str| Some(Path::new(text));
        for (named, config, home, found) in [
            (path("x.yaml"), path("/c"), path("/h"), Ok(StoreLocation::Named("x.yaml".into()))),
            (path("none"), path("/c"), path("/h"), Ok(StoreLocation::Waived)),
            (path("./none"), None, None, Ok(StoreLocation::Named("./none".into()))),
            (None, path("/c"), path("/h"), Ok(StoreLocation::Default("/c/bundle/trust.yaml".into()))),
            (None, path("c"), path("/h"), Ok(StoreLocation::Default("/h/.config/bundle/trust.yaml".into()))),
            (None, path("c"), path(""), Err(StoreNotFound)),
            (None, None, None, Err(StoreNotFound)),
        ] {
            assert_eq!(StoreLocation::find(named, config, home), found);
        }
    }

    #[test]
    fn what_the_store_has_revoked_is_revoked_whatever_file_is_named() {
        let (_directory, key, path) = scene();
        let store = StoreLocation::Named(path.clone());
        let revoked = |file: Option<&Path>| Effective::load(file, &store).unwrap().policy().keys[0].revoked;
        assert!(!revoked(None) && !revoked(Some(&key)));
        assert_eq!(load_keys(std::slice::from_ref(&key), &store).unwrap().len(), 1);
        TrustStore::open(&path).unwrap().revoke("ops").unwrap();
        assert!(revoked(None) && revoked(Some(&key)));
        let refused = load_keys(std::slice::from_ref(&key), &store);
        assert!(matches!(refused, Err(LoadKeysError::Revoked { name, .. }) if name == "ops"));
        assert!(!Effective::load(Some(&key), &StoreLocation::Waived).unwrap().policy().keys[0].revoked);
    }

    #[test]
    fn a_store_that_is_named_must_exist() {
        let (directory, key, _) = scene();
        let absent = directory.path().join("absent.yaml");
        for file in [None, Some(key.as_path())] {
            let error = Effective::load(file, &StoreLocation::Named(absent.clone())).unwrap_err();
            assert!(matches!(error, TrustStoreError::Missing(_)), "{error}");
        }
        let default = StoreLocation::Default(absent);
        assert!(matches!(Effective::load(None, &default), Err(TrustStoreError::NoKey(Some(_)))));
        assert!(matches!(Effective::load(None, &StoreLocation::Waived), Err(TrustStoreError::NoKey(None))));
        assert!(Effective::load(Some(&key), &default).is_ok());
    }
}
