//! `config.yaml`: what is set once for a machine or a user, in place of options on every command line.
//! Takes a file, gives each setting as the texts that its option takes, with its line, and the file's JSON Schema.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use bundle_oci::{Printable, has_login};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::{Dialect, InputError, Limits, TextError, YamlError, parse_yaml, read_text, schema_of};

/// The settings of a `config.yaml`. Relative paths start at the directory of the file. What weakens the verification
/// of bundles is no setting.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    /// Registry to import into, as for --to.
    #[schemars(with = "Option<String>")]
    to: Option<Spanned<String>>,
    /// Kind of that registry: auto, harbor or plain.
    #[schemars(with = "Option<String>")]
    registry_kind: Option<Spanned<String>>,
    /// Files with credentials, by the host that they are sent to.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    credentials: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    /// Public key or trust.yaml that bundles are verified with.
    #[schemars(with = "Option<String>")]
    trust: Option<Spanned<String>>,
    /// The trust store. `none` is refused.
    #[schemars(with = "Option<String>")]
    trust_store: Option<Spanned<String>>,
    /// Private key that signs bundles.
    #[schemars(with = "Option<String>")]
    key: Option<Spanned<String>>,
    /// Private key of the site, which signs receipts.
    #[schemars(with = "Option<String>")]
    receipt_key: Option<Spanned<String>>,
    /// Name of the site in receipts.
    #[schemars(with = "Option<String>")]
    site: Option<Spanned<String>>,
    /// File with the newest bundle of each stream.
    #[schemars(with = "Option<String>")]
    state: Option<Spanned<String>>,
    /// PEM file with certificate authorities, besides the system's.
    #[schemars(with = "Option<String>")]
    ca_file: Option<Spanned<String>>,
    /// Registries that are asked with plain HTTP.
    #[schemars(with = "Option<Vec<String>>")]
    plain_http: Option<Spanned<Vec<String>>>,
    /// Mirrors: HOST=HOST/PREFIX.
    #[schemars(with = "Option<Vec<String>>")]
    mirrors: Option<Spanned<Vec<String>>>,
    /// Number of parallel transfers.
    #[schemars(with = "Option<u16>", range(min = *JOBS.start(), max = *JOBS.end()))]
    jobs: Option<Spanned<u16>>,
    /// Seconds without data after which a connection is retried.
    #[schemars(with = "Option<u64>", range(min = *STALL_TIMEOUT.start(), max = *STALL_TIMEOUT.end()))]
    stall_timeout: Option<Spanned<u64>>,
    /// Retries without progress.
    #[schemars(with = "Option<u16>", range(min = *RETRIES.start(), max = *RETRIES.end()))]
    retries: Option<Spanned<u16>>,
    /// The longest time that a rate limit is waited for.
    #[schemars(with = "Option<String>")]
    wait_for_limit: Option<Spanned<String>>,
    /// Directory of cached manifests.
    #[schemars(with = "Option<String>")]
    cache: Option<Spanned<String>>,
    /// Form of what is printed on standard error: text or json.
    #[schemars(with = "Option<String>")]
    log_format: Option<Spanned<String>>,
    /// File that the log is appended to.
    #[schemars(with = "Option<String>")]
    log_file: Option<Spanned<String>>,
}

/// What the options take, too.
const JOBS: RangeInclusive<u64> = 1..=64;
const STALL_TIMEOUT: RangeInclusive<u64> = 1..=3600;
const RETRIES: RangeInclusive<u64> = 0..=100;

/// One setting of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSetting {
    /// Its key.
    pub key: &'static str,
    /// Its value, or the values of a list.
    pub values: Vec<String>,
    /// The line, from 1.
    pub line: u64,
}

/// The settings of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsFile {
    /// The settings that are options of commands, in the order of the reference.
    pub settings: Vec<FileSetting>,
    /// The files with credentials by host, each with its line.
    pub credentials: BTreeMap<String, (PathBuf, u64)>,
}

/// Why a file of settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read, or is not of the form that it must have.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Others decide what is in the file.
    #[error("{} {why}, so its settings are not used", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is wrong with its owner or mode.
        why: &'static str,
    },
    /// Others decide which file it is.
    #[error("{} is in {}, where anybody can replace it, so its settings are not used", .path.display(), .directory.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// The directory that is open to all.
        directory: PathBuf,
    },
}

impl SettingsFile {
    /// Reads a file; nothing, if it does not exist.
    ///
    /// # Errors
    /// Any [`SettingsError`].
    pub fn load(path: &Path) -> Result<Option<Self>, SettingsError> {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            // Nothing is there; or it is in a place that is closed to this user, such as the home of another.
            Err(error) if path.symlink_metadata().is_err() || error.kind() == ErrorKind::PermissionDenied => {
                return Ok(None);
            }
            Err(source) => {
                return Err(InputError::from(TextError::Read { path: path.to_owned(), source }).into());
            }
        };
        if let Some(directory) = bundle_os::open_to_all_above(path) {
            return Err(SettingsError::Exposed { path: path.to_owned(), directory: directory.to_owned() });
        }
        let why = match &metadata {
            it if !bundle_os::is_of_root_or_mine(it) => Some("belongs to another user"),
            it if bundle_os::mode(it) & 0o002 != 0 => Some("can be written by anybody"),
            _ => None,
        };
        if let Some(why) = why {
            return Err(SettingsError::NotOurs { path: path.to_owned(), why });
        }
        let text = read_text(path, Limits::DEFAULT.file).map_err(InputError::from)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        Ok(Some(Self::parse(&text, &path.display().to_string(), directory).map_err(InputError::from)?))
    }

    /// Reads the text of the file called `name`, whose relative paths start at `directory`.
    ///
    /// # Errors
    /// [`YamlError`], with the place of the mistake.
    pub fn parse(text: &str, name: &str, directory: &Path) -> Result<Self, YamlError> {
        let document: Document = parse_yaml(text, name, Dialect::Plain)?;
        if let Some(store) = &document.trust_store
            && store.value.trim() == "none"
        {
            let why = "'none' would accept keys that were revoked; a file cannot say that";
            return Err(YamlError::at(name, store.referenced, format!("trustStore: {why}")));
        }
        let mut read = Reader { name, directory, settings: Vec::new() };
        read.text("to", document.to, Kind::Text)?;
        read.text("registryKind", document.registry_kind, Kind::Text)?;
        read.text("trust", document.trust, Kind::Path)?;
        read.text("trustStore", document.trust_store, Kind::Path)?;
        read.text("key", document.key, Kind::Path)?;
        read.text("receiptKey", document.receipt_key, Kind::Path)?;
        read.text("site", document.site, Kind::Text)?;
        read.text("state", document.state, Kind::Path)?;
        read.text("caFile", document.ca_file, Kind::Path)?;
        read.list("plainHttp", document.plain_http)?;
        read.list("mirrors", document.mirrors)?;
        read.number("jobs", document.jobs, JOBS)?;
        read.number("stallTimeout", document.stall_timeout, STALL_TIMEOUT)?;
        read.number("retries", document.retries, RETRIES)?;
        read.text("waitForLimit", document.wait_for_limit, Kind::Text)?;
        read.text("cache", document.cache, Kind::Path)?;
        read.text("logFormat", document.log_format, Kind::Text)?;
        read.text("logFile", document.log_file, Kind::Path)?;
        let mut credentials = BTreeMap::new();
        for (host, file) in document.credentials.map(|all| all.value).unwrap_or_default() {
            let path = read.path(&file.value, file.referenced, "credentials")?;
            credentials.insert(host, (path, file.referenced.line()));
        }
        Ok(Self { settings: read.settings, credentials })
    }
}

/// The kind of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Path,
}

struct Reader<'a> {
    name: &'a str,
    directory: &'a Path,
    settings: Vec<FileSetting>,
}

impl Reader<'_> {
    fn text(
        &mut self,
        key: &'static str,
        value: Option<Spanned<String>>,
        kind: Kind,
    ) -> Result<(), YamlError> {
        let Some(value) = value else { return Ok(()) };
        let (text, place) = (value.value, value.referenced);
        self.check(key, &text, place)?;
        let text = match kind {
            Kind::Text => text,
            Kind::Path => self.path(&text, place, key)?.to_string_lossy().into_owned(),
        };
        self.settings.push(FileSetting { key, values: vec![text], line: place.line() });
        Ok(())
    }

    fn list(&mut self, key: &'static str, value: Option<Spanned<Vec<String>>>) -> Result<(), YamlError> {
        let Some(value) = value else { return Ok(()) };
        value.value.iter().try_for_each(|text| self.check(key, text, value.referenced))?;
        let line = value.referenced.line();
        self.settings.push(FileSetting { key, values: value.value, line });
        Ok(())
    }

    fn number<T: Copy + Into<u64>>(
        &mut self,
        key: &'static str,
        value: Option<Spanned<T>>,
        range: RangeInclusive<u64>,
    ) -> Result<(), YamlError> {
        let Some(Spanned { value, referenced, .. }) = value else { return Ok(()) };
        let number = value.into();
        if !range.contains(&number) {
            let message = format!("{key}: it must be from {} to {}", range.start(), range.end());
            return Err(YamlError::at(self.name, referenced, message));
        }
        let values = vec![number.to_string()];
        self.settings.push(FileSetting { key, values, line: referenced.line() });
        Ok(())
    }

    fn path(&self, text: &str, place: Location, key: &str) -> Result<PathBuf, YamlError> {
        self.check(key, text, place)?;
        Ok(self.directory.join(text))
    }

    /// A login in a file that is not secret would be read by everybody.
    fn check(&self, key: &str, text: &str, place: Location) -> Result<(), YamlError> {
        let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        let wrong = match text {
            "" => "it is empty",
            // A name without a password is none here either.
            _ if authority.contains('@') || has_login(text) => "it must have no user name or password",
            _ => return Ok(()),
        };
        Err(YamlError::at(self.name, place, format!("{}: {wrong}", Printable(key))))
    }
}

/// The JSON Schema of `config.yaml`.
pub fn settings_schema() -> serde_json::Value {
    schema_of::<Document>("config.yaml", "Settings of a machine or a user, in place of options.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SettingsFile, String> {
        SettingsFile::parse(text, "config.yaml", Path::new("/etc/bundle")).map_err(|error| error.to_string())
    }

    #[test]
    fn each_setting_has_its_values_and_its_line() {
        let text = "to: harbor.example\njobs: 4\nmirrors:\n- docker.io=harbor.example/hub\ncaFile: ca.crt\n\
                    credentials:\n  harbor.example: importer.json\n";
        let file = parse(text).unwrap();
        let found: Vec<(&str, &str, u64)> =
            file.settings.iter().map(|each| (each.key, each.values[0].as_str(), each.line)).collect();
        let expected = [
            ("to", "harbor.example", 1),
            ("caFile", "/etc/bundle/ca.crt", 5),
            ("mirrors", "docker.io=harbor.example/hub", 4),
            ("jobs", "4", 2),
        ];
        assert_eq!(found, expected);
        let path = PathBuf::from("/etc/bundle/importer.json");
        assert_eq!(file.credentials["harbor.example"], (path, 7));
    }

    #[test]
    fn a_mistake_names_its_line_and_the_nearest_key() {
        for (text, expected) in [
            ("to: a\ncaFiles: x\n", "config.yaml:2:1: unknown field 'caFiles'; did you mean 'caFile'?"),
            ("\nallowRollback: true\n", "config.yaml:2:1: unknown field 'allowRollback';"),
            ("to: a\ntrustStore: none\n", "config.yaml:2:13: trustStore: 'none' would accept keys"),
            ("to: https://u:p@h\n", "config.yaml:1:5: to: it must have no user name or password"),
            ("mirrors: [a=u:p@b]\n", "mirrors: it must have no user name or password"),
            ("key: ''\n", "config.yaml:1:6: key: it is empty"),
            ("jobs: many\n", "config.yaml:1:7: "),
            ("to: a\njobs: 0\n", "config.yaml:2:7: jobs: it must be from 1 to 64"),
            ("retries: 101\n", "config.yaml:1:10: retries: it must be from 0 to 100"),
            ("", "config.yaml:1:1: the file is empty"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("u:p"), "{error}");
        }
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        assert_eq!(SettingsFile::load(&path).unwrap(), None);
        std::fs::write(&path, "to: a\n").unwrap();
        assert!(SettingsFile::load(&path).unwrap().is_some());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let error = SettingsFile::load(&path).unwrap_err().to_string();
        assert!(error.contains("can be written by anybody"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let open = |mode| std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode));
        open(0o777).unwrap();
        let error = SettingsFile::load(&path).unwrap_err().to_string();
        assert!(error.contains("where anybody can replace it"), "{error}");
        // As /tmp, where others cannot.
        open(0o1777).unwrap();
        assert!(SettingsFile::load(&path).unwrap().is_some());
        open(0o700).unwrap();
    }

    #[test]
    fn a_link_that_leads_nowhere_is_no_missing_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        for to in ["nowhere", "config.yaml"] {
            std::os::unix::fs::symlink(to, &path).unwrap();
            let error = SettingsFile::load(&path).unwrap_err().to_string();
            assert!(error.contains("config.yaml cannot be read"), "{error}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
