//! `bundle.yaml`: what a bundle carries, into which project, and what is wanted of it. Takes a file with the
//! lists and values that it names; gives a [`Config`] of requests, or what is wrong and where.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_chart::{ParseKubeVersionError, Rules};
use bundle_format::{ParseStreamError, StreamName};
use bundle_oci::{ParsePlatformError, ParseProjectError, Platform, Printable, ProjectName};
use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use crate::chart::{
    ChartEntry, ChartRequest, ChartSource, ParseCarryError, ParseChartSourceError, manifests,
};
use crate::list::{self, ListError};
use crate::policy::{ImagePolicy, MissingPlatforms, ParsePolicyError, PolicyOverride};
use crate::{CacheLayout, Item, ItemError, Limits, ParseLayoutError, Platforms, Reason, Request};
use bundle_input::{Dialect, TextError, YamlError, parse_yaml, schema, schema_of};

/// What a `bundle.yaml` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The stream's name.
    pub name: Option<StreamName>,
    /// The platforms for every image that does not choose its own.
    pub platforms: Platforms,
    /// What is wanted of every image that says nothing else.
    pub policy: ImagePolicy,
    /// How images are named in the project `cache`.
    pub cache_layout: CacheLayout,
    /// The requests, in the order of the file.
    pub requests: Vec<Request>,
    /// The charts whose images are wanted, in the order of the file.
    pub charts: Vec<ChartRequest>,
}

/// Why a configuration, a list or a lock cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be had.
    #[error(transparent)]
    Text(#[from] TextError),
    /// YAML that is not valid, or not of the form that it must have.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A value that is not what the field needs.
    #[error("{}:{line}:{column}: {field}: {error}", Printable(.name))]
    Field {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// The field's path: `projects.cache.images[2]`.
        field: String,
        /// What is wrong.
        error: FieldError,
    },
    /// A file that a field names and that cannot be had.
    #[error("{}:{line}:{column}: {field}", Printable(.name))]
    NamedList {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// The field's path: `projects.cache.lists[0]`.
        field: String,
        /// What is wrong with the file.
        source: Box<ConfigError>,
    },
    /// A list with bad lines.
    #[error(transparent)]
    List(#[from] ListError),
    /// A list of images in the place of a bundle.yaml.
    #[error("{} is a list of images, and no bundle.yaml", Printable(.0))]
    IsAList(String),
    /// More than [`Limits::images`].
    #[error("{} and its lists ask for more than {} images", Printable(.0), Limits::DEFAULT.images)]
    TooMany(String),
    /// A file in the place of a lock.
    #[error("{} exists and is not a lockfile; it is not overwritten", Printable(&.0.to_string_lossy()))]
    NotALock(PathBuf),
    /// Nothing to do.
    #[error("{} names no image", Printable(.0))]
    Empty(String),
}

/// What is wrong with a field's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The stream's name.
    #[error(transparent)]
    Stream(#[from] ParseStreamError),
    /// A platform.
    #[error(transparent)]
    Platform(#[from] ParsePlatformError),
    /// A choice of no platform.
    #[error("no platform is chosen")]
    NoPlatform,
    /// The naming in `cache`.
    #[error(transparent)]
    Layout(#[from] ParseLayoutError),
    /// A tenant's name.
    #[error(transparent)]
    Project(#[from] ParseProjectError),
    /// A tenant called like one of the two projects that are not a tenant's.
    #[error("the project '{0}' is no tenant's")]
    Reserved(ProjectName),
    /// A reference or a new name.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// No name of a list.
    #[error("name of a list is empty")]
    NoList,
    /// No path of manifests.
    #[error("path of manifests is empty")]
    NoManifests,
    /// A chart without a place, or with two.
    #[error("a chart has either repo and name, or path")]
    ChartPlace,
    /// A repository and no chart in it.
    #[error("a chart in a repository has a name")]
    ChartName,
    /// A version of a chart that is here.
    #[error("'version' cannot be combined with 'path'")]
    ChartVersion,
    /// Where a chart is.
    #[error(transparent)]
    ChartSource(#[from] ParseChartSourceError),
    /// A value set called like one that is always there, or like nothing.
    #[error("a value set has a name other than defaults and values")]
    ValueSetName,
    /// A version of Kubernetes.
    #[error(transparent)]
    KubeVersion(#[from] ParseKubeVersionError),
    /// Which images of a chart travel.
    #[error(transparent)]
    Carry(#[from] ParseCarryError),
    /// What is wanted of images.
    #[error(transparent)]
    Policy(#[from] ParsePolicyError),
    /// A word in place of a list of platforms.
    #[error("platforms are a list, or the word all")]
    PlatformsWord,
}

/// Reads a bundle.yaml or a file that one names.
fn read_text(path: &Path) -> Result<String, ConfigError> {
    Ok(bundle_input::read_text(path, bundle_input::Limits::DEFAULT.file)?)
}

impl Config {
    /// Reads a file, and the lists that it names, which lie beside it.
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut config = Self::parse(&text, &path.display().to_string(), |list| {
            let path = directory.join(list);
            Ok((path.display().to_string(), read_text(&path)?))
        })?;
        for chart in &mut config.charts {
            match &mut chart.source {
                ChartSource::Path(path) => *path = directory.join(&path),
                ChartSource::Manifests(paths) => {
                    paths.iter_mut().for_each(|path| *path = directory.join(&path));
                }
                ChartSource::Repository { .. } | ChartSource::Registry { .. } => {}
            }
            chart.root = chart.root.take().map(|root| directory.join(root));
        }
        Ok(config)
    }

    /// Reads the text of a file called `name`; `read_list` gives the name and text of a list or of
    /// a chart's values. Charts' paths stay as they are written.
    ///
    /// # Errors
    /// Any [`ConfigError`].
    pub fn parse(
        text: &str,
        name: &str,
        read_list: impl Fn(&str) -> Result<(String, String), ConfigError>,
    ) -> Result<Self, ConfigError> {
        let file: File =
            parse_yaml(text, name, Dialect::Anchors).map_err(|error| match list::is_list(text) {
                true => ConfigError::IsAList(name.to_owned()),
                false => error.into(),
            })?;
        let policy = ImagePolicy::default().with(file.wanted(name)?);
        let stream = file.name.map(|stream| {
            let parsed = stream.value.parse::<StreamName>();
            parsed.map_err(|error| wrong(name, stream.referenced, "name".to_owned(), error))
        });
        let stream = stream.transpose()?;
        let platforms = choice(file.platforms, name, "")?.unwrap_or_default();
        let layout = file.cache_layout.map(|layout| {
            let parsed = layout.value.parse::<CacheLayout>();
            parsed.map_err(|error| wrong(name, layout.referenced, "cacheLayout".to_owned(), error))
        });
        let layout = layout.transpose()?.unwrap_or_default();
        let rules = read_rules(file.rules, file.rule_files, name, &read_list)?;
        let (mut requests, mut charts) = (Vec::new(), Vec::new());
        for (field, project, wanted) in projects(file.projects, name)? {
            let said = wanted.platforms.clone();
            let chosen = choice(said, name, &format!("{field}."))?.unwrap_or_else(|| platforms.clone());
            let policy = policy.with(wanted.wanted(name, &field)?);
            let (field, project, platforms, layout) = (field.as_str(), &project, &chosen, &layout);
            let rules = &rules;
            let reader = ProjectReader { name, field, project, platforms, policy, layout, rules };
            reader.read(wanted, &read_list, &mut requests, &mut charts)?;
        }
        if requests.is_empty() && charts.is_empty() {
            return Err(ConfigError::Empty(name.to_owned()));
        }
        Ok(Self { name: stream, platforms, policy, cache_layout: layout, requests, charts })
    }
}

/// The rules that come with the program, those in the file, and those in files beside it.
fn read_rules(
    mut rules: Rules,
    files: Vec<Spanned<String>>,
    name: &str,
    read_list: &impl Fn(&str) -> Result<(String, String), ConfigError>,
) -> Result<Arc<Rules>, ConfigError> {
    for (position, file) in files.into_iter().enumerate() {
        let read = read_list(&file.value).and_then(|(file, text)| {
            let read: Rules = parse_yaml(&text, &file, Dialect::Anchors)?;
            Ok(read)
        });
        let read = read.map_err(|source| ConfigError::NamedList {
            name: name.to_owned(),
            line: file.referenced.line(),
            column: file.referenced.column(),
            field: format!("ruleFiles[{position}]"),
            source: Box::new(source),
        })?;
        rules.extend(read);
    }
    Ok(Arc::new(rules.with_shipped()))
}

/// The projects in the order of the file, each with its field's path.
fn projects(file: Projects, name: &str) -> Result<Vec<(String, ProjectName, Project)>, ConfigError> {
    let mut projects = Vec::new();
    let fixed =
        [("cache", ProjectName::cache(), file.cache), ("platform", ProjectName::platform(), file.platform)];
    for (field, project, wanted) in fixed {
        let Some(wanted) = wanted else { continue };
        projects.push((wanted.referenced, (format!("projects.{field}"), project, wanted.value)));
    }
    for (tenant, wanted) in file.tenants.map(|tenants| tenants.0).unwrap_or_default() {
        let field = format!("projects.tenants.{}", Printable(&tenant.value));
        let project = match tenant.value.parse::<ProjectName>() {
            Ok(project) if project.is_cache() || project == ProjectName::platform() => {
                return Err(wrong(name, tenant.referenced, field, FieldError::Reserved(project)));
            }
            Ok(project) => project,
            Err(error) => return Err(wrong(name, tenant.referenced, field, error)),
        };
        projects.push((wanted.referenced, (field, project, wanted.value)));
    }
    projects.sort_by_key(|(place, _)| (place.line(), place.column()));
    Ok(projects.into_iter().map(|(_, project)| project).collect())
}

/// What turns the words of one project into requests.
struct ProjectReader<'a> {
    name: &'a str,
    field: &'a str,
    project: &'a ProjectName,
    platforms: &'a Platforms,
    policy: ImagePolicy,
    layout: &'a CacheLayout,
    rules: &'a Arc<Rules>,
}

impl ProjectReader<'_> {
    fn read(
        &self,
        wanted: Project,
        read_list: &impl Fn(&str) -> Result<(String, String), ConfigError>,
        requests: &mut Vec<Request>,
        charts: &mut Vec<ChartRequest>,
    ) -> Result<(), ConfigError> {
        for (position, chart) in wanted.charts.into_iter().enumerate() {
            let field = format!("{}.charts[{position}]", self.field);
            let wanted = (self.project, self.layout, self.platforms, self.policy);
            charts.push(chart.value.read(
                self.name,
                &field,
                chart.referenced,
                wanted,
                self.rules,
                read_list,
            )?);
        }
        if let Some(paths) = wanted.manifests {
            let wanted = (self.project, self.layout, self.platforms, self.policy);
            let empty = paths.value.iter().position(|path| path.value.is_empty());
            if let Some(position) = empty {
                let field = format!("{}.manifests[{position}]", self.field);
                return Err(wrong(self.name, paths.referenced, field, FieldError::NoManifests));
            }
            charts.push(manifests(paths.value, self.name, paths.referenced, wanted, self.rules));
        }
        let place = |place: Option<Location>| place.map(|place| (place.line(), place.column()));
        let images_first = place(wanted.images.as_ref().map(|images| images.referenced))
            < place(wanted.lists.as_ref().map(|lists| lists.referenced));
        let images = wanted.images.map(|images| images.value).unwrap_or_default();
        let lists = wanted.lists.map(|lists| lists.value).unwrap_or_default();
        if images_first {
            self.images(images, requests)?;
            self.lists(lists, read_list, requests)
        } else {
            self.lists(lists, read_list, requests)?;
            self.images(images, requests)
        }
    }

    fn images(&self, images: Vec<Spanned<Image>>, requests: &mut Vec<Request>) -> Result<(), ConfigError> {
        for (position, image) in images.into_iter().enumerate() {
            let name = self.name;
            let field = format!("{}.images[{position}]", self.field);
            let at = image.referenced;
            let (item, platforms, policy) = match image.value {
                Image::Line(line) => {
                    let item =
                        line.parse().map_err(|error: ItemError| wrong(name, at, field.clone(), error))?;
                    (item, None, self.policy)
                }
                Image::Map(map) => {
                    let policy = self.policy.with(map.wanted(name, &field)?);
                    let reference = map.r#ref.value.parse().map_err(ItemError::Reference);
                    let reference = reference
                        .map_err(|error| wrong(name, map.r#ref.referenced, format!("{field}.ref"), error))?;
                    let rename = map.r#as.map(|rename| {
                        let parsed = rename.value.trim().parse();
                        parsed.map_err(|error: ItemError| {
                            wrong(name, rename.referenced, format!("{field}.as"), error)
                        })
                    });
                    let item = Item { reference, rename: rename.transpose()? };
                    (item, choice(map.platforms, name, &format!("{field}."))?, policy)
                }
            };
            let target =
                item.place_by(self.project, self.layout).map_err(|error| wrong(name, at, field, error))?;
            requests.push(Request {
                reference: item.reference,
                target,
                platforms: platforms.unwrap_or_else(|| self.platforms.clone()),
                policy,
                reasons: vec![Reason::File { name: name.to_owned(), line: at.line() }],
            });
            self.bounded(requests)?;
        }
        Ok(())
    }

    fn lists(
        &self,
        lists: Vec<Spanned<String>>,
        read_list: &impl Fn(&str) -> Result<(String, String), ConfigError>,
        requests: &mut Vec<Request>,
    ) -> Result<(), ConfigError> {
        for (position, list) in lists.into_iter().enumerate() {
            let field = format!("{}.lists[{position}]", self.field);
            if list.value.is_empty() {
                return Err(wrong(self.name, list.referenced, field, FieldError::NoList));
            }
            let (name, text) = read_list(&list.value).map_err(|source| ConfigError::NamedList {
                name: self.name.to_owned(),
                line: list.referenced.line(),
                column: list.referenced.column(),
                field,
                source: Box::new(source),
            })?;
            requests.extend(from_list(&text, &name, self.project, self.layout, self.platforms, self.policy)?);
            self.bounded(requests)?;
        }
        Ok(())
    }

    fn bounded(&self, requests: &[Request]) -> Result<(), ConfigError> {
        if requests.len() > Limits::DEFAULT.images {
            return Err(ConfigError::TooMany(self.name.to_owned()));
        }
        Ok(())
    }
}

/// The platforms of a field `platforms` inside `parent`.
fn choice(
    written: Option<Spanned<PlatformsField>>,
    name: &str,
    parent: &str,
) -> Result<Option<Platforms>, ConfigError> {
    let Some(written) = written else { return Ok(None) };
    let texts = match &written.value {
        PlatformsField::Word(word) if word == "all" => return Ok(Some(Platforms::All)),
        PlatformsField::Word(_) => {
            let field = format!("{parent}platforms");
            return Err(wrong(name, written.referenced, field, FieldError::PlatformsWord));
        }
        PlatformsField::List(texts) => texts,
    };
    let mut platforms = Vec::new();
    for (position, platform) in texts.iter().enumerate() {
        let field = || format!("{parent}platforms[{position}]");
        let parsed = platform.value.parse::<Platform>();
        platforms.push(parsed.map_err(|error| wrong(name, platform.referenced, field(), error))?);
    }
    match Platforms::only(platforms) {
        Some(platforms) => Ok(Some(platforms)),
        None => Err(wrong(name, written.referenced, format!("{parent}platforms"), FieldError::NoPlatform)),
    }
}

pub(crate) fn wrong(name: &str, place: Location, field: String, error: impl Into<FieldError>) -> ConfigError {
    let (line, column) = (place.line(), place.column());
    ConfigError::Field { name: name.to_owned(), line, column, field, error: error.into() }
}

/// The requests of a list's text.
///
/// # Errors
/// All its bad lines.
pub fn from_list(
    text: &str,
    name: &str,
    project: &ProjectName,
    layout: &CacheLayout,
    platforms: &Platforms,
    policy: ImagePolicy,
) -> Result<Vec<Request>, ListError> {
    let mut requests = Vec::new();
    let mut bad = Vec::new();
    for (line, item) in list::parse(text, name)? {
        match item.place_by(project, layout) {
            Ok(target) => requests.push(Request {
                reference: item.reference,
                target,
                platforms: platforms.clone(),
                policy,
                reasons: vec![Reason::File { name: name.to_owned(), line: line as u64 }],
            }),
            Err(error) => {
                bad.push(list::BadLine { line, text: item.reference.to_string(), error, meant: None })
            }
        }
    }
    if bad.is_empty() { Ok(requests) } else { Err(ListError { name: name.to_owned(), lines: bad }) }
}

// Values are read as text first: only later is the path known to the field that they are in.

/// The JSON Schema of `bundle.yaml`.
pub fn bundle_schema() -> serde_json::Value {
    schema_of::<File>("bundle.yaml", "What a bundle carries, and into which Harbor project")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// The stream: the importer accepts only newer bundles of the same stream
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::Stream")]
    name: Option<Spanned<String>>,
    /// OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT; without it, all platforms are carried
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "PlatformsWord")]
    platforms: Option<Spanned<PlatformsField>>,
    /// Signatures and other referrers: require fails without any, or if one cannot be fetched; carry notes it;
    /// leave does not look for them [default: carry]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "ReferrersWord")]
    referrers: Option<Spanned<String>>,
    /// What becomes of a signed index when platforms are chosen: whole carries all of them and the
    /// signatures, split leaves both behind [default: split]
    #[serde(default, rename = "signedIndexes", deserialize_with = "present")]
    #[schemars(with = "SignedIndexesWord")]
    signed_indexes: Option<Spanned<String>>,
    /// Whether an image that lacks one of the chosen platforms is an error [default: false]
    #[serde(default, rename = "strictPlatforms", deserialize_with = "present")]
    #[schemars(with = "bool")]
    strict_platforms: Option<bool>,
    /// Layers marked non-distributable, such as those of Windows base images: include carries them, leave marks
    /// the image incomplete [default: leave]
    #[serde(default, rename = "foreignLayers", deserialize_with = "present")]
    #[schemars(with = "ForeignLayersWord")]
    foreign_layers: Option<Spanned<String>>,
    /// The names of images in the project cache; {host}, {path} and {name} are parts of the source's
    /// reference [default: {host}/{path}]
    #[serde(default, rename = "cacheLayout", deserialize_with = "present")]
    #[schemars(with = "schema::CacheLayout")]
    cache_layout: Option<Spanned<String>>,
    /// What only you know of charts and operators; added to the rules that come with the program
    #[serde(default)]
    rules: Rules,
    /// Files beside this one with such rules
    #[serde(default, rename = "ruleFiles")]
    #[schemars(with = "Vec<schema::NonEmpty>")]
    rule_files: Vec<Spanned<String>>,
    /// Harbor's projects; at least one of them asks for something
    projects: Projects,
}

/// Harbor's projects
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    {"required": ["cache"], "properties": {"cache": {"$ref": "#/$defs/Project/$defs/asking"}}},
    {"required": ["platform"], "properties": {"platform": {"$ref": "#/$defs/Project/$defs/asking"}}},
    {
        "required": ["tenants"],
        "properties": {
            "tenants": {"not": {"additionalProperties": {"not": {"$ref": "#/$defs/Project/$defs/asking"}}}},
        },
    },
]))]
struct Projects {
    /// Mirrored upstream images, under their source's name
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Project")]
    cache: Option<Spanned<Project>>,
    /// The platform team's own images
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Project")]
    platform: Option<Spanned<Project>>,
    /// One project for each tenant
    #[serde(default, deserialize_with = "present")]
    #[schemars(
        with = "std::collections::BTreeMap<String, Project>",
        extend("propertyNames" = {
            "pattern": "^[a-z0-9]+([._-][a-z0-9]+)*$",
            "maxLength": 255,
            "not": {"enum": ["cache", "platform"]},
        })
    )]
    tenants: Option<Tenants>,
}

/// What is wanted in one project
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("$defs" = {
    "asking": {
        "anyOf": [
            {"required": ["images"], "properties": {"images": {"minItems": 1}}},
            {"required": ["lists"], "properties": {"lists": {"minItems": 1}}},
            {"required": ["charts"], "properties": {"charts": {"minItems": 1}}},
            {"required": ["manifests"]},
        ],
    },
}))]
struct Project {
    /// The platforms of its images, in place of those at the top
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "PlatformsWord")]
    platforms: Option<Spanned<PlatformsField>>,
    /// Signatures and other referrers: require fails without any, or if one cannot be fetched; carry notes it;
    /// leave does not look for them [default: carry]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "ReferrersWord")]
    referrers: Option<Spanned<String>>,
    /// What becomes of a signed index when platforms are chosen: whole carries all of them and the
    /// signatures, split leaves both behind [default: split]
    #[serde(default, rename = "signedIndexes", deserialize_with = "present")]
    #[schemars(with = "SignedIndexesWord")]
    signed_indexes: Option<Spanned<String>>,
    /// Whether an image that lacks one of the chosen platforms is an error [default: false]
    #[serde(default, rename = "strictPlatforms", deserialize_with = "present")]
    #[schemars(with = "bool")]
    strict_platforms: Option<bool>,
    /// Layers marked non-distributable, such as those of Windows base images: include carries them, leave marks
    /// the image incomplete [default: leave]
    #[serde(default, rename = "foreignLayers", deserialize_with = "present")]
    #[schemars(with = "ForeignLayersWord")]
    foreign_layers: Option<Spanned<String>>,
    /// References; `ref => new-name` renames
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<ImageWord>")]
    images: Option<Spanned<Vec<Spanned<Image>>>>,
    /// Files beside this one, with one reference a line
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<schema::NonEmpty>")]
    lists: Option<Spanned<Vec<Spanned<String>>>>,
    /// Helm charts: carried with every image that they can ask for
    #[serde(default)]
    #[schemars(with = "Vec<ChartEntry>")]
    charts: Vec<Spanned<ChartEntry>>,
    /// Files and directories of Kubernetes manifests beside this one: their images travel, and the charts
    /// that HelmChart, HelmRelease and Application objects name
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<schema::NonEmpty>")]
    manifests: Option<Spanned<Vec<Spanned<String>>>>,
}

/// What [`Image`] reads.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum ImageWord {
    Line(#[schemars(with = "schema::NonEmpty")] String),
    Map(Box<ImageMap>),
}

/// A field that is there has a value: `platforms:` with nothing behind it is more likely a mistake
/// than a wish for all platforms.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl File {
    fn wanted(&self, name: &str) -> Result<PolicyOverride, ConfigError> {
        let Self { referrers, signed_indexes, strict_platforms, foreign_layers, .. } = self;
        policy(name, "", PolicyFields { referrers, signed_indexes, strict_platforms, foreign_layers })
    }
}

impl Project {
    fn wanted(&self, name: &str, field: &str) -> Result<PolicyOverride, ConfigError> {
        let parent = format!("{field}.");
        let Self { referrers, signed_indexes, strict_platforms, foreign_layers, .. } = self;
        policy(name, &parent, PolicyFields { referrers, signed_indexes, strict_platforms, foreign_layers })
    }
}

impl ImageMap {
    fn wanted(&self, name: &str, field: &str) -> Result<PolicyOverride, ConfigError> {
        let parent = format!("{field}.");
        let Self { referrers, signed_indexes, strict_platforms, foreign_layers, .. } = self;
        policy(name, &parent, PolicyFields { referrers, signed_indexes, strict_platforms, foreign_layers })
    }
}

/// The fields that say what is wanted of images.
struct PolicyFields<'a> {
    referrers: &'a Option<Spanned<String>>,
    signed_indexes: &'a Option<Spanned<String>>,
    strict_platforms: &'a Option<bool>,
    foreign_layers: &'a Option<Spanned<String>>,
}

/// What fields inside `parent` say of images.
fn policy(name: &str, parent: &str, fields: PolicyFields<'_>) -> Result<PolicyOverride, ConfigError> {
    fn read<T: std::str::FromStr<Err = ParsePolicyError>>(
        name: &str,
        field: String,
        written: &Option<Spanned<String>>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(written) = written else { return Ok(None) };
        let parsed = written.value.parse().map(Some);
        parsed.map_err(|error: ParsePolicyError| wrong(name, written.referenced, field, error))
    }
    Ok(PolicyOverride {
        referrers: read(name, format!("{parent}referrers"), fields.referrers)?,
        signed_indexes: read(name, format!("{parent}signedIndexes"), fields.signed_indexes)?,
        foreign_layers: read(name, format!("{parent}foreignLayers"), fields.foreign_layers)?,
        missing_platforms: fields.strict_platforms.map(|strict| match strict {
            true => MissingPlatforms::Fail,
            false => MissingPlatforms::Note,
        }),
    })
}

/// The word all, or a list of platforms
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is there for its schema")]
enum PlatformsWord {
    All(AllWord),
    Chosen(#[schemars(length(min = 1))] Vec<schema::Platform>),
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is there for its schema")]
enum AllWord {
    All,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is there for its schema")]
enum ReferrersWord {
    Require,
    Carry,
    Leave,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is there for its schema")]
enum SignedIndexesWord {
    Whole,
    Split,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is there for its schema")]
enum ForeignLayersWord {
    Include,
    Leave,
}

/// A list of platforms, or the word `all`.
#[derive(Clone)]
enum PlatformsField {
    Word(String),
    List(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for PlatformsField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlatformsVisitor;

        impl<'de> Visitor<'de> for PlatformsVisitor {
            type Value = PlatformsField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of platforms, or the word all")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PlatformsField, E> {
                Ok(PlatformsField::Word(text.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, sequence: A) -> Result<PlatformsField, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(sequence)).map(PlatformsField::List)
            }
        }

        deserializer.deserialize_any(PlatformsVisitor)
    }
}

/// Tenants in the order of the file.
struct Tenants(Vec<(Spanned<String>, Spanned<Project>)>);

impl<'de> Deserialize<'de> for Tenants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TenantsVisitor;

        impl<'de> Visitor<'de> for TenantsVisitor {
            type Value = Tenants;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from tenants to their images")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tenants, A::Error> {
                let mut tenants = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    tenants.push(entry);
                }
                Ok(Tenants(tenants))
            }
        }

        deserializer.deserialize_map(TenantsVisitor)
    }
}

/// A line as in a list, or a map that says more.
enum Image {
    Line(String),
    Map(Box<ImageMap>),
}

/// A reference with a name or platforms of its own
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ImageMap {
    /// The reference
    #[schemars(with = "schema::NonEmpty")]
    r#ref: Spanned<String>,
    /// The name inside the project
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::NonEmpty")]
    r#as: Option<Spanned<String>>,
    /// The platforms of this image
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "PlatformsWord")]
    platforms: Option<Spanned<PlatformsField>>,
    /// Signatures and other referrers: require fails without any, or if one cannot be fetched; carry notes it;
    /// leave does not look for them [default: carry]
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "ReferrersWord")]
    referrers: Option<Spanned<String>>,
    /// What becomes of a signed index when platforms are chosen: whole carries all of them and the
    /// signatures, split leaves both behind [default: split]
    #[serde(default, rename = "signedIndexes", deserialize_with = "present")]
    #[schemars(with = "SignedIndexesWord")]
    signed_indexes: Option<Spanned<String>>,
    /// Whether an image that lacks one of the chosen platforms is an error [default: false]
    #[serde(default, rename = "strictPlatforms", deserialize_with = "present")]
    #[schemars(with = "bool")]
    strict_platforms: Option<bool>,
    /// Layers marked non-distributable, such as those of Windows base images: include carries them, leave marks
    /// the image incomplete [default: leave]
    #[serde(default, rename = "foreignLayers", deserialize_with = "present")]
    #[schemars(with = "ForeignLayersWord")]
    foreign_layers: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ImageVisitor;

        impl<'de> Visitor<'de> for ImageVisitor {
            type Value = Image;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reference, or a map with ref, as and platforms")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Image, E> {
                Ok(Image::Line(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Image, A::Error> {
                ImageMap::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|map| Image::Map(Box::new(map)))
            }
        }

        deserializer.deserialize_any(ImageVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::{ForeignLayers, Referrers, SignedIndexes};

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, "bundle.yaml", |list| Ok((list.to_owned(), "busybox:1\n".to_owned())))
    }

    const EXAMPLE: &str = "\
name: nightly
platforms: [linux/amd64]
projects:
  cache:
    images:
      - nginx:1.25
      - {ref: quay.io/x/y:1, as: 'other:2', platforms: [linux/arm64]}
    lists: [images.txt]
  tenants:
    tenant-a:
      images: [\"quay.io/z/app:3 => tools/app\"]
";

    #[test]
    fn requests_know_their_line_and_target() {
        let config = parse(EXAMPLE).unwrap();
        let seen: Vec<_> = config
            .requests
            .iter()
            .map(|request| (request.target.to_string(), request.reasons[0].to_string()))
            .collect();
        let expected = [
            ("cache/docker.io/library/nginx:1.25", "bundle.yaml:6"),
            ("cache/other:2", "bundle.yaml:7"),
            ("cache/docker.io/library/busybox:1", "images.txt:1"),
            ("tenant-a/tools/app:3", "bundle.yaml:11"),
        ];
        assert_eq!(seen, expected.map(|(target, reason)| (target.to_owned(), reason.to_owned())));
        assert_eq!(config.requests[1].platforms, Platforms::Only(vec!["linux/arm64".parse().unwrap()]));
    }

    #[test]
    fn a_layout_is_for_cache_and_for_what_is_not_renamed() {
        let config = parse(&format!("cacheLayout: 'mirror/{{path}}'\n{EXAMPLE}")).unwrap();
        let targets: Vec<_> = config.requests.iter().map(|request| request.target.to_string()).collect();
        assert_eq!(
            targets,
            [
                "cache/mirror/library/nginx:1.25",
                "cache/other:2",
                "cache/mirror/library/busybox:1",
                "tenant-a/tools/app:3"
            ]
        );
    }

    #[test]
    fn what_is_said_nearest_to_an_image_counts() {
        let text = "\
platforms: [linux/amd64]
referrers: require
projects:
  cache:
    referrers: leave
    platforms: all
    images:
      - a:1
      - {ref: 'b:1', referrers: carry, platforms: [linux/arm64], strictPlatforms: true}
  platform:
    signedIndexes: whole
    foreignLayers: include
    images: [c:1, {ref: 'd:1', foreignLayers: leave}]
";
        let config = parse(text).unwrap();
        let [a, b, c, d] = config.requests.as_slice() else { panic!("four images are expected") };
        let foreign = [a, b, c, d].map(|request| request.policy.foreign_layers == ForeignLayers::Include);
        assert_eq!(foreign, [false, false, true, false]);
        assert_eq!((a.policy.referrers, &a.platforms), (Referrers::Leave, &Platforms::All));
        assert_eq!(
            (b.policy.referrers, b.policy.missing_platforms),
            (Referrers::Carry, MissingPlatforms::Fail)
        );
        assert_eq!(b.platforms.to_string(), "linux/arm64");
        assert_eq!((c.policy.referrers, c.policy.signed_indexes), (Referrers::Require, SignedIndexes::Whole));
        assert_eq!(c.platforms.to_string(), "linux/amd64");
        for (line, message) in [
            ("referrers: must", "bundle.yaml:1:12: referrers: 'must' is not one of require, carry, leave"),
            ("platforms: some", "bundle.yaml:1:12: platforms: platforms are a list, or the word all"),
            ("foreignLayers: all", "bundle.yaml:1:16: foreignLayers: 'all' is not one of include, leave"),
            ("signedIndexes: 1.x", "bundle.yaml:1:16: signedIndexes: '1.x' is not one of whole, split"),
        ] {
            let error = parse(&format!("{line}\nprojects: {{cache: {{images: [a]}}}}\n")).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn mistakes_are_told_with_file_line_and_field() {
        for (text, start) in [
            ("projects:\n  cache:\n    images: [x/Foo:1]\n", "bundle.yaml:3:14: projects.cache.images[0]: "),
            ("projects:\n  cache:\n    image: [a]\n", "bundle.yaml:3:5: "),
            ("projects:\n  cach: {}\n", "bundle.yaml:2:3: "),
            ("projects: {}\nprojects: {}\n", "bundle.yaml:2:1: "),
            ("projects:\n  tenants:\n    Tenant: {}\n", "bundle.yaml:3:5: "),
            ("platforms: [linux]\nprojects: {}\n", "bundle.yaml:1:13: "),
            ("cacheLayout: '{host}'\nprojects: {}\n", "bundle.yaml:1:14: cacheLayout: must have {path}"),
            (
                "projects:\n  cache:\n    charts: [{path: a, version: '1'}]\n",
                "bundle.yaml:3:14: projects.cache.charts[0]: 'version' cannot be combined with 'path'",
            ),
            (
                "projects:\n  cache:\n    charts:\n      - repo: https://a\n        name: b\n        version: new\n",
                "bundle.yaml:6:18: projects.cache.charts[0].version: 'new' is no version",
            ),
            (
                "projects:\n  cache:\n    charts: [{path: a, valueSets: {defaults: {}}}]\n",
                "bundle.yaml:3:36: projects.cache.charts[0].valueSets.defaults: ",
            ),
            (
                "projects:\n  cache:\n    charts: [{path: a, exclude: ['A b']}]\n",
                "bundle.yaml:3:34: projects.cache.charts[0].exclude[0]: ",
            ),
            ("projects: {}\n", "bundle.yaml names no image"),
            ("", "bundle.yaml:1:1: "),
            ("projects:\n\tcache: {}\n", "bundle.yaml:2:"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.starts_with(start), "{message:?} does not start with {start:?}");
            assert_eq!(message.lines().count(), 1, "{message:?}");
        }
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{},", level - 1).repeat(9);
            text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        assert!(parse(&text).is_err());
        assert!(parse(&format!("projects: {}{}", "[".repeat(50_000), "]".repeat(50_000))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[ -~\n]{0,200}") {
            let _ = parse(&text);
        }
    }
}
