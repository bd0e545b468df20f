//! Helm's side: the images of all renderings of a chart, with each switch turned alone.
//! Takes a chart with its path; gives the images, from a cache if there is one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use bundle_chart::{Chart, Limits, Map, Value, yaml};

use crate::{Images, asked};

/// What Helm's renderings ask for.
pub(crate) struct Turned {
    pub(crate) images: Images,
    /// How many renderings Helm made.
    pub(crate) renderings: usize,
    /// The values file that was needed for the chart to render at all.
    pub(crate) values: Option<PathBuf>,
}

/// The version of Kubernetes that this crate renders for if nobody says another; Helm's own is the one of its
/// build.
const VERSION: &str = "1.37.0";
/// An older one, for templates that compare.
const OTHER_VERSION: &str = "1.31.0";

pub(crate) fn turned(
    path: &Path,
    chart: &Chart,
    at_most: usize,
    cache: Option<&Path>,
) -> Result<Turned, String> {
    let kept = cache.map(|cache| cache.join(path.to_string_lossy().replace('/', "_")));
    if let Some(text) = kept.as_ref().and_then(|kept| std::fs::read_to_string(kept).ok()) {
        return Ok(read(&text));
    }
    let mut images = Images::new();
    let (values, first) = first(path)?;
    add(&first, "defaults", &mut images)?;
    let mut renderings = 1;
    let mut arguments: Vec<Vec<String>> = Vec::new();
    let mut switches = Vec::new();
    collect_switches(chart, "", 0, &mut switches);
    let mut seen = BTreeSet::new();
    switches.retain(|(path, _)| seen.insert(path.clone()));
    for (path, value) in switches.into_iter().take(at_most) {
        arguments.push(vec!["--set".to_owned(), format!("{path}={}", !value)]);
    }
    let mut versions = BTreeSet::new();
    asked_versions(chart, &mut versions);
    arguments.extend(versions.into_iter().map(|version| vec!["--api-versions".to_owned(), version]));
    // Of two, the last one counts.
    arguments.push(vec!["--kube-version".to_owned(), OTHER_VERSION.to_owned()]);
    arguments.push(vec!["--is-upgrade".to_owned()]);
    for more in arguments {
        // A switch that needs further values is not the oracle's business.
        if let Ok(text) = template(path, values.as_deref(), &more) {
            renderings += 1;
            add(&text, &more.join(" "), &mut images)?;
        }
    }
    let turned = Turned { images, renderings, values };
    if let Some(kept) = kept {
        std::fs::write(&kept, write(&turned)).map_err(|error| format!("{}: {error}", kept.display()))?;
    }
    Ok(turned)
}

/// The defaults, or the first of the chart's own test values with which it renders.
fn first(path: &Path) -> Result<(Option<PathBuf>, String), String> {
    let error = match template(path, None, &[]) {
        Ok(text) => return Ok((None, text)),
        Err(error) => error,
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(path.join("ci"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    let rendered = files.into_iter().find_map(|file| {
        let text = template(path, Some(&file), &[]).ok()?;
        Some((Some(file), text))
    });
    rendered.ok_or_else(|| format!("Helm: {}", error.lines().next_back().unwrap_or_default()))
}

fn template(path: &Path, values: Option<&Path>, more: &[String]) -> Result<String, String> {
    let mut command = Command::new("helm");
    command.args(["template", "release-name"]).arg(path).args(["--namespace", "default", "--include-crds"]);
    command.args(["--kube-version", VERSION]);
    if let Some(values) = values {
        command.arg("-f").arg(values);
    }
    let output = command.args(more).output().map_err(|error| format!("helm: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn add(text: &str, switch: &str, images: &mut Images) -> Result<(), String> {
    for part in format!("\n{text}").split("\n---") {
        // A document that no YAML reader takes shows nothing to a cluster either.
        if let Ok(document) = yaml::parse_values(&format!("{part}\n"), &Limits::DEFAULT) {
            asked::collect(&document, switch, images);
        } else {
            let head: String = part.chars().take(120).collect();
            eprintln!("{switch}: a document cannot be read: {head:?}");
        }
    }
    Ok(())
}

/// The booleans of a chart's values and of those of the charts inside it.
fn collect_switches(chart: &Chart, prefix: &str, depth: usize, switches: &mut Vec<(String, bool)>) {
    collect(chart.values(), prefix, switches);
    if depth > 3 {
        return;
    }
    for inner in chart.dependencies() {
        let name = &inner.metadata().name;
        let declared = chart.metadata().dependencies.iter().filter(|declared| &declared.name == name);
        let mut names: BTreeSet<&str> = declared.map(|declared| declared.own_name()).collect();
        if names.is_empty() {
            names.insert(name);
        }
        for name in names {
            collect_switches(inner, &format!("{prefix}{name}."), depth + 1, switches);
        }
    }
}

fn collect(map: &Map, prefix: &str, switches: &mut Vec<(String, bool)>) {
    for (key, value) in map.entries() {
        let path = format!("{prefix}{}", key.replace('.', "\\.").replace(',', "\\,"));
        match value {
            Value::Map(inner) => collect(&inner, &format!("{path}."), switches),
            Value::Bool(value) => switches.push((path, value)),
            _ => {}
        }
    }
}

/// API versions that templates compare with: `.Capabilities.APIVersions.Has "a/v1"`.
fn asked_versions(chart: &Chart, found: &mut BTreeSet<String>) {
    for file in chart.files() {
        let text = String::from_utf8_lossy(file.data());
        for part in text.split("APIVersions.Has").skip(1) {
            let word = part.trim_start_matches([' ', '(']).strip_prefix('"');
            found.extend(word.and_then(|word| Some(word.split_once('"')?.0.to_owned())));
        }
    }
    chart.dependencies().iter().for_each(|inner| asked_versions(inner, found));
}

fn write(turned: &Turned) -> String {
    let values = turned.values.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let lines = turned.images.iter().map(|(image, place)| format!("{image}\t{}\n", place.replace('\n', " ")));
    format!("{}\t{values}\n{}", turned.renderings, lines.collect::<String>())
}

fn read(text: &str) -> Turned {
    let mut lines = text.lines().map(|line| line.split_once('\t').expect("the cache was written whole"));
    let (renderings, values) = lines.next().expect("the cache was written whole");
    Turned {
        renderings: renderings.parse().expect("the cache was written whole"),
        values: (!values.is_empty()).then(|| PathBuf::from(values)),
        images: lines.map(|(image, place)| (image.to_owned(), place.to_owned())).collect(),
    }
}
