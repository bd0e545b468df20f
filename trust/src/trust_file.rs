//! `trust.yaml`: whose bundles a site accepts, for which projects, streams and times.
//! Takes the file, gives a policy and the file's JSON Schema.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use bundle_format::{
    Expiry, KeyError, ProjectPattern, PublicKey, StreamName, Timestamp, TrustPolicy, TrustedKey,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bundle_input::{Dialect, InputError, Limits, parse_yaml, read_text, schema, schema_of};

/// Why a trust policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustFileError {
    /// A file that cannot be read, or YAML that is not valid.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A key that cannot be used.
    #[error("{}: {what}: {source}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Which key.
        what: String,
        /// The cause.
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
    #[error("{} has more than {} keys", .0.display(), crate::limits::Limits::DEFAULT.keys)]
    TooMany(PathBuf),
    /// A number of signatures that no bundle can have.
    #[error("{} requires {demanded} signatures, and names {keys} keys", .path.display())]
    Threshold {
        /// The file.
        path: PathBuf,
        /// How many it demands.
        demanded: usize,
        /// How many keys it names.
        keys: usize,
    },
}

/// Reads whom to trust: a public key in PEM, trusted for every project, or a `trust.yaml`.
///
/// # Errors
/// Any [`TrustFileError`].
pub(crate) fn load_trust(path: &Path) -> Result<TrustPolicy, TrustFileError> {
    let text = read_text(path, Limits::DEFAULT.file).map_err(InputError::from)?;
    if text.trim_start().starts_with("-----BEGIN") {
        let key = public_key(path, "public key", &text)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        return Ok(TrustPolicy::single(&bundle_oci::Printable(&name).to_string(), key));
    }
    let file = parse_yaml(&text, &path.display().to_string(), Dialect::Plain).map_err(InputError::from)?;
    policy(path, file)
}

/// Makes a policy of a file's entries.
pub(crate) fn policy(path: &Path, file: TrustFile) -> Result<TrustPolicy, TrustFileError> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut keys: Vec<TrustedKey> = Vec::new();
    for key in file.keys {
        if keys.len() == crate::limits::Limits::DEFAULT.keys {
            return Err(TrustFileError::TooMany(path.to_owned()));
        }
        let (from, pem) = match (key.key, key.file) {
            (Some(pem), None) => (path.to_owned(), pem),
            (None, Some(file)) => {
                let file = directory.join(file);
                let pem = read_text(&file, Limits::DEFAULT.file).map_err(InputError::from)?;
                (file, pem)
            }
            _ => return Err(TrustFileError::NoKey { path: path.to_owned(), name: key.name }),
        };
        keys.push(TrustedKey {
            key: public_key(&from, &key.name, &pem)?,
            name: bundle_oci::Printable(&key.name).to_string(),
            projects: key.projects,
            streams: key.streams,
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

/// The JSON Schema of `trust.yaml`.
pub fn trust_schema() -> serde_json::Value {
    schema_of::<TrustFile>("trust.yaml", "Whose bundles a site accepts")
}

/// A `trust.yaml` as it is written.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustFile {
    /// How many different keys must sign a bundle; at most as many as there are
    #[serde(default = "one", deserialize_with = "bundle_input::plain")]
    #[schemars(range(min = 1))]
    pub(crate) signatures: usize,
    /// The keys
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) keys: Vec<KeyEntry>,
}

fn one() -> usize {
    1
}

/// A key, and what it may do
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["key"], "properties": {"key": {"type": "string"}, "file": {"type": "null"}}},
    {"required": ["file"], "properties": {"file": {"type": "string"}, "key": {"type": "null"}}},
]))]
pub(crate) struct KeyEntry {
    /// The name of the key in reports and errors
    pub(crate) name: String,
    /// The public key (PEM)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "-----BEGIN"))]
    pub(crate) key: Option<String>,
    /// The public key's file, relative to this one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<PathBuf>,
    /// The projects that the key may write to; * stands for any characters
    #[schemars(with = "Vec<schema::ProjectPattern>")]
    pub(crate) projects: Vec<ProjectPattern>,
    /// The streams that the key may sign for; any, if left out
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<schema::Stream>>")]
    pub(crate) streams: Option<Vec<StreamName>>,
    /// Bundles made before are refused
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Time>")]
    pub(crate) since: Option<Timestamp>,
    /// Bundles made after, and all bundles from then on, are refused
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Time>")]
    pub(crate) until: Option<Timestamp>,
    /// Whether bundles with this key's signature are refused
    #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "bundle_input::plain")]
    pub(crate) revoked: bool,
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
            (&format!("signatures: 2\nkeys:\n{ops}"), "trust.yaml requires 2 signatures, and names 1 keys"),
            (&format!("signatures: 0\nkeys:\n{ops}"), "trust.yaml requires 0 signatures, and names 1 keys"),
            (&format!("keys:\n{ops}{ops}"), "trust.yaml: the keys 'ops' and 'ops' have the same name"),
            (
                &format!("keys:\n{ops}{}", ops.replace("ops", "again")),
                "trust.yaml: the keys 'ops' and 'again' have the same key",
            ),
        ] {
            assert_eq!(load(text).unwrap_err(), message);
        }
        for (text, message) in [
            (
                "keys:\n- name: a\n  projcts: []\n",
                "trust.yaml:3:3: unknown field 'projcts'; did you mean 'projects'?",
            ),
            ("keys: []\nkeys: []\n", "trust.yaml:2:1: field 'keys' appears twice"),
            ("keys:\n- name: a\n  name: b\n", "trust.yaml:3:3: field 'name' appears twice"),
            ("", "trust.yaml:1:1: the file is empty"),
        ] {
            assert_eq!(load(text).unwrap_err(), message);
        }
        // A truncated file could miss a revocation.
        let long = format!("keys:\n{ops}{}", "#".repeat(4 << 20));
        assert_eq!(load(&long).unwrap_err(), "trust.yaml cannot be read");
        let why = std::error::Error::source(&load_trust(&path).unwrap_err()).map(ToString::to_string);
        assert_eq!(why.as_deref(), Some("it has more than 4 MiB"));
        assert_eq!(load_trust(&directory.path().join("1.pub")).unwrap().keys.len(), 1);
    }
}
