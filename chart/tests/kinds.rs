//! Small charts, each with one way to name an image, and what is found in them.
//! Reads `kinds/*.txt`: `== name` starts a chart, `-- path` a file of it, `-- finds` the expected finds,
//! a line each: grade, reference, and behind `if` the switch.

use std::path::Path;

use bundle_chart::{Chart, Grade, Limits, RenderOptions, SwitchOptions, ValueSet, discover, render_switched};

#[test]
fn every_kind_of_small_chart_gives_its_images_with_their_grades() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kinds");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut count, mut wrong) = (0, Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for case in text.split("\n== ").skip(1) {
            let (name, body) = case.split_once('\n').unwrap();
            let found = finds(body);
            let expected = body.split("\n-- finds\n").nth(1).unwrap().lines();
            let expected: Vec<&str> = expected.filter(|line| !line.is_empty()).collect();
            if found != expected {
                wrong.push(format!("{name}: found {found:#?}, expected {expected:#?}"));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 40, "{count} charts");
}

fn finds(body: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: 2.3.4\n");
    for part in format!("\n{body}").split("\n-- ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        if name != "finds" {
            write(name, &format!("{text}\n"));
        }
    }
    let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap();
    let switches = SwitchOptions { threads: std::num::NonZeroUsize::MIN, deadline: None, kube_version: None };
    let rendering =
        render_switched(&chart, &ValueSet::defaults(), &RenderOptions::default(), &switches).unwrap();
    let discovery = discover(&chart, &[rendering], &Limits::DEFAULT);
    let line = |find: &bundle_chart::Find| {
        let switch = find.switches.first().filter(|_| find.grade == Grade::Switched);
        let switch = switch.map(|switch| format!(" if {switch}")).unwrap_or_default();
        format!("{} {}{switch}", find.grade.as_str(), find.reference)
    };
    discovery.finds.iter().map(line).collect()
}
