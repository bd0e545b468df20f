//! The removal of what no kept bundle wants, with the real program at the Harbor double: nights with images that
//! change, people who push between them, a reviewed plan, and what changed between review and removal.

use std::collections::BTreeMap;

use bundle_test_servers::{Fault, ImageSpec, LayerSpec, Manifest, Matcher, Response, Rule};
use serde_json::Value;

use crate::harbor::scene::HarborScene;
use crate::scene::Ran;

/// A Harbor and a stream of nights, each with a new tag, a tag that moves, and one that stays.
struct Nights {
    it: HarborScene,
    to: String,
    night: u64,
}

impl Nights {
    fn start() -> Self {
        let it = HarborScene::empty();
        it.scene.bundle(["key", "generate", "key-site"]).succeeds();
        it.scene.shell("mkdir receipts").succeeds();
        it.push_image("team/stable", "1", 1);
        let to = format!("http://{}", it.harbor.host());
        Self { it, to, night: 0 }
    }

    /// One night: a bundle is made and imported, with a receipt.
    fn pass(&mut self) -> &mut Self {
        self.night += 1;
        let night = self.night;
        self.it.push_image("team/app", &night.to_string(), 100 + night);
        self.it.push_image("team/moving", "latest", 1000 + night / 2);
        let config = format!(
            "name: nightly\nprojects:\n  platform:\n    images:\n    - SOURCE/team/app:{night} => app:{night}\n    - \
             SOURCE/team/moving:latest => moving:latest\n    - SOURCE/team/stable:1 => stable:1\n"
        );
        self.it.write("bundle.yaml", &config.replace("SOURCE", self.it.scene.source.host()));
        let sequence = night.to_string();
        let output = format!("{night}.tar");
        self.it.scene.bundle(["create", "--key", "key", "--sequence", &sequence, "-o", &output]).succeeds();
        let receipt = format!("receipts/{night}.json");
        self.it
            .bundle(&[
                "import",
                &output,
                "--to",
                &self.to,
                "--trust",
                "key.pub",
                "--receipt",
                &receipt,
                "--receipt-key",
                "key-site",
            ])
            .succeeds();
        self
    }

    fn prune(&self, more: &[&str]) -> Ran {
        let all = ["prune", "--to", &self.to, "--receipts", "receipts", "--trust", "key-site.pub"];
        self.it.bundle(&[&all, more].concat())
    }

    fn plan(&self, more: &[&str]) -> Ran {
        self.prune(&[&["--stream", "nightly", "--plan", "removals.json"], more].concat())
    }

    fn apply(&self) -> Ran {
        self.prune(&["--apply", "removals.json", "--key", "key-site"])
    }

    fn tags(&self, repository: &str) -> Vec<String> {
        self.it.harbor.tags(repository).into_keys().collect()
    }

    /// The digests in a repository, tagged or not.
    fn digests(&self, repository: &str) -> Vec<String> {
        let path = format!(
            "/api/v2.0/projects/platform/repositories/{}/artifacts?q=base%3D*&page_size=100",
            repository.strip_prefix("platform/").unwrap()
        );
        let found = self.it.harbor.admin().request("GET", &path, &[], b"").unwrap();
        let found: Value = serde_json::from_slice(&found.body).unwrap();
        found.as_array().unwrap().iter().map(|it| it["digest"].as_str().unwrap().to_owned()).collect()
    }

    fn digest(&self, repository: &str, tag: &str) -> String {
        self.it.harbor.tags(repository)[tag].clone()
    }
}

fn theirs(seed: u64) -> Manifest {
    ImageSpec::oci().layer(LayerSpec::new(seed, 5_000)).label("of", "people").build()
}

fn removals(it: &Nights) -> BTreeMap<String, Value> {
    let plan: Value =
        serde_json::from_slice(&std::fs::read(it.it.scene.path("removals.json")).unwrap()).unwrap();
    let rows = plan["removals"].as_array().unwrap().iter();
    rows.map(|row| (format!("{}:{}", row["repository"].as_str().unwrap(), row["tags"]), row.clone()))
        .collect()
}

#[test]
fn nights_with_pruning_end_with_what_the_last_three_bundles_want_and_with_what_people_pushed() {
    let mut it = Nights::start();
    it.pass();
    let admin = it.it.harbor.admin();
    admin.push("platform/app", "dev", &theirs(1)).unwrap();
    admin.push("platform/own", "1", &theirs(2)).unwrap();
    for _ in 0..9 {
        it.pass();
        it.plan(&[]).succeeds();
        it.apply().succeeds();
    }
    assert_eq!(it.tags("platform/app"), ["10", "8", "9", "dev"]);
    assert_eq!(it.tags("platform/own"), ["1"]);
    assert_eq!(it.tags("platform/stable"), ["1"]);
    assert_eq!(it.digests("platform/app").len(), 4);
    // Nights 8 and 9 have one image, and night 10 another.
    assert_eq!(it.digests("platform/moving").len(), 2);
    let last = it.plan(&["--json"]).succeeds().json();
    assert_eq!(last["removals"].as_array().unwrap().len(), 0, "{last}");
    assert_eq!(last["kept"].as_array().unwrap().len(), 3);
    // What is left is whole, and the next night goes on.
    it.pass();
    let receipt = "receipts/11.json";
    it.it
        .bundle(&["harbor", "diff", receipt, "--to", &it.to, "--trust", "key-site.pub"])
        .succeeds()
        .says("are as the receipt says");
}

#[test]
fn a_plan_removes_nothing_says_what_it_frees_and_its_record_is_signed() {
    let mut it = Nights::start();
    for _ in 0..5 {
        it.pass();
    }
    let before = it.it.harbor.contents();
    it.it.harbor.forget_requests();
    it.it.harbor.set_retention("platform", "latestPushedK", 10);
    it.it.harbor.replicate_to("site-b", "platform/**", true);
    it.it.harbor.replicate_to("site-c", "tenant-*/**", true);
    it.plan(&[])
        .succeeds()
        .says("the project platform has a retention rule of its own (latestPushedK 10)")
        .says("the replication policy 'to-site-b' removes in site-b what is removed here");
    let json = it.plan(&["--json"]).succeeds().json();
    assert_eq!(json["remarks"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(it.it.harbor.contents(), before);
    assert_eq!(it.it.asked("DELETE", ""), 0);
    // The apps of two nights, and the image that the moving tag had in the first.
    let rows = removals(&it);
    let names: Vec<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(names, ["platform/app:[\"1\"]", "platform/app:[\"2\"]", "platform/moving:[]"]);
    assert!(rows.values().all(|row| row["whole"] == true));
    // Each has a manifest, a config and a layer of its own.
    let alone: u64 = rows.values().map(|row| row["bytes"].as_u64().unwrap()).sum();
    assert_eq!(json["freedBytes"], alone);
    it.apply().succeeds().says("3 removed").says("removals.record.json");
    assert_eq!(it.tags("platform/app"), ["3", "4", "5"]);
    let record: Value =
        serde_json::from_slice(&std::fs::read(it.it.scene.path("removals.record.json")).unwrap()).unwrap();
    assert_eq!(record["results"].as_array().unwrap().len(), 3);
    assert!(record["results"].as_array().unwrap().iter().all(|result| result["outcome"] == "removed"));
    assert_eq!(record["account"], "admin, an administrator");
    assert!(record["ended"].is_string());
    assert_eq!(std::fs::read(it.it.scene.path("removals.record.json.sig")).unwrap().len(), 64);
    // A second time there is nothing to do, and that is no error.
    it.apply().succeeds().says("3 gone already");
    // Receipts that anybody may have written remove nothing.
    let unsigned = ["prune", "--to", &it.to, "--receipts", "receipts", "--apply", "removals.json"];
    it.it.bundle(&unsigned).ends_with(2).says("--trust");
}

#[test]
fn what_changed_between_review_and_removal_is_left_and_said() {
    let mut it = Nights::start();
    for _ in 0..6 {
        it.pass();
    }
    it.plan(&[]).succeeds();
    assert_eq!(removals(&it).len(), 4);
    // Somebody moves one tag, somebody pulls another, and a rule makes a third immutable.
    it.it.harbor.admin().push("platform/app", "1", &theirs(7)).unwrap();
    let old = it.digest("platform/app", "2");
    let admin = it.it.harbor.admin_credentials();
    assert_eq!(it.it.pull(&admin, "platform/app", "2"), 200);
    it.it.harbor.add_immutable_rule("platform", "app", "3");
    it.apply()
        .ends_with(6)
        .says("somebody else moved the tag")
        .says("it was pulled")
        .says("the tag is immutable");
    assert_eq!(it.tags("platform/app"), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(it.digest("platform/app", "2"), old);
    // The image without a tag went.
    assert_eq!(it.digests("platform/moving").len(), 2);
}

#[test]
fn what_runs_or_was_pulled_lately_stays_until_it_does_no_longer() {
    let mut it = Nights::start();
    for _ in 0..6 {
        it.pass();
    }
    let admin = it.it.harbor.admin_credentials();
    assert_eq!(it.it.pull(&admin, "platform/app", "1"), 200);
    let host = it.it.harbor.host();
    let pods = serde_json::json!({"kind": "List", "items": [{
        "spec": {"containers": [{"image": format!("{host}/platform/app:2")}]},
        "status": {"containerStatuses": [{"imageID": format!("{host}/platform/app@{}", it.digest("platform/app", "3"))}]},
    }]});
    it.it.write("pods.json", &pods.to_string());
    it.plan(&["--in-use", "pods.json"]).succeeds().says("it was pulled").says("it may be running as");
    assert_eq!(removals(&it).len(), 1);
    it.plan(&["--pulled-within", "0"]).succeeds();
    assert_eq!(removals(&it).len(), 4);
}

#[test]
fn without_the_receipt_of_a_kept_bundle_nothing_is_planned_unless_the_bundle_is_here() {
    let mut it = Nights::start();
    for _ in 0..4 {
        it.pass();
    }
    it.it.scene.shell("rm receipts/4.json receipts/4.json.sig").succeeds();
    it.plan(&[]).ends_with(6).says("no receipt of bundle nightly 4").says("--bundles");
    assert!(!it.it.scene.path("removals.json").exists());
    it.plan(&["--bundles", "."]).succeeds();
    let rows = removals(&it);
    assert!(rows.keys().all(|name| name == "platform/app:[\"1\"]"), "{rows:?}");
    // A receipt that somebody wrote is none.
    let text = std::fs::read_to_string(it.it.scene.path("receipts/1.json")).unwrap();
    it.it.write("receipts/1.json", &text.replace("\"present\"", "\"pushed\"").replace("plant", "plang"));
    let changed = std::fs::read_to_string(it.it.scene.path("receipts/1.json")).unwrap();
    it.it.write("receipts/1.json", &format!("{changed} "));
    it.plan(&["--bundles", "."]).ends_with(3);
}

#[test]
fn a_list_that_is_shorter_than_harbor_counts_is_an_error_and_no_whole_list() {
    let mut it = Nights::start();
    for _ in 0..5 {
        it.pass();
    }
    // As if a proxy in between answered some pages itself.
    let nothing = Response::json(200, "[]").with_header("X-Total-Count", "7");
    it.it.harbor.faults().add(Rule::new(Matcher::new("GET", "/artifacts?q=base"), Fault::Status(nothing)));
    it.plan(&[]).ends_with(4).says("it shows 0 of 7 entries");
    assert!(!it.it.scene.path("removals.json").exists());
}

#[test]
fn a_mark_that_the_site_did_not_sign_makes_no_image_of_the_newest_bundles_removable() {
    let mut it = Nights::start();
    for _ in 0..6 {
        it.pass();
    }
    // Whoever can push to bundle-state can say of the newest bundles that they were taken back.
    let take_back =
        ["stream", "repair", "nightly", "--to", &it.to, "--back-to", "3", "--by", "somebody", "--reason"];
    it.it.bundle(&[&take_back[..], &["none", "--yes", "--state", "other.json"]].concat()).succeeds();
    it.plan(&[]).succeeds();
    let kept = |plan: &Value| plan["kept"].as_array().unwrap().len();
    let plan: Value =
        serde_json::from_slice(&std::fs::read(it.it.scene.path("removals.json")).unwrap()).unwrap();
    // Both the three newest, and the three that would be if the marks were right.
    assert_eq!(kept(&plan), 6, "{plan}");
    assert!(removals(&it).is_empty());
    // With the site's signature the marks count, and what the three bundles brought can go.
    let key = ["none", "--yes", "--state", "other.json", "--receipt-key", "key-site"];
    it.it.bundle(&[&take_back[..], &key].concat()).succeeds();
    it.plan(&[]).succeeds();
    assert!(removals(&it).contains_key("platform/app:[\"6\"]"), "{:?}", removals(&it));
}

#[test]
fn an_account_that_may_only_import_removes_nothing() {
    let mut it = Nights::start();
    for _ in 0..5 {
        it.pass();
    }
    it.plan(&[]).succeeds();
    let rights = [
        "project:read",
        "repository:pull",
        "repository:push",
        "repository:list",
        "artifact:read",
        "artifact:list",
    ];
    let robot = bundle_test_servers::Robot::of_system("importer").in_project("platform", &rights);
    let robot = it.it.harbor.add_robot(robot);
    let before = it.it.harbor.contents();
    let all = [
        "prune",
        "--to",
        &it.to,
        "--receipts",
        "receipts",
        "--trust",
        "key-site.pub",
        "--apply",
        "removals.json",
    ];
    let ran = it.it.bundle_as(&robot, &all);
    assert!(matches!(ran.code, Some(4 | 5)), "{ran:?}");
    assert_eq!(it.it.harbor.contents(), before);
    let record = std::fs::read_to_string(it.it.scene.path("removals.record.json")).unwrap();
    assert!(record.contains("\"failed\""), "{record}");
}
