//! A delta carries only the changes; a bundle that was lost on the way does no harm. Bundles made with
//! `--base`, from receipts that are right, old, or another site's.

use bundle_test_servers::{
    Check, DockerRegistry, Fault, FaultProxy, ImageSpec, LayerSpec, Manifest, Matcher, Response, Rule,
};
use serde_json::Value;

use crate::scene::{Ran, Scene};

/// The size of the layer that never changes, in bytes.
const COMMON: u64 = 2_000_000;

/// Two sides. On the one, images change; on the other, they are to arrive.
struct Sides {
    scene: Scene,
    target: DockerRegistry,
}

impl Sides {
    fn new() -> Self {
        let scene = Scene::empty();
        scene.bundle(["key", "generate", "key-site"]).succeeds();
        Self { scene, target: DockerRegistry::start().unwrap() }
    }

    /// Pushes `team/<name>:1` with the common layer and one of its own.
    fn push(&self, name: &str, seed: u64) -> Manifest {
        let image = ImageSpec::oci()
            .layer(LayerSpec::new(1, COMMON).uncompressed())
            .layer(LayerSpec::new(seed, 30_000))
            .build();
        self.scene.source.client().push(&format!("team/{name}"), "1", &image).unwrap();
        image
    }

    fn create(&self, names: &[&str], output: &str, sequence: u64, more: &[&str]) -> Ran {
        let mut arguments = vec!["create".to_owned()];
        arguments.extend(names.iter().map(|name| format!("{}/team/{name}:1", self.scene.source.host())));
        let sequence = sequence.to_string();
        arguments.extend(
            ["--key", "key", "--stream", "s", "--sequence", &sequence, "-o", output, "--json"]
                .map(str::to_owned),
        );
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        self.scene.bundle(arguments)
    }

    fn import_at(&self, host: &str, file: &str, receipt: &str) -> Ran {
        self.scene.bundle([
            "import",
            file,
            "--to",
            host,
            "--trust",
            "key.pub",
            "--on-existing-tag",
            "overwrite",
            "--receipt",
            receipt,
            "--receipt-key",
            "key-site",
            "--json",
        ])
    }

    fn import(&self, file: &str, receipt: &str) -> Ran {
        self.import_at(self.target.host(), file, receipt)
    }

    fn size(&self, name: &str) -> u64 {
        std::fs::metadata(self.scene.path(name)).unwrap().len()
    }

    fn repository(&self, name: &str) -> String {
        format!("cache/{}/team/{name}", self.scene.source.host().replace(':', "_"))
    }

    /// Both sides have the same image under its name, whole.
    fn agrees(&self, name: &str) {
        let repository = self.repository(name);
        let digest = |registry: &DockerRegistry, repository: &str| {
            registry.client().manifest(repository, "1").unwrap().unwrap().digest
        };
        assert_eq!(digest(&self.scene.source, &format!("team/{name}")), digest(&self.target, &repository));
        assert_eq!(self.target.client().check(&repository, "1", Check::Hash), []);
    }
}

#[test]
fn a_delta_carries_only_what_changed() {
    let sides = Sides::new();
    sides.push("a", 10);
    sides.push("b", 20);
    sides.create(&["a", "b"], "1.tar", 1, &[]).succeeds();
    sides.import("1.tar", "1.json").succeeds();
    sides.push("a", 11);
    let made = sides
        .create(&["a", "b"], "2.tar", 2, &["--base", "1.json", "--base-trust", "key-site.pub"])
        .succeeds()
        .json();
    assert!(made["requires"].as_u64().unwrap() >= 3, "{made}");
    assert!(sides.size("1.tar") > COMMON && sides.size("2.tar") < 100_000, "{}", sides.size("2.tar"));
    sides.scene.bundle(["verify", "2.tar", "--trust", "key.pub"]).succeeds();
    let report = sides.import("2.tar", "2.json").succeeds().json();
    assert_eq!((&report["pushed"], &report["present"]), (&1.into(), &1.into()));
    sides.agrees("a");
    sides.agrees("b");
    // The receipt of a delta is the base of the next: it has what was there already.
    sides.push("b", 21);
    sides.create(&["a", "b"], "3.tar", 3, &["--base", "2.json"]).succeeds().says("no signature was verified");
    assert!(sides.size("3.tar") < 100_000);
    let host = sides.target.host();
    sides
        .scene
        .shell(&format!("$BUNDLE import - --to {host} --trust key.pub --on-existing-tag overwrite < 3.tar"))
        .succeeds();
    sides.agrees("b");
}

#[test]
fn a_lost_stick_does_not_break_the_chain() {
    let sides = Sides::new();
    sides.push("a", 10);
    sides.create(&["a"], "1.tar", 1, &[]).succeeds();
    sides.import("1.tar", "1.json").succeeds();
    for night in 2..5 {
        sides.push("a", 10 + night);
        // Nothing came back since the first night: each delta builds on what is known to be there.
        sides.create(&["a"], &format!("{night}.tar"), night, &["--base", "1.json"]).succeeds();
    }
    sides.import("4.tar", "4.json").succeeds();
    sides.agrees("a");
    sides.import("3.tar", "3.json").ends_with(8).says("is older than 4");
}

#[test]
fn a_delta_without_its_base_names_what_to_bring_and_writes_nothing() {
    let sides = Sides::new();
    sides.push("a", 10);
    sides.push("b", 20);
    sides.create(&["a", "b"], "1.tar", 1, &[]).succeeds();
    sides.import("1.tar", "1.json").succeeds();
    sides.push("a", 11);
    sides.create(&["a", "b"], "2.tar", 2, &["--base", "1.json"]).succeeds();
    let other = DockerRegistry::start().unwrap();
    sides
        .import_at(other.host(), "2.tar", "x.json")
        .ends_with(6)
        .says(&format!("{}:1 cannot be imported", sides.repository("a")))
        .says(&format!("{}:1 cannot be imported", sides.repository("b")))
        .says("nothing was written")
        .says("import its base bundle first: s 1 (sha256:");
    assert!(other.client().contents().unwrap().is_empty());
    assert!(!sides.scene.path("x.json").exists());
    // Only a deleted project is missing.
    let repository = sides.repository("b");
    let store = sides.target.store().join(format!("docker/registry/v2/repositories/{repository}"));
    std::fs::remove_dir_all(store).unwrap();
    let ran =
        sides.import("2.tar", "x.json").ends_with(6).says(&format!("{repository}:1 cannot be imported"));
    assert!(!ran.stderr.contains(&sides.repository("a")), "{}", ran.stderr);
    // With the base, both arrive.
    sides.scene.bundle(["import", "1.tar", "--to", sides.target.host(), "--trust", "key.pub"]).succeeds();
    sides.import("2.tar", "2.json").succeeds();
    sides.agrees("a");
    sides.agrees("b");
}

#[test]
fn a_required_blob_is_mounted_or_copied_from_where_it_is() {
    for refuse_mounts in [false, true] {
        let sides = Sides::new();
        sides.push("a", 10);
        sides.create(&["a"], "1.tar", 1, &[]).succeeds();
        sides.import("1.tar", "1.json").succeeds();
        // A new image in another repository, of the same layers.
        sides.push("b", 20);
        sides.create(&["a", "b"], "2.tar", 2, &["--base", "1.json"]).succeeds();
        assert!(sides.size("2.tar") < 100_000);
        let proxy = FaultProxy::start(sides.target.host()).unwrap();
        if refuse_mounts {
            proxy.add(Rule::new(Matcher::path("?mount="), Fault::Status(Response::new(403))));
        }
        let report = sides.import_at(proxy.host(), "2.tar", "2.json").succeeds().json();
        assert_eq!(report["blobs"]["mounted"] == 0, refuse_mounts, "{report}");
        sides.agrees("b");
    }
}

#[test]
fn a_bundle_a_lock_and_a_short_receipt_are_bases_too() {
    let sides = Sides::new();
    let scene = &sides.scene;
    sides.push("a", 10);
    sides.create(&["a"], "1.tar", 1, &[]).succeeds();
    sides.import("1.tar", "1.json").succeeds();
    let reference = format!("{}/team/a:1", scene.source.host());
    let yaml = format!("name: s\nprojects:\n  cache:\n    images: [\"{reference}\"]\n");
    std::fs::write(scene.path("1.yaml"), yaml).unwrap();
    scene.bundle(["lock", "-f", "1.yaml"]).succeeds();
    let short = scene.bundle(["receipt", "short", "1.json"]).succeeds().stdout.trim().to_owned();
    sides.push("a", 11);
    let said = format!("{}=1.tar", short.to_lowercase());
    for (position, base) in
        ["1.json", "1.tar", "1.lock", &said, &format!("{short}=1.lock")].iter().enumerate()
    {
        let output = format!("2-{position}.tar");
        sides.create(&["a"], &output, 2, &["--base", base]).succeeds();
        assert!(sides.size(&output) < 100_000, "{base}");
    }
    sides.import("2-2.tar", "2.json").succeeds();
    sides.agrees("a");
    for (base, code, text) in [
        (short.clone(), 2, "says which bundle arrived, but not what is in it"),
        (format!("{}=1.tar", short.replace("S:1:", "S:2:")), 2, "mistyped"),
        (format!("{short}=2-0.tar"), 2, "is not the short receipt of 2-0.tar"),
        ("none.json".to_owned(), 2, "none.json cannot be opened"),
        ("key".to_owned(), 2, "key:1:1"),
    ] {
        sides.create(&["a"], "x.tar", 3, &["--base", &base]).ends_with(code).says(text);
    }
    sides.create(&["a"], "x.tar", 3, &["--base", "1.json", "--base-trust", "key.pub"]).ends_with(3);
    sides.create(&["a"], "x.tar", 3, &["--base", "1.tar", "--base-trust", "key-site.pub"]).ends_with(3);
    assert!(!scene.path("x.tar").exists());
}

#[test]
fn a_night_without_change_makes_no_bundle() {
    let sides = Sides::new();
    sides.push("a", 10);
    sides.create(&["a"], "1.tar", 1, &[]).succeeds();
    sides.import("1.tar", "1.json").succeeds();
    let made = sides.create(&["a"], "2.tar", 2, &["--base", "1.json"]).succeeds().json();
    assert_eq!(made["changed"], false);
    assert_eq!(sides.scene.files(), ["1.json", "1.json.sig", "1.tar"]);
    // A skipped artifact is missing on the other side, and so is sent again.
    let mut receipt: Value =
        serde_json::from_slice(&std::fs::read(sides.scene.path("1.json")).unwrap()).unwrap();
    let artifact = receipt["artifacts"][0].as_object_mut().unwrap();
    artifact.remove("blobs");
    artifact.insert("outcome".to_owned(), "skipped".into());
    artifact.insert("found".to_owned(), format!("sha256:{}", "0".repeat(64)).into());
    std::fs::write(sides.scene.path("skipped.json"), receipt.to_string()).unwrap();
    let made = sides.create(&["a"], "2.tar", 2, &["--base", "skipped.json"]).succeeds().json();
    assert_eq!((&made["changed"], &made["requires"]), (&true.into(), &0.into()));
}

#[test]
fn a_change_board_sees_what_is_added_moved_and_removed() {
    let sides = Sides::new();
    sides.push("a", 10);
    sides.push("b", 20);
    sides.create(&["a", "b"], "1.tar", 1, &[]).succeeds();
    sides.import("1.tar", "1.json").succeeds();
    sides.push("a", 11);
    sides.push("c", 30);
    sides.create(&["a", "c"], "2.tar", 2, &[]).succeeds();
    let diff = sides.scene.bundle(["diff", "1.json", "2.tar", "--json"]).succeeds().json();
    let changes = diff["diff"]["changes"].as_array().unwrap();
    let words: Vec<&str> = changes.iter().map(|change| change["change"].as_str().unwrap()).collect();
    assert_eq!(words, ["moved", "removed", "added"]);
    let new = diff["diff"]["newBytes"].as_u64().unwrap();
    assert!(new > 60_000 && new < 100_000, "{new}");
    let shown = sides.scene.bundle(["diff", "1.tar", "2.tar", "--trust", "key.pub"]).succeeds();
    assert!(!shown.stdout.contains("NOT VERIFIED"));
    shown.says("1 updated, 1 new, 1 gone, 0 unchanged").says("gone ").says("from the bundle of s 1 (sha256:");
    sides
        .scene
        .bundle(["diff", "1.tar", "1.json"])
        .succeeds()
        .says("0 changes, 2 unchanged")
        .says("NOT VERIFIED");
    sides.scene.bundle(["diff", "1.tar", "2.tar", "--trust", "key-site.pub"]).ends_with(3);
}
