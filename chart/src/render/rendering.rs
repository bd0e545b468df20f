//! Renders a chart as `helm template` does.
//! Takes a chart, a value set and [`RenderOptions`]; gives a [`Rendering`].

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::document::{Document, Origin};
use super::objects::{program_files, roots};
use super::reading::{Reading, Text};
use super::wanted::wanted_value;
use super::{KubeVersion, RenderError};
use crate::chart::{Chart, File};
use crate::dependency::{name_all, process};
use crate::discover::Switched;
use crate::functions::Lookup;
use crate::parallel::threads;
use crate::schema::check_schemas;
use crate::template::trace::FileTrace;
use crate::template::{Program, TemplateCache, Tracing, join, with_stack};
use crate::values::{Nulls, coalesce, merge_tables, unknown_keys};
use crate::{
    Constraint, Engine, Limits, Map, Purpose, Rendered, Value, ValueSet, Version, Warning, template,
};

/// For whom a chart is rendered.
#[derive(Clone, Debug)]
pub struct RenderOptions {
    /// `.Release.Name`; the chart's name if there is none.
    pub release_name: Option<String>,
    /// `.Release.Namespace`.
    pub namespace: String,
    /// `.Capabilities.KubeVersion`.
    pub kube_version: KubeVersion,
    /// Entries of `.Capabilities.APIVersions` beyond Helm's defaults.
    pub api_versions: Vec<String>,
    /// The bounds.
    pub limits: Limits,
    /// When to give up.
    pub deadline: Option<Instant>,
    /// The operation on the release.
    pub operation: Operation,
    /// The result of `lookup`.
    pub lookup: Lookup,
    /// Whether the files in `crds/` are read.
    pub definitions: Definitions,
    /// Templates that were read before: renderings with clones of one set of options share them.
    pub parsed: TemplateCache,
}

/// Helm's operation on a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operation {
    /// `.Release.IsInstall`
    #[default]
    Install,
    /// `.Release.IsUpgrade`
    Upgrade,
}

/// The treatment of the files in `crds/`, which Helm applies as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Definitions {
    /// They are documents like others.
    #[default]
    Read,
    /// Only those that mention images are read.
    Search,
    /// They are skipped.
    Skip,
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
            operation: Operation::Install,
            lookup: Lookup::Nothing,
            definitions: Definitions::Read,
            parsed: TemplateCache::default(),
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
    /// The purpose of the rendering.
    pub purpose: Purpose,
    /// The objects that Kubernetes would get: resources, hooks, tests and definitions, without `NOTES.txt`.
    pub documents: Vec<Document>,
    /// The values as the templates saw them, those of the charts inside included.
    pub values: Map,
    /// Likely mistakes.
    pub warnings: Vec<Warning>,
    /// Documents that are rendered only when a switch is turned, as far as switches were tried.
    pub switched: Vec<Switched>,
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
    let prepared = Prepared::new(chart, values, options)?;
    Ok(prepared.render(chart, values, options, Tracing::Off)?.0)
}

/// A chart with values, ready to be rendered: the charts that take part, their values and templates.
pub(crate) struct Prepared {
    pub(crate) installed: Chart,
    /// The values as templates will see them. Renderings get copies, for they can change them.
    pub(crate) values: Map,
    /// The values as they were given.
    given: Map,
    program: Arc<Program>,
    warnings: BTreeSet<Warning>,
}

/// The result of one run over a chart's templates.
pub(crate) struct Run {
    pub(crate) documents: Vec<Document>,
    pub(crate) traces: Vec<FileTrace>,
    /// The values that templates saw, and may have changed.
    pub(crate) values: Map,
    pub(crate) roots: HashMap<String, Map>,
}

impl Prepared {
    /// Lays the values over the chart's own, switches charts on and off, and reads the templates.
    pub(crate) fn new(chart: &Chart, set: &ValueSet, options: &RenderOptions) -> Result<Self, RenderError> {
        let mut prepared = Self::again(chart, set, options)?;
        unknown_keys(chart, set, &options.limits, &mut prepared.warnings)?;
        Ok(prepared)
    }

    /// As [`Prepared::new`], for values whose files were looked at before.
    pub(crate) fn again(chart: &Chart, set: &ValueSet, options: &RenderOptions) -> Result<Self, RenderError> {
        if chart.metadata.is_library() {
            return Err(RenderError::Library);
        }
        let missing = chart.missing_dependencies();
        if !missing.is_empty() {
            return Err(RenderError::Missing(missing));
        }
        let mut warnings = BTreeSet::new();
        let given = set.merged(&options.limits)?;
        let mut installed = chart.clone();
        process(&mut installed, &given, &mut warnings).map_err(RenderError::NoTable)?;
        let values = given.lazy_copy();
        coalesce(&installed, &values, Nulls::Delete, &mut warnings).map_err(RenderError::NoTable)?;
        check_schemas(&installed, &values, "", &options.limits, &mut warnings)?;
        check_kube_version(&installed, &options.kube_version)?;
        let mut files = Vec::new();
        program_files(&installed, None, &mut files);
        let program = Program::read(files, &options.limits, &options.parsed)
            .map_err(|error| failed(error, &installed, &values))?;
        Ok(Self { installed, values, given, program: Arc::new(program), warnings })
    }

    /// Whether a file is among those that are rendered.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.program.has(name)
    }

    /// Renders all of it, and takes note of what is read.
    pub(crate) fn render_traced(
        &self,
        chart: &Chart,
        set: &ValueSet,
        options: &RenderOptions,
    ) -> Result<(Rendering, Run), RenderError> {
        self.render(chart, set, options, Tracing::On)
    }

    fn render(
        &self,
        chart: &Chart,
        set: &ValueSet,
        options: &RenderOptions,
        tracing: Tracing,
    ) -> Result<(Rendering, Run), RenderError> {
        let mut files = Vec::new();
        definitions(&self.installed, "", options, &mut files);
        // Templates can change the values that they see.
        let values = self.values.lazy_copy();
        let roots = roots(&self.installed, &values, options, &self.program.homes(&|_| true));
        let engine = Engine::of(&self.program, &roots, options.limits, &options.parsed, &|_| true);
        let count = files.len();
        let reading = Reading::new(options, &|_| false, files);
        let traces = std::thread::scope(|scope| {
            let open = reading.open();
            let render = || {
                let see = &mut |rendered| is_read(rendered).into_iter().for_each(|text| reading.leave(text));
                let traces = engine.render_here(options.deadline, options.lookup, tracing, see);
                drop(open);
                reading.work();
                traces
            };
            let thread = with_stack(scope, render)?;
            let more = threads().saturating_sub(2).min(count / FEW);
            (0..more).for_each(|_| drop(scope.spawn(|| reading.work())));
            reading.work();
            join(thread)
        });
        let [definitions, rendered] = reading.finish(count);
        let mut documents = definitions?;
        let traces = traces.map_err(|error| failed(error, &self.installed, &self.values))?;
        documents.append(&mut rendered?);
        let run = Run { documents: Vec::new(), traces, values, roots };
        let rendering = Rendering {
            value_set: set.name.clone(),
            purpose: set.purpose,
            documents,
            declared: declared(chart, &self.given).unwrap_or_else(|| self.values.clone()),
            values: self.values.clone(),
            warnings: self.warnings.iter().cloned().collect(),
            switched: Vec::new(),
            chart: self.installed.clone(),
        };
        Ok((rendering, run))
    }

    /// Renders the files that are `wanted` with `values`, which they can change. Documents that are `known`
    /// are passed over. Only on a thread of [`with_stack`]; no other takes part.
    pub(crate) fn run(
        &self,
        values: Map,
        options: &RenderOptions,
        wanted: &dyn Fn(&str) -> bool,
        known: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Run, RenderError> {
        let roots = roots(&self.installed, &values, options, &self.program.homes(wanted));
        let engine = Engine::of(&self.program, &roots, options.limits, &options.parsed, wanted);
        let reading = Reading::new(options, known, Vec::new());
        let see = &mut |rendered| is_read(rendered).iter().for_each(|text| reading.take(text));
        let traces = engine
            .render_here(options.deadline, options.lookup, Tracing::On, see)
            .map_err(|error| failed(error, &self.installed, &self.values))?;
        let [_, documents] = reading.finish(0);
        Ok(Run { documents: documents?, traces, values, roots })
    }
}

/// So few definitions are read by one thread.
const FEW: usize = 8;

/// What a template wrote, if it is for the cluster.
fn is_read(rendered: Rendered) -> Option<Text<'static>> {
    let Rendered { name, text } = rendered;
    let is_notes = name.ends_with("NOTES.txt");
    (!is_notes).then_some(Text { file: name, origin: Origin::Template, text: Cow::Owned(text) })
}

/// The values of all charts inside, whether they are switched on or not. Nothing if one that is
/// switched off has no table where its values belong.
fn declared(chart: &Chart, given: &Map) -> Option<Map> {
    let mut tree = chart.clone();
    name_all(&mut tree);
    let values = given.lazy_copy();
    coalesce(&tree, &values, Nulls::Delete, &mut BTreeSet::new()).ok()?;
    own_globals(&tree, &values, &values);
    Some(values)
}

/// Copies the charts' own `global` values to the top, where they can be set.
fn own_globals(chart: &Chart, values: &Map, top: &Map) {
    for below in &chart.dependencies {
        let Some(Value::Map(inner)) = values.get(&below.metadata.name) else { continue };
        if let Some(Value::Map(global)) = inner.get("global") {
            let copy = global.lazy_copy();
            let above = match top.get("global") {
                Some(Value::Map(above)) => above,
                Some(_) => continue,
                None => {
                    let above = Map::new();
                    top.insert("global", Value::Map(above.clone()));
                    above
                }
            };
            merge_tables(&above, &copy, Nulls::Keep, &mut BTreeSet::new());
        }
        own_globals(below, &inner, top);
    }
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
fn definitions<'a>(chart: &'a Chart, parent: &str, options: &RenderOptions, files: &mut Vec<Text<'a>>) {
    if options.definitions == Definitions::Skip {
        return;
    }
    let name = &chart.metadata.name;
    let path = if parent.is_empty() { name.clone() } else { format!("{parent}/charts/{name}") };
    let is_definition = |file: &&File| {
        let extension = file.name().rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        file.name().starts_with("crds/") && matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
    };
    for file in chart.extra.iter().filter(is_definition) {
        let text = String::from_utf8_lossy(file.data());
        let file = format!("{path}/{}", file.name());
        files.push(Text { file, origin: Origin::Definition, text });
    }
    chart.dependencies.iter().for_each(|below| definitions(below, &path, options, files));
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
