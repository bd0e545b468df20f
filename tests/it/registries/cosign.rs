//! cosign itself, before and after a crossing. Takes an index that cosign signed in the source registry;
//! checks for which choice of platforms `cosign verify` finds its signature at the target, and the message
//! where it does not.

use std::path::Path;

use bundle_test_needs::program;
use bundle_test_servers::{DockerRegistry, ImageSpec, Index, LayerSpec, Platform};

use crate::scene::{CREATED, Ran, Scene};

/// cosign with a key, and without the public services that a site behind a gap cannot ask.
struct Cosign<'a> {
    scene: &'a Scene,
    program: &'a Path,
}

impl Cosign<'_> {
    fn run(&self, arguments: &str) -> Ran {
        self.scene.shell(&format!("COSIGN_PASSWORD= {} {arguments}", self.program.display()))
    }

    fn sign(&self, image: &str) {
        self.run(&format!("sign --yes --key cosign.key --tlog-upload=false --recursive=false {image}"))
            .succeeds();
    }

    fn verify(&self, image: &str) -> Ran {
        self.run(&format!(
            "verify --key cosign.pub --insecure-ignore-tlog=true --private-infrastructure=true {image}"
        ))
    }
}

#[test]
fn cosign_verifies_at_the_target_what_came_whole_and_a_cut_index_is_said_to_have_lost_its_signature() {
    let Some(program) = program("cosign") else { return };
    let scene = Scene::empty();
    let cosign = Cosign { scene: &scene, program: &program };
    cosign.run("generate-key-pair").succeeds();
    let image =
        |seed, platform| ImageSpec::oci().platform(platform).layer(LayerSpec::new(seed, 9_000)).build();
    let (amd64, arm64) = (image(1, Platform::linux_amd64()), image(2, Platform::linux_arm64()));
    let index = Index::oci().manifest(amd64.clone()).manifest(arm64).build();
    scene.source.client().push("team/app", "1", &index).unwrap();
    let host = scene.source.host();
    cosign.sign(&format!("{host}/team/app@{}", index.digest));
    cosign.verify(&format!("{host}/team/app:1")).succeeds();
    let reference = format!("{host}/team/app:1");
    let cross = |more: &[&str]| {
        let _ = std::fs::remove_file(scene.path("b.tar"));
        let create = ["create", &reference, "--key", "key", "--created", CREATED, "-o", "b.tar"];
        let made = scene.bundle([&create[..], more].concat()).succeeds();
        let target = DockerRegistry::start().unwrap();
        let to = target.host();
        let state = format!("state-{to}");
        scene.bundle(["import", "b.tar", "--to", to, "--trust", "key.pub", "--state", &state]).succeeds();
        let image = format!("{to}/cache/{}/team/app:1", host.replace(':', "_"));
        (made, target, image)
    };
    for whole in [
        &[][..],
        &["--platform", "linux/amd64", "--platform", "linux/arm64"],
        &["--platform", "linux/amd64", "--keep-signed-indexes"],
    ] {
        let (_, target, image) = cross(whole);
        cosign.verify(&image).succeeds().says(&index.digest);
        drop(target);
    }
    let (made, target, image) = cross(&["--platform", "linux/amd64"]);
    made.says("signatures of the index are left out");
    let ran = cosign.verify(&image);
    assert_ne!(ran.code, Some(0), "{}", ran.stdout);
    drop(target);
    // The signatures of single platforms hold for a part, too.
    cosign.sign(&format!("{host}/team/app@{}", amd64.digest));
    let (_, target, image) = cross(&["--platform", "linux/amd64"]);
    cosign.verify(&image).succeeds().says(&amd64.digest);
    drop(target);
}
