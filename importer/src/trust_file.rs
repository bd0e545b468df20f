use std::path::{Path, PathBuf};

use bundle_format::{KeyError, ProjectPattern, PublicKey, Timestamp, TrustPolicy, TrustedKey};
use serde::Deserialize;

use crate::text::{TextError, read_text, read_yaml};

/// Why a trust policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustFileError {
    /// A file that cannot be had, or is no YAML of the right form.
    #[error(transparent)]
    Text(#[from] TextError),
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
    /// More signatures than a bundle has.
    #[error("{} demands {demanded} signatures, and a bundle of this version has one", .path.display())]
    Threshold {
        /// The file.
        path: PathBuf,
        /// How many it demands.
        demanded: u32,
    },
}

/// Reads whom to trust: a public key in PEM, trusted for every project, or a `trust.yaml`.
///
/// # Errors
/// Any [`TrustFileError`].
pub fn load_trust(path: &Path) -> Result<TrustPolicy, TrustFileError> {
    let text = read_text(path)?;
    if text.trim_start().starts_with("-----BEGIN") {
        let key = public_key(path, "public key", &text)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        return Ok(TrustPolicy::single(&bundle_oci::Printable(&name).to_string(), key));
    }
    let file: File = read_yaml(path, &text)?;
    if file.signatures > 1 {
        return Err(TrustFileError::Threshold { path: path.to_owned(), demanded: file.signatures });
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut keys = Vec::new();
    for key in file.keys {
        let (from, pem) = match (key.key, key.file) {
            (Some(pem), None) => (path.to_owned(), pem),
            (None, Some(file)) => {
                let file = directory.join(file);
                let pem = read_text(&file)?;
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
    Ok(TrustPolicy { keys })
}

fn public_key(path: &Path, what: &str, pem: &str) -> Result<PublicKey, TrustFileError> {
    let wrong = |source| TrustFileError::Key { path: path.to_owned(), what: what.to_owned(), source };
    PublicKey::from_pem(pem).map_err(wrong)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "one")]
    signatures: u32,
    keys: Vec<Key>,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    key: Option<String>,
    file: Option<PathBuf>,
    projects: Vec<ProjectPattern>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    #[serde(default)]
    revoked: bool,
}

#[cfg(test)]
mod tests {
    use bundle_format::PrivateKey;

    use super::*;

    #[test]
    fn a_policy_names_keys_and_their_projects() {
        let directory = tempfile::tempdir().unwrap();
        let pem = PrivateKey::from_seed(&[1; 32]).public().to_pem().unwrap();
        std::fs::write(directory.path().join("ops.pub"), &pem).unwrap();
        let path = directory.path().join("trust.yaml");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            load_trust(&path)
                .map_err(|error| error.to_string().replace(&path.display().to_string(), "trust.yaml"))
        };
        let policy = load("keys:\n- name: ops\n  file: ops.pub\n  projects: [cache, 'tenant-*']\n").unwrap();
        assert_eq!(policy.keys[0].name, "ops");
        for (text, message) in [
            ("keys: []\n", "trust.yaml trusts no key"),
            ("keys:\n- name: a\n  projects: []\n", "trust.yaml: the key 'a' needs either 'key' or 'file'"),
            (
                "signatures: 2\nkeys: []\n",
                "trust.yaml demands 2 signatures, and a bundle of this version has one",
            ),
        ] {
            assert_eq!(load(text).unwrap_err(), message);
        }
        assert!(load("keys:\n- name: a\n  projcts: []\n").unwrap_err().starts_with("trust.yaml:3:3: "));
        assert_eq!(load_trust(&directory.path().join("ops.pub")).unwrap().keys.len(), 1);
    }
}
