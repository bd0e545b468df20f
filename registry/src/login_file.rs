//! Adds and removes logins where Docker's tools keep them: in the configuration file, or in the
//! credential helper that it names. Takes a registry, user and password; leaves all else in the
//! file as it is.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use bundle_oci::Registry;
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt;

use crate::CredentialError;
use crate::limits::{HELPER_TIME, LARGEST_CREDENTIAL_FILE};
use crate::secret::Secret;

/// The file in which logins are kept.
#[derive(Clone, Debug)]
pub struct LoginFile(PathBuf);

/// Where a login went, or came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginPlace {
    /// The file itself.
    File(PathBuf),
    /// A credential helper, by its name after `docker-credential-`.
    Helper(String),
}

impl LoginFile {
    /// The file that the environment names, or else Docker's in its usual place; `None` without
    /// any home.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let docker =
            || Some(set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?.join("config.json"));
        set("REGISTRY_AUTH_FILE").or_else(docker).map(Self)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Stores a login. The file can be read by its owner only.
    ///
    /// # Errors
    /// The file cannot be read, understood or written, or the helper failed.
    pub async fn store(
        &self,
        registry: &Registry,
        user: &str,
        password: String,
    ) -> Result<LoginPlace, CredentialError> {
        let password = Secret::new(password);
        let mut config = self.read()?;
        if let Some(helper) = helper_for(&config, registry) {
            let entry = serde_json::json!({
                "ServerURL": server(registry), "Username": user, "Secret": password.reveal(),
            });
            run(&helper, "store", &Secret::new(entry.to_string()), registry).await?;
            return Ok(LoginPlace::Helper(helper));
        }
        let pair = Secret::new(format!("{user}:{}", password.reveal()));
        let auth = base64::engine::general_purpose::STANDARD.encode(pair.reveal());
        let auths = config.entry("auths").or_insert_with(|| Value::Object(Map::new()));
        if !auths.is_object() {
            *auths = Value::Object(Map::new());
        }
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(server(registry), serde_json::json!({ "auth": auth }));
        }
        self.write(&config)?;
        Ok(LoginPlace::File(self.0.clone()))
    }

    /// Removes a login; `None` if there was none.
    ///
    /// # Errors
    /// As [`LoginFile::store`].
    pub async fn remove(&self, registry: &Registry) -> Result<Option<LoginPlace>, CredentialError> {
        let mut config = self.read()?;
        let mut place = None;
        if let Some(helper) = helper_for(&config, registry) {
            run(&helper, "erase", &Secret::new(server(registry)), registry).await?;
            place = Some(LoginPlace::Helper(helper));
        }
        let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) else { return Ok(place) };
        let before = auths.len();
        auths.retain(|key, _| crate::credentials::normal(key) != registry.as_str());
        if auths.len() < before {
            self.write(&config)?;
            place = Some(LoginPlace::File(self.0.clone()));
        }
        Ok(place)
    }

    fn read(&self) -> Result<Map<String, Value>, CredentialError> {
        let path = || self.0.clone();
        let bytes = match bundle_os::read(&self.0, LARGEST_CREDENTIAL_FILE) {
            Ok(bytes) => zeroize::Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
            Err(source) => return Err(CredentialError::Read { path: path(), source }),
        };
        if bytes.trim_ascii().is_empty() {
            return Ok(Map::new());
        }
        // Not serde_json's own message: it quotes values, and these are secrets.
        serde_json::from_slice(&bytes).map_err(|error| CredentialError::Json {
            path: path(),
            line: error.line(),
            column: error.column(),
        })
    }

    fn write(&self, config: &Map<String, Value>) -> Result<(), CredentialError> {
        let failed = |source| CredentialError::Write { path: self.0.clone(), source };
        let text = serde_json::to_vec_pretty(config).map_err(|error| failed(error.into()))?;
        let text = zeroize::Zeroizing::new(text);
        // People link to the file from elsewhere.
        let path = std::fs::canonicalize(&self.0).unwrap_or_else(|_| self.0.clone());
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            bundle_os::create_directory(directory, bundle_os::Access::Owner).map_err(failed)?;
        }
        bundle_os::replace_secret(&path, &text).map_err(|error| failed(error.source))
    }
}

/// The key under which Docker keeps a registry.
fn server(registry: &Registry) -> String {
    match registry.as_str() {
        "docker.io" => "https://index.docker.io/v1/".to_owned(),
        other => other.to_owned(),
    }
}

fn helper_for(config: &Map<String, Value>, registry: &Registry) -> Option<String> {
    let own = config.get("credHelpers").and_then(Value::as_object).and_then(|helpers| {
        helpers
            .iter()
            .find(|(key, _)| crate::credentials::normal(key) == registry.as_str())
            .map(|(_, name)| name)
    });
    let name = own.or_else(|| config.get("credsStore"))?.as_str()?;
    (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
}

/// The protocol of docker-credential-helpers: the command as an argument, what it is about on
/// standard input.
async fn run(name: &str, command: &str, input: &Secret, registry: &Registry) -> Result<(), CredentialError> {
    let failed =
        |reason| CredentialError::Helper { name: name.to_owned(), registry: registry.to_string(), reason };
    let work = async {
        let mut child = tokio::process::Command::new(format!("docker-credential-{name}"))
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|_| failed("it cannot be started"))?;
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.reveal().as_bytes()).await;
        }
        let status = child.wait().await.map_err(|_| failed("it cannot be waited for"))?;
        if status.success() { Ok(()) } else { Err(failed("it reported an error")) }
    };
    tokio::time::timeout(HELPER_TIME, work).await.map_err(|_| failed("it took longer than 30 seconds"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn logins_come_and_go_and_all_else_stays() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().to_string_lossy().into_owned();
        let file = LoginFile::from_environment(|name| (name == "HOME").then(|| home.clone())).unwrap();
        assert_eq!(file.path(), directory.path().join(".docker/config.json"));
        let registry: Registry = "r.example:5000".parse().unwrap();
        let hub: Registry = "docker.io".parse().unwrap();
        assert_eq!(file.remove(&registry).await.unwrap(), None);
        file.store(&registry, "u", "p".to_owned()).await.unwrap();
        let mode = bundle_os::mode(&std::fs::metadata(file.path()).unwrap()) & 0o777;
        assert_eq!(mode, 0o600);
        std::fs::write(
            file.path(),
            r#"{"psFormat":"table","auths":{"https://r.example:5000/":{"auth":"b2xkOm9sZA=="}}}"#,
        )
        .unwrap();
        file.store(&hub, "v", "q:r".to_owned()).await.unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.contains("psFormat") && text.contains("https://index.docker.io/v1/"), "{text}");
        assert!(text.contains("djpxOnI=") && text.contains("b2xkOm9sZA=="), "{text}");
        let place = file.remove(&registry).await.unwrap();
        assert_eq!(place, Some(LoginPlace::File(file.path().to_owned())));
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains("b2xk") && text.contains("djpxOnI="), "{text}");
        std::fs::write(file.path(), "{\"auths\": c2VjcmV0").unwrap();
        let error = file.store(&hub, "v", "q".to_owned()).await.unwrap_err();
        assert!(matches!(&error, CredentialError::Json { .. }) && !format!("{error:?}").contains("c2Vj"));
    }
}
