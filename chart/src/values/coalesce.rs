//! Lays values over the defaults of a chart and of the charts inside it.
//! Takes a tree of charts and given values; changes the values as Helm's `CoalesceValues` does.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::chart::Chart;
use crate::{Map, Value, Warning};

/// The effect of a null over a chart's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// It deletes the default and goes: Helm's coalescing.
    Delete,
    /// It stays, for a later coalescing: Helm's merging.
    Keep,
}

/// The key whose table all charts below see too.
const GLOBAL: &str = "global";

/// Puts the defaults of a chart and of the charts inside it under `values`, which it changes (helm,
/// pkg/chartutil/coalesce.go). Defaults of a parent win over those of its charts.
///
/// # Errors
/// The path of something that is no table where a chart below has its values.
pub(crate) fn coalesce(
    chart: &Chart,
    values: &Map,
    nulls: Nulls,
    warnings: &mut BTreeSet<Warning>,
) -> Result<(), String> {
    Coalescing { nulls, warnings }.chart(chart, values, "")
}

/// Puts `source` under `target`, which it changes and gives back.
pub(crate) fn merge_tables(target: &Map, source: &Map, nulls: Nulls, warnings: &mut BTreeSet<Warning>) {
    Coalescing { nulls, warnings }.tables(target, source, "", nulls);
}

/// The table at a path such as `a.b`.
pub(crate) fn table_of(values: &Map, path: &str) -> Option<Map> {
    path.split('.').try_fold(values.clone(), |table, key| match table.get(key)? {
        Value::Map(inner) => Some(inner),
        _ => None,
    })
}

struct Coalescing<'a> {
    nulls: Nulls,
    warnings: &'a mut BTreeSet<Warning>,
}

impl Coalescing<'_> {
    fn chart(&mut self, chart: &Chart, values: &Map, path: &str) -> Result<(), String> {
        self.defaults(chart, values, path);
        for below in &chart.dependencies {
            let name = below.metadata.name.as_str();
            let path = joined(path, name);
            let inner = match values.get(name) {
                None => {
                    let inner = Map::new();
                    values.insert(name, Value::Map(inner.clone()));
                    inner
                }
                Some(Value::Map(inner)) => inner,
                Some(_) => return Err(path),
            };
            self.globals(&inner, values, &path);
            self.chart(below, &inner, &path)?;
        }
        Ok(())
    }

    fn defaults(&mut self, chart: &Chart, values: &Map, path: &str) {
        // Merging changes both sides, and the chart's own values are used again.
        for (key, default) in chart.values.lazy_copy().entries() {
            match values.get(&key) {
                None => {
                    values.insert(key, default);
                }
                Some(Value::Nil) if self.nulls == Nulls::Delete => {
                    values.remove(&key);
                }
                Some(Value::Map(target)) => match default {
                    Value::Map(source) => {
                        let below = |chart: &Chart| *chart.metadata.name == *key;
                        let nulls =
                            if chart.dependencies.iter().any(below) { Nulls::Keep } else { self.nulls };
                        self.tables(&target, &source, &joined(path, &key), nulls);
                    }
                    Value::Nil => {}
                    _ => self.warn(Warning::TableOverValue(joined(path, &key))),
                },
                Some(_) => {}
            }
        }
    }

    /// Copies the globals of a parent over those of a chart inside it.
    fn globals(&mut self, target: &Map, source: &Map, path: &str) {
        let table = |values: &Map| match values.get(GLOBAL) {
            None => Some(Map::new()),
            Some(Value::Map(table)) => Some(table),
            Some(_) => None,
        };
        let (Some(own), Some(parents)) = (table(target), table(source)) else {
            self.warn(Warning::ValueOverTable(joined(path, GLOBAL)));
            return;
        };
        for (key, value) in parents.entries() {
            match (value, own.get(&key)) {
                (Value::Map(parent), before) => {
                    // Parent and child share the deeper maps, as in Helm.
                    let copy: Map = parent.entries().into_iter().collect();
                    match before {
                        None => {}
                        Some(Value::Map(before)) => {
                            self.tables(&copy, &before, &joined(path, &key), Nulls::Keep)
                        }
                        Some(_) => {
                            self.warn(Warning::TableOverValue(joined(path, &key)));
                            continue;
                        }
                    }
                    own.insert(key, Value::Map(copy));
                }
                (_, Some(Value::Map(_))) => self.warn(Warning::ValueOverTable(joined(path, &key))),
                (value, _) => {
                    own.insert(key, value);
                }
            }
        }
        target.insert(GLOBAL, Value::Map(own));
    }

    fn tables(&mut self, target: &Map, source: &Map, path: &str, nulls: Nulls) {
        // A null over a default deletes it; a null over nothing is a value.
        let set: BTreeSet<Arc<str>> =
            source.entries().into_iter().filter(|(_, value)| !value.is_nil()).map(|(key, _)| key).collect();
        for (key, value) in target.entries() {
            if value.is_nil() {
                source.insert(key, Value::Nil);
            }
        }
        for (key, value) in source.entries() {
            match (target.get(&key), value) {
                (Some(Value::Nil), _) if nulls == Nulls::Delete && set.contains(&key) => {
                    target.remove(&key);
                }
                (None, value) => {
                    target.insert(key, value);
                }
                (Some(Value::Map(target)), Value::Map(source)) => {
                    self.tables(&target, &source, &joined(path, &key), nulls);
                }
                (Some(Value::Map(_)), Value::Nil) => {}
                (Some(Value::Map(_)), _) => self.warn(Warning::TableOverValue(joined(path, &key))),
                (Some(_), Value::Map(_)) => self.warn(Warning::ValueOverTable(joined(path, &key))),
                (Some(_), _) => {}
            }
        }
    }

    fn warn(&mut self, warning: Warning) {
        self.warnings.insert(warning);
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::testing::{json, map};

    fn chart(name: &str, values: &str, dependencies: Vec<Chart>) -> Chart {
        let mut chart = Chart { values: map(values), dependencies, ..Chart::default() };
        chart.metadata.name = name.to_owned();
        chart
    }

    #[test]
    fn values_are_coalesced_as_helm_does() {
        let below = chart("below", r#"{"a":1,"t":{"x":1,"y":2},"global":{"g":"below","k":1}}"#, Vec::new());
        let top = chart(
            "top",
            r#"{"b":1,"t":{"x":1,"y":{"z":1}},"global":{"g":"top"},"below":{"a":2,"gone":null}}"#,
            vec![below],
        );
        for (given, expected) in [
            (
                "{}",
                r#"{"b":1,"below":{"a":2,"global":{"g":"top","k":1},"gone":null,"t":{"x":1,"y":2}},"global":{"g":"top"},"t":{"x":1,"y":{"z":1}}}"#,
            ),
            // Null deletes a default, in the chart itself, in a table, and in a chart below.
            (
                r#"{"b":null,"t":{"x":null},"below":{"a":null,"t":{"y":null}}}"#,
                r#"{"below":{"global":{"g":"top","k":1},"gone":null,"t":{"x":1}},"global":{"g":"top"},"t":{"y":{"z":1}}}"#,
            ),
            // Globals go down; lists and scalars are replaced.
            (
                r#"{"global":{"g":"given","deep":{"er":1}},"t":{"y":{"z":[2]}}}"#,
                r#"{"b":1,"below":{"a":2,"global":{"deep":{"er":1},"g":"given","k":1},"gone":null,"t":{"x":1,"y":2}},"global":{"deep":{"er":1},"g":"given"},"t":{"x":1,"y":{"z":[2]}}}"#,
            ),
        ] {
            let values = map(given);
            coalesce(&top, &values, Nulls::Delete, &mut BTreeSet::new()).unwrap();
            assert_eq!(json(&Value::Map(values)), expected, "{given}");
        }
        assert_eq!(
            json(&Value::Map(top.values.clone())),
            r#"{"b":1,"below":{"a":2,"gone":null},"global":{"g":"top"},"t":{"x":1,"y":{"z":1}}}"#
        );
    }

    #[test]
    fn what_does_not_fit_is_warned_of_or_refused() {
        let top =
            chart("top", r#"{"a":{"b":1},"c":1,"d":{"e":{"f":1}}}"#, vec![chart("below", "{}", Vec::new())]);
        let mut warnings = BTreeSet::new();
        let values = map(r#"{"c":{"x":1},"d":{"e":5}}"#);
        coalesce(&top, &values, Nulls::Delete, &mut warnings).unwrap();
        let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "values: c is a table, but a single value in the chart",
                "values: d.e is not a table, but it is one in the chart"
            ]
        );
        assert_eq!(
            coalesce(&top, &map(r#"{"below":1}"#), Nulls::Delete, &mut warnings),
            Err("below".to_owned())
        );
    }
}
