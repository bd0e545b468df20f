//! What the documents say of each other.
//! Takes the Markdown files of the repository; every link between them leads to a file and a heading.

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
