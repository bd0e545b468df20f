//! Why a medium cannot be opened: facts, with the file.
//! Takes the system's errors and what the files say; the command maps each to an exit code.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::{CompactError, CompressedError, VolumeIndexError};

/// Why a medium cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum MediumError {
    /// A file that cannot be opened.
    #[error("{} cannot be opened", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A compressed file that cannot be read at any place.
    #[error("{}: {source}", .path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: CompressedError,
    },
    /// A compact encoding that cannot be read.
    #[error("{}: {source}", .path.display())]
    Compact {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: CompactError,
    },
    /// An index of volumes that cannot be used.
    #[error("{}: {source}", .path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: VolumeIndexError,
    },
    /// An index of volumes of another bundle.
    #[error("{} belongs to another bundle than the volumes beside it", .0.display())]
    OtherIndex(PathBuf),
    /// Volumes whose offsets are unknown.
    #[error("{} is missing, which says where each volume belongs", .0.display())]
    NoIndex(PathBuf),
    /// No volume at all.
    #[error("no volume of {} was found", .0.display())]
    NoVolume(PathBuf),
    /// A volume whose name says that it is of another set.
    #[error("{} is of another set: this one has {of} volumes", .path.display())]
    OtherSet {
        /// The volume.
        path: PathBuf,
        /// How many volumes this set has.
        of: usize,
    },
    /// A volume that is cut short, or of another set.
    #[error("{} has {found} bytes instead of {expected}: it is damaged, or of another set", .path.display())]
    VolumeSize {
        /// The volume.
        path: PathBuf,
        /// How many bytes it should have.
        expected: u64,
        /// How many it has.
        found: u64,
    },
}

/// Opens a file that is neither a device nor a pipe.
pub(crate) fn open_regular(path: &Path) -> Result<File, MediumError> {
    bundle_os::open(path).map_err(|source| MediumError::Open { path: path.to_owned(), source })
}
