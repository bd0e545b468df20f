//! Labels on Harbor's page: which bundle brought an artifact. Takes nights whose images come, stay and go; looks at who
//! carries which label, and at how many requests that took.

use bundle_test_servers::{Fault, Matcher, Robot, Rule};

use crate::harbor::scene::HarborScene;
use crate::scene::Ran;

/// A Harbor and a stream of nights.
struct Nights {
    it: HarborScene,
    to: String,
}

impl Nights {
    fn start() -> Self {
        let it = HarborScene::empty();
        for (name, seed) in [("one", 1), ("two", 2), ("three", 3)] {
            it.push_image(&format!("team/{name}"), "1", seed);
        }
        let to = format!("http://{}", it.harbor.host());
        Self { it, to }
    }

    /// Makes the bundle of a night, with these of the images in `platform`.
    fn create(&self, night: u64, images: &[&str]) {
        let mut config = "name: nightly\nprojects:\n  platform:\n    images:\n".to_owned();
        for image in images {
            config.push_str(&format!("    - {}/team/{image}:1 => {image}:1\n", self.it.scene.source.host()));
        }
        self.it.write("bundle.yaml", &config);
        let (sequence, output) = (night.to_string(), format!("{night}.tar"));
        self.it.scene.bundle(["create", "--key", "key", "--sequence", &sequence, "-o", &output]).succeeds();
    }

    fn import(&self, night: u64, more: &[&str]) -> Ran {
        let file = format!("{night}.tar");
        let all = ["import", &file, "--to", &self.to, "--trust", "key.pub"];
        self.it.bundle(&[&all, more].concat())
    }

    fn pass(&self, night: u64, images: &[&str]) {
        self.create(night, images);
        self.import(night, &[]).succeeds();
    }

    fn labels(&self, image: &str) -> Vec<String> {
        let labels = self.it.harbor.labels(&format!("platform/{image}"), "1").into_iter();
        labels.map(|label| label.replace("bundle: nightly/", "")).collect()
    }

    fn all(&self) -> Vec<String> {
        let labels = self.it.harbor.project_labels("platform").into_iter();
        labels.map(|label| label.replace("bundle: nightly/", "")).collect()
    }
}

#[test]
fn an_artifact_shows_the_newest_bundle_that_wants_it_and_one_that_none_wants_the_last() {
    let it = Nights::start();
    it.pass(41, &["one", "two"]);
    assert_eq!(it.it.harbor.labels("platform/one", "1"), ["bundle: nightly/41"]);
    it.pass(42, &["two", "three"]);
    assert_eq!(
        (it.labels("one"), it.labels("two"), it.labels("three")),
        (vec!["41".into()], vec!["42".into()], vec!["42".into()])
    );
    it.pass(43, &["two"]);
    assert_eq!(
        (it.labels("one"), it.labels("two"), it.labels("three")),
        (vec!["41".into()], vec!["43".into()], vec!["42".into()])
    );
    assert_eq!(it.all(), ["41", "42", "43"]);
    // What is wanted again has the newest label alone, and a label that is on nothing goes.
    it.pass(44, &["one", "two"]);
    assert_eq!(
        (it.labels("one"), it.labels("two"), it.labels("three")),
        (vec!["44".into()], vec!["44".into()], vec!["42".into()])
    );
    assert_eq!(it.all(), ["42", "44"]);
}

#[test]
fn a_night_that_changes_nothing_renames_the_label_and_asks_for_no_artifact() {
    let it = Nights::start();
    it.pass(1, &["one", "two", "three"]);
    it.create(2, &["one", "two", "three"]);
    it.it.harbor.forget_requests();
    it.import(2, &[]).succeeds();
    assert_eq!(it.labels("one"), ["2"]);
    assert_eq!((it.it.asked("GET", "/labels?"), it.it.asked("PUT", "/labels/")), (1, 1));
    assert_eq!(it.it.asked("POST", "/labels") + it.it.asked("DELETE", "/labels"), 0);
    assert_eq!(it.it.asked("GET", "/projects/platform/artifacts"), 0);
    // The same bundle again changes nothing at all.
    it.it.harbor.forget_requests();
    it.import(2, &[]).succeeds();
    assert_eq!(it.it.asked("GET", "/labels?"), 1);
    assert_eq!(it.it.asked("PUT", "") + it.it.asked("POST", "") + it.it.asked("DELETE", ""), 0);
    // And an older one leaves what the newer one says.
    it.import(1, &["--allow-rollback", "--reason", "a test"]).succeeds();
    assert_eq!(it.labels("one"), ["2"]);
}

#[test]
fn a_change_costs_requests_for_what_changed_only() {
    let it = Nights::start();
    it.pass(1, &["one", "two"]);
    it.create(2, &["one", "two", "three"]);
    it.it.harbor.forget_requests();
    it.import(2, &[]).succeeds();
    assert_eq!(it.it.asked("POST", "/labels"), 1);
    assert_eq!(it.it.asked("DELETE", "/labels"), 0);
}

#[test]
fn without_the_rights_an_import_succeeds_and_says_once_what_is_missing() {
    let it = Nights::start();
    it.it.harbor.add_project_with(
        "platform",
        &[("auto_scan", "true"), ("prevent_vul", "true"), ("severity", "high")],
    );
    it.create(1, &["one", "two"]);
    let rights = [
        "project:read",
        "repository:pull",
        "repository:push",
        "artifact:read",
        "artifact:list",
        "label:list",
    ];
    let robot = it.it.harbor.add_robot(Robot::of_system("importer").in_project("platform", &rights));
    let import = ["import", "1.tar", "--to", &it.to, "--trust", "key.pub"];
    let missing = "artifacts get no label of their bundle in the project platform: this account lacks \
                   artifact-label:create, artifact-label:delete, label:create, label:delete, label:update there";
    let planned = it.it.bundle_as(&robot, &[&import[..], &["--dry-run"]].concat()).succeeds();
    assert_eq!(planned.stdout.matches(missing).count(), 1, "{planned:?}");
    let ran = it.it.bundle_as(&robot, &import).succeeds();
    assert_eq!(format!("{}{}", ran.stdout, ran.stderr).matches("no label").count(), 1, "{ran:?}");
    assert_eq!((it.labels("one"), it.all()), (vec![], vec![]));
    // Who does not want them is told nothing.
    it.it.write("harbor.yaml", "labels: false\n");
    let ran = it.it.bundle_as(&robot, &import).succeeds();
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("label"), "{ran:?}");
}

#[test]
fn an_import_whose_labels_fail_is_complete_and_the_next_one_goes_on() {
    let it = Nights::start();
    it.pass(1, &["one", "two"]);
    it.create(2, &["two", "three"]);
    let fault = Rule::new(
        Matcher::new("POST", "/artifacts/").and(|head| head.path().ends_with("/labels")),
        Fault::status(500),
    );
    it.it.harbor.faults().add(fault.once());
    it.import(2, &[])
        .succeeds()
        .says("not all artifacts of the project platform have the label of their bundle");
    it.import(2, &[]).succeeds();
    assert_eq!(
        (it.labels("one"), it.labels("two"), it.labels("three")),
        (vec!["1".into()], vec!["2".into()], vec!["2".into()])
    );
    assert_eq!(it.all(), ["1", "2"]);
}

#[test]
fn labels_do_not_grow_without_bound_and_those_of_people_stay() {
    let it = Nights::start();
    for night in 1..=14 {
        let name = format!("own-{night}");
        it.it.push_image(&format!("team/{name}"), "1", 100 + night);
        it.pass(night, &["one", &name]);
        if night == 1 {
            it.it.harbor.label("platform/own-1", "1", "bundle: by hand");
        }
    }
    assert_eq!(it.all().len(), 12, "{:?}", it.all());
    assert!(it.labels("own-13") == ["13"] && it.labels("own-4") == ["4"] && it.labels("own-3").is_empty());
    assert_eq!(it.labels("own-1"), ["bundle: by hand"]);
}

#[test]
fn a_part_of_a_bundle_is_labelled_and_the_rest_when_it_comes() {
    let it = Nights::start();
    it.pass(1, &["one", "two"]);
    it.create(2, &["one", "two", "three"]);
    it.import(2, &["--image", "platform/two:1"]).succeeds();
    assert_eq!((it.labels("one"), it.labels("two")), (vec!["1".into()], vec!["2".into()]));
    it.import(2, &[]).succeeds();
    for image in ["one", "two", "three"] {
        assert_eq!(it.labels(image), ["2"], "{image}");
    }
    assert_eq!(it.all(), ["2"]);
}
