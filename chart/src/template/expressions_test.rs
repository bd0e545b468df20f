//! Compares a thousand templates with what Helm made of them.
//! `scripts/helm-expressions` writes the expected texts.

use std::path::Path;

use crate::{Chart, KubeVersion, Limits, RenderOptions, ValueSet, render};

/// Compares a thousand templates with Helm's output, which `scripts/helm-expressions` records.
#[test]
fn templates_give_what_helm_gives() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/template/testdata");
    let chart = data.join("chart");
    let options = RenderOptions {
        release_name: Some("release-name".to_owned()),
        kube_version: "v1.30.0".parse::<KubeVersion>().unwrap(),
        ..RenderOptions::default()
    };
    let directory = tempfile::tempdir().unwrap();
    copy(&chart, directory.path());
    let text = std::fs::read_to_string(data.join("expressions.txt")).unwrap();
    let mut lines = text.lines();
    let mut count = 0;
    let mut wrong = Vec::new();
    while let Some(template) = lines.next() {
        let expected = lines.next().unwrap();
        let body =
            format!("{{{{- define \"case\" }}}}{template}{{{{ end }}}}{{{{ include \"case\" . | toJson }}}}");
        std::fs::write(directory.path().join("templates/case.yaml"), body).unwrap();
        let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap();
        let found = match render(&chart, &ValueSet::defaults(), &options) {
            Ok(rendering) => format!("= {}", rendering.documents[0].text.trim()),
            Err(_) => "!".to_owned(),
        };
        if found != expected {
            wrong.push(format!("{template}\n  Helm {expected}\n  ours {found}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 900);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => std::fs::copy(entry.path(), &target).map(drop).unwrap(),
        }
    }
}

#[test]
fn a_template_reads_its_charts_own_files_and_nothing_of_the_machine_or_a_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("secret.txt");
    std::fs::write(&outside, "secret").unwrap();
    let chart = directory.path().join("chart");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: app\nversion: 1.0.0\n").unwrap();
    std::fs::write(chart.join("own.txt"), "own").unwrap();
    let seen = |expression: &str| {
        std::fs::write(chart.join("templates/case.yaml"), format!("found: [{expression}]\n")).unwrap();
        let chart = Chart::from_directory(&chart, &Limits::DEFAULT).unwrap();
        let rendering = render(&chart, &ValueSet::defaults(), &RenderOptions::default()).unwrap();
        rendering.documents[0].text.trim().to_owned()
    };
    assert_eq!(seen(r#"{{ .Files.Get "own.txt" }}"#), "found: [own]");
    for path in
        ["../secret.txt", &outside.display().to_string(), "/etc/hostname", "templates/../../secret.txt"]
    {
        assert_eq!(seen(&format!("{{{{ .Files.Get {path:?} }}}}")), "found: []", "{path}");
    }
    assert_eq!(seen(r#"{{ range $name, $_ := .Files.Glob "../*" }}{{ $name }}{{ end }}"#), "found: []");
    assert_eq!(seen(r#"{{ getHostByName "localhost" }}"#), "found: []");
    assert_eq!(seen(r#"{{ (lookup "v1" "Secret" "kube-system" "admin").data }}"#), "found: []");
    // Functions that would read the environment do not exist, as in Helm.
    for expression in [r#"{{ env "HOME" }}"#, r#"{{ expandenv "$HOME" }}"#] {
        std::fs::write(chart.join("templates/case.yaml"), format!("found: [{expression}]\n")).unwrap();
        let chart = Chart::from_directory(&chart, &Limits::DEFAULT).unwrap();
        assert!(render(&chart, &ValueSet::defaults(), &RenderOptions::default()).is_err(), "{expression}");
    }
}
