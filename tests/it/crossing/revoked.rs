//! Keys that the trust store has revoked, against every command that trusts: with any file named, with a home
//! and without, and with an explicit choice of no store.

use std::process::Command;

use crate::scene::{Ran, Scene};

/// The arguments of every command that trusts `b.tar`'s signer. No registry is at port 1: who gets as far as
/// that has trusted.
const TRUSTING: [&str; 10] = [
    "verify b.tar",
    "import b.tar --to 127.0.0.1:1 --retries 0 --state s.json",
    "import b.tar --dry-run --to 127.0.0.1:1 --retries 0 --state s.json",
    "extract b.tar --to taken",
    "sign b.tar --key key-b",
    "mirror-config b.tar --for k3s --registry mirror.example --output nodes",
    "harbor check --bundle b.tar --to 127.0.0.1:1 --retries 0",
    "harbor trivy-values b.tar --to 127.0.0.1:1",
    "harbor values b.tar --registry mirror.example",
    "serve b.tar --listen nowhere.invalid:0",
];

fn scene() -> Scene {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene.bundle(["key", "generate", "key-b"]).succeeds();
    scene.bundle(["trust", "add", "key.pub", "--name", "ops"]).succeeds();
    scene
}

fn command(scene: &Scene, words: &str, more: &[&str]) -> Command {
    // A store is no file of the bundle's directory, so that it is found by its name only.
    scene.command(words.split(' ').chain(more.iter().copied()))
}

fn homeless(mut command: Command) -> Ran {
    command.env_remove("HOME");
    Ran::from(command.output().unwrap())
}

fn run(mut command: Command) -> Ran {
    Ran::from(command.output().unwrap())
}

#[test]
fn every_command_refuses_what_the_store_has_revoked() {
    let scene = scene();
    // Before, each of them trusts the key: what it fails for is something else.
    for words in TRUSTING {
        for more in [&[][..], &["--trust", "key.pub"]] {
            let ran = run(command(&scene, words, more));
            assert!(!ran.stderr.contains("key is trusted"), "{words}: {}", ran.stderr);
            assert!(!ran.stderr.contains("revoked"), "{words}: {}", ran.stderr);
            assert_ne!(ran.code, Some(3), "{words}: {}", ran.stderr);
        }
        let _ = std::fs::remove_dir_all(scene.path("taken"));
        let _ = std::fs::remove_dir_all(scene.path("nodes"));
    }
    run(command(&scene, "inspect b.tar", &[])).succeeds().says("signed by 'ops'");
    scene.bundle(["trust", "revoke", "ops"]).succeeds();
    std::fs::rename(scene.path(".config/bundle/trust.yaml"), scene.path("store.yaml")).unwrap();
    for words in TRUSTING.iter().filter(|words| !words.starts_with("serve")).chain(&["inspect b.tar"]) {
        for more in [&[][..], &["--trust", "key.pub"], &["--trust", "store.yaml"]] {
            let named = [more, &["--trust-store", "store.yaml"]].concat();
            run(command(&scene, words, &named)).ends_with(3).says("which is revoked");
            let mut by_variable = command(&scene, words, more);
            by_variable.env("BUNDLE_TRUST_STORE", scene.path("store.yaml"));
            homeless(by_variable).ends_with(3).says("which is revoked");
        }
    }
    std::fs::rename(scene.path("store.yaml"), scene.path(".config/bundle/trust.yaml")).unwrap();
    let serve = command(&scene, "serve b.tar --listen 127.0.0.1:0", &["--trust", "key.pub"]);
    run(serve).ends_with(3).says("which is revoked");
    let shown = run(command(&scene, "inspect b.tar --json", &["--trust", "key.pub"])).ends_with(3);
    assert_eq!(shown.stdout, "");
}

#[test]
fn without_a_home_a_command_that_would_trust_fails_until_it_is_told_where_the_store_is() {
    let scene = scene();
    for words in TRUSTING {
        for more in [&[][..], &["--trust", "key.pub"]] {
            homeless(command(&scene, words, more))
                .ends_with(2)
                .says("the trust store cannot be found: neither XDG_CONFIG_HOME nor HOME is set")
                .says("--trust-store FILE or BUNDLE_TRUST_STORE");
        }
        let absent = ["--trust", "key.pub", "--trust-store", "absent.yaml"];
        run(command(&scene, words, &absent)).ends_with(2).says("trust store absent.yaml does not exist");
    }
    let store = ["--trust-store", ".config/bundle/trust.yaml"];
    homeless(command(&scene, "verify b.tar", &store)).succeeds().says("signed by 'ops'");
    let mut none = command(&scene, "verify b.tar --trust key.pub", &[]);
    none.env("BUNDLE_TRUST_STORE", "none");
    homeless(none).succeeds().says("warning: the trust store is not used");
    homeless(command(&scene, "verify b.tar --trust-store none", &[])).ends_with(2).says("no key is trusted");
}

#[test]
fn inspect_trusts_whom_verify_trusts() {
    let scene = scene();
    let inspect = |more: &[&str]| run(command(&scene, "inspect b.tar", more));
    inspect(&[]).succeeds().says("signed by 'ops'");
    inspect(&["--trust", "key.pub"]).succeeds().says("signed by 'key.pub'");
    inspect(&["--trust", "key-b.pub"]).ends_with(3).says("is not signed by a trusted key");
    inspect(&["--unverified"]).succeeds().says("NOT VERIFIED");
    homeless(command(&scene, "inspect b.tar", &[]))
        .succeeds()
        .says("the trust store cannot be found")
        .says("NOT VERIFIED");
    homeless(command(&scene, "inspect b.tar", &["--trust", "key.pub"])).ends_with(2);
    scene.bundle(["trust", "revoke", "ops"]).succeeds();
    let refused = inspect(&[]).ends_with(3).says("which is revoked").says("--unverified");
    assert_eq!(refused.stdout, "");
    let shown = inspect(&["--unverified", "--json"]).succeeds().json();
    assert_eq!((&shown["verified"], &shown["signers"]), (&false.into(), &serde_json::json!([])));
    // Without any trusted key, inspection is possible.
    std::fs::remove_file(scene.path(".config/bundle/trust.yaml")).unwrap();
    inspect(&[]).succeeds().says("NOT VERIFIED");
}

#[test]
fn keys_of_receipts_and_bases_are_held_to_the_store_too() {
    let scene = scene();
    let commands = [
        "diff b.tar b.tar --trust key.pub",
        "create HOST/team/multi:1 --key key-b -o c.tar --base b.tar --base-trust key.pub",
        "receipt show r.json --trust key.pub",
        "harbor diff r.json --trust key.pub --to 127.0.0.1:1 --retries 0",
    ]
    .map(|words| words.replace("HOST", scene.source.host()));
    run(command(&scene, &commands[0], &[])).succeeds();
    for words in &commands {
        homeless(command(&scene, words, &[])).ends_with(2).says("the trust store cannot be found");
    }
    scene.bundle(["trust", "revoke", "ops"]).succeeds();
    for words in &commands {
        run(command(&scene, words, &[])).ends_with(3).says("the trust store has revoked this key, as 'ops'");
    }
    homeless(command(&scene, "diff b.tar b.tar", &[])).succeeds().says("NOT VERIFIED");
}
