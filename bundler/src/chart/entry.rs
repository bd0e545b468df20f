//! An entry of `charts` in a `bundle.yaml`.
//! Takes the parsed fields; gives a [`ChartRequest`], or an error with its line and field.

use std::fmt;
use std::sync::Arc;

use bundle_chart::{KubeVersion, Purpose, Rules, ValueSet, ValuesFile};
use bundle_input::schema;
use bundle_oci::ProjectName;
use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::request::{Carry, ChartRequest, ChartSource, Empty};
use crate::config::{FieldError, present, read_excludes, wrong};
use crate::{CacheLayout, ConfigError, Exclude, ImagePolicy, Platforms, Reason};

/// A Helm chart, in a repository or beside this file
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend(
    "oneOf" = [
        {"required": ["repo", "name"], "properties": {"path": false}},
        {"required": ["path"], "properties": {"repo": false, "name": false, "version": false}},
    ],
    // In an OCI registry the chart's name is part of a repository's.
    "if" = {"properties": {"repo": {"type": "string", "pattern": "^oci:"}}, "required": ["repo"]},
    "then" = {"properties": {"name": {"pattern": "^[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*$"}}},
))]
pub(crate) struct ChartEntry {
    /// The repository: https://… with an index.yaml, or oci://…
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::ChartRepository")]
    repo: Option<Spanned<String>>,
    /// The chart's name in the repository
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::ChartName")]
    name: Option<Spanned<String>>,
    /// A version or a range such as 1.x; the newest release if left out
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    version: Option<Spanned<String>>,
    /// A directory or a .tgz beside this file
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    path: Option<Spanned<String>>,
    /// Values files beside this one; later ones win
    #[serde(default)]
    #[schemars(with = "Vec<schema::NonEmpty>")]
    values: Vec<Spanned<String>>,
    /// Values as after helm's --set: a.b=1,c[0]=x
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    set: Vec<Spanned<String>>,
    /// Further values to render with, each on top of values and set
    #[serde(default)]
    #[schemars(
        with = "std::collections::BTreeMap<String, Set>",
        extend("propertyNames" = {"minLength": 1, "not": {"enum": ["defaults", "values"]}})
    )]
    value_sets: Sets,
    /// The version of Kubernetes to render for
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "schema::KubeVersion")]
    kube_version: Option<Spanned<String>>,
    /// Further APIs that Kubernetes serves, such as monitoring.coreos.com/v1
    #[serde(default)]
    api_versions: Vec<String>,
    /// Images of the chart to exclude; without a tag, all tags; HOST/* excludes all images of a host
    #[serde(default)]
    #[schemars(with = "Vec<schema::NonEmpty>")]
    exclude: Vec<Spanned<String>>,
    /// Which images are carried: rendered with these values; also with one switch changed; also named in
    /// values; or all that are named anywhere and exist
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", extend("enum" = ["rendered", "switched", "declared", "all"]))]
    carry: Option<Spanned<String>>,
    /// A parent directory of path, such as the checkout: links may point to files inside it
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    root: Option<Spanned<String>>,
    /// Whether the chart may have no image
    #[serde(default, deserialize_with = "bundle_input::plain")]
    allow_empty: bool,
}

/// A further set of values
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Set {
    /// Values files beside this one; later ones win
    #[serde(default)]
    #[schemars(with = "Vec<schema::NonEmpty>")]
    values: Vec<Spanned<String>>,
    /// Values as after helm's --set
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    set: Vec<Spanned<String>>,
}

/// Value sets in the order of the file.
#[derive(Default)]
struct Sets(Vec<(Spanned<String>, Set)>);

impl<'de> Deserialize<'de> for Sets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SetsVisitor;

        impl<'de> Visitor<'de> for SetsVisitor {
            type Value = Sets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from names to values and set")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sets, A::Error> {
                let mut sets = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    sets.push(entry);
                }
                Ok(Sets(sets))
            }
        }

        deserializer.deserialize_map(SetsVisitor)
    }
}

/// What holds for all entries of a project: its settings, and those of the file.
pub(crate) struct Around<'a> {
    pub(crate) project: &'a ProjectName,
    pub(crate) layout: &'a CacheLayout,
    pub(crate) platforms: &'a Platforms,
    pub(crate) policy: ImagePolicy,
    pub(crate) rules: &'a Arc<Rules>,
    pub(crate) exclude: &'a [Exclude],
}

/// Names that value sets have already.
const DEFAULTS: &str = "defaults";
const VALUES: &str = "values";

impl ChartEntry {
    /// The request. `read_file` gives the name and text of a values file.
    pub(crate) fn read(
        self,
        name: &str,
        field: &str,
        at: Location,
        around: &Around<'_>,
        read_file: &impl Fn(&str) -> Result<(String, String), ConfigError>,
    ) -> Result<ChartRequest, ConfigError> {
        let source = self.source(name, field, at)?;
        let reader = SetReader { name, field, read_file };
        let mut values =
            ValueSet { name: VALUES.to_owned(), purpose: Purpose::Install, ..ValueSet::default() };
        reader.extend(&mut values, "", self.values, self.set)?;
        let mut value_sets = Vec::new();
        for (set_name, set) in self.value_sets.0 {
            let path = format!("valueSets.{}.", bundle_oci::Printable(&set_name.value));
            if [DEFAULTS, VALUES, ""].contains(&set_name.value.as_str()) {
                let field = format!("{field}.{}", path.trim_end_matches('.'));
                return Err(wrong(name, set_name.referenced, field, FieldError::ValueSetName));
            }
            // A further set stands on the values that always hold.
            let mut further = ValueSet { name: set_name.value, ..values.clone() };
            reader.extend(&mut further, &path, set.values, set.set)?;
            value_sets.push(further);
        }
        let kube_version =
            match self.kube_version {
                None => None,
                Some(text) => {
                    let parsed: Result<KubeVersion, _> = text.value.parse();
                    let field = || format!("{field}.kubeVersion");
                    Some(parsed.map_err(|error| {
                        wrong(name, text.referenced, field(), FieldError::KubeVersion(error))
                    })?)
                }
            };
        let carry = match self.carry {
            None => Carry::default(),
            Some(text) => text.value.parse().map_err(|error| {
                wrong(name, text.referenced, format!("{field}.carry"), FieldError::Carry(error))
            })?,
        };
        let mut exclude = read_excludes(name, &format!("{field}."), self.exclude)?;
        exclude.extend_from_slice(around.exclude);
        Ok(ChartRequest {
            exclude,
            source,
            project: around.project.clone(),
            layout: around.layout.clone(),
            platforms: around.platforms.clone(),
            values,
            value_sets,
            kube_version,
            api_versions: self.api_versions,
            carry,
            rules: Arc::clone(around.rules),
            root: self.root.map(|root| root.value.into()),
            empty: if self.allow_empty { Empty::Allow } else { Empty::Refuse },
            policy: around.policy,
            reason: Reason::File { name: name.to_owned(), line: at.line() },
        })
    }

    fn source(&self, name: &str, field: &str, at: Location) -> Result<ChartSource, ConfigError> {
        let refuse = |error| Err(wrong(name, at, field.to_owned(), error));
        let (repo, chart) = match (&self.repo, &self.name, &self.path) {
            (Some(repo), Some(chart), None) => (repo, chart),
            (Some(_), None, None) => return refuse(FieldError::ChartName),
            (None, None, Some(path)) if self.version.is_none() => {
                return Ok(ChartSource::Path(path.value.clone().into()));
            }
            (None, None, Some(_)) => return refuse(FieldError::ChartVersion),
            _ => return refuse(FieldError::ChartPlace),
        };
        let range = self.version.as_ref().map(|version| version.value.clone());
        ChartSource::in_repository(&repo.value, &chart.value, range).map_err(|error| {
            use super::request::ParseChartSourceError as Error;
            let (place, part) = match (&error, &self.version) {
                (Error::Range(_), Some(version)) => (version.referenced, "version"),
                (Error::Name, _) => (chart.referenced, "name"),
                _ => (repo.referenced, "repo"),
            };
            wrong(name, place, format!("{field}.{part}"), FieldError::ChartSource(error))
        })
    }
}

/// The request for the `manifests` of a project: the paths are beside the file.
pub(crate) fn manifests(
    paths: Vec<Spanned<String>>,
    name: &str,
    at: Location,
    around: &Around<'_>,
) -> ChartRequest {
    ChartRequest {
        source: ChartSource::Manifests(paths.into_iter().map(|path| path.value.into()).collect()),
        project: around.project.clone(),
        layout: around.layout.clone(),
        platforms: around.platforms.clone(),
        values: ValueSet { name: VALUES.to_owned(), purpose: Purpose::Install, ..ValueSet::default() },
        value_sets: Vec::new(),
        kube_version: None,
        api_versions: Vec::new(),
        exclude: around.exclude.to_vec(),
        carry: Carry::default(),
        rules: Arc::clone(around.rules),
        root: None,
        empty: Empty::Refuse,
        policy: around.policy,
        reason: Reason::File { name: name.to_owned(), line: at.line() },
    }
}

struct SetReader<'a, F> {
    name: &'a str,
    field: &'a str,
    read_file: &'a F,
}

impl<F: Fn(&str) -> Result<(String, String), ConfigError>> SetReader<'_, F> {
    fn extend(
        &self,
        set: &mut ValueSet,
        path: &str,
        files: Vec<Spanned<String>>,
        expressions: Vec<Spanned<String>>,
    ) -> Result<(), ConfigError> {
        for (position, file) in files.into_iter().enumerate() {
            let (name, text) = (self.read_file)(&file.value).map_err(|source| ConfigError::NamedList {
                name: self.name.to_owned(),
                line: file.referenced.line(),
                column: file.referenced.column(),
                field: format!("{}.{path}values[{position}]", self.field),
                source: Box::new(source),
            })?;
            set.files.push(ValuesFile { name, text });
        }
        set.set.extend(expressions.into_iter().map(|expression| expression.value));
        Ok(())
    }
}
