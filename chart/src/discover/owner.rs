//! The charts inside a chart: whose values a path is in, and which version and registry hold there.
//! Takes a tree of charts and paths of values; gives owners, versions and registries.

use std::collections::{BTreeMap, BTreeSet};

use crate::chart::Chart;
use crate::{Map, Value};

/// The paths at which charts inside see the globals, which the top chart sets.
pub(super) fn inherited<'a>(charts: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    charts.filter(|path| !path.is_empty()).map(|path| format!("{path}.global")).collect()
}

/// The charts of a tree by the path of their values; the top one's is empty.
pub(super) fn charts_of(chart: &Chart) -> BTreeMap<String, &Chart> {
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
pub(super) fn owner_of<'a>(path: &'a str, charts: &BTreeMap<String, &Chart>) -> &'a str {
    let ends = [path.len()].into_iter().chain(path.rmatch_indices('.').map(|(at, _)| at));
    ends.filter_map(|end| path.get(..end)).find(|prefix| charts.contains_key(*prefix)).unwrap_or("")
}

/// The `appVersion` of a chart, or of the next one around it that has one.
pub(super) fn version_of<'a>(owner: &str, charts: &BTreeMap<String, &'a Chart>) -> &'a str {
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
pub(super) fn is_installed(chart: &Chart, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    chart.metadata.name == first
        && rest.is_none_or(|rest| chart.dependencies.iter().any(|below| is_installed(below, rest)))
}

/// Registries that stand for all others: `global.imageRegistry` and the like.
pub(super) fn replaced_registries(values: &Map) -> BTreeSet<String> {
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
