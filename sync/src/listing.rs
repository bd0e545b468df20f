//! The files of an inbox, an outbox or a directory of receipts, or its directories, in the order of their names.
//! Links, other kinds and names that are not UTF-8 are left alone: none of them is ours.

use std::fs::Metadata;
use std::io::Result;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// A file, or a directory, of the directory.
pub(crate) struct Listed {
    /// Its name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The operating system's error of it.
    pub(crate) metadata: Metadata,
}

/// The regular files right below `directory`, which is made if it is missing.
///
/// # Errors
/// The directory cannot be read or made. A file that vanishes meanwhile is not listed.
pub(crate) fn files(directory: &Path) -> Result<Vec<Listed>> {
    list(directory, Metadata::is_file)
}

/// The directories right below `directory`, which is made if it is missing.
///
/// # Errors
/// The directory cannot be read or made.
pub(crate) fn directories(directory: &Path) -> Result<Vec<Listed>> {
    list(directory, Metadata::is_dir)
}

fn list(directory: &Path, is_wanted: impl Fn(&Metadata) -> bool) -> Result<Vec<Listed>> {
    std::fs::create_dir_all(directory)?;
    let mut files = Vec::new();
    for entry in WalkDir::new(directory).min_depth(1).max_depth(1).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.depth() == 0 => return Err(error.into()),
            Err(_) => continue,
        };
        let (Some(name), Ok(metadata)) = (entry.file_name().to_str(), entry.metadata()) else { continue };
        if is_wanted(&metadata) {
            files.push(Listed { name: name.to_owned(), path: entry.path().to_owned(), metadata });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_listed_and_a_missing_directory_is_made() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/b");
        assert!(files(&directory).unwrap().is_empty());
        std::fs::write(directory.join("2"), "").unwrap();
        std::fs::write(directory.join("1"), "x").unwrap();
        std::fs::create_dir(directory.join("3")).unwrap();
        std::os::unix::fs::symlink(directory.join("1"), directory.join("4")).unwrap();
        let names: Vec<String> = files(&directory).unwrap().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["1", "2"]);
        let names: Vec<String> = directories(&directory).unwrap().into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["3"]);
        assert!(files(&directory.join("1")).is_err());
    }
}
