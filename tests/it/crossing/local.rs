//! Images and files of this machine: what skopeo, crane and this program saved goes into a bundle as what
//! registries have does, and comes out again. The archives are made by the real tools.

use std::process::Command;
use std::sync::{Arc, Mutex};

use bundle_test_needs::program;
use bundle_test_servers::{Check, DockerRegistry, FaultProxy, Response, sha256};

use crate::scene::{CREATED, Scene};

fn create(scene: &Scene, arguments: &[&str]) -> crate::scene::Ran {
    let fixed = ["--key", "key", "--created", CREATED, "--stream", "default", "-o", "b.tar"];
    scene.bundle(["create"].iter().chain(arguments).chain(&fixed))
}

fn artifacts(scene: &Scene) -> Vec<serde_json::Value> {
    let inspected = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    inspected["artifacts"].as_array().unwrap().clone()
}

fn digest_of(scene: &Scene, repository: &str) -> String {
    scene.source.client().manifest(repository, "1").unwrap().unwrap().digest
}

/// Saves an image of the scene's registry with skopeo.
fn skopeo(scene: &Scene, image: &str, to: &str) {
    let host = scene.source.host();
    scene
        .shell(&format!(
            "skopeo --insecure-policy copy -q --src-tls-verify=false docker://{host}/{image} {to}"
        ))
        .succeeds();
}

#[test]
fn layouts_of_skopeo_are_carried_byte_for_byte_and_arrive() {
    let scene = Scene::with_images();
    let multi = digest_of(&scene, "team/multi");
    for to in ["oci:layout:quay.io/team/multi:1", "oci-archive:one.tar:quay.io/team/archived:1"] {
        skopeo(&scene, "team/multi:1", &format!("--all {to}"));
    }
    skopeo(&scene, "team/signed:1", "dir:plain");
    scene.shell("gzip -k one.tar && zstd -q one.tar").succeeds();
    let of_plain = "dir:plain => team/plain:1";
    create(&scene, &["oci:layout", "oci-archive:one.tar.zst", of_plain]).succeeds();
    let found = artifacts(&scene);
    let digests: Vec<_> = found.iter().map(|artifact| artifact["digest"].as_str().unwrap()).collect();
    assert_eq!(digests, [&multi, &multi, &digest_of(&scene, "team/signed")]);
    let sources: Vec<_> = found.iter().map(|artifact| artifact["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["quay.io/team/multi:1", "quay.io/team/archived:1", "localhost/team/plain:1"]);
    assert_eq!(found[1]["reasons"][0], "command line (oci-archive:one.tar.zst)");
    let target = DockerRegistry::start().unwrap();
    scene.bundle(["import", "b.tar", "--to", target.host(), "--trust", "key.pub"]).succeeds();
    for repository in ["cache/quay.io/team/multi", "cache/quay.io/team/archived", "cache/team/plain"] {
        assert_eq!(target.client().check(repository, "1", Check::Hash), [], "{repository}");
    }
    // The same through a pipe, compressed, and as a plain archive: the same statement.
    let statement = |archive: &str, output: &str| {
        let from = format!("$BUNDLE create oci:layout oci-archive:{archive} '{of_plain}' --key key --json");
        let fixed = format!("--created {CREATED} --stream default -o {output}");
        scene.shell(&format!("{from} {fixed}")).succeeds();
        let inspect = scene.bundle(["inspect", output, "--trust", "key.pub", "--json"]).succeeds().json();
        inspect["artifacts"].clone()
    };
    let plain = statement("one.tar", "plain.tar");
    let digests = |all: &serde_json::Value| {
        all.as_array().unwrap().iter().map(|it| it["digest"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(digests(&plain), digests(&statement("one.tar.gz", "packed.tar.zst")));
    scene
        .shell(&format!(
            "$BUNDLE create oci-archive:one.tar --key key --created {CREATED} -o - | $BUNDLE verify - --trust key.pub"
        ))
        .succeeds();
}

#[test]
fn an_archive_of_docker_save_arrives_with_its_image_id_and_its_layers() {
    let scene = Scene::with_images();
    skopeo(&scene, "team/docker:1", "docker-archive:saved.tar:nginx:1.27");
    scene.shell(&format!(
        "skopeo --insecure-policy copy -q --src-tls-verify=false --additional-tag team/app:2 --additional-tag app:3 \
         docker://{}/team/signed:1 docker-archive:both.tar:app:1",
        scene.source.host()
    ))
    .succeeds();
    create(&scene, &["docker-archive:saved.tar", "docker-archive:both.tar:docker.io/team/app:2"]).succeeds();
    let found = artifacts(&scene);
    let targets: Vec<_> = found
        .iter()
        .map(|artifact| {
            artifact["target"].as_str().map_or_else(|| artifact["target"].to_string(), str::to_owned)
        })
        .collect();
    assert_eq!(found.len(), 2, "{targets:?}");
    let target = DockerRegistry::start().unwrap();
    scene.bundle(["import", "b.tar", "--to", target.host(), "--trust", "key.pub"]).succeeds();
    for (repository, tag) in [("cache/docker.io/library/nginx", "1.27"), ("cache/docker.io/team/app", "2")] {
        assert_eq!(target.client().check(repository, tag, Check::Hash), [], "{repository}");
    }
    // skopeo reads the archive and what arrived: the same config, so the same image ID, and the same layers.
    let facts = |reference: &str| {
        let script = format!(
            "skopeo --insecure-policy inspect --tls-verify=false --config --raw {reference} | sha256sum"
        );
        scene.shell(&script).succeeds().stdout
    };
    let arrived = format!("docker://{}/cache/docker.io/library/nginx:1.27", target.host());
    assert_eq!(facts("docker-archive:saved.tar"), facts(&arrived));
    scene
        .shell(&format!(
            "skopeo --insecure-policy copy -q --src-tls-verify=false {arrived} docker-archive:again.tar:nginx:1.27"
        ))
        .succeeds();
    let layers = "tar -xOf $ARCHIVE manifest.json";
    assert_eq!(
        scene.shell(&layers.replace("$ARCHIVE", "saved.tar")).stdout,
        scene.shell(&layers.replace("$ARCHIVE", "again.tar")).stdout
    );
    // All names of an archive, and the same digest each time.
    create(&scene, &["docker-archive:both.tar"]).ends_with(2).says("b.tar");
    std::fs::remove_file(scene.path("b.tar")).unwrap();
    create(&scene, &["docker-archive:both.tar"]).succeeds();
    assert_eq!(artifacts(&scene).len(), 3);
}

#[test]
fn what_crane_saves_keeps_its_compressed_layers() {
    let Some(crane) = program("crane") else { return };
    let scene = Scene::with_images();
    let image = format!("{}/team/signed:1", scene.source.host());
    let saved = scene.path("crane.tar");
    for (format, path) in
        [("tarball", saved.to_str().unwrap()), ("oci", scene.path("crane").to_str().unwrap())]
    {
        let pulled =
            Command::new(&crane).args(["pull", "--insecure", "--format", format, &image, path]).output();
        let pulled = pulled.unwrap();
        assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    }
    create(&scene, &["docker-archive:crane.tar => a:1", "oci:crane => b:1"]).succeeds();
    let found = artifacts(&scene);
    assert_eq!(found[1]["digest"], digest_of(&scene, "team/signed").as_str());
    let target = DockerRegistry::start().unwrap();
    scene.bundle(["import", "b.tar", "--to", target.host(), "--trust", "key.pub"]).succeeds();
    let layers = |repository: &str| {
        let manifest = target.client().manifest(repository, "1").unwrap().unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
        let digests = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone());
        digests.collect::<Vec<_>>()
    };
    assert_eq!(layers("cache/a"), layers("cache/b"));
}

#[test]
fn what_this_program_extracts_goes_into_the_next_bundle_with_what_is_attached() {
    let scene = Scene::with_images();
    scene.create("first.tar");
    scene.bundle(["extract", "first.tar", "--trust", "key.pub", "--to", "layout"]).succeeds();
    create(&scene, &["oci:layout"]).succeeds();
    let digests = |name: &str| {
        let inspected = scene.bundle(["inspect", name, "--trust", "key.pub", "--json"]).succeeds().json();
        let mut found: Vec<String> = inspected["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|artifact| format!("{} {} {}", artifact["kind"], artifact["source"], artifact["digest"]))
            .collect();
        found.sort();
        found
    };
    assert_eq!(digests("b.tar"), digests("first.tar"));
}

#[test]
fn a_bundle_yaml_names_local_sources_and_its_lock_keeps_them() {
    let scene = Scene::with_images();
    skopeo(&scene, "team/signed:1", "oci:layout:quay.io/team/app:1");
    let text = "name: night\nprojects:\n  platform:\n    images:\n      - oci:layout\n      - {ref: 'oci:layout:quay.io/team/app:1', as: 'other:2'}\n";
    std::fs::create_dir(scene.path("site")).unwrap();
    std::fs::rename(scene.path("layout"), scene.path("site/layout")).unwrap();
    std::fs::write(scene.path("site/bundle.yaml"), text).unwrap();
    let lock = ["lock", "-f", "site/bundle.yaml"];
    scene.bundle(lock).succeeds();
    let written = std::fs::read_to_string(scene.path("site/bundle.lock")).unwrap();
    assert!(written.contains("from: oci:site/layout"), "{written}");
    assert!(written.contains("site/bundle.yaml:5 (oci:layout)"), "{written}");
    let locked = ["create", "-f", "site/bundle.yaml", "--locked", "--key", "key"];
    scene.bundle(locked.iter().chain(&["-o", "a.tar"])).succeeds();
    // The lock as a base: what is on this machine is asked of no registry.
    scene
        .bundle(locked.iter().chain(&["--base", "site/bundle.lock", "-o", "c.tar"]))
        .succeeds()
        .says("nothing");
    // Another image in its place.
    std::fs::remove_dir_all(scene.path("site/layout")).unwrap();
    skopeo(&scene, "team/docker:1", "oci:site/layout:quay.io/team/app:1");
    scene
        .bundle(locked.iter().chain(&["-o", "d.tar"]))
        .ends_with(6)
        .says("is not in oci:site/layout")
        .says("run `bundle lock`");
    let free: Vec<_> = locked.iter().copied().filter(|it| *it != "--locked").collect();
    scene
        .bundle(free.iter().chain(&["-o", "d.tar"]))
        .succeeds()
        .says("is gone; taking what the tag means now");
}

#[test]
fn mistakes_with_local_sources_are_told_with_what_to_do() {
    let scene = Scene::with_images();
    skopeo(&scene, "team/docker:1", "docker-archive:saved.tar");
    skopeo(&scene, "team/multi:1", "--all oci:multi:a.example/multi:1");
    let whole = std::fs::read(scene.path("saved.tar")).unwrap();
    std::fs::write(scene.path("cut.tar"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(scene.path("list.txt"), "docker-archive:saved.tar\n").unwrap();
    // Another byte in the middle of the first layer, which is found out when it is read.
    let mut flipped = whole.clone();
    flipped[60_000] ^= 1;
    std::fs::write(scene.path("flipped.tar"), flipped).unwrap();
    std::fs::create_dir(scene.path("empty")).unwrap();
    let name = " => app:1";
    for (arguments, code, message, hint) in [
        (&["docker-archive:saved.tar"][..], 2, "its image has no name", "give it one"),
        (&["docker-archive:none.tar"], 2, "command line (docker-archive:none.tar): it cannot be read", ""),
        (&["docker-archive:key"], 3, "it is not a tar archive", ""),
        (&[&format!("docker-archive:cut.tar{name}")], 3, "the archive ends in the middle of an entry", ""),
        (
            &[&format!("docker-archive:flipped.tar{name}")],
            3,
            "docker-archive:flipped.tar: its content for",
            "",
        ),
        (
            &["oci-archive:saved.tar"],
            2,
            "it has no oci-layout, so it is not an OCI image layout",
            "docker-archive:",
        ),
        (&["oci:empty"], 2, "it has no oci-layout", ""),
        (&["oci:multi:2"], 2, "it has no image '2'; it has a.example/multi:1", "leave the name out"),
        (&["oci:"], 2, "'oci:': 'oci:' needs a path", ""),
        (&["docker-daemon:nginx:1"], 2, "'docker-daemon:' is not read", ""),
        (
            &["--images", "list.txt"],
            2,
            "list.txt:1: 'docker-archive:saved.tar': a local source belongs to",
            "",
        ),
        (
            &["oci:multi", "oci:multi => other:1", "--platform", "linux/s390x"],
            2,
            "there is no linux/s390x; the image is made for linux/amd64, linux/arm64",
            "",
        ),
    ] {
        create(&scene, arguments).ends_with(code).says(message).says(hint);
        assert!(!scene.path("b.tar").exists(), "{arguments:?}");
    }
    // One reference has one source.
    let host = scene.source.host();
    skopeo(&scene, "team/multi:1", &format!("--all oci:same:{host}/team/multi:1"));
    let twice = format!("{host}/team/multi:1 => again:1");
    create(&scene, &["oci:same", &twice]).ends_with(2).says("a bundle has one source of each reference");
    // What was saved for one platform is carried for one.
    let blobs = scene.path("multi/blobs/sha256");
    let index =
        std::fs::read(blobs.join(digest_of(&scene, "team/multi").trim_start_matches("sha256:"))).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let arm64 =
        index["manifests"].as_array().unwrap().iter().find(|it| it["platform"]["architecture"] == "arm64");
    let arm64 = arm64.unwrap()["digest"].as_str().unwrap().trim_start_matches("sha256:");
    std::fs::remove_file(blobs.join(arm64)).unwrap();
    create(&scene, &["oci:multi"]).ends_with(3).says("which its image needs").says("--platform");
    create(&scene, &["oci:multi", "--platform", "linux/amd64"]).succeeds();
}

#[test]
fn files_travel_as_artifacts_that_oras_pulls_and_come_out_with_their_mode() {
    let scene = Scene::empty();
    std::fs::write(scene.path("install.sh"), "#!/bin/sh\n").unwrap();
    std::fs::write(scene.path("k3s"), vec![7; 300_000]).unwrap();
    scene.shell("chmod 0700 k3s && chmod 0600 install.sh").succeeds();
    let text = "name: night\nprojects:\n  platform:\n    files:\n      - {path: k3s, as: 'k3s:v1.37.0'}\n      - {path: install.sh, title: get-k3s.sh, mode: '0755'}\n";
    std::fs::write(scene.path("bundle.yaml"), text).unwrap();
    scene.bundle(["lock"]).succeeds();
    scene.bundle(["create", "--locked", "--require-referrers", "--key", "key", "-o", "b.tar"]).succeeds();
    let listed =
        scene.bundle(["extract", "b.tar", "--trust", "key.pub", "--files", "--json"]).succeeds().json();
    let names: Vec<_> = listed["files"].as_array().unwrap().iter().map(|file| file["name"].clone()).collect();
    assert_eq!(names, ["k3s", "get-k3s.sh"]);
    assert_eq!(listed["files"][0]["target"], "platform/files/k3s:v1.37.0");
    let extract =
        |arguments: &[&str]| scene.bundle(["extract", "b.tar", "--trust", "key.pub"].iter().chain(arguments));
    extract(&["--file", "files/k3s", "-o", "bin/k3s-new"]).succeeds().says("bin/k3s-new");
    extract(&["--file", "get-k3s.sh"]).succeeds();
    assert_eq!(std::fs::read(scene.path("bin/k3s-new")).unwrap(), vec![7; 300_000]);
    assert_eq!(scene.shell("stat -c %a bin/k3s-new get-k3s.sh").stdout, "755\n755\n");
    extract(&["--file", "k3s", "--to", "."]).ends_with(2).says("k3s exists already");
    extract(&["--file", "k3"]).ends_with(2).says("it has platform/files/k3s:v1.37.0 (k3s)");
    let target = DockerRegistry::start().unwrap();
    scene.bundle(["import", "b.tar", "--to", target.host(), "--trust", "key.pub"]).succeeds();
    if let Some(oras) = program("oras") {
        let reference = format!("{}/platform/files/k3s:v1.37.0", target.host());
        let pulled = Command::new(oras)
            .args(["pull", "--plain-http", "--no-tty", "-o", "pulled", &reference])
            .current_dir(scene.path("."))
            .output()
            .unwrap();
        assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
        assert_eq!(std::fs::read(scene.path("pulled/k3s")).unwrap(), vec![7; 300_000]);
    }
    // Another file in its place is not what was locked.
    std::fs::write(scene.path("k3s"), vec![8; 300_000]).unwrap();
    scene.bundle(["create", "--locked", "--key", "key", "-o", "c.tar"]).ends_with(6).says("is not in k3s");
}

#[test]
fn a_file_of_a_web_server_goes_straight_into_the_bundle_and_is_held_to_its_digest() {
    let scene = Scene::empty();
    let server = FaultProxy::scripted().unwrap();
    let served = Arc::new(Mutex::new(vec![5; 700_000]));
    let answers = served.clone();
    server.answer_with(move |request| match request.path() {
        "/v1/Tool" => Some(Response::new(200).with_body(answers.lock().unwrap().clone())),
        _ => Some(Response::new(404).with_body("no such file")),
    });
    let write = |name: &str, bytes: &[u8]| {
        let sha256 = sha256(bytes).trim_start_matches("sha256:").to_owned();
        let file = format!("{{url: 'http://{}/v1/{name}?token=hunter2', sha256: {sha256}}}", server.host());
        let text = format!("name: night\nprojects: {{platform: {{files: [{file}]}}}}\n");
        std::fs::write(scene.path("bundle.yaml"), text).unwrap();
    };
    write("Tool", &[5; 700_000]);
    scene.bundle(["lock"]).succeeds();
    let create =
        |output: &str| scene.bundle(["create", "--locked", "--retries", "0", "--key", "key", "-o", output]);
    create("b.tar").succeeds();
    let statement = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().stdout;
    assert!(statement.contains("/v1/Tool") && !statement.contains("hunter2"), "{statement}");
    let extract = ["extract", "b.tar", "--trust", "key.pub", "--file", "files/tool", "--to", "out"];
    scene.bundle(extract).succeeds();
    assert_eq!(std::fs::read(scene.path("out/Tool")).unwrap(), [5; 700_000]);
    assert_eq!(scene.shell("stat -c %a out/Tool").stdout, "644\n");
    // As many other bytes.
    *served.lock().unwrap() = vec![6; 700_000];
    let refused = create("c.tar")
        .ends_with(3)
        .says("the server sent a file with the digest sha256:")
        .says("correct its sha256 below 'files:'")
        .says("when the source is right");
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    assert!(!scene.path("c.tar").exists());
    write("gone", b"");
    let refused = scene.bundle(["create", "--retries", "0", "--key", "key", "-o", "d.tar"]).ends_with(4);
    assert!(refused.stderr.contains("404") && !refused.stderr.contains("hunter2"), "{}", refused.stderr);
}

#[test]
fn the_program_travels_in_the_bundle_and_runs_on_the_other_side() {
    let scene = Scene::empty();
    scene.bundle(["create", "--with-program", "--key", "key", "-o", "b.tar"]).succeeds();
    let found = artifacts(&scene);
    assert_eq!(found.len(), 1);
    let extract = ["extract", "b.tar", "--trust", "key.pub", "--program", "-o", "new"];
    scene.bundle(extract).succeeds();
    let own = sha256(&std::fs::read(env!("CARGO_BIN_EXE_bundle")).unwrap());
    assert_eq!(sha256(&std::fs::read(scene.path("new")).unwrap()), own);
    assert_eq!(
        scene.shell("./new --version").succeeds().stdout,
        scene.shell("$BUNDLE --version").succeeds().stdout
    );
    scene.bundle(extract).ends_with(2).says("new exists already");
    scene
        .bundle(["create", "--with-program=linux/s390x", "--key", "key", "-o", "c.tar"])
        .ends_with(2)
        .says("and not for linux/s390x")
        .says("--with-program=PATH");
    scene
        .bundle(["create", "--with-program=key.pub", "--key", "key", "-o", "c.tar"])
        .ends_with(2)
        .says("is not an executable for Linux");
    std::fs::write(scene.path("note"), "read me").unwrap();
    scene
        .bundle(["create", "--with-program", "--add-file", "note=notes:1", "--key", "key", "-o", "c.tar"])
        .succeeds();
    scene
        .bundle(["extract", "c.tar", "--trust", "key.pub", "--file", "files/notes:1", "-o", "read"])
        .succeeds();
    assert_eq!(std::fs::read_to_string(scene.path("read")).unwrap(), "read me");
}
