//! Plain manifests as a source: their images, and the charts that their objects name.
//! Takes documents; gives a [`Discovery`] as for a rendering, and [`NamedChart`]s of HelmChart, HelmRelease and
//! Application objects.

use super::rules::Rules;
use super::union::{Discovery, discover_rendered};
use crate::metadata::scalar_text;
use crate::render::label;
use crate::yaml::{YamlError, parse_documents, to_yaml};
use crate::{Document, Limits, Map, Origin, Value};

/// A chart that an object in a cluster installs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedChart {
    /// The object: `HelmRelease/web`.
    pub object: String,
    /// The file that it is in.
    pub file: String,
    /// The address of its repository, `https://…` or `oci://…`; nothing if that cannot be told.
    pub repository: Option<String>,
    /// The chart's name in it.
    pub name: String,
    /// The version or range; the newest if it says none.
    pub version: Option<String>,
    /// The values, as YAML.
    pub values: Option<String>,
    /// Further values as after Helm's `--set`.
    pub set: Vec<String>,
}

/// The documents of a file of manifests. Lists are taken apart.
///
/// # Errors
/// A document that is no YAML.
pub fn read_manifests(file: &str, text: &str, limits: &Limits) -> Result<Vec<Document>, YamlError> {
    let mut documents = Vec::new();
    // A file may be one JSON text, or several documents as `kustomize build` writes them.
    for value in parse_documents(text, limits)? {
        let whole = |value: Value, documents: &mut Vec<Document>| {
            documents.push(Document {
                file: file.to_owned(),
                origin: Origin::Template,
                text: String::new(),
                value,
            });
        };
        let items = match &value {
            Value::Map(map) if text_of(map, "kind").as_deref() == Some("List") => map.get("items"),
            _ => None,
        };
        match items {
            Some(Value::List(items)) => items.iter().for_each(|item| whole(item.clone(), &mut documents)),
            _ => whole(value, &mut documents),
        }
    }
    for document in &mut documents {
        let kind = document.value.as_map().and_then(|map| text_of(map, "kind"));
        if kind.as_deref() == Some("CustomResourceDefinition") {
            document.origin = Origin::Definition;
        }
    }
    Ok(documents)
}

/// The images of manifests: a cluster gets them as they are.
pub fn discover_manifests(documents: &[Document], rules: &Rules, limits: &Limits) -> Discovery {
    discover_rendered(documents, rules, limits)
}

/// The charts that objects in manifests install, in their order.
pub fn named_charts(documents: &[Document]) -> Vec<NamedChart> {
    let objects: Vec<(&Document, &Map)> =
        documents.iter().filter_map(|document| Some((document, document.value.as_map()?))).collect();
    objects.iter().flat_map(|(document, object)| of_object(document, object, &objects)).collect()
}

fn of_object(document: &Document, object: &Map, all: &[(&Document, &Map)]) -> Vec<NamedChart> {
    let group = text_of(object, "apiVersion").unwrap_or_default();
    let group = group.split('/').next().unwrap_or_default();
    let kind = text_of(object, "kind").unwrap_or_default();
    let Some(spec) = map_of(object, "spec") else { return Vec::new() };
    let chart = |repository: Option<String>, name: String, version: Option<String>| NamedChart {
        object: label(object),
        file: document.file.clone(),
        repository,
        name,
        version,
        values: None,
        set: Vec::new(),
    };
    match (group, kind.as_str()) {
        ("helm.cattle.io", "HelmChart") => {
            let Some(name) = text_of(&spec, "chart") else { return Vec::new() };
            let (repository, name) = match name.strip_prefix("oci://").and_then(|path| path.rsplit_once('/'))
            {
                Some((path, name)) => (Some(format!("oci://{path}")), name.to_owned()),
                None => (text_of(&spec, "repo"), name),
            };
            let mut found = chart(repository, name, text_of(&spec, "version"));
            found.values = text_of(&spec, "valuesContent");
            found.set = sets(map_of(&spec, "set"));
            vec![found]
        }
        ("helm.toolkit.fluxcd.io", "HelmRelease") => {
            let values = spec.get("values").and_then(|values| to_yaml(&values).ok());
            let inner = map_of(&spec, "chart").and_then(|chart| map_of(&chart, "spec"));
            let source = |reference: &Map| {
                let (kind, name) = (text_of(reference, "kind")?, text_of(reference, "name")?);
                let is_it = |object: &Map| {
                    let metadata = map_of(object, "metadata");
                    text_of(object, "kind").as_ref() == Some(&kind)
                        && metadata.and_then(|metadata| text_of(&metadata, "name")).as_ref() == Some(&name)
                };
                all.iter()
                    .map(|(_, object)| *object)
                    .find(|object| is_it(object))
                    .and_then(|it| map_of(it, "spec"))
            };
            let mut found = if let Some(inner) = inner {
                let Some(name) = text_of(&inner, "chart") else { return Vec::new() };
                let repository = map_of(&inner, "sourceRef").and_then(|reference| source(&reference));
                chart(repository.and_then(|spec| text_of(&spec, "url")), name, text_of(&inner, "version"))
            } else {
                let Some(reference) = map_of(&spec, "chartRef") else { return Vec::new() };
                let from = source(&reference);
                let address = from.as_ref().and_then(|spec| text_of(spec, "url"));
                let version = from.as_ref().and_then(|spec| map_of(spec, "ref")).and_then(|reference| {
                    text_of(&reference, "tag").or_else(|| text_of(&reference, "semver"))
                });
                match address.as_deref().and_then(|address| address.rsplit_once('/')) {
                    Some((place, name)) => chart(Some(place.to_owned()), name.to_owned(), version),
                    None => chart(None, text_of(&reference, "name").unwrap_or_default(), version),
                }
            };
            found.values = values;
            vec![found]
        }
        ("argoproj.io", "Application" | "ApplicationSet") => {
            let spec = match map_of(&spec, "template").and_then(|template| map_of(&template, "spec")) {
                Some(inner) => inner,
                None => spec,
            };
            let mut sources: Vec<Map> = map_of(&spec, "source").into_iter().collect();
            if let Some(Value::List(list)) = spec.get("sources") {
                sources.extend(list.iter().filter_map(Value::as_map).cloned());
            }
            sources
                .iter()
                .filter_map(|source| {
                    let name = text_of(source, "chart")?;
                    let repository =
                        text_of(source, "repoURL").map(|address| match address.contains("://") {
                            true => address,
                            false => format!("oci://{address}"),
                        });
                    let mut found = chart(repository, name, text_of(source, "targetRevision"));
                    if let Some(helm) = map_of(source, "helm") {
                        found.values = text_of(&helm, "values")
                            .or_else(|| helm.get("valuesObject").and_then(|values| to_yaml(&values).ok()));
                        if let Some(Value::List(list)) = helm.get("parameters") {
                            found.set.extend(list.iter().filter_map(|item| {
                                let item = item.as_map()?;
                                set(&text_of(item, "name")?, &text_of(item, "value")?)
                            }));
                        }
                    }
                    Some(found)
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The argument of `--set`, with commas escaped: a comma would start another value.
fn set(name: &str, value: &str) -> Option<String> {
    (!name.is_empty()).then(|| format!("{name}={}", value.replace('\\', "\\\\").replace(',', "\\,")))
}

fn sets(map: Option<Map>) -> Vec<String> {
    let entries = map.map(|map| map.entries()).unwrap_or_default();
    entries.iter().filter_map(|(name, value)| set(name, &scalar_text(value)?)).collect()
}

fn text_of(map: &Map, key: &str) -> Option<String> {
    map.get(key).and_then(|value| scalar_text(&value)).filter(|text| !text.is_empty() && !text.contains("{{"))
}

fn map_of(map: &Map, key: &str) -> Option<Map> {
    map.get(key).and_then(|value| value.as_map().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Document> {
        read_manifests("x.yaml", text, &Limits::DEFAULT).unwrap()
    }

    #[test]
    fn images_of_manifests_are_those_of_a_rendering() {
        let text = "kind: List\napiVersion: v1\nitems:\n- {kind: Pod, spec: {containers: [{image: 'a/b:1'}]}}\n---\napiVersion: a.example/v1\nkind: Policy\nmetadata: {name: p}\nspec: {driver: {repository: nvcr.io/x, image: driver, version: '5'}}\n---\nimages: [{name: a/c, newName: quay.io/x/c, newTag: v2}]\nkind: Kustomization\n";
        let found = discover_manifests(&read(text), &Rules::default().with_shipped(), &Limits::DEFAULT);
        let found: Vec<String> =
            found.finds.iter().map(|find| format!("{:?} {}", find.grade, find.reference)).collect();
        assert!(found.contains(&"Rendered docker.io/a/b:1".to_owned()), "{found:?}");
        assert!(found.contains(&"Rendered nvcr.io/x/driver:5".to_owned()), "{found:?}");
        assert!(found.contains(&"Rendered quay.io/x/c:v2".to_owned()), "{found:?}");
    }

    #[test]
    fn objects_that_install_charts_name_them_with_their_values() {
        let text = "
apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata: {name: k3s}
spec: {chart: web, repo: 'https://charts.example', version: 1.2.0, set: {a.b: 1}, valuesContent: 'x: 1'}
---
apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata: {name: oci}
spec: {chart: 'oci://registry.example/charts/web'}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: repo}
spec: {url: 'https://flux.example'}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: image}
spec: {url: 'oci://ghcr.io/org/app', ref: {tag: 2.0.0}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: flux}
spec: {chart: {spec: {chart: app, version: 1.x, sourceRef: {kind: HelmRepository, name: repo}}}, values: {w: 2}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: by-ref}
spec: {chartRef: {kind: OCIRepository, name: image}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: argo}
spec:
  sources:
  - {repoURL: registry.example/charts, chart: one, targetRevision: 3.0.0, helm: {valuesObject: {z: 3}, parameters: [{name: p, value: 'a,b'}]}}
  - {repoURL: 'https://git.example/x.git', path: deploy}
";
        let found: Vec<String> = named_charts(&read(text))
            .iter()
            .map(|chart| {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                format!(
                    "{} {} {} {} [{}] {}",
                    chart.object,
                    text(&chart.repository),
                    chart.name,
                    text(&chart.version),
                    text(&chart.values).trim(),
                    chart.set.join(" ")
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                "HelmChart/k3s https://charts.example web 1.2.0 [x: 1] a.b=1",
                "HelmChart/oci oci://registry.example/charts web  [] ",
                "HelmRelease/flux https://flux.example app 1.x [w: 2] ",
                "HelmRelease/by-ref oci://ghcr.io/org app 2.0.0 [] ",
                "Application/argo oci://registry.example/charts one 3.0.0 [z: 3] p=a\\,b",
            ]
        );
    }
}
