//! All images of a chart from its renderings, values and annotations.
//! Takes renderings; gives a [`Discovery`]: each image once, with all its places.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bundle_oci::Reference;

use super::annotation::listed;
use super::find::{Certainty, Find, Place};
use super::group::Group;
use super::walk::{Declared, Unreadable, declared, sightings};
use crate::chart::Chart;
use crate::dependency::name_all;
use crate::{Limits, Map, Purpose, Rendering, Value, Warning};

/// All images of a chart, and what was left unclear.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// The images, in the order of their names.
    pub finds: Vec<Find>,
    /// What names an image and cannot be told for certain.
    pub warnings: Vec<Warning>,
}

/// Finds every image that a chart can ask for: in what it renders, in its values whether a
/// rendering used them or not, and in its annotations.
///
/// ```
/// # use std::fs;
/// # let directory = tempfile::tempdir()?;
/// # fs::create_dir(directory.path().join("templates"))?;
/// # fs::write(directory.path().join("Chart.yaml"), "name: web\nversion: 1.2.0\n")?;
/// # fs::write(directory.path().join("values.yaml"), "metrics: {enabled: false, image: {repository: a/exporter, tag: v1}}\n")?;
/// # fs::write(directory.path().join("templates/pod.yaml"), "kind: Pod\nspec: {containers: [{image: 'nginx:1.25'}]}\n")?;
/// use bundle_chart::{Certainty, Chart, Limits, RenderOptions, ValueSet, discover, render};
/// let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT)?;
/// let rendering = render(&chart, &ValueSet::defaults(), &RenderOptions::default())?;
/// let discovery = discover(&chart, &[rendering], &Limits::DEFAULT);
/// let [exporter, nginx] = &discovery.finds[..] else { panic!() };
/// assert_eq!(exporter.reference.to_string(), "docker.io/a/exporter:v1");
/// assert!(!exporter.is_rendered());
/// assert_eq!(nginx.certainty, Certainty::Certain);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn discover(chart: &Chart, renderings: &[Rendering], limits: &Limits) -> Discovery {
    let mut tree = chart.clone();
    name_all(&mut tree);
    let charts = charts_of(&tree);
    let mut union = Union::of(renderings, &charts, limits);
    union.unused(&charts);
    let installed = |path: &str| {
        let mut real = renderings.iter().filter(|rendering| rendering.purpose != Purpose::Trial);
        real.any(|rendering| is_installed(&rendering.chart, path))
    };
    for listed in listed(&tree, "", limits, &mut union.warnings) {
        let certainty = if installed(&listed.chart) { Certainty::Certain } else { Certainty::Probable };
        let place = Place::Annotation { chart: listed.chart, key: listed.key };
        union.add(listed.reference, certainty, place);
    }
    Discovery { finds: union.finds.into_values().collect(), warnings: union.warnings.into_iter().collect() }
}

/// The groups whose images are not clear from renderings: their paths, and the value sets that have
/// them.
pub(super) fn unclear(
    chart: &Chart,
    renderings: &[Rendering],
    limits: &Limits,
) -> BTreeSet<(String, String)> {
    let mut tree = chart.clone();
    name_all(&mut tree);
    let charts = charts_of(&tree);
    let union = Union::of(renderings, &charts, limits);
    let is_unclear = |path: &str, group: &Group| {
        let prefixed = || union.prefixes.contains_key(owner_of(path, &charts));
        group.reference().is_none() || group.has_no_registry() && prefixed()
    };
    let unclear = union.unused.iter().filter(|((path, _), (group, _))| is_unclear(path, group));
    unclear.flat_map(|((path, _), (_, sets))| sets.iter().map(|set| (path.clone(), set.clone()))).collect()
}

#[derive(Default)]
struct Union {
    finds: BTreeMap<Reference, Find>,
    /// Groups that no rendering used, by their path and name, with the value sets that have them.
    unused: BTreeMap<(String, String), (Group, BTreeSet<String>)>,
    /// How charts make a tag of their `appVersion`, as far as renderings show it.
    forms: BTreeMap<String, BTreeSet<Form>>,
    /// What charts put before names that say no registry, as far as renderings show it.
    prefixes: BTreeMap<String, BTreeSet<String>>,
    /// What trials rendered.
    tried: BTreeSet<Reference>,
    warnings: BTreeSet<Warning>,
}

/// How a tag is made of an `appVersion`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Same,
    WithV,
    WithoutV,
}

impl Form {
    const ALL: [Self; 3] = [Self::Same, Self::WithV, Self::WithoutV];

    fn tag(self, version: &str) -> Option<String> {
        match self {
            Self::Same => Some(version.to_owned()),
            Self::WithV => (!version.starts_with('v')).then(|| format!("v{version}")),
            Self::WithoutV => version.strip_prefix('v').map(str::to_owned),
        }
    }
}

impl Union {
    /// What renderings show, before anything is guessed.
    fn of(renderings: &[Rendering], charts: &BTreeMap<String, &Chart>, limits: &Limits) -> Self {
        let mut union = Self::default();
        let (trials, real): (Vec<_>, Vec<_>) =
            renderings.iter().partition(|rendering| rendering.purpose == Purpose::Trial);
        let mut known = HashSet::new();
        for rendering in &real {
            union.documents(rendering, limits);
            known.extend(rendering.documents.iter().map(|document| document.text.as_str()));
        }
        for document in trials.iter().flat_map(|trial| &trial.documents) {
            // Most of what a trial renders is known.
            if known.insert(document.text.as_str()) {
                union.tried.extend(sightings(document, limits).0.into_iter().map(|seen| seen.reference));
            }
        }
        for rendering in real {
            union.values(rendering, charts, limits);
        }
        union
    }

    fn add(&mut self, reference: Reference, certainty: Certainty, mut place: Place) {
        let find = self.finds.entry(reference.clone()).or_insert_with(|| Find {
            reference,
            certainty,
            places: BTreeSet::new(),
        });
        find.certainty = find.certainty.min(certainty);
        // One place under several value sets is one place.
        let known = find.places.iter().find(|known| known.key() == place.key()).cloned();
        if let Some(mut known) = known {
            find.places.remove(&known);
            if let (Some(known), Some(further)) = (known.value_sets(), place.value_sets()) {
                further.append(known);
            }
        }
        find.places.insert(place);
    }

    fn documents(&mut self, rendering: &Rendering, limits: &Limits) {
        for document in &rendering.documents {
            let (seen, unreadable) = sightings(document, limits);
            for Unreadable { text, document: label, path } in unreadable {
                let file = document.file.clone();
                self.warnings.insert(Warning::Unreadable { file, document: label, path, text });
            }
            for seen in seen {
                let certainty = match rendering.purpose {
                    Purpose::Install => seen.certainty,
                    Purpose::Discovery | Purpose::Trial => Certainty::Probable,
                };
                let place = Place::Document {
                    file: document.file.clone(),
                    document: seen.document,
                    path: seen.path,
                    value_sets: BTreeSet::from([rendering.value_set.clone()]),
                };
                self.add(seen.reference, certainty, place);
            }
        }
    }

    fn values(&mut self, rendering: &Rendering, charts: &BTreeMap<String, &Chart>, limits: &Limits) {
        let inherited = inherited(charts.keys());
        let replaced = replaced_registries(&rendering.values);
        let rendered: Vec<Reference> = self
            .finds
            .values()
            .filter(|find| find.is_rendered())
            .map(|find| find.reference.clone())
            .collect();
        for Declared { group, path, .. } in declared(&rendering.declared, &inherited, limits) {
            let is_behind = |reference: &&Reference| {
                let elsewhere = group.has_no_registry() || replaced.contains(reference.registry().as_str());
                group.is_behind(reference) || elsewhere && group.is_behind_elsewhere(reference)
            };
            let behind: Vec<&Reference> = rendered.iter().filter(is_behind).collect();
            let place = || Place::Value {
                path: path.clone(),
                value_sets: BTreeSet::from([rendering.value_set.clone()]),
            };
            let owner = owner_of(&path, charts);
            for reference in &behind {
                self.learn(&group, owner, charts, reference);
                self.add((*reference).clone(), Certainty::Probable, place());
            }
            if behind.is_empty() {
                let key = (path, group.name().to_owned());
                let entry = self.unused.entry(key).or_insert_with(|| (group, BTreeSet::new()));
                entry.1.insert(rendering.value_set.clone());
            }
        }
    }

    /// Learns from a rendered image how its chart fills in what the values leave out.
    fn learn(&mut self, group: &Group, owner: &str, charts: &BTreeMap<String, &Chart>, rendered: &Reference) {
        if group.has_no_registry()
            && let Some(prefix) = group.prefix_in(rendered)
        {
            self.prefixes.entry(owner.to_owned()).or_default().insert(prefix);
        }
        if let (None, Some(tag)) = (group.reference(), rendered.tag()) {
            let version = version_of(owner, charts);
            let form = Form::ALL.into_iter().find(|form| form.tag(version).as_deref() == Some(tag.as_str()));
            self.forms.entry(owner.to_owned()).or_default().extend(form);
        }
    }

    /// Names the images that no rendering used. What their charts would fill in is what trials
    /// show; else it is guessed, as they did it elsewhere, or in every way.
    fn unused(&mut self, charts: &BTreeMap<String, &Chart>) {
        for ((path, name), (group, value_sets)) in std::mem::take(&mut self.unused) {
            let is_behind = |tried: &&Reference| {
                group.is_behind(tried) || group.has_no_registry() && group.is_behind_elsewhere(tried)
            };
            let tried: Vec<Reference> = self.tried.iter().filter(is_behind).cloned().collect();
            if !tried.is_empty() {
                for reference in tried {
                    let place = Place::Value { path: path.clone(), value_sets: value_sets.clone() };
                    self.add(reference, Certainty::Probable, place);
                }
                continue;
            }
            let owner = owner_of(&path, charts);
            let mut groups = vec![group];
            if groups[0].has_no_registry() {
                let prefixes = self.prefixes.get(owner).into_iter().flatten();
                groups.extend(prefixes.map(|prefix| groups[0].under(prefix)).collect::<Vec<_>>());
            }
            let version = version_of(owner, charts);
            let known = self.forms.get(owner).filter(|forms| !forms.is_empty());
            let forms: Vec<Form> = known.map_or(Form::ALL.to_vec(), |forms| forms.iter().copied().collect());
            let mut references = BTreeSet::new();
            for group in &groups {
                match group.reference() {
                    Some(reference) => references.extend([reference]),
                    None if version.is_empty() => {}
                    None => {
                        let tags = forms.iter().filter_map(|form| form.tag(version));
                        references.extend(tags.filter_map(|tag| group.with_tag(&tag)));
                    }
                }
            }
            if references.is_empty() {
                self.warnings.insert(Warning::Untagged { path, name });
                continue;
            }
            for reference in references {
                let place = Place::Value { path: path.clone(), value_sets: value_sets.clone() };
                self.add(reference, Certainty::Probable, place);
            }
        }
    }
}

/// All images that a rendering's values declare.
pub(crate) fn declared_in(chart: &Chart, rendering: &Rendering, limits: &Limits) -> Vec<Declared> {
    let mut tree = chart.clone();
    name_all(&mut tree);
    declared(&rendering.declared, &inherited(charts_of(&tree).keys()), limits)
}

/// The paths at which charts inside see what is global, which is said at the top.
fn inherited<'a>(charts: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    charts.filter(|path| !path.is_empty()).map(|path| format!("{path}.global")).collect()
}

/// The charts of a tree by the path of their values; the top one's is empty.
fn charts_of(chart: &Chart) -> BTreeMap<String, &Chart> {
    fn enter<'a>(chart: &'a Chart, path: &str, charts: &mut BTreeMap<String, &'a Chart>) {
        charts.insert(path.to_owned(), chart);
        for below in &chart.dependencies {
            let name = &below.metadata.name;
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            enter(below, &path, charts);
        }
    }
    let mut charts = BTreeMap::new();
    enter(chart, "", &mut charts);
    charts
}

/// The path of the chart whose values a path is in.
fn owner_of<'a>(path: &'a str, charts: &BTreeMap<String, &Chart>) -> &'a str {
    let ends = [path.len()].into_iter().chain(path.rmatch_indices('.').map(|(at, _)| at));
    ends.filter_map(|end| path.get(..end)).find(|prefix| charts.contains_key(*prefix)).unwrap_or("")
}

/// The `appVersion` of a chart, or of the next one around it that has one.
fn version_of<'a>(owner: &str, charts: &BTreeMap<String, &'a Chart>) -> &'a str {
    let mut owner = owner;
    loop {
        let version = charts.get(owner).map_or("", |chart| chart.metadata.app_version.as_str());
        if !version.is_empty() || owner.is_empty() {
            return version;
        }
        owner = owner.rsplit_once('.').map_or("", |(above, _)| above);
    }
}

/// Whether the chart at a path that starts with the top chart's name takes part.
fn is_installed(chart: &Chart, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    chart.metadata.name == first
        && rest.is_none_or(|rest| chart.dependencies.iter().any(|below| is_installed(below, rest)))
}

/// Registries that stand for all others: `global.imageRegistry` and the like.
fn replaced_registries(values: &Map) -> BTreeSet<String> {
    fn enter(map: &Map, registries: &mut BTreeSet<String>, depth: usize) {
        for (key, value) in map.entries() {
            match value {
                Value::String(text) if key.to_ascii_lowercase().contains("registry") => {
                    registries
                        .extend(text.split('/').next().filter(|host| !host.is_empty()).map(str::to_owned));
                }
                Value::Map(inner) if depth > 0 => enter(&inner, registries, depth - 1),
                _ => {}
            }
        }
    }
    let mut registries = BTreeSet::new();
    if let Some(Value::Map(global)) = values.get("global") {
        enter(&global, &mut registries, 2);
    }
    registries
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{RenderOptions, ValueSet, render};

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    /// The finds of a chart under value sets, each as `certainty [*]reference`, with a star if it was
    /// rendered.
    fn finds(files: &[(&str, &str)], sets: &[ValueSet]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), files);
        let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap();
        let renderings: Vec<Rendering> =
            sets.iter().map(|set| render(&chart, set, &RenderOptions::default()).unwrap()).collect();
        let line = |find: &Find| {
            let star = if find.is_rendered() { "*" } else { "" };
            format!("{:?} {star}{}", find.certainty, find.reference)
        };
        discover(&chart, &renderings, &Limits::DEFAULT).finds.iter().map(line).collect()
    }

    fn set(name: &str, expression: &str) -> ValueSet {
        ValueSet { name: name.to_owned(), set: vec![expression.to_owned()], ..ValueSet::default() }
    }

    const POD: &str = "{{- if .Values.run }}\n{kind: Pod, metadata: {name: a}, spec: {containers: [{image: \"{{ .Values.image.repository }}:{{ .Values.image.tag | default (printf \"v%s\" .Chart.AppVersion) }}\"}]}}\n{{- end }}\n";

    const CHART: &str = "apiVersion: v2\nname: top\nversion: 1.0.0\nappVersion: \"3.1\"\n";

    #[test]
    fn values_are_found_whether_a_rendering_used_them_or_not() {
        let values = "run: true\nimage: {repository: a/web, tag: '1'}\nexporter: {image: {registry: quay.io, repository: a/exporter, tag: '2'}}\nhelper: busybox:1.36.1\n";
        let files = [("Chart.yaml", CHART), ("values.yaml", values), ("templates/pod.yaml", POD)];
        assert_eq!(
            finds(&files, &[ValueSet::defaults()]),
            [
                "Certain *docker.io/a/web:1",
                "Probable docker.io/library/busybox:1.36.1",
                "Probable quay.io/a/exporter:2",
            ]
        );
        assert_eq!(finds(&files, &[set("off", "run=false")])[0], "Probable docker.io/a/web:1");
    }

    #[test]
    fn tags_that_a_chart_fills_in_are_guessed_as_it_fills_in_others() {
        let values = |on: bool| {
            format!(
                "run: {on}\nimage: {{repository: a/web, tag: ''}}\nother: {{image: {{repository: a/other}}}}\n"
            )
        };
        let (on, off) = (values(true), values(false));
        let files = |values| [("Chart.yaml", CHART), ("values.yaml", values), ("templates/pod.yaml", POD)];
        assert_eq!(
            finds(&files(&on), &[ValueSet::defaults()]),
            ["Probable docker.io/a/other:v3.1", "Certain *docker.io/a/web:v3.1"]
        );
        // Nothing shows how: both are asked for.
        assert_eq!(
            finds(&files(&off), &[ValueSet::defaults()]),
            [
                "Probable docker.io/a/other:3.1",
                "Probable docker.io/a/other:v3.1",
                "Probable docker.io/a/web:3.1",
                "Probable docker.io/a/web:v3.1",
            ]
        );
    }

    #[test]
    fn a_trial_shows_what_a_chart_fills_in_and_gives_no_further_image() {
        let values = "run: true\nimage: {repository: a/web, tag: '1'}\njob: {enabled: false, tool: {repository: a/tool, tag: ''}}\n";
        let job = "{{- if .Values.job.enabled }}\n{kind: Pod, spec: {containers: [{image: \"{{ .Values.job.tool.repository }}:k{{ .Capabilities.KubeVersion.Minor }}\"}, {image: 'a/other:1'}]}}\n{{- end }}\n";
        let files = [
            ("Chart.yaml", CHART),
            ("values.yaml", values),
            ("templates/pod.yaml", POD),
            ("templates/job.yaml", job),
        ];
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &files);
        let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap();
        let options = RenderOptions::default();
        let mut renderings = vec![render(&chart, &ValueSet::defaults(), &options).unwrap()];
        let wanted = crate::trials(&chart, &renderings, &Limits::DEFAULT);
        let trial = wanted.into_iter().next().unwrap();
        assert_eq!(
            (trial.value_set.as_str(), &trial.set[..]),
            ("defaults", &["job.enabled=true".to_owned()][..])
        );
        let set = ValueSet { purpose: Purpose::Trial, set: trial.set, ..ValueSet::defaults() };
        renderings.push(render(&chart, &set, &options).unwrap());
        let finds = discover(&chart, &renderings, &Limits::DEFAULT).finds;
        let seen: Vec<String> = finds.iter().map(|find| find.reference.to_string()).collect();
        assert_eq!(seen, ["docker.io/a/tool:k37", "docker.io/a/web:1"]);
        assert_eq!((finds[0].certainty, finds[0].is_rendered()), (Certainty::Probable, false));
    }

    #[test]
    fn what_is_rendered_only_to_see_is_probable() {
        let values = "run: true\nimage: {repository: a/web, tag: '1'}\n";
        let files = [("Chart.yaml", CHART), ("values.yaml", values), ("templates/pod.yaml", POD)];
        let looked_into = ValueSet { purpose: Purpose::Discovery, ..ValueSet::defaults() };
        assert_eq!(
            finds(&files, &[looked_into, set("values", "image.repository=b/web")]),
            ["Probable *docker.io/a/web:1", "Certain *docker.io/b/web:1"]
        );
    }

    #[test]
    fn what_a_chart_puts_before_names_is_put_before_others_too() {
        let values = "run: true\nhub: quay.io/org\nimage: {repository: web, tag: '1'}\nother: {image: {repository: other, tag: '2'}}\n";
        let pod = "{kind: Pod, spec: {containers: [{image: \"{{ .Values.hub }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}\"}]}}";
        let files = [("Chart.yaml", CHART), ("values.yaml", values), ("templates/pod.yaml", pod)];
        assert_eq!(
            finds(&files, &[ValueSet::defaults()]),
            [
                "Probable docker.io/library/other:2",
                "Probable quay.io/org/other:2",
                "Certain *quay.io/org/web:1"
            ]
        );
    }

    #[test]
    fn a_registry_for_all_makes_no_second_image() {
        let values = "run: true\nglobal: {imageRegistry: ''}\nimage: {registry: docker.io, repository: a/web, tag: '1'}\n";
        let pod = "{kind: Pod, spec: {containers: [{image: \"{{ .Values.global.imageRegistry | default .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}\"}]}}";
        let files = [("Chart.yaml", CHART), ("values.yaml", values), ("templates/pod.yaml", pod)];
        assert_eq!(
            finds(&files, &[set("mirror", "global.imageRegistry=harbor.example")]),
            ["Certain *harbor.example/a/web:1"]
        );
    }

    #[test]
    fn charts_inside_are_looked_into_whether_they_are_switched_on_or_not() {
        let chart = format!(
            "{CHART}annotations: {{images: '[{{image: a/listed:1}}]'}}\ndependencies: [{{name: below, version: 1.x, alias: cache, condition: cache.enabled}}]\n"
        );
        let below = "apiVersion: v2\nname: below\nversion: 1.2.0\nappVersion: v9\nannotations: {artifacthub.io/images: '[{image: a/below-listed:1}]'}\n";
        let pod = "{kind: Pod, spec: {containers: [{image: \"{{ .Values.image.repository }}:{{ .Chart.AppVersion }}\"}]}}";
        let files = [
            ("Chart.yaml", chart.as_str()),
            ("values.yaml", "cache: {enabled: false}\n"),
            ("charts/below/Chart.yaml", below),
            ("charts/below/values.yaml", "image: {repository: a/cache, tag: null}\nglobal: {x: 1}\n"),
            ("charts/below/templates/pod.yaml", pod),
        ];
        assert_eq!(
            finds(&files, &[ValueSet::defaults()]),
            [
                "Probable docker.io/a/below-listed:1",
                "Probable docker.io/a/cache:9",
                "Probable docker.io/a/cache:v9",
                "Certain docker.io/a/listed:1",
            ]
        );
        assert_eq!(
            finds(&files, &[set("on", "cache.enabled=true")]),
            [
                "Certain docker.io/a/below-listed:1",
                "Certain *docker.io/a/cache:v9",
                "Certain docker.io/a/listed:1",
            ]
        );
    }

    #[test]
    fn a_container_without_a_readable_image_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let pod = "{kind: Pod, metadata: {name: a}, spec: {containers: [{image: \"{{ .Values.image }}:\"}]}}";
        write(
            directory.path(),
            &[("Chart.yaml", CHART), ("values.yaml", "image: a/b\n"), ("templates/pod.yaml", pod)],
        );
        let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap();
        let rendering = render(&chart, &ValueSet::defaults(), &RenderOptions::default()).unwrap();
        let warnings = discover(&chart, &[rendering], &Limits::DEFAULT).warnings;
        assert_eq!(
            warnings[0].to_string(),
            "top/templates/pod.yaml Pod/a spec.containers[0].image: 'a/b:' is no image that can be pulled"
        );
    }

    #[test]
    fn a_place_under_several_value_sets_is_one_place() {
        let values = "run: true\nimage: {repository: a/web, tag: '1'}\n";
        let directory = tempfile::tempdir().unwrap();
        write(
            directory.path(),
            &[("Chart.yaml", CHART), ("values.yaml", values), ("templates/pod.yaml", POD)],
        );
        let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap();
        let renderings = [ValueSet::defaults(), set("ha", "x=1")]
            .map(|set| render(&chart, &set, &RenderOptions::default()).unwrap());
        let discovery = discover(&chart, &renderings, &Limits::DEFAULT);
        let places: Vec<String> = discovery.finds[0].places.iter().map(ToString::to_string).collect();
        assert_eq!(
            places,
            [
                "templates/pod.yaml Pod/a spec.containers[0].image (value sets defaults, ha)",
                "values image (value sets defaults, ha)",
            ]
        );
    }
}
