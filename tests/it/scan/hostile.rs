//! Scanners that fail, lie or never end, and bundles that are damaged.
//! Takes scripts that the scanner runs in place of its work; looks at exit codes and messages.

use super::scene::Scans;

#[test]
fn an_image_that_was_not_scanned_is_never_allowed_and_is_scanned_next_time() {
    let scans = Scans::new();
    for (script, says) in [
        (
            "echo 'FATAL unable to open the image' >&2; exit 1",
            "the scanner failed (exit status: 1): FATAL unable to open",
        ),
        ("echo not JSON; exit 0", "the scanner's output is not the JSON of a scan"),
        ("echo '{\"SchemaVersion\": 9}'; exit 0", "schema version 9"),
        ("yes '{' | head -c 200000000; exit 0", "wrote more than 134217728 bytes"),
    ] {
        scans.database("docker.sh", script);
        let ran = scans.scan(&[]).ends_with(6).says("1 image not scanned").says(says);
        assert!(ran.stdout.contains("0 blocked, 1 failed, 0 warned, 2 allowed"), "{}", ran.stdout);
    }
    scans.database("docker.sh", "sleep 3600 & wait");
    scans.scan(&["--image-timeout", "2s"]).ends_with(6).says("did not end within 2 s and was stopped");
    scans.database("docker.sh", "exit 1");
    // What blocks is worse than what was not scanned.
    scans.vulnerable("signed", &[("CVE-2026-1", "CRITICAL")]);
    scans.scan(&["--rescan"]).ends_with(5).says("1 image blocked by findings, and 1 image not scanned");
    scans.calls();
    std::fs::remove_file(scans.scene.path("db/docker.sh")).unwrap();
    scans.scan(&[]).ends_with(5).says("1 manifest scanned now, 3 known before");
    assert_eq!(scans.calls(), ["docker"]);
}

#[test]
fn a_scanner_that_knows_nothing_in_an_image_is_said_so() {
    let scans = Scans::new();
    scans.database("docker.json", "{\"SchemaVersion\": 2}");
    scans.scan(&[]).succeeds().says("the scanner knows no package in it");
}

#[test]
fn a_scanner_or_database_that_is_not_there_is_a_mistake_before_any_scan() {
    let scans = Scans::new();
    let scan = |more: &[&str]| {
        let base = ["scan", "images.tar", "--trust", "key.pub"];
        scans.scene.bundle([&base[..], more].concat())
    };
    scan(&["--scanner", "no-such-scanner"]).ends_with(2).says("install it in a directory of PATH");
    scan(&["--scanner", "./none"]).ends_with(2).says("./none cannot be read");
    scan(&["--scanner", "./scanner", "--db", "none"]).ends_with(2).says("none cannot be read");
    assert!(!scans.scene.path("images.scan.json").exists());
    // Nobody's bundle is scanned before its signature is checked.
    scans.scene.bundle(["key", "generate", "other"]).succeeds();
    let ran = scans.scene.bundle([
        "scan",
        "images.tar",
        "--trust",
        "other.pub",
        "--scanner",
        "./scanner",
        "--db",
        "db",
    ]);
    ran.ends_with(3);
    assert!(scans.calls().is_empty());
}

#[test]
fn a_damaged_bundle_is_damaged_and_not_only_hard_to_scan() {
    let scans = Scans::new();
    let path = scans.scene.path("images.tar");
    let mut bytes = std::fs::read(&path).unwrap();
    // In the last layer: the end of the archive is two empty blocks and padding.
    let place = bytes.len() - 20_000;
    bytes[place] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    scans.scan(&[]).ends_with(3).says("has other bytes than were signed");
}
