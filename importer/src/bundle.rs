use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use bundle_format::{
    Archive, Blob, BlobSink, Damage, Graph, Limits, Pipe, Statement, Timestamp, TrustError, TrustPolicy,
    Trusted, Unverified,
};
use bundle_oci::Digest;
use bytes::Bytes;

/// Why bytes are no bundle that can be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened.
    #[error("{} cannot be opened", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bundle is not trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The bundle is damaged.
    #[error(transparent)]
    Damage(#[from] Damage),
}

/// A trusted bundle, whose frame and manifests are right. Blobs are still to be hashed.
pub struct Bundle {
    pub(crate) trusted: Trusted,
    pub(crate) graph: Graph,
    pub(crate) contents: Contents,
}

/// Where blobs come from.
pub(crate) enum Contents {
    /// A file, from which any blob can be had again.
    File(Archive<File>),
    /// A pipe, from which layers come once and in order; what came before them is kept.
    Pipe { pipe: Pipe<Box<dyn Read + Send>>, kept: HashMap<Digest, Bytes> },
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundle({})", self.trusted.digest())
    }
}

impl Bundle {
    /// Steps 1 to 8 of docs/format.md §Verification on a file.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn open(path: &Path, policy: &TrustPolicy, limits: &Limits) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Open { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(std::io::Error::other("it is no regular file; use - for a pipe")));
        }
        let trusted = trust(&mut file, policy, limits)?;
        file.rewind().map_err(failed)?;
        let archive = Archive::open(file, trusted.clone())?;
        let graph = archive.graph(limits)?;
        Ok(Self { trusted, graph, contents: Contents::File(archive) })
    }

    /// Steps 1 to 8 of docs/format.md §Verification on a pipe, which is read up to the first layer.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn read(
        mut reader: Box<dyn Read + Send>,
        policy: &TrustPolicy,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        let trusted = trust(&mut reader, policy, limits)?;
        let mut pipe = Pipe::open(reader, trusted.clone())?;
        let mut configs = Kept { contents: HashMap::new(), bytes: 0, limit: limits.piped_manifests };
        let (graph, manifests) = pipe.graph(&mut configs, limits)?;
        let manifests = manifests.into_iter().map(|(digest, bytes)| (digest, Bytes::from(bytes)));
        let configs = configs.contents.into_iter().map(|(digest, bytes)| (digest, Bytes::from(bytes)));
        let kept = manifests.chain(configs).collect();
        Ok(Self { trusted, graph, contents: Contents::Pipe { pipe, kept } })
    }

    /// The archive and what its manifests name; `None` if it comes through a pipe.
    pub fn into_archive(self) -> Option<(Archive<File>, Graph)> {
        match self.contents {
            Contents::File(archive) => Some((archive, self.graph)),
            Contents::Pipe { .. } => None,
        }
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        self.trusted.statement()
    }

    /// The statement with what is known of its signature.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// What the manifests name.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The length of the archive in bytes.
    pub fn size(&self) -> u64 {
        match &self.contents {
            Contents::File(archive) => archive.layout().size(),
            Contents::Pipe { pipe, .. } => pipe.size(),
        }
    }
}

/// Steps 1 to 5 of docs/format.md §Verification.
fn trust(reader: &mut impl Read, policy: &TrustPolicy, limits: &Limits) -> Result<Trusted, OpenError> {
    let head = Unverified::read(reader, limits)?;
    Ok(policy.check(head.statement, head.signature, Timestamp::now(), limits)?)
}

/// Configs are small; they are kept while the manifests are read.
struct Kept {
    contents: HashMap<Digest, Vec<u8>>,
    bytes: u64,
    limit: u64,
}

impl BlobSink for Kept {
    fn take(&mut self, blob: Blob, bytes: &[u8]) -> std::io::Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            return Err(std::io::Error::other(
                "the configs are too large to be read from a pipe; use a file",
            ));
        }
        self.contents.entry(blob.digest).or_default().extend_from_slice(bytes);
        Ok(())
    }
}
