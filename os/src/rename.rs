//! Giving a file its final name, which nothing else may have.
//! Takes two paths on one file system; fails if the second exists.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Renames a file, and replaces nothing.
///
/// # Errors
/// The operating system's error; [`ErrorKind::AlreadyExists`] if the name is taken.
pub fn rename_new(from: &Path, to: &Path) -> Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // File systems without the flag, such as FAT before Linux 6: another process could take the name
        // between the check and the rename, which is the best that they offer.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match to.symlink_metadata() {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(_) => std::fs::rename(from, to),
        },
        Err(error) => Err(Error::from(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_name_keeps_it() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("1"), directory.path().join("2"));
        std::fs::write(&one, "1").unwrap();
        std::fs::write(&two, "2").unwrap();
        assert_eq!(rename_new(&one, &two).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&two).unwrap(), b"2");
        std::fs::remove_file(&two).unwrap();
        rename_new(&one, &two).unwrap();
        assert_eq!(std::fs::read(&two).unwrap(), b"1");
    }
}
