//! Publishers' signatures by an identity and not by a key. Takes images that an authority and logs of the test's own
//! signed, as Fulcio and Rekor do; checks that `create` with a `policy` and `cosign verify` agree on each, without network.

use bundle_test_needs::program;
use bundle_test_servers::{
    Blob, ImageSpec, KeylessSignature, LayerSpec, Manifest, OlderSignature, Platform, Sigstore, sha256,
};
use serde_json::{Value, json};

use crate::scene::{Ran, Scene};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const WORKFLOW: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/*";

fn image(seed: u64) -> Manifest {
    ImageSpec::oci().platform(Platform::linux_amd64()).layer(LayerSpec::new(seed, 9_000)).build()
}

/// A dry run that asks for this identity of every image.
fn dry_run(scene: &Scene, identity: &str, issuer: &str, image: &str) -> Ran {
    let text = format!(
        "policy:\n  - match: '*'\n    cosign: {{identity: '{identity}', issuer: '{issuer}', trustedRoot: root.json}}\n\
         projects:\n  cache:\n    images: [{image}]\n"
    );
    std::fs::write(scene.path("bundle.yaml"), text).unwrap();
    scene.bundle(["create", "--dry-run", "--json"])
}

/// The scene, with `root.json`, and a way to push a signed image.
fn scene() -> (Scene, Sigstore) {
    let (scene, sigstore) = (Scene::empty(), Sigstore::new());
    std::fs::write(scene.path("root.json"), sigstore.trusted_root().to_string()).unwrap();
    (scene, sigstore)
}

fn push(scene: &Scene, name: &str, seed: u64, bundle: impl Fn(&Manifest) -> Value) -> String {
    let (client, image) = (scene.source.client(), image(seed));
    let repository = format!("team/{name}");
    client.push(&repository, "1", &image).unwrap();
    let signature = image.referrer(BUNDLE, bundle(&image).to_string().as_bytes());
    // cosign's layer has the bundle's type, too (cosign, pkg/oci/remote/write.go).
    let text = String::from_utf8(signature.bytes.clone()).unwrap();
    let bytes = text.replace("application/octet-stream", BUNDLE).into_bytes();
    let signature = Manifest { digest: sha256(&bytes), bytes, ..signature };
    client.push_referrers(&repository, &image, &[signature]).unwrap();
    format!("{}/{repository}:1", scene.source.host())
}

/// An image whose signature lies below its tag, as cosign before version 3 wrote it.
fn push_older(scene: &Scene, name: &str, seed: u64, sign: impl Fn(&Manifest) -> OlderSignature) -> String {
    let (client, image) = (scene.source.client(), image(seed));
    let repository = format!("team/{name}");
    client.push(&repository, "1", &image).unwrap();
    let signed = sign(&image);
    let config =
        b"{\"architecture\":\"\",\"os\":\"\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"
            .to_vec();
    let document = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(&config), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "digest": sha256(signed.payload.as_bytes()),
            "size": signed.payload.len(), "annotations": {"dev.cosignproject.cosign/signature": signed.signature,
            "dev.sigstore.cosign/certificate": signed.certificate, "dev.sigstore.cosign/bundle": signed.log}}]});
    let bytes = serde_json::to_vec(&document).unwrap();
    let blobs = vec![Blob::new("payload", signed.payload.as_bytes()), Blob::new("config", config)];
    let signature = Manifest { digest: sha256(&bytes), bytes, blobs, ..image.clone() };
    client.push(&repository, &image.cosign_tag(), &signature).unwrap();
    format!("{}/{repository}:1", scene.source.host())
}

#[test]
fn create_and_cosign_agree_whose_signature_an_image_has() {
    let Some(program) = program("cosign") else { return };
    let (scene, sigstore) = scene();
    let right = KeylessSignature::default();
    let person = KeylessSignature { identity: "ops@acme.example".to_owned(), ..right.clone() };
    let evil = "https://github.com/evil/app/.github/workflows/release.yml@refs/tags/v1".to_owned();
    let evil = KeylessSignature { identity: evil, ..right.clone() };
    let late = KeylessSignature { after: 700, ..right.clone() };
    let unlogged = KeylessSignature { logged: false, ..right.clone() };
    let elsewhere = KeylessSignature { issuer: "https://accounts.example".to_owned(), ..right.clone() };
    let sign = |signature: &KeylessSignature| {
        let signature = signature.clone();
        let sigstore = &sigstore;
        move |image: &Manifest| sigstore.sign(&image.digest, &signature)
    };
    let stranger = Sigstore::new();
    let other = image(99).digest;
    let images = [
        ("right", push(&scene, "right", 1, sign(&right)), WORKFLOW, true),
        ("person", push(&scene, "person", 2, sign(&person)), "ops@acme.example", true),
        ("mistaken", push(&scene, "mistaken", 3, sign(&person)), WORKFLOW, false),
        ("evil", push(&scene, "evil", 4, sign(&evil)), WORKFLOW, false),
        ("late", push(&scene, "late", 5, sign(&late)), WORKFLOW, false),
        ("unlogged", push(&scene, "unlogged", 6, sign(&unlogged)), WORKFLOW, false),
        ("elsewhere", push(&scene, "elsewhere", 7, sign(&elsewhere)), WORKFLOW, false),
        (
            "stranger",
            push(&scene, "stranger", 8, |image| stranger.sign(&image.digest, &right)),
            WORKFLOW,
            false,
        ),
        ("moved", push(&scene, "moved", 9, |_| sigstore.sign(&other, &right)), WORKFLOW, false),
        (
            "older",
            push_older(&scene, "older", 10, |image| sigstore.sign_older(&image.digest, &right)),
            WORKFLOW,
            true,
        ),
        (
            "late-older",
            push_older(&scene, "late-older", 11, |image| sigstore.sign_older(&image.digest, &late)),
            WORKFLOW,
            false,
        ),
        (
            "moved-older",
            push_older(&scene, "moved-older", 12, |_| sigstore.sign_older(&other, &right)),
            WORKFLOW,
            false,
        ),
    ];
    for (name, image, identity, accepted) in &images {
        let pattern = identity.replace('.', "\\.").replace('*', ".*");
        let cosign = scene.shell(&format!(
            "{} verify {} --trusted-root root.json --certificate-oidc-issuer {ISSUER} \
             --certificate-identity-regexp '^{pattern}$' {image}",
            program.display(),
            if name.ends_with("older") {
                "--new-bundle-format=false --offline"
            } else {
                "--new-bundle-format"
            }
        ));
        assert_eq!(cosign.code == Some(0), *accepted, "cosign: {name}: {}", cosign.stderr);
        let ran = dry_run(&scene, identity, ISSUER, image);
        assert_eq!(ran.code, Some(if *accepted { 0 } else { 5 }), "{name}: {}", ran.stderr);
        if *accepted {
            let reasons = ran.json()["artifacts"][0]["reasons"].to_string();
            assert!(reasons.contains("signature: verified, identity "), "{reasons}");
        } else {
            ran.says(&format!("is not signed by the identity {identity}"));
        }
    }
}

#[test]
fn an_identity_needs_its_issuer_and_a_root_that_can_be_read() {
    let (scene, sigstore) = scene();
    let image = push(&scene, "app", 1, |image| sigstore.sign(&image.digest, &KeylessSignature::default()));
    dry_run(&scene, WORKFLOW, ISSUER, &image).succeeds();
    dry_run(&scene, "https://*", ISSUER, &image).ends_with(2).says("policy[0].cosign.identity");
    dry_run(&scene, WORKFLOW, "github", &image).ends_with(2).says("policy[0].cosign.issuer");
    std::fs::write(scene.path("root.json"), json!({"tlogs": []}).to_string()).unwrap();
    dry_run(&scene, WORKFLOW, ISSUER, &image).ends_with(2).says("policy[0].cosign.trustedRoot");
    std::fs::remove_file(scene.path("root.json")).unwrap();
    dry_run(&scene, WORKFLOW, ISSUER, &image).ends_with(2).says("root.json");
    let text = format!(
        "policy:\n  - {{match: '*', cosign: {{identity: a@b.example}}}}\nprojects: {{cache: {{images: [{image}]}}}}\n"
    );
    std::fs::write(scene.path("bundle.yaml"), text).unwrap();
    scene
        .bundle(["create", "--dry-run"])
        .ends_with(2)
        .says("a signer has 'key', or 'identity', 'issuer' and");
}
