//! SBOMs that the scanner makes, and the way they take: a directory, the next bundle, a registry, Harbor.
//! Takes the scanner of this directory; looks at files, at bundles and at what the far side has.

use serde_json::{Value, json};

use super::scene::Scans;
use crate::scene::{Ran, Scene};

/// The names of the files in the scene's directory `sboms`.
fn files(scans: &Scans) -> Vec<String> {
    let all = std::fs::read_dir(scans.scene.path("sboms")).unwrap();
    let mut names: Vec<String> = all.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The same images with the SBOMs of the directory.
fn create(scans: &Scans, output: &str) -> Ran {
    let references = Scene::references(scans.scene.source.host());
    let arguments = [Scene::create_arguments(&references, output), vec!["--sboms".into(), "sboms".into()]];
    scans.scene.bundle(arguments.concat())
}

/// What is attached to the image whose repository ends with `name`: kinds and digests.
fn attached(scans: &Scans, bundle: &str, name: &str) -> Vec<(String, String)> {
    let json = scans.scene.bundle(["report", bundle, "--trust", "key.pub", "--json"]).succeeds().json();
    let rows = json["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["repository"].as_str().unwrap().ends_with(name)).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    row["attached"].as_array().unwrap().iter().map(|it| (text(&it["kind"]), text(&it["digest"]))).collect()
}

#[test]
fn an_sbom_is_made_of_each_platform_of_images_without_one_and_only_once() {
    let scans = Scans::new();
    let ran = scans.scan(&["--sbom", "sboms"]).succeeds();
    // team/signed has one of its publisher's.
    assert!(
        ran.stdout.contains("SBOMs (spdx) in sboms: 3 made now, 0 made before, 0 not made; 1 image has"),
        "{}",
        ran.stdout
    );
    let made = files(&scans);
    assert_eq!(made.len(), 3);
    assert!(made.iter().all(|name| name.len() == 64 + ".spdx.json".len() && name.ends_with(".spdx.json")));
    scans.calls();
    scans.scan(&["--sbom", "sboms"]).succeeds().says("0 made now, 3 made before");
    assert!(scans.calls().is_empty());
    let json = scans.scan(&["--sbom", "sboms", "--sbom-form", "cyclonedx", "--json"]).succeeds().json();
    assert_eq!((&json["sboms"]["form"], &json["sboms"]["made"]), (&json!("cyclonedx"), &json!(3)));
    assert_eq!(files(&scans).len(), 6);
}

#[test]
fn the_next_bundle_has_the_sboms_attached_to_their_images() {
    let scans = Scans::new();
    scans.scan(&["--sbom", "sboms"]).succeeds();
    scans.scan(&["--sbom", "sboms", "--sbom-form", "cyclonedx"]).succeeds();
    create(&scans, "second.tar").succeeds();
    let kinds = |name: &str| -> Vec<String> {
        attached(&scans, "second.tar", name).into_iter().map(|(kind, _)| kind).collect()
    };
    assert_eq!(kinds("/docker"), ["sbom", "sbom"]);
    assert_eq!(kinds("/multi").iter().filter(|kind| *kind == "sbom").count(), 4);
    assert_eq!(kinds("/signed").iter().filter(|kind| *kind == "sbom").count(), 1, "its publisher's");
    let csv = scans.scene.bundle(["report", "second.tar", "--trust", "key.pub", "-o", "report.csv"]);
    csv.succeeds();
    assert!(std::fs::read_to_string(scans.scene.path("report.csv")).unwrap().contains("MIT"));
    // The same files make the same bytes, and the second scan has nothing left to make.
    create(&scans, "third.tar").succeeds();
    let read = |name: &str| std::fs::read(scans.scene.path(name)).unwrap();
    assert!(read("second.tar") == read("third.tar"));
    scans.scene.bundle(["verify", "second.tar", "--trust", "key.pub"]).succeeds();
    let again =
        ["scan", "second.tar", "--trust", "key.pub", "--scanner", "./scanner", "--db", "db", "--sbom", "new"];
    scans.scene.bundle(again).succeeds().says("0 made now, 0 made before, 0 not made; 3 images have");
    // Without the directory, an image is as before.
    scans.scene.create("fourth.tar");
    assert!(read("images.tar") == read("fourth.tar"));
}

#[test]
fn harbor_has_them_as_sboms_of_their_images() {
    let scans = Scans::new();
    scans.scan(&["--sbom", "sboms"]).succeeds();
    create(&scans, "second.tar").succeeds();
    let harbor = bundle_test_servers::Harbor::start().unwrap();
    let account = harbor.admin_credentials();
    let to = format!("http://{}", harbor.host());
    let mut import = scans.scene.command(["import", "second.tar", "--to", &to, "--trust", "key.pub"]);
    import.env("BUNDLE_USERNAME", &account.name).env("BUNDLE_PASSWORD", &account.secret);
    Ran::from(import.output().unwrap()).succeeds();
    let repository = format!("cache/{}/team/docker", scans.scene.source.host().replace(':', "_"));
    let artifact = harbor.artifact(&repository, "1").unwrap();
    let kinds: Vec<&str> = artifact.accessories.values().map(String::as_str).collect();
    assert_eq!(kinds, ["sbom.harbor"]);
}

#[test]
fn an_sbom_that_cannot_be_made_is_told_and_none_is_left_behind() {
    let scans = Scans::new();
    scans.database("docker.sbom", "exit 1");
    scans.scan(&["--sbom", "sboms"]).ends_with(6).says("no SBOM of 1 manifest was made").says("2 made now");
    assert_eq!(files(&scans).len(), 2);
    scans.database("docker.sbom", "echo '{}'; exit 0");
    scans.scan(&["--sbom", "sboms"]).ends_with(6).says("the scanner's output is no SBOM");
    let ran = scans.scene.bundle([
        "scan",
        "images.tar",
        "--trust",
        "key.pub",
        "--scanner",
        "grype",
        "--sbom",
        "sboms",
    ]);
    ran.ends_with(2).says("'grype' makes no SBOMs");
    std::fs::write(scans.scene.path("none"), "").unwrap();
    let references = Scene::references(scans.scene.source.host());
    let arguments = [Scene::create_arguments(&references, "x.tar"), vec!["--sboms".into(), "none".into()]];
    scans.scene.bundle(arguments.concat()).ends_with(2).says("the SBOMs in none");
}
