//! The bundles of a directory, by their names, and the metadata of their files. Takes a directory, gives
//! candidates by the path that opens them; nothing is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

use bundle_format::{bundle_of, has_content};

/// How the files of a bundle look from outside: of each its size, and the moment of its last change in seconds and
/// nanoseconds. Countersignatures are one entry together, [`BESIDE`]: anyone may put a million of them there.
pub(crate) type Fingerprint = BTreeMap<String, (u64, i64, i64)>;

/// The entry of countersignatures, and of files beyond [`FILES`]: a sum over what each is, and how many there are.
const BESIDE: &str = "";

/// Files of one bundle that are remembered each: a set has at most 999 volumes, and as many of parity.
const FILES: usize = 2048;

/// Whether the content of a bundle looks the same, whatever signatures came to it.
pub(crate) fn same_content(one: &Fingerprint, other: &Fingerprint) -> bool {
    let content = |files: &Fingerprint| {
        files.iter().filter(|(name, _)| *name != BESIDE).map(|(name, look)| (name.clone(), *look)).collect()
    };
    let (one, other): (Fingerprint, Fingerprint) = (content(one), content(other));
    one == other
}

/// Whether a file with content of a bundle is still there, whatever a list of its directory says.
pub(crate) fn is_there(path: &Path, files: &Fingerprint) -> bool {
    let bundle = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    files
        .keys()
        .filter(|name| has_content(name, bundle))
        .any(|name| path.with_file_name(name).symlink_metadata().is_ok_and(|metadata| metadata.is_file()))
}

/// The bundles right below `directory`, and whether there are more. Links, directories, hidden files and those of
/// other names are left alone. All of `known` that are there are among them, and so many others that there are at
/// most `most` in all: files that anyone puts there do not hide what is served.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn bundles(
    directory: &Path,
    most: usize,
    known: &BTreeSet<PathBuf>,
) -> io::Result<(BTreeMap<PathBuf, Fingerprint>, bool)> {
    let mut found: BTreeMap<PathBuf, Fingerprint> = BTreeMap::new();
    let (mut more, mut room) = (false, most.saturating_sub(known.len()));
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(bundle) = bundle_of(name) else { continue };
        // One that vanished meanwhile is not there.
        let Ok(metadata) = entry.metadata() else { continue };
        if !metadata.is_file() {
            continue;
        }
        let path = directory.join(bundle);
        if !found.contains_key(&path) && !known.contains(&path) {
            if room == 0 {
                more = true;
                continue;
            }
            room -= 1;
        }
        let (seconds, nanoseconds) = bundle_os::change_time(&metadata);
        let look = (metadata.len(), seconds, nanoseconds);
        let files = found.entry(path).or_default();
        if name.ends_with(".sig") || files.len() >= FILES {
            let mut hasher = DefaultHasher::new();
            (name, look).hash(&mut hasher);
            let (sum, count, _) = files.entry(BESIDE.to_owned()).or_default();
            (*sum, *count) = (sum.wrapping_add(hasher.finish()), count.wrapping_add(1));
        } else {
            files.insert(name.to_owned(), look);
        }
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
        let none = BTreeSet::new();
        let (found, more) = bundles(root, 10, &none).unwrap();
        let names: Vec<_> =
            found.iter().map(|(path, files)| (path.file_name().unwrap(), files.len())).collect();
        assert_eq!(names, [("a.tar".as_ref(), 2), ("b.tar".as_ref(), 1)]);
        assert!(!more);
        std::fs::write(root.join("b.tar.002-of-002"), "x").unwrap();
        let (again, _) = bundles(root, 10, &none).unwrap();
        assert_eq!(again[&root.join("a.tar")], found[&root.join("a.tar")]);
        assert_ne!(again[&root.join("b.tar")], found[&root.join("b.tar")]);
        let (few, more) = bundles(root, 1, &none).unwrap();
        assert!(few.len() <= 1 && more);
        assert!(bundles(&root.join("none"), 1, &none).is_err());
    }

    #[test]
    fn junk_does_not_hide_what_is_known_and_signatures_take_no_room() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::write(root.join("good.tar"), "x").unwrap();
        let known = BTreeSet::from([root.join("good.tar")]);
        let (before, _) = bundles(root, 4, &known).unwrap();
        for number in 0..3000 {
            std::fs::write(root.join(format!("junk-{number}.tar")), "x").unwrap();
            std::fs::write(root.join(format!("good.tar.{number:016x}.sig")), "x").unwrap();
        }
        let (found, more) = bundles(root, 4, &known).unwrap();
        let good = &found[&root.join("good.tar")];
        assert!(found.len() == 4 && more && good.len() == 2, "{found:?}");
        assert!(same_content(good, &before[&root.join("good.tar")]));
        std::fs::write(root.join("good.tar.0000000000000001.sig"), "other").unwrap();
        let (again, _) = bundles(root, 4, &known).unwrap();
        assert_ne!(&again[&root.join("good.tar")], good, "a change is still seen");
        assert!(is_there(&root.join("good.tar"), good));
        std::fs::remove_file(root.join("good.tar")).unwrap();
        assert!(!is_there(&root.join("good.tar"), good));
    }
}
