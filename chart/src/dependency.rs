//! Which charts inside a chart take part, and under which names.
//! Takes a tree and values; changes the tree as Helm does: aliases, conditions, tags, imports.

use std::collections::BTreeSet;

use crate::chart::Chart;
use crate::metadata::ImportValues;
use crate::values::{Nulls, coalesce, merge_tables, table_of};
use crate::{Constraint, Dependency, Map, Value, Version, Warning};

/// Makes the tree of charts that these values install: aliases are given, charts that are switched
/// off go, and parents take what they import (helm, pkg/chartutil/dependencies.go).
///
/// # Errors
/// The path of something that is no table where a chart below has its values.
pub(crate) fn process(
    chart: &mut Chart,
    values: &Map,
    warnings: &mut BTreeSet<Warning>,
) -> Result<(), String> {
    switch(chart, values, "", warnings)?;
    import(chart, warnings)
}

/// Gives the charts inside their aliases, without asking whether they are switched on.
pub(crate) fn name_all(chart: &mut Chart) {
    chart.dependencies = named(chart);
    for dependency in &mut chart.metadata.dependencies {
        dependency.name = dependency.own_name().to_owned();
        dependency.enabled = true;
    }
    for below in &mut chart.dependencies {
        name_all(below);
    }
}

/// Takes out the charts inside, each as often as it is depended on and under its alias. One that nothing
/// depends on stays as it is.
fn named(chart: &mut Chart) -> Vec<Chart> {
    let meant = |dependency: &Dependency, below: &Chart| {
        below.metadata.name == dependency.name && is_compatible(&dependency.version, &below.metadata.version)
    };
    let charts = std::mem::take(&mut chart.dependencies);
    let wanted = &chart.metadata.dependencies;
    if wanted.is_empty() {
        return charts;
    }
    let of = |dependency| charts.iter().position(|below| meant(dependency, below));
    let places: Vec<Option<usize>> = wanted.iter().map(of).collect();
    let is_extra = |below: &Chart| !wanted.iter().any(|wanted| meant(wanted, below));
    let extra: Vec<bool> = charts.iter().map(is_extra).collect();
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    for (below, is_extra) in charts.into_iter().zip(extra) {
        if is_extra {
            found.push(below);
            rest.push(None);
        } else {
            rest.push(Some(below));
        }
    }
    for (at, (dependency, place)) in wanted.iter().zip(&places).enumerate() {
        let Some(slot) = place.and_then(|place| rest.get_mut(place)) else { continue };
        let is_last = !places.iter().skip(at + 1).any(|other| other == place);
        let below = if is_last { slot.take() } else { slot.clone() };
        if let Some(mut below) = below {
            dependency.own_name().clone_into(&mut below.metadata.name);
            found.push(below);
        }
    }
    found
}

fn is_compatible(range: &str, version: &str) -> bool {
    match (range.parse::<Constraint>(), version.parse::<Version>()) {
        (Ok(range), Ok(version)) => range.allows(&version),
        _ => false,
    }
}

fn switch(
    chart: &mut Chart,
    values: &Map,
    path: &str,
    warnings: &mut BTreeSet<Warning>,
) -> Result<(), String> {
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    chart.dependencies = named(chart);
    let values = values.lazy_copy();
    for dependency in &mut chart.metadata.dependencies {
        dependency.name = dependency.own_name().to_owned();
    }
    coalesce(chart, &values, Nulls::Delete, warnings)?;
    for dependency in &mut chart.metadata.dependencies {
        dependency.enabled = enabled(dependency, &values, path, warnings);
    }
    let off: BTreeSet<String> = chart
        .metadata
        .dependencies
        .iter()
        .filter(|dependency| !dependency.enabled)
        .map(|dependency| dependency.name.clone())
        .collect();
    chart.dependencies.retain(|below| !off.contains(&below.metadata.name));
    chart.metadata.dependencies.retain(|dependency| dependency.enabled);
    for below in &mut chart.dependencies {
        let path = format!("{path}{}.", below.metadata.name);
        switch(below, &values, &path, warnings)?;
    }
    Ok(())
}

/// A condition that has a value decides, the first of several; without one, the tags do.
fn enabled(dependency: &Dependency, values: &Map, path: &str, warnings: &mut BTreeSet<Warning>) -> bool {
    for condition in dependency.condition.trim().split(',').filter(|condition| !condition.is_empty()) {
        let path = format!("{path}{condition}");
        let (table, key) = match path.rsplit_once('.') {
            Some((table, key)) => (table_of(values, table), key),
            None => (Some(values.clone()), path.as_str()),
        };
        match table.and_then(|table| table.get(key)) {
            None | Some(Value::Map(_)) => {}
            Some(Value::Bool(flag)) => return flag,
            Some(_) => {
                warnings.insert(Warning::Condition(path));
            }
        }
    }
    let Some(tags) = table_of(values, "tags") else { return true };
    let said: Vec<bool> = dependency.tags.iter().filter_map(|tag| tags.get(tag)?.as_bool()).collect();
    said.is_empty() || said.contains(&true)
}

/// Puts what charts below export under the defaults of their parent, from the bottom up.
fn import(chart: &mut Chart, warnings: &mut BTreeSet<Warning>) -> Result<(), String> {
    for below in &mut chart.dependencies {
        import(below, warnings)?;
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let values = Map::new();
    coalesce(chart, &values, Nulls::Keep, warnings)?;
    let imported = Map::new();
    for dependency in &chart.metadata.dependencies {
        for entry in &dependency.import_values {
            let (child, parent) = match entry {
                ImportValues::Export(name) => (format!("exports.{name}"), "."),
                ImportValues::Table { child, parent } => (child.clone(), parent.as_str()),
            };
            let table = format!("{}.{child}", dependency.name);
            let Some(found) = table_of(&values, &table) else {
                warnings.insert(Warning::Import { chart: dependency.name.clone(), table: child });
                continue;
            };
            merge_tables(&imported, &nested(parent, found), Nulls::Keep, warnings);
        }
    }
    if imported.is_empty() {
        chart.values = values;
        return Ok(());
    }
    // Parts of what was imported are parts of `values` too, and merging changes both sides.
    let Some(merged) = values.deep_copy(usize::MAX) else { return Ok(()) };
    merge_tables(&merged, &imported, Nulls::Keep, warnings);
    chart.values = merged;
    Ok(())
}

/// The table at a path of its own.
fn nested(path: &str, table: Map) -> Map {
    if path == "." {
        return table;
    }
    path.rsplit('.').fold(table, |inner, key| Map::from_iter([(key, Value::Map(inner))]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::testing::{json, map};

    fn chart(name: &str, values: &str) -> Chart {
        let mut chart = Chart { values: map(values), ..Chart::default() };
        (chart.metadata.name, chart.metadata.version) = (name.to_owned(), "1.2.3".to_owned());
        chart
    }

    fn dependency(name: &str) -> Dependency {
        Dependency { name: name.to_owned(), version: "1.x".to_owned(), ..Dependency::default() }
    }

    fn parent(values: &str, dependencies: Vec<Dependency>, charts: Vec<Chart>) -> Chart {
        let mut chart = chart("top", values);
        chart.metadata.dependencies = dependencies;
        chart.dependencies = charts;
        chart
    }

    fn names(mut chart: Chart, values: &str) -> Vec<String> {
        process(&mut chart, &map(values), &mut BTreeSet::new()).unwrap();
        chart.dependencies.into_iter().map(|below| below.metadata.name).collect()
    }

    #[test]
    fn conditions_win_over_tags_and_the_first_that_speaks_decides() {
        let conditional = |condition: &str, tags: &[&str]| {
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let dependency = Dependency { condition: condition.to_owned(), tags, ..dependency("below") };
            parent(
                r#"{"on":true,"off":false,"table":{}}"#,
                vec![dependency],
                vec![chart("below", r#"{"own":false}"#)],
            )
        };
        for (condition, tags, values, on) in [
            ("", &[][..], "{}", true),
            ("off", &[], "{}", false),
            ("off", &[], r#"{"off":true}"#, true),
            ("none,off", &[], "{}", false),
            ("on,off", &[], "{}", true),
            ("table,on", &[], "{}", true),
            ("below.own", &[], "{}", false),
            ("below.own", &[], r#"{"below":{"own":true}}"#, true),
            ("", &["a"], r#"{"tags":{"a":false}}"#, false),
            ("", &["a", "b"], r#"{"tags":{"a":false,"b":true}}"#, true),
            ("on", &["a"], r#"{"tags":{"a":false}}"#, true),
            ("x", &[], r#"{"x":"yes"}"#, true),
        ] {
            let found = names(conditional(condition, tags), values);
            assert_eq!(found == ["below"], on, "{condition} {tags:?} {values}");
        }
    }

    #[test]
    fn a_chart_is_there_once_for_each_of_its_aliases() {
        let alias = |name: &str| Dependency {
            alias: name.to_owned(),
            condition: format!("{name}.on"),
            ..dependency("below")
        };
        let top = || {
            parent(
                r#"{"second":{"on":false},"first":{"x":2}}"#,
                vec![alias("first"), alias("second"), dependency("below")],
                vec![chart("below", r#"{"x":1}"#), chart("other", "{}")],
            )
        };
        assert_eq!(names(top(), "{}"), ["other", "first", "below"]);
        assert_eq!(
            names(top(), r#"{"second":{"on":true},"first":{"on":false}}"#),
            ["other", "second", "below"]
        );
        let mut all = top();
        name_all(&mut all);
        let found: Vec<_> = all.dependencies.iter().map(|below| below.metadata.name.as_str()).collect();
        assert_eq!(found, ["other", "first", "second", "below"]);
    }

    #[test]
    fn parents_import_both_forms_under_their_own_values() {
        let mut importing = dependency("below");
        importing.import_values = vec![
            ImportValues::Export("data".to_owned()),
            ImportValues::Table { child: "a.b".to_owned(), parent: "x.y".to_owned() },
            ImportValues::Export("none".to_owned()),
        ];
        let below = chart("below", r#"{"exports":{"data":{"p":1,"q":2}},"a":{"b":{"r":3}}}"#);
        let mut top = parent(r#"{"p":9}"#, vec![importing], vec![below]);
        let mut warnings = BTreeSet::new();
        process(&mut top, &Map::new(), &mut warnings).unwrap();
        top.values.remove("below");
        assert_eq!(json(&Value::Map(top.values)), r#"{"p":9,"q":2,"x":{"y":{"r":3}}}"#);
        let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["the chart below has no table exports.none to import"]);
    }
}
