//! Removal after nights that went well, by `sync import` with `prune:`, at the Harbor double: never after a night that
//! failed, always with a signed record, and told in status and metrics.

use std::collections::BTreeSet;

use bundle_test_servers::{Fault, ImageSpec, LayerSpec, Manifest, Matcher, Rule};
use serde_json::Value;

use crate::harbor::scene::HarborScene;
use crate::scene::Ran;

/// The far side's job and a Harbor, with the nights' bundles made by hand.
pub(super) struct Nights {
    pub(super) it: HarborScene,
    night: u64,
}

pub(super) fn theirs(seed: u64) -> Manifest {
    ImageSpec::oci().layer(LayerSpec::new(1_000_000 + seed, 100)).label("of", "people").build()
}

impl Nights {
    /// With these settings of `prune`.
    pub(super) fn start(prune: &str) -> Self {
        let it = HarborScene::empty();
        it.scene.bundle(["key", "generate", "key-site"]).succeeds();
        it.scene.shell("mkdir in").succeeds();
        it.harbor.add_project_with("platform", &[]);
        let nights = Self { it, night: 0 };
        nights.configure(prune);
        nights
    }

    fn configure(&self, prune: &str) {
        let host = self.it.harbor.host();
        let text = format!(
            "import:\n  inbox: in\n  to: http://{host}\n  trust: key.pub\n  receipts: receipts\n  receiptKey: key-site\n  \
             site: plant 7\n  state: state\n  settleSeconds: 0\n  status: import.json\n  metrics: import.prom\n{prune}"
        );
        self.it.write("sync.yaml", &text);
    }

    /// Puts an image to the source, whose content is `seed`.
    fn push(&self, repository: &str, tag: &str, seed: u64) -> String {
        let image = ImageSpec::oci().layer(LayerSpec::new(seed, 100)).build();
        self.it.scene.source.client().push(repository, tag, &image).unwrap();
        image.digest
    }

    /// The next night's bundle, of these images, each `repository:tag` at the source and in `platform`.
    fn make(&mut self, images: &[&str]) -> String {
        self.night += 1;
        let source = self.it.scene.source.host();
        let images: String =
            images.iter().map(|image| format!("    - {source}/team/{image} => {image}\n")).collect();
        self.it
            .write("bundle.yaml", &format!("name: nightly\nprojects:\n  platform:\n    images:\n{images}"));
        let (number, bundle) = (self.night.to_string(), format!("in/nightly-{}.tar", self.night));
        self.it.scene.bundle(["create", "--key", "key", "--sequence", &number, "-o", &bundle]).succeeds();
        bundle
    }

    fn import(&self) -> Ran {
        self.it.bundle(&["sync", "import"])
    }

    /// A night with a new tag `app:N`, and no more.
    fn pass(&mut self) -> Ran {
        let tag = (self.night + 1).to_string();
        self.push("team/app", &tag, self.night + 1);
        self.make(&[&format!("app:{tag}")]);
        self.import()
    }

    fn tags(&self, repository: &str) -> Vec<String> {
        self.it.harbor.tags(repository).into_keys().collect()
    }

    fn status(&self) -> Value {
        let text = std::fs::read(self.it.scene.path("import.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()
    }

    /// The digests in a repository, tagged or not.
    pub(super) fn digests(&self, repository: &str) -> BTreeSet<String> {
        let path = format!(
            "/api/v2.0/projects/platform/repositories/{repository}/artifacts?q=base%3D*&page_size=100"
        );
        let found = self.it.harbor.admin().request("GET", &path, &[], b"").unwrap();
        let found: Value = serde_json::from_slice(&found.body).unwrap();
        found.as_array().unwrap().iter().map(|it| it["digest"].as_str().unwrap().to_owned()).collect()
    }
}

pub(super) const KEEP: &str = "  prune: {keep: 3}\n";

#[test]
fn the_job_removes_what_no_kept_bundle_wants_and_records_and_tells_it_and_is_off_by_default() {
    let mut it = Nights::start("");
    for _ in 0..4 {
        it.pass().succeeds();
    }
    assert_eq!(it.tags("platform/app"), ["1", "2", "3", "4"]);
    assert!(it.status()["status"]["pruned"].is_null());
    it.configure(KEEP);
    it.pass().succeeds().says("removed 2 artifacts of stream nightly that no kept bundle wants");
    assert_eq!(it.tags("platform/app"), ["3", "4", "5"]);
    let pruned = &it.status()["status"]["pruned"];
    assert_eq!(
        (&pruned["removed"], &pruned["removedInAll"], &pruned["left"]),
        (&2.into(), &2.into(), &0.into())
    );
    let metrics = std::fs::read_to_string(it.it.scene.path("import.prom")).unwrap();
    assert!(metrics.contains("bundle_import_pruned_artifacts_total 2\n"), "{metrics}");
    assert!(metrics.contains("bundle_import_prune_last_success_timestamp_seconds "), "{metrics}");
    let record = "state/removals/nightly-5.record.json";
    let bytes = std::fs::read(it.it.scene.path(record)).unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(document["results"].as_array().unwrap().len(), 2);
    assert!(document["plan"].is_null() && document["ended"].is_string(), "{document}");
    let signature = std::fs::read(it.it.scene.path(&format!("{record}.sig"))).unwrap();
    assert_eq!(signature.len(), 64);
    // Nothing new: nobody looks at Harbor for what could go.
    let before = it.it.asked("GET", "/artifacts");
    it.import().succeeds();
    assert_eq!(it.it.asked("GET", "/artifacts"), before);
    // The receipts stay as they were, for the connected side.
    let receipts = ["bundle", "receipt", "log", "receipts", "--trust", "key-site.pub"];
    it.it.scene.bundle(&receipts[1..]).succeeds().says("5 imports");
}

#[test]
fn nothing_is_removed_after_a_night_that_failed_and_the_next_good_one_does_it() {
    let mut it = Nights::start(KEEP);
    for _ in 0..3 {
        it.pass().succeeds();
    }
    // A bundle that is refused, beside one that is imported.
    it.it.scene.shell("printf nonsense > in/other.tar").succeeds();
    it.pass().ends_with(6);
    it.import().ends_with(3).says("other.tar");
    assert_eq!(it.tags("platform/app").len(), 4);
    // What was taken off artifacts are labels of the bundles before.
    assert_eq!(it.it.asked("DELETE", ""), it.it.asked("DELETE", "/labels/"));
    // The inbox is in order again, and nothing new came.
    it.import().succeeds().says("removed 1 artifact of stream nightly");
    assert_eq!(it.tags("platform/app"), ["2", "3", "4"]);
    // A bundle that waits for its other volume.
    it.push("team/app", "5", 5);
    it.make(&["app:5"]);
    it.it.scene.shell("mkdir parts && mv in/nightly-5.tar parts/").succeeds();
    let source = it.it.scene.source.host().to_owned();
    let image = ImageSpec::oci().layer(LayerSpec::new(77, 200_000)).build();
    it.it.scene.source.client().push("team/large", "1", &image).unwrap();
    it.it.write(
        "bundle.yaml",
        &format!("name: sets\nprojects:\n  platform:\n    images: ['{source}/team/large:1 => large:1']\n"),
    );
    it.it
        .scene
        .bundle(["create", "--key", "key", "--volume-size", "100KiB", "-o", "parts/sets.tar"])
        .succeeds();
    it.it.scene.shell("cp parts/sets.tar.001-of-* in/ && cp parts/sets.tar.volumes.json in/ && cp parts/nightly-5.tar in/").succeeds();
    it.import().ends_with(6);
    assert_eq!(it.tags("platform/app"), ["2", "3", "4", "5"]);
}

#[test]
fn a_removal_that_fails_is_told_leaves_the_imports_done_and_goes_on_the_next_night() {
    let mut it = Nights::start(KEEP);
    for _ in 0..3 {
        it.pass().succeeds();
    }
    it.it.harbor.faults().add(Rule::new(Matcher::new("DELETE", "/tags/"), Fault::status(403)));
    let ran = it.pass();
    assert!(!matches!(ran.code, Some(0)), "{ran:?}");
    assert!(ran.stderr.contains("prune"), "{ran:?}");
    assert_eq!(it.tags("platform/app").len(), 4);
    let status = it.status();
    assert!(status["status"]["pruned"]["error"].is_string() && status["error"].is_string(), "{status}");
    // The bundle is imported, and its receipt is written.
    assert!(it.it.scene.path("receipts/nightly-4.json").exists());
    it.it.harbor.faults().clear_rules();
    it.import().succeeds().says("removed 1 artifact");
    assert_eq!(it.tags("platform/app"), ["2", "3", "4"]);
    // Without what runs, nothing is removed.
    it.configure("  prune: {keep: 3, inUse: [pods.json]}\n");
    it.pass().ends_with(2).says("pods.json");
    assert_eq!(it.tags("platform/app").len(), 4);
    it.it.write("pods.json", &format!("{{\"image\": \"{}/platform/app:2\"}}", it.it.harbor.host()));
    it.import().succeeds();
    assert_eq!(it.tags("platform/app").len(), 4, "app:2 runs");
    it.it.write("pods.json", "other.example/x:1\n");
    it.pass().succeeds();
    assert_eq!(it.tags("platform/app"), ["4", "5", "6"]);
}

#[test]
fn a_receipt_that_is_missing_changed_or_of_nobody_lets_nothing_be_removed() {
    let mut it = Nights::start("");
    for _ in 0..4 {
        it.pass().succeeds();
    }
    it.configure(KEEP);
    let text = std::fs::read_to_string(it.it.scene.path("receipts/nightly-1.json")).unwrap();
    it.it.write("receipts/nightly-1.json", &text.replace("plant 7", "plant 8"));
    it.pass().ends_with(3);
    it.it.write("receipts/nightly-1.json", &text);
    it.it.scene.shell("mv receipts/nightly-4.json 4.json").succeeds();
    it.import().ends_with(6).says("no receipt of bundle nightly 4");
    it.it.scene.shell("mv 4.json receipts/nightly-4.json").succeeds();
    // Somebody removed Harbor's own record: what the newest bundles are is not certain.
    it.it
        .harbor
        .admin()
        .request("DELETE", "/api/v2.0/projects/platform/repositories/bundle-state", &[], b"")
        .unwrap();
    it.import().ends_with(6).says("record of accepted bundles lacks bundle nightly 5");
    assert_eq!(it.tags("platform/app").len(), 5);
    assert_eq!(it.it.asked("DELETE", "/tags/"), 0);
    // The next import writes its own entry.
    it.pass().succeeds().says("removed 3 artifacts");
    assert_eq!(it.tags("platform/app"), ["4", "5", "6"]);
}

#[test]
fn a_registry_that_is_no_harbor_is_refused_before_anything_is_imported() {
    let mut it = Nights::start(KEEP);
    it.push("team/app", "1", 1);
    it.make(&["app:1"]);
    let plain = bundle_test_servers::DockerRegistry::start().unwrap();
    let text = std::fs::read_to_string(it.it.scene.path("sync.yaml")).unwrap();
    it.it.write("sync.yaml", &text.replace(&format!("http://{}", it.it.harbor.host()), plain.host()));
    it.import().ends_with(2).says("'prune' needs a Harbor");
    assert!(it.it.scene.path("in/nightly-1.tar").exists());
}

/// Numbers that look random, the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
