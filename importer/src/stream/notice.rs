//! Notices of an import about its stream's history. They are values, so that the command and the scheduled
//! job print the same. Takes a history, gives text.

use std::fmt;
use std::path::PathBuf;

use bundle_format::{BundleId, StreamName};
use bundle_oci::RegistryPath;

/// A notice about a stream's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryNotice {
    /// Another import has the state file's lock.
    Waiting,
    /// The state file was damaged, and a new one is begun.
    SetAside {
        /// The state file.
        file: PathBuf,
        /// Where the damaged one is now.
        aside: PathBuf,
    },
    /// Neither the state file nor the registry has a bundle of the stream.
    First {
        /// The stream.
        stream: StreamName,
        /// The registry.
        registry: RegistryPath,
    },
    /// Entries of the registry's record that are ignored.
    NoRecord {
        /// Its name there, and why not, if it looks like one.
        name: String,
    },
    /// An older bundle is accepted, because the operator allowed it.
    GoingBack {
        /// The newest bundle of the stream.
        newest: BundleId,
    },
}

impl fmt::Display for HistoryNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting for another import to end"),
            Self::SetAside { file, aside } => write!(
                f,
                "{} was damaged and is now {}; the registry's record of the streams is used instead",
                file.display(),
                aside.display()
            ),
            Self::First { stream, registry } => {
                write!(f, "first bundle of stream '{stream}' for {registry}; rollback protection starts now")
            }
            Self::NoRecord { name } => write!(
                f,
                "{name} is not a record of an accepted bundle and is ignored; find out who pushed it"
            ),
            Self::GoingBack { newest } => write!(f, "going back: the newest bundle was {newest}"),
        }
    }
}
