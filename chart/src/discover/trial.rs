//! What to render besides, to see how a chart completes names.
//! Takes renderings; gives `--set` expressions for further ones.

use std::collections::BTreeSet;

use super::union::unclear;
use crate::chart::Chart;
use crate::dependency::name_all;
use crate::{Limits, Map, Rendering, Value};

/// What to switch on in a set of values to see how a chart completes the name of an image that no
/// rendering used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trial {
    /// The name of the value set.
    pub value_set: String,
    /// What to set besides, as after Helm's `--set`.
    pub set: Vec<String>,
}

/// The trials that may tell what renderings leave open: where values leave a tag empty, or a
/// registry that the chart puts before other names. Everything around such a group that is
/// `enabled: false` is switched on, and what its charts depend on. Renderings of them
/// ([`Purpose::Trial`](crate::Purpose::Trial)) go into [`discover`](crate::discover) with the others.
pub fn trials(chart: &Chart, renderings: &[Rendering], limits: &Limits) -> BTreeSet<Trial> {
    let mut tree = chart.clone();
    name_all(&mut tree);
    let mut trials = BTreeSet::new();
    for (path, value_set) in unclear(chart, renderings, limits) {
        let rendering = renderings.iter().find(|rendering| rendering.value_set == value_set);
        let set = rendering.map(|rendering| switches(&tree, &rendering.declared, &path)).unwrap_or_default();
        if !set.is_empty() {
            trials.insert(Trial { value_set, set });
        }
    }
    trials
}

/// What must be set so that nothing around a path is switched off. What is said of an image in one
/// place may be switched on in another: `images.oxia` and `oxia.enabled`.
fn switches(chart: &Chart, values: &Map, path: &str) -> Vec<String> {
    let mut on = BTreeSet::new();
    // The path of an item of a list, or of a key with dots, is no expression.
    if path.contains(['[', '>']) {
        return Vec::new();
    }
    let is_off = |map: &Map| matches!(map.get("enabled"), Some(Value::Bool(false)));
    let (mut map, mut around) = (values.clone(), String::new());
    // The chart whose values these are, and where they are.
    let (mut chart, mut home) = (Some(chart), String::new());
    for key in path.split('.') {
        if let Some(Value::Map(own)) = values.get(key).filter(|_| !around.is_empty())
            && is_off(&own)
        {
            on.insert(format!("{key}.enabled"));
        }
        let Some(Value::Map(inner)) = map.get(key) else { break };
        chart = chart.and_then(|chart| {
            let wanted = chart.metadata.dependencies.iter().find(|wanted| wanted.name == key);
            let condition = wanted.and_then(|wanted| wanted.condition.split(',').next()).map(str::trim);
            on.extend(condition.filter(|path| !path.is_empty()).map(|path| format!("{home}{path}")));
            chart.dependencies.iter().find(|below| below.metadata.name == key)
        });
        around.push_str(key);
        if is_off(&inner) {
            on.insert(format!("{around}.enabled"));
        }
        around.push('.');
        if chart.is_some() {
            home.clone_from(&around);
        }
        map = inner;
    }
    on.into_iter().map(|path| format!("{path}=true")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::testing::map;

    fn chart(files: &[(&str, &str)]) -> Chart {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap()
    }

    #[test]
    fn all_that_is_switched_off_around_a_path_is_switched_on() {
        let mut tree = chart(&[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: top\nversion: 1.0.0\ndependencies: [{name: one, version: 1.x, alias: uno, condition: 'switch.uno,x'}]\n",
            ),
            (
                "charts/one/Chart.yaml",
                "apiVersion: v2\nname: one\nversion: 1.0.0\ndependencies: [{name: two, version: 1.x, condition: two.on}]\n",
            ),
            ("charts/one/charts/two/Chart.yaml", "apiVersion: v2\nname: two\nversion: 1.0.0\n"),
        ]);
        name_all(&mut tree);
        let values = map(
            r#"{"a":{"enabled":false,"b":{"enabled":true,"image":{"enabled":false}},"c":{"enabled":"no"}},"enabled":false,
                "images":{"oxia":{}},"oxia":{"enabled":false},"uno":{"two":{"image":{}}}}"#,
        );
        for (path, set) in [
            ("a.b.image", &["a.b.image.enabled=true", "a.enabled=true"][..]),
            ("a.c", &["a.enabled=true"]),
            ("a.x.y", &["a.enabled=true"]),
            ("images.oxia", &["oxia.enabled=true"]),
            ("uno.two.image", &["switch.uno=true", "uno.two.on=true"]),
            ("x", &[]),
            ("a.b[0]", &[]),
        ] {
            assert_eq!(switches(&tree, &values, path), set, "{path}");
        }
    }
}
