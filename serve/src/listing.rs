//! The bundles of a directory, by their names, and the metadata of their files. Takes a directory, gives
//! candidates by the path that opens them; nothing is opened.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bundle_format::{bundle_of, has_content};

/// How the files of a bundle look from outside: of each its size, and the moment of its last change in seconds and
/// nanoseconds.
pub(crate) type Fingerprint = BTreeMap<String, (u64, i64, i64)>;

/// The bundles right below `directory`, at most so many, and whether there are more. Links, directories, hidden
/// files and those of other names are left alone.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn bundles(directory: &Path, most: usize) -> io::Result<(BTreeMap<PathBuf, Fingerprint>, bool)> {
    let mut found: BTreeMap<PathBuf, Fingerprint> = BTreeMap::new();
    let mut more = false;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(bundle) = bundle_of(name) else { continue };
        // One that vanished meanwhile is not there.
        let Ok(metadata) = entry.metadata() else { continue };
        let path = directory.join(bundle);
        if !metadata.is_file() || (found.len() >= most && !found.contains_key(&path)) {
            more |= metadata.is_file();
            continue;
        }
        let (seconds, nanoseconds) = bundle_os::change_time(&metadata);
        let look = (metadata.len(), seconds, nanoseconds);
        found.entry(path).or_default().insert(name.to_owned(), look);
    }
    found.retain(|path, files| {
        let bundle = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        files.keys().any(|name| has_content(name, bundle))
    });
    Ok((found, more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_bundle_is_left_alone_and_a_change_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for name in
            ["a.tar", "a.tar.0123456789abcdef.sig", "b.tar.001-of-002", "c.tar.head", ".d.tar", "e.txt"]
        {
            std::fs::write(root.join(name), "x").unwrap();
        }
        std::fs::create_dir(root.join("f.tar")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.join("g.tar")).unwrap();
        let (found, more) = bundles(root, 10).unwrap();
        let names: Vec<_> =
            found.iter().map(|(path, files)| (path.file_name().unwrap(), files.len())).collect();
        assert_eq!(names, [("a.tar".as_ref(), 2), ("b.tar".as_ref(), 1)]);
        assert!(!more);
        std::fs::write(root.join("b.tar.002-of-002"), "x").unwrap();
        let (again, _) = bundles(root, 10).unwrap();
        assert_eq!(again[&root.join("a.tar")], found[&root.join("a.tar")]);
        assert_ne!(again[&root.join("b.tar")], found[&root.join("b.tar")]);
        let (few, more) = bundles(root, 1).unwrap();
        assert!(few.len() <= 1 && more);
        assert!(bundles(&root.join("none"), 1).is_err());
    }
}
