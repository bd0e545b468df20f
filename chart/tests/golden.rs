//! Renders charts, those under `shared/data/charts` beside the checkout and some made for it, and
//! compares with what Helm made of them (`scripts/helm-oracle` writes the golden files).

#[path = "golden/case.rs"]
mod case;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bundle_chart::{Chart, Limits, Value, discover, render};

use crate::case::{Case, digest};

#[test]
fn charts_that_people_use_render_as_with_helm_and_give_their_images() {
    let Some(charts) = bundle_test_needs::shared("data/charts") else { return };
    let mut compared = 0;
    for entry in std::fs::read_dir(charts).unwrap() {
        let archive = entry.unwrap().path();
        let bytes = std::fs::read(&archive).unwrap();
        compare(&Chart::from_archive("chart", &bytes, &Limits::DEFAULT).unwrap());
        compared += 1;
    }
    assert!(compared > 0, "there are no charts");
}

#[test]
fn charts_with_every_turn_that_dependencies_can_take_render_as_with_helm() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["family", "old", "schema"] {
        compare(&Chart::from_directory(&here.join("tests/charts").join(name), &Limits::DEFAULT).unwrap());
    }
}

fn compare(chart: &Chart) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let metadata = chart.metadata();
    let golden = directory.join(format!("{}-{}.txt", metadata.name, metadata.version));
    let expected =
        std::fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
    let sets = directory.join(format!("sets/{}.txt", metadata.name));
    let cases = Case::all(&std::fs::read_to_string(sets).unwrap_or_default());
    let found: String = cases.iter().map(|case| lines(chart, case)).collect();
    // Random output of Helm has no digest.
    let random: BTreeSet<(&str, &str)> =
        expected.lines().filter_map(|line| line.split_once(" random ")).collect();
    let masked = |line: &str| match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
        [case, _, rest] if random.contains(&(case, rest)) => format!("{case} random {rest}"),
        _ => line.to_owned(),
    };
    let found: Vec<String> = found.lines().map(masked).collect();
    let expected: Vec<&str> = expected.lines().collect();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "{}", golden.display());
    }
    assert_eq!(found.len(), expected.len(), "{}", golden.display());
}

/// The oracle's lines for one case.
fn lines(chart: &Chart, case: &Case) -> String {
    let Ok(rendering) = render(chart, &case.value_set(), &case.options()) else {
        return format!("{} fails\n", case.name);
    };
    let mut documents = BTreeMap::new();
    for document in &rendering.documents {
        let text = |value: Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or("").to_owned();
        let map = document.value.as_map().cloned().unwrap_or_default();
        let metadata = map.get("metadata").as_ref().and_then(Value::as_map).cloned().unwrap_or_default();
        let kind = text(map.get("kind"));
        let file = if kind == "CustomResourceDefinition" { "" } else { document.file.as_str() };
        let label = format!("{kind}/{}/{}", text(metadata.get("namespace")), text(metadata.get("name")));
        let mut key = (file.to_owned(), label.clone());
        for position in 2.. {
            if !documents.contains_key(&key) {
                break;
            }
            key.1 = format!("{label}#{position}");
        }
        documents.insert(key, digest(&document.value));
    }
    let mut lines: String = documents
        .iter()
        .map(|((file, label), digest)| format!("{} {digest} {file} {label}\n", case.name))
        .collect();
    for find in discover(chart, &[rendering], &Limits::DEFAULT).finds {
        lines.push_str(&format!("{} {} {}\n", case.name, find.grade.as_str(), find.reference));
    }
    lines
}
