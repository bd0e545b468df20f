//! The place that a caller names for a bundle, before the bundle's contents are known; and the two ways in
//! which such a place takes bytes.

use std::io::Write;
use std::path::Path;

use bundle_format::{Limits, ParityShare, Statement, VolumeSize};

use crate::OutputError;
use crate::sink::head::SinkHead;
use crate::sink::parts::{Begun, Parts};
use crate::sink::pipe::Pipe;
use crate::sink::zstd::Zstd;

/// How a bundle lies in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Whether it is compressed with Zstandard.
    pub compress: bool,
    /// How large volumes may be, if it is cut.
    pub volumes: Option<VolumeSize>,
    /// How much of it may be lost, if there is to be parity.
    pub parity: Option<ParityShare>,
}

/// Where a bundle is written to. A file, or its volumes, are claimed by this run until it is
/// dropped.
pub struct Sink(Kind);

enum Kind {
    Parts(Parts),
    Compressed(Parts),
    Pipe(Pipe),
}

/// How a sink takes the bytes of one bundle.
pub(crate) enum Way {
    /// Every byte at its final place, in any order; a run that ends early can be gone on with.
    Anywhere(Begun),
    /// From the first byte to the last.
    InOrder(Box<dyn InOrder>),
}

/// Takes an archive from its first byte to its last.
pub(crate) trait InOrder: Send {
    /// Takes the next bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<(), OutputError>;

    /// Takes note that all bytes were given, and makes a bundle of them.
    fn finish(self: Box<Self>, head: &SinkHead) -> Result<(), OutputError>;
}

impl Sink {
    /// A file, or the volumes of one. The files of an earlier run are continued, if they are of the same plan
    /// and not compressed.
    ///
    /// # Errors
    /// The path names no file or one that exists, or another run writes it.
    pub fn file(path: &Path, shape: Shape) -> Result<Self, OutputError> {
        if shape.compress
            && shape.volumes.is_some_and(|size| size.bytes() < crate::Limits::DEFAULT.compressed_volume)
        {
            return Err(OutputError::SmallVolumes(path.to_owned()));
        }
        let parts = Parts::open(path, shape)?;
        Ok(Self(if shape.compress { Kind::Compressed(parts) } else { Kind::Parts(parts) }))
    }

    /// A pipe. Its reader must keep manifests in memory ([`crate::Plan::fits_pipe`]).
    pub fn pipe(writer: impl Write + Send + 'static) -> Self {
        Self(Kind::Pipe(Pipe(Box::new(writer))))
    }

    /// The statement that an earlier run began to write here, if its bytes can be used.
    pub fn earlier(&self, limits: &Limits) -> Option<Statement> {
        match &self.0 {
            Kind::Parts(parts) => parts.earlier(limits),
            Kind::Compressed(_) | Kind::Pipe(_) => None,
        }
    }

    /// Makes room for a bundle.
    pub(crate) fn begin(self, head: &SinkHead) -> Result<Way, OutputError> {
        match self.0 {
            Kind::Parts(parts) => parts.begin(head),
            Kind::Compressed(parts) => Ok(Way::InOrder(Box::new(Zstd::begin(parts, head)?))),
            Kind::Pipe(pipe) => Ok(Way::InOrder(Box::new(pipe))),
        }
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Parts(parts) | Kind::Compressed(parts) => write!(f, "Sink({})", parts.path().display()),
            Kind::Pipe(_) => f.write_str("Sink(pipe)"),
        }
    }
}
