//! The place that a caller names for a bundle, before the bundle's contents are known; and the two ways in
//! which such a place takes bytes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::{AllBases, Effort, Limits, ParityShare, ScratchSpace, Statement, Unverified, VolumeSize};

use crate::sink::head::SinkHead;
use crate::sink::names::hidden;
use crate::sink::parts::{Begun, Parts};
use crate::sink::pipe::Pipe;
use crate::sink::shard::{CreateShard, Sharded};
use crate::sink::zstd::Zstd;
use crate::{Inventory, OutputError};

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

/// How a bundle is made compact.
#[derive(Clone, Debug)]
pub struct Compaction {
    /// How hard the encoder works.
    pub effort: Effort,
    /// What the other side has: blobs of the same targets are bases.
    pub bases: Vec<Inventory>,
    /// Where the bytes of bases lie at hand; what is not there is looked for upstream.
    pub at_hand: Arc<AllBases>,
    /// Where layers are collected and uncompressed.
    pub scratch: ScratchSpace,
}

/// Where a bundle is written to. A file, or its volumes, are claimed by this run until it is
/// dropped.
pub struct Sink(Kind);

enum Kind {
    Parts(Parts),
    Compressed(Parts),
    Compact(Box<Compacting>),
    Pipe(Pipe),
    CompactPipe(Pipe, Compaction),
    Shard(Box<Sharded>),
}

/// A compact bundle to come: what is fetched lies in a file of its own first, so that no byte is fetched twice.
pub(crate) struct Compacting {
    pub(crate) whole: Whole,
    pub(crate) parts: Parts,
    pub(crate) compaction: Compaction,
}

/// The archive before it is encoded.
pub(crate) enum Whole {
    /// It is still to be fetched, or the rest of it.
    Fetching(Parts),
    /// An earlier run fetched all of it.
    Fetched(PathBuf),
}

impl Compacting {
    fn earlier(&self, limits: &Limits) -> Option<Statement> {
        match &self.whole {
            Whole::Fetching(parts) => parts.earlier(limits),
            Whole::Fetched(path) => {
                let head = Unverified::read(&mut bundle_os::open(path).ok()?, limits).ok()?;
                Statement::parse(&head.statement, limits).ok()
            }
        }
    }
}

/// How a sink takes the bytes of one bundle.
pub(crate) enum Way {
    /// Every byte at its final place, in any order; a run that ends early can be gone on with.
    Anywhere(Begun),
    /// From the first byte to the last.
    InOrder(Box<dyn InOrder>),
    /// As it is into one file, and encoded into others.
    Compact(Box<Compacting>),
    /// From the first byte to the last, and encoded on the way.
    CompactPipe(Pipe, Compaction),
    /// Only a part of it; other runs write the others.
    Shard(Box<Sharded>),
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

    /// A file, or the volumes of one, of a compact encoding.
    ///
    /// # Errors
    /// As for [`Sink::file`].
    pub fn compact(path: &Path, shape: Shape, compaction: Compaction) -> Result<Self, OutputError> {
        let parts = Parts::open(path, shape)?;
        let whole = hidden(path, "whole");
        let whole = match whole.symlink_metadata() {
            Ok(_) => Whole::Fetched(whole),
            Err(_) => Whole::Fetching(Parts::open(&whole, Shape::default())?),
        };
        Ok(Self(Kind::Compact(Box::new(Compacting { whole, parts, compaction }))))
    }

    /// One shard of a bundle in volumes of this size; the runs that write the others write into the same directory.
    ///
    /// # Errors
    /// The path names no file, or one that exists.
    pub fn shard(
        path: &Path,
        size: VolumeSize,
        shard: CreateShard,
        compaction: Option<Compaction>,
    ) -> Result<Self, OutputError> {
        Ok(Self(Kind::Shard(Box::new(Sharded::new(path, size, shard, compaction)?))))
    }

    /// Makes sure that all shards of a bundle have the same statement: puts this one where the others find it, or
    /// answers with the other one that lies there. Nothing is done for what is no shard.
    ///
    /// # Errors
    /// It cannot be written or read.
    pub fn agree(&self, statement: &[u8], limits: &Limits) -> Result<Option<Statement>, OutputError> {
        match &self.0 {
            Kind::Shard(sharded) => sharded.agree(statement, limits),
            _ => Ok(None),
        }
    }

    /// A pipe of a compact encoding. What is fetched is encoded at once, and none of it can be gone on with.
    pub fn compact_pipe(writer: impl Write + Send + 'static, compaction: Compaction) -> Self {
        Self(Kind::CompactPipe(Pipe(Box::new(writer)), compaction))
    }

    /// A pipe. Its reader must keep manifests in memory ([`crate::Plan::fits_pipe`]).
    pub fn pipe(writer: impl Write + Send + 'static) -> Self {
        Self(Kind::Pipe(Pipe(Box::new(writer))))
    }

    /// Tells a compact bundle what the other side has, once that is known.
    #[must_use]
    pub fn with_bases(mut self, inventories: Vec<Inventory>) -> Self {
        match &mut self.0 {
            Kind::Compact(compacting) => compacting.compaction.bases = inventories,
            Kind::CompactPipe(_, compaction) => compaction.bases = inventories,
            Kind::Shard(sharded) => {
                if let Some(compaction) = &mut sharded.compaction {
                    compaction.bases = inventories;
                }
            }
            Kind::Parts(_) | Kind::Compressed(_) | Kind::Pipe(_) => {}
        }
        self
    }

    /// The statement that an earlier run began to write here, if its bytes can be used.
    pub fn earlier(&self, limits: &Limits) -> Option<Statement> {
        match &self.0 {
            Kind::Parts(parts) => parts.earlier(limits),
            Kind::Compact(compacting) => compacting.earlier(limits),
            Kind::Shard(sharded) => sharded.earlier(limits),
            Kind::Compressed(_) | Kind::Pipe(_) | Kind::CompactPipe(..) => None,
        }
    }

    /// Makes room for a bundle.
    pub(crate) fn begin(self, head: &SinkHead) -> Result<Way, OutputError> {
        match self.0 {
            Kind::Parts(parts) => parts.begin(head),
            Kind::Compressed(parts) => Ok(Way::InOrder(Box::new(Zstd::begin(parts, head)?))),
            Kind::Compact(compacting) => Ok(Way::Compact(compacting)),
            Kind::Pipe(pipe) => Ok(Way::InOrder(Box::new(pipe))),
            Kind::CompactPipe(pipe, compaction) => Ok(Way::CompactPipe(pipe, compaction)),
            Kind::Shard(sharded) => Ok(Way::Shard(sharded)),
        }
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Parts(parts) | Kind::Compressed(parts) => write!(f, "Sink({})", parts.path().display()),
            Kind::Compact(compacting) => write!(f, "Sink({})", compacting.parts.path().display()),
            Kind::Shard(sharded) => write!(f, "Sink({}, {})", sharded.path.display(), sharded.shard),
            Kind::Pipe(_) | Kind::CompactPipe(..) => f.write_str("Sink(pipe)"),
        }
    }
}
