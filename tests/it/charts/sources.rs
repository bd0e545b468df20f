//! Where images are looked for besides the charts of a `bundle.yaml`: manifests, a chart on the command line.
//! Takes servers and files of the scene; checks the images found, and that `--offline` sends no request.

use bundle_test_servers::{ImageSpec, LayerSpec};
use serde_json::Value;

use super::carried::{Repository, ask, create, scene_with_chart, write};
use crate::scene::Scene;

fn carried(json: &Value) -> Vec<String> {
    let charts = json["charts"].as_array().unwrap();
    let images = charts.iter().flat_map(|chart| chart["images"].as_array().unwrap());
    let mut names: Vec<String> = images
        .filter(|image| image["carried"] == true)
        .map(|image| image["image"].as_str().unwrap().split_once('/').unwrap().1.to_owned())
        .collect();
    names.sort();
    names
}

fn push(scene: &Scene, repository: &str, tag: &str) {
    let image = ImageSpec::oci().layer(LayerSpec::new(9, 100)).build();
    scene.source.client().push(repository, tag, &image).unwrap();
}

#[test]
fn manifests_are_a_source_and_the_charts_that_they_name_too() {
    let scene = scene_with_chart();
    let host = scene.source.host().to_owned();
    let repository = Repository::start();
    repository.publish(&scene, &["1.2.0"]);
    push(&scene, "team/operand", "v1");
    push(&scene, "team/plain", "1");
    write(
        &scene,
        "ncp.yaml",
        &format!(
            "apiVersion: a.example/v1\nkind: Policy\nmetadata: {{name: p}}\nspec: {{driver: {{repository: {host}/team, image: operand, version: v1}}}}\n"
        ),
    );
    write(
        &scene,
        "kafka/one.yaml",
        &format!(
            "kind: Pod\nmetadata: {{name: x}}\nspec: {{containers: [{{image: '{host}/team/plain:1'}}]}}\n"
        ),
    );
    write(&scene, "kafka/README.md", "no manifest");
    write(
        &scene,
        "kafka/deep/chart.yaml",
        &format!(
            "apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {{name: web}}\nspec: {{chart: web, repo: '{}', version: 1.x, set: {{image.tag: '1'}}}}\n",
            repository.address()
        ),
    );
    write(&scene, "bundle.yaml", "projects: {platform: {manifests: [ncp.yaml, kafka]}}\n");
    let json = scene.bundle(["images", "--json"]).succeeds().json();
    assert_eq!(
        carried(&json),
        ["team/docker:1", "team/multi:1", "team/operand:v1", "team/plain:1", "team/signed:1"]
    );
    assert_eq!(json["charts"][0]["source"], Value::Null);
    scene
        .bundle(["images", "--why", "team/operand"])
        .succeeds()
        .says("manifests: ")
        .says("ncp.yaml Policy/p spec.driver");
    create(&scene, "b.tar", &[]).succeeds();
    let json = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    let kinds = |kind: &str| {
        json["artifacts"].as_array().unwrap().iter().filter(|artifact| artifact["kind"] == kind).count()
    };
    assert_eq!(kinds("chart"), 1, "the chart that a manifest names travels");
    // A missing image of a manifest ends the run, as with a chart.
    write(
        &scene,
        "kafka/two.yaml",
        &format!(
            "kind: Pod\nmetadata: {{name: x}}\nspec: {{containers: [{{image: '{host}/team/gone:1'}}]}}\n"
        ),
    );
    scene.bundle(["images"]).ends_with(6).says("team/gone:1 does not exist");
    write(&scene, "kafka/two.yaml", "a: [\n");
    scene.bundle(["images"]).ends_with(2).says("kafka/two.yaml:");
    write(&scene, "bundle.yaml", "projects: {platform: {manifests: [none]}}\n");
    scene.bundle(["images"]).ends_with(2).says("none cannot be read");
}

#[test]
fn a_chart_is_named_on_the_command_line_as_helm_has_it() {
    let scene = scene_with_chart();
    let repository = Repository::start();
    repository.publish(&scene, &["1.1.0", "1.2.0"]);
    std::fs::remove_file(scene.path("bundle.yaml")).ok();
    write(&scene, "mine.yaml", "metrics: {enabled: true}\n");
    let address = repository.address();
    write(
        &scene,
        ".config/helm/repositories.yaml",
        &format!("apiVersion: ''\nrepositories:\n- name: stable\n  url: {address}\n"),
    );
    for arguments in [
        &["--chart", "web", "-f", "mine.yaml", "--set", "image.tag=1"][..],
        &["--chart", "web", "--repo", &address, "--version", "1.1.0"],
        &["--chart", "stable/web", "--version", "1.x"],
    ] {
        let json = scene.bundle(["images", "--json"].iter().chain(arguments)).succeeds().json();
        let version = if arguments.contains(&"1.1.0") { "1.1.0" } else { "1.2.0" };
        assert_eq!(json["charts"][0]["version"], version, "{arguments:?}");
        assert_eq!(carried(&json), ["team/docker:1", "team/multi:1", "team/signed:1"], "{arguments:?}");
    }
    for (arguments, text) in [
        (&["--chart", "none"][..], "--chart 'none': no such file or directory"),
        (&["--chart", "other/web"], "knows no repository 'other'"),
        (
            &["--chart", "web", "--version", "1.0.0", "-f", "none.yaml"],
            "--version cannot be combined with a path",
        ),
        (&["--chart", "web", "-f", "none.yaml"], "none.yaml cannot be read"),
        (&["--set", "a=b"], "--chart"),
    ] {
        scene.bundle(["images"].iter().chain(arguments)).ends_with(2).says(text);
    }
}

#[test]
fn offline_asks_nobody_for_what_a_chart_depends_on_either() {
    let scene = scene_with_chart();
    let repository = Repository::start();
    repository.publish(&scene, &["1.2.0"]);
    write(
        &scene,
        "top/Chart.yaml",
        &format!(
            "apiVersion: v2\nname: top\nversion: 0.1.0\ndependencies: [{{name: web, version: 1.x, repository: '{}'}}]\n",
            repository.address()
        ),
    );
    ask(&scene, "path: top");
    scene
        .bundle(["images", "--offline"])
        .ends_with(2)
        .says("it depends on web 1.x")
        .says("the network is not used")
        .says("helm dependency build");
    assert_eq!(repository.requests(), 0);
    scene.bundle(["images", "--chart", "oci://registry.invalid/a/web", "--offline"]).ends_with(2);
}

#[test]
fn only_a_chart_in_a_directory_has_dependencies_beside_it() {
    let scene = scene_with_chart();
    let dependent = "apiVersion: v2\nname: top\nversion: 0.1.0\ndependencies: [{name: web, version: 1.x, repository: 'file://../web'}]\n";
    write(&scene, "top/Chart.yaml", dependent);
    ask(&scene, "path: top");
    let json = scene.bundle(["images", "--json"]).succeeds().json();
    assert_eq!(carried(&json), ["team/docker:1", "team/multi:1", "team/signed:1"]);
    // The same chart as an archive, which may be anybody's, names no file of this machine.
    scene.shell("tar -czf top.tgz top").succeeds();
    ask(&scene, "path: top.tgz");
    let refused = scene.bundle(["images"]).ends_with(2);
    assert!(refused.stderr.contains("file://../web"), "{}", refused.stderr);
    let repository = Repository::start();
    let index = "apiVersion: v1\nentries:\n  top:\n  - {version: 0.1.0, urls: [top-0.1.0.tgz]}\n";
    repository.put("index.yaml", index.into());
    repository.put("top-0.1.0.tgz", std::fs::read(scene.path("top.tgz")).unwrap());
    ask(&scene, &format!("{{repo: '{}', name: top, version: 0.1.0}}", repository.address()));
    scene.bundle(["images"]).ends_with(2).says("file://../web");
}
