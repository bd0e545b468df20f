//! Checks the documents against each other and the code: every link has a target heading, every named test
//! and type exists. Takes the Markdown files of the repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The documents that people read, and where they lie.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let below = |directory: &str| {
        let entries = std::fs::read_dir(root.join(directory)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let all = [below("."), below("docs"), below("manifests")].concat();
    let markdown = all.into_iter().filter(|path| path.extension().is_some_and(|it| it == "md"));
    markdown.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        code ^= line.trim_start().starts_with("```");
        !code
    })
}

/// The names that headings get where Markdown is shown.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let kept = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        kept.chars().filter(|&c| c.is_alphanumeric() || c == '-' || c == '_').collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let documents = documents();
    let mut followed = 0;
    for (path, text) in &documents {
        let targets = prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| {
            let target = rest.split_once(')')?.0;
            let elsewhere = target.contains("://") || target.contains(['*', ' ']);
            (!elsewhere).then_some(target)
        });
        for target in targets {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let to =
                to.canonicalize().unwrap_or_else(|error| panic!("{}: {target}: {error}", path.display()));
            let known = anchor.is_empty() || {
                let text = std::fs::read_to_string(&to).unwrap();
                anchors(&text).contains(anchor)
            };
            assert!(known, "{}: {target}: there is no such heading", path.display());
            followed += 1;
        }
    }
    assert!(followed > 100, "only {followed} links were found");
}

/// How names begin that look like a test's and are metrics: of kube-state-metrics, of node_exporter, and ours.
const FOREIGN: [&str; 5] = ["kube_", "node_", "bundle_export_", "bundle_import_", "bundle_serve_"];

/// The names in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The tests are promises, and docs/threat-model.md names them as proofs: `cargo test NAME` must run one.
#[test]
fn every_test_that_the_documents_name_exists() {
    let tests: BTreeSet<String> = crate::sources::rust()
        .iter()
        .flat_map(|(_, text)| text.lines().map(str::trim).map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            let line = line.strip_prefix("async ").unwrap_or(&line);
            Some(line.strip_prefix("fn ")?.split_once('(')?.0.to_owned())
        })
        .collect();
    let mut known = 0;
    for (path, text) in documents() {
        for name in quoted(&text) {
            let words = name.split('_').count();
            let is_test =
                words >= 4 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if is_test && !FOREIGN.iter().any(|foreign| name.starts_with(foreign)) {
                assert!(tests.contains(name), "{}: there is no test {name}", path.display());
                known += 1;
            }
        }
    }
    assert!(known > 50, "only {known} tests are named");
}

/// Types in docs/architecture.md: a name that was changed in the code and not there sends readers astray.
#[test]
fn every_type_that_the_architecture_names_exists() {
    let sources = crate::sources::rust();
    let text = std::fs::read_to_string(crate::sources::root().join("docs/architecture.md")).unwrap();
    let mut known = 0;
    for name in quoted(&text) {
        let name = name.rsplit("::").next().unwrap();
        let is_type = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric())
            && name.chars().any(|c| c.is_ascii_lowercase());
        if !is_type {
            continue;
        }
        let exists = sources.iter().any(|(_, text)| {
            ["struct ", "enum ", "trait ", "type ", "union "]
                .iter()
                .any(|kind| text.contains(&format!("{kind}{name}")))
                || text.contains(&format!("    {name}("))
                || text.contains(&format!("    {name},"))
        });
        assert!(
            exists || ["Debug", "Display", "FromStr", "Read", "Cargo"].contains(&name),
            "there is no {name}"
        );
        known += 1;
    }
    assert!(known > 10, "only {known} types are named");
}

/// `a/b.rs`, or `b.rs` after another file of the same directory.
#[test]
fn every_file_that_the_architecture_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let mut named = 0;
    for line in prose(&text) {
        let mut beside = PathBuf::new();
        for name in quoted(line).filter(|name| !name.contains(' ')) {
            let path = Path::new(name);
            if name.contains('/') && !name.starts_with(['/', '-', '<', '.']) && !name.starts_with("cache/") {
                assert!(root.join(path).exists(), "{name} does not exist: {line}");
                beside = if name.ends_with('/') { path.into() } else { path.parent().unwrap().into() };
                named += 1;
            } else if name.ends_with(".rs") && !beside.as_os_str().is_empty() {
                assert!(
                    root.join(&beside).join(path).exists(),
                    "{name} is not in {}: {line}",
                    beside.display()
                );
            }
        }
    }
    assert!(named > 60, "the test finds {named} files");
}

/// docs/SUMMARY.md is the table of contents of the book that a release has.
#[test]
fn every_page_is_in_the_books_summary() {
    let root = crate::sources::root();
    let summary = std::fs::read_to_string(root.join("docs/SUMMARY.md")).unwrap();
    let listed: BTreeSet<&str> =
        prose(&summary).filter_map(|line| line.split_once("](")?.1.split(')').next()).collect();
    let pages = crate::sources::files().into_iter().filter_map(|path| {
        let page = path.strip_prefix(root.join("docs")).ok()?.to_str()?.to_owned();
        (page.ends_with(".md") && page != "SUMMARY.md").then_some(page)
    });
    let missing: Vec<String> = pages.filter(|page| !listed.contains(page.as_str())).collect();
    assert_eq!(missing, [""; 0], "these pages are not in docs/SUMMARY.md");
    let gone: Vec<&&str> = listed.iter().filter(|page| !root.join("docs").join(page).exists()).collect();
    assert!(gone.is_empty() && listed.len() > 15, "docs/SUMMARY.md names {gone:?}");
}

/// A release has one version: where people copy it from, it is that of Cargo.toml.
#[test]
fn the_version_is_the_same_everywhere() {
    let root = crate::sources::root();
    let version = env!("CARGO_PKG_VERSION");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let install = read("docs/install.md");
    for name in ["airgap-bundle-", "airgap-bundle_", "bundle-", "bundle:"] {
        for rest in install.split(name).skip(1).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            assert!(rest.starts_with(version), "docs/install.md: {name}{}", &rest[..10]);
        }
    }
    assert!(install.matches(version).count() > 10);
    for line in read("fuzz/Cargo.lock").split("[[package]]").filter(|it| it.contains("name = \"bundle-")) {
        let ours = line.contains(&format!("version = \"{version}\"")) || line.contains("bundle-fuzz");
        assert!(ours, "fuzz/Cargo.lock: {line}");
    }
    let mut images = 0;
    let manifests =
        crate::sources::files().into_iter().filter(|path| path.starts_with(root.join("manifests")));
    for path in manifests {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let Some((_, tag)) = line.split_once("platform/bundle:").or(line.split_once("newTag: ")) else {
                continue;
            };
            assert!(tag.starts_with(version), "{}: {line}", path.display());
            images += 1;
        }
    }
    assert!(images > 8, "{images} images of ours were found");
}
