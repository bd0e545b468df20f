//! Where files stand, how they begin, and which names stay behind their seam.

use crate::sources::{rust, without_tests};

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
