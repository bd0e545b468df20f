//! Policies for images beside their contents: platforms, signed indexes, and referrers that are required,
//! carried or left. Takes images of one registry; gives the statement's marks and the exit code for each.

use bundle_test_servers::{
    Fault, FaultProxy, ImageSpec, Index, LayerSpec, Manifest, Matcher, Platform, Rule,
};
use serde_json::{Value, json};

use crate::scene::{CREATED, Scene};

fn image(seed: u64, platform: Platform) -> Manifest {
    ImageSpec::oci().platform(platform).layer(LayerSpec::new(seed, 10_000)).build()
}

/// An index without the platforms of its manifests, as some tools write it.
fn without_platforms(index: Manifest) -> Manifest {
    let mut document: Value = serde_json::from_slice(&index.bytes).unwrap();
    for child in document["manifests"].as_array_mut().unwrap() {
        child.as_object_mut().unwrap().remove("platform");
    }
    let bytes = serde_json::to_vec(&document).unwrap();
    Manifest { digest: bundle_test_servers::sha256(&bytes), bytes, ..index }
}

/// The artifacts that a dry run plans, and what it says on standard error.
#[track_caller]
fn plan(scene: &Scene, arguments: &[&str]) -> (Vec<Value>, String) {
    let mut all = vec!["create", "--dry-run", "--json"];
    all.extend_from_slice(arguments);
    let ran = scene.bundle(all).succeeds();
    (ran.json()["artifacts"].as_array().unwrap().clone(), ran.stderr)
}

#[test]
fn what_there_is_of_the_wanted_platforms_is_carried_and_the_rest_is_told() {
    let scene = Scene::empty();
    let (client, host) = (scene.source.client(), scene.source.host());
    let amd64 = image(1, Platform::linux_amd64());
    let both = Index::oci().manifest(amd64.clone()).manifest(image(2, Platform::linux_arm64())).build();
    client.push("team/both", "1", &both).unwrap();
    client.push("team/single", "1", &amd64).unwrap();
    for (name, wanted) in [
        ("both", ["--platform", "linux/arm64", "--platform", "linux/s390x"]),
        ("single", ["--platform", "linux/amd64", "--platform", "linux/s390x"]),
    ] {
        let reference = format!("{host}/team/{name}:1");
        let (artifacts, said) = plan(&scene, &[&[reference.as_str()], &wanted[..]].concat());
        assert_eq!(artifacts[0]["platforms"], json!([wanted[1]]));
        assert!(
            said.contains(&format!("{reference}: there is no linux/s390x; the other platforms are carried")),
            "{said}"
        );
        let mark = "platforms: no linux/s390x upstream";
        assert!(artifacts[0]["reasons"].as_array().unwrap().contains(&json!(mark)), "{artifacts:?}");
        let strict =
            [&["create", "--dry-run", "--strict-platforms", reference.as_str()], &wanted[..]].concat();
        scene.bundle(strict).ends_with(2).says("there is no linux/s390x");
        let none = ["create", "--dry-run", &reference, "--platform", "linux/s390x"];
        scene.bundle(none).ends_with(2).says("there is no linux/s390x");
    }
}

#[test]
fn what_says_no_platform_is_looked_into_and_what_runs_nowhere_is_carried() {
    let scene = Scene::empty();
    let (client, host) = (scene.source.client(), scene.source.host());
    let (amd64, arm64) = (image(1, Platform::linux_amd64()), image(2, Platform::linux_arm64()));
    let silent = without_platforms(Index::oci().manifest(amd64).manifest(arm64.clone()).build());
    client.push("team/silent", "1", &silent).unwrap();
    let wasm = Manifest::artifact("application/vnd.wasm.config.v0+json", "application/wasm", b"wasm");
    client.push("team/wasm", "1", &wasm).unwrap();
    let packages = without_platforms(Index::oci().manifest(wasm.clone()).build());
    client.push("team/packages", "1", &packages).unwrap();
    let one = |name: &str| {
        let reference = format!("{host}/team/{name}:1");
        plan(&scene, &[&reference, "--platform", "linux/arm64"]).0[0]["digest"].as_str().unwrap().to_owned()
    };
    assert_eq!(one("silent"), arm64.digest);
    assert_eq!(one("wasm"), wasm.digest);
    assert_eq!(one("packages"), packages.digest);
}

#[test]
fn a_signed_index_stays_whole_where_that_is_the_policy_and_all_is_said_of_its_signatures() {
    let scene = Scene::empty();
    let (client, host) = (scene.source.client(), scene.source.host());
    let index = Index::oci()
        .manifest(image(1, Platform::linux_amd64()))
        .manifest(image(2, Platform::linux_arm64()))
        .build();
    client.push("team/app", "1", &index).unwrap();
    client.push("team/app", &index.cosign_tag(), &index.cosign_signature("team/app")).unwrap();
    let reference = format!("{host}/team/app:1");
    let chosen = [reference.as_str(), "--platform", "linux/amd64"];
    let (split, said) = plan(&scene, &chosen);
    assert_eq!(split.len(), 1);
    assert!(said.contains("signatures of the index are left out"), "{said}");
    let left = json!("referrers: those of the whole index are left behind");
    assert_eq!(split[0]["reasons"], json!(["command line", left]));
    let (whole, said) = plan(&scene, &[&chosen[..], &["--keep-signed-indexes"]].concat());
    assert_eq!(whole[0]["digest"], json!(index.digest));
    assert_eq!(whole[0]["reasons"], json!(["command line", "referrers: carried 1 signature"]));
    assert_eq!(whole[1]["subject"], json!(index.digest));
    assert!(said.contains("its index is signed, so all its platforms are carried"), "{said}");
    let required = [&["create", "--dry-run", "--require-referrers"], &chosen[..]].concat();
    scene.bundle(required).ends_with(5).says("those of the whole index are left behind");
    // One image in the file may have all platforms, and one policy.
    std::fs::write(
        scene.path("bundle.yaml"),
        format!(
            "platforms: [linux/amd64]\nreferrers: require\nprojects:\n  platform:\n    images:\n      - {{ref: '{reference}', platforms: all}}\n  cache:\n    signedIndexes: whole\n    images: ['{reference}']\n"
        ),
    )
    .unwrap();
    let (both, _) = plan(&scene, &[]);
    let images: Vec<_> = both.iter().filter(|artifact| artifact["subject"].is_null()).collect();
    assert_eq!(images.len(), 2);
    assert!(images.iter().all(|artifact| artifact["digest"] == json!(index.digest)), "{both:?}");
}

#[test]
fn referrers_are_required_carried_or_left_and_the_statement_says_what_became_of_them() {
    let scene = Scene::empty();
    let client = scene.source.client();
    let signed = image(1, Platform::linux_amd64());
    client.push("team/signed", "1", &signed).unwrap();
    client.push("team/signed", &signed.cosign_tag(), &signed.cosign_signature("team/signed")).unwrap();
    client.push("team/plain", "1", &image(2, Platform::linux_amd64())).unwrap();
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    let name = |image: &str| format!("{}/team/{image}:1", proxy.host());
    let outcome = |image: &str, more: &[&str]| {
        let image = name(image);
        let (artifacts, _) = plan(&scene, &[&[image.as_str()], more].concat());
        artifacts[0]["reasons"][1].as_str().unwrap().to_owned()
    };
    assert_eq!(outcome("signed", &["--require-referrers"]), "referrers: carried 1 signature");
    assert_eq!(outcome("plain", &[]), "referrers: none upstream");
    assert_eq!(outcome("signed", &["--no-referrers"]), "referrers: left behind");
    scene
        .bundle(["create", "--dry-run", "--require-referrers", &name("plain")])
        .ends_with(5)
        .says("its signatures or other referrers are required: none upstream");
    // A signature that a registry has and does not return is reported, and is an error only with `require`.
    proxy.add(Rule::new(Matcher::path(&format!("/manifests/{}", signed.cosign_tag())), Fault::status(403)));
    assert!(outcome("signed", &[]).starts_with("referrers: not obtainable: "));
    scene
        .bundle(["create", "--dry-run", "--require-referrers", &name("signed")])
        .ends_with(5)
        .says("are required: not obtainable: ");
}

#[test]
fn diff_shows_platforms_that_were_lost_and_gained_and_what_is_lacking() {
    let scene = Scene::empty();
    let (client, host) = (scene.source.client(), scene.source.host());
    let (amd64, arm64) = (image(1, Platform::linux_amd64()), image(2, Platform::linux_arm64()));
    let both = Index::oci().manifest(amd64.clone()).manifest(arm64).build();
    client.push("team/app", "1", &both).unwrap();
    client.push("team/app", &both.cosign_tag(), &both.cosign_signature("team/app")).unwrap();
    let reference = format!("{host}/team/app:1");
    let create = |output: &str, more: &[&str]| {
        let base = ["create", reference.as_str(), "--key", "key", "--created", CREATED, "-o", output];
        scene.bundle([&base[..], more].concat()).succeeds()
    };
    create("whole.tar", &[]);
    create("part.tar", &["--platform", "linux/amd64", "--platform", "linux/s390x"]);
    let diff =
        |from: &str, to: &str| scene.bundle(["diff", from, to, "--json"]).succeeds().json()["diff"].clone();
    let moved = |diff: &Value| {
        let changes = diff["changes"].as_array().unwrap();
        changes.iter().find(|change| change["change"] == "moved").unwrap().clone()
    };
    let lost = moved(&diff("whole.tar", "part.tar"));
    assert_eq!((&lost["lostPlatforms"], &lost["gainedPlatforms"]), (&json!(["linux/arm64"]), &json!([])));
    let lacks =
        json!(["platforms: no linux/s390x upstream", "referrers: those of the whole index are left behind"]);
    assert_eq!(lost["lacks"], lacks);
    let gained = moved(&diff("part.tar", "whole.tar"));
    assert_eq!((&gained["lostPlatforms"], &gained["gainedPlatforms"]), (&json!([]), &json!(["linux/arm64"])));
    assert_eq!(gained["lacks"], json!([]));
    let text = scene.bundle(["diff", "whole.tar", "part.tar"]).succeeds().stdout;
    assert!(text.contains("lost platforms: linux/arm64") && text.contains("updated "), "{text}");
}

/// An image of which one layer stays with its vendor, as Windows' base images have them, and another image.
#[test]
fn an_image_that_lacks_a_vendors_layer_is_said_to_and_its_refusal_holds_up_no_other_when_asked() {
    let scene = Scene::empty();
    let (client, host) = (scene.source.client(), scene.source.host());
    let whole = ImageSpec::oci().layer(LayerSpec::new(1, 10_000)).layer(LayerSpec::new(2, 10_000)).build();
    client.push("team/windows", "whole", &whole).unwrap();
    let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let bytes = String::from_utf8(whole.bytes.clone()).unwrap().replacen(layer, foreign, 1).into_bytes();
    let digest = bundle_test_servers::sha256(&bytes);
    client.put_manifest("team/windows", "1", &Manifest { bytes, digest, ..whole }).unwrap();
    client.push("team/linux", "1", &image(3, Platform::linux_amd64())).unwrap();
    let references = ["windows", "linux"].map(|name| format!("{host}/team/{name}:1"));
    scene
        .bundle([
            "create",
            &references[0],
            &references[1],
            "--key",
            "key",
            "--created",
            CREATED,
            "-o",
            "b.tar",
        ])
        .succeeds()
        .says("1 layer is marked non-distributable and is not in the bundle");
    let mark = "incomplete: 1 layer is marked non-distributable and not in the bundle";
    scene.bundle(["inspect", "b.tar", "--trust", "key.pub"]).succeeds().says(mark);
    let verified = scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds().stdout;
    assert!(verified.contains(&format!("team/windows:1: {mark}")), "{verified}");
    let verified = scene.bundle(["verify", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    assert_eq!(verified["bundle"]["incomplete"].as_array().unwrap().len(), 1, "{verified}");
    // The real docker-registry has neither the layer nor an address of it, and refuses the manifest.
    let target = bundle_test_servers::DockerRegistry::start().unwrap();
    let import = ["import", "b.tar", "--to", target.host(), "--trust", "key.pub", "--retries", "0"];
    scene
        .bundle(import)
        .ends_with(4)
        .says("1 of its layers is marked non-distributable and not in the bundle")
        .says("--keep-going");
    scene.bundle(import.into_iter().chain(["--keep-going"])).ends_with(6).says("team/windows:1");
    let contents = target.client().contents().unwrap();
    assert!(contents.keys().any(|name| name.ends_with("team/linux")), "{contents:?}");
    assert!(!contents.keys().any(|name| name.ends_with("team/windows")), "{contents:?}");
}
