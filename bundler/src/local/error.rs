//! Why a local source cannot be used: it cannot be read, is damaged or hostile, exceeds a limit, or does not
//! have what was asked for. Takes facts; gives a message that names the source, and who must act.

use std::io;

use bundle_oci::{ByteCount, Digest, ManifestError, Printable};

use super::file::FileError;
use crate::ItemError;

/// A local source that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}", Printable(.source_name))]
pub struct LocalError {
    /// The source, as it was written, with the place that asks for it if that is known.
    pub source_name: String,
    /// Why not.
    #[source]
    pub cause: LocalCause,
}

/// Why a local source cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalCause {
    /// The system refused.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// There is no room, or no directory, for what is unpacked.
    #[error("it cannot be unpacked into a temporary file")]
    Spool(#[source] io::Error),
    /// No tar archive.
    #[error("it is not a tar archive, and not one compressed with gzip or Zstandard")]
    NotTar,
    /// An archive that ends too early.
    #[error("the archive ends in the middle of an entry")]
    Truncated,
    /// An entry of an archive that no tool writes.
    #[error("entry '{}' {what}", Printable(.name))]
    Entry {
        /// The entry.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// More entries than are read.
    #[error("the archive has more than {0} entries")]
    Entries(usize),
    /// More bytes than are unpacked.
    #[error("it has more than {} unpacked", ByteCount(*.0))]
    Unpacked(u64),
    /// A source of another form.
    #[error("it has no {file}, so it is not {form}")]
    Lacks {
        /// The file that each source of this form has.
        file: &'static str,
        /// The form.
        form: &'static str,
    },
    /// A document that is not valid JSON, or not of its form.
    #[error("its {} cannot be used", Printable(.file))]
    Json {
        /// The document.
        file: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// A document that contradicts itself or the files beside it.
    #[error("its {} {what}", Printable(.file))]
    Document {
        /// The document.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// A document that is larger than is read.
    #[error("its {} has {}; {} are read", Printable(.file), ByteCount(*.found), ByteCount(*.limit))]
    TooLarge {
        /// The document.
        file: String,
        /// Its size in bytes.
        found: u64,
        /// How many bytes are read.
        limit: u64,
    },
    /// A manifest.
    #[error("its manifest {digest} cannot be used")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// The cause.
        source: ManifestError,
    },
    /// A blob that an image of it needs.
    #[error("it lacks {0}, which its image needs")]
    Missing(Digest),
    /// A blob whose bytes are others.
    #[error("its content for {expected} is {found}")]
    Content {
        /// The digest by which it is named.
        expected: Digest,
        /// The digest that it has.
        found: Digest,
    },
    /// A file of a web server whose bytes are others than people say.
    #[error("the server sent a file with the digest {found}, not {expected}")]
    WebContent {
        /// The digest that people say.
        expected: Digest,
        /// The digest that it has.
        found: Digest,
    },
    /// A blob of another size.
    #[error("its content for {digest} has {found} bytes instead of {expected}")]
    Size {
        /// The blob.
        digest: Digest,
        /// The size by which it is named.
        expected: u64,
        /// The size that it has.
        found: u64,
    },
    /// An image without a name, and none was given.
    #[error("its image has no name")]
    NoName,
    /// An image that is not there.
    #[error("it has no image '{}'; it has {}", Printable(.wanted), list(.names))]
    NoImage {
        /// The image that is asked for.
        wanted: String,
        /// The names that there are.
        names: Vec<String>,
    },
    /// Several images for one name.
    #[error("it has {} images, which cannot all have one name: {}", .0.len(), list(.0))]
    Several(Vec<String>),
    /// No image at all.
    #[error("it has no image")]
    Empty,
    /// A name that cannot be used at the destination.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// A single file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The web server of a file.
    #[error(transparent)]
    Web(bundle_registry::Error),
}

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalBlame {
    /// The file is not there or cannot be read.
    Unreadable,
    /// Its bytes are wrong.
    Damaged,
    /// It does not have what was asked for.
    Asked,
    /// It is larger than a limit.
    Limit,
    /// This machine has no room for it.
    Space,
    /// A web server failed, as [`LocalCause::Web`] says.
    Server,
}

impl LocalCause {
    /// Who must act.
    pub fn blame(&self) -> LocalBlame {
        match self {
            Self::Read(_) => LocalBlame::Unreadable,
            Self::Web(_) => LocalBlame::Server,
            Self::Spool(_) => LocalBlame::Space,
            Self::NotTar
            | Self::Truncated
            | Self::Entry { .. }
            | Self::Json { .. }
            | Self::Document { .. }
            | Self::Manifest { .. }
            | Self::Missing(_)
            | Self::Content { .. }
            | Self::WebContent { .. }
            | Self::Size { .. } => LocalBlame::Damaged,
            Self::Entries(_) | Self::Unpacked(_) | Self::TooLarge { .. } => LocalBlame::Limit,
            Self::Lacks { .. }
            | Self::NoName
            | Self::NoImage { .. }
            | Self::Several(_)
            | Self::Empty
            | Self::Item(_)
            | Self::File(_) => LocalBlame::Asked,
        }
    }

    /// The error of the source of this name.
    pub(crate) fn of(self, source: &impl ToString) -> LocalError {
        LocalError { source_name: source.to_string(), cause: self }
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 10;
    if names.is_empty() {
        return "none with a name".to_owned();
    }
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| Printable(name).to_string()).collect();
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}
