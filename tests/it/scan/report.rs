//! The result of a scan in `bundle report` and `bundle diff`.
//! Takes a scanned bundle, and results that are unsigned, of another bundle or of another key; reads each form.

use serde_json::Value;

use super::scene::Scans;
use crate::scene::Ran;

/// A bundle whose scan found something of each kind; its result is signed.
fn scanned() -> Scans {
    let scans = Scans::new();
    scans.vulnerable("docker", &[("CVE-2026-1", "CRITICAL"), ("CVE-2026-2", "HIGH")]);
    scans.vulnerable("multi", &[("CVE-2026-3", "MEDIUM")]);
    let exceptions = "exceptions:\n  - {vulnerability: CVE-2026-2, image: '*', owner: security@example, expires: 9999-12-30, \
                      reason: not loaded}\n  - {vulnerability: CVE-2026-9, image: '*', owner: old@example, expires: \
                      2026-01-01, reason: gone}\n";
    std::fs::write(scans.scene.path("exceptions.yaml"), exceptions).unwrap();
    scans.scan(&["--ignore", "exceptions.yaml", "--key", "key"]).ends_with(5);
    scans
}

fn report(scans: &Scans, more: &[&str]) -> Ran {
    let base = ["report", "images.tar", "--trust", "key.pub", "--scan", "images.scan.json"];
    scans.scene.bundle([&base[..], more].concat())
}

fn written(scans: &Scans, name: &str) -> String {
    report(scans, &["-o", name]).succeeds();
    std::fs::read_to_string(scans.scene.path(name)).unwrap()
}

#[test]
fn an_approver_sees_the_verdict_on_each_image_and_who_answers_for_what() {
    let scans = scanned();
    let json: Value = serde_json::from_str(&written(&scans, "report.json")).unwrap();
    let row = |name: &str| {
        let rows = json["rows"].as_array().unwrap();
        rows.iter().find(|row| row["repository"].as_str().unwrap().ends_with(name)).unwrap()
    };
    let docker = &row("/docker")["scan"];
    assert_eq!(docker["verdict"], "blocked");
    assert_eq!((&docker["counts"]["critical"], &docker["counts"]["excepted"]), (&1.into(), &1.into()));
    assert_eq!(docker["findings"][1]["exception"]["owner"], "security@example");
    assert_eq!(
        (&row("/multi")["scan"]["verdict"], &row("/signed")["scan"]["verdict"]),
        (&"warned".into(), &"allowed".into())
    );
    let scan = &json["scan"];
    assert_eq!(scan["exceptions"][0]["exception"]["expires"], "9999-12-30");
    assert!(scan["exceptions"][0]["images"][0].as_str().unwrap().ends_with("/docker:1"));
    assert_eq!(scan["expired"][0]["owner"], "old@example");
    assert!(
        scan["scanned"].as_str().unwrap().ends_with('Z')
            && scan["scannerVersion"].as_str().unwrap().contains("scanner 1")
    );
    assert!(scan["signer"].as_str().unwrap().starts_with("sha256:"));
    for name in ["report.html", "report.md", "report.csv"] {
        let text = written(&scans, name);
        for part in ["blocked", "CVE-2026-1", "9999-12-30", "security@example"] {
            assert!(text.contains(part), "{name}: {part}: {text}");
        }
    }
    let ran = report(&scans, &[]).succeeds().says("1 image is blocked by findings (high and graver blocks)");
    assert!(ran.stdout.contains("blocked: 1 critical, 1 excepted"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("NOT VERIFIED"), "{}", ran.stdout);
    // What a reader signs is the same each time.
    assert_eq!(written(&scans, "report.html"), written(&scans, "report.html"));
}

#[test]
fn a_result_that_nobody_trusted_signed_or_of_another_bundle_is_refused() {
    let scans = scanned();
    let scene = &scans.scene;
    scene.bundle(["key", "generate", "other"]).succeeds();
    report(&scans, &["--scan-trust", "other.pub"])
        .ends_with(3)
        .says("images.scan.json is not signed by any of the keys");
    report(&scans, &["--scan-trust", "key.pub"]).succeeds();
    // One letter more is another result.
    let path = scene.path("images.scan.json");
    let bytes = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, bytes.replace("\"blocked\"", "\"allowed\"")).unwrap();
    report(&scans, &[]).ends_with(3).says("is not signed by any of the keys");
    scene
        .bundle(["report", "images.tar", "--unverified", "--scan", "images.scan.json"])
        .succeeds()
        .says("NOT VERIFIED: no key was checked for the result of the scan images.scan.json");
    std::fs::write(&path, &bytes).unwrap();
    std::fs::remove_file(scene.path("images.scan.json.sig")).unwrap();
    report(&scans, &[]).ends_with(3).says("sign it with `bundle scan --key`");
    scans.scan(&["--key", "key"]).ends_with(5);
    let host = scene.source.host().to_owned();
    let one = crate::scene::Scene::create_arguments(&[format!("{host}/team/docker:1")], "second.tar");
    scene.bundle(one).succeeds();
    scene
        .bundle(["report", "second.tar", "--trust", "key.pub", "--scan", "images.scan.json"])
        .ends_with(2)
        .says("is the result of the scan of another bundle");
}

#[test]
fn a_comparison_has_the_verdicts_on_what_is_new() {
    let scans = scanned();
    let scene = &scans.scene;
    let host = scene.source.host().to_owned();
    let one = crate::scene::Scene::create_arguments(&[format!("{host}/team/multi:1")], "first.tar");
    scene.bundle(one).succeeds();
    let diff = |more: &[&str]| {
        let base = ["diff", "first.tar", "images.tar", "--trust", "key.pub", "--scan", "images.scan.json"];
        scene.bundle([&base[..], more].concat()).succeeds()
    };
    diff(&[]).says("blocked: 1 critical, 1 excepted").says("and graver blocks");
    diff(&["--markdown"]).says("| blocked: 1 critical, 1 excepted |");
    let json = diff(&["--json"]).json();
    assert!(json["rows"].as_array().unwrap().iter().any(|row| row["scan"]["verdict"] == "blocked"));
    scene
        .bundle(["diff", "images.tar", "first.tar", "--trust", "key.pub", "--scan", "images.scan.json"])
        .ends_with(2)
        .says("of another bundle");
}
