//! Where files stand, how they begin, and which names stay behind their seam.
//! Takes the sources of the checkout.

use std::collections::BTreeMap;
use std::path::Path;

use crate::sources::{files, root, rust, without_tests};

/// How many files a directory may hold side by side, so that a person sees all of them at once.
const MOST_FILES: usize = 30;

#[test]
fn the_operating_system_has_one_seam() {
    let mut beyond = Vec::new();
    for (path, text) in rust() {
        if path.starts_with("os") || path.starts_with("tests") {
            continue;
        }
        for name in ["std::os::unix", "std::os::linux", "std::os::fd", "rustix", "libc::", "signal::unix"] {
            if without_tests(&text).contains(name) {
                beyond.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(beyond.is_empty(), "only os/ may name these:\n{}", beyond.join("\n"));
}

#[test]
fn mod_files_have_no_logic() {
    let with: Vec<String> = rust()
        .into_iter()
        .filter(|(path, text)| {
            path.file_name().is_some_and(|name| name == "mod.rs")
                && !path.starts_with("cli")
                && text.lines().any(|line| line.starts_with("fn ") || line.starts_with("pub(crate) fn "))
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(with.is_empty(), "these mod.rs have functions:\n{}", with.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_what_it_takes_and_gives() {
    let silent: Vec<String> = rust()
        .into_iter()
        .filter(|(_, text)| text.lines().take_while(|line| line.starts_with("//!")).count() < 2)
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "these do not open with two lines of //!:\n{}", silent.join("\n"));
}

#[test]
fn no_directory_is_a_heap() {
    let files = files();
    let mut directories: BTreeMap<&Path, usize> = BTreeMap::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
        *directories.entry(path.parent().unwrap()).or_default() += 1;
    }
    let heaps: Vec<String> = directories
        .iter()
        .filter(|(_, files)| **files > MOST_FILES)
        .map(|(path, files)| format!("{}: {files}", path.strip_prefix(root()).unwrap().display()))
        .collect();
    assert!(heaps.is_empty(), "more than {MOST_FILES} files side by side:\n{}", heaps.join("\n"));
}
