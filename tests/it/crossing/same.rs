//! `bundle create` and the scheduled export make the same of the same request: the same digests, and the
//! same words about what is left out. Takes what differed between them once.

use bundle_test_servers::{ImageSpec, LayerSpec, Manifest, sha256};
use serde_json::Value;

use crate::scene::{Ran, Scene};

const EXPORT: &str = "export:\n  file: bundle.yaml\n  outbox: outbox\n  receipts: back\n  state: export\n  key: key\n  receiptTrust: [key.pub]\n";

/// The result of a command: the targets and digests that its bundle delivers, and its notes.
type Made = (Vec<(String, String)>, Vec<String>);

/// Makes one bundle with each command.
fn both(scene: &Scene) -> [Made; 2] {
    std::fs::write(scene.path("sync.yaml"), EXPORT).unwrap();
    let notes = |ran: &Ran| {
        let mut notes: Vec<String> = ran.stderr.lines().map(str::to_owned).collect();
        notes.retain(|line| line.starts_with("note: "));
        notes.sort();
        notes
    };
    let delivers = |file: &str| {
        let shown = scene.bundle(["inspect", file, "--trust", "key.pub", "--json"]).succeeds().json();
        let all = shown["artifacts"].as_array().unwrap().iter();
        all.map(|it| (it["target"].to_string(), text(&it["digest"]))).collect()
    };
    let created = scene.bundle(["create", "--key", "key", "-o", "created.tar"]).succeeds();
    let exported = scene.bundle(["sync", "export", "--config", "sync.yaml"]).succeeds();
    let outbox = std::fs::read_dir(scene.path("outbox")).unwrap();
    let names: Vec<_> = outbox.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let bundle = names.iter().find(|name| name.ends_with(".tar")).expect("the outbox has a bundle");
    [(delivers("created.tar"), notes(&created)), (delivers(&format!("outbox/{bundle}")), notes(&exported))]
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn image(seed: u64) -> Manifest {
    ImageSpec::oci().layer(LayerSpec::new(seed, 10_000)).build()
}

#[test]
fn a_lock_beside_bundle_yaml_is_kept_to_by_day_and_by_night() {
    let scene = Scene::empty();
    let (client, host) = (scene.source.client(), scene.source.host());
    let (before, after) = (image(1), image(2));
    client.push("team/app", "1", &before).unwrap();
    std::fs::write(
        scene.path("bundle.yaml"),
        format!("projects:\n  cache:\n    images: [\"{host}/team/app:1\"]\n"),
    )
    .unwrap();
    scene.bundle(["lock"]).succeeds();
    client.push("team/app", "1", &after).unwrap();
    let [created, exported] = both(&scene);
    assert_eq!(created, exported);
    assert_eq!(created.0[0].1, before.digest, "the tag moved after it was locked");
    assert_eq!(created.1, ["note: 1 of 1 image kept to bundle.lock"]);
}

#[test]
fn a_layer_that_stays_with_its_vendor_is_told_by_day_and_by_night() {
    let scene = Scene::empty();
    let (client, host) = (scene.source.client(), scene.source.host());
    // distribution takes such a layer without `urls` where it has the blob itself.
    let whole = ImageSpec::oci().layer(LayerSpec::new(1, 10_000)).layer(LayerSpec::new(2, 10_000)).build();
    client.push("team/windows", "whole", &whole).unwrap();
    let document = String::from_utf8(whole.bytes.clone()).unwrap();
    let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let bytes = document.replacen(layer, foreign, 1).into_bytes();
    let digest = sha256(&bytes);
    client.put_manifest("team/windows", "1", &Manifest { bytes, digest: digest.clone(), ..whole }).unwrap();
    std::fs::write(
        scene.path("bundle.yaml"),
        format!("projects:\n  cache:\n    images: [\"{host}/team/windows:1\"]\n"),
    )
    .unwrap();
    let [created, exported] = both(&scene);
    assert_eq!(created, exported);
    assert_eq!(created.0[0].1, digest);
    let note = "1 layer is marked non-distributable and is not in the bundle";
    assert_eq!(created.1, [format!("note: {host}/team/windows:1: {note}")]);
}

#[test]
fn an_excluded_image_of_a_chart_is_told_so_with_its_place_by_day_and_by_night() {
    let scene = Scene::empty();
    let (client, host) = (scene.source.client(), scene.source.host());
    client.push("team/app", "1", &image(1)).unwrap();
    client.push("team/debug", "1", &image(2)).unwrap();
    std::fs::create_dir_all(scene.path("web/templates")).unwrap();
    std::fs::write(scene.path("web/Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n").unwrap();
    let pod = |name: &str, image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: \"{host}/{image}\"}}]}}\n"
        )
    };
    let pods = format!("{}---\n{}", pod("app", "team/app:1"), pod("debug", "team/debug:1"));
    std::fs::write(scene.path("web/templates/pods.yaml"), pods).unwrap();
    std::fs::write(
        scene.path("bundle.yaml"),
        format!("projects:\n  cache:\n    charts: [{{path: web, exclude: [\"{host}/team/debug\"]}}]\n"),
    )
    .unwrap();
    let [created, exported] = both(&scene);
    assert_eq!(created, exported);
    assert!(created.0.iter().any(|(target, _)| target.contains("/team/app")), "{created:?}");
    assert!(!created.0.iter().any(|(target, _)| target.contains("/team/debug")), "{created:?}");
    let [note] = created.1.as_slice() else { panic!("one note is expected: {created:?}") };
    assert!(note.contains("team/debug:1 (templates/pods.yaml Pod/debug"), "{note}");
    assert!(note.ends_with("is left out: it is excluded"), "{note}");
}

/// Go's programs (registries, Harbor, containerd) take the second spelling of a field for the first one.
#[test]
fn a_manifest_that_other_programs_read_differently_is_not_carried() {
    let scene = Scene::empty();
    let (client, host) = (scene.source.client(), scene.source.host());
    let (safe, evil) = (image(1), image(2));
    client.push("team/app", "safe", &safe).unwrap();
    client.push("team/app", "evil", &evil).unwrap();
    let other = &evil.blobs.last().unwrap().digest;
    for (name, twist) in [
        ("Digest", format!("\"Digest\":\"{other}\",\"size\"")),
        ("\u{17f}ize", "\"\u{17f}ize\":1,\"size\"".to_owned()),
    ] {
        let document = String::from_utf8(safe.bytes.clone()).unwrap();
        let at = document.rfind("\"size\"").unwrap();
        let bytes = [&document[..at], &twist, &document[at + "\"size\"".len()..]].concat().into_bytes();
        let digest = sha256(&bytes);
        client.put_manifest("team/app", "1", &Manifest { bytes, digest, ..safe.clone() }).unwrap();
        scene
            .bundle(["create", &format!("{host}/team/app:1"), "--key", "key", "-o", "b.tar"])
            .ends_with(4)
            .says("manifest is not valid")
            .says(name);
        assert!(!scene.path("b.tar").exists());
    }
}
