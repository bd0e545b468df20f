//! `--prove` reads back the content that a receipt lists: a registry that answers HEAD and sends other bytes
//! is caught, and no receipt is signed.

use bundle_test_servers::{DockerRegistry, Fault, FaultProxy, Matcher, Rule};

use crate::scene::{Ran, Scene};

fn import(scene: &Scene, host: &str, more: &[&str]) -> Ran {
    let arguments = ["import", "b.tar", "--trust", "key.pub", "--to", host, "--state", "state.json"];
    scene.bundle(arguments.iter().chain(more))
}

fn receipt(scene: &Scene, name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(scene.path(name)).unwrap()).unwrap()
}

#[test]
fn import_prove_catches_a_registry_that_answers_head_and_sends_other_bytes() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    for (path, at) in [("/blobs/sha256:", 0), ("/manifests/sha256:", 20)] {
        proxy.clear_rules();
        proxy.add(Rule::new(Matcher::new("GET", path), Fault::WrongBytes { at }));
        let ran = import(&scene, proxy.host(), &["--receipt", "r.json", "--prove"]).ends_with(3);
        let ran = ran.says("is damaged in the registry: sha256:").says(" was asked for, and sha256:");
        assert!(ran.stderr.contains("cache/"), "the image is named: {}", ran.stderr);
        assert!(!scene.path("r.json").exists(), "{path}");
        // Without the option nothing is read back.
        import(&scene, proxy.host(), &["--receipt", "plain.json"]).succeeds();
    }
    // Bytes damaged once on the way are read once more.
    proxy.clear_rules();
    proxy.add(Rule::new(Matcher::new("GET", "/blobs/sha256:"), Fault::WrongBytes { at: 0 }).once());
    import(&scene, proxy.host(), &["--receipt", "r.json", "--prove"]).succeeds();
    let proved = receipt(&scene, "r.json");
    for artifact in proved["artifacts"].as_array().unwrap() {
        assert_eq!(artifact["evidence"], "proved", "{artifact}");
    }
    let plain = receipt(&scene, "plain.json");
    let all = plain["artifacts"].as_array().unwrap().len();
    assert!(plain["artifacts"].as_array().unwrap().iter().all(|it| it.get("evidence").is_none()), "{plain}");
    scene
        .bundle(["receipt", "show", "plain.json"])
        .succeeds()
        .says(&format!("0 uploaded, {all} looked at, 0 read back and hashed"));
    scene.bundle(["receipt", "show", "r.json"]).succeeds().says(&format!("{all} read back and hashed"));
    scene.bundle(["receipt", "short", "r.json"]).succeeds();
    // A receipt that says so is a base as before.
    let references = Scene::references(scene.source.host());
    let delta = Scene::create_arguments(&references, "delta.tar");
    scene
        .bundle(delta.iter().map(String::as_str).chain(["--base", "r.json", "--sequence", "9999999999"]))
        .succeeds();
}

#[test]
fn what_is_read_back_is_read_once_however_many_artifacts_have_it() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    import(&scene, target.host(), &["--receipt", "r.json"]).succeeds();
    let proxy = FaultProxy::start(target.host()).unwrap();
    import(&scene, proxy.host(), &["--receipt", "r.json", "--prove"]).succeeds();
    let mut read: Vec<String> = proxy
        .requests()
        .into_iter()
        .filter(|request| request.method == "GET" && request.path_and_query.contains("/blobs/sha256:"))
        .map(|request| request.path_and_query.rsplit('/').next().unwrap().to_owned())
        .collect();
    let all = read.len();
    assert!(all > 5, "{read:?}");
    read.sort();
    read.dedup();
    assert_eq!(read.len(), all, "a blob was read twice");
}
