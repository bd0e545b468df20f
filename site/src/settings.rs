//! `harbor.yaml`: how a Harbor's projects should be run, and which robots and databases it has.
//! Takes the file's text, gives checked values and the file's JSON Schema.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use bundle_harbor::{Access, Policy, Prevention, RobotLifetime, Severity, StorageLimit};
use bundle_oci::ProjectName;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use bundle_input::{Dialect, InputError, read_yaml, schema, schema_of};

use crate::{Exceptions, Retention};

/// How Harbor's projects are run: what a `harbor.yaml` says, and what holds where it says nothing.
///
/// The signed statement decides which images are in a project. The project's policy is for this side alone,
/// so that no signer can open a project or lift a policy (docs/threat-model.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarborSettings {
    defaults: ProjectSettings,
    projects: BTreeMap<ProjectName, ProjectSettings>,
    /// The treatment of existing projects with another policy.
    pub existing: ExistingProjects,
    /// The robot accounts.
    pub robots: RobotSettings,
    /// The namespace in which Harbor itself runs.
    pub harbor_namespace: Namespace,
    /// Whether artifacts get a label of the bundle that brought them.
    pub labels: bool,
    /// The vulnerabilities that are overlooked in projects without exceptions of their own, if someone chose them.
    pub system_exceptions: Option<Exceptions>,
}

/// The treatment of existing projects with another policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExistingProjects {
    /// They are changed.
    #[default]
    Reconcile,
    /// They are left, with a note.
    Leave,
}

/// The robot accounts that `bundle harbor bootstrap` makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotSettings {
    /// The name of the importer's, without Harbor's prefix.
    pub importer: String,
    /// How long the importer's lives.
    pub importer_lifetime: RobotLifetime,
    /// The prefix of a project's name in the name of its pull account.
    pub pull_prefix: String,
    /// How long pull accounts live. When one ends, pods no longer start.
    pub pull_lifetime: RobotLifetime,
}

impl Default for RobotSettings {
    fn default() -> Self {
        Self {
            importer: "bundle-importer".to_owned(),
            importer_lifetime: RobotLifetime::Days(90),
            pull_prefix: "pull-".to_owned(),
            pull_lifetime: RobotLifetime::Forever,
        }
    }
}

/// A setting, and whether someone chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting<T> {
    /// `harbor.yaml` says so: a project is made to be exactly this.
    Stated(T),
    /// A default: an existing project is made no less strict than this, and never less strict than it is.
    Default(T),
}

impl<T: Copy> Setting<T> {
    /// The value for a project that is made again.
    pub fn value(self) -> T {
        match self {
            Self::Stated(value) | Self::Default(value) => value,
        }
    }

    fn of(stated: Option<T>, default: T) -> Self {
        stated.map_or(Self::Default(default), Self::Stated)
    }
}

/// How one project is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedProject {
    /// Pull access without an account.
    pub access: Setting<Access>,
    /// Whether images are scanned when they are pushed.
    pub auto_scan: Setting<bool>,
    /// Which images may not be pulled.
    pub prevention: Setting<Prevention>,
    /// How much may be stored, if someone chose it. Otherwise it is what Harbor gives to any
    /// project, or what an administrator set.
    pub quota: Option<StorageLimit>,
    /// Patterns of tags that must not move.
    pub immutable_tags: Vec<TagPattern>,
    /// The vulnerabilities that are overlooked in it, if someone chose them; otherwise its list is left as it is.
    pub exceptions: Option<Exceptions>,
    /// What Harbor itself keeps of its tags, if someone chose it.
    pub retention: Option<Retention>,
    /// The other projects from which its pull account may pull.
    pub pulls: BTreeSet<ProjectName>,
    /// The Kubernetes namespaces that get its pull account's secret; with none, it has no such
    /// account.
    pub namespaces: BTreeSet<Namespace>,
}

impl WantedProject {
    /// How a project that is made again is run.
    pub fn policy(&self) -> Policy {
        Policy {
            access: self.access.value(),
            auto_scan: self.auto_scan.value(),
            prevention: self.prevention.value(),
        }
    }
}

/// A Kubernetes namespace: a DNS label (RFC 1123).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace(String);

impl Namespace {
    /// The one in which the documents install Harbor.
    fn harbor() -> Self {
        Self("harbor".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("namespace must be 1 to 63 lower-case letters, digits and dashes, none of them at an end")]
pub struct ParseNamespaceError;

impl FromStr for Namespace {
    type Err = ParseNamespaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let valid = (1..=63).contains(&text.len())
            && text.bytes().all(|byte| letter(byte) || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if valid { Ok(Self(text.to_owned())) } else { Err(ParseNamespaceError) }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern of tags as Harbor understands it: `**` and `*` stand for anything, `{a,b}` for one of
/// several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagPattern(String);

impl TagPattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no pattern of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pattern of tags must be 1 to 128 of letters, digits, '._-*?{{}},[]^!'")]
pub struct ParseTagPatternError;

impl FromStr for TagPattern {
    type Err = ParseTagPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*?{},[]^!".contains(&byte);
        let valid = (1..=128).contains(&text.len()) && text.bytes().all(known);
        if valid { Ok(Self(text.to_owned())) } else { Err(ParseTagPatternError) }
    }
}

/// Why a `harbor.yaml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HarborFileError {
    /// The file cannot be had, or is no YAML of the right form.
    #[error(transparent)]
    Input(#[from] InputError),
}

impl Default for HarborSettings {
    /// The defaults without a file.
    fn default() -> Self {
        Self {
            defaults: ProjectSettings::default(),
            projects: BTreeMap::new(),
            existing: ExistingProjects::default(),
            robots: RobotSettings::default(),
            harbor_namespace: Namespace::harbor(),
            labels: true,
            system_exceptions: None,
        }
    }
}

impl HarborSettings {
    /// Reads a `harbor.yaml`.
    ///
    /// # Errors
    /// Any [`HarborFileError`].
    pub fn load(path: &Path) -> Result<Self, HarborFileError> {
        let file: File = read_yaml(path, Dialect::Plain)?;
        let robots = file.robots.unwrap_or_default();
        let default = RobotSettings::default();
        Ok(Self {
            defaults: file.defaults.unwrap_or_default(),
            projects: file.projects.unwrap_or_default(),
            existing: file.existing_projects.unwrap_or_default(),
            harbor_namespace: file.harbor_namespace.map_or_else(Namespace::harbor, |name| name.0),
            labels: file.labels.unwrap_or(true),
            system_exceptions: file.system_exceptions,
            robots: RobotSettings {
                importer: robots.importer.map_or(default.importer, |name| name.0),
                importer_lifetime: robots.importer_days.map_or(default.importer_lifetime, |days| days.0),
                pull_prefix: robots.pull_prefix.map_or(default.pull_prefix, |name| name.0),
                pull_lifetime: robots.pull_days.map_or(default.pull_lifetime, |days| days.0),
            },
        })
    }

    /// The projects that are named.
    pub fn projects(&self) -> impl Iterator<Item = &ProjectName> {
        self.projects.keys()
    }

    /// How a project is to be run.
    pub fn wanted(&self, project: &ProjectName) -> WantedProject {
        let none = ProjectSettings::default();
        let own = self.projects.get(project).unwrap_or(&none);
        let all = &self.defaults;
        let shared = project.is_cache() || *project == ProjectName::platform();
        let own_namespace = || (!shared).then(|| project.as_str().parse().ok()).flatten();
        let namespaces = own.namespaces.clone().map(|names| names.into_iter().map(|name| name.0).collect());
        let patterns = own.immutable_tags.as_ref().or(all.immutable_tags.as_ref());
        let mut pulls: BTreeSet<ProjectName> =
            own.pulls.clone().unwrap_or_else(|| vec![ProjectName::cache()]).into_iter().collect();
        pulls.remove(project);
        WantedProject {
            access: Setting::of(own.access.or(all.access), Access::Private),
            auto_scan: Setting::of(own.auto_scan.or(all.auto_scan), true),
            prevention: Setting::of(
                own.prevent_pulls.or(all.prevent_pulls).map(|text| text.0),
                Prevention::From(Severity::High),
            ),
            quota: own.quota.or(all.quota).map(|text| text.0),
            immutable_tags: patterns.into_iter().flatten().map(|pattern| pattern.0.clone()).collect(),
            exceptions: own.exceptions.clone().or_else(|| all.exceptions.clone()),
            retention: own.retention.clone().or_else(|| all.retention.clone()),
            pulls,
            namespaces: namespaces.unwrap_or_else(|| own_namespace().into_iter().collect()),
        }
    }
}

/// The JSON Schema of `harbor.yaml`.
pub fn harbor_schema() -> serde_json::Value {
    schema_of::<File>("harbor.yaml", "How a Harbor's projects are run")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    /// The settings of each project without its own
    defaults: Option<ProjectSettings>,
    /// Single projects
    #[schemars(
        with = "Option<BTreeMap<String, ProjectSettings>>",
        extend("propertyNames" = {"pattern": "^[a-z0-9]+([._-][a-z0-9]+)*$", "maxLength": 255})
    )]
    projects: Option<BTreeMap<ProjectName, ProjectSettings>>,
    /// The treatment of existing projects with another policy
    existing_projects: Option<ExistingProjects>,
    /// The robot accounts that `bundle harbor bootstrap` makes
    robots: Option<Robots>,
    /// The Kubernetes namespace in which Harbor itself runs; the default is harbor
    #[schemars(with = "Option<schema::Namespace>")]
    harbor_namespace: Option<Parsed<Namespace>>,
    /// Whether artifacts get a label of the bundle that brought them; the default is true
    #[serde(default, deserialize_with = "bundle_input::plain")]
    labels: Option<bool>,
    /// The vulnerabilities that are overlooked in projects without exceptions of their own: the system's CVE allowlist
    system_exceptions: Option<Exceptions>,
}

/// How a project is run
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct ProjectSettings {
    /// Pull access without an account
    #[schemars(with = "Option<AccessWord>")]
    access: Option<Access>,
    /// Whether images are scanned when they are pushed
    #[serde(deserialize_with = "bundle_input::plain")]
    auto_scan: Option<bool>,
    /// The severity from which on images may not be pulled
    #[schemars(with = "Option<PreventionWord>")]
    prevent_pulls: Option<Parsed<Prevention>>,
    /// How much may be stored: 100GiB, or unlimited
    #[schemars(with = "Option<schema::Quota>")]
    quota: Option<Parsed<StorageLimit>>,
    /// Patterns of tags that must not move
    #[schemars(with = "Option<Vec<schema::TagPattern>>")]
    immutable_tags: Option<Vec<Parsed<TagPattern>>>,
    /// Vulnerabilities that are overlooked when pulls are prevented: the project's own CVE allowlist
    exceptions: Option<Exceptions>,
    /// What Harbor itself keeps of the tags
    retention: Option<Retention>,
    /// The other projects from which the pull account may pull
    #[schemars(with = "Option<Vec<schema::Project>>")]
    pulls: Option<Vec<ProjectName>>,
    /// The Kubernetes namespaces that get the pull account's secret
    #[schemars(with = "Option<Vec<schema::Namespace>>")]
    namespaces: Option<Vec<Parsed<Namespace>>>,
}

/// The robot accounts
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Robots {
    /// The name of the importer's, without Harbor's prefix
    #[schemars(with = "Option<schema::Project>")]
    importer: Option<RobotName>,
    /// How many days the importer's lives, or forever
    #[schemars(with = "Option<DaysWord>")]
    importer_days: Option<Days>,
    /// The prefix of a project's name in the name of its pull account
    #[schemars(with = "Option<schema::RobotPrefix>")]
    pull_prefix: Option<RobotPrefix>,
    /// How many days pull accounts live, or forever
    #[schemars(with = "Option<DaysWord>")]
    pull_days: Option<Days>,
}

/// The words for [`Access`].
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum AccessWord {
    Private,
    Public,
}

/// The words for [`Prevention`].
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum PreventionWord {
    Never,
    Low,
    Medium,
    High,
    Critical,
}

/// The forms that [`Days`] reads.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum DaysWord {
    Number(#[schemars(range(min = 1, max = 3650))] u32),
    Word(
        #[schemars(regex(
            pattern = r"^(forever|0*([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|36[0-4][0-9]|3650))$"
        ))]
        String,
    ),
}

/// A value that is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parsed<T>(T);

/// The error of a value, for [`Parsed`].
trait Text: Sized {
    fn read(text: &str) -> Result<Self, String>;
}

impl Text for Prevention {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|()| "must be never, low, medium, high or critical".to_owned())
    }
}

impl Text for StorageLimit {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: bundle_harbor::ParseStorageLimitError| error.to_string())
    }
}

impl Text for TagPattern {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: ParseTagPatternError| error.to_string())
    }
}

impl Text for Namespace {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: ParseNamespaceError| error.to_string())
    }
}

impl<'de, T: Text> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::read(&text).map(Self).map_err(de::Error::custom)
    }
}

/// Harbor's grammar for robots: `[a-z0-9]+([._-][a-z0-9]+)*`, which is that of projects.
struct RobotName(String);

impl<'de> Deserialize<'de> for RobotName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<ProjectName>() {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(de::Error::custom(
                "robot's name must be lower-case letters and digits, joined inside by single '.', '_' or '-'",
            )),
        }
    }
}

/// A prefix that makes a robot's name of a project's name.
struct RobotPrefix(String);

impl<'de> Deserialize<'de> for RobotPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match format!("{text}a").parse::<ProjectName>() {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(de::Error::custom("prefix of robots must be the start of a robot's name")),
        }
    }
}

/// `never` or a number of days.
struct Days(RobotLifetime);

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Days;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of days from 1 to 3650, or forever")
            }

            fn visit_u64<E: de::Error>(self, days: u64) -> Result<Days, E> {
                match u32::try_from(days) {
                    Ok(days @ 1..=3650) => Ok(Days(RobotLifetime::Days(days))),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(days), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, days: i64) -> Result<Days, E> {
                match u64::try_from(days) {
                    Ok(days) => self.visit_u64(days),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(days), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Days, E> {
                match text {
                    "forever" => Ok(Days(RobotLifetime::Forever)),
                    text => match text.parse() {
                        Ok(days) => self.visit_u64(days),
                        Err(_) => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                    },
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<HarborSettings, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("harbor.yaml");
        std::fs::write(&path, text).unwrap();
        HarborSettings::load(&path)
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "harbor.yaml"))
    }

    fn project(name: &str) -> ProjectName {
        name.parse().unwrap()
    }

    #[test]
    fn without_a_word_a_project_is_private_scanned_and_held_back_from_high_on() {
        let wanted = HarborSettings::default().wanted(&project("tenant-a"));
        assert_eq!(wanted.access, Setting::Default(Access::Private));
        assert_eq!(wanted.auto_scan, Setting::Default(true));
        assert_eq!(wanted.prevention, Setting::Default(Prevention::From(Severity::High)));
        assert_eq!(wanted.quota, None);
        assert!(wanted.immutable_tags.is_empty());
        assert_eq!(wanted.pulls, BTreeSet::from([project("cache")]));
        assert_eq!(wanted.namespaces, BTreeSet::from(["tenant-a".parse().unwrap()]));
        assert!(HarborSettings::default().wanted(&project("cache")).namespaces.is_empty());
        assert!(HarborSettings::default().wanted(&project("platform")).namespaces.is_empty());
        // A project's name need not be a namespace's.
        assert!(HarborSettings::default().wanted(&project("a.b_c")).namespaces.is_empty());
    }

    #[test]
    fn the_example_is_what_it_should_be() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/harbor.yaml");
        let settings = HarborSettings::load(&path).unwrap();
        assert_eq!(settings.projects().count(), 4);
        assert_eq!(settings.wanted(&project("platform")).namespaces.len(), 1);
    }

    #[test]
    fn a_projects_own_word_counts_before_that_for_all() {
        let settings = load(
            "defaults: {preventPulls: critical, quota: 10GiB}\n\
             projects:\n  cache: {quota: unlimited, immutableTags: ['v*', '1.*']}\n  \
             tenant-a: {access: public, pulls: [cache, platform, tenant-a], namespaces: [a, a-dev]}\n\
             existingProjects: leave\n\
             robots: {importer: loader, importerDays: 30, pullPrefix: read-, pullDays: forever}\n",
        )
        .unwrap();
        let cache = settings.wanted(&project("cache"));
        assert_eq!(cache.prevention, Setting::Stated(Prevention::From(Severity::Critical)));
        assert_eq!(cache.quota, Some(StorageLimit::Unlimited));
        assert_eq!(cache.immutable_tags.len(), 2);
        let tenant = settings.wanted(&project("tenant-a"));
        assert_eq!(tenant.access, Setting::Stated(Access::Public));
        assert_eq!(tenant.quota, Some(StorageLimit::Bytes(10 << 30)));
        assert_eq!(tenant.pulls, BTreeSet::from([project("cache"), project("platform")]));
        assert_eq!(tenant.namespaces.len(), 2);
        assert_eq!(settings.existing, ExistingProjects::Leave);
        assert_eq!(settings.robots.importer, "loader");
        assert_eq!(settings.robots.importer_lifetime, RobotLifetime::Days(30));
    }

    #[test]
    fn mistakes_are_told_with_file_and_line() {
        for (text, start, word) in [
            ("defaults:\n  preventPull: high\n", "harbor.yaml:2:3: ", "preventPulls"),
            ("defaults:\n  preventPulls: hgh\n", "harbor.yaml:2:", "must be never, low, medium"),
            ("defaults:\n  quota: 10GB\n", "harbor.yaml:2:", "KiB, MiB, GiB or TiB"),
            ("defaults:\n  quota: 10\n", "harbor.yaml:2:", ""),
            ("defaults:\n  access: open\n", "harbor.yaml:2:", "private"),
            ("projects:\n  Tenant: {}\n", "harbor.yaml:2:", "project name must be"),
            ("projects:\n  a: {namespaces: [A]}\n", "harbor.yaml:2:", "namespace must be"),
            ("projects:\n  a: {immutableTags: ['a b']}\n", "harbor.yaml:2:", "pattern of tags"),
            ("robots: {importerDays: 0}\n", "harbor.yaml:1:", "days"),
            ("robots: {importer: 'robot$x'}\n", "harbor.yaml:1:", "robot's name must be"),
            ("projects: {a: {}, a: {}}\n", "harbor.yaml:1:", ""),
            (
                "defaults:\n  exceptions: [{vulnerability: CVE-1, owner: a, reason: b}]\n",
                "harbor.yaml:2:",
                "expires",
            ),
            (
                "defaults:\n  exceptions: [{vulnerability: CVE-1, owner: a, reason: b, expires: '2027-02-30'}]\n",
                "harbor.yaml:2:",
                "a day like 2027-01-31",
            ),
            ("defaults:\n  retention: {keep: [{latestPushedK: 0}]}\n", "harbor.yaml:2:", "at least 1"),
            (
                "defaults:\n  retention: {keep: [{always: true, latestPushedK: 2}]}\n",
                "harbor.yaml:2:",
                "exactly one",
            ),
            ("defaults:\n  retention: {schedule: nightly, keep: []}\n", "harbor.yaml:2:", "six fields"),
            ("existingProjects: ignore\n", "harbor.yaml:1:", "reconcile"),
        ] {
            let message = load(text).unwrap_err();
            assert!(message.starts_with(start) && message.contains(word), "{text:?}: {message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }
}
