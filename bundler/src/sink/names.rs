//! The names of files until they are complete, and opening them so that only one run writes them. Takes the
//! path of the bundle, gives the hidden names beside it and the files open for one writer.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::OutputError;

/// `.NAME.END` beside `NAME`.
pub(crate) fn hidden(path: &Path, end: &str) -> PathBuf {
    let mut hidden = OsString::from(".");
    hidden.push(path.file_name().unwrap_or_default());
    hidden.push(".");
    hidden.push(end);
    path.with_file_name(hidden)
}

/// The name of a file, or of one of its volumes, until it is complete.
pub(crate) fn partial(path: &Path, volume: Option<usize>) -> PathBuf {
    match volume {
        Some(number) => hidden(path, &format!("{number:03}.partial")),
        None => hidden(path, "partial"),
    }
}

/// Opens one of our files, and no other file that was put in its place.
pub(crate) fn open_own(path: &Path) -> Result<File, OutputError> {
    bundle_os::open_own(path).map_err(|source| OutputError::Io {
        path: path.to_owned(),
        doing: "opened",
        source,
    })
}

/// The last part of a path, unless the path can only be a directory's: `dir/`, `dir/.`, `..`.
pub(crate) fn file_name(path: &Path) -> Option<&OsStr> {
    let name = path.file_name()?;
    path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes()).then_some(name)
}

/// The directory that a path's file is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Locks an open partial file, and says whether it is still one: the run that held the lock until
/// then may have given this very file its final name, or cleared it away.
pub(crate) fn claim(file: &File, path: &Path, partial: &Path) -> Result<bool, OutputError> {
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Err(OutputError::Busy(path.to_owned())),
        // Some network file systems have no locks; two runs at once are then the user's care.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(is_at(file, partial)),
    }
}

/// Whether a path leads to this open file.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(open), Ok(there)) => bundle_os::same_file(&open, &there),
        _ => false,
    }
}
