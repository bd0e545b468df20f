//! Publishers' signatures, checked before packing. Takes images that cosign 2.6.1 itself signed in both of its
//! forms, and some whose signatures were tampered with; checks that `create` with a `policy` and `cosign verify`
//! agree on each, and what is said of it.

use std::path::Path;

use bundle_test_needs::program;
use bundle_test_servers::{
    Blob, Fault, FaultProxy, ImageSpec, Index, LayerSpec, Manifest, Matcher, Platform, Rule, sha256,
};
use serde_json::{Value, json};

use crate::scene::{CREATED, Ran, Scene};

/// cosign without the public services. Its bundles need a trusted root, which may have nothing in it for a key.
struct Cosign<'a> {
    scene: &'a Scene,
    program: &'a Path,
}

impl Cosign<'_> {
    fn run(&self, arguments: &str) -> Ran {
        self.scene.shell(&format!("COSIGN_PASSWORD= {} {arguments}", self.program.display()))
    }

    fn make_keys(&self) {
        for name in ["acme", "other"] {
            self.run(&format!("generate-key-pair --output-key-prefix {name}")).succeeds();
        }
        let root = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
        std::fs::write(self.scene.path("root.json"), root).unwrap();
    }

    fn sign(&self, key: &str, more: &str, image: &str) {
        let arguments =
            format!("sign --yes --key {key}.key --tlog-upload=false --recursive=false {more} {image}");
        self.run(&arguments).succeeds();
    }

    /// Whether one of the two ways of `cosign verify` accepts the image.
    fn accepts(&self, key: &str, image: &str) -> bool {
        let ways = ["--new-bundle-format=false", "--new-bundle-format --trusted-root root.json"];
        ways.iter().any(|way| {
            let options = "--insecure-ignore-tlog=true --private-infrastructure=true";
            self.run(&format!("verify --key {key}.pub {options} {way} {image}")).code == Some(0)
        })
    }
}

/// Writes a bundle.yaml with these rules and images.
fn write_config(scene: &Scene, policy: &str, images: &[String]) {
    let text = format!("policy:\n{policy}projects:\n  cache:\n    images: {}\n", json!(images));
    std::fs::write(scene.path("bundle.yaml"), text).unwrap();
}

/// A dry run with a rule for all images.
fn dry_run(scene: &Scene, rule: &str, image: &str) -> Ran {
    write_config(scene, &format!("  - {{match: '*', {rule}}}\n"), &[image.to_owned()]);
    scene.bundle(["create", "--dry-run", "--json"])
}

fn image(seed: u64) -> Manifest {
    ImageSpec::oci().platform(Platform::linux_amd64()).layer(LayerSpec::new(seed, 9_000)).build()
}

#[test]
fn create_and_cosign_accept_the_same_signatures_and_refuse_the_same() {
    let Some(program) = program("cosign") else { return };
    let scene = Scene::empty();
    let cosign = Cosign { scene: &scene, program: &program };
    cosign.make_keys();
    scene.shell("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem").succeeds();
    cosign.run("import-key-pair --yes --key rsa.pem --output-key-prefix rsa").succeeds();
    let (client, host) = (scene.source.client(), scene.source.host());
    let new = |name: &str, seed: u64| {
        let image = image(seed);
        client.push(&format!("team/{name}"), "1", &image).unwrap();
        (image.clone(), format!("{host}/team/{name}@{}", image.digest))
    };
    let (signed, at) = new("signed", 1);
    cosign.sign("acme", "", &at);
    cosign.sign("acme", "--new-bundle-format", &new("bundled", 2).1);
    let (_, both) = new("both", 3);
    cosign.sign("other", "", &both);
    cosign.sign("acme", "--new-bundle-format", &both);
    let (_, strangers) = new("strangers", 4);
    cosign.sign("other", "", &strangers);
    cosign.sign("other", "--new-bundle-format", &strangers);
    new("plain", 5);
    // What cosign wrote for the first image, put beside others.
    let taken = client.manifest("team/signed", &signed.cosign_tag()).unwrap().unwrap();
    let document: Value = serde_json::from_slice(&taken.bytes).unwrap();
    let blob = |pointer: &str| {
        let digest = document.pointer(pointer).unwrap().as_str().unwrap();
        client.get(&format!("/v2/team/signed/blobs/{digest}")).unwrap().body
    };
    let (payload, config) = (blob("/layers/0/digest"), blob("/config/digest"));
    let put = |name: &str, image: &Manifest, payload: &[u8], document: &Value| {
        let bytes = serde_json::to_vec(document).unwrap();
        let blobs = vec![Blob::new("payload", payload), Blob::new("config", config.as_slice())];
        let signature = Manifest { digest: sha256(&bytes), bytes, blobs, ..signed.clone() };
        client.push(&format!("team/{name}"), &image.cosign_tag(), &signature).unwrap();
    };
    put("moved", &new("moved", 6).0, &payload, &document);
    // Another payload, which names the image, with the signature of the first.
    let (altered, _) = new("altered", 7);
    let text = String::from_utf8(payload.clone()).unwrap().replace(&signed.digest, &altered.digest);
    let mut changed = document.clone();
    changed["layers"][0]["digest"] = json!(sha256(text.as_bytes()));
    put("altered", &altered, text.as_bytes(), &changed);
    // The payload without its signature.
    let mut changed = document.clone();
    changed["layers"][0].as_object_mut().unwrap().remove("annotations");
    put("stripped", &new("stripped", 8).0, &payload, &changed);
    let (_, by_rsa) = new("rsa", 9);
    cosign.sign("rsa", "", &by_rsa);

    for (name, key, accepted) in [
        ("signed", "acme", true),
        ("bundled", "acme", true),
        ("both", "acme", true),
        ("both", "other", true),
        ("rsa", "rsa", true),
        ("rsa", "acme", false),
        ("signed", "other", false),
        ("bundled", "other", false),
        ("strangers", "acme", false),
        ("plain", "acme", false),
        ("moved", "acme", false),
        ("altered", "acme", false),
        ("stripped", "acme", false),
    ] {
        let image = format!("{host}/team/{name}:1");
        assert_eq!(cosign.accepts(key, &image), accepted, "cosign: {name} {key}");
        let ran = dry_run(&scene, &format!("cosign: {{key: {key}.pub}}"), &image);
        assert_eq!(ran.code, Some(if accepted { 0 } else { 5 }), "{name} {key}: {}", ran.stderr);
        if !accepted {
            let ran = ran.says(&image).says(&format!("is not signed by the cosign key {key}.pub"));
            let found = match name {
                "plain" => "no signature is attached to it",
                "moved" => "signs another image",
                "stripped" => "its signature",
                _ => "is by another key, or was altered",
            };
            ran.says(found).says("as bundle.yaml:2 asks");
        }
    }
}

#[test]
fn the_statement_and_the_report_say_who_signed_each_image_and_a_warning_carries_it() {
    let Some(program) = program("cosign") else { return };
    let scene = Scene::empty();
    let cosign = Cosign { scene: &scene, program: &program };
    cosign.make_keys();
    let (client, host) = (scene.source.client(), scene.source.host());
    let images = ["signed", "plain", "legacy"].map(|name| format!("{host}/team/{name}:1"));
    for (seed, name) in [(1, "signed"), (2, "plain"), (3, "legacy")] {
        client.push(&format!("team/{name}"), "1", &image(seed)).unwrap();
    }
    cosign.sign("acme", "", &format!("{host}/team/signed@{}", image(1).digest));
    let rules = format!(
        "  - {{match: '{host}/team/legacy', action: ignore}}\n  - match: '{host}/team/*'\n    cosign: {{key: acme.pub}}\n    action: warn\n"
    );
    write_config(&scene, &rules, &images);
    // That signatures are not carried is no reason not to check them.
    let ran = scene
        .bundle(["create", "--no-referrers", "--key", "key", "--created", CREATED, "-o", "b.tar", "--json"])
        .succeeds()
        .says("team/plain:1: ")
        .says("no signature is attached to it; it is carried nevertheless");
    let report = ran.json();
    let outcome = |position: usize| report["signatures"][position]["outcome"].clone();
    assert_eq!(
        [outcome(0), outcome(1), outcome(2)],
        [json!("verified"), json!("notVerified"), json!("ignored")]
    );
    let first = &report["signatures"][0];
    assert_eq!(first["signed"], json!(image(1).digest));
    assert_eq!(first["signer"], json!("the cosign key acme.pub"));
    let inspected = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().stdout;
    let key = first["by"].as_str().unwrap();
    assert!(key.starts_with("key sha256:"), "{key}");
    for mark in [
        format!("signature: verified, {key}"),
        "signature: not verified: no signature is attached to it (bundle.yaml:3)".to_owned(),
        "signature: not looked at (bundle.yaml:2)".to_owned(),
    ] {
        assert!(inspected.contains(&mark), "{mark} is not in {inspected}");
    }
    // Without rules, a statement has nothing of this.
    std::fs::remove_file(scene.path("bundle.yaml")).unwrap();
    let plain = scene.bundle(["create", "--dry-run", "--json", &images[0]]).succeeds().json();
    assert_eq!(plain["signatures"], json!([]));
    assert!(!plain["artifacts"].to_string().contains("signature: "), "{plain}");
}

#[test]
fn an_index_is_signed_as_a_whole_or_its_one_carried_manifest_is_and_an_outage_is_no_signature() {
    let Some(program) = program("cosign") else { return };
    let scene = Scene::empty();
    let cosign = Cosign { scene: &scene, program: &program };
    cosign.make_keys();
    let (client, host) = (scene.source.client(), scene.source.host());
    let arm64 = ImageSpec::oci().platform(Platform::linux_arm64()).layer(LayerSpec::new(2, 9_000)).build();
    let index = Index::oci().manifest(image(1)).manifest(arm64.clone()).build();
    for name in ["whole", "part"] {
        client.push(&format!("team/{name}"), "1", &index).unwrap();
    }
    cosign.sign("acme", "", &format!("{host}/team/whole@{}", index.digest));
    cosign.sign("acme", "", &format!("{host}/team/part@{}", arm64.digest));
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    let create = |name: &str, platforms: &str| {
        let image = format!("{}/team/{name}:1", proxy.host());
        write_config(
            &scene,
            &format!("  - {{match: '*', cosign: {{key: acme.pub}}}}\nplatforms: [{platforms}]\n"),
            &[image],
        );
        scene.bundle(["create", "--dry-run", "--json", "--retries", "0"])
    };
    for platforms in ["linux/amd64", "linux/arm64", "linux/amd64, linux/arm64"] {
        create("whole", platforms).succeeds();
    }
    let report = create("part", "linux/arm64").succeeds().json();
    assert_eq!(report["signatures"][0]["signed"], json!(arm64.digest));
    assert_eq!(report["signatures"][0]["digest"], json!(index.digest));
    create("part", "linux/amd64").ends_with(5).says("no signature is attached to it");
    create("part", "linux/amd64, linux/arm64").ends_with(5);
    // A registry that does not give the signature is no way around the rule.
    let tag = index.cosign_tag();
    proxy.add(Rule::new(Matcher::path(&format!("/manifests/{tag}")), Fault::status(403)));
    create("whole", "linux/amd64").ends_with(5).says("its signatures are not known");
}
