//! Writing small files of ours: whole under their names, on the medium, or not at all.
//! Takes a path and all bytes; on an error the old file is as it was.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Access, create_new};

/// A small file of ours that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written", .path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// The operating system's error.
    pub source: std::io::Error,
}

/// Writes a small file and syncs it to disk. It replaces the file of that name atomically: no reader ever
/// sees half of it, even after a crash.
///
/// # Errors
/// The system refused; the earlier file is as it was.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes, Access::Everyone)
}

/// As [`replace_file`], for a file that only its owner may read.
///
/// # Errors
/// The system refused; the earlier file is as it was.
pub fn replace_secret(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes, Access::Owner)
}

/// How often a file that is being written may be taken for a leftover, in the moment before it is locked.
const TRIES: usize = 8;

fn replace(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let mut tries = 1;
    loop {
        match replace_once(path, bytes, access) {
            Err(error) if error.source.kind() == ErrorKind::NotFound && tries < TRIES => tries += 1,
            replaced => return replaced,
        }
    }
}

fn replace_once(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let failed = |source| FileError { path: path.to_owned(), source };
    // A device or a directory is never replaced by a file; a link is, and not what it leads to.
    if path.symlink_metadata().is_ok_and(|there| !there.is_file() && !there.is_symlink()) {
        return Err(failed(Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file, and is left as it is",
        )));
    }
    clear_leftovers(directory_of(path));
    let mut file = tempfile::Builder::new()
        .prefix(BEGIN)
        .suffix(END)
        .permissions(Permissions::from_mode(access.file_mode()))
        .tempfile_in(directory_of(path))
        .map_err(failed)?;
    // As long as it is locked, no other run takes it for a leftover. Some network file systems have no locks.
    let _ = file.as_file().try_lock();
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    sync_directory(path).map_err(failed)
}

const BEGIN: &str = ".bundle-";
const END: &str = ".new";

/// Directories in which leftovers were looked for: once in a run is enough.
static CLEARED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Removes half-written files of a killed run from a directory. Files in use are locked.
fn clear_leftovers(directory: &Path) {
    let mut cleared = CLEARED.lock().unwrap_or_else(PoisonError::into_inner);
    if !cleared.insert(directory.to_owned()) {
        return;
    }
    drop(cleared);
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(BEGIN) && name.ends_with(END));
        if ours
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && let Ok(file) = crate::open(&entry.path())
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes a small new file, and syncs it to disk.
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

/// Syncs the directory of a file to disk, and so the file's name.
///
/// # Errors
/// The system refused, other than because a directory cannot be synced there: FAT and some network file
/// systems cannot.
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
    fn what_a_killed_run_left_is_cleared_and_what_another_writes_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let [left, used, other] =
            [".bundle-abc.new", ".bundle-def.new", ".other.new"].map(|name| directory.path().join(name));
        for path in [&left, &used, &other] {
            std::fs::write(path, "half").unwrap();
        }
        let writer = File::open(&used).unwrap();
        writer.try_lock().unwrap();
        replace_file(&directory.path().join("a"), b"one").unwrap();
        assert!(!left.exists() && used.exists() && other.exists());
    }

    #[test]
    fn a_device_is_never_replaced() {
        let error = replace_file(Path::new("/dev/null"), b"one").unwrap_err();
        assert_eq!(error.source.kind(), ErrorKind::InvalidInput);
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
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
