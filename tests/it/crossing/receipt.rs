//! Receipts that come back from the other side. Receipts long and short: their content, and the refusal of
//! wrong ones.

use bundle_test_servers::{DockerRegistry, Fault, FaultProxy, ImageSpec, Matcher, Rule};
use serde_json::Value;

use crate::scene::Scene;

fn receipt(scene: &Scene, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(scene.path(name)).unwrap()).unwrap()
}

#[test]
fn a_receipt_says_what_arrived_and_openssl_checks_its_signature() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene.bundle(["key", "generate", "key-site"]).succeeds();
    let target = DockerRegistry::start().unwrap();
    let import = [
        "import",
        "b.tar",
        "--to",
        target.host(),
        "--trust",
        "key.pub",
        "--receipt",
        "r.json",
        "--receipt-key",
        "key-site",
        "--site",
        "plant 7",
    ];
    scene.bundle(import).succeeds();
    let receipt = receipt(&scene, "r.json");
    assert_eq!(receipt["site"], "plant 7");
    assert_eq!(receipt["bundle"]["stream"], "default");
    let contents = target.client().contents().unwrap();
    let artifacts = receipt["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 6);
    for artifact in artifacts {
        assert_eq!(artifact["outcome"], "pushed");
        let path = |field| artifact["target"][field].as_str().unwrap();
        if let Some(tag) = artifact["target"]["tag"].as_str() {
            let repository = format!("{}/{}", path("project"), path("repository"));
            assert_eq!(contents[&repository][tag], artifact["digest"].as_str().unwrap());
        }
    }
    // The listed artifacts can be pulled.
    for artifact in artifacts {
        let repository = format!(
            "{}/{}",
            artifact["target"]["project"].as_str().unwrap(),
            artifact["target"]["repository"].as_str().unwrap()
        );
        for position in artifact["blobs"].as_array().unwrap() {
            let digest = receipt["blobs"][position.as_u64().unwrap() as usize][0].as_str().unwrap();
            let blob = target.client().head(&format!("/v2/{repository}/blobs/{digest}")).unwrap();
            let there =
                blob.status == 200 || target.client().manifest(&repository, digest).unwrap().is_some();
            assert!(there, "{digest} is not in {repository}");
        }
    }
    scene
        .shell("openssl pkeyutl -verify -rawin -pubin -inkey key-site.pub -in r.json -sigfile r.json.sig")
        .succeeds()
        .says("Signature Verified Successfully");
    scene
        .bundle(["receipt", "show", "r.json", "--trust", "key-site.pub"])
        .succeeds()
        .says("plant 7 imported");
    scene.bundle(["receipt", "show", "r.json"]).succeeds().says("NOT VERIFIED");
    scene.bundle(["receipt", "show", "r.json", "--trust", "key.pub"]).ends_with(3).says("not signed by");
    let short = scene.bundle(["receipt", "short", "r.json", "--trust", "key-site.pub"]).succeeds().stdout;
    assert!(short.starts_with("DEFAULT:"), "{short}");
    // The same bundle again is no error and has a receipt too.
    scene.bundle(import).succeeds();
    let again = self::receipt(&scene, "r.json");
    assert!(again["artifacts"].as_array().unwrap().iter().all(|artifact| artifact["outcome"] == "present"));
    assert_eq!(again["blobs"], receipt["blobs"]);
    // An unsigned receipt does not keep the signature of another.
    scene
        .bundle(["import", "b.tar", "--to", target.host(), "--trust", "key.pub", "--receipt", "r.json"])
        .succeeds();
    assert!(!scene.path("r.json.sig").exists());
}

#[test]
fn what_was_left_out_is_in_the_receipt_and_has_no_short_form() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let repository = format!("cache/{}/team/docker", scene.source.host().replace(':', "_"));
    let other = ImageSpec::oci().label("other", "yes").build();
    target.client().push(&repository, "1", &other).unwrap();
    let import = ["import", "b.tar", "--to", target.host(), "--trust", "key.pub", "--receipt", "r.json"];
    scene.bundle(import.iter().chain(&["--on-existing-tag", "skip"])).succeeds();
    let receipt = receipt(&scene, "r.json");
    let skipped: Vec<&Value> = receipt["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|artifact| artifact["outcome"] == "skipped")
        .collect();
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0]["found"], other.digest.as_str());
    assert!(skipped[0].get("blobs").is_none());
    scene.bundle(["receipt", "short", "r.json"]).ends_with(6).says("1 artifact of default");
    // Of several, the others are not hidden.
    scene
        .bundle([
            "import",
            "b.tar",
            "--to",
            target.host(),
            "--trust",
            "key.pub",
            "--receipt",
            "whole.json",
            "--on-existing-tag",
            "overwrite",
        ])
        .succeeds();
    let ran = scene.bundle(["receipt", "short", "r.json", "whole.json", "--json"]).ends_with(6);
    let report = ran.json();
    assert!(report["receipts"][0]["short"].as_str().unwrap().starts_with("DEFAULT:"), "{report}");
    assert_eq!(
        (&report["receipts"][0]["file"], &report["failed"][0]["file"]),
        (&"whole.json".into(), &"r.json".into())
    );
}

#[test]
fn an_import_that_failed_leaves_no_receipt() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    proxy.add(Rule::new(Matcher::new("PUT", "/manifests/"), Fault::status(500)));
    let import = [
        "import",
        "b.tar",
        "--to",
        proxy.host(),
        "--trust",
        "key.pub",
        "--receipt",
        "r.json",
        "--retries",
        "0",
    ];
    scene.bundle(import).ends_with(4);
    assert!(!scene.path("r.json").exists());
    scene
        .bundle([
            "import",
            "b.tar",
            "--to",
            "127.0.0.1:1",
            "--trust",
            "key.pub",
            "--receipt",
            "r",
            "--receipt-key",
            "none",
        ])
        .ends_with(2)
        .says("key none cannot be read");
}

#[test]
fn a_place_where_no_receipt_can_be_is_found_before_any_work() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    std::fs::create_dir(scene.path("there")).unwrap();
    for (place, why) in [("none/r.json", "there is no such directory"), ("there", "it is a directory")] {
        let import = ["import", "b.tar", "--to", target.host(), "--trust", "key.pub", "--receipt", place];
        scene.bundle(import).ends_with(2).says(why);
        assert!(target.client().contents().unwrap().is_empty());
    }
}
