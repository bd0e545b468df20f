//! A switch of a chart, and values with a switch turned.
//! Takes values and charts; gives the booleans that can be turned, what switches on the charts that are left
//! out, and the values with one of them turned.

use std::sync::Arc;

use foldhash::{HashSet, HashSetExt};

use crate::chart::Chart;
use crate::{Map, Value};

/// One thing that is turned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// A boolean of the values.
    Value(Vec<Arc<str>>, Flag),
    /// A chart inside that is left out: what switches it on.
    Chart(Vec<Arc<str>>),
    ApiVersion(String),
    KubeVersion(String),
    Upgrade,
    Lookup,
}

/// The value that a switch is turned to, in its original type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flag {
    Is(bool),
    Says(bool),
}

impl Flag {
    /// The other one of a switch.
    pub(super) fn other(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(is) => Some(Self::Is(!is)),
            Value::String(text) if &**text == "true" => Some(Self::Says(false)),
            Value::String(text) if &**text == "false" => Some(Self::Says(true)),
            _ => None,
        }
    }

    pub(super) fn value(self) -> Value {
        match self {
            Self::Is(is) => Value::Bool(is),
            Self::Says(is) => Value::from(if is { "true" } else { "false" }),
        }
    }
}

impl Turn {
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Value(path, Flag::Is(is) | Flag::Says(is)) => format!("{}={is}", path.join(".")),
            Self::Chart(path) => format!("{}=true", path.join(".")),
            Self::ApiVersion(name) => format!("apiVersions {name}"),
            Self::KubeVersion(version) => format!("kubeVersion {version}"),
            Self::Upgrade => "an upgrade".to_owned(),
            Self::Lookup => "an object in the cluster".to_owned(),
        }
    }

    /// The path of the switch, without its value.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Value(path, _) | Self::Chart(path) => path.join("\0"),
            other => other.shown(),
        }
    }
}

/// Values with a switch turned, to be made as often as they are needed.
pub(super) struct TurnedValues {
    pub(super) before: Map,
    pub(super) turn: Turn,
    pub(super) filled: Vec<Vec<Arc<str>>>,
}

impl TurnedValues {
    pub(super) fn values(&self, charts: &[Chart]) -> Map {
        let values = self.before.lazy_copy();
        if let Turn::Value(path, flag) = &self.turn {
            put(&values, charts, path, &flag.value());
        }
        for path in &self.filled {
            put(&values, charts, path, &Value::from("bundle"));
        }
        values
    }
}

/// A boolean of the values.
pub(super) struct Boolean<'a> {
    pub(super) path: &'a [Arc<str>],
    /// The id of the map that it is in, as templates saw it.
    pub(super) map: usize,
    /// The value that it can be turned to.
    pub(super) flag: Flag,
}

/// Goes through all booleans that are in no list, with the map that they are in as templates saw it. Reads
/// them from values that no template could change.
pub(super) fn booleans(seen: &Map, values: &Map, path: &mut Vec<Arc<str>>, see: &mut dyn FnMut(Boolean<'_>)) {
    // Into what no template looked, and most of it is that.
    if seen.is_untouched() {
        return;
    }
    for (key, value) in values.entries() {
        path.push(Arc::clone(&key));
        match &value {
            Value::Map(inner) => {
                if let Some(Value::Map(copy)) = seen.get(&key) {
                    booleans(&copy, inner, path, see);
                }
            }
            value => {
                if let Some(flag) = Flag::other(value) {
                    see(Boolean { path, map: seen.id(), flag });
                }
            }
        }
        path.pop();
    }
}

/// Charts inside see the globals under their own names; they are set once, at the top.
pub(super) fn global(path: &[Arc<str>]) -> Vec<Arc<str>> {
    let at = path.iter().position(|key| &**key == GLOBAL).filter(|at| at + 1 < path.len());
    path.get(at.unwrap_or(0)..).unwrap_or_default().to_vec()
}

const GLOBAL: &str = "global";

/// Sets a value, and what is global in every chart inside too.
fn put(values: &Map, charts: &[Chart], path: &[Arc<str>], value: &Value) {
    let Some((key, tables)) = path.split_last() else { return };
    let mut table = values.clone();
    for name in tables {
        table = match table.get(name) {
            Some(Value::Map(inner)) => inner,
            _ => {
                let inner = Map::new();
                table.insert(Arc::clone(name), Value::Map(inner.clone()));
                inner
            }
        };
    }
    table.insert(Arc::clone(key), value.clone());
    if path.first().is_some_and(|first| &**first == GLOBAL) {
        for chart in charts {
            if let Some(Value::Map(inner)) = values.get(&chart.metadata.name) {
                put(&inner, &chart.dependencies, path, value);
            }
        }
    }
}

/// The ids of a map and of all maps in it. Templates can nest them deeper than any stack, or into
/// themselves.
pub(super) fn ids(values: &Map) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut open = vec![values.clone()];
    while let Some(map) = open.pop() {
        if !map.is_untouched() && found.insert(map.id()) {
            open.extend(map.entries().into_iter().filter_map(|(_, value)| value.as_map().cloned()));
        }
    }
    found
}

/// Returns the switches that enable the charts that are left out: the first of a chart's conditions, or its
/// first tag.
pub(super) fn left_out(
    all: &Chart,
    installed: &Chart,
    home: &mut Vec<Arc<str>>,
    found: &mut Vec<Vec<Arc<str>>>,
) {
    for below in &all.dependencies {
        let name = &below.metadata.name;
        if let Some(inner) = installed.dependencies.iter().find(|inner| inner.metadata.name == *name) {
            home.push(Arc::from(name.as_str()));
            left_out(below, inner, home, found);
            home.pop();
            continue;
        }
        let Some(wanted) = all.metadata.dependencies.iter().find(|wanted| wanted.name == *name) else {
            continue;
        };
        let condition = wanted.condition.split(',').map(str::trim).find(|condition| !condition.is_empty());
        let path = match (condition, wanted.tags.first()) {
            (Some(condition), _) => home.iter().cloned().chain(condition.split('.').map(Arc::from)).collect(),
            (None, Some(tag)) => vec![Arc::from("tags"), Arc::from(tag.as_str())],
            (None, None) => continue,
        };
        if !found.contains(&path) {
            found.push(path);
        }
    }
}
