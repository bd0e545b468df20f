//! How an archive differs from the one that its statement determines, and in which file.
//! Takes what a reader found and expected, with the offset; gives one fact with the entry's name.

use std::io;
use std::ops::Range;

use bundle_oci::{ByteCount, Digest};

use crate::archive::layout::Entry;
use crate::{BrokenPromise, CompactBase, CompactError, GraphError, Layer, StatementError};

/// How an archive differs from the one that its statement determines.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The file is no bundle.
    #[error("this is not a bundle: it does not start with the entry bundle.json")]
    NotABundle,
    /// The statement is larger than can be read.
    #[error("statement has {0} bytes, more than allowed")]
    StatementSize(u64),
    /// The archive ends too early.
    #[error("bundle is truncated: it has {found} bytes of {expected}")]
    Truncated {
        /// How long it must be, as far as is known.
        expected: u64,
        /// How long it is.
        found: u64,
    },
    /// The archive goes on after its end.
    #[error("bundle is longer than its statement says: it should have {0} bytes")]
    TooLong(u64),
    /// A header with other bytes than the one that follows from the statement.
    #[error("{} has another header than the statement says, at byte {}", .0.name, .0.header_offset())]
    Header(Entry),
    /// Bytes other than zero after an entry's content.
    #[error("{} is followed by bytes that are not zero, at byte {}", .0.name, .0.offset + .0.size)]
    Padding(Entry),
    /// Bytes other than zero at the end.
    #[error("bundle does not end with two blocks of zeros")]
    Trailer,
    /// Content that its digest does not describe.
    #[error("{} is damaged: its content, at byte {} for {} bytes, is not what its digest says", .0.name, .0.offset, .0.size)]
    Content(Entry),
    /// The statement cannot be acted on.
    #[error(transparent)]
    Statement(StatementError),
    /// The blob list is not the one that follows from the manifests.
    #[error("statement's list of blobs is not the one that its manifests name, from {0} on")]
    BlobList(Digest),
    /// The manifests do not fit together.
    #[error("bundle's manifests do not fit together")]
    Graph(#[source] Box<GraphError<Damage>>),
    /// The statement says something of an artifact that its content contradicts.
    #[error(transparent)]
    Promise(Box<BrokenPromise>),
    /// The manifests, or the configs, are more than can be kept while reading a pipe.
    #[error(
        "bundle's manifests or configs have more than {} together, too many to keep while a pipe is read",
        ByteCount(*.0)
    )]
    PipedManifests(u64),
    /// Bytes that cannot be unpacked.
    #[error("bundle is compressed, and damaged")]
    Packed(#[source] io::Error),
    /// A blob is the difference to one that is not to be had here.
    #[error("bundle is compact, and base {} of {} is not here", .0.digest, .0.repository)]
    NoBase(Box<CompactBase>),
    /// A blob is the difference to one that is here with other bytes than its digest says.
    #[error("bundle is compact, and base {} of {} has other bytes here than its digest says", .0.digest, .0.repository)]
    WrongBase(Box<CompactBase>),
    /// The medium cannot be read.
    #[error("bundle cannot be read")]
    Read(#[source] io::Error),
    /// Damage to a bundle on several volumes.
    #[error("{damage} (in {place})")]
    InVolumes {
        /// The volumes that have the damaged bytes.
        place: String,
        /// The damage.
        damage: Box<Damage>,
    },
}

impl From<io::Error> for Damage {
    /// Keeps damage that was found further up; data that cannot be decompressed is damaged; other errors are
    /// the medium's.
    fn from(error: io::Error) -> Self {
        match (error.kind(), error.downcast::<Self>()) {
            (_, Ok(damage)) => damage,
            (io::ErrorKind::InvalidData, Err(error)) => Self::Packed(error),
            (io::ErrorKind::NotFound, Err(error)) => match error.downcast::<CompactError>() {
                Ok(CompactError::NoBase(base)) => Self::NoBase(Box::new(base)),
                Ok(CompactError::WrongBase(base)) => Self::WrongBase(Box::new(base)),
                Ok(other) => Self::Read(other.into_io()),
                Err(error) => Self::Read(error),
            },
            (_, Err(error)) => Self::Read(error),
        }
    }
}

impl Damage {
    /// The damage itself, wherever it is.
    pub fn itself(&self) -> &Self {
        match self {
            Self::InVolumes { damage, .. } => damage.itself(),
            other => other,
        }
    }

    /// The bytes that are damaged, if it is some of the archive's.
    fn bytes(&self) -> Option<Range<u64>> {
        match self {
            Self::Header(entry) => Some(entry.header_offset()..entry.offset),
            Self::Padding(entry) => Some(entry.offset + entry.size..entry.end()),
            Self::Content(entry) => Some(entry.offset..entry.offset + entry.size),
            _ => None,
        }
    }

    /// Says where it is, unless it says so already.
    #[must_use]
    pub fn in_place(self, place: String) -> Self {
        match self {
            Self::InVolumes { .. } | Self::Read(_) | Self::NoBase(_) | Self::WrongBase(_) => self,
            other => Self::InVolumes { place, damage: Box::new(other) },
        }
    }

    /// Says in which volumes of `reader` it is.
    pub(crate) fn located(self, reader: &impl Layer) -> Self {
        let Some(place) = self.bytes().and_then(|bytes| reader.place(&bytes)) else {
            return self;
        };
        Self::InVolumes { place, damage: Box::new(self) }
    }
}
