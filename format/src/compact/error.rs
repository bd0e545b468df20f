//! Why a compact encoding cannot be read, or a blob not be made of it.
//! Takes what the parts of the encoding say, gives facts; the command maps each to an exit code.

use std::io;

use crate::CompactBase;

/// Why a compact encoding cannot be read, or a blob not be made of it.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The bytes end before the encoding does.
    #[error("it ends before its table: it is cut short")]
    Cut,
    /// The header is not one.
    #[error("its header is not valid")]
    Header,
    /// The head of a section that cannot be.
    #[error("the head of a section is not valid")]
    Section,
    /// The table contradicts itself or the file.
    #[error("its table of sections is not valid")]
    Table,
    /// A section does not give what its head says.
    #[error("section {0} does not give what its head says")]
    Content(usize),
    /// The head of a recipe that cannot be.
    #[error("a recipe is not valid")]
    Recipe,
    /// A base that is not to be had here.
    #[error(
        "base {} of {} is not here, and a blob is the difference to it",
        .0.digest, .0.repository
    )]
    NoBase(CompactBase),
    /// A base whose bytes are not what its digest says.
    #[error("base {} of {} has other bytes than its digest says", .0.digest, .0.repository)]
    WrongBase(CompactBase),
    /// Bytes cannot be read or written.
    #[error("{0}")]
    Io(io::Error),
}

impl CompactError {
    /// The system's error; an end that comes too early is damage.
    pub(crate) fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Cut,
            _ => Self::Io(error),
        }
    }

    /// As an error of a layer: damage is invalid data; a base that is missing, or not what it should be, is not found.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            Self::NoBase(_) | Self::WrongBase(_) => io::Error::new(io::ErrorKind::NotFound, self),
            _ => io::Error::new(io::ErrorKind::InvalidData, self),
        }
    }
}
