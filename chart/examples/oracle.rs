//! Renders charts with Helm and with this crate, compares the documents, and writes golden files.
//! Run by `scripts/helm-oracle`.
//!
//! `oracle [--toggles] [--types] [--golden DIRECTORY] CHART...`

#[path = "../tests/golden/case.rs"]
mod case;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use bundle_chart::{Chart, Find, Limits, Map, Rendering, Value, discover, render, yaml};
use bundle_oci::Reference;

use crate::case::{Case, RELEASE, digest};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut variants = Variants::default();
    let mut golden = None;
    let mut charts = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--toggles" => variants.toggles = true,
            "--types" => variants.types = true,
            "--golden" => golden = arguments.next().map(PathBuf::from),
            _ => charts.push(PathBuf::from(argument)),
        }
    }
    let mut total = Tally::default();
    for path in &charts {
        let mut tally = Tally::default();
        let chart = match load(path) {
            Ok(chart) => chart,
            Err(error) => {
                println!("{}: cannot be loaded: {error}", path.display());
                tally.different += 1;
                total.add(&tally);
                continue;
            }
        };
        let name = format!("{}-{}", chart.metadata().name, chart.metadata().version);
        let mut text = String::new();
        for case in cases(&chart, variants) {
            compare_case(path, &chart, &name, &case, &mut tally, &mut text);
        }
        println!("{name}: {tally}");
        if let Some(directory) = &golden {
            std::fs::write(directory.join(format!("{name}.txt")), text)
                .expect("the golden directory is there");
        }
        total.add(&tally);
    }
    println!("all: {total}");
    if total.different == 0 && total.images == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn load(path: &Path) -> Result<Chart, String> {
    let limits = Limits::DEFAULT;
    let name = path.display().to_string();
    let chart = if path.is_dir() {
        Chart::from_directory(path, &limits)
    } else {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        Chart::from_archive(&name, &bytes, &limits)
    };
    chart.map_err(|error| error.to_string())
}

#[derive(Default)]
struct Tally {
    equal: usize,
    different: usize,
    /// Cases in which the images differ.
    images: usize,
    /// Totals over all renderings.
    helm: Duration,
    ours: Duration,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.equal += other.equal;
        self.different += other.different;
        self.images += other.images;
        self.helm += other.helm;
        self.ours += other.ours;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.equal + self.different;
        let percent = if all == 0 { 100.0 } else { self.equal as f64 * 100.0 / all as f64 };
        write!(
            f,
            "{} of {all} documents equal ({percent:.2} %), images differ in {} cases; Helm {:.2} s, ours {:.2} s{}",
            self.equal,
            self.images,
            self.helm.as_secs_f64(),
            self.ours.as_secs_f64(),
            if cfg!(debug_assertions) { " (not optimised)" } else { "" }
        )
    }
}

/// Which cases are made besides those of a chart's file.
#[derive(Clone, Copy, Default)]
struct Variants {
    /// One for each switch in the values, turned, and one with all of them.
    toggles: bool,
    /// One for each value, replaced by a number, for schemas and templates that want something else.
    types: bool,
}

fn cases(chart: &Chart, variants: Variants) -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sets");
    let file = directory.join(format!("{}.txt", chart.metadata().name));
    let mut cases = Case::all(&std::fs::read_to_string(file).unwrap_or_default());
    let mut leaves = Vec::new();
    collect_leaves(chart.values(), "", &mut leaves);
    if variants.types {
        cases.extend(leaves.iter().map(|(path, _)| Case {
            name: format!("type-{path}"),
            set_json: vec![format!("{path}=7")],
            ..Case::default()
        }));
    }
    if variants.toggles {
        let switches = leaves.into_iter().filter_map(|(path, value)| Some((path, value.as_bool()?)));
        let switches: Vec<(String, bool)> = switches.collect();
        let all = switches.iter().map(|(path, value)| format!("{path}={}", !value)).collect();
        cases.push(Case { name: "toggle-all".to_owned(), set: all, ..Case::default() });
        cases.extend(switches.into_iter().map(|(path, value)| Case {
            name: format!("toggle-{path}"),
            set: vec![format!("{path}={}", !value)],
            ..Case::default()
        }));
    }
    cases
}

fn collect_leaves(map: &Map, path: &str, leaves: &mut Vec<(String, Value)>) {
    for (key, value) in map.entries() {
        let key = key.replace('.', "\\.");
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        match value {
            Value::Map(inner) if !inner.is_empty() => collect_leaves(&inner, &path, leaves),
            value => leaves.push((path, value)),
        }
    }
}

/// Documents by file, and by kind and name.
type Documents = BTreeMap<(String, String), Value>;

fn compare_case(path: &Path, chart: &Chart, name: &str, case: &Case, tally: &mut Tally, golden: &mut String) {
    let started = Instant::now();
    let ours = render(chart, &case.value_set(), &case.options());
    tally.ours += started.elapsed();
    let started = Instant::now();
    let first = helm(path, case);
    tally.helm += started.elapsed();
    let helms = first.and_then(|first| Ok((first, helm(path, case)?)));
    let (helms, again, ours) = match (helms, ours) {
        (Ok((helms, again)), Ok(ours)) => (helms, again, ours),
        (Err(_), Err(error)) => {
            golden.push_str(&format!("{} fails\n", case.name));
            println!("{name} {}: both fail; ours: {error}", case.name);
            tally.equal += 1;
            return;
        }
        (Ok(_), Err(error)) => {
            println!("{name} {}: only ours fails: {error}", case.name);
            tally.different += 1;
            return;
        }
        (Err(error), Ok(_)) => {
            println!("{name} {}: only Helm fails: {}", case.name, error.trim());
            tally.different += 1;
            return;
        }
    };
    let found = documents_of(&ours);
    let keys: std::collections::BTreeSet<_> = helms.keys().chain(found.keys()).cloned().collect();
    for key in keys {
        let (file, label) = &key;
        let (Some(expected), Some(found)) = (helms.get(&key), found.get(&key)) else {
            // Helm itself gives some documents another name each time.
            let is_random = |(other, _): &(String, String)| {
                let mut names = helms.keys().filter(|name| !again.contains_key(*name));
                names.any(|(name, _)| name == other)
            };
            if is_random(&key) {
                tally.equal += usize::from(helms.contains_key(&key));
                continue;
            }
            let whose = if helms.contains_key(&key) { "Helm" } else { "ours" };
            println!("{name} {}: {file} {label}: only {whose} has it", case.name);
            tally.different += 1;
            continue;
        };
        let random = again.get(&key);
        let difference = difference(expected, found, random.unwrap_or(expected), "");
        match difference {
            Some(text) => {
                println!("{name} {}: {file} {label}: {text}", case.name);
                tally.different += 1;
            }
            None => tally.equal += 1,
        }
        let steady = random.is_some_and(|again| text_of(again) == text_of(expected));
        let written = if steady { digest(expected) } else { "random".to_owned() };
        golden.push_str(&format!("{} {written} {file} {label}\n", case.name));
    }
    let images = |documents: &Documents| {
        let mut images = Vec::new();
        documents.values().for_each(|document| collect_images(document, &mut images));
        images.sort();
        images.dedup();
        images
    };
    let (expected, seen) = (images(&helms), images(&found));
    if expected != seen {
        println!("{name} {}: images differ: {expected:?} and {seen:?}", case.name);
        tally.images += 1;
    }
    let discovery = discover(chart, &[ours], &Limits::DEFAULT);
    for image in &expected {
        // A custom resource may say the rest of the name elsewhere.
        let is_it = |find: &Find| match image.parse::<Reference>() {
            Ok(whole) if image.contains(['/', ':']) => find.reference == whole,
            _ => find.reference.repository().last_component() == image,
        };
        let known = discovery.finds.iter().any(is_it);
        if !known {
            println!("{name} {}: {image} is rendered and not found", case.name);
            tally.images += 1;
        }
    }
    for find in &discovery.finds {
        golden.push_str(&format!("{} {} {}\n", case.name, find.grade.as_str(), find.reference));
    }
}

/// Every text under a key `image`, the plainest way to find images.
fn collect_images(value: &Value, images: &mut Vec<String>) {
    match value {
        Value::Map(map) => {
            for (key, value) in map.entries() {
                match &value {
                    Value::String(text) if &*key == "image" && text.contains(char::is_alphanumeric) => {
                        images.push(text.to_string())
                    }
                    _ => collect_images(&value, images),
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect_images(item, images)),
        _ => {}
    }
}

fn helm(path: &Path, case: &Case) -> Result<Documents, String> {
    let options = case.options();
    let mut command = Command::new("helm");
    command.args(["template", RELEASE]).arg(path).args(["--namespace", "default", "--include-crds"]);
    command.args(["--kube-version", &options.kube_version.to_string()]);
    let pairs =
        [("--set", &case.set), ("--set-json", &case.set_json), ("--api-versions", &case.api_versions)];
    for (flag, values) in pairs {
        values.iter().for_each(|value| {
            command.args([flag, value]);
        });
    }
    let output = command.output().map_err(|error| format!("helm: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut documents = Documents::new();
    let mut file = "";
    for part in format!("\n{text}").split("\n---") {
        // A part without a name is of the file before: a definition's file has one before its first
        // document only, and a template may write `---` twice.
        let (first, rest) = part.trim_start().split_once('\n').unwrap_or((part.trim(), ""));
        let named = first.trim().strip_prefix("# Source: ");
        file = named.unwrap_or(file);
        // The cut took the line break from the part's end.
        insert(&mut documents, file, &format!("{}\n", if named.is_some() { rest } else { part }))?;
    }
    Ok(documents)
}

fn insert(documents: &mut Documents, file: &str, text: &str) -> Result<(), String> {
    let value = yaml::parse_values(text, &Limits::DEFAULT).map_err(|error| format!("{file}: {error}"))?;
    if !value.is_nil() {
        insert_value(documents, file, &value);
    }
    Ok(())
}

fn insert_value(documents: &mut Documents, file: &str, value: &Value) {
    let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or("").to_owned();
    let map = value.as_map().cloned().unwrap_or_default();
    let metadata = map.get("metadata").as_ref().and_then(Value::as_map).cloned().unwrap_or_default();
    let kind = text(map.get("kind"));
    let label = format!("{kind}/{}/{}", text(metadata.get("namespace")), text(metadata.get("name")));
    let file = if kind == "CustomResourceDefinition" { "" } else { file };
    // Two documents may have one name.
    let mut key = (file.to_owned(), label.clone());
    for position in 2.. {
        if !documents.contains_key(&key) {
            break;
        }
        key.1 = format!("{label}#{position}");
    }
    documents.insert(key, value.clone());
}

fn documents_of(rendering: &Rendering) -> Documents {
    let mut documents = Documents::new();
    for document in &rendering.documents {
        insert_value(&mut documents, &document.file, &document.value);
    }
    documents
}

/// The first difference, if there is one; differences between two runs of Helm itself do not count.
fn difference(expected: &Value, found: &Value, again: &Value, path: &str) -> Option<String> {
    match (expected, found, again) {
        (Value::Map(a), Value::Map(b), Value::Map(again)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().into_iter().chain(b.keys()).collect();
            keys.iter().find_map(|key| {
                let path = format!("{path}.{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => difference(&a, &b, &again.get(key).unwrap_or_default(), &path),
                    (a, _) => {
                        Some(format!("{path}: only {} has it", if a.is_some() { "Helm" } else { "ours" }))
                    }
                }
            })
        }
        (Value::List(a), Value::List(b), Value::List(again))
            if a.len() == b.len() && a.len() == again.len() =>
        {
            a.iter().zip(b.iter()).zip(again.iter()).enumerate().find_map(|(position, ((a, b), again))| {
                difference(a, b, again, &format!("{path}[{position}]"))
            })
        }
        _ => {
            let (a, b, again) = (text_of(expected), text_of(found), text_of(again));
            let short = |text: &str| text.chars().take(300).collect::<String>();
            (a == again && a != b).then(|| format!("{path}: Helm {:?}, ours {:?}", short(&a), short(&b)))
        }
    }
}

fn text_of(value: &Value) -> String {
    yaml::to_yaml(value).expect("it was read within the limits")
}
