//! `sync.yaml`: the settings of the scheduled jobs of both sides. Takes the file, gives one side's settings
//! with paths made whole, and the file's JSON Schema.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bundle_bundler::{Expires, ForeignLayers};
use bundle_format::{Effort, ParityShare, SiteName, StreamName, VolumeSize};
use bundle_importer::OnExistingTag;
use bundle_input::{Dialect, InputError, Span, read_yaml, schema, schema_of};
use bundle_site::RegistryKind;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// The settings of a `sync.yaml`. One file can have both sides; each job reads its own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncConfig {
    /// The connected side.
    pub export: Option<ExportConfig>,
    /// The disconnected side.
    pub import: Option<ImportConfig>,
}

/// How bundles are made and handed over.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("oneOf" = [
    {
        "required": ["key"],
        "properties": {"key": {"type": "string"}, "signCommand": {"type": "null"}, "publicKey": {"type": "null"}},
    },
    {
        "required": ["signCommand", "publicKey"],
        "properties": {"signCommand": {"type": "string"}, "publicKey": {"type": "string"}, "key": {"type": "null"}},
    },
], "not" = {"required": ["compress", "volumeSize"], "properties": {"compress": {"const": true}}}))]
pub struct ExportConfig {
    /// The bundle.yaml of the bundles.
    pub file: PathBuf,
    /// Whether to keep to the lock beside it.
    #[serde(default, deserialize_with = "bundle_input::plain")]
    pub locked: bool,
    /// The key that signs.
    pub key: Option<PathBuf>,
    /// The command that signs, in place of a key.
    pub sign_command: Option<String>,
    /// The public key that the command's signature must fit; there is one if there is the other.
    pub public_key: Option<PathBuf>,
    /// Where finished bundles are put.
    pub outbox: PathBuf,
    /// Where receipts are put that came back.
    pub receipts: PathBuf,
    /// Whether one stream goes to many sites: each directory in `receipts` has those of one, and a bundle leaves out
    /// only what all of them have.
    #[serde(default, deserialize_with = "bundle_input::plain")]
    pub receipts_by_site: bool,
    /// The public keys of the sites whose receipts count.
    #[schemars(length(min = 1))]
    pub receipt_trust: Vec<PathBuf>,
    /// Where the job keeps what it remembers.
    pub state: PathBuf,
    /// How many bundles stay in the outbox after they arrived.
    #[serde(default = "two", deserialize_with = "bundle_input::plain")]
    pub keep: usize,
    /// How large volumes may be, if bundles are cut.
    #[serde(default, deserialize_with = "from_text")]
    #[schemars(with = "schema::VolumeSize")]
    pub volume_size: Option<VolumeSize>,
    /// How much of a bundle can be rebuilt from the parity beside it: `10%`, or one volume in so many, `1/10`.
    #[serde(default, deserialize_with = "from_text")]
    #[schemars(with = "schema::ParityShare")]
    pub parity: Option<ParityShare>,
    /// Whether bundles are compressed.
    #[serde(default, deserialize_with = "bundle_input::plain")]
    pub compress: bool,
    /// Whether layers are sent as the difference to what the newest receipt proves, and compressed better.
    #[serde(default, deserialize_with = "bundle_input::plain")]
    pub compact: bool,
    /// How hard compact bundles are worked on: `default`, or `smallest`, which takes several times longer.
    #[serde(default, deserialize_with = "from_text")]
    #[schemars(with = "String", extend("enum" = ["default", "smallest"]))]
    pub compact_effort: Option<Effort>,
    /// When bundles stop being importable.
    #[serde(default, deserialize_with = "from_text")]
    #[schemars(with = "schema::Expires")]
    pub expires: Option<Expires>,
    /// After how many deltas a whole bundle is made.
    #[serde(default, deserialize_with = "bundle_input::plain")]
    pub full_every: Option<u32>,
    /// Whether signatures and other referrers travel.
    #[serde(default = "yes", deserialize_with = "bundle_input::plain")]
    pub referrers: bool,
    /// Whether layers travel that are marked non-distributable, as those of Windows base images are: `include` or
    /// `leave`, overriding the bundle.yaml.
    #[serde(default, deserialize_with = "from_text")]
    #[schemars(with = "String", extend("enum" = ["include", "leave"]))]
    pub foreign_layers: Option<ForeignLayers>,
    /// For how many days what a registry said of an image's signatures and other referrers counts at most:
    /// after half a day they are asked for again at first, and later as long after as the image had been known.
    /// 0 asks each night.
    #[serde(default = "a_week", deserialize_with = "bundle_input::plain")]
    pub referrers_max_age_days: u32,
    /// Where to write what the job did, as JSON.
    pub status: Option<PathBuf>,
    /// Where to write it for Prometheus' textfile collector.
    pub metrics: Option<PathBuf>,
}

/// How bundles are taken in.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ImportConfig {
    /// Where bundles arrive.
    pub inbox: PathBuf,
    /// Where imported bundles go; `done` in the inbox, unless it says otherwise.
    pub done: Option<PathBuf>,
    /// Where refused bundles go; `refused` in the inbox, unless it says otherwise.
    pub refused: Option<PathBuf>,
    /// The registry or Harbor.
    pub to: String,
    /// The kind of registry.
    #[serde(default, deserialize_with = "kind")]
    #[schemars(with = "String", extend("enum" = ["auto", "harbor", "plain"]))]
    pub registry_kind: RegistryKind,
    /// How a Harbor's projects are run.
    pub harbor: Option<PathBuf>,
    /// The trusted key or trust.yaml; by default the keys of `bundle trust`.
    pub trust: Option<PathBuf>,
    /// The streams that belong here; all, unless it says otherwise.
    #[schemars(with = "Option<Vec<schema::Stream>>")]
    pub streams: Option<Vec<StreamName>>,
    /// Where receipts are written.
    pub receipts: PathBuf,
    /// The key that signs them.
    pub receipt_key: PathBuf,
    /// Whether all that a receipt is for is read back from the registry and hashed first.
    #[serde(default, deserialize_with = "bundle_input::plain")]
    pub prove: bool,
    /// The name of this site in them.
    #[schemars(with = "schema::Site")]
    pub site: SiteName,
    /// Where the job keeps what it remembers, the newest bundle of each stream among it.
    pub state: PathBuf,
    /// The treatment of tags that exist with another digest, unless the same stream set them: those move.
    #[serde(default, deserialize_with = "on_existing")]
    #[schemars(with = "String", extend("enum" = ["error", "skip", "overwrite"]))]
    pub on_existing_tag: OnExistingTag,
    /// How long a Harbor's scans are waited for: `10m`.
    #[schemars(with = "Option<schema::Span>")]
    pub wait_for_scan: Option<Span>,
    /// How many seconds an unusable bundle must be unchanged before it is refused: until then a copy may
    /// still be in progress.
    #[serde(default = "a_minute", deserialize_with = "bundle_input::plain")]
    pub settle_seconds: u32,
    /// How many imported bundles of a stream stay in `done`.
    #[serde(default = "two", deserialize_with = "bundle_input::plain")]
    pub keep: usize,
    /// What is removed from Harbor after a night that went well; nothing, unless it says so.
    pub prune: Option<PruneConfig>,
    /// Where to write what the job did, as JSON.
    pub status: Option<PathBuf>,
    /// Where to write it for Prometheus' textfile collector.
    pub metrics: Option<PathBuf>,
}

/// The removal of images that a stream brought and that none of its newest bundles wants.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PruneConfig {
    /// How many of the newest bundles of each stream keep their images, from 1 to 1000.
    #[serde(deserialize_with = "bundle_input::plain")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep: usize,
    /// What was pulled in so many days stays; 0 if pulls do not matter.
    #[serde(default = "two_weeks", deserialize_with = "bundle_input::plain")]
    pub pulled_within_days: u32,
    /// What runs, and stays: files with the output of `kubectl get pods -A -o json`, or one image a line. If one of
    /// them cannot be read, nothing is removed.
    #[serde(default)]
    pub in_use: Vec<PathBuf>,
    /// Earlier public keys of the site, whose receipts count besides those of `receiptKey`.
    #[serde(default)]
    pub receipt_trust: Vec<PathBuf>,
    /// Where the signed records of removals are written; `removals` in `state`, unless it says otherwise.
    pub records: Option<PathBuf>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SyncConfigError {
    /// The file cannot be read, or is no YAML of the right form.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It has nothing for this side.
    #[error("{} has no section '{section}'", .path.display())]
    NoSection {
        /// The file.
        path: PathBuf,
        /// The section.
        section: &'static str,
    },
    /// A section that contradicts itself.
    #[error("{}: {what}", .path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// The cause.
        what: &'static str,
    },
}

/// The JSON Schema of `sync.yaml`.
pub fn sync_schema() -> serde_json::Value {
    schema_of::<SyncConfig>("sync.yaml", "The configuration of the scheduled jobs of both sides")
}

impl SyncConfig {
    /// Reads a file. Paths in it are relative to it.
    ///
    /// # Errors
    /// Any [`SyncConfigError`].
    pub fn load(path: &Path) -> Result<Self, SyncConfigError> {
        let mut config: Self = read_yaml(path, Dialect::Plain)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        if let Some(export) = &mut config.export {
            export.resolve(directory);
            let wrong = |what| SyncConfigError::Contradiction { path: path.to_owned(), what };
            if export.key.is_some() == export.sign_command.is_some() {
                return Err(wrong("export needs either 'key' or 'signCommand'"));
            }
            if export.sign_command.is_some() != export.public_key.is_some() {
                return Err(wrong("export.signCommand and export.publicKey need each other"));
            }
            if export.receipt_trust.is_empty() {
                return Err(wrong("export.receiptTrust names no key, so that no receipt would count"));
            }
        }
        if let Some(import) = &mut config.import {
            import.resolve(directory);
            if import.prune.as_ref().is_some_and(|prune| !(1..=1000).contains(&prune.keep)) {
                let what = "import.prune.keep must be from 1 to 1000";
                return Err(SyncConfigError::Contradiction { path: path.to_owned(), what });
            }
        }
        Ok(config)
    }

    /// The connected side.
    ///
    /// # Errors
    /// [`SyncConfigError::NoSection`].
    pub fn export(self, path: &Path) -> Result<ExportConfig, SyncConfigError> {
        self.export.ok_or_else(|| SyncConfigError::NoSection { path: path.to_owned(), section: "export" })
    }

    /// The disconnected side.
    ///
    /// # Errors
    /// [`SyncConfigError::NoSection`].
    pub fn import(self, path: &Path) -> Result<ImportConfig, SyncConfigError> {
        self.import.ok_or_else(|| SyncConfigError::NoSection { path: path.to_owned(), section: "import" })
    }
}

impl ExportConfig {
    fn resolve(&mut self, directory: &Path) {
        let optional = [&mut self.key, &mut self.public_key, &mut self.status, &mut self.metrics];
        let paths = [&mut self.file, &mut self.outbox, &mut self.receipts, &mut self.state];
        let all = optional.into_iter().flatten().chain(paths).chain(&mut self.receipt_trust);
        all.for_each(|path| *path = directory.join(&*path));
    }
}

impl ImportConfig {
    fn resolve(&mut self, directory: &Path) {
        let optional = [
            &mut self.done,
            &mut self.refused,
            &mut self.harbor,
            &mut self.trust,
            &mut self.status,
            &mut self.metrics,
        ];
        let paths = [&mut self.inbox, &mut self.receipts, &mut self.receipt_key, &mut self.state];
        optional.into_iter().flatten().chain(paths).for_each(|path| *path = directory.join(&*path));
        if let Some(prune) = &mut self.prune {
            let files = prune.in_use.iter_mut().chain(&mut prune.receipt_trust).chain(&mut prune.records);
            files.for_each(|path| *path = directory.join(&*path));
        }
    }

    /// Where the signed records of removals are written.
    pub fn removals(&self) -> PathBuf {
        let named = self.prune.as_ref().and_then(|prune| prune.records.clone());
        named.unwrap_or_else(|| self.state.join("removals"))
    }

    /// Where imported bundles go.
    pub fn done(&self) -> PathBuf {
        self.done.clone().unwrap_or_else(|| self.inbox.join("done"))
    }

    /// Where refused bundles go.
    pub fn refused(&self) -> PathBuf {
        self.refused.clone().unwrap_or_else(|| self.inbox.join("refused"))
    }

    /// Whether bundles of a stream belong here.
    pub fn expects(&self, stream: &StreamName) -> bool {
        self.streams.as_ref().is_none_or(|streams| streams.contains(stream))
    }
}

fn two() -> usize {
    2
}

fn a_minute() -> u32 {
    60
}

fn a_week() -> u32 {
    7
}

fn two_weeks() -> u32 {
    14
}

fn yes() -> bool {
    true
}

fn from_text<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RegistryKind, D::Error> {
    let kinds =
        [("auto", RegistryKind::Auto), ("harbor", RegistryKind::Harbor), ("plain", RegistryKind::Plain)];
    one_of(deserializer, &kinds)
}

fn on_existing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OnExistingTag, D::Error> {
    let choices = [
        ("error", OnExistingTag::Error),
        ("skip", OnExistingTag::Skip),
        ("overwrite", OnExistingTag::Overwrite),
    ];
    one_of(deserializer, &choices)
}

fn one_of<'de, T: Copy, D: Deserializer<'de>>(
    deserializer: D,
    choices: &[(&'static str, T)],
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    let known: BTreeMap<&str, T> = choices.iter().copied().collect();
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let wrong = || serde::de::Error::custom(format!("must be one of {}", names.join(", ")));
    known.get(text.as_str()).copied().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: &str = "export:\n  file: bundle.yaml\n  key: ops.key\n  outbox: /out\n  receipts: back\n  receiptTrust: [site.pub]\n  state: state\n";
    const IMPORT: &str = "import:\n  inbox: in\n  to: https://harbor.example\n  receipts: out\n  receiptKey: site.key\n  site: plant 7\n  state: state\n";

    fn load(text: &str) -> Result<SyncConfig, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sync.yaml");
        std::fs::write(&path, text).unwrap();
        let shorter = |text: String| text.replace(&directory.path().display().to_string(), "D");
        SyncConfig::load(&path).map_err(|error| shorter(error.to_string()))
    }

    #[test]
    fn paths_are_relative_to_the_file_and_the_rest_has_defaults() {
        let config = load(&format!("{EXPORT}  volumeSize: fat32\n  expires: 30d\n{IMPORT}")).unwrap();
        let (export, import) = (config.export.unwrap(), config.import.unwrap());
        assert!(export.file.is_absolute() && export.file.ends_with("bundle.yaml"));
        assert_eq!(export.outbox, Path::new("/out"));
        assert_eq!(export.volume_size, Some("fat32".parse().unwrap()));
        assert!(export.referrers && export.keep == 2);
        assert!(import.done().ends_with("in/done"));
        assert_eq!(import.on_existing_tag, OnExistingTag::Error);
        assert!(import.expects(&"any".parse().unwrap()));
        assert!(import.prune.is_none());
        let prune =
            load(&format!("{IMPORT}  prune: {{keep: 3, inUse: [pods.json]}}\n")).unwrap().import.unwrap();
        assert!(prune.removals().ends_with("state/removals"));
        let prune = prune.prune.unwrap();
        assert_eq!((prune.keep, prune.pulled_within_days), (3, 14));
        assert!(prune.in_use[0].is_absolute());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, expected) in [
            ("exprt: {}\n", "D/sync.yaml:1:1: unknown field 'exprt'; did you mean 'export'?"),
            (
                &format!("{EXPORT}  keeps: 1\n"),
                "D/sync.yaml:8:3: unknown field 'keeps'; did you mean 'keep'?",
            ),
            (&EXPORT.replace("  state: state\n", ""), "D/sync.yaml:6:3: field 'state' is missing"),
            (
                &EXPORT.replace("  key: ops.key\n", ""),
                "D/sync.yaml: export needs either 'key' or 'signCommand'",
            ),
            (
                &EXPORT.replace("  key: ops.key\n", "  signCommand: sign\n"),
                "D/sync.yaml: export.signCommand and export.publicKey need each other",
            ),
            (
                &EXPORT.replace("[site.pub]", "[]"),
                "D/sync.yaml: export.receiptTrust names no key, so that no receipt would count",
            ),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        for keep in ["0", "1001"] {
            let error = load(&format!("{IMPORT}  prune: {{keep: {keep}}}\n")).unwrap_err();
            assert_eq!(error, "D/sync.yaml: import.prune.keep must be from 1 to 1000");
        }
        let error = load(&format!("{IMPORT}  prune: {{}}\n")).unwrap_err();
        assert!(error.contains("field 'keep' is missing"), "{error}");
        let error = load(&format!("{IMPORT}  onExistingTag: move\n")).unwrap_err();
        assert!(error.contains("must be one of error, skip, overwrite"), "{error}");
        let error = load(&format!("{EXPORT}  volumeSize: huge\n")).unwrap_err();
        assert!(error.contains("size must be at least 64KiB"), "{error}");
    }
}
