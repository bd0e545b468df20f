//! Verdicts, exceptions, the cache, and the files that are kept.
//! Takes what the scanner says; looks at what the program makes of it.

use std::process::Command;

use bundle_test_servers::sha256;

use super::scene::Scans;

#[test]
fn every_platform_of_every_image_is_scanned_from_the_file_and_only_once() {
    let scans = Scans::new();
    let ran = scans.scan(&[]).succeeds().says("3 images: 0 blocked, 0 failed, 0 warned, 3 allowed");
    assert!(ran.stdout.contains("4 manifests scanned now, 0 known before"), "{}", ran.stdout);
    assert_eq!(scans.calls(), ["docker", "multi", "multi", "signed"]);
    scans.scan(&[]).succeeds().says("0 manifests scanned now, 4 known before");
    assert!(scans.calls().is_empty());
    // A new database may know more of the same images.
    scans.database("version", "scanner 1, database of 2026-11-29\n");
    scans.vulnerable("docker", &[("CVE-2026-1", "CRITICAL")]);
    scans.scan(&[]).ends_with(5).says("4 manifests scanned now, 0 known before");
    assert_eq!(scans.calls().len(), 4);
    scans.scan(&["--rescan"]).ends_with(5);
    assert_eq!(scans.calls().len(), 4);
    // Nothing of the caller's reaches the scanner.
    let environment = std::fs::read_to_string(scans.scene.path("db").join("environment")).unwrap();
    assert!(!environment.contains("secret") && !environment.contains("XDG_CACHE_HOME"), "{environment}");
    let home = environment.lines().find_map(|line| line.strip_prefix("HOME=")).unwrap();
    assert!(!std::path::Path::new(home).exists(), "{home}");
}

#[test]
fn critical_and_high_block_medium_warns_low_is_allowed() {
    let scans = Scans::new();
    scans.vulnerable("docker", &[("CVE-2026-1", "HIGH"), ("CVE-2026-2", "LOW")]);
    scans.vulnerable("multi", &[("CVE-2026-3", "MEDIUM")]);
    scans.vulnerable("signed", &[("CVE-2026-2", "LOW")]);
    let ran = scans.scan(&[]).ends_with(5).says("1 blocked, 0 failed, 1 warned, 1 allowed");
    assert!(ran.stdout.contains("CVE-2026-1 high in ssl 3.0, mended in 3.1"), "{}", ran.stdout);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("VERDICT  CRITICAL  HIGH"), "{}", lines[0]);
    let row = |name: &str| lines.iter().find(|line| line.ends_with(name)).unwrap().split_whitespace();
    assert_eq!(row("team/docker:1").take(6).collect::<Vec<_>>(), ["blocked", "0", "1", "0", "1", "0"]);
    assert_eq!(row("team/multi:1").take(6).collect::<Vec<_>>(), ["warned", "0", "0", "1", "0", "0"]);
    scans.scan(&["--severity", "critical"]).succeeds().says("0 blocked, 0 failed, 2 warned");
    let json = scans.scan(&["--severity", "medium", "--json"]).ends_with(5).json();
    assert_eq!((&json["block"], &json["cached"], &json["scanned"]), (&"medium".into(), &4.into(), &0.into()));
    let blocked = json["images"].as_array().unwrap().iter().filter(|it| it["verdict"] == "blocked");
    assert_eq!(blocked.count(), 2);
    scans.scan(&["--severity", "grave"]).ends_with(2);
}

#[test]
fn an_exception_has_an_owner_and_ends_on_its_day() {
    let scans = Scans::new();
    scans.vulnerable("docker", &[("CVE-2026-1", "CRITICAL")]);
    let exceptions = |image: &str, day: &str| {
        let text = format!(
            "exceptions:\n  - vulnerability: CVE-2026-1\n    image: '{image}'\n    owner: security@example\n    \
             expires: {day}\n    reason: not reachable\n"
        );
        std::fs::write(scans.scene.path("exceptions.yaml"), text).unwrap();
        scans.scan(&["--ignore", "exceptions.yaml"])
    };
    let ran = exceptions("*/team/docker:*", "9999-12-30").succeeds();
    assert!(
        ran.stdout.contains("is excepted until 9999-12-30 by security@example: not reachable"),
        "{}",
        ran.stdout
    );
    exceptions("*/team/docker:*", "2026-01-01")
        .ends_with(5)
        .says("ended on 2026-01-01 and counts for nothing; its owner is security@example");
    exceptions("*/team/multi:*", "9999-12-30").ends_with(5).says("covers nothing that was found");
    exceptions("*", "soon").ends_with(2).says("exceptions.yaml: exception 1 (CVE-2026-1)");
}

#[test]
fn the_result_is_kept_beside_the_bundle_as_json_and_sarif_and_is_signed() {
    let scans = Scans::new();
    scans.vulnerable("docker", &[("CVE-2026-1", "CRITICAL")]);
    scans.scan(&["--key", "key"]).ends_with(5);
    let scene = &scans.scene;
    let read = |name: &str| std::fs::read(scene.path(name)).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&read("images.scan.json")).unwrap();
    assert_eq!(record["scanVersion"], 1);
    assert_eq!(record["sarif"], sha256(&read("images.scan.sarif")));
    let sarif: serde_json::Value = serde_json::from_slice(&read("images.scan.sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "CVE-2026-1");
    // openssl says the same of the signature.
    let checked = Command::new("openssl")
        .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pub", "-in", "images.scan.json"])
        .args(["-sigfile", "images.scan.json.sig"])
        .current_dir(scene.path(""))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    // The bundle is as it was, with its co-signatures beside it.
    scene.bundle(["verify", "images.tar", "--trust", "key.pub"]).succeeds();
    // An older signature does not stay beside a newer result, and no other file is overwritten.
    std::fs::create_dir(scene.path("out")).unwrap();
    scans.scan(&["-o", "out"]).ends_with(5).says("not signed");
    assert!(scene.path("out/images.scan.json").exists() && !scene.path("out/images.scan.json.sig").exists());
    std::fs::write(scene.path("out/images.scan.json"), "{\"receiptVersion\":1}").unwrap();
    scans.scan(&["-o", "out"]).ends_with(2).says("another file has this name");
}

#[test]
fn the_key_and_the_number_of_jobs_may_be_settings() {
    let scans = Scans::new();
    let with = |variables: &[(&str, &str)]| {
        let base = ["scan", "images.tar", "--trust", "key.pub", "--scanner", "./scanner", "--db", "db"];
        let mut command = scans.scene.command(base);
        command.env("XDG_CACHE_HOME", scans.scene.path("cache")).envs(variables.iter().copied());
        crate::scene::Ran::from(command.output().unwrap())
    };
    with(&[("BUNDLE_KEY", "key"), ("BUNDLE_JOBS", "1")]).succeeds();
    assert!(scans.scene.path("images.scan.json.sig").exists());
    with(&[("BUNDLE_JOBS", "65")]).ends_with(2).says("65 is not in 1..=64");
}
