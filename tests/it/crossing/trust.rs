//! Trusted keys: the store, co-signatures, and new keys. Commands run against the store of a home directory
//! of their own.

use bundle_test_servers::DockerRegistry;

use crate::scene::Scene;

fn scene_with_bundle() -> Scene {
    let scene = Scene::with_images();
    scene.create("b.tar");
    for key in ["key-b", "key-c"] {
        scene.bundle(["key", "generate", key]).succeeds();
    }
    scene
}

#[test]
fn the_store_is_used_without_being_named_and_its_revocations_always_count() {
    let scene = scene_with_bundle();
    let target = DockerRegistry::start().unwrap();
    let import = ["import", "b.tar", "--to", target.host()];
    scene.bundle(import).ends_with(2).says("no key is trusted").says("bundle trust add");
    scene.bundle(["trust", "add", "key-b.pub", "--name", "other"]).succeeds();
    scene.bundle(import).ends_with(3).says("is not signed by a trusted key (other)");
    scene.bundle(["trust", "add", "key.pub", "--name", "ops", "--project", "cache"]).succeeds();
    scene
        .bundle(["trust", "add", "key.pub", "--name", "again"])
        .ends_with(2)
        .says("already trusted, as 'ops'");
    scene.bundle(["trust", "list"]).succeeds().says("ops sha256:").says("projects cache");
    scene.bundle(["verify", "b.tar"]).succeeds().says("signed by 'ops'");
    scene.bundle(import).succeeds();
    scene.bundle(["trust", "revoke", "ops"]).succeeds();
    scene.bundle(import).ends_with(3).says("signed by the key 'ops', which is revoked");
    // Another file does not make it good again.
    scene.bundle(import.iter().chain(&["--trust", "key.pub"])).ends_with(3).says("which is revoked");
    scene.bundle(["trust", "revoke", "nobody"]).ends_with(2).says("has no key 'nobody'");
    scene.shell("chmod 666 .config/bundle/trust.yaml").succeeds();
    scene.bundle(import).ends_with(2).says("can be written by anybody");
}

#[test]
fn two_signatures_are_two_peoples() {
    let scene = scene_with_bundle();
    for (key, name) in [("key.pub", "ops"), ("key-b.pub", "transfer")] {
        scene.bundle(["trust", "add", key, "--name", name]).succeeds();
    }
    scene.bundle(["trust", "require", "3"]).ends_with(2).says("requires 3 signatures, and names 2 keys");
    scene.bundle(["trust", "require", "2"]).succeeds();
    let target = DockerRegistry::start().unwrap();
    let import = ["import", "b.tar", "--to", target.host()];
    let refused = || {
        scene.bundle(import).ends_with(3).says("signed by one key (ops), and 2 signatures are required");
    };
    refused();
    // The same key again is no second signature, and neither is a stranger's.
    scene.bundle(["sign", "b.tar", "--key", "key"]).succeeds();
    refused();
    scene.bundle(["sign", "b.tar", "--key", "key-c"]).succeeds();
    refused();
    let before = std::fs::read(scene.path("b.tar")).unwrap();
    scene.bundle(["sign", "b.tar", "--key", "key-b"]).succeeds().says("which is signed by 'ops'");
    assert_eq!(std::fs::read(scene.path("b.tar")).unwrap(), before);
    scene.bundle(["verify", "b.tar"]).succeeds().says("signed by 'ops' and 'transfer'");
    scene.bundle(import).succeeds();
    // Through a pipe the signature comes beside it.
    let host = target.host();
    scene.shell(&format!("$BUNDLE import - --to {host} < b.tar")).ends_with(3);
    let fingerprint = scene.bundle(["key", "show", "key-b.pub"]).succeeds().stdout;
    let sidecar = format!("b.tar.{}.sig", &fingerprint["sha256:".len()..][..16]);
    scene.shell(&format!("$BUNDLE import - --signature {sidecar} --to {host} < b.tar")).succeeds();
    scene
        .shell(&format!("tar -xOf b.tar bundle.json > s.json && openssl pkeyutl -verify -rawin -pubin -inkey key-b.pub -in s.json -sigfile {sidecar}"))
        .succeeds();
    // It signs this bundle and no other.
    let references = Scene::references(scene.source.host());
    let mut other = Scene::create_arguments(&references, "c.tar");
    other.extend(["--sequence", "7"].map(str::to_owned));
    scene.bundle(other).succeeds();
    std::fs::copy(scene.path(&sidecar), scene.path(&sidecar.replace("b.tar", "c.tar"))).unwrap();
    scene.bundle(["verify", "c.tar"]).ends_with(3).says("and 2 signatures are required");
    std::fs::write(scene.path(&sidecar), "short").unwrap();
    scene.bundle(import).ends_with(3).says("is not a 64-byte Ed25519 signature");
}

#[test]
fn nobody_signs_what_is_not_right() {
    let scene = scene_with_bundle();
    let mut bytes = std::fs::read(scene.path("b.tar")).unwrap();
    let last = bytes.len() - 2000;
    bytes[last] ^= 1;
    std::fs::write(scene.path("bad.tar"), bytes).unwrap();
    scene
        .bundle(["sign", "bad.tar", "--key", "key-b", "--trust", "key.pub"])
        .ends_with(3)
        .says("bad.tar is not signed, for it is not right");
    scene.bundle(["sign", "b.tar", "--key", "key-b", "--trust", "key-c.pub"]).ends_with(3);
    assert!(!scene.files().iter().any(|name| name.ends_with(".sig")), "{:?}", scene.files());
}

#[test]
fn a_new_key_is_introduced_by_the_old_one() {
    let scene = scene_with_bundle();
    scene.bundle(["trust", "add", "key.pub", "--name", "2026", "--project", "cache"]).succeeds();
    let rotate = |key: &str, new: &str, name: &str, output: &str| {
        scene.bundle(["trust", "rotate", "--key", key, "--new", new, "--name", name, "-o", output]).succeeds()
    };
    rotate("key", "key-b.pub", "2027", "rotation.json");
    let reference = format!("{}/team/docker:1", scene.source.host());
    scene.bundle(["create", &reference, "--key", "key-b", "-o", "new.tar"]).succeeds();
    scene.bundle(["verify", "new.tar"]).ends_with(3);
    scene.bundle(["trust", "accept", "rotation.json"]).succeeds().says("'2027' is trusted and replaces");
    scene.bundle(["trust", "accept", "rotation.json"]).succeeds();
    scene.bundle(["verify", "new.tar"]).succeeds().says("signed by '2027'");
    // The new key has at most the old one's scope.
    scene
        .bundle(["create", &reference, "--project", "platform", "--key", "key-b", "-o", "more.tar"])
        .succeeds();
    scene
        .bundle(["verify", "more.tar"])
        .ends_with(3)
        .says("'platform', which the key '2027' is not allowed to write to");
    // A stolen old key cannot come back.
    scene.bundle(["trust", "revoke", "2026"]).succeeds();
    rotate("key", "key-c.pub", "thief", "thief.json");
    scene
        .bundle(["trust", "accept", "thief.json"])
        .ends_with(3)
        .says("signed by the key '2026', which is revoked");
    rotate("key-c", "key-b.pub", "x", "stranger.json");
    scene.bundle(["trust", "accept", "stranger.json"]).ends_with(3).says("not signed by a trusted key");
}

#[test]
fn a_tenants_key_cannot_use_up_the_numbers_of_anothers_stream() {
    let scene = Scene::with_images();
    let target = DockerRegistry::start().unwrap();
    scene.bundle(["key", "generate", "key-tenant"]).succeeds();
    let add = |key: &str, name: &str, more: &[&str]| {
        let fixed = ["trust", "add", key, "--name", name, "--store", "trust.yaml"];
        scene.bundle(fixed.iter().chain(more)).succeeds();
    };
    add("key.pub", "ops", &[]);
    add("key-tenant.pub", "tenant", &["--project", "tenant-a", "--stream", "tenant-a"]);
    scene.bundle(["trust", "list", "--store", "trust.yaml"]).succeeds().says("streams tenant-a");
    let reference = format!("{}/team/docker:1", scene.source.host());
    let create = |output: &str, more: &[&str]| {
        let fixed = ["create", &reference, "-o", output];
        scene.bundle(fixed.iter().chain(more)).succeeds();
    };
    let tenant = ["--project", "tenant-a", "--key", "key-tenant", "--sequence", "9007199254740991"];
    create("high.tar", &[&tenant[..], &["--stream", "nightly"]].concat());
    create("own.tar", &[&tenant[..], &["--stream", "tenant-a"]].concat());
    create("nightly.tar", &["--key", "key", "--stream", "nightly", "--sequence", "1"]);
    let import = |name: &str| {
        scene.bundle([
            "import",
            name,
            "--to",
            target.host(),
            "--trust",
            "trust.yaml",
            "--state",
            "state.json",
        ])
    };
    import("high.tar")
        .ends_with(3)
        .says("bundle is of the stream 'nightly', for which the key 'tenant' may not sign");
    import("own.tar").succeeds();
    import("nightly.tar").succeeds();
}

#[test]
fn a_record_of_a_key_that_may_no_longer_sign_for_the_stream_does_not_lock_it() {
    let scene = Scene::with_images();
    let target = DockerRegistry::start().unwrap();
    scene.bundle(["key", "generate", "key-tenant"]).succeeds();
    let trust = |streams: &str| {
        let keys = format!(
            "keys:\n- {{name: ops, file: key.pub, projects: ['*']}}\n- {{name: tenant, file: key-tenant.pub, projects: ['*']{streams}}}\n"
        );
        std::fs::write(scene.path("trust.yaml"), keys).unwrap();
    };
    let reference = format!("{}/team/docker:1", scene.source.host());
    let create = |output: &str, key: &str, sequence: &str| {
        let fixed = ["create", &reference, "--stream", "nightly", "--project", "tenant-a"];
        scene.bundle(fixed.iter().chain(&["--key", key, "--sequence", sequence, "-o", output])).succeeds();
    };
    create("high.tar", "key-tenant", "9007199254740991");
    create("2.tar", "key", "2");
    let import = |name: &str| {
        let to = ["import", name, "--to", target.host(), "--trust", "trust.yaml"];
        scene.bundle(to.iter().chain(&["--state", "state.json", "--on-existing-tag", "overwrite"]))
    };
    trust("");
    import("high.tar").succeeds();
    import("2.tar").ends_with(8).says("is older than 9007199254740991");
    // A person restricts the key, and takes the number out of the file.
    trust(", streams: [tenant-a]");
    std::fs::remove_file(scene.path("state.json")).unwrap();
    import("2.tar").succeeds().says("which is of a bundle whose signers may not sign for the stream");
    import("high.tar").ends_with(3).says("may not sign");
}
