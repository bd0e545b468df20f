//! `import` of several bundles: in order, a delta after its base; a failure of one bundle that says nothing of the others
//! keeps none of them out, and after any other nothing more is written.

use bundle_test_servers::{Check, DockerRegistry, ImageSpec, LayerSpec};

use crate::scene::{Ran, Scene};

struct Case {
    scene: Scene,
    target: DockerRegistry,
}

impl Case {
    /// Three images; `full.tar` has the first, `delta.tar` needs it and has the second, `other.tar` has the third.
    fn new() -> Self {
        let scene = Scene::empty();
        for (name, seed) in [("one", 2), ("two", 3), ("three", 4)] {
            let image = ImageSpec::oci()
                .layer(LayerSpec::new(1, 300_000).uncompressed())
                .layer(LayerSpec::new(seed, 20_000))
                .build();
            scene.source.client().push(&format!("team/{name}"), "1", &image).unwrap();
        }
        let case = Self { scene, target: DockerRegistry::start().unwrap() };
        case.create(&["one"], &["--stream", "s", "--sequence", "1", "-o", "full.tar"]);
        let base = ["--base", "full.tar", "--base-trust", "key.pub"];
        let delta = ["--stream", "s", "--sequence", "2", "-o", "delta.tar"];
        case.create(&["one", "two"], &[&base[..], &delta].concat());
        case.create(&["three"], &["--stream", "t", "--sequence", "1", "-o", "other.tar"]);
        case
    }

    fn create(&self, names: &[&str], more: &[&str]) {
        let images = names.iter().map(|name| format!("{}/team/{name}:1", self.scene.source.host()));
        let arguments = ["create", "--key", "key"].iter().chain(more).map(|it| (*it).to_owned());
        self.scene.bundle(arguments.chain(images)).succeeds();
    }

    fn import(&self, files: &[&str], more: &[&str]) -> Ran {
        let to = ["--to", self.target.host(), "--trust", "key.pub", "--state", "state.json"];
        self.scene.bundle([&["import"], files, &to, more].concat())
    }

    /// The names of the images that the target has.
    fn images(&self) -> Vec<String> {
        let contents = self.target.client().contents().unwrap();
        let names = contents.iter().map(|image| format!("{image:?}"));
        let all: String = names.collect();
        let found = ["one", "two", "three"].iter().filter(|name| all.contains(&format!("/team/{name}")));
        found.map(|name| (*name).to_owned()).collect()
    }
}

#[test]
fn several_bundles_are_imported_in_order_and_each_has_a_receipt() {
    let case = Case::new();
    let files = ["full.tar", "delta.tar", "other.tar"];
    case.import(&files, &["--receipt", "receipts"]).ends_with(2).says("receipts is no directory");
    std::fs::create_dir(case.scene.path("receipts")).unwrap();
    let report = case.import(&files, &["--receipt", "receipts", "--json"]).succeeds().json();
    assert_eq!((&report["complete"], &report["reportVersion"]), (&true.into(), &1.into()), "{report}");
    assert_eq!((&report["failed"], &report["notTried"]), (&serde_json::json!([]), &serde_json::json!([])));
    for (entry, (file, pushed)) in
        report["bundles"].as_array().unwrap().iter().zip(files.iter().zip([1, 1, 1]))
    {
        assert_eq!((&entry["file"], &entry["pushed"]), (&(*file).into(), &pushed.into()), "{entry}");
        let receipt = format!("receipts/{file}.receipt.json");
        let shown = case.scene.bundle(["receipt", "show", &receipt, "--json"]).succeeds().json();
        assert_eq!(shown["receipt"]["bundle"]["statement"], entry["statement"], "{shown}");
    }
    assert_eq!(case.images(), ["one", "two", "three"]);
    assert_eq!(case.target.client().check_complete(Check::Hash).unwrap(), []);
    // For people, what each bundle would say alone stands below its name.
    let again = case.import(&["delta.tar", "other.tar"], &["--dry-run"]).succeeds().stdout;
    assert!(again.starts_with("delta.tar:\n") && again.contains("\nother.tar:\n"), "{again}");
}

#[test]
fn a_bundle_that_waits_for_its_base_keeps_the_next_one_out_no_more_than_one_that_is_stale() {
    let case = Case::new();
    let ran = case.import(&["delta.tar", "other.tar"], &["--json"]).ends_with(6);
    let report = ran.json();
    assert_eq!((&report["complete"], &report["failed"][0]["file"]), (&false.into(), &"delta.tar".into()));
    assert_eq!(report["bundles"][0]["file"], "other.tar", "{report}");
    assert_eq!(case.images(), ["three"]);
    case.import(&["full.tar", "delta.tar"], &[]).succeeds();
    // The first is older than what was accepted since.
    case.import(&["full.tar", "other.tar"], &[]).ends_with(8).says("other.tar:");
}

#[test]
fn after_a_bundle_that_is_not_trusted_nothing_more_is_written() {
    let case = Case::new();
    case.scene.bundle(["key", "generate", "stranger"]).succeeds();
    let image = format!("{}/team/two:1", case.scene.source.host());
    case.scene.bundle(["create", &image, "--key", "stranger", "-o", "bad.tar"]).succeeds();
    let ran = case.import(&["full.tar", "bad.tar", "other.tar"], &["--json"]).ends_with(3);
    let report = ran.json();
    assert_eq!(report["bundles"][0]["file"], "full.tar", "{report}");
    assert_eq!((&report["failed"][0]["code"], &report["notTried"][0]), (&3.into(), &"other.tar".into()));
    assert_eq!(case.images(), ["one"]);
    case.import(&["bad.tar", "other.tar"], &[]).ends_with(3).says("not imported: other.tar").says("bad.tar");
    assert_eq!(case.images(), ["one"]);
}

#[test]
fn options_about_one_bundle_are_refused_for_several_before_anything_is_read() {
    let case = Case::new();
    case.import(&["full.tar", "other.tar"], &["--image", "one"])
        .ends_with(2)
        .says("--image chooses from one bundle");
    case.import(&["-", "-"], &[]).ends_with(2).says("- is given twice");
    std::fs::create_dir(case.scene.path("receipts")).unwrap();
    case.import(&["full.tar", "./full.tar"], &["--receipt", "receipts"])
        .ends_with(2)
        .says("two bundles would have the receipt");
}
