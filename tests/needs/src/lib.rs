//! A test's needs from outside the checkout: programs such as `helm`, and the data that lies beside it. Each
//! function gives the path of a need that exists.
//!
//! Where it is missing, a test cannot prove its promise. With `BUNDLE_TESTS_COMPLETE=1` it then fails;
//! otherwise it goes without, and a line that names test and need is appended to the file that
//! `BUNDLE_TESTS_SKIPPED` names: `scripts/test` counts these in its last lines, because the output of a
//! passing test is hidden.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The program `name`, from `PATH` or from `~/go/bin`, where Go installs.
///
/// # Panics
/// It is missing and `BUNDLE_TESTS_COMPLETE=1`.
#[track_caller]
pub fn program(name: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        missing(&format!("the program {name}"));
    }
    found
}

/// The same of a program that no machine has to have, because it takes long to build: without it, the test is counted
/// among those that did not run, and demands nothing.
pub fn extra(name: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        note(&format!("the program {name}, which is not demanded,"));
    }
    found
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join("go/bin"));
    std::env::split_paths(&path).chain(home).map(|place| place.join(name)).find(|it| it.is_file())
}

/// A file or directory of `shared/`, which lies beside the checkout where the team works.
///
/// # Panics
/// It is missing and `BUNDLE_TESTS_COMPLETE=1`.
#[track_caller]
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let found = root.join(path).canonicalize().ok();
    if found.is_none() {
        missing(&format!("shared/{path} beside the checkout"));
    }
    found
}

/// Says that this test goes without something.
///
/// # Panics
/// With `BUNDLE_TESTS_COMPLETE=1`.
#[track_caller]
pub fn missing(what: &str) {
    let complete = std::env::var_os("BUNDLE_TESTS_COMPLETE").is_some_and(|value| value == "1");
    assert!(!complete, "{what} is missing, and BUNDLE_TESTS_COMPLETE=1 demands every test");
    note(what);
}

/// Says that this test goes without one of several things that a server beyond our control gives: an old release of
/// another project. It counts among the tests that did not run to their end, and demands nothing.
pub fn note(what: &str) {
    record(&format!("{what} is missing"));
}

/// Says that this test goes without what others publish, because a public host is not reached from here. A machine
/// without the world is no fault of its own: it demands nothing, and `scripts/test` has a line of its own for it.
pub fn not_fetched(what: &str, host: &str) {
    record(&format!("NOT fetched: {what}: {host} is not reached from here"));
}

fn record(text: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("{test}: {text}\n");
    if let Some(file) = std::env::var_os("BUNDLE_TESTS_SKIPPED")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(file)
    {
        let _ = file.write_all(line.as_bytes());
    }
}
