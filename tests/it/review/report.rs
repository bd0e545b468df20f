//! `bundle report` in all its forms.
//! Takes two bundles of one stream whose texts are hostile; gives HTML, Markdown, CSV and JSON.

use bundle_test_servers::sha256;
use serde_json::{Value, json};

use super::nights::{HOSTILE, Nights};

fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["rows"].as_array().unwrap();
    let found = rows.iter().find(|row| row["repository"].as_str().unwrap().ends_with(name));
    found.unwrap_or_else(|| panic!("{name}: {report:#}"))
}

#[test]
fn a_report_says_what_changed_who_asked_and_what_is_signed() {
    let nights = Nights::new();
    let report: Value = serde_json::from_str(&nights.written("report.json")).unwrap();
    assert_eq!(report["verified"], true);
    assert_eq!(report["signers"].as_array().unwrap().len(), 1);
    let summary = &report["summary"];
    let counts =
        ["updated", "new", "gone", "attached", "unchanged"].map(|word| summary[word].as_u64().unwrap());
    assert_eq!(counts, [1, 3, 1, 0, 1]);
    assert!(summary["newBytes"].as_u64().unwrap() > 1_000_000, "{summary}");
    let web = row(&report, "/web");
    assert_eq!((&web["tagBefore"], &web["tagAfter"]), (&json!("1.27.0"), &json!("1.27.1")));
    assert_eq!(web["lostPlatforms"], json!(["linux/arm64"]));
    assert_eq!(web["requestedBy"], json!([format!("{HOSTILE}:6")]));
    let signed = row(&report, "signed");
    let mut kinds: Vec<&str> =
        signed["attached"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["sbom", "signature"], "they stand in their image's row and have none of their own");
    let big = row(&report, "big");
    assert_eq!(big["change"], "new");
    assert!(big["ownSize"].as_u64().unwrap() > 900_000 && web["ownSize"].as_u64() < web["size"].as_u64());
    nights.report(&[]).succeeds().says("1 updated, 3 new, 1 gone, 1.").says("lost platforms: linux/arm64");
}

#[test]
fn a_report_is_the_same_bytes_each_time_and_its_digest_is_printed() {
    let nights = Nights::new();
    for name in ["report.html", "report.md", "report.csv", "report.json"] {
        let first = nights.report(&["-o", name, "--json"]).succeeds().json();
        let bytes = std::fs::read(nights.scene.path(name)).unwrap();
        assert_eq!(first["digest"], sha256(&bytes), "{name}");
        nights.report(&["-o", name]).succeeds().says(first["digest"].as_str().unwrap());
        assert_eq!(std::fs::read(nights.scene.path(name)).unwrap(), bytes, "{name}");
    }
    nights.report(&["-o", "report.pdf"]).ends_with(2).says(".html, .md, .csv and .json");
    assert!(!nights.scene.path("report.pdf").exists());
}

#[test]
fn no_text_of_a_bundle_is_markup_or_a_formula() {
    let nights = Nights::new();
    let html = nights.written("report.html");
    assert!(html.contains("=&lt;img src=x onerror=alert(1)&gt;|`.yaml:6"), "{html}");
    assert!(!html.contains("<img") && !html.contains("<script"));
    let markdown = nights.written("report.md");
    let line = markdown.lines().find(|line| line.contains("1.27.1")).unwrap();
    assert!(line.contains("`=<img src=x onerror=alert(1)>\\|'.yaml:6`"), "{line}");
    let csv = nights.written("report.csv");
    for line in csv.lines().filter(|line| line.contains("onerror")) {
        assert!(line.contains("\"'=<img src=x onerror=alert(1)>|`.yaml:"), "{line}");
    }
    assert_eq!(csv.lines().count(), 7);
}

#[test]
fn a_report_on_what_nobody_signed_says_so_first() {
    let nights = Nights::new();
    let scene = &nights.scene;
    scene
        .bundle(["report", "tuesday.tar", "--unverified", "-o", "report.html"])
        .succeeds()
        .says("NOT VERIFIED");
    let html = std::fs::read_to_string(scene.path("report.html")).unwrap();
    let at = |part: &str| html.find(part).unwrap_or_else(|| panic!("{part}"));
    assert!(at("NOT VERIFIED") < at("class=\"headline\""));
    scene.bundle(["key", "generate", "other"]).succeeds();
    // The thief's bundle of yesterday would hide what is new tonight.
    nights.report(&["--since-trust", "other.pub"]).ends_with(3);
    scene
        .bundle(["report", "tuesday.tar", "--trust", "other.pub"])
        .ends_with(3)
        .says("not signed by a trusted key");
}
