//! Which bundle brought an image, with the real program at the Harbor double: nights with receipts, people who push
//! between them, and files that nobody signed.

use bundle_test_servers::{ImageSpec, LayerSpec, Manifest};
use serde_json::Value;

use crate::harbor::scene::HarborScene;
use crate::scene::Ran;

/// Three nights into a Harbor: a tag that stays for two of them, a tag that moves, and what people pushed.
struct Inventory {
    it: HarborScene,
    to: String,
}

fn theirs(seed: u64) -> Manifest {
    ImageSpec::oci().layer(LayerSpec::new(seed, 5_000)).label("of", "people").build()
}

impl Inventory {
    fn start() -> Self {
        let it = HarborScene::empty();
        it.scene.bundle(["key", "generate", "key-site"]).succeeds();
        it.scene.shell("mkdir receipts done").succeeds();
        let to = format!("http://{}", it.harbor.host());
        let this = Self { it, to };
        for night in 1..=3_u64 {
            this.it.push_image("team/moving", "latest", 10 + night);
            this.it.push_image("team/gone", "1", 1);
            let source = this.it.scene.source.host();
            let mut config = format!(
                "name: nightly\nprojects:\n  cache:\n    images:\n    - {source}/team/moving:latest\n"
            );
            if night < 3 {
                config.push_str(&format!("    - {source}/team/gone:1\n"));
            }
            this.it.write("bundle.yaml", &config);
            let (number, bundle) = (night.to_string(), format!("done/{night}.tar"));
            this.it.scene.bundle(["create", "--key", "key", "--sequence", &number, "-o", &bundle]).succeeds();
            let receipt = format!("receipts/{night}.json");
            let import = ["import", &bundle, "--to", &this.to, "--trust", "key.pub", "--receipt", &receipt];
            let import = [&import[..], &["--receipt-key", "key-site", "--site", "plant 7"]].concat();
            this.it.bundle(&import).succeeds();
        }
        this
    }

    fn ask(&self, more: &[&str]) -> Ran {
        self.it.bundle(&[&["where"], more].concat())
    }

    /// With all that there is.
    fn ask_all(&self, subject: &str, more: &[&str]) -> Ran {
        let all = [
            "--receipts",
            "receipts",
            "--trust",
            "key-site.pub",
            "--bundles",
            "done",
            "--bundle-trust",
            "key.pub",
        ];
        self.ask(&[&[subject, "--to", &self.to], &all[..], more].concat())
    }

    fn places(&self, subject: &str, more: &[&str]) -> Vec<Value> {
        let report = self.ask_all(subject, &[more, &["--json"]].concat()).succeeds().json();
        assert_eq!(report["reportVersion"], 1);
        report["places"].as_array().unwrap().clone()
    }
}

#[test]
fn an_image_is_found_with_who_brought_signed_and_asked_for_it_and_with_what_is_there_now() {
    let it = Inventory::start();
    let gone = it.places("gone:1", &[]);
    assert_eq!(gone.len(), 1, "{gone:?}");
    let gone = &gone[0];
    assert_eq!(gone["brought"][0]["bundle"]["sequence"], 1);
    assert_eq!(gone["brought"][0]["signers"][0], "key.pub");
    assert_eq!(gone["sites"][0], "plant 7");
    assert_eq!(gone["now"], "there");
    // Night 3 no longer asks for it.
    assert_eq!(gone["streams"][0]["last"]["sequence"], 2);
    assert_eq!(gone["streams"][0]["newest"]["sequence"], 3);
    assert_eq!(gone["streams"][0]["wanted"], false);
    assert!(gone["reasons"][0].as_str().unwrap().contains("bundle.yaml"), "{gone}");
    it.ask_all("gone:1", &[])
        .succeeds()
        .says("BROUGHT BY")
        .says("nightly 1")
        .says("asked for by")
        .says("nightly 3, the newest bundle of its stream, no longer has it");
    // Of the moving tag, three artifacts are known, the newest first, and the tag has that one.
    let moving = it.places("team/moving:latest", &[]);
    let now: Vec<&str> = moving.iter().map(|place| place["now"].as_str().unwrap()).collect();
    assert_eq!(now, ["there", "other", "other"]);
    assert_eq!(moving[0]["brought"][0]["bundle"]["sequence"], 3);
    // A digest in another place, by its first digits, and by one of its layers.
    let digest = moving[2]["digest"].as_str().unwrap().to_owned();
    let found = it.places(&digest[..7 + 8], &[]);
    assert_eq!(found.len(), 1);
    let layer = it.it.harbor.admin().manifest(&it.it.cached("team/moving"), &digest).unwrap().unwrap();
    let layer: Value = serde_json::from_slice(&layer.bytes).unwrap();
    let layer = layer["layers"][0]["digest"].as_str().unwrap().to_owned();
    let found = it.places(&layer, &[]);
    assert_eq!((found.len(), found[0]["part"].as_str()), (1, Some(layer.as_str())), "{found:?}");
    assert_eq!(found[0]["digest"], digest);
}

#[test]
fn what_nobody_brought_is_told_as_that_and_what_is_nowhere_has_an_exit_code_of_its_own() {
    let it = Inventory::start();
    it.it.harbor.admin().push("cache/own", "dev", &theirs(7)).unwrap();
    let own = it.places("cache/own", &[]);
    assert_eq!((own.len(), &own[0]["known"], &own[0]["now"]), (1, &Value::Bool(false), &"there".into()));
    it.ask_all("own:dev", &[]).succeeds().says("nothing that was read says who brought it");
    // A tag of the stream's that somebody moved.
    let repository = it.it.cached("team/gone");
    it.it.harbor.admin().push(&repository, "1", &theirs(8)).unwrap();
    let moved = it.places("gone:1", &[]);
    let now: Vec<(&str, bool)> =
        moved.iter().map(|place| (place["now"].as_str().unwrap(), place["known"] == true)).collect();
    assert_eq!(now, [("other", true), ("there", false)], "{moved:?}");
    let ran = it.ask_all("nowhere:1", &["--json"]).ends_with(1);
    assert!(ran.stderr.contains("found-nowhere"), "{ran:?}");
    // Everything at once: what is there and what was.
    let all =
        it.ask(&["--all", "--to", &it.to, "--receipts", "receipts", "--trust", "key-site.pub", "--json"]);
    assert_eq!(all.succeeds().json()["places"].as_array().unwrap().len(), 6);
}

#[test]
fn what_is_not_believed_or_cannot_be_read_is_named_and_the_answer_is_incomplete() {
    let it = Inventory::start();
    // The sites' keys are not the bundles'.
    it.ask(&["gone:1", "--bundles", "done", "--receipts", "receipts", "--trust", "key-site.pub"])
        .ends_with(2)
        .says("--bundle-trust <PUBKEY|FILE>");
    let text = std::fs::read_to_string(it.it.scene.path("receipts/1.json")).unwrap();
    it.it.write("receipts/1.json", &text.replace("plant 7", "plant 8"));
    it.it.scene.shell("head -c 700 done/2.tar > done/cut.tar && rm receipts/2.json.sig").succeeds();
    let ran = it.ask_all("gone:1", &["--json"]).ends_with(6);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let problems = report["problems"].as_array().unwrap();
    let named: Vec<&str> = problems.iter().map(|problem| problem["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["receipts/1.json", "receipts/2.json", "done/cut.tar"], "{report}");
    // The bundles are still known, and that Harbor accepted them; who imported them first is not.
    assert_eq!(report["places"][0]["brought"].as_array().unwrap().len(), 0);
    assert_eq!(report["places"][0]["streams"][0]["last"]["sequence"], 2);
    // Keys that made none of the signatures: nothing is believed.
    it.it.scene.bundle(["key", "generate", "other"]).succeeds();
    let ran = it.ask(&["gone:1", "--receipts", "receipts", "--trust", "other.pub", "--json"]).ends_with(6);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((report["places"].as_array().unwrap().len(), &report["receipts"]), (0, &0.into()));
    let ran = it.ask(&["gone:1", "--bundles", "done", "--bundle-trust", "other.pub"]).ends_with(6);
    ran.says("not read: bundle done/1.tar");
    // Receipts without a key are not asked for at all.
    it.ask(&["gone:1", "--receipts", "receipts"]).ends_with(2).says("--trust");
}

#[test]
fn a_bundle_that_the_registry_accepted_and_of_which_nothing_else_is_here_is_told() {
    let it = Inventory::start();
    it.it.scene.shell("rm receipts/2.json receipts/3.json").succeeds();
    let ran =
        it.ask(&["moving", "--to", &it.to, "--receipts", "receipts", "--trust", "key-site.pub"]).ends_with(6);
    ran.says("nightly 3").says("neither its receipt nor the bundle was read");
    // With the bundles, all is known but who imported them.
    it.ask_all("moving", &[]).succeeds().says("nightly 3");
}

#[test]
fn the_log_has_one_line_for_each_night_and_names_what_is_missing() {
    let it = Inventory::start();
    let log = |more: &[&str]| it.it.scene.bundle([&["receipt", "log", "receipts"], more].concat());
    let ran = log(&["--trust", "key-site.pub"]).succeeds();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{}", ran.stdout);
    assert!(lines[0].starts_with("IMPORTED") && lines[4] == "3 imports", "{}", ran.stdout);
    let report = log(&["--trust", "key-site.pub", "--json"]).succeeds().json();
    let counts: Vec<(u64, u64, u64)> = report["nights"]
        .as_array()
        .unwrap()
        .iter()
        .map(|night| {
            let count = |name: &str| night[name].as_u64().unwrap();
            (count("pushed"), count("moved"), count("present"))
        })
        .collect();
    assert_eq!(counts, [(2, 0, 0), (0, 1, 1), (0, 1, 0)]);
    log(&[]).succeeds().says("NOT VERIFIED");
    it.it.write("receipts/2.json", "{");
    log(&["--trust", "key-site.pub"])
        .ends_with(6)
        .says("not read: receipt receipts/2.json")
        .says("the receipt of the bundle before, 2, is missing");
}
