//! Writing small files of ours: whole under their names, on the medium, or not at all.
//! Takes a path and all bytes; on an error the old file is as it was.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::{Access, create_new};

/// A small file of ours that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written", .path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

/// Writes a small file and brings it to disk. It appears under its name whole, in place of the one
/// that was there: nobody ever reads half of it, whatever ends the program.
///
/// # Errors
/// The system refused; the earlier file is as it was.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes, Access::Everyone)
}

/// As [`replace_file`], for what nobody but its owner may read.
///
/// # Errors
/// The system refused; the earlier file is as it was.
pub fn replace_secret(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes, Access::Owner)
}

fn replace(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let failed = |source| FileError { path: path.to_owned(), source };
    let mut file = tempfile::Builder::new()
        .prefix(".bundle-")
        .suffix(".new")
        .permissions(Permissions::from_mode(access.file_mode()))
        .tempfile_in(directory_of(path))
        .map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    sync_directory(path).map_err(failed)
}

/// Writes a small file that was not there, and brings it to disk.
///
/// # Errors
/// The system refused, and there is no file; [`std::io::ErrorKind::AlreadyExists`] if there is one.
pub fn create_file(path: &Path, bytes: &[u8], access: Access) -> std::io::Result<()> {
    let mut file = create_new(path, access)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| sync_directory(path));
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Brings the directory of a file to disk, and so the file's name.
///
/// # Errors
/// The system refused, other than because a directory cannot be brought to disk there: FAT and some
/// network file systems cannot.
pub fn sync_directory(path: &Path) -> std::io::Result<()> {
    use std::io::ErrorKind::{InvalidInput, Unsupported};
    match File::open(directory_of(path)).and_then(|directory| directory.sync_all()) {
        Err(error) if !matches!(error.kind(), InvalidInput | Unsupported) => Err(error),
        _ => Ok(()),
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let other = directory.path().join("b");
        std::fs::write(&other, "other").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        replace_file(&path, b"one").unwrap();
        replace_file(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read(&other).unwrap(), b"other");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
        assert!(replace_file(&directory.path().join("none/a"), b"").is_err());
        replace_secret(&path, b"three").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_new_file_is_whole_or_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        create_file(&path, b"one", Access::Owner).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = create_file(&path, b"two", Access::Owner).unwrap_err();
        assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
    }
}
