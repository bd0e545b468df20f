//! The user and password with which a node pulls, read from a Docker configuration or a robot's export.
//! The file is never quoted in an error, for it has passwords.

use crate::limits::Limits;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_oci::Registry;
use serde::Deserialize;
use zeroize::Zeroizing;

/// A user and password on their way into a node's configuration.
pub struct Login {
    pub(super) user: String,
    pub(super) password: Zeroizing<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(***)")
    }
}

/// Why a login cannot be had from a file. The file is never quoted, for it has passwords.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file is not in Docker's format.
    #[error("{} is not a config.json of Docker or a pull secret of Kubernetes: see line {line}, column {column}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line of the mistake.
        line: usize,
        /// The column of the mistake.
        column: usize,
    },
    /// No entry for the registry.
    #[error("{} has no user and password for {registry}", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The registry.
        registry: Registry,
    },
    /// An entry that no configuration can carry.
    #[error("{} has an entry for {registry} that is not base64 of user:password, or has line breaks in it", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The registry.
        registry: Registry,
    },
}

impl Login {
    /// Reads the login for `registry` from a file such as Docker's `config.json`, the
    /// `.dockerconfigjson` of a Kubernetes secret, or such a secret as YAML. Nothing else is looked at: what a person is
    /// logged in with may do more than pull.
    ///
    /// # Errors
    /// Any [`LoginError`].
    pub fn load(path: &Path, registry: &Registry) -> Result<Self, LoginError> {
        #[derive(Deserialize)]
        struct Config {
            #[serde(default)]
            auths: HashMap<String, Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default)]
            auth: Zeroizing<String>,
            #[serde(default)]
            username: String,
            #[serde(default)]
            password: Zeroizing<String>,
        }

        let failed = |source| LoginError::Read { path: path.to_owned(), source };
        let bytes = Zeroizing::new(bundle_os::read(path, Limits::DEFAULT.login).map_err(failed)?);
        let bytes = from_secret(&bytes).unwrap_or(bytes);
        let config: Config = serde_json::from_slice(&bytes).map_err(|error| LoginError::Json {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
        })?;
        let missing = || LoginError::Missing { path: path.to_owned(), registry: registry.clone() };
        let wrong = || LoginError::Entry { path: path.to_owned(), registry: registry.clone() };
        let host = |key: &str| {
            let key = key.trim_start_matches("https://").trim_start_matches("http://");
            key.trim_end_matches('/').trim_end_matches("/v2").to_ascii_lowercase()
        };
        let entry = config.auths.iter().find(|(key, _)| host(key) == registry.as_str());
        let (_, entry) = entry.ok_or_else(missing)?;
        let login = if entry.auth.is_empty() {
            Self { user: entry.username.clone(), password: entry.password.clone() }
        } else {
            let decoded = STANDARD.decode(entry.auth.trim()).map_err(|_| wrong())?;
            let decoded = Zeroizing::new(String::from_utf8(decoded).map_err(|_| wrong())?);
            let (user, password) = decoded.split_once(':').ok_or_else(wrong)?;
            Self { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) }
        };
        if login.user.is_empty() {
            return Err(missing());
        }
        let plain = |text: &str| !text.chars().any(char::is_control);
        if login.user.contains(':') || !plain(&login.user) || !plain(&login.password) {
            return Err(wrong());
        }
        Ok(login)
    }

    /// The user and the password.
    pub fn account(&self) -> (&str, &str) {
        (&self.user, &self.password)
    }

    /// base64 of `user:password`.
    pub(super) fn basic(&self) -> Zeroizing<String> {
        let pair = Zeroizing::new(format!("{}:{}", self.user, self.password.as_str()));
        Zeroizing::new(STANDARD.encode(pair.as_bytes()))
    }
}

/// Docker's configuration in the first Kubernetes secret of a YAML file, as `bundle harbor bootstrap`
/// and `kubectl create secret docker-registry -o yaml` write it.
fn from_secret(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    #[derive(Deserialize)]
    struct Secret {
        data: HashMap<String, Zeroizing<String>>,
    }

    let text = std::str::from_utf8(bytes).ok().filter(|text| text.contains("\nkind: Secret\n"))?;
    let first = text.split("\n---").next()?;
    let secret: Secret = serde_saphyr::from_str(first).ok()?;
    STANDARD.decode(secret.data.get(".dockerconfigjson")?.trim()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Login, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let login = Login::load(file.path(), &"harbor.example:8443".parse().unwrap());
        login.map_err(|error| error.to_string().replace(&file.path().display().to_string(), "pull.json"))
    }

    #[test]
    fn a_login_is_that_of_the_registry_and_nothing_of_the_file_is_quoted() {
        let auth = STANDARD.encode("robot$pull:s3cret:x");
        for text in [
            format!(r#"{{"auths": {{"harbor.example:8443": {{"auth": "{auth}"}}}}}}"#),
            format!(
                r#"{{"auths": {{"https://harbor.example:8443/v2/": {{"auth": "{auth}"}}}}, "credsStore": "x"}}"#
            ),
            r#"{"auths": {"harbor.example:8443": {"username": "robot$pull", "password": "s3cret:x"}}}"#
                .to_owned(),
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: harbor-registry\ndata:\n  .dockerconfigjson: {}\n",
                STANDARD.encode(format!(r#"{{"auths": {{"harbor.example:8443": {{"auth": "{auth}"}}}}}}"#))
            ),
        ] {
            let login = load(&text).unwrap();
            assert_eq!((login.user.as_str(), login.password.as_str()), ("robot$pull", "s3cret:x"));
            assert_eq!(*login.basic(), auth);
            assert_eq!(format!("{login:?}"), "Login(***)");
        }
        let newline = STANDARD.encode("user:pass\nword");
        for (text, message) in [
            ("user:s3cret".to_owned(), "pull.json is not a config.json"),
            (r#"{"auths": {}}"#.to_owned(), "pull.json has no user and password for harbor.example:8443"),
            (
                r#"{"auths": {"harbor.example": {"auth": "eA=="}}}"#.to_owned(),
                "pull.json has no user and password",
            ),
            (
                r#"{"auths": {"harbor.example:8443": {"auth": "!"}}}"#.to_owned(),
                "is not base64 of user:password",
            ),
            (
                format!(r#"{{"auths": {{"harbor.example:8443": {{"auth": "{newline}"}}}}}}"#),
                "has line breaks in it",
            ),
        ] {
            let error = load(&text).unwrap_err();
            assert!(error.contains(message) && !error.contains("s3cret"), "{error}");
        }
    }
}
