use std::collections::HashSet;
use std::path::{Path, PathBuf};

use bundle_format::{Expiry, KeyError, ProjectPattern, PublicKey, Timestamp, TrustPolicy, TrustedKey};
use serde::{Deserialize, Serialize};

/// Why a trust policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustFileError {
    /// A file that cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// YAML that is not valid.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong.
        message: String,
    },
    /// A key that cannot be used.
    #[error("{}: {what}: {source}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Which key.
        what: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A key without exactly one of `key` and `file`.
    #[error("{}: the key '{name}' needs either 'key' or 'file'", .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The key's name.
        name: String,
    },
    /// No key at all.
    #[error("{} trusts no key", .0.display())]
    Empty(PathBuf),
    /// Two entries with one name or one key: which of them counts would be a guess.
    #[error("{}: the keys '{first}' and '{second}' have the same {what}", .path.display())]
    Repeated {
        /// The file.
        path: PathBuf,
        /// The first entry's name.
        first: String,
        /// The second entry's name.
        second: String,
        /// `name` or `key`.
        what: &'static str,
    },
    /// More keys than a person can keep in mind.
    #[error("{} has more than {MOST_KEYS} keys", .0.display())]
    TooMany(PathBuf),
    /// A number of signatures that no bundle can have.
    #[error("{} demands {demanded} signatures, and names {keys} keys", .path.display())]
    Threshold {
        /// The file.
        path: PathBuf,
        /// How many it demands.
        demanded: usize,
        /// How many keys it names.
        keys: usize,
    },
}

/// In bytes: enough for [`MOST_KEYS`].
const LARGEST: u64 = 1 << 20;

/// Every key is tried with every signature of a bundle before anything is known of it.
const MOST_KEYS: usize = 1000;

/// Reads whom to trust: a public key in PEM, trusted for every project, or a `trust.yaml`.
///
/// # Errors
/// Any [`TrustFileError`].
pub fn load_trust(path: &Path) -> Result<TrustPolicy, TrustFileError> {
    let text = read(path)?;
    if text.trim_start().starts_with("-----BEGIN") {
        let key = public_key(path, "public key", &text)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        return Ok(TrustPolicy::single(&bundle_oci::Printable(&name).to_string(), key));
    }
    policy(path, TrustFile::parse(path, &text)?)
}

/// What a file's entries mean.
pub(crate) fn policy(path: &Path, file: TrustFile) -> Result<TrustPolicy, TrustFileError> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut keys: Vec<TrustedKey> = Vec::new();
    for key in file.keys {
        if keys.len() == MOST_KEYS {
            return Err(TrustFileError::TooMany(path.to_owned()));
        }
        let (from, pem) = match (key.key, key.file) {
            (Some(pem), None) => (path.to_owned(), pem),
            (None, Some(file)) => {
                let file = directory.join(file);
                let pem = read(&file)?;
                (file, pem)
            }
            _ => return Err(TrustFileError::NoKey { path: path.to_owned(), name: key.name }),
        };
        keys.push(TrustedKey {
            key: public_key(&from, &key.name, &pem)?,
            name: bundle_oci::Printable(&key.name).to_string(),
            projects: key.projects,
            since: key.since,
            until: key.until,
            revoked: key.revoked,
        });
    }
    if keys.is_empty() {
        return Err(TrustFileError::Empty(path.to_owned()));
    }
    refuse_repeated(path, &keys)?;
    let demanded = file.signatures;
    // Revoked keys count: to revoke one must always be possible, and refuses what it should.
    if demanded == 0 || demanded > keys.len() {
        return Err(TrustFileError::Threshold { path: path.to_owned(), demanded, keys: keys.len() });
    }
    Ok(TrustPolicy { keys, signatures: demanded, expiry: Expiry::Enforce })
}

fn refuse_repeated(path: &Path, keys: &[TrustedKey]) -> Result<(), TrustFileError> {
    let (mut names, mut fingerprints) = (HashSet::new(), HashSet::new());
    for key in keys {
        let fingerprint = key.key.fingerprint();
        let what = match (names.insert(&key.name), fingerprints.insert(fingerprint)) {
            (true, true) => continue,
            (false, _) => "name",
            (true, false) => "key",
        };
        let twin = |other: &&TrustedKey| match what {
            "name" => other.name == key.name,
            _ => other.key == key.key,
        };
        let first = keys.iter().find(twin).map_or_else(String::new, |twin| twin.name.clone());
        return Err(TrustFileError::Repeated {
            path: path.to_owned(),
            first,
            second: key.name.clone(),
            what,
        });
    }
    Ok(())
}

fn public_key(path: &Path, what: &str, pem: &str) -> Result<PublicKey, TrustFileError> {
    let wrong = |source| TrustFileError::Key { path: path.to_owned(), what: what.to_owned(), source };
    PublicKey::from_pem(pem).map_err(wrong)
}

pub(crate) fn read(path: &Path) -> Result<String, TrustFileError> {
    use std::io::Read;
    let failed = |source| TrustFileError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    std::fs::File::open(path).map_err(failed)?.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// A `trust.yaml` as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustFile {
    #[serde(default = "one")]
    pub(crate) signatures: usize,
    pub(crate) keys: Vec<KeyEntry>,
}

fn one() -> usize {
    1
}

/// One key as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyEntry {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<PathBuf>,
    pub(crate) projects: Vec<ProjectPattern>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) revoked: bool,
}

impl TrustFile {
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, TrustFileError> {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let message = error.without_snippet().to_string();
            let message = bundle_oci::Printable(message.lines().next().unwrap_or_default()).to_string();
            TrustFileError::Yaml { path: path.to_owned(), line, column, message }
        })
    }
}

#[cfg(test)]
mod tests {
    use bundle_format::PrivateKey;

    use super::*;

    #[test]
    fn a_policy_names_keys_and_their_projects() {
        let directory = tempfile::tempdir().unwrap();
        for seed in [1, 2] {
            let pem = PrivateKey::from_seed(&[seed; 32]).public().to_pem().unwrap();
            std::fs::write(directory.path().join(format!("{seed}.pub")), &pem).unwrap();
        }
        let path = directory.path().join("trust.yaml");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            load_trust(&path)
                .map_err(|error| error.to_string().replace(&path.display().to_string(), "trust.yaml"))
        };
        let (ops, transfer) = (
            "- {name: ops, file: 1.pub, projects: [cache, 'tenant-*']}\n",
            "- {name: transfer, file: 2.pub, projects: ['*']}\n",
        );
        let policy = load(&format!("keys:\n{ops}")).unwrap();
        assert_eq!((policy.keys[0].name.as_str(), policy.signatures), ("ops", 1));
        assert_eq!(load(&format!("signatures: 2\nkeys:\n{ops}{transfer}")).unwrap().signatures, 2);
        for (text, message) in [
            ("keys: []\n", "trust.yaml trusts no key"),
            ("keys:\n- name: a\n  projects: []\n", "trust.yaml: the key 'a' needs either 'key' or 'file'"),
            (&format!("signatures: 2\nkeys:\n{ops}"), "trust.yaml demands 2 signatures, and names 1 keys"),
            (&format!("signatures: 0\nkeys:\n{ops}"), "trust.yaml demands 0 signatures, and names 1 keys"),
            (&format!("keys:\n{ops}{ops}"), "trust.yaml: the keys 'ops' and 'ops' have the same name"),
            (
                &format!("keys:\n{ops}{}", ops.replace("ops", "again")),
                "trust.yaml: the keys 'ops' and 'again' have the same key",
            ),
        ] {
            assert_eq!(load(text).unwrap_err(), message);
        }
        assert!(load("keys:\n- name: a\n  projcts: []\n").unwrap_err().starts_with("trust.yaml:3:3: "));
        assert_eq!(load_trust(&directory.path().join("1.pub")).unwrap().keys.len(), 1);
    }
}
