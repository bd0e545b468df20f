//! The alerts and the dashboard of `manifests/`: they ask for metrics that the program writes, each alert has a runbook
//! and unit tests. Takes both files, the metrics of jobs and a seed that run, and `promtool`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::documents::manifests::{crossed, manifests, read, yaml};
use crate::scene::Scene;
use crate::serve::served::Served;

/// The texts of the metrics of both jobs and of a seed that serves what they imported.
fn metrics() -> Vec<String> {
    let machine = crossed();
    let scene = &machine.scene;
    let done = scene.path("var/lib/bundle/inbox/done");
    let served =
        Served::with(scene, &["--follow", done.to_str().unwrap(), "--trust", "etc/bundle/trust.yaml"]);
    let of_seed = scene
        .shell(&format!("curl -fs http://{0}/v2/ >/dev/null && curl -fs http://{0}/metrics", served.host()));
    let of_job = |side: &str| read(&scene.path(&format!("var/lib/bundle/metrics/bundle-{side}.prom")));
    vec![of_job("export"), of_job("import"), of_seed.succeeds().stdout]
}

fn alerts() -> Vec<Value> {
    let file: Value = yaml(&manifests().join("alerts.yaml"));
    let groups = file["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read(&manifests().join("grafana-dashboard.json"))).unwrap()
}

/// The expressions of the dashboard's panels, by the panels' titles.
fn panels() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            found.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    found
}

/// The names of metrics in an expression.
fn named(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| word.starts_with("bundle_")).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_the_program_writes_and_each_part_says_its_version() {
    let metrics = metrics();
    let samples = || metrics.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with('#'));
    let written: BTreeSet<&str> =
        samples().map(|line| line.split(['{', ' ']).next().unwrap_or_default()).collect();
    let alerts = alerts();
    let alerts = alerts.iter().map(|alert| {
        (alert["alert"].as_str().unwrap().to_owned(), alert["expr"].as_str().unwrap().to_owned())
    });
    let mut asked = 0;
    for (place, expression) in alerts.chain(panels()) {
        let names = named(&expression);
        assert!(!names.is_empty(), "{place} asks for nothing: {expression}");
        for name in names {
            assert!(written.contains(name), "{place}: nothing writes {name}; written are {written:?}");
            asked += 1;
        }
    }
    assert!(asked > 50, "{asked}");
    for (text, component) in metrics.iter().zip(["export", "import", "serve"]) {
        let version = env!("CARGO_PKG_VERSION");
        let sample = |line: &&str| line.starts_with("bundle_build_info{");
        let found: Vec<&str> = text.lines().filter(sample).collect();
        let [line] = found[..] else { panic!("{found:?}") };
        assert!(line.ends_with(&format!(",component=\"{component}\",version=\"{version}\"}} 1")), "{line}");
        assert!(line.starts_with("bundle_build_info{commit=\""), "{line}");
    }
    // Files of one directory are refused by node-exporter if they have a sample twice, or other words on a metric.
    let mut samples: Vec<&str> = samples().filter_map(|line| line.rsplit_once(' ')).map(|it| it.0).collect();
    samples.sort_unstable();
    assert!(samples.windows(2).all(|pair| pair[0] != pair[1]), "{samples:?}");
    let Some(promtool) = bundle_test_needs::program("promtool") else { return };
    let scene = Scene::empty();
    for text in &metrics {
        std::fs::write(scene.path("metrics.prom"), text).unwrap();
        scene.shell(&format!("{} check metrics < metrics.prom", promtool.display())).succeeds();
    }
}

#[test]
fn each_alert_waits_a_while_and_has_words_and_a_runbook_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let fields: Vec<&String> = alert.as_object().unwrap().keys().collect();
        assert_eq!(fields.len(), 5, "{name}: {fields:?}");
        assert!(alert["for"].as_str().unwrap().ends_with(['m', 'h', 'd']), "{name}");
        assert!(["warning", "critical"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
        let annotations = &alert["annotations"];
        for text in ["summary", "description"] {
            assert!(annotations[text].as_str().unwrap().len() >= 20, "{name} has no {text}");
        }
        let url = annotations["runbook_url"].as_str().unwrap();
        let (file, anchor) = url
            .strip_prefix("https://github.com/bundle-project/bundle/blob/main/")
            .and_then(|rest| rest.split_once('#'))
            .unwrap();
        let text = read(&root.join(file));
        let heading = |line: &str| {
            let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            title.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect::<String>()
        };
        let known = text.lines().filter(|line| line.starts_with('#')).any(|line| heading(line) == anchor);
        assert!(known, "{name}: {url}");
    }
    // The page for those who are woken has a line on each of them.
    let page = read(&root.join("docs/operations.md"));
    let table: String = page.lines().filter(|line| line.starts_with("| `Bundle")).collect();
    let told: BTreeSet<String> =
        table.split('`').filter(|word| word.starts_with("Bundle")).map(str::to_owned).collect();
    assert_eq!(told, names);
    for side in ["Export", "Import", "Seed"] {
        assert!(names.contains(&format!("Bundle{side}MetricsGone")));
    }
}

#[test]
fn each_alert_fires_when_it_should_and_not_before_as_promtool_says() {
    let Some(promtool) = bundle_test_needs::program("promtool") else { return };
    let scene = Scene::empty();
    let ran = |arguments: &[&str]| {
        let ran = Command::new(&promtool).args(arguments).current_dir(scene.path(".")).output().unwrap();
        let text = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(ran.status.success(), "{text}");
    };
    ran(&["check", "rules", manifests().join("alerts.yaml").to_str().unwrap()]);
    // Words are not repeated in the tests.
    let mut rules: Value = yaml(&manifests().join("alerts.yaml"));
    for group in rules["groups"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            rule.as_object_mut().unwrap().remove("annotations");
        }
    }
    std::fs::write(scene.path("alerts.yaml"), rules.to_string()).unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/documents/alerts-test.yaml");
    std::fs::copy(&tests, scene.path("alerts-test.yaml")).unwrap();
    ran(&["test", "rules", "alerts-test.yaml"]);
    let mut expected: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    let tests: Value = yaml(&tests);
    for test in tests["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().unwrap() {
            let fires = !case["exp_alerts"].as_array().unwrap().is_empty();
            expected.entry(case["alertname"].as_str().unwrap().to_owned()).or_default().insert(fires);
        }
    }
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert_eq!(expected.get(name).map(BTreeSet::len), Some(2), "{name} needs a test of each kind");
    }
}

#[test]
fn the_panels_of_the_dashboard_have_expressions_that_prometheus_reads() {
    let dashboard = dashboard();
    let all = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = all.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), all.len());
    for panel in all.iter().filter(|panel| panel["type"] != "row") {
        // A dashboard that is imported elsewhere asks for the data source there.
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
    }
    let panels = panels();
    assert!(panels.len() > 20, "{panels:?}");
    let Some(promtool) = bundle_test_needs::program("promtool") else { return };
    let rule = |(number, (_, expression)): (usize, &(String, String))| {
        let expression = expression
            .replace("$__rate_interval", "5m")
            .replace("$__range", "1d")
            .replace("$stream", "nightly|weekly");
        assert!(!expression.contains('$'), "{expression}");
        json!({"record": format!("panel:{number}"), "expr": expression})
    };
    let rules: Vec<Value> = panels.iter().enumerate().map(rule).collect();
    let scene = Scene::empty();
    let file = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    std::fs::write(scene.path("rules.json"), file.to_string()).unwrap();
    scene.shell(&format!("{} check rules rules.json", promtool.display())).succeeds();
}
