//! Why a bundle could not be made, and what happens to what was fetched for it.
//! Takes the errors of registries, media and sinks; gives one type that names the blob and its image.

use bundle_oci::{ByteCount, Digest};
use bundle_registry::Error;

use crate::{LocalError, OutputError};

/// Why a bundle could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A blob could not be fetched.
    #[error("blob {digest} ({}) cannot be fetched", ByteCount(*.size))]
    Fetch {
        /// The blob.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The state of the fetched bytes.
        kept: Salvage,
        /// Why not.
        source: FetchCause,
    },
    /// The file or the pipe could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The run was asked to end while it encoded what is fetched.
    #[error("the layers are not encoded yet")]
    Stopped(#[source] Error),
    /// A part of the program ended before it should.
    #[error("a task ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// Why the bytes of a blob cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchCause {
    /// The registry or web server.
    #[error(transparent)]
    Registry(#[from] Error),
    /// The local source.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// No image's repository is known for it.
    #[error("blob {0} has no origin")]
    NoOrigin(Digest),
}

/// The state of the bytes that a run fetched before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Salvage {
    /// They stay for the next run.
    Fetched,
    /// They are of no use: a pipe, or a file that is written from its first byte to its last.
    Nothing,
}
