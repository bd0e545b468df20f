//! The site's trust store: the `trust.yaml` that `bundle trust` keeps, with its revocations.
//! Takes its path, gives a policy, and changes it for `bundle trust`.

use std::path::{Path, PathBuf};

use bundle_format::{
    FileError, KeyError, Limits, ProjectPattern, PublicKey, Rotation, RotationError, SignatureBytes,
    StreamName, Timestamp, TrustPolicy, replace_file,
};
use bundle_oci::Digest;

use crate::TrustFileError;
use crate::trust_file::{self, KeyEntry, TrustFile};
use bundle_input::{Dialect, TextError, parse_yaml, read_text};

/// The keys that an importing site trusts, in one `trust.yaml` that the commands keep: `import` uses it
/// unless another file is named, and keys that are revoked here are refused in any case.
#[derive(Debug)]
pub struct TrustStore {
    path: PathBuf,
    file: TrustFile,
}

/// The scope of a key to add.
#[derive(Clone, Debug)]
pub struct KeyScope {
    /// The projects that it may write to.
    pub projects: Vec<ProjectPattern>,
    /// The streams that it may sign for; any, if it does not say.
    pub streams: Option<Vec<StreamName>>,
    /// Bundles made before are refused.
    pub since: Option<Timestamp>,
    /// Bundles made, or read, after are refused.
    pub until: Option<Timestamp>,
}

/// Why the store cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustStoreError {
    /// The error in the file.
    #[error(transparent)]
    File(#[from] TrustFileError),
    /// A file that anybody can write.
    #[error("{} can be written by anybody (mode {mode:04o})", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A store that was named and does not exist.
    #[error("the trust store {} does not exist", .0.display())]
    Missing(PathBuf),
    /// No file was named, and the store has no key; none if the store is waived.
    #[error("no key is trusted: {}", no_key(.0.as_deref()))]
    NoKey(Option<PathBuf>),
    /// A key that is there already.
    #[error("the key is already trusted, as '{0}'")]
    Known(String),
    /// A name that another key has.
    #[error("another key has the name '{0}'")]
    NameTaken(String),
    /// No such key.
    #[error("{} has no key '{name}'", .path.display())]
    Unknown {
        /// The store.
        path: PathBuf,
        /// The name asked for.
        name: String,
    },
    /// A key that cannot be written.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A rotation that is not accepted.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// YAML that cannot be written.
    #[error("the keys cannot be written as YAML")]
    Serialize(#[from] serde_saphyr::SerializeError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

fn no_key(store: Option<&Path>) -> String {
    match store {
        Some(path) => format!("no file with keys is named, and the trust store {} has none", path.display()),
        None => "no file with keys is named, and the trust store is not used".to_owned(),
    }
}

const HEADER: &str = "# Whose bundles this site accepts. Kept by `bundle trust`; may be edited by hand.\n";

impl TrustStore {
    /// Opens the store, which need not be there yet.
    ///
    /// # Errors
    /// The file cannot be read, or anybody can write it.
    pub fn open(path: &Path) -> Result<Self, TrustStoreError> {
        let text = match read_text(path, bundle_input::Limits::DEFAULT.file) {
            Ok(text) => text,
            Err(TextError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                let file = TrustFile { signatures: 1, keys: Vec::new() };
                return Ok(Self { path: path.to_owned(), file });
            }
            Err(error) => return Err(TrustFileError::Input(error.into()).into()),
        };
        if let Ok(metadata) = std::fs::metadata(path)
            && metadata.is_file()
            && bundle_os::mode(&metadata) & 0o002 != 0
        {
            return Err(TrustStoreError::Open { path: path.to_owned(), mode: bundle_os::mode(&metadata) });
        }
        let file = parse_yaml(&text, &path.display().to_string(), Dialect::Plain)
            .map_err(|error| TrustFileError::Input(error.into()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Whether there is any key.
    pub fn is_empty(&self) -> bool {
        self.file.keys.is_empty()
    }

    /// The store's policy.
    ///
    /// # Errors
    /// The entries make no valid policy, or there are none.
    pub fn policy(&self) -> Result<TrustPolicy, TrustStoreError> {
        let file = TrustFile { signatures: self.file.signatures, keys: self.file.keys.clone() };
        Ok(trust_file::policy(&self.path, file)?)
    }

    /// Adds a key.
    ///
    /// # Errors
    /// The key or its name is there already, or the file cannot be written.
    pub fn add(&mut self, name: &str, key: &PublicKey, scope: KeyScope) -> Result<(), TrustStoreError> {
        if !self.is_empty() {
            let known = self.policy()?.keys;
            if let Some(known) = known.iter().find(|known| known.key == *key) {
                return Err(TrustStoreError::Known(known.name.clone()));
            }
            if known.iter().any(|known| known.name == name) {
                return Err(TrustStoreError::NameTaken(name.to_owned()));
            }
        }
        self.file.keys.push(KeyEntry {
            name: name.to_owned(),
            key: Some(key.to_pem()?),
            file: None,
            projects: scope.projects,
            streams: scope.streams,
            since: scope.since,
            until: scope.until,
            revoked: false,
        });
        self.save()
    }

    /// Revokes the key with this name or fingerprint. It stays in the file, so that a refusal can
    /// say its name.
    ///
    /// # Errors
    /// There is no such key, or the file cannot be written.
    pub fn revoke(&mut self, name: &str) -> Result<(), TrustStoreError> {
        let fingerprint: Option<Digest> = name.parse().ok();
        let keys = if self.is_empty() { Vec::new() } else { self.policy()?.keys };
        let found = keys
            .iter()
            .position(|key| key.name == name || Some(key.key.fingerprint()) == fingerprint)
            .and_then(|position| self.file.keys.get_mut(position));
        let Some(entry) = found else {
            return Err(TrustStoreError::Unknown { path: self.path.clone(), name: name.to_owned() });
        };
        entry.revoked = true;
        self.save()
    }

    /// Sets how many keys must sign a bundle.
    ///
    /// # Errors
    /// There are fewer keys, or the file cannot be written.
    pub fn demand(&mut self, signatures: usize) -> Result<(), TrustStoreError> {
        self.file.signatures = signatures;
        self.save()
    }

    /// Lets a trusted key's word put another key in its place.
    ///
    /// # Errors
    /// The rotation is not accepted, or the file cannot be written.
    pub fn rotate(
        &mut self,
        bytes: &[u8],
        signatures: &[SignatureBytes],
        now: Timestamp,
    ) -> Result<Rotation, TrustStoreError> {
        let before = self.policy()?;
        let (rotation, after) = Rotation::accept(bytes, signatures, &before, now, &Limits::V1)?;
        for (entry, key) in self.file.keys.iter_mut().zip(&after.keys) {
            entry.until = key.until;
        }
        for key in &after.keys[before.keys.len()..] {
            self.file.keys.push(KeyEntry {
                name: key.name.clone(),
                key: Some(key.key.to_pem()?),
                file: None,
                projects: key.projects.clone(),
                streams: key.streams.clone(),
                since: key.since,
                until: key.until,
                revoked: key.revoked,
            });
        }
        self.save()?;
        Ok(rotation)
    }

    /// Revokes in `policy` what is revoked here: no other file makes a revoked key good again.
    ///
    /// # Errors
    /// The entries make no policy.
    pub fn enforce(&self, policy: &mut TrustPolicy) -> Result<(), TrustStoreError> {
        if self.is_empty() {
            return Ok(());
        }
        let revoked: Vec<_> = self.policy()?.keys.into_iter().filter(|key| key.revoked).collect();
        for key in &mut policy.keys {
            key.revoked |= revoked.iter().any(|revoked| revoked.key == key.key);
        }
        Ok(())
    }

    /// The store's name of `key`, if it has revoked it.
    ///
    /// # Errors
    /// The entries make no policy.
    pub fn revoked(&self, key: &PublicKey) -> Result<Option<String>, TrustStoreError> {
        if self.is_empty() {
            return Ok(None);
        }
        let keys = self.policy()?.keys;
        Ok(keys.into_iter().find(|known| known.revoked && known.key == *key).map(|known| known.name))
    }

    /// Writes the file, if what is in it makes a policy.
    fn save(&self) -> Result<(), TrustStoreError> {
        self.policy()?;
        let options = serde_saphyr::ser_options! { prefer_block_scalars: true };
        let text = serde_saphyr::to_string_with_options(&self.file, options)?;
        if let Some(directory) = self.path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            let made = std::fs::create_dir_all(directory);
            made.map_err(|source| FileError { path: directory.to_owned(), source })?;
        }
        Ok(replace_file(&self.path, format!("{HEADER}{text}").as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use bundle_format::PrivateKey;

    use super::*;
    use crate::trust_file::load_trust;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32])
    }

    fn all() -> KeyScope {
        KeyScope { projects: vec!["*".parse().unwrap()], streams: None, since: None, until: None }
    }

    #[test]
    fn keys_are_added_revoked_and_counted() {
        use TrustStoreError as E;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/trust.yaml");
        let mut store = TrustStore::open(&path).unwrap();
        assert!(store.is_empty());
        assert!(matches!(store.revoke("ops"), Err(E::Unknown { .. })));
        store.add("ops", &key(1).public(), all()).unwrap();
        assert!(matches!(store.add("again", &key(1).public(), all()), Err(E::Known(_))));
        assert!(matches!(store.add("ops", &key(2).public(), all()), Err(E::NameTaken(_))));
        assert!(matches!(store.demand(2), Err(E::File(TrustFileError::Threshold { .. }))));
        let mut store = TrustStore::open(&path).unwrap();
        let until = Timestamp::from_unix(1_900_000_000).ok();
        store.add("transfer: 'x'", &key(2).public(), KeyScope { until, ..all() }).unwrap();
        store.demand(2).unwrap();
        let policy = load_trust(&path).unwrap();
        assert_eq!((policy.signatures, policy.keys[1].until), (2, until));
        store.revoke(&key(1).public().fingerprint().to_string()).unwrap();
        assert!(load_trust(&path).unwrap().keys[0].revoked);
        let mut other = TrustPolicy::single("the same key", key(1).public());
        TrustStore::open(&path).unwrap().enforce(&mut other).unwrap();
        assert!(other.keys[0].revoked);
    }

    #[test]
    fn a_rotation_adds_a_key_and_ends_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trust.yaml");
        let mut store = TrustStore::open(&path).unwrap();
        let streams = Some(vec!["nightly".parse().unwrap()]);
        store.add("old", &key(1).public(), KeyScope { streams: streams.clone(), ..all() }).unwrap();
        let rotation = Rotation {
            rotation_version: bundle_format::ROTATION_VERSION,
            from: key(1).public().fingerprint(),
            name: "new".to_owned(),
            key: key(2).public().to_pem().unwrap(),
            retires: Timestamp::from_unix(1_900_000_000).ok(),
        };
        let bytes = rotation.to_bytes();
        let now = Timestamp::from_unix(1_800_000_000).unwrap();
        for _ in 0..2 {
            store.rotate(&bytes, &[key(1).sign(&bytes)], now).unwrap();
            let policy = load_trust(&path).unwrap();
            assert_eq!(policy.keys.len(), 2);
            assert_eq!(policy.keys[0].until, rotation.retires);
            assert_eq!(policy.keys[1].key, key(2).public());
            assert_eq!(policy.keys[1].streams, streams);
        }
        assert!(store.rotate(&bytes, &[key(3).sign(&bytes)], now).is_err());
    }

    #[test]
    fn a_store_that_anybody_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trust.yaml");
        TrustStore::open(&path).unwrap().add("ops", &key(1).public(), all()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(TrustStore::open(&path), Err(TrustStoreError::Open { mode: 0o666, .. })));
    }
}
