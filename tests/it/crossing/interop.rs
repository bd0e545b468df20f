//! Other tools read a bundle as it is.
//! `tar`, `sha256sum` and `openssl` find by the format document what the program finds.

use std::process::Command;

use bundle_test_servers::LayerSpec;

use crate::scene::{Scene, attested_index};
use crate::serve::containerd::Containerd;

fn run(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_auditor_checks_a_bundle_with_tar_openssl_and_sha256sum() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene
        .shell(
            "tar -xOf b.tar bundle.json > s.json && tar -xOf b.tar bundle.json.sig > s.sig && \
             openssl pkeyutl -verify -rawin -pubin -inkey key.pub -in s.json -sigfile s.sig && \
             mkdir x && tar -xf b.tar -C x && cd x/blobs/sha256 && for f in *; do echo \"$f  $f\"; done | sha256sum -c --quiet",
        )
        .succeeds()
        .says("Signature Verified Successfully");
}

#[test]
fn openssl_keys_sign_and_a_signing_command_does_too() {
    let scene = Scene::with_images();
    let reference = format!("{}/team/docker:1", scene.source.host());
    scene
        .shell(&format!(
            "openssl genpkey -algorithm ed25519 -out key-o && chmod 600 key-o && openssl pkey -in key-o -pubout -out key-o.pub && \
             $BUNDLE create {reference} --key key-o -o a.tar && $BUNDLE verify a.tar --trust key-o.pub && \
             $BUNDLE create {reference} --sign-command 'cat > m; openssl pkeyutl -sign -rawin -inkey key-o -in m' --public-key key-o.pub -o b.tar && \
             $BUNDLE verify b.tar --trust key-o.pub"
        ))
        .succeeds();
    scene
        .bundle([
            "create",
            &reference,
            "--sign-command",
            "echo no",
            "--public-key",
            "key-o.pub",
            "-o",
            "c.tar",
        ])
        .ends_with(1)
        .says("wrote 3 bytes where the 64 of an Ed25519 signature belong");
    scene
        .bundle([
            "create",
            &reference,
            "--sign-command",
            "head -c 64 /dev/zero",
            "--public-key",
            "key-o.pub",
            "-o",
            "c.tar",
        ])
        .ends_with(1)
        .says("gave a signature that the public key does not verify");
}

#[test]
fn skopeo_finds_images_by_name_and_copies_them_unchanged() {
    let scene = Scene::with_images();
    let bundle = scene.create("b.tar");
    let name = format!("{}/team/multi:1", scene.source.host());
    let source = format!("oci-archive:{}:{name}", bundle.display());
    let raw = run("skopeo", &["inspect", "--raw", &source]);
    let digest = scene.source.client().manifest("team/multi", "1").unwrap().unwrap().digest;
    assert_eq!(bundle_test_servers::sha256(raw.as_bytes()), digest);
    let copy = format!("dir:{}", scene.path("copy").display());
    run("skopeo", &["--insecure-policy", "copy", "--all", "--preserve-digests", &source, &copy]);
    let copied = std::fs::read(scene.path("copy").join("manifest.json")).unwrap();
    assert_eq!(bundle_test_servers::sha256(&copied), digest);
}

#[test]
fn containerd_imports_every_image_under_its_name() {
    let scene = Scene::with_images();
    let bundle = scene.create("b.tar");
    let containerd = Containerd::start();
    containerd.import(&bundle);
    let images = containerd.images();
    for name in ["team/multi:1", "team/docker:1", "team/signed:1"] {
        let (repository, tag) = name.split_once(':').unwrap();
        let digest = scene.source.client().manifest(repository, tag).unwrap().unwrap().digest;
        let expected = (format!("{}/{name}", scene.source.host()), digest);
        assert!(images.contains(&expected), "{expected:?} is not in {images:?}");
    }
}

/// K3s' import of a file in its images directory: `client.Import` with all platforms, under the names in the
/// archive (k3s `pkg/agent/containerd/containerd.go: preloadFile`).
#[test]
fn a_bundle_of_chosen_platforms_can_lie_in_the_images_directory_of_k3s() {
    let scene = Scene::empty();
    let base = LayerSpec::new(1, 10_000).build();
    let index = attested_index(&base);
    scene.source.client().push("team/multi", "1", &index).unwrap();
    let name = format!("{}/team/multi:1", scene.source.host());
    for (platforms, complete) in [
        (&["--platform", "linux/amd64"][..], 1),
        (&["--platform", "linux/amd64", "--platform", "linux/arm64"], 2),
        (&[], 3),
    ] {
        let mut create = vec!["create", &name, "--key", "key", "-o", "b.tar"];
        create.extend_from_slice(platforms);
        scene.bundle(create).succeeds();
        let containerd = Containerd::start();
        containerd.import(&scene.path("b.tar"));
        let inspected = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
        let artifact = &inspected["artifacts"][0];
        assert_eq!(artifact["platforms"].as_array().unwrap().len(), complete);
        let digest = artifact["digest"].as_str().unwrap().to_owned();
        assert_eq!(containerd.images(), [(name.clone(), digest)]);
        let check = containerd.check(&name);
        assert!(check.contains(" complete ("), "{check}");
        // And what nodes of other platforms need is there too.
        let content = containerd.run(&["content", "ls", "-q"]);
        let statement = scene.shell("tar -xOf b.tar bundle.json").succeeds().json();
        for blob in statement["blobs"].as_array().unwrap() {
            assert!(content.contains(blob[0].as_str().unwrap()), "{blob} is not in\n{content}");
        }
        std::fs::remove_file(scene.path("b.tar")).unwrap();
    }
}
