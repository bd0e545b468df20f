//! The allowed dependencies between crates, and the crates without network access. docs/architecture.md has
//! the reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::sources::root;

/// Each crate, and the crates of ours that it may depend on. A missing arrow is not allowed.
const ALLOWED: [(&str, &str); 23] = [
    ("bundle-oci", ""),
    ("bundle-os", ""),
    ("bundle-input", "oci os"),
    ("bundle-recompress", ""),
    ("bundle-delta", "os"),
    ("bundle-format", "oci os recompress delta"),
    ("bundle-trust", "oci os input format"),
    ("bundle-upstream", "oci"),
    ("bundle-registry", "oci os"),
    ("bundle-harbor", "oci registry"),
    ("bundle-chart", "oci os"),
    ("bundle-serve", "oci os format"),
    ("bundle-bundler", "oci os input format trust upstream registry chart"),
    ("bundle-importer", "oci os input format trust registry"),
    ("bundle-site", "oci os input format trust registry harbor importer"),
    ("bundle-inventory", "oci os format trust registry harbor importer"),
    ("bundle-prune", "oci os format trust registry harbor importer site inventory"),
    ("bundle-scan", "oci os input format trust"),
    ("bundle-handout", "oci os format importer site chart"),
    ("bundle-report", "oci format"),
    ("bundle-sync", "oci os input format trust registry bundler importer site harbor prune"),
    ("bundle-test-servers", "test-needs"),
    ("bundle-test-needs", ""),
];

/// These read what an attacker wrote, and must be able to do so where there is no network.
const WITHOUT_NETWORK: [&str; 9] = [
    "bundle-oci",
    "bundle-os",
    "bundle-input",
    "bundle-recompress",
    "bundle-delta",
    "bundle-format",
    "bundle-trust",
    "bundle-upstream",
    "bundle-chart",
];

/// The packages of the workspace with their dependencies for the product.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|it| it["kind"].is_null() && it["optional"] == false).map(|it| text(&it["name"])).collect()
    };
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(|package| (text(&package["name"]), names(package))).collect()
}

#[test]
fn crates_know_only_those_that_they_may() {
    let dependencies = dependencies();
    let allowed: BTreeMap<&str, BTreeSet<String>> = ALLOWED
        .into_iter()
        .map(|(name, known)| (name, known.split(' ').map(|it| format!("bundle-{it}")).collect()))
        .collect();
    for (name, known) in &dependencies {
        // The program may know everything: it only turns arguments into calls.
        if name == "bundle" {
            continue;
        }
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no line in ALLOWED"));
        let ours: BTreeSet<String> = known.iter().filter(|it| it.starts_with("bundle-")).cloned().collect();
        let beyond: Vec<&String> = ours.difference(allowed).collect();
        assert!(beyond.is_empty(), "{name} depends on {beyond:?}, which ALLOWED does not have");
    }
    let gone: Vec<&&str> = allowed.keys().filter(|name| !dependencies.contains_key(**name)).collect();
    assert!(gone.is_empty(), "no such crates any more: {gone:?}");
}

#[test]
fn what_reads_an_attackers_bytes_knows_no_network() {
    for name in WITHOUT_NETWORK {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--edges",
                "normal",
                "--prefix",
                "none",
                "--locked",
                "--offline",
                "--package",
                name,
            ])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout).unwrap();
        assert!(tree.contains(name), "{tree}");
        for network in ["tokio", "reqwest", "hyper", "mio", "socket2", "rustls"] {
            let known = tree.lines().any(|line| line.starts_with(&format!("{network} ")));
            assert!(!known, "{network} is in\n{tree}");
        }
    }
}
