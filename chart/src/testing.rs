//! What tests do that cannot run here.
//! Takes what is missing; fails where everything must run, else notes it for `scripts/test`.

use std::io::Write as _;

/// Says that a test cannot run: with `BUNDLE_TESTS_COMPLETE=1` it fails, else a line goes to the file
/// that `BUNDLE_TESTS_SKIPPED` names, for captured output of tests that pass is shown to nobody.
pub(crate) fn missing(what: &str) {
    let complete = std::env::var_os("BUNDLE_TESTS_COMPLETE").is_some_and(|value| value == "1");
    assert!(!complete, "{what} is missing, and BUNDLE_TESTS_COMPLETE=1 demands every test");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    if let Some(file) = std::env::var_os("BUNDLE_TESTS_SKIPPED")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(file)
    {
        let _ = writeln!(file, "{test}: {what} is missing");
    }
    eprintln!("skipped: {test}: {what} is missing");
}
