//! Reports of images' vulnerabilities. Takes findings that the double's scanner has; reads the reports of
//! import and receipt.

use bundle_test_servers::{Findings, Robot, Severity};

use crate::harbor::scene::HarborScene;

fn one_image() -> HarborScene {
    let it = HarborScene::empty();
    it.push_image("team/app", "1", 5);
    it.create("projects:\n  tenants:\n    tenant-a:\n      images: [SOURCE/team/app:1]\n", "b.tar");
    it
}

#[test]
fn a_scan_that_takes_its_time_is_waited_for() {
    let it = one_image();
    it.finds(Findings::clean().with(Severity::Low, 2).after_polls(3));
    it.import(&["--wait-for-scan", "1m"]).succeeds().says("allowed   tenant-a/app:1: 2 low (0 fixable)");
}

#[test]
fn a_scan_that_does_not_end_or_fails_is_told_and_is_not_success() {
    let it = one_image();
    it.finds(Findings::clean().never());
    it.import(&["--wait-for-scan", "1s"])
        .ends_with(6)
        .says("unscanned tenant-a/app:1: its scan has not ended")
        .says("Harbor blocks pulls of unscanned images");
    let it = one_image();
    it.finds(Findings::clean().failing());
    it.import(&["--wait-for-scan", "1m"]).ends_with(6).says("unscanned tenant-a/app:1: its scan failed");
}

#[test]
fn without_automatic_scan_the_importer_starts_one() {
    let it = one_image();
    it.write("harbor.yaml", "defaults: {autoScan: false}\n");
    it.finds(Findings::clean().with(Severity::High, 1));
    it.import(&["--wait-for-scan"]).ends_with(5).says("blocked   tenant-a/app:1: 1 high (0 fixable)");
    assert_eq!(it.asked("POST", "/scan"), 1);
}

#[test]
fn without_a_scanner_the_policy_has_no_effect_and_that_is_said() {
    let it = one_image();
    it.harbor.remove_scanner();
    it.import(&["--wait-for-scan"])
        .succeeds()
        .says("unscanned tenant-a/app:1: nothing scans its project")
        .says("project tenant-a has no scanner: blocking pulls from severity high on has no effect");
    it.import(&["--dry-run"]).succeeds().says("note: project tenant-a has no scanner");
}

#[test]
fn where_pulls_are_never_prevented_high_is_a_warning() {
    let it = one_image();
    it.write("harbor.yaml", "projects:\n  tenant-a: {preventPulls: never}\n");
    it.finds(Findings::clean().with(Severity::Critical, 1));
    let ran = it.import(&["--wait-for-scan", "--json"]).succeeds();
    let json = ran.json();
    assert_eq!(json["scans"]["images"][0]["verdict"], "warned");
    assert_eq!(json["scans"]["images"][0]["counts"]["Critical"], 1);
    assert_eq!(json["scans"]["projects"]["tenant-a"]["prevention"], "never");
    assert_eq!(json["plan"]["projects"][0]["change"], "create");
}

#[test]
fn each_platform_of_an_image_is_judged_by_itself() {
    let it = HarborScene::start();
    let multi = it.scene.source.client().manifest("team/multi", "1").unwrap().unwrap();
    let index: serde_json::Value = serde_json::from_slice(&multi.bytes).unwrap();
    let arm = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|child| child["platform"]["architecture"] == "arm64")
        .unwrap();
    it.harbor.set_findings(arm["digest"].as_str().unwrap(), Findings::clean().with(Severity::High, 2));
    it.import(&["--wait-for-scan"]).ends_with(5).says("team/multi:1: 2 high (0 fixable) on linux/arm64");
}

#[test]
fn exempted_vulnerabilities_are_pointed_out() {
    let it = one_image();
    it.import(&[]).succeeds();
    it.harbor.allow_cves("tenant-a", &["CVE-2026-1000"]);
    it.import(&["--wait-for-scan"]).succeeds().says("some vulnerabilities are exempted");
}

/// Three images that were scanned and can be pulled; then the scanner learns of more.
fn scanned_and_then_newer_databases() -> HarborScene {
    let it = HarborScene::empty();
    let mut config = "projects:\n  tenants:\n    tenant-a:\n      images:\n".to_owned();
    for number in 1..=3 {
        it.push_image("team/app", &number.to_string(), number);
        config.push_str(&format!("      - SOURCE/team/app:{number} => app:{number}\n"));
    }
    it.create(&config, "b.tar");
    it.finds(Findings::clean().with(Severity::Low, 1));
    it.import(&["--wait-for-scan"]).succeeds();
    let digest = it.harbor.tags("tenant-a/app")["2"].clone();
    it.harbor.set_findings(&digest, Findings::clean().with(Severity::Critical, 1).fixable(1).after_polls(2));
    it
}

#[test]
fn after_newer_databases_what_is_blocked_now_is_told() {
    let it = scanned_and_then_newer_databases();
    let to = format!("http://{}", it.harbor.host());
    let rescan = ["harbor", "rescan", "--to", &to, "--project", "tenant-a", "--wait", "1m"];
    it.bundle(&rescan)
        .ends_with(5)
        .says("blocked   tenant-a/app:2, which was allowed: 1 critical (1 fixable)")
        .says("3 images scanned again, by a scan of all artifacts: 1 blocked, 1 changed, 0 not ended")
        .says("1 image blocked now that was not before");
    assert_eq!(it.asked("POST", "/scan"), 1);
    // The next time it is no news.
    let json = it.bundle(&[&rescan[..], &["--json"]].concat()).succeeds().json();
    assert_eq!(json["changed"].as_array().unwrap().len(), 0);
    assert_eq!(json["stillBlocked"][0]["target"], "tenant-a/app:2");
    assert_eq!(it.harbor.pulls(), 0);
}

#[test]
fn a_robot_that_may_not_scan_everything_has_its_images_scanned_one_by_one() {
    let it = scanned_and_then_newer_databases();
    let rights = ["project:read", "artifact:read", "artifact:list", "scan:create"];
    let robot = it.harbor.add_robot(Robot::of_system("importer").in_project("tenant-a", &rights));
    let to = format!("http://{}", it.harbor.host());
    let rescan = ["harbor", "rescan", "--to", &to, "--project", "tenant-a", "--wait", "1m"];
    it.bundle_as(&robot, &rescan)
        .ends_with(5)
        .says("3 images scanned again, one by one: 1 blocked, 1 changed, 0 not ended");
    assert_eq!(it.asked("POST", "/scan"), 3);
    // A scan that does not end is no success.
    it.finds(Findings::clean().never());
    let digest = it.harbor.tags("tenant-a/app")["2"].clone();
    it.harbor.set_findings(&digest, Findings::clean().never());
    let rescan = ["harbor", "rescan", "--to", &to, "--project", "tenant-a", "--wait", "1s"];
    it.bundle_as(&robot, &rescan).ends_with(6).says("3 images whose scan has not ended");
    let reader = Robot::of_system("reader").in_project("tenant-a", &rights[..3]);
    let reader = it.harbor.add_robot(reader);
    it.bundle_as(&reader, &rescan)
        .ends_with(5)
        .says("this account lacks scan:create in all of these projects");
}
