//! Why an import stopped: facts for people, with the repository and what could not be put there.
//! Takes the errors of the registry and the archive; the command maps each to an exit code.

use bundle_format::{Damage, FileError};
use bundle_oci::{Digest, RepositoryName};
use bundle_registry::Error;

/// Why an import stopped. Of [`push`](crate::push()), no tag was moved; of [`Pushed::set_tags`](crate::Pushed::set_tags), some may have been.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// A blob could not be put in place.
    #[error("blob {digest} cannot be stored in {repository}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// The repository.
        repository: RepositoryName,
        /// Why not.
        source: Error,
    },
    /// The bundle turned out damaged while its blobs were read.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// A manifest could not be put in place.
    #[error("manifest {name} cannot be stored in {repository}")]
    Manifest {
        /// The manifest.
        name: String,
        /// The repository.
        repository: RepositoryName,
        /// Why not.
        source: Error,
    },
    /// A manifest was refused, and the bundle lacks layers of it on purpose.
    #[error(
        "manifest {name} cannot be stored in {repository}: {} and not in the bundle, and the registry does not take it without",
        marked(*.layers)
    )]
    Incomplete {
        /// The manifest.
        name: String,
        /// The repository.
        repository: RepositoryName,
        /// How many of its layers are marked non-distributable.
        layers: usize,
        /// The registry's error.
        source: Error,
    },
    /// A manifest was refused whose layers are all there, some of them marked non-distributable.
    #[error(
        "manifest {name} cannot be stored in {repository}: {}, and the registry does not take such layers",
        marked(*.layers)
    )]
    Foreign {
        /// The manifest.
        name: String,
        /// The repository.
        repository: RepositoryName,
        /// How many of its layers are marked non-distributable.
        layers: usize,
        /// The registry's error.
        source: Error,
    },
    /// A tag is not what it was set to.
    #[error("{target} was set to {expected}, and now someone else moved it to {found}")]
    Moved {
        /// The target.
        target: String,
        /// The digest that the tag was set to.
        expected: Digest,
        /// The digest found.
        found: String,
    },
    /// A signature or the like that the destination has and does not attach to what it belongs to.
    #[error("{repository} has {accessory}, but not as an accessory of {subject}")]
    NotAttached {
        /// The repository.
        repository: RepositoryName,
        /// The accessory to attach.
        accessory: Digest,
        /// To what.
        subject: Digest,
    },
    /// A blob that a delta builds on, and that was there when the import began.
    #[error("blob {digest} is not in this delta, and no longer in the registry; {repository} needs it")]
    Gone {
        /// The blob.
        digest: Digest,
        /// The repository.
        repository: RepositoryName,
    },
    /// A part of a blob cannot be kept for the next volume.
    #[error(transparent)]
    Scratch(#[from] FileError),
    /// A part of the program ended early.
    #[error("a task ended early")]
    Task(#[from] tokio::task::JoinError),
}

fn marked(layers: usize) -> String {
    let layers =
        if layers == 1 { "1 of its layers is".to_owned() } else { format!("{layers} of its layers are") };
    format!("{layers} marked non-distributable")
}
