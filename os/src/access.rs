//! File access: modes, owners and identities, and files that are created with the right ones.
//! Takes files and paths; gives the access of a file, or a new file with it.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{OFlags, StatVfsMountFlags};

/// Read access to a new file. Only its owner may write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner.
    Owner,
    /// Everybody, as far as the process' mask allows.
    Everyone,
    /// Everybody, who may execute it as well.
    Program,
}

impl Access {
    pub(crate) fn file_mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everyone => 0o644,
            Self::Program => 0o755,
        }
    }

    fn directory_mode(self) -> u32 {
        match self {
            Self::Owner => 0o700,
            Self::Everyone | Self::Program => 0o755,
        }
    }
}

/// Makes a file that was not there, for writing.
///
/// # Errors
/// The operating system's error; [`ErrorKind::AlreadyExists`] for anything of that name, a link too.
pub fn create_new(path: &Path, access: Access) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(access.file_mode()).open(path)
}

/// Opens a file for writing, such as one to lock; makes it if it is not there, and cuts nothing.
///
/// # Errors
/// The operating system's error.
pub fn open_or_create(path: &Path, access: Access) -> Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(access.file_mode()).open(path)
}

/// Opens a file of ours for reading and writing, or makes it; never what a link leads to.
///
/// # Errors
/// The operating system's error; [`ErrorKind::InvalidInput`] for what is no regular file.
pub fn open_own(path: &Path) -> Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(Access::Everyone.file_mode())
        .custom_flags(flags.cast_signed())
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(Error::new(ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

/// Makes a directory and those above it, as far as they are missing.
///
/// # Errors
/// The operating system's error.
pub fn create_directory(path: &Path, access: Access) -> Result<()> {
    DirBuilder::new().recursive(true).mode(access.directory_mode()).create(path)
}

/// Says who may look into a directory.
///
/// # Errors
/// The operating system's error.
pub fn set_directory_access(path: &Path, access: Access) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(access.directory_mode()))
}

/// Says who may read a file.
///
/// # Errors
/// The operating system's error.
pub fn set_file_access(file: &File, access: Access) -> Result<()> {
    file.set_permissions(Permissions::from_mode(access.file_mode()))
}

/// The permission bits, with set-user-ID, set-group-ID and sticky.
pub fn mode(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

/// Whether the file belongs to the user that this process acts as.
pub fn is_mine(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Whether the file belongs to root, or to the user that this process acts as.
pub fn is_of_root_or_mine(metadata: &Metadata) -> bool {
    metadata.uid() == 0 || is_mine(metadata)
}

/// The first of the directories above a file in which anybody may replace files: writable by all, not sticky, and on a
/// medium that can be written (a volume of Kubernetes is open to all, and read-only).
pub fn open_to_all_above(path: &Path) -> Option<&Path> {
    let is_open = |directory: &&Path| {
        let Ok(metadata) = directory.metadata() else { return false };
        let open = mode(&metadata) & 0o002 != 0 && mode(&metadata) & 0o1000 == 0;
        open && rustix::fs::statvfs(*directory)
            .is_ok_and(|medium| !medium.f_flag.contains(StatVfsMountFlags::RDONLY))
    };
    path.ancestors().skip(1).filter(|directory| !directory.as_os_str().is_empty()).find(is_open)
}

/// Whether both are the same file, under any names.
pub fn same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The bytes that a file takes on its medium; fewer than its length where it has holes.
pub fn allocated(metadata: &Metadata) -> u64 {
    // stat(2): blocks are of 512 bytes, on any file system.
    metadata.blocks().saturating_mul(512)
}

/// When the content last changed: seconds and nanoseconds since 1970.
pub fn change_time(metadata: &Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_have_their_access_from_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("a/b");
        create_directory(&inner, Access::Owner).unwrap();
        assert_eq!(mode(&inner.metadata().unwrap()), 0o700);
        set_directory_access(&inner, Access::Everyone).unwrap();
        assert_eq!(mode(&inner.metadata().unwrap()), 0o755);
        let path = inner.join("file");
        let file = create_new(&path, Access::Owner).unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(mode(&metadata), 0o600);
        assert!(is_mine(&metadata) && same_file(&metadata, &path.metadata().unwrap()));
        assert_eq!(create_new(&path, Access::Owner).unwrap_err().kind(), ErrorKind::AlreadyExists);
        open_or_create(&path, Access::Everyone).unwrap();
        assert_eq!(mode(&path.metadata().unwrap()), 0o600);
    }

    #[test]
    fn a_file_of_ours_is_no_link_and_no_directory() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &link).unwrap();
        assert!(open_own(&link).is_err());
        assert!(!directory.path().join("elsewhere").exists());
        assert!(open_own(directory.path()).is_err());
        open_own(&directory.path().join("own")).unwrap();
    }
}
