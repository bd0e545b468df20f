//! crane's registry, the other real one beside docker-registry: it has no referrers API, mounts nothing and keeps all in
//! memory. Takes images with what is attached to them from one into another; looks at the second with crane.

use std::process::Command;

use bundle_test_needs::program;
use bundle_test_servers::{Check, CraneRegistry, ImageSpec, Index, LayerSpec, Platform};

use crate::scene::{CREATED, Scene};

#[test]
fn images_with_their_referrers_go_from_one_crane_registry_into_another() {
    let Some(crane) = program("crane") else { return };
    let (Some(from), Some(to)) = (CraneRegistry::start().unwrap(), CraneRegistry::start().unwrap()) else {
        return;
    };
    let scene = Scene::empty();
    let image =
        |seed, platform| ImageSpec::oci().platform(platform).layer(LayerSpec::new(seed, 90_000)).build();
    let index = Index::oci()
        .manifest(image(1, Platform::linux_amd64()))
        .manifest(image(2, Platform::linux_arm64()))
        .build();
    let signed = image(3, Platform::linux_amd64());
    let sbom = signed.referrer("application/spdx+json", b"{}");
    let source = from.client();
    source.push("team/multi", "1", &index).unwrap();
    source.push("team/signed", "1", &signed).unwrap();
    source.push("team/signed", &signed.cosign_tag(), &signed.cosign_signature("team/signed")).unwrap();
    source.push_referrers("team/signed", &signed, std::slice::from_ref(&sbom)).unwrap();
    let [multi, one] = ["multi", "signed"].map(|name| format!("{}/team/{name}:1", from.host()));
    scene.bundle(["create", &multi, &one, "--key", "key", "--created", CREATED, "-o", "b.tar"]).succeeds();
    let import = ["import", "b.tar", "--to", to.host(), "--trust", "key.pub"];
    scene.bundle(import).succeeds();
    let target = to.client();
    let place = format!("cache/{}/team", from.host().replace(':', "_"));
    let list = signed.cosign_tag().trim_end_matches(".sig").to_owned();
    for (name, tag, digest) in [
        ("multi", "1", &index.digest),
        ("signed", "1", &signed.digest),
        ("signed", &signed.cosign_tag(), &signed.cosign_signature("team/signed").digest),
    ] {
        let found = target.manifest(&format!("{place}/{name}"), tag).unwrap().unwrap();
        assert_eq!(&found.digest, digest, "{name}:{tag}");
        assert_eq!(target.check(&format!("{place}/{name}"), tag, Check::Hash), []);
    }
    let listed = target.manifest(&format!("{place}/signed"), &list).unwrap().unwrap();
    assert!(String::from_utf8(listed.bytes).unwrap().contains(&sbom.digest));
    for name in ["multi", "signed"] {
        let remote = format!("{}/{place}/{name}:1", to.host());
        let checked = Command::new(&crane).args(["validate", "--insecure", "--remote", &remote]).output();
        let checked = checked.unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    scene.bundle(import).succeeds().says("0 blobs sent");
}
