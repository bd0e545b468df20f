//! The receipts and bundles that a command names, or that lie in directories that it names.
//! Takes paths, gives the files in the order of their names; none is left out without a word.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bundle_format::{bundle_of, has_content};
use bundle_os::begins_with_field;

use crate::Limits;

/// Why files cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A directory that cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// More than [`Limits`] allow.
    #[error("{} has more than the {limit} {what} allowed", .path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
}

/// The receipts that were named, and those right below directories that were: JSON that is neither the plan nor the
/// record of a removal.
///
/// # Errors
/// Any [`FilesError`].
pub fn receipt_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FilesError> {
    each(paths, "receipts", |directory, name| {
        is_receipt(name, &directory.join(name)).then(|| name.to_owned())
    })
}

/// The bundles that were named, and those right below directories that were, each once, by its name as one file.
///
/// # Errors
/// Any [`FilesError`].
pub fn bundle_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FilesError> {
    // A signature or an index that came before its bundle is none.
    each(paths, "bundles", |_, name| {
        bundle_of(name).filter(|bundle| has_content(name, bundle)).map(str::to_owned)
    })
}

fn each(
    paths: &[PathBuf],
    what: &'static str,
    is_one: impl Fn(&Path, &str) -> Option<String>,
) -> Result<Vec<PathBuf>, FilesError> {
    let limit = Limits::DEFAULT.files;
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = |source| FilesError::Read { path: path.clone(), source };
        let mut below = BTreeSet::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) {
                below.extend(is_one(path, name));
            }
            if below.len() > limit {
                return Err(FilesError::TooMany { path: path.clone(), what, limit });
            }
        }
        files.extend(below.into_iter().map(|name| path.join(name)));
    }
    Ok(files)
}

/// Whether a file of a directory is a receipt. One that was cut off, or cannot be read, is one: that must be said.
fn is_receipt(name: &str, path: &Path) -> bool {
    if !name.ends_with(".json") || name.ends_with(".volumes.json") || name.ends_with(".bundle.json") {
        return false;
    }
    let mut start = [0; 64];
    let read = bundle_os::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut start));
    let start = read.map_or(&[][..], |length| start.get(..length).unwrap_or_default());
    // What ends before the field's name is no plan that is written yet, but a file that was cut off.
    let is = |field: &str| {
        start.windows(field.len()).any(|part| part == field.as_bytes()) && begins_with_field(start, field)
    };
    !is("planVersion") && !is("removalVersion")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: Vec<PathBuf>) -> Vec<String> {
        files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_directory_gives_its_receipts_in_order_and_no_plans_or_records() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.json", "{\"receiptVersion\":1}"),
            ("a.json", "{\"receiptVersion\":1}"),
            ("a.json.sig", "x"),
            ("empty.json", ""),
            ("cut.json", "{"),
            (".hidden.json", "{}"),
            ("removals.json", "{\n  \"planVersion\": 1\n}"),
            ("removals.record.json", "{\"removalVersion\":1}"),
            ("a.tar.volumes.json", "{\"volumesVersion\":1}"),
        ] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let found = receipt_files(&[directory.path().to_owned(), "named.json".into()]).unwrap();
        // A receipt that was cut off is one that cannot be read, and that must be said.
        assert_eq!(names(found), ["a.json", "b.json", "cut.json", "empty.json", "named.json"]);
        assert!(receipt_files(&[directory.path().join("a.json")]).unwrap().len() == 1);
    }

    #[test]
    fn a_directory_gives_each_bundle_once_whatever_lies_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "b.tar",
            "b.tar.0123456789abcdef.sig",
            "a.tar.001-of-002",
            "a.tar.002-of-002",
            "a.tar.volumes.json",
            "alone.tar.volumes.json",
            "notes.txt",
        ] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(names(bundle_files(&[directory.path().to_owned()]).unwrap()), ["a.tar", "b.tar"]);
        assert!(matches!(bundle_files(&["/nowhere".into()]), Ok(files) if files.len() == 1));
    }
}
