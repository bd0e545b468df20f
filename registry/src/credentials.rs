//! The credentials that people already have: Docker's and Podman's files, credential helpers, a
//! robot account's export. Takes files and the environment, gives the credential for a repository.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use bundle_oci::Registry;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OnceCell;

use crate::limits::{HELPER_OUTPUT, HELPER_TIME, LARGEST_CREDENTIAL_FILE};
use crate::lock::lock;
use crate::secret::Secret;

/// A credential for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// User and password.
    Password { user: String, password: Secret },
    /// A refresh token for the registry's token service.
    IdentityToken(Secret),
    /// A token for the registry itself (`registrytoken` in Docker's files).
    RegistryToken(Secret),
}

/// The credentials that people already have: Docker's and Podman's files, and the helpers that
/// these name (docker-credential-helpers; containers-auth.json(5)).
#[derive(Debug, Default)]
pub struct CredentialStore {
    /// The login that precedes the files, for one registry.
    login: Option<(Registry, Credential)>,
    files: Vec<File>,
    helpers: Helpers,
}

/// The answers of helpers, by helper and registry. Each helper runs once for all tasks and repositories, even
/// if it fails: one that hangs would delay each of them again.
#[derive(Debug, Default)]
struct Helpers {
    answered: Mutex<HashMap<(String, String), Arc<HelperSlot>>>,
    /// A store for all registries that is not installed: what is public is read without it.
    missing: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct HelperSlot(OnceCell<Result<Option<Credential>, &'static str>>);

/// Why configured credentials cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file that cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file that cannot be written.
    #[error("{} cannot be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file that is not what it should be.
    ///
    /// serde_json's message is left out: it quotes values, and these are secrets.
    #[error("{} is not a valid credential file: see line {line}, column {column}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line of the mistake.
        line: usize,
        /// The column of the mistake.
        column: usize,
    },
    /// An entry whose `auth` is not base64 of `user:password`.
    #[error("{} has an entry for {registry} that is not base64 of user:password", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry.
        registry: String,
    },
    /// A file that anybody on this machine can read.
    #[error("{} can be read by everybody (mode {mode:04o})", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file without a credential for the registry in question.
    #[error("{} has no credential for {registry}", .path.display())]
    Absent {
        /// The file.
        path: PathBuf,
        /// The registry.
        registry: String,
    },
    /// The export of one account, which is for no registry in particular.
    #[error("{} is the export of one account and does not say for which registry", .path.display())]
    NoRegistry {
        /// The file.
        path: PathBuf,
    },
    /// A user and password that no header can carry.
    #[error("the credentials for {registry} are too long to be sent")]
    TooLong {
        /// For which registry they are.
        registry: String,
    },
    /// A helper that failed.
    #[error("credential helper docker-credential-{name} failed for {registry}: {reason}")]
    Helper {
        /// The helper's name after `docker-credential-`.
        name: String,
        /// For which registry it was asked.
        registry: String,
        /// The error.
        reason: &'static str,
    },
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    config: Config,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    // Tools written in Go write null for an empty map.
    auths: Option<HashMap<String, Entry>>,
    cred_helpers: Option<HashMap<String, String>>,
    creds_store: Option<String>,
    // A robot account as Harbor exports it.
    name: Option<String>,
    secret: Option<Secret>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// Base64 with or without padding.
const BASE64: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

const NOT_STARTED: &str = "it cannot be started";

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry(***)")
    }
}

impl CredentialStore {
    /// Reads the files that the environment names, or else those in their usual places.
    ///
    /// # Errors
    /// A file is there but cannot be read or understood.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, CredentialError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let mut files = Vec::new();
        if let Some(path) = variable("REGISTRY_AUTH_FILE") {
            files.push(File::read(&path)?.ok_or_else(|| CredentialError::Read {
                path,
                source: std::io::ErrorKind::NotFound.into(),
            })?);
            return Ok(Self { login: None, files, helpers: Helpers::default() });
        }
        let home = variable("HOME");
        let docker = variable("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker")));
        let places = [
            docker.map(|directory| directory.join("config.json")),
            variable("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json")),
            home.map(|home| home.join(".config/containers/auth.json")),
        ];
        for path in places.into_iter().flatten() {
            files.extend(File::read(&path)?);
        }
        Ok(Self { login: None, files, helpers: Helpers::default() })
    }

    /// Reads this file only, in Docker's form.
    ///
    /// # Errors
    /// It cannot be read or understood, everybody can read it, or it is the export of one account, which names
    /// no registry.
    pub fn from_file(path: &Path) -> Result<Self, CredentialError> {
        refuse_open(path)?;
        let missing =
            || CredentialError::Read { path: path.to_owned(), source: std::io::ErrorKind::NotFound.into() };
        let file = File::read(path)?.ok_or_else(missing)?;
        if file.config.secret.is_some() {
            return Err(CredentialError::NoRegistry { path: path.to_owned() });
        }
        Ok(Self { login: None, files: vec![file], helpers: Helpers::default() })
    }

    /// Uses this user and password for `registry`, in place of the files'.
    #[must_use]
    pub fn with_login(self, registry: Registry, user: String, password: String) -> Self {
        let login = Credential::Password { user, password: Secret::new(password) };
        Self { login: Some((registry, login)), ..self }
    }

    /// Uses a file's credentials for `registry`, in place of the other files': one in Docker's form, or a
    /// robot account as Harbor's portal exports it, with `name` and `secret`.
    ///
    /// # Errors
    /// Everybody can read the file, or it has no credential for the registry.
    pub async fn with_file(self, registry: Registry, path: &Path) -> Result<Self, CredentialError> {
        let failed = |source| CredentialError::Read { path: path.to_owned(), source };
        let absent = || CredentialError::Absent { path: path.to_owned(), registry: registry.to_string() };
        refuse_open(path)?;
        let file = File::read(path)?.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        let exported = match (&file.config.name, &file.config.secret) {
            (Some(user), Some(password)) => {
                Some(Credential::Password { user: user.clone(), password: password.clone() })
            }
            _ => None,
        };
        let login = match exported {
            Some(login) => login,
            None => file.find(&self.helpers, registry.as_str(), "").await?.ok_or_else(absent)?,
        };
        Ok(Self { login: Some((registry, login)), ..self })
    }

    /// The credential for a repository of a registry, if there is one.
    pub(crate) async fn find(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        if let Some((_, login)) = self.login.as_ref().filter(|(host, _)| host.as_str() == registry) {
            return Ok(Some(login.clone()));
        }
        for file in &self.files {
            if let Some(credential) = file.find(&self.helpers, registry, repository).await? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    /// The configured store for all registries, if it was needed and is not installed.
    pub(crate) fn missing_store(&self, registry: &str) -> Option<CredentialError> {
        let name = lock(&self.helpers.missing).clone()?;
        Some(CredentialError::Helper { name, registry: registry.to_owned(), reason: NOT_STARTED })
    }

    /// Whether there is an entry for exactly this host.
    pub(crate) fn knows(&self, host: &str) -> bool {
        self.files.iter().any(|file| {
            let entries = file.config.auths.iter().flat_map(HashMap::keys);
            let helpers = file.config.cred_helpers.iter().flat_map(HashMap::keys);
            entries.chain(helpers).any(|key| normal(key) == host)
        })
    }
}

/// Refuses a file that everybody can read.
fn refuse_open(path: &Path) -> Result<(), CredentialError> {
    let failed = |source| CredentialError::Read { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    // In a pod the group is how a mounted secret reaches a process that is not root's.
    if metadata.is_file() && bundle_os::mode(&metadata) & 0o004 != 0 {
        return Err(CredentialError::Open { path: path.to_owned(), mode: bundle_os::mode(&metadata) });
    }
    Ok(())
}

impl File {
    fn read(path: &Path) -> Result<Option<Self>, CredentialError> {
        let failed = |source| CredentialError::Read { path: path.to_owned(), source };
        let bytes = match bundle_os::read(path, LARGEST_CREDENTIAL_FILE) {
            Ok(bytes) => zeroize::Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let wrong = |line, column| CredentialError::Json { path: path.to_owned(), line, column };
        // Windows' own editor and shell begin a file with the mark of UTF-8.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        // Docker's client takes an empty file for one without entries.
        if bytes.trim_ascii().is_empty() {
            return Ok(Some(Self { path: path.to_owned(), config: Config::default() }));
        }
        // A derived `Deserialize` would accept an array as an object without entries.
        if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(wrong(1, 1));
        }
        let mut config: Config =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.line(), error.column()))?;
        if config.auths.is_none() {
            config.auths = legacy(bytes);
        }
        Ok(Some(Self { path: path.to_owned(), config }))
    }

    async fn find(
        &self,
        asked: &Helpers,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        let helpers = self.config.cred_helpers.iter().flatten();
        let helper = helpers.into_iter().find(|(key, _)| normal(key) == registry).map(|(_, name)| name);
        let store = self.config.creds_store.as_ref().filter(|_| helper.is_none());
        if let Some(name) = helper.or(store).filter(|name| !name.is_empty()) {
            match asked.ask(name, registry).await {
                // Docker's own client goes on without it, too: configurations are copied between
                // machines (`desktop.exe` into Linux).
                Err(CredentialError::Helper { reason: NOT_STARTED, .. }) if store.is_some() => {
                    lock(&asked.missing).get_or_insert_with(|| name.clone());
                }
                found => {
                    if let Some(credential) = found? {
                        return Ok(Some(credential));
                    }
                }
            }
        }
        // containers-auth.json(5): the entry with the longest matching namespace wins.
        let whole = format!("{registry}/{repository}");
        let best = self
            .config
            .auths
            .iter()
            .flatten()
            .filter(|(key, _)| {
                let key = normal(key);
                whole.strip_prefix(key.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .max_by_key(|(key, _)| normal(key).len());
        match best {
            Some((key, entry)) => self.credential(key, entry),
            None => Ok(None),
        }
    }

    fn credential(&self, key: &str, entry: &Entry) -> Result<Option<Credential>, CredentialError> {
        if !entry.identitytoken.is_empty() {
            return Ok(Some(Credential::IdentityToken(Secret::new(entry.identitytoken.clone()))));
        }
        if !entry.registrytoken.is_empty() {
            return Ok(Some(Credential::RegistryToken(Secret::new(entry.registrytoken.clone()))));
        }
        if entry.auth.trim().is_empty() {
            let named = !entry.username.is_empty();
            return Ok(named.then(|| Credential::Password {
                user: entry.username.clone(),
                password: Secret::new(entry.password.clone()),
            }));
        }
        let wrong = || CredentialError::Entry { path: self.path.clone(), registry: key.to_owned() };
        // `base64` breaks lines, and some tools leave the padding out.
        let packed: zeroize::Zeroizing<String> =
            entry.auth.chars().filter(|character| !character.is_whitespace()).collect::<String>().into();
        let decoded = BASE64.decode(packed.as_bytes()).map_err(|_| wrong())?;
        let decoded = zeroize::Zeroizing::new(String::from_utf8(decoded).map_err(|_| wrong())?);
        let (user, password) = decoded.trim_end_matches('\0').split_once(':').ok_or_else(wrong)?;
        Ok(Some(Credential::Password { user: user.to_owned(), password: Secret::new(password.to_owned()) }))
    }
}

/// The entries of a file in the form before Docker 1.7, `.dockercfg`: registries at the top.
fn legacy(bytes: &[u8]) -> Option<HashMap<String, Entry>> {
    #[derive(Deserialize)]
    struct Old {
        auth: String,
        #[serde(default)]
        #[expect(dead_code, reason = "tells such an entry from other objects")]
        email: Option<String>,
    }

    let fields: HashMap<String, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
    let entries: HashMap<String, Entry> = fields
        .into_iter()
        .filter_map(|(key, value)| {
            let Old { auth, .. } = serde_json::from_value(value).ok()?;
            Some((key, Entry { auth, ..Entry::default() }))
        })
        .collect();
    (!entries.is_empty()).then_some(entries)
}

/// Docker's spellings of a registry, `https://index.docker.io/v1/` among them, as ours.
pub(crate) fn normal(key: &str) -> String {
    let key = key.trim_start_matches("https://").trim_start_matches("http://");
    let key = key.trim_end_matches('/').trim_end_matches("/v1").trim_end_matches("/v2");
    let (host, path) = key.split_once('/').map_or((key, ""), |(host, path)| (host, path));
    let host = match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    };
    if path.is_empty() { host } else { format!("{host}/{path}") }
}

impl Helpers {
    async fn ask(&self, name: &str, registry: &str) -> Result<Option<Credential>, CredentialError> {
        let slot = lock(&self.answered).entry((name.to_owned(), registry.to_owned())).or_default().clone();
        let answered = slot.0.get_or_init(|| ask_helper(name, registry)).await;
        answered.clone().map_err(|reason| CredentialError::Helper {
            name: name.to_owned(),
            registry: registry.to_owned(),
            reason,
        })
    }
}

/// The protocol of docker-credential-helpers: the server's name in, JSON out.
async fn ask_helper(name: &str, registry: &str) -> Result<Option<Credential>, &'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Output {
        username: String,
        secret: String,
    }

    if name.contains('/') {
        return Err("its name has a slash");
    }
    let server = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
    let ask = async {
        let mut child = tokio::process::Command::new(format!("docker-credential-{name}"))
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|_| NOT_STARTED)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its input has its answer ready.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
        let mut output = zeroize::Zeroizing::new(Vec::new());
        if let Some(stdout) = child.stdout.take() {
            stdout.take(HELPER_OUTPUT).read_to_end(&mut output).await.map_err(|_| "its output broke off")?;
        }
        let status = child.wait().await.map_err(|_| "it cannot be waited for")?;
        Ok::<_, &'static str>((status.success(), output))
    };
    let (success, output) =
        tokio::time::timeout(HELPER_TIME, ask).await.map_err(|_| "it took longer than 30 seconds")??;
    if !success {
        let missing = String::from_utf8_lossy(&output).to_lowercase().contains("credentials not found");
        return if missing { Ok(None) } else { Err("it reported an error") };
    }
    let output: Output = serde_json::from_slice(&output).map_err(|_| "its output is not understood")?;
    let secret = Secret::new(output.secret);
    Ok(Some(match output.username.as_str() {
        "<token>" => Credential::IdentityToken(secret),
        _ => Credential::Password { user: output.username, password: secret },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn find(
        json: &str,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.json");
        std::fs::write(&path, json).unwrap();
        let store = CredentialStore::from_environment(|name| {
            (name == "REGISTRY_AUTH_FILE").then(|| path.to_string_lossy().into_owned())
        })?;
        store.find(registry, repository).await
    }

    fn password(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Password { user: user.to_owned(), password: Secret::new(password.to_owned()) })
    }

    #[tokio::test]
    async fn a_file_that_begins_with_the_mark_of_utf_8_is_read() {
        // Windows PowerShell's `Set-Content -Encoding utf8` writes it.
        let json = "\u{feff}{\"auths\":{\"r.example\":{\"auth\":\"dTpw\"}}}";
        assert_eq!(find(json, "r.example", "a").await.unwrap(), password("u", "p"));
        assert_eq!(find("\u{feff}", "r.example", "a").await.unwrap(), None);
        assert!(find("\u{feff}[]", "r.example", "a").await.is_err());
    }

    #[tokio::test]
    async fn every_spelling_of_docker_hub_is_found() {
        for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"] {
            let json = format!(r#"{{"auths":{{"{key}":{{"auth":"dTpw"}}}}}}"#);
            assert_eq!(find(&json, "docker.io", "library/a").await.unwrap(), password("u", "p"), "{key}");
        }
    }

    #[tokio::test]
    async fn the_longest_namespace_wins_and_hosts_match_whole() {
        let json =
            r#"{"auths":{"quay.io":{"auth":"YTph"},"quay.io/team":{"auth":"Yjpi"},"quay":{"auth":"Yzpj"}}}"#;
        assert_eq!(find(json, "quay.io", "team/app").await.unwrap(), password("b", "b"));
        assert_eq!(find(json, "quay.io", "teams/app").await.unwrap(), password("a", "a"));
        assert_eq!(find(json, "quay.io.evil.example", "team/app").await.unwrap(), None);
    }

    #[tokio::test]
    async fn broken_files_are_named_and_never_quoted() {
        let error = find(r#"{"auths":{"a":{"auth":"c2VjcmV0"}}}"#, "a", "b").await.unwrap_err();
        assert!(matches!(&error, CredentialError::Entry { registry, .. } if registry == "a"));
        assert!(!error.to_string().contains("secret"));
        for broken in ["{", "[]", " [1]", "null"] {
            assert!(matches!(find(broken, "a", "b").await, Err(CredentialError::Json { .. })), "{broken:?}");
        }
        let long = format!("{{{}}}", " ".repeat(1 << 20));
        assert!(matches!(find(&long, "a", "b").await, Err(CredentialError::Read { .. })));
        let error = find("{\n\"auths\":{\"a\":\"c2VjcmV0\"}}", "a", "b").await.unwrap_err();
        assert!(matches!(error, CredentialError::Json { line: 2, .. }));
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            assert!(!format!("{error} {error:?}").contains("c2VjcmV0"));
            cause = error.source();
        }
    }

    #[tokio::test]
    async fn a_given_login_counts_first_and_for_its_own_host_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("robot.json");
        let harbor: Registry = "harbor.example".parse().unwrap();
        let write = |text: &str, mode: u32| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let load = || CredentialStore::default().with_file(harbor.clone(), &path);
        write(r#"{"id":7,"name":"robot$importer","secret":"s","expires_at":-1}"#, 0o640);
        let store = load().await.unwrap();
        assert_eq!(store.find("harbor.example", "a/b").await.unwrap(), password("robot$importer", "s"));
        assert_eq!(store.find("other.example", "a/b").await.unwrap(), None);
        write(r#"{"auths":{"https://harbor.example":{"auth":"dTpw"}}}"#, 0o600);
        let store = load().await.unwrap();
        assert_eq!(store.find("harbor.example", "").await.unwrap(), password("u", "p"));
        let store = store.with_login(harbor.clone(), "v".to_owned(), "q".to_owned());
        assert_eq!(store.find("harbor.example", "").await.unwrap(), password("v", "q"));
        assert!(!format!("{store:?}").contains('q'));
        write(r#"{"auths":{"other.example":{"auth":"dTpw"}}}"#, 0o600);
        assert!(matches!(load().await, Err(CredentialError::Absent { .. })));
        write("{}", 0o644);
        assert!(matches!(load().await, Err(CredentialError::Open { mode: 0o644, .. })));
    }

    /// Files that people have, as Docker's and Podman's clients and crane read them.
    #[tokio::test]
    async fn files_are_read_as_other_clients_read_them() {
        let long = "a".repeat(100);
        for (auth, user, secret) in [
            ("dTpwOmE6Yg==", "u", "p:a:b"),
            ("dTpww6Tigqw=", "u", "p\u{e4}\u{20ac}"),
            ("dTpwMQ", "u", "p1"),
            (" dTpw\\n", "u", "p"),
            (r"dTph\r\nYWFh", "u", "aaaa"),
        ] {
            let json = format!(r#"{{"auths":{{"r.example":{{"auth":"{}"}}}}}}"#, auth);
            assert_eq!(find(&json, "r.example", "x").await.unwrap(), password(user, secret), "{json}");
        }
        let wrapped = r#"{"auths":{"r.example":{"auth":"dTphYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh\nYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="}}}"#;
        let found = find(wrapped, "r.example", "x").await.unwrap();
        assert!(
            matches!(&found, Some(Credential::Password { password, .. }) if password.reveal().len() > 90 && long.contains(password.reveal()))
        );
        let token = r#"{"auths":{"r.example":{"registrytoken":"t"}}}"#;
        let expected = Credential::RegistryToken(Secret::new("t".to_owned()));
        assert_eq!(find(token, "r.example", "x").await.unwrap(), Some(expected));
        let old = r#"{"r.example":{"auth":"dTpw","email":"a@b"},"other":{"email":"a@b"}}"#;
        assert_eq!(find(old, "r.example", "x").await.unwrap(), password("u", "p"));
        for nothing in [
            "",
            " \n",
            r#"{"auths":null,"HttpHeaders":{"User-Agent":"Docker"},"psFormat":"table","currentContext":"colima"}"#,
            r#"{"credHelpers":{"other.example":"ecr-login"}}"#,
            r#"{"credsStore":"desktop.exe.that.is.not.there"}"#,
        ] {
            assert_eq!(find(nothing, "r.example", "x").await.unwrap(), None, "{nothing}");
        }
        let named = r#"{"credHelpers":{"r.example":"that.is.not.there"}}"#;
        assert!(matches!(find(named, "r.example", "x").await, Err(CredentialError::Helper { .. })));
    }

    #[tokio::test]
    async fn what_go_writes_for_nothing_is_nothing() {
        let json = r#"{"auths":null,"credHelpers":null,"credsStore":"","HttpHeaders":{},"auths2":1}"#;
        assert_eq!(find(json, "a", "b").await.unwrap(), None);
        assert_eq!(find(r#"{"auths":{"a":{}}}"#, "a", "b").await.unwrap(), None);
        let token = r#"{"auths":{"a":{"auth":"dTo=","identitytoken":"t"}}}"#;
        let expected = Credential::IdentityToken(Secret::new("t".to_owned()));
        assert_eq!(find(token, "a", "b").await.unwrap(), Some(expected));
    }
}
