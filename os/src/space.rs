//! Room on a file system, what kind it is, and bringing all of it to the medium.
//! Takes an open file or a path, gives bytes.

use std::fs::File;
use std::io::{Error, Result};
use std::path::Path;

use rustix::fs::{FallocateFlags, StatVfs};
use rustix::io::Errno;

/// The result of a preallocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preallocated {
    /// The file has the room.
    Done,
    /// The file system cannot promise room. Files are right without it.
    Unsupported,
    /// There is not so much room, or the user's quota ends.
    NoSpace,
}

/// Takes room for `size` bytes from a file's start.
///
/// # Errors
/// The operating system's error, other than the cases of [`Preallocated`].
pub fn preallocate(file: &File, size: u64) -> Result<Preallocated> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => Ok(Preallocated::Done),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Preallocated::Unsupported),
        Err(Errno::NOSPC | Errno::DQUOT) => Ok(Preallocated::NoSpace),
        Err(error) => Err(Error::from(error)),
    }
}

/// The bytes that this user may still write to a file's file system.
///
/// # Errors
/// The operating system's error.
pub fn available(file: &File) -> Result<u64> {
    Ok(free(&rustix::fs::fstatvfs(file)?))
}

/// As [`available`], by a path on the file system.
///
/// # Errors
/// The operating system's error.
pub fn available_at(path: &Path) -> Result<u64> {
    Ok(free(&rustix::fs::statvfs(path)?))
}

fn free(found: &StatVfs) -> u64 {
    found.f_bavail.saturating_mul(found.f_frsize)
}

/// Syncs all of a file's file system to disk: cheaper than to sync thousands of files in turn.
///
/// # Errors
/// The operating system's error.
pub fn sync_file_system(file: &File) -> Result<()> {
    Ok(rustix::fs::syncfs(file)?)
}

/// The properties of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// Any place of a file can be written first.
    Any,
    /// FAT: writing at a place fills all before it with zeros, and files end at 4 GiB.
    Fat,
    /// As FAT, without the bound: exFAT, NTFS, and what a FUSE program stands before.
    InOrder,
}

/// The properties of a file's file system.
///
/// # Errors
/// The operating system's error.
pub fn volume(file: &File) -> Result<Volume> {
    // statfs(2), and the kernel's magic.h for exFAT's.
    const MSDOS: u64 = 0x4d44;
    const EXFAT: u64 = 0x2011_bab0;
    const FUSE: u64 = 0x6573_5546;
    const NTFS: u64 = 0x5346_544e;
    let kind = rustix::fs::fstatfs(file)?.f_type as u64 & 0xffff_ffff;
    Ok(match kind {
        MSDOS => Volume::Fat,
        EXFAT | FUSE | NTFS => Volume::InOrder,
        _ => Volume::Any,
    })
}
