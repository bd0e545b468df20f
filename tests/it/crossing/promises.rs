//! A statement's description of an image matches the image, for every reader of the bundle. A signed
//! statement that contradicts its content is refused with the image, its digest and both values.

use bundle_test_servers::{DockerRegistry, Index, LayerSpec, Platform};

use crate::hostile::rewritten;
use crate::scene::{Scene, image};

#[test]
fn subject_and_platforms_that_contradict_manifests_or_configs_are_refused_by_every_reader() {
    let scene = Scene::empty();
    let client = scene.source.client();
    let base = LayerSpec::new(1, 1000).build();
    let amd64 = image(&base, 2, Platform::linux_amd64());
    client.push("team/app", "1", &amd64).unwrap();
    let reference = format!("{}/team/app:1", scene.source.host());
    scene.bundle(["create", &reference, "--key", "key", "-o", "honest.tar"]).succeeds();
    scene.bundle(["verify", "honest.tar", "--trust", "key.pub"]).succeeds();
    let target = DockerRegistry::start().unwrap();
    rewritten(&scene, "honest.tar", "platform.tar", |draft| {
        draft.artifacts[0].platforms = vec!["linux/arm64".parse().unwrap()];
    });
    let other = format!("sha256:{}", "1".repeat(64));
    rewritten(&scene, "honest.tar", "subject.tar", |draft| {
        draft.artifacts[0].subject = Some(other.parse().unwrap());
    });
    let digest = &amd64.digest;
    for (file, said) in [
        ("platform.tar", format!("({digest}) runs on linux/arm64, and its config says linux/amd64")),
        ("subject.tar", format!("({digest}) is attached to {other}, and its manifest says of nothing")),
    ] {
        let says = format!("statement says that {reference} {said}");
        for arguments in [
            ["verify", file, "--trust", "key.pub"].as_slice(),
            &["inspect", file, "--trust", "key.pub"],
            &["import", file, "--trust", "key.pub", "--to", target.host()],
            &["import", file, "--trust", "key.pub", "--to", target.host(), "--dry-run"],
            &["extract", file, "--trust", "key.pub", "--to", "out"],
            &["extract", file, "--trust", "key.pub", "--to", "out", "--format", "k3s"],
            &["serve", file, "--trust", "key.pub", "--listen", "127.0.0.1:0"],
        ] {
            scene.bundle(arguments).ends_with(3).says(&says);
        }
        for piped in ["verify -", "import - --to $TO"] {
            let script = format!("cat {file} | \"$BUNDLE\" {piped} --trust key.pub");
            scene.shell(&script.replace("$TO", target.host())).ends_with(3).says(&says);
        }
        assert!(!scene.path("out").exists());
        assert!(target.client().contents().unwrap().is_empty());
    }
}

#[test]
fn an_image_whose_upstream_config_is_wrong_is_carried_and_said_to_be_what_the_config_says() {
    let scene = Scene::empty();
    let client = scene.source.client();
    // As of Kubernetes' pause 3.1: the config of each platform's image says amd64.
    let mut wrong = image(&LayerSpec::new(1, 1000).build(), 4, Platform::linux_amd64());
    wrong.platform = Some(Platform::linux_arm64());
    let digest = wrong.digest.clone();
    let right = image(&LayerSpec::new(3, 1000).build(), 2, Platform::linux_amd64());
    client.push("team/pause", "3.1", &Index::oci().manifest(right).manifest(wrong).build()).unwrap();
    let reference = format!("{}/team/pause:3.1", scene.source.host());
    // People are told of it where the index stays, and nothing is refused; of a file, a pipe, and of both again.
    let says =
        format!("{reference}: the index says linux/arm64 for {}, and its config says linux/amd64", digest);
    let made = ["create", &reference, "--key", "key", "--all-platforms"];
    let told = scene.bundle(made.iter().chain(&["--json", "-o", "told.tar"])).succeeds().says(&says);
    let expected = serde_json::json!([{
        "image": reference, "digest": digest, "index": "linux/arm64", "config": "linux/amd64"}]);
    assert_eq!(told.json()["otherPlatforms"], expected);
    scene.bundle(made.iter().chain(&["-o", "told.tar.zst"])).succeeds().says(&says);
    for arguments in [["verify", "told.tar"], ["verify", "told.tar.zst"], ["inspect", "told.tar"]] {
        let arguments = arguments.iter().chain(&["--trust", "key.pub"]);
        scene.bundle(arguments.clone()).succeeds().says(&says);
        let json = scene.bundle(arguments.chain(&["--json"])).succeeds().json();
        let found = json["bundle"].get("otherPlatforms").unwrap_or(&json["otherPlatforms"]);
        assert_eq!(*found, expected);
    }
    scene.shell("$BUNDLE verify - --trust key.pub < told.tar").succeeds().says(&says);
    for (more, said) in [
        (["--platform", "linux/arm64"].as_slice(), "linux/amd64"),
        (&["--all-platforms"], "linux/amd64 linux/arm64"),
    ] {
        let create = ["create", &reference, "--key", "key", "-o", "b.tar"];
        scene.bundle(create.iter().chain(more)).succeeds();
        scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds();
        let inspected = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
        let platforms = inspected["artifacts"][0]["platforms"].as_array().unwrap();
        let platforms: Vec<&str> = platforms.iter().map(|platform| platform.as_str().unwrap()).collect();
        assert_eq!(platforms.join(" "), said, "{more:?}");
        std::fs::remove_file(scene.path("b.tar")).unwrap();
    }
}

#[test]
fn a_config_that_names_no_possible_platform_is_carried_and_told_escaped_and_cut() {
    let scene = Scene::empty();
    let odd =
        Platform { architecture: format!("\u{1b}[31m{}", "a".repeat(5_000)), ..Platform::linux_amd64() };
    let mut odd = image(&LayerSpec::new(1, 1000).build(), 4, odd);
    odd.platform = Some(Platform::linux_arm64());
    let says = format!(
        "the index says linux/arm64 for {}, and its config says linux/\\u{{1b}}[31m{}…; nodes choose by the index",
        odd.digest,
        "a".repeat(59)
    );
    scene.source.client().push("team/odd", "1", &Index::oci().manifest(odd).build()).unwrap();
    let reference = format!("{}/team/odd:1", scene.source.host());
    scene
        .bundle(["create", &reference, "--key", "key", "--all-platforms", "-o", "odd.tar"])
        .succeeds()
        .says(&says);
    scene.bundle(["verify", "odd.tar", "--trust", "key.pub"]).succeeds().says(&says);
    scene.bundle(["inspect", "odd.tar", "--trust", "key.pub"]).succeeds().says(&says);
    scene.shell("$BUNDLE verify - --trust key.pub < odd.tar").succeeds().says(&says);
}
