//! The value of `.` for templates: `.Values`, `.Chart`, `.Release`, `.Capabilities`, `.Files`. Takes a chart
//! and its values; gives the sources of all templates.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::capabilities::capabilities;
use super::rendering::{Operation, RenderOptions};
use crate::chart::Chart;
use crate::template::ProgramFile;
use crate::values::table_of;
use crate::{
    Dependency, Field, ImportValues, List, ListType, Maintainer, Map, MapType, Metadata, Struct, Value,
};

/// The value of `.` for the templates of charts, by their full paths (helm, pkg/engine/engine.go,
/// recAllTpls): of those in `homes` and, as they see them in `.Subcharts`, of the charts inside them.
pub(super) fn roots(
    chart: &Chart,
    values: &Map,
    options: &RenderOptions,
    homes: &BTreeSet<&str>,
) -> HashMap<String, Map> {
    let top = Map::new();
    top.insert("Values", Value::Map(values.as_type(MapType::Values)));
    top.insert("Capabilities", capabilities(&options.kube_version, &options.api_versions));
    let is_upgrade = options.operation == Operation::Upgrade;
    top.insert(
        "Release",
        Value::Map(Map::from_iter([
            ("Name", Value::from(options.release_name(chart))),
            ("Namespace", Value::from(options.namespace.as_str())),
            ("IsUpgrade", Value::Bool(is_upgrade)),
            ("IsInstall", Value::Bool(!is_upgrade)),
            ("Revision", Value::int(1 + i64::from(is_upgrade))),
            ("Service", Value::from("Helm")),
        ])),
    );
    let mut roots = HashMap::new();
    let mut is_wanted = |path: &str| {
        let below = format!("{path}/");
        let is_around = homes.range(below.as_str()..).next().is_some_and(|home| home.starts_with(&below));
        is_around || homes.contains(path) || above(path).any(|path| homes.contains(path))
    };
    collect(chart, &top, None, &mut is_wanted, &mut roots);
    roots
}

/// The paths of the charts around a chart.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices("/charts/").filter_map(|(at, _)| path.get(..at))
}

/// Gives what `.` is for the chart's templates. `parent` is the full path of the chart around it.
fn collect(
    chart: &Chart,
    above: &Map,
    parent: Option<&str>,
    is_wanted: &mut dyn FnMut(&str) -> bool,
    roots: &mut HashMap<String, Map>,
) -> Map {
    let name = &chart.metadata.name;
    let path = path_of(chart, parent);
    let values = match parent {
        None => above.get("Values"),
        Some(_) => table_of(above, &format!("Values.{name}"))
            .map(|values| Value::Map(values.as_type(MapType::Values))),
    };
    let files = Map::with_type(MapType::Files);
    for file in &chart.extra {
        files.insert(file.name(), Value::Bytes(file.shared_data()));
    }
    let charts = Map::new();
    let root = Map::from_iter([
        ("Chart", chart_object(&chart.metadata, parent.is_none())),
        ("Files", Value::Map(files)),
        ("Release", above.get("Release").unwrap_or_default()),
        ("Capabilities", above.get("Capabilities").unwrap_or_default()),
        ("Values", values.unwrap_or_else(|| Value::Map(Map::with_type(MapType::Values)))),
        ("Subcharts", Value::Map(charts.clone())),
    ]);
    for below in &chart.dependencies {
        if !is_wanted(&path_of(below, Some(&path))) {
            continue;
        }
        let inner = collect(below, &root, Some(&path), is_wanted, roots);
        charts.insert(below.metadata.name.as_str(), Value::Map(inner));
    }
    roots.insert(path, root.clone());
    root
}

fn path_of(chart: &Chart, parent: Option<&str>) -> String {
    let name = &chart.metadata.name;
    parent.map_or_else(|| name.clone(), |parent| format!("{parent}/charts/{name}"))
}

/// The template files of a chart and of the charts inside it.
pub(super) fn program_files(chart: &Chart, parent: Option<&str>, files: &mut Vec<ProgramFile>) {
    let path = path_of(chart, parent);
    for below in &chart.dependencies {
        program_files(below, Some(&path), files);
    }
    for template in &chart.templates {
        let file = template.name().rsplit('/').next().unwrap_or_default();
        // A library has nothing but named templates.
        if chart.metadata.is_library() && !file.starts_with('_') {
            continue;
        }
        files.push(ProgramFile {
            name: format!("{path}/{}", template.name()),
            file: template.clone(),
            chart: path.clone(),
        });
    }
}

/// `.Chart`.
fn chart_object(metadata: &Metadata, is_root: bool) -> Value {
    let embedded = Field {
        name: "Metadata",
        json: "Metadata",
        omit_empty: false,
        embedded: true,
        value: metadata_object(metadata),
    };
    let root = Field {
        name: "IsRoot",
        json: "IsRoot",
        omit_empty: false,
        embedded: false,
        value: Value::Bool(is_root),
    };
    structure("struct { chart.Metadata; IsRoot bool }", vec![embedded, root])
}

fn metadata_object(metadata: &Metadata) -> Value {
    let text = |text: &String| Value::from(text.as_str());
    let texts = |texts: &Vec<String>| Value::strings(texts.iter().map(String::as_str));
    let annotations = Map::with_type(MapType::String);
    for (key, value) in &metadata.annotations {
        annotations.insert(key.as_str(), text(value));
    }
    let maintainers: Vec<Value> = metadata.maintainers.iter().map(maintainer_object).collect();
    let dependencies: Vec<Value> = metadata.dependencies.iter().map(dependency_object).collect();
    let named = |items: Vec<Value>, name| Value::List(List::new(items, ListType::Named(name)));
    structure(
        "chart.Metadata",
        vec![
            optional("Name", "name", text(&metadata.name)),
            optional("Home", "home", text(&metadata.home)),
            optional("Sources", "sources", texts(&metadata.sources)),
            optional("Version", "version", text(&metadata.version)),
            optional("Description", "description", text(&metadata.description)),
            optional("Keywords", "keywords", texts(&metadata.keywords)),
            optional("Maintainers", "maintainers", named(maintainers, "[]*chart.Maintainer")),
            optional("Icon", "icon", text(&metadata.icon)),
            optional("APIVersion", "apiVersion", text(&metadata.api_version)),
            optional("Condition", "condition", text(&metadata.condition)),
            optional("Tags", "tags", text(&metadata.tags)),
            optional("AppVersion", "appVersion", text(&metadata.app_version)),
            optional("Deprecated", "deprecated", Value::Bool(metadata.deprecated)),
            optional("Annotations", "annotations", Value::Map(annotations)),
            optional("KubeVersion", "kubeVersion", text(&metadata.kube_version)),
            optional("Dependencies", "dependencies", named(dependencies, "[]*chart.Dependency")),
            optional("Type", "type", text(&metadata.chart_type)),
        ],
    )
}

fn maintainer_object(maintainer: &Maintainer) -> Value {
    structure(
        "*chart.Maintainer",
        vec![
            optional("Name", "name", Value::from(maintainer.name.as_str())),
            optional("Email", "email", Value::from(maintainer.email.as_str())),
            optional("URL", "url", Value::from(maintainer.url.as_str())),
        ],
    )
}

fn dependency_object(dependency: &Dependency) -> Value {
    let text = |text: &String| Value::from(text.as_str());
    let imports: Vec<Value> = dependency
        .import_values
        .iter()
        .map(|entry| {
            let (child, parent) = match entry {
                ImportValues::Export(name) => (format!("exports.{name}"), ".".to_owned()),
                ImportValues::Table { child, parent } => (child.clone(), parent.clone()),
            };
            let map = Map::with_type(MapType::String);
            map.insert("child", Value::from(child));
            map.insert("parent", Value::from(parent));
            Value::Map(map)
        })
        .collect();
    let always = |name, json, value| Field { omit_empty: false, ..optional(name, json, value) };
    structure(
        "*chart.Dependency",
        vec![
            always("Name", "name", text(&dependency.name)),
            optional("Version", "version", text(&dependency.version)),
            always("Repository", "repository", text(&dependency.repository)),
            optional("Condition", "condition", text(&dependency.condition)),
            optional("Tags", "tags", Value::strings(dependency.tags.iter().map(String::as_str))),
            optional("Enabled", "enabled", Value::Bool(dependency.enabled)),
            optional("ImportValues", "import-values", Value::list(imports)),
            optional("Alias", "alias", text(&dependency.alias)),
        ],
    )
}

/// A field that JSON leaves out when it is empty.
const fn optional(name: &'static str, json: &'static str, value: Value) -> Field {
    Field { name, json, omit_empty: true, embedded: false, value }
}

fn structure(type_name: &'static str, fields: Vec<Field>) -> Value {
    Value::Struct(Arc::new(Struct { type_name, fields }))
}
