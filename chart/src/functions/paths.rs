//! Template functions for paths (Go's `path` and `filepath`).
//! Take texts; give texts.

use super::{Call, Failure, Function};
use crate::Value;

// The functions for the machine's own paths are those of Unix, on any machine.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("base", 1, |call| call.give(base(call.string(0)?))),
    Function::fixed("osBase", 1, |call| call.give(base(call.string(0)?))),
    Function::fixed("dir", 1, |call| call.give(dir(call.string(0)?))),
    Function::fixed("osDir", 1, |call| call.give(dir(call.string(0)?))),
    Function::fixed("clean", 1, |call| call.give(clean(call.string(0)?))),
    Function::fixed("osClean", 1, |call| call.give(clean(call.string(0)?))),
    Function::fixed("ext", 1, |call| call.give(ext(call.string(0)?))),
    Function::fixed("osExt", 1, |call| call.give(ext(call.string(0)?))),
    Function::fixed("isAbs", 1, is_absolute),
    Function::fixed("osIsAbs", 1, is_absolute),
];

fn is_absolute(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Bool(call.string(0)?.starts_with('/')))
}

/// `path.Base`
pub(super) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    match path.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |slash| &path[..=slash]))
}

fn ext(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').map_or("", |dot| &name[dot..])
}

/// `path.Clean`: the shortest path that means the same.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_go() {
        for (path, base_name, directory, cleaned, extension) in [
            ("", ".", ".", ".", ""),
            ("/", "/", "/", "/", ""),
            ("a/b.c", "b.c", "a", "a/b.c", ".c"),
            ("a/b/", "b", "a/b", "a/b", ""),
            ("/a/../../b", "b", "/", "/b", ""),
            ("../a/./b//c", "c", "../a/b", "../a/b/c", ""),
            ("a.tar.gz", "a.tar.gz", ".", "a.tar.gz", ".gz"),
            ("a.b/c", "c", "a.b", "a.b/c", ""),
        ] {
            assert_eq!(base(path), base_name, "{path}");
            assert_eq!(dir(path), directory, "{path}");
            assert_eq!(clean(path), cleaned, "{path}");
            assert_eq!(ext(path), extension, "{path}");
        }
    }
}
