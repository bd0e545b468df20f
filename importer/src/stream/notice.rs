//! Notices of an import about its stream's history. They are values, so that the command and the scheduled
//! job print the same. Takes a history, gives text.

use std::collections::BTreeSet;
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
    /// Many of them.
    NoRecords {
        /// How many.
        count: usize,
        /// The name of the first.
        first: String,
    },
    /// An older bundle is accepted, because the operator allowed it.
    GoingBack {
        /// The newest bundle of the stream.
        newest: BundleId,
    },
}

/// How many ignored entries are named one by one.
const NAMED: usize = 16;

impl HistoryNotice {
    /// Notices about ignored entries with these names: one for each, or one for all if there are many.
    pub fn of_ignored(names: &BTreeSet<String>) -> Vec<Self> {
        match names.first() {
            Some(first) if names.len() > NAMED => {
                vec![Self::NoRecords { count: names.len(), first: first.clone() }]
            }
            _ => names.iter().map(|name| Self::NoRecord { name: name.clone() }).collect(),
        }
    }
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
            Self::NoRecords { count, first } => write!(
                f,
                "{count} entries of the registry's record are ignored, the first of them {first} as it is no record \
                 that counts; find out who pushed them, and remove them"
            ),
            Self::GoingBack { newest } => write!(f, "going back: the newest bundle was {newest}"),
        }
    }
}
