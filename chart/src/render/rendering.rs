//! Renders a chart as `helm template` does.
//! Takes a chart, a value set and [`RenderOptions`]; gives a [`Rendering`].

use std::collections::BTreeSet;
use std::time::Instant;

use super::document::{Document, Origin};
use super::objects::sources;
use super::wanted::wanted_value;
use super::{KubeVersion, RenderError};
use crate::chart::{Chart, File};
use crate::dependency::{name_all, process};
use crate::schema::check_schemas;
use crate::values::{Nulls, coalesce, unknown_keys};
use crate::{Constraint, Engine, Limits, Map, Purpose, ValueSet, Version, Warning, template};

/// For whom a chart is rendered.
#[derive(Clone, Debug)]
pub struct RenderOptions {
    /// `.Release.Name`; the chart's name if there is none.
    pub release_name: Option<String>,
    /// `.Release.Namespace`.
    pub namespace: String,
    /// `.Capabilities.KubeVersion`.
    pub kube_version: KubeVersion,
    /// What `.Capabilities.APIVersions` has besides Helm's defaults.
    pub api_versions: Vec<String>,
    /// The bounds.
    pub limits: Limits,
    /// When to give up.
    pub deadline: Option<Instant>,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            release_name: None,
            namespace: "default".to_owned(),
            kube_version: KubeVersion::default(),
            api_versions: Vec::new(),
            limits: Limits::DEFAULT,
            deadline: None,
        }
    }
}

impl RenderOptions {
    pub(super) fn release_name<'a>(&'a self, chart: &'a Chart) -> &'a str {
        self.release_name.as_deref().unwrap_or(&chart.metadata.name)
    }
}

/// A chart rendered with one set of values.
#[derive(Clone, Debug)]
pub struct Rendering {
    /// The name of the set.
    pub value_set: String,
    /// What it was rendered for.
    pub purpose: Purpose,
    /// What Kubernetes would get: resources, hooks, tests and definitions, without `NOTES.txt`.
    pub documents: Vec<Document>,
    /// The values as the templates saw them, those of the charts inside included.
    pub values: Map,
    /// What is likely a mistake.
    pub warnings: Vec<Warning>,
    /// The values with those of charts that are switched off.
    pub(crate) declared: Map,
    /// The charts that took part, under their aliases.
    pub(crate) chart: Chart,
}

/// Renders a chart as `helm template` does, hooks, tests and `crds/` included.
///
/// ```
/// # use std::fs;
/// # let directory = tempfile::tempdir()?;
/// # fs::create_dir(directory.path().join("templates"))?;
/// # fs::write(directory.path().join("Chart.yaml"), "name: web\nversion: 1.2.0\n")?;
/// # fs::write(directory.path().join("values.yaml"), "image: nginx\n")?;
/// # fs::write(directory.path().join("templates/pod.yaml"), "kind: Pod\nspec: {image: {{ .Values.image }}}\n")?;
/// use bundle_chart::{Chart, Limits, RenderOptions, ValueSet, render};
/// let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT)?;
/// let values = ValueSet { set: vec!["image=httpd".to_owned()], ..ValueSet::defaults() };
/// let rendering = render(&chart, &values, &RenderOptions::default())?;
/// assert_eq!(rendering.documents[0].text, "kind: Pod\nspec: {image: httpd}\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Any [`RenderError`].
pub fn render(chart: &Chart, values: &ValueSet, options: &RenderOptions) -> Result<Rendering, RenderError> {
    if chart.metadata.is_library() {
        return Err(RenderError::Library);
    }
    let missing = chart.missing_dependencies();
    if !missing.is_empty() {
        return Err(RenderError::Missing(missing));
    }
    let mut warnings = BTreeSet::new();
    let given = values.merged(&options.limits)?;
    unknown_keys(chart, values, &options.limits, &mut warnings)?;
    let mut installed = chart.clone();
    process(&mut installed, &given, &mut warnings).map_err(RenderError::NoTable)?;
    let declared = declared(chart, &given);
    let (value_set, purpose) = (values.name.clone(), values.purpose);
    let values = given;
    coalesce(&installed, &values, Nulls::Delete, &mut warnings).map_err(RenderError::NoTable)?;
    check_schemas(&installed, &values, "", &options.limits, &mut warnings)?;
    check_kube_version(&installed, &options.kube_version)?;
    // Templates can change the values that they see.
    let seen: Map = values.deep_copy(usize::MAX).unwrap_or_default();
    let sources = sources(&installed, &values, options);
    let engine = Engine::new(sources, options.limits);
    let engine = engine.map_err(|error| failed(error, &installed, &seen))?;
    let rendered = engine.render(options.deadline).map_err(|error| failed(error, &installed, &seen))?;
    let mut documents = Vec::new();
    definitions(&installed, "", &options.limits, &mut documents)?;
    for template in rendered {
        if template.name.ends_with("NOTES.txt") {
            continue;
        }
        Document::all(&template.name, Origin::Template, &template.text, &options.limits, &mut documents)
            .map_err(|error| RenderError::Yaml { file: template.name.clone(), error })?;
    }
    Ok(Rendering {
        value_set,
        purpose,
        documents,
        declared: declared.unwrap_or_else(|| seen.clone()),
        values: seen,
        warnings: warnings.into_iter().collect(),
        chart: installed,
    })
}

/// The values of all charts inside, whether they are switched on or not. Nothing if one that is
/// switched off has no table where its values belong.
fn declared(chart: &Chart, given: &Map) -> Option<Map> {
    let mut tree = chart.clone();
    name_all(&mut tree);
    let values = given.deep_copy(usize::MAX)?;
    coalesce(&tree, &values, Nulls::Delete, &mut BTreeSet::new()).ok()?;
    Some(values)
}

fn check_kube_version(chart: &Chart, given: &KubeVersion) -> Result<(), RenderError> {
    let wanted = &chart.metadata.kube_version;
    let version = given.to_string().parse::<Version>();
    let fits = match (wanted.parse::<Constraint>(), version) {
        _ if wanted.is_empty() => true,
        (Ok(range), Ok(version)) => range.allows(&version),
        _ => false,
    };
    if fits { Ok(()) } else { Err(RenderError::KubeVersion { wanted: wanted.clone(), given: given.clone() }) }
}

/// The documents in `crds/`, which Helm does not render.
fn definitions(
    chart: &Chart,
    parent: &str,
    limits: &Limits,
    documents: &mut Vec<Document>,
) -> Result<(), RenderError> {
    let name = &chart.metadata.name;
    let path = if parent.is_empty() { name.clone() } else { format!("{parent}/charts/{name}") };
    let is_definition = |file: &&File| {
        let extension = file.name().rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        file.name().starts_with("crds/") && matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
    };
    for file in chart.extra.iter().filter(is_definition) {
        let text = String::from_utf8_lossy(file.data());
        let place = format!("{path}/{}", file.name());
        Document::all(&place, Origin::Definition, &text, limits, documents)
            .map_err(|error| RenderError::Yaml { file: place.clone(), error })?;
    }
    chart.dependencies.iter().try_for_each(|below| definitions(below, &path, limits, documents))
}

fn failed(error: template::Error, chart: &Chart, values: &Map) -> RenderError {
    let source = source_of(chart, &error.template);
    let text = source.map(|file| String::from_utf8_lossy(file.data()));
    let wanted = wanted_value(&error, text.as_deref(), values);
    RenderError::Template { error, wanted }
}

/// The template of a name such as `loki/charts/minio/templates/x.yaml`.
fn source_of<'a>(chart: &'a Chart, name: &str) -> Option<&'a File> {
    let inside = name.strip_prefix(&chart.metadata.name)?.strip_prefix('/')?;
    let own = chart.templates.iter().find(|file| file.name() == inside);
    own.or_else(|| {
        let below = inside.strip_prefix("charts/")?;
        chart.dependencies.iter().find_map(|chart| source_of(chart, below))
    })
}
