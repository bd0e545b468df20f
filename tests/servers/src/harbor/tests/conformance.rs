//! The distribution specification's own conformance suite against the double.
//! Takes the suite's program where it is installed; every test of it passes that passes with Harbor.

use std::process::Command;

use super::*;

/// The tests that Harbor fails too, and why.
const KNOWN: [&str; 3] = [
    // distribution 2.8 does not look at `Content-Range` (goharbor/harbor#12457).
    "sha256 blobs/chunked out-of-order/blob-patch-chunked",
    "sha256 blobs/chunked out-of-order and put chunk/blob-patch-chunked",
    // Harbor answers 404 for what is neither tag nor digest (`middleware/artifactinfo`).
    "invalid-digest-format/manifest-put",
];

/// The suite that Harbor's own CI runs (`tests/ci/conformance_test.sh`), with the same two projects. The double
/// knows no digests but SHA-256's.
#[test]
fn the_distribution_specs_conformance_suite_finds_what_it_finds_in_harbor() {
    let Some(suite) = bundle_test_needs::program("conformance") else { return };
    let harbor = Harbor::start().unwrap();
    harbor.add_project("conformance");
    harbor.add_project("crossmount");
    let admin = harbor.admin_credentials();
    let results = tempfile::tempdir().unwrap();
    let output = Command::new(suite)
        .current_dir(results.path())
        .env("OCI_REGISTRY", harbor.host())
        .env("OCI_TLS", "disabled")
        .env("OCI_REPO1", "conformance/testrepo")
        .env("OCI_REPO2", "crossmount/testrepo")
        .env("OCI_USERNAME", admin.name)
        .env("OCI_PASSWORD", admin.secret)
        .env("OCI_DATA_SHA512", "false")
        .env("OCI_RESULTS_DIR", results.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let named = |verdict: &str| -> Vec<&str> {
        let lines = text.lines().filter_map(|line| line.trim().strip_suffix(verdict));
        lines.filter_map(|name| name.strip_prefix("OCI Conformance Test/")).collect()
    };
    let failed = named(": FAIL");
    // A test fails with each of its parts; the parts say what it was.
    let parts: Vec<&str> = failed
        .iter()
        .copied()
        .filter(|name| !failed.iter().any(|other| other.starts_with(&format!("{name}/"))))
        .collect();
    assert_eq!(parts, KNOWN, "{text}");
    assert!(named(": Pass").len() > 500, "{text}");
}
