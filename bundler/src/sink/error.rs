//! Why a bundle cannot be written: facts, with the file and what was tried.
//! Takes the system's errors; the command maps each to an exit code and a hint.

use std::path::PathBuf;

use bundle_format::FileError;
use bundle_oci::ByteCount;

use crate::{CreateShard, Limits};

/// Why a bundle cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// A path that ends in a slash, or names a directory otherwise.
    #[error("{} names no file", .0.display())]
    NoName(PathBuf),
    /// The file exists already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Another run writes the same file.
    #[error("another run is writing {}", .0.display())]
    Busy(PathBuf),
    /// The statement beside the bundle is not the one that this shard would write.
    #[error("{} is the statement of another bundle than this shard would write", .0.display())]
    OtherStatement(PathBuf),
    /// Shards of a compact encoding that do not fit together.
    #[error("shard {shard} of {} was made with other bases than the others", .path.display())]
    OtherShard {
        /// The bundle.
        path: PathBuf,
        /// The shard.
        shard: CreateShard,
    },
    /// Not enough room.
    #[error("{} needs {}, and {} are free", .path.display(), ByteCount(*.needed), ByteCount(*.available))]
    Space {
        /// The file.
        path: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        available: u64,
    },
    /// A file system that cannot hold so large a file.
    #[error("{} would have {}, more than its file system (FAT) can hold in one file", .path.display(), ByteCount(*.size))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How large it would be.
        size: u64,
    },
    /// More volumes than a set can have.
    #[error("{} would have {volumes} volumes, more than a set can have", .path.display())]
    TooManyVolumes {
        /// The file.
        path: PathBuf,
        /// How many.
        volumes: usize,
    },
    /// Volumes into which no frame of a compressed bundle fits, so that none could be used alone.
    #[error("{} is compressed, and its volumes must have at least {} MiB", .0.display(), Limits::DEFAULT.compressed_volume >> 20)]
    SmallVolumes(PathBuf),
    /// More volumes than there can be parity for.
    #[error("{}: {source}", .path.display())]
    Parity {
        /// The bundle.
        path: PathBuf,
        /// The cause.
        source: bundle_format::TooManyShards,
    },
    /// A small file beside the volumes cannot be written.
    #[error(transparent)]
    Beside(#[from] FileError),
    /// The system refused.
    #[error("{} cannot be {doing}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The action that failed.
        doing: &'static str,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The reader of the pipe is gone, or the system refused.
    #[error("the bundle cannot be written to the pipe")]
    Pipe(#[source] std::io::Error),
}
