//! Turns each switch of a chart's values, one at a time, and sees what is rendered only then.
//! Takes a chart and a value set; gives its [`Rendering`], with a [`Switched`] for each switch that shows
//! something new. Only the files that read a switch are rendered again.

use crate::limits::SWITCH_DEPTH;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use foldhash::quality::RandomState;
use foldhash::{HashMap, HashMapExt, HashSet};

use super::turn::{Boolean, Flag, Turn, TurnedValues, booleans, global, ids, left_out};
use crate::chart::Chart;
use crate::dependency::name_all;
use crate::functions::Lookup;
use crate::render::{Operation, Prepared, Run};
use crate::template::trace::FileTrace;
use crate::template::with_stack;
use crate::{Document, KubeVersion, Map, RenderError, RenderOptions, Rendering, ValueSet, Warning};

/// Documents that a chart renders only when a switch is turned.
#[derive(Clone, Debug)]
pub struct Switched {
    /// The switch, as people would turn it: `metrics.enabled=true`, `kubeVersion 1.31`.
    pub switch: String,
    /// The documents that are not rendered without it.
    pub documents: Vec<Document>,
}

/// How switches are turned.
#[derive(Clone, Debug)]
pub struct SwitchOptions {
    /// How many renderings run at once.
    pub threads: NonZeroUsize,
    /// When to stop turning further switches. A warning reports the switches that were not turned.
    pub deadline: Option<Instant>,
    /// Another version of Kubernetes to render for, if none is given.
    pub kube_version: Option<KubeVersion>,
}

/// How many values a rendering is given that the chart asks for before it is given up.
const MISSING: usize = 6;

/// Renders a chart, and again with each switch turned: each boolean of the values that a template reads,
/// each chart inside that a condition or a tag leaves out, API versions that were asked for and are not
/// served, an upgrade in place of an installation, and objects that `lookup` finds. Where a switch shows
/// further ones, these are turned too. It is no error if the chart does not render then.
///
/// # Errors
/// As of [`render`](crate::render), for the value set itself.
pub fn render_switched(
    chart: &Chart,
    set: &ValueSet,
    options: &RenderOptions,
    switches: &SwitchOptions,
) -> Result<Rendering, RenderError> {
    let prepared = Prepared::new(chart, set, options)?;
    let (mut rendering, run) = prepared.render_traced(chart, set, options)?;
    let mut named = chart.clone();
    name_all(&mut named);
    let search = Search {
        chart,
        named: &named,
        set,
        options,
        switches,
        known: Mutex::new(rendering.documents.iter().map(|document| hash(&document.text)).collect()),
    };
    let mut state = State {
        values: rendering.values.clone(),
        prepared: Arc::new(prepared),
        turns: Vec::new(),
        filled: Vec::new(),
        options: options.clone(),
        run: Seen::of(run),
        open: Vec::new(),
    };
    state.run.writers = state.run.find_writers();
    let (switched, left) = search.run(state);
    rendering.switched = switched;
    if left > 0 {
        rendering.warnings.push(Warning::Switches(left));
    }
    Ok(rendering)
}

/// A rendering from which switches are turned.
struct State {
    prepared: Arc<Prepared>,
    values: Map,
    turns: Vec<Turn>,
    /// Further values that the chart required, by path.
    filled: Vec<Vec<Arc<str>>>,
    options: RenderOptions,
    run: Seen,
    /// The switches that it showed, of all but the first.
    open: Vec<Candidate>,
}

/// The facts of one rendering that switches need, without its documents.
struct Seen {
    traces: Vec<FileTrace>,
    /// The files that read something of a map, by its id.
    readers: HashMap<usize, Vec<usize>>,
    values: Map,
    release: Option<usize>,
    roots: Vec<usize>,
    /// The values that the templates of a chart see, by its full path.
    homes: HashMap<String, Map>,
    /// The ids of the maps in them, as far as they were asked for.
    visible: Mutex<HashMap<String, Arc<HashSet<usize>>>>,
    /// The files that change values, which others may read.
    writers: BTreeSet<Arc<str>>,
}

impl Seen {
    fn of(run: Run) -> Self {
        let release = run.roots.values().find_map(|root| root.get("Release")?.as_map().map(Map::id));
        let roots = run.roots.values().map(Map::id).collect();
        let mut readers: HashMap<usize, Vec<usize>> = HashMap::default();
        for (at, trace) in run.traces.iter().enumerate() {
            for map in trace.maps() {
                readers.entry(map).or_default().push(at);
            }
        }
        let values = |root: &Map| root.get("Values")?.as_map().cloned();
        let homes = run.roots.iter().filter_map(|(path, root)| Some((path.clone(), values(root)?))).collect();
        let (writers, visible) = (BTreeSet::new(), Mutex::default());
        Self { traces: run.traces, readers, values: run.values, release, roots, homes, visible, writers }
    }

    fn find_writers(&self) -> BTreeSet<Arc<str>> {
        let maps = ids(&self.values);
        self.readers(|trace| trace.has_changed(&maps))
    }

    /// The files that change what `readers` can see, directly or through each other. A switch can make a
    /// file read values that it did not read before, so all that its chart sees counts.
    fn writers_for(&self, readers: &BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let writers: Vec<&FileTrace> =
            self.traces.iter().filter(|trace| self.writers.contains(&trace.name)).collect();
        let homes: BTreeSet<&str> = readers.iter().map(|file| home_of(file)).collect();
        let seen: Vec<Arc<HashSet<usize>>> =
            homes.into_iter().filter_map(|home| self.seen_from(home)).collect();
        let mut found: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut open: Vec<&FileTrace> = Vec::new();
        for writer in &writers {
            if seen.iter().any(|seen| writer.has_changed(seen)) && found.insert(Arc::clone(&writer.name)) {
                open.push(writer);
            }
        }
        // A file that changes values may have read what another one changed.
        while let Some(reader) = open.pop() {
            let read = reader.maps();
            for writer in &writers {
                if writer.has_changed(&read) && found.insert(Arc::clone(&writer.name)) {
                    open.push(writer);
                }
            }
        }
        found
    }

    /// The ids of the maps in the values that a chart sees.
    fn seen_from(&self, home: &str) -> Option<Arc<HashSet<usize>>> {
        let mut visible = self.visible.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = visible.get(home) {
            return Some(Arc::clone(known));
        }
        let seen = Arc::new(ids(self.homes.get(home)?));
        visible.insert(home.to_owned(), Arc::clone(&seen));
        Some(seen)
    }

    /// The files that read a key of a map.
    fn readers_of(&self, map: usize, key: &str) -> BTreeSet<Arc<str>> {
        let files = self.readers.get(&map).into_iter().flatten().filter_map(|at| self.traces.get(*at));
        files.filter(|trace| trace.has_read(map, key)).map(|trace| Arc::clone(&trace.name)).collect()
    }

    fn readers(&self, reads: impl Fn(&FileTrace) -> bool) -> BTreeSet<Arc<str>> {
        self.traces.iter().filter(|trace| reads(trace)).map(|trace| Arc::clone(&trace.name)).collect()
    }
}

/// The full path of the chart that a file is in.
fn home_of(file: &str) -> &str {
    file.split("/templates/").next().unwrap_or_default()
}

/// A switch, with the files that read it.
#[derive(Clone)]
struct Candidate {
    turn: Turn,
    readers: BTreeSet<Arc<str>>,
}

struct Search<'a> {
    chart: &'a Chart,
    /// The same with all charts inside under their names.
    named: &'a Chart,
    set: &'a ValueSet,
    options: &'a RenderOptions,
    switches: &'a SwitchOptions,
    /// Documents that were seen, by the hash of their text.
    known: Mutex<HashSet<u64>>,
}

impl Search<'_> {
    /// Turns all switches, level by level. Also gives how many there was no time for.
    fn run(&self, first: State) -> (Vec<Switched>, usize) {
        let mut tried = BTreeSet::new();
        let mut found = Vec::new();
        let mut states = vec![first];
        let (mut count, mut left) = (0, 0);
        for _ in 0..SWITCH_DEPTH {
            let mut work = Vec::new();
            for (at, state) in states.iter().enumerate() {
                let found = if state.turns.is_empty() { self.candidates(state) } else { state.open.clone() };
                for candidate in found {
                    if tried.insert(candidate.turn.key()) {
                        work.push((at, candidate));
                    }
                }
            }
            let most = self.options.limits.switches.saturating_sub(count);
            left += work.len().saturating_sub(most);
            work.truncate(most);
            count += work.len();
            let mut next = Vec::new();
            for turned in self.level(&states, &work, &tried) {
                match turned {
                    Turned::New(switched, state) => {
                        found.push(switched);
                        next.extend(state.map(|state| *state));
                    }
                    Turned::Nothing => {}
                    Turned::Late => left += 1,
                }
            }
            if next.is_empty() {
                break;
            }
            states = next;
        }
        (found, left)
    }

    /// Turns the switches of one level, several at once; what they show is in the order of the work.
    fn level(&self, states: &[State], work: &[(usize, Candidate)], tried: &BTreeSet<String>) -> Vec<Turned> {
        // What takes longest comes first, so that no thread is left alone with it at the end.
        let mut order: Vec<usize> = (0..work.len()).collect();
        order.sort_by_key(|at| {
            let candidate = work.get(*at).map(|(_, candidate)| candidate);
            let is_chart = candidate.is_some_and(|one| matches!(one.turn, Turn::Chart(_)));
            std::cmp::Reverse((is_chart, candidate.map_or(0, |one| one.readers.len())))
        });
        let next = AtomicUsize::new(0);
        let done: Mutex<BTreeMap<usize, (Turned, Vec<u64>)>> = Mutex::default();
        let threads = self.switches.threads.get().min(work.len());
        let one = || {
            while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                let Some((state, candidate)) = work.get(at) else { break };
                let turned = states.get(*state).map(|state| self.turn(state, candidate, tried));
                if let Some(turned) = turned {
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(at, turned);
                }
            }
        };
        // Switches that no thread came to count as those that no time was left for.
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(with_stack(scope, one))));
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        for at in 0..work.len() {
            done.entry(at).or_insert_with(|| (Turned::Late, Vec::new()));
        }
        // If two switches show the same, the first one counts, in any order of threads.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (mut turned, hashes) in done.into_values() {
            if let Turned::New(switched, _) = &mut turned {
                let documents = std::mem::take(&mut switched.documents);
                let fresh = documents.into_iter().zip(hashes).filter(|(_, hash)| known.insert(*hash));
                switched.documents = fresh.map(|(document, _)| document).collect();
                if switched.documents.is_empty() {
                    continue;
                }
            }
            found.push(turned);
        }
        found
    }

    /// The switches that a rendering has shown.
    fn candidates(&self, state: &State) -> Vec<Candidate> {
        let mut found: BTreeMap<Vec<Arc<str>>, Candidate> = BTreeMap::new();
        booleans(&state.run.values, &state.values, &mut Vec::new(), &mut |boolean| {
            let Boolean { path, map, flag } = boolean;
            let Some(key) = path.last() else { return };
            let readers = state.run.readers_of(map, key);
            if !readers.is_empty() {
                let path = global(path);
                let turn = Turn::Value(path.clone(), flag);
                let candidate = || Candidate { turn, readers: BTreeSet::new() };
                found.entry(path).or_insert_with(candidate).readers.extend(readers);
            }
        });
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut conditions = Vec::new();
        left_out(self.named, &state.prepared.installed, &mut Vec::new(), &mut conditions);
        for path in conditions {
            let readers = found.remove(&path).map(|known| known.readers).unwrap_or_default();
            candidates.push(Candidate { turn: Turn::Chart(path), readers });
        }
        candidates.extend(found.into_values());
        let apis: BTreeSet<&String> = state.run.traces.iter().flat_map(|trace| &trace.absent_apis).collect();
        candidates.extend(apis.into_iter().map(|api| Candidate {
            turn: Turn::ApiVersion(api.clone()),
            readers: state.run.readers(|trace| trace.absent_apis.contains(api)),
        }));
        let mut add = |turn: Turn, readers: BTreeSet<Arc<str>>| {
            if !readers.is_empty() {
                candidates.push(Candidate { turn, readers });
            }
        };
        add(Turn::Lookup, state.run.readers(|trace| trace.looks_up));
        if let Some(release) = state.run.release {
            let reads = |key| move |trace: &FileTrace| trace.has_read(release, key);
            let mut readers = state.run.readers(reads("IsUpgrade"));
            readers.extend(state.run.readers(reads("IsInstall")));
            add(Turn::Upgrade, readers);
        }
        if let (Some(version), true) = (&self.switches.kube_version, state.turns.is_empty()) {
            let asks =
                |trace: &FileTrace| state.run.roots.iter().any(|root| trace.has_read(*root, "Capabilities"));
            add(Turn::KubeVersion(version.to_string()), state.run.readers(asks));
        }
        candidates
    }

    /// Turns one switch. With the documents come the hashes of their texts.
    fn turn(&self, state: &State, candidate: &Candidate, tried: &BTreeSet<String>) -> (Turned, Vec<u64>) {
        let mut filled = state.filled.clone();
        for _ in 0..=MISSING {
            if self.switches.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return (Turned::Late, Vec::new());
            }
            match self.attempt(state, candidate, &filled) {
                Ok((run, next, values)) => return self.new_documents(run, next, &values, tried),
                // A value that the chart requires is set, as a person would.
                Err(RenderError::Template { wanted: Some(wanted), .. }) => {
                    let path: Vec<Arc<str>> = wanted.split('.').map(Arc::from).collect();
                    if filled.contains(&path) {
                        break;
                    }
                    filled.push(path);
                }
                Err(_) => break,
            }
        }
        (Turned::Nothing, Vec::new())
    }

    fn attempt(
        &self,
        state: &State,
        candidate: &Candidate,
        filled: &[Vec<Arc<str>>],
    ) -> Result<(Run, State, TurnedValues), RenderError> {
        let mut options = state.options.clone();
        let mut prepared = Arc::clone(&state.prepared);
        let turns: Vec<Turn> = state.turns.iter().cloned().chain([candidate.turn.clone()]).collect();
        match &candidate.turn {
            Turn::Value(..) => {}
            Turn::Chart(_) => {
                let set = self.set_with(&turns, filled);
                prepared = Arc::new(Prepared::again(self.chart, &set, &options)?);
            }
            Turn::ApiVersion(name) => options.api_versions.push(name.clone()),
            Turn::KubeVersion(_) => {
                if let Some(version) = &self.switches.kube_version {
                    options.kube_version = version.clone();
                }
            }
            Turn::Upgrade => options.operation = Operation::Upgrade,
            Turn::Lookup => options.lookup = Lookup::Anything,
        }
        let before = match &candidate.turn {
            Turn::Chart(_) => prepared.values.clone(),
            _ => state.values.clone(),
        };
        let turned = TurnedValues { before, turn: candidate.turn.clone(), filled: filled.to_vec() };
        let values = turned.values(&self.named.dependencies);
        let is_new = |name: &str| !Arc::ptr_eq(&prepared, &state.prepared) && !state.prepared.has(name);
        // A chart that comes in may see what any file changes.
        let writers = match &candidate.turn {
            Turn::Chart(_) => state.run.writers.clone(),
            _ => state.run.writers_for(&candidate.readers),
        };
        let wanted = |name: &str| candidate.readers.contains(name) || writers.contains(name) || is_new(name);
        let known = |text: &str| {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.contains(&hash(text))
        };
        let run = prepared.run(values, &options, &wanted, &known)?;
        let seen = Seen {
            traces: Vec::new(),
            readers: HashMap::new(),
            values: Map::new(),
            release: None,
            roots: Vec::new(),
            homes: HashMap::new(),
            visible: Mutex::default(),
            writers: BTreeSet::new(),
        };
        let next = State {
            prepared,
            values: Map::new(),
            turns,
            filled: filled.to_vec(),
            options,
            run: seen,
            open: Vec::new(),
        };
        Ok((run, next, turned))
    }

    fn new_documents(
        &self,
        mut run: Run,
        mut next: State,
        values: &TurnedValues,
        tried: &BTreeSet<String>,
    ) -> (Turned, Vec<u64>) {
        let documents = std::mem::take(&mut run.documents);
        let hashes: Vec<u64> = documents.iter().map(|document| hash(&document.text)).collect();
        if documents.is_empty() {
            return (Turned::Nothing, Vec::new());
        }
        let switch = next.turns.iter().map(Turn::shown).collect::<Vec<_>>().join(", ");
        // Most switches show no further ones. The values after a rendering may contain themselves; the values
        // before it cannot.
        next.values = values.before.clone();
        next.run = Seen::of(run);
        next.open = self.candidates(&next);
        next.open.retain(|candidate| !tried.contains(&candidate.turn.key()));
        if next.open.is_empty() {
            return (Turned::New(Switched { switch, documents }, None), hashes);
        }
        next.run.writers = next.run.find_writers();
        // Those that were rendered may have been changed.
        next.values = values.values(&self.named.dependencies);
        (Turned::New(Switched { switch, documents }, Some(Box::new(next))), hashes)
    }

    /// The value set with what was turned in the values.
    fn set_with(&self, turns: &[Turn], filled: &[Vec<Arc<str>>]) -> ValueSet {
        let mut set = self.set.clone();
        let escaped = |path: &[Arc<str>]| {
            path.iter().map(|key| key.replace('\\', "\\\\").replace('.', "\\.")).collect::<Vec<_>>().join(".")
        };
        for turn in turns {
            match turn {
                Turn::Value(path, Flag::Is(is)) => set.set.push(format!("{}={is}", escaped(path))),
                Turn::Value(path, Flag::Says(is)) => set.set_string.push(format!("{}={is}", escaped(path))),
                Turn::Chart(path) => set.set.push(format!("{}=true", escaped(path))),
                _ => {}
            }
        }
        set.set_string.extend(filled.iter().map(|path| format!("{}=bundle", escaped(path))));
        set
    }
}

enum Turned {
    /// With the state from which further switches are turned, if it shows some.
    New(Switched, Option<Box<State>>),
    Nothing,
    Late,
}

fn hash(text: &str) -> u64 {
    static STATE: OnceLock<RandomState> = OnceLock::new();
    STATE.get_or_init(RandomState::default).hash_one(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Discovery, Grade, Limits, discover};

    fn chart(files: &[(&str, &str)]) -> Chart {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Chart::from_directory(Path::new(directory.path()), &Limits::DEFAULT).unwrap()
    }

    fn switches() -> SwitchOptions {
        let threads = NonZeroUsize::new(2).unwrap();
        SwitchOptions { threads, deadline: None, kube_version: Some("1.31".parse().unwrap()) }
    }

    fn found(chart: &Chart) -> Discovery {
        let rendering =
            render_switched(chart, &ValueSet::defaults(), &RenderOptions::default(), &switches()).unwrap();
        discover(chart, &[rendering], &Limits::DEFAULT)
    }

    /// The images that a switch shows, as `image if switch`.
    fn shown(files: &[(&str, &str)]) -> Vec<String> {
        let line = |find: &crate::Find| {
            let switches: Vec<&str> = find.switches.iter().map(String::as_str).collect();
            format!("{} if {}", find.reference, switches.join(" or "))
        };
        let finds = found(&chart(files)).finds;
        finds.iter().filter(|find| find.grade == Grade::Switched).map(line).collect()
    }

    const CHART: (&str, &str) =
        ("Chart.yaml", "apiVersion: v2\nname: top\nversion: 1.0.0\nappVersion: '2.3'\n");

    fn pod(condition: &str, image: &str) -> String {
        format!(
            "{{{{- if {condition} }}}}\n{{kind: Pod, metadata: {{name: x}}, spec: {{containers: [{{image: \"{image}\"}}]}}}}\n{{{{- end }}}}\n"
        )
    }

    #[test]
    fn each_switch_shows_what_is_rendered_only_then() {
        for (values, condition, image, shown_images) in [
            (
                "x: {active: false}",
                ".Values.x.active",
                "a/b:rel-{{ .Chart.AppVersion }}",
                "docker.io/a/b:rel-2.3 if x.active=true",
            ),
            (
                "x: {disabled: true}",
                "not .Values.x.disabled",
                "a/b:1.2",
                "docker.io/a/b:1.2 if x.disabled=false",
            ),
            ("x: {use: 'false'}", "eq .Values.x.use \"true\"", "a/b:1.2", "docker.io/a/b:1.2 if x.use=true"),
            (
                "global: {active: false}",
                ".Values.global.active",
                "a/b:1.2",
                "docker.io/a/b:1.2 if global.active=true",
            ),
            ("{}", ".Release.IsUpgrade", "a/b:1.2", "docker.io/a/b:1.2 if an upgrade"),
            (
                "{}",
                ".Capabilities.APIVersions.Has \"a.example/v1\"",
                "a/b:1.2",
                "docker.io/a/b:1.2 if apiVersions a.example/v1",
            ),
            (
                "{}",
                "lookup \"v1\" \"Secret\" \"default\" \"s\"",
                "a/b:1.2",
                "docker.io/a/b:1.2 if an object in the cluster",
            ),
            (
                "{}",
                "semverCompare \"<1.35\" .Capabilities.KubeVersion.Version",
                "a/b:1.2",
                "docker.io/a/b:1.2 if kubeVersion v1.31",
            ),
            // A value that the chart then requires is set.
            (
                "x: {active: false, name: ''}",
                "and .Values.x.active (required \"set .Values.x.name\" .Values.x.name)",
                "a/b:1.2",
                "docker.io/a/b:1.2 if x.active=true",
            ),
        ] {
            let pod = pod(condition, image);
            assert_eq!(shown(&[CHART, ("values.yaml", values), ("templates/p.yaml", &pod)]), [shown_images]);
        }
    }

    #[test]
    fn a_switch_behind_another_one_is_turned_too() {
        let pod = pod("and .Values.x.create .Values.x.metrics.installed", "a/b:1.2");
        let files = [
            CHART,
            ("values.yaml", "x: {create: false, metrics: {installed: false}}\n"),
            ("templates/p.yaml", pod.as_str()),
            // Shows something as soon as the first is turned.
            ("templates/q.yaml", "{{- if .Values.x.create }}\nkind: ConfigMap\n{{- end }}\n"),
        ];
        assert_eq!(shown(&files), ["docker.io/a/b:1.2 if x.create=true, x.metrics.installed=true"]);
    }

    #[test]
    fn charts_inside_that_are_left_out_are_switched_on_with_their_own_switches() {
        let own = pod(".Values.extra", "a/extra:1.2");
        let files = [
            (
                "Chart.yaml",
                "apiVersion: v2\nname: top\nversion: 1.0.0\ndependencies: [{name: sub, version: 1.x, alias: s, condition: s.enabled}, {name: tagged, version: 1.x, tags: [more]}]\n",
            ),
            ("values.yaml", "s: {enabled: false}\ntags: {more: false}\n"),
            ("charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n"),
            ("charts/sub/values.yaml", "extra: false\n"),
            ("charts/sub/templates/a.yaml", "{kind: Pod, spec: {containers: [{image: 'a/sub:1.2'}]}}\n"),
            ("charts/sub/templates/b.yaml", own.as_str()),
            ("charts/tagged/Chart.yaml", "apiVersion: v2\nname: tagged\nversion: 1.0.0\n"),
            (
                "charts/tagged/templates/a.yaml",
                "{kind: Pod, spec: {containers: [{image: 'a/tagged:1.2'}]}}\n",
            ),
        ];
        assert_eq!(
            shown(&files),
            [
                "docker.io/a/extra:1.2 if s.enabled=true, s.extra=true",
                "docker.io/a/sub:1.2 if s.enabled=true",
                "docker.io/a/tagged:1.2 if tags.more=true",
            ]
        );
    }

    #[test]
    fn only_files_that_read_a_switch_are_rendered_again_and_those_that_change_values() {
        let files = [
            CHART,
            ("values.yaml", "x: {active: false}\n"),
            ("templates/z.yaml", "{{- $_ := set .Values \"tag\" \"from-z\" }}"),
            ("templates/p.yaml", &pod(".Values.x.active", "a/b:{{ .Values.tag }}")),
            // Would fail, and is not rendered again.
            ("templates/other.yaml", "kind: ConfigMap\n"),
        ];
        assert_eq!(shown(&files), ["docker.io/a/b:from-z if x.active=true"]);
    }

    #[test]
    fn values_that_a_template_puts_into_themselves_end_nothing() {
        let pod = pod(".Values.x.active", "a/b:1.2");
        let files = [
            CHART,
            ("values.yaml", "x: {active: false, more: {also: true}}\n"),
            ("templates/p.yaml", pod.as_str()),
            (
                "templates/q.yaml",
                "{{- $_ := set .Values.x \"own\" .Values.x }}{{- $_ := set .Values.x.more \"up\" .Values }}kind: ConfigMap\nmetadata: {name: {{ .Values.x.active }}}\n",
            ),
            (
                "templates/r.yaml",
                "{{- $d := dict }}{{- range until 20000 }}{{ $d = dict \"d\" $d }}{{ end }}{{- $_ := set .Values.x \"deep\" $d }}kind: ConfigMap\n",
            ),
        ];
        assert_eq!(shown(&files), ["docker.io/a/b:1.2 if x.active=true"]);
    }

    #[test]
    fn images_that_depend_on_the_version_of_kubernetes_are_told() {
        let pod = pod("true", "a/b:{{ .Capabilities.KubeVersion.Minor }}.0");
        let discovery = found(&chart(&[CHART, ("templates/p.yaml", &pod)]));
        let warnings: Vec<String> = discovery.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, ["its images depend on the version of Kubernetes: docker.io/a/b:31.0"]);
    }
}
