//! Guards against overwriting: only an empty file, or a regular file that begins like ours, may be replaced.
//! Takes a path and how to recognise a file of ours; gives permission to replace it.

use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use crate::replace::FileError;
use crate::{open, replace_file};

/// How many bytes of a file are looked at.
const START: u64 = 512;

/// Makes sure that to write a file at `path` loses nothing of another's: there is nothing, or a regular file
/// that is empty or of which `is_ours` says that it is one of ours, by its first bytes and its length.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for a device, a directory, a FIFO or a link, [`ErrorKind::AlreadyExists`] for
/// another file; or what the system says.
pub fn may_replace(path: &Path, is_ours: impl Fn(&[u8], u64) -> bool) -> std::result::Result<(), FileError> {
    look(path, is_ours).map_err(|source| FileError { path: path.to_owned(), source })
}

/// [`replace_file`], of what [`may_replace`] allows.
///
/// # Errors
/// As [`may_replace`], or the file cannot be written.
pub fn replace_own(
    path: &Path,
    bytes: &[u8],
    is_ours: impl Fn(&[u8], u64) -> bool,
) -> std::result::Result<(), FileError> {
    may_replace(path, is_ours)?;
    replace_file(path, bytes)
}

fn look(path: &Path, is_ours: impl Fn(&[u8], u64) -> bool) -> Result<()> {
    let metadata = match path.symlink_metadata() {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is not a regular file, and is left as it is"));
    }
    let mut start = Vec::new();
    open(path)?.take(START).read_to_end(&mut start)?;
    match metadata.len() == 0 || is_ours(&start, metadata.len()) {
        true => Ok(()),
        false => {
            Err(Error::new(ErrorKind::AlreadyExists, "another file has this name, and is left as it is"))
        }
    }
}

/// Whether a file begins as a JSON object whose first field is this one: documents of ours begin with their
/// version. A file that ends within the name counts too.
pub fn begins_with_field(start: &[u8], field: &str) -> bool {
    let Some(rest) = start.trim_ascii_start().strip_prefix(b"{") else { return false };
    let (rest, wanted) = (rest.trim_ascii_start(), format!("\"{field}\""));
    rest.starts_with(wanted.as_bytes())
        || (!start.is_empty() && wanted.as_bytes().starts_with(rest.trim_ascii_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_ours_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let ours = |start: &[u8], _: u64| begins_with_field(start, "receiptVersion");
        let write = |content: &str| {
            std::fs::write(&path, content).unwrap();
            replace_own(&path, b"{\"receiptVersion\":1}", ours)
        };
        for fine in ["", "{\"receiptVersion\":1}", " {\n  \"receiptVersion\": 7", "{\"receipt", "{"] {
            assert!(write(fine).is_ok(), "{fine}");
        }
        for other in ["-----BEGIN PRIVATE KEY-----", "{\"stateVersion\":1}", "x", "[]", " "] {
            let error = write(other).unwrap_err();
            assert_eq!(error.source.kind(), ErrorKind::AlreadyExists, "{other}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(replace_own(&path, b"{}", ours).is_ok());
        for place in ["/dev/null", "/", "."] {
            let error = replace_own(Path::new(place), b"{}", ours).unwrap_err();
            assert_eq!(error.source.kind(), ErrorKind::InvalidInput, "{place}");
        }
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(may_replace(&link, ours).unwrap_err().source.kind(), ErrorKind::InvalidInput);
    }
}
