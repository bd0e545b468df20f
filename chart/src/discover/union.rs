//! All images of a chart from its renderings, values and annotations.
//! Takes renderings; gives a [`Discovery`]: each image once, with all its places.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bundle_oci::Reference;

use super::annotation::listed;
use super::find::{Certainty, Find, Grade, Place};
use super::group::Group;
use super::mention::{Mention, mentioned};
use super::owner::{charts_of, inherited, is_installed, owner_of, replaced_registries, version_of};
use super::rules::{Rules, shipped};
use super::sighting::{Asked, Declared, Unreadable, declared, sightings_by};
use super::switch::Switched;
use crate::chart::Chart;
use crate::dependency::name_all;
use crate::parallel::in_parallel;
use crate::{Document, Limits, Origin, Purpose, Rendering, Warning};

/// All images of a chart, and what was left unclear.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// The images, in the order of their names.
    pub finds: Vec<Find>,
    /// Fields that name an image ambiguously.
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
/// use bundle_chart::{Chart, Grade, Limits, RenderOptions, ValueSet, discover, render};
/// let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT)?;
/// let rendering = render(&chart, &ValueSet::defaults(), &RenderOptions::default())?;
/// let discovery = discover(&chart, &[rendering], &Limits::DEFAULT);
/// let [exporter, nginx] = &discovery.finds[..] else { panic!() };
/// assert_eq!(exporter.reference.to_string(), "docker.io/a/exporter:v1");
/// assert!(!exporter.is_rendered());
/// assert_eq!(nginx.grade, Grade::Rendered);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn discover(chart: &Chart, renderings: &[Rendering], limits: &Limits) -> Discovery {
    discover_by(chart, renderings, shipped(), limits)
}

/// As [`discover`], with the user's rules (and ours, if [`Rules::with_shipped`] added them).
pub fn discover_by(chart: &Chart, renderings: &[Rendering], rules: &Rules, limits: &Limits) -> Discovery {
    let mut tree = chart.clone();
    name_all(&mut tree);
    let charts = charts_of(&tree);
    let (mut union, mentioned) = std::thread::scope(|scope| {
        let mentioned = scope.spawn(|| mentioned(&tree, limits));
        let union = Union::of(renderings, &charts, rules, limits);
        (union, mentioned.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    union.unused(&charts);
    let installed = |path: &str| renderings.iter().any(|rendering| is_installed(&rendering.chart, path));
    for listed in listed(&tree, "", limits, &mut union.warnings) {
        let certainty = if installed(&listed.chart) { Certainty::Certain } else { Certainty::Probable };
        let place = Place::Annotation { chart: listed.chart, key: listed.key };
        union.add(listed.reference, &[], Grade::Annotated, certainty, place);
    }
    for Mention { reference, grade, place } in mentioned {
        if !rules.ignores(&reference) {
            union.add(reference, &[], grade, Certainty::Probable, place);
        }
    }
    union.finish()
}

/// Returns the images of documents that a cluster gets as they are.
pub(super) fn discover_rendered(documents: &[Document], rules: &Rules, limits: &Limits) -> Discovery {
    let mut union = Union::default();
    union.documents(documents, (Purpose::Install, None), rules, limits);
    union.finish()
}

#[derive(Default)]
struct Union {
    finds: BTreeMap<Reference, Find>,
    /// Groups that no rendering used, by their path and name, with the value sets that have them.
    unused: BTreeMap<(String, String), (Vec<Group>, BTreeSet<String>)>,
    /// How charts make a tag of their `appVersion`, as far as renderings show it.
    forms: BTreeMap<String, BTreeSet<Form>>,
    /// The prefixes that charts put before names without a registry, as far as renderings show them.
    prefixes: BTreeMap<String, BTreeSet<String>>,
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
    /// Collects the images that renderings show, before any guess.
    fn of(
        renderings: &[Rendering],
        charts: &BTreeMap<String, &Chart>,
        rules: &Rules,
        limits: &Limits,
    ) -> Self {
        let mut union = Self::default();
        for rendering in renderings {
            let what = (rendering.purpose, Some(rendering.value_set.as_str()));
            union.documents(&rendering.documents, what, rules, limits);
        }
        for rendering in renderings {
            union.switched(rendering, rules, limits);
        }
        for rendering in renderings {
            union.values(rendering, charts, rules, limits);
        }
        union
    }

    /// Adds an image, with what the same fields may mean instead.
    fn add(
        &mut self,
        reference: Reference,
        others: &[Reference],
        grade: Grade,
        certainty: Certainty,
        mut place: Place,
    ) {
        let readings: BTreeSet<Reference> =
            others.iter().filter(|other| **other != reference).cloned().collect();
        let find = self.finds.entry(reference.clone()).or_insert_with(|| Find {
            reference,
            grade,
            certainty,
            switches: BTreeSet::new(),
            readings: readings.clone(),
            places: BTreeSet::new(),
        });
        match grade.cmp(&find.grade) {
            Ordering::Less => find.readings = readings,
            // A certain reading in one place settles the ambiguous ones in others.
            Ordering::Equal if find.readings.is_empty() || readings.is_empty() => find.readings.clear(),
            Ordering::Equal => find.readings.extend(readings),
            Ordering::Greater => {}
        }
        find.grade = find.grade.min(grade);
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

    /// Adds each reading of an image, those with what the nodes are in their tags in place of those
    /// without.
    fn add_readings(
        &mut self,
        references: Vec<Reference>,
        rules: &Rules,
        grade: Grade,
        certainty: Certainty,
        place: &Place,
    ) {
        for reference in &references {
            let on_nodes = rules.on_nodes(reference);
            if on_nodes.is_empty() {
                self.add(reference.clone(), &references, grade, certainty, place.clone());
            }
            for reference in on_nodes {
                self.add(reference, &[], grade, certainty, place.clone());
            }
        }
    }

    /// Adds the images of documents. Documents without a value set come from no rendering and count as they
    /// are.
    fn documents(
        &mut self,
        documents: &[Document],
        (purpose, value_set): (Purpose, Option<&str>),
        rules: &Rules,
        limits: &Limits,
    ) {
        let value_sets: BTreeSet<String> = value_set.map(str::to_owned).into_iter().collect();
        let seen = in_parallel(documents, |document| sightings_by(document, rules, limits));
        for (document, (seen, unreadable)) in documents.iter().zip(seen) {
            for Unreadable { text, document: label, path } in unreadable {
                let file = document.file.clone();
                self.warnings.insert(Warning::Unreadable { file, document: label, path, text });
            }
            for seen in seen {
                let grade = match (seen.asked, document.origin, purpose) {
                    (Asked::Mentioned, ..) => Grade::Mentioned,
                    (Asked::ByField, Origin::Definition, _) => Grade::Declared,
                    (Asked::ByField, _, Purpose::Install) => Grade::Rendered,
                    // An installation with the defaults alone is not certain.
                    (Asked::ByField, _, Purpose::Discovery) => Grade::Switched,
                };
                let certainty = match purpose {
                    Purpose::Install => seen.certainty,
                    Purpose::Discovery => Certainty::Probable,
                };
                let place = Place::Document {
                    file: document.file.clone(),
                    document: seen.document,
                    path: seen.path,
                    value_sets: value_sets.clone(),
                };
                let references = [seen.reference].into_iter().chain(seen.others).collect::<Vec<_>>();
                if grade == Grade::Switched {
                    for reference in &references {
                        self.add(reference.clone(), &references, grade, certainty, place.clone());
                        if let Some(find) = self.finds.get_mut(reference) {
                            find.switches.extend(value_set.map(|set| format!("value set {set}")));
                        }
                    }
                } else {
                    self.add_readings(references, rules, grade, certainty, &place);
                }
            }
        }
    }

    /// Adds the images that are rendered only when a switch is turned.
    fn switched(&mut self, rendering: &Rendering, rules: &Rules, limits: &Limits) {
        let mut on_kubernetes = BTreeSet::new();
        let all: Vec<&Document> =
            rendering.switched.iter().flat_map(|switched| &switched.documents).collect();
        let mut all = in_parallel(&all, |document| sightings_by(document, rules, limits).0).into_iter();
        for Switched { switch, documents } in &rendering.switched {
            for (document, seen) in documents.iter().zip(&mut all) {
                for seen in seen {
                    let grade = match seen.asked {
                        Asked::Mentioned => Grade::Mentioned,
                        Asked::ByField => Grade::Switched,
                    };
                    let references: Vec<Reference> =
                        [seen.reference].into_iter().chain(seen.others).collect();
                    // Images that are rendered without a switch need none.
                    if references.iter().any(|one| self.finds.get(one).is_some_and(|find| find.grade < grade))
                    {
                        continue;
                    }
                    if switch.starts_with(KUBE_VERSION) && grade == Grade::Switched {
                        on_kubernetes.insert(references[0].to_string());
                    }
                    let place = Place::Switched {
                        file: document.file.clone(),
                        document: seen.document,
                        path: seen.path,
                        switch: switch.clone(),
                    };
                    self.add_readings(references.clone(), rules, grade, Certainty::Probable, &place);
                    for reference in &references {
                        if let Some(find) = self.finds.get_mut(reference)
                            && grade == Grade::Switched
                            && find.switches.len() < SWITCHES
                        {
                            find.switches.insert(switch.clone());
                        }
                    }
                }
            }
        }
        if !on_kubernetes.is_empty() {
            let images: Vec<String> = on_kubernetes.into_iter().collect();
            self.warnings.insert(Warning::KubeVersion(images.join(", ")));
        }
    }

    fn values(
        &mut self,
        rendering: &Rendering,
        charts: &BTreeMap<String, &Chart>,
        rules: &Rules,
        limits: &Limits,
    ) {
        let inherited = inherited(charts.keys());
        let replaced = replaced_registries(&rendering.values);
        let shown: Vec<Reference> = self
            .finds
            .values()
            .filter(|find| find.is_rendered() || find.is_switched())
            .map(|find| find.reference.clone())
            .collect();
        for Declared { groups, path, .. } in declared(&rendering.declared, &inherited, rules, limits) {
            let is_behind = |group: &Group, reference: &Reference| {
                let elsewhere = group.has_no_registry() || replaced.contains(reference.registry().as_str());
                group.is_behind(reference) || elsewhere && group.is_behind_elsewhere(reference)
            };
            let behind: Vec<(&Group, &Reference)> = groups
                .iter()
                .flat_map(|group| {
                    shown.iter().filter(|shown| is_behind(group, shown)).map(move |shown| (group, shown))
                })
                .collect();
            let place = || Place::Value {
                path: path.clone(),
                value_sets: BTreeSet::from([rendering.value_set.clone()]),
            };
            let owner = owner_of(&path, charts);
            for (group, reference) in &behind {
                self.learn(group, owner, charts, reference);
                self.add((*reference).clone(), &[], Grade::Declared, Certainty::Probable, place());
            }
            if behind.is_empty() {
                let Some(first) = groups.first() else { continue };
                let key = (path, first.name().to_owned());
                let entry = self.unused.entry(key).or_insert_with(|| (groups, BTreeSet::new()));
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

    /// Names the images that no rendering used, with any switch. The parts that their charts would fill in
    /// are guessed from other images of the chart, or in every way.
    fn unused(&mut self, charts: &BTreeMap<String, &Chart>) {
        for ((path, name), (readings, value_sets)) in std::mem::take(&mut self.unused) {
            let owner = owner_of(&path, charts);
            let prefixes: Vec<String> = self.prefixes.get(owner).into_iter().flatten().cloned().collect();
            let under = |group: &Group| -> Vec<Group> {
                let prefixes = prefixes.iter().filter(|_| group.has_no_registry());
                prefixes.map(|prefix| group.under(prefix)).collect()
            };
            let groups: Vec<Group> =
                readings.iter().flat_map(|group| [group.clone()].into_iter().chain(under(group))).collect();
            let version = version_of(owner, charts);
            let known = self.forms.get(owner).filter(|forms| !forms.is_empty());
            let forms: Vec<Form> = known.map_or(Form::ALL.to_vec(), |forms| forms.iter().copied().collect());
            let mut references = Vec::new();
            for group in &groups {
                match group.reference() {
                    Some(reference) => references.push(reference),
                    None if version.is_empty() => {}
                    // Names without a registry are Docker Hub's, and have two components there: `service/storage/image` is
                    // a path of something else.
                    None if group.has_no_registry() && group.name().matches('/').count() > 1 => {}
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
            for reference in &references {
                let place = Place::Value { path: path.clone(), value_sets: value_sets.clone() };
                self.add(reference.clone(), &references, Grade::Declared, Certainty::Probable, place);
            }
        }
    }

    fn finish(self) -> Discovery {
        Discovery { finds: self.finds.into_values().collect(), warnings: self.warnings.into_iter().collect() }
    }
}

/// The number of an image's switches in reports; any of them will do.
const SWITCHES: usize = 5;

/// How a switch is called that is the version of Kubernetes.
const KUBE_VERSION: &str = "kubeVersion";

/// All images that a rendering's values declare.
pub(crate) fn declared_in(chart: &Chart, rendering: &Rendering, limits: &Limits) -> Vec<Declared> {
    let mut tree = chart.clone();
    name_all(&mut tree);
    declared(&rendering.declared, &inherited(charts_of(&tree).keys()), shipped(), limits)
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
            format!("{} {star}{}", find.grade.as_str(), find.reference)
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
                "rendered *docker.io/a/web:1",
                "declared docker.io/library/busybox:1.36.1",
                "declared quay.io/a/exporter:2",
            ]
        );
        assert_eq!(finds(&files, &[set("off", "run=false")])[0], "declared docker.io/a/web:1");
    }

    #[test]
    fn a_path_under_a_name_of_images_is_given_no_tag() {
        let values = "run: false\nimage: {repository: a/web, tag: '1'}\nendpoints: {image: service/storage/image, size: 1}\nother: {image: a/other}\n";
        let files = [("Chart.yaml", CHART), ("values.yaml", values), ("templates/pod.yaml", POD)];
        let found = finds(&files, &[ValueSet::defaults()]);
        assert!(found.iter().any(|line| line.contains("a/other:v3.1")), "{found:?}");
        assert!(!found.iter().any(|line| line.contains("storage")), "{found:?}");
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
            ["declared docker.io/a/other:v3.1", "rendered *docker.io/a/web:v3.1"]
        );
        // Nothing shows how: both are asked for.
        assert_eq!(
            finds(&files(&off), &[ValueSet::defaults()]),
            [
                "declared docker.io/a/other:3.1",
                "declared docker.io/a/other:v3.1",
                "declared docker.io/a/web:3.1",
                "declared docker.io/a/web:v3.1",
            ]
        );
    }

    #[test]
    fn what_is_rendered_only_to_see_is_probable() {
        let values = "run: true\nimage: {repository: a/web, tag: '1'}\n";
        let files = [("Chart.yaml", CHART), ("values.yaml", values), ("templates/pod.yaml", POD)];
        let looked_into = ValueSet { purpose: Purpose::Discovery, ..ValueSet::defaults() };
        assert_eq!(
            finds(&files, &[looked_into, set("values", "image.repository=b/web")]),
            ["switched *docker.io/a/web:1", "rendered *docker.io/b/web:1"]
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
                "declared docker.io/library/other:2",
                "declared quay.io/org/other:2",
                "rendered *quay.io/org/web:1"
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
            ["rendered *harbor.example/a/web:1"]
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
                "annotated docker.io/a/below-listed:1",
                "declared docker.io/a/cache:9",
                "declared docker.io/a/cache:v9",
                "annotated docker.io/a/listed:1",
            ]
        );
        assert_eq!(
            finds(&files, &[set("on", "cache.enabled=true")]),
            [
                "annotated docker.io/a/below-listed:1",
                "rendered *docker.io/a/cache:v9",
                "annotated docker.io/a/listed:1",
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
            "top/templates/pod.yaml Pod/a spec.containers[0].image: 'a/b:' is not a valid image reference"
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
