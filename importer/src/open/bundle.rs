//! Opens a bundle from a file, volumes or a pipe: signature, statement, frame and manifests are
//! checked; blobs are still to be hashed.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use bundle_format::{
    Archive, Blob, BlobSink, BundleId, CompactBase, ConfigWord, Cursor, Damage, Graph, Layer, Lent, Limits,
    Medium, MediumError, OtherPlatform, ParityNotes, Pipe, SignatureBytes, Statement, Timestamp, TrustError,
    Trusted, Unverified, other_platforms, uncompressed_with,
};
use bundle_oci::{Descriptor, Digest};
use bytes::Bytes;

use bundle_trust::{CountersignatureError, Effective, read_countersignatures, read_known_countersignatures};

use crate::Scratch;

/// Why bytes are no bundle that can be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file, or its volumes, cannot be opened.
    #[error(transparent)]
    Open(#[from] MediumError),
    /// Volumes that are not there.
    #[error("{} of the volumes are missing", .0.len())]
    Missing(Vec<PathBuf>),
    /// The bundle is not trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The bundle is damaged.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// The countersignatures beside the file cannot be read.
    #[error(transparent)]
    Countersignature(#[from] CountersignatureError),
}

/// A trusted bundle, whose frame and manifests are right. Blobs are still to be hashed.
pub struct Bundle {
    pub(crate) trusted: Trusted,
    pub(crate) graph: Graph,
    pub(crate) contents: Contents,
}

/// Where blobs come from.
pub(crate) enum Contents {
    /// A file or volumes, from which any blob can be had again.
    File(Archive<Medium>),
    /// A pipe, from which layers come once and in order; what came before them is kept.
    Pipe { pipe: Pipe<Box<dyn Read + Send>>, kept: HashMap<Digest, Bytes> },
}

/// How large a compact encoding is.
#[derive(Clone, Debug)]
pub struct CompactSizes {
    /// The file, in bytes.
    pub file: u64,
    /// The blobs of the other side that it may need.
    pub bases: usize,
    /// Their bytes.
    pub base_bytes: u64,
    /// What each artifact's blobs take in it, in the order of the statement.
    pub artifacts: Vec<u64>,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundle({})", self.trusted.digest())
    }
}

impl Bundle {
    /// Steps 1 to 8 of docs/format.md §Verification on a file, or on volumes that are all there, or can be
    /// rebuilt from parity.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn open(path: &Path, policy: &Effective, limits: &Limits) -> Result<Self, OpenError> {
        let countersignatures = read_countersignatures(&Medium::name(path))?;
        Self::open_whole(path, &countersignatures, policy, limits)
    }

    /// The same on a file that arrived where others can write, too: of what lies beside it, only the
    /// countersignatures of keys that the policy knows are looked at, and parity.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn open_arrived(path: &Path, policy: &Effective, limits: &Limits) -> Result<Self, OpenError> {
        Self::open_whole(path, &known_countersignatures(path, policy), policy, limits)
    }

    fn open_whole(
        path: &Path,
        countersignatures: &[SignatureBytes],
        policy: &Effective,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        with_parity_or_without(path, limits, |medium| {
            let missing = medium.missing();
            if !missing.is_empty() {
                return Err(OpenError::Missing(missing));
            }
            Self::on(medium, countersignatures, policy, limits)
        })
    }

    /// Steps 1 to 5 of docs/format.md §Verification on the start of a file or set, of which other
    /// volumes may be missing: which bundle it is.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn identify(path: &Path, policy: &Effective, limits: &Limits) -> Result<BundleId, OpenError> {
        let trusted = Self::head(path, policy, limits)?;
        Ok(BundleId::of(trusted.statement(), trusted.digest()))
    }

    /// The same, with the statement.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn head(path: &Path, policy: &Effective, limits: &Limits) -> Result<Trusted, OpenError> {
        let countersignatures = known_countersignatures(path, policy);
        with_parity_or_without(path, limits, |medium| {
            if !medium.has(&(0..1)) {
                return Err(OpenError::Missing(medium.missing()));
            }
            let mut cursor = Cursor::new(&medium).map_err(Damage::Read)?;
            trust(&mut cursor, policy, &countersignatures, limits)
        })
    }

    /// The same on those volumes that are there, together with what `scratch` has of the others. The
    /// start of the archive must be among it.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn open_partial(
        path: &Path,
        scratch: &Path,
        policy: &Effective,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        let countersignatures = read_countersignatures(&Medium::name(path))?;
        with_parity_or_without(path, limits, |mut medium| {
            if let Some(head) = medium.head() {
                if !medium.has(&(0..1)) {
                    return Err(OpenError::Missing(vec![head]));
                }
                let head = Unverified::read(&mut Cursor::new(&medium).map_err(Damage::Read)?, limits)?;
                Scratch::of(scratch, Digest::of(&head.statement)).lend(&mut medium)?;
            }
            Self::on(medium, &countersignatures, policy, limits)
        })
    }

    fn on(
        medium: Medium,
        countersignatures: &[SignatureBytes],
        policy: &Effective,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        let mut cursor = Cursor::new(&medium).map_err(Damage::Read)?;
        let trusted = trust(&mut cursor, policy, countersignatures, limits)?;
        medium.belongs_to(trusted.digest())?;
        let volumes = medium.files_of(&(0..medium.size().unwrap_or_default())).len();
        let archive = Archive::open(medium, trusted.clone())?;
        let graph = archive.graph(limits)?;
        let statement = trusted.statement();
        tracing::info!(
            stream = %statement.stream,
            sequence = u64::from(statement.sequence),
            signers = trusted.signers().join(", "),
            artifacts = statement.artifacts.len(),
            blobs = statement.blobs.len(),
            volumes,
            "bundle opened"
        );
        Ok(Self { trusted, graph, contents: Contents::File(archive) })
    }

    /// Steps 1 to 8 of docs/format.md §Verification on a pipe, which is read up to the first layer. It
    /// may be compressed, or a compact encoding, whose bases may come later.
    /// Countersignatures come beside it.
    ///
    /// # Errors
    /// Any [`OpenError`].
    pub fn read(
        reader: Box<dyn Read + Send>,
        policy: &Effective,
        countersignatures: &[SignatureBytes],
        lent: &Lent,
        limits: &Limits,
    ) -> Result<Self, OpenError> {
        let mut reader = uncompressed_with(reader, lent).map_err(Damage::from)?;
        let trusted = trust(&mut reader, policy, countersignatures, limits)?;
        let mut pipe = Pipe::open(reader, trusted.clone())?;
        let mut configs = Kept { contents: HashMap::new(), bytes: 0, limit: limits.piped_manifests };
        let (graph, manifests) =
            pipe.graph(&mut configs, limits).map_err(|damage| match configs.overflowed() {
                true => Damage::PipedManifests(limits.piped_manifests),
                false => damage,
            })?;
        let manifests = manifests.into_iter().map(|(digest, bytes)| (digest, Bytes::from(bytes)));
        let configs = configs.contents.into_iter().map(|(digest, bytes)| (digest, Bytes::from(bytes)));
        let kept = manifests.chain(configs).collect();
        Ok(Self { trusted, graph, contents: Contents::Pipe { pipe, kept } })
    }

    /// The archive; `None` if it comes through a pipe.
    pub fn archive(&self) -> Option<&Archive<Medium>> {
        match &self.contents {
            Contents::File(archive) => Some(archive),
            Contents::Pipe { .. } => None,
        }
    }

    /// The archive and what its manifests name; `None` if it comes through a pipe.
    pub fn into_archive(self) -> Option<(Archive<Medium>, Graph)> {
        match self.contents {
            Contents::File(archive) => Some((archive, self.graph)),
            Contents::Pipe { .. } => None,
        }
    }

    /// Says where the bases of a compact encoding come from; a pipe was told when it was opened.
    pub fn lend(&self, lent: &Lent) {
        if let Contents::File(archive) = &self.contents {
            archive.reader().lend(lent);
        }
    }

    /// The blobs of the other side that may be needed to read this bundle: those of a compact encoding in a file.
    pub fn bases(&self) -> &[CompactBase] {
        self.archive().map(|archive| archive.reader().bases()).unwrap_or_default()
    }

    /// The sizes of a compact encoding in a file; none of anything else.
    pub fn compact_sizes(&self) -> Option<CompactSizes> {
        let archive = self.archive()?;
        let file = archive.reader().compact_size()?;
        let size = |blob: &Blob| archive.compact_size_of_blob(blob.digest).unwrap_or_default();
        let sizes: HashMap<Digest, u64> =
            self.statement().blobs.iter().map(|blob| (blob.digest, size(blob))).collect();
        let artifacts = self.statement().artifacts.iter().map(|artifact| {
            let blobs = self.graph.extent(artifact.digest);
            blobs.iter().filter_map(|blob| sizes.get(&blob.digest)).sum()
        });
        Some(CompactSizes {
            file,
            bases: self.bases().len(),
            base_bytes: self.bases().iter().map(|base| base.size).sum(),
            artifacts: artifacts.collect(),
        })
    }

    /// Notes on the bundle's parity for the user, now and when it was read.
    pub fn parity_notes(&self) -> ParityNotes {
        self.archive().map(|archive| archive.reader().parity_notes()).unwrap_or_default()
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        self.trusted.statement()
    }

    /// The statement with what is known of its signature.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// The graph of the manifests.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The images of which indexes say another platform than configs do. Nothing is refused for it: people are told.
    pub fn other_platforms(&self) -> Vec<OtherPlatform> {
        match &self.contents {
            Contents::File(archive) => archive.other_platforms(&self.graph),
            Contents::Pipe { kept, .. } => {
                let word = |config: &Descriptor| {
                    kept.get(&config.digest).map_or(ConfigWord::Absent, |bytes| ConfigWord::of(bytes))
                };
                other_platforms(&self.statement().artifacts, &self.graph, word)
            }
        }
    }

    /// Consumes the bundle and returns the graph of its manifests.
    pub fn into_graph(self) -> Graph {
        self.graph
    }

    /// The length of the archive in bytes.
    pub fn size(&self) -> u64 {
        match &self.contents {
            Contents::File(archive) => archive.size(),
            Contents::Pipe { pipe, .. } => pipe.size(),
        }
    }
}

/// Opens with parity, and if that fails as if there were none: what lies beside a bundle must not keep out
/// what is right without it.
fn with_parity_or_without<T>(
    path: &Path,
    limits: &Limits,
    attempt: impl Fn(Medium) -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    let medium = Medium::open(path, limits)?;
    if !medium.has_parity() {
        return attempt(medium);
    }
    let notes = medium.parity_notes();
    attempt(medium).or_else(|error| {
        let plain = Medium::open_as_it_is(path, limits).map_err(OpenError::from).and_then(&attempt);
        plain.map_err(|_| match (error, notes.too_little()) {
            (OpenError::Damage(damage), Some(place)) => OpenError::Damage(damage.in_place(place)),
            (error, _) => error,
        })
    })
}

fn known_countersignatures(path: &Path, policy: &Effective) -> Vec<SignatureBytes> {
    let keys = policy.policy().keys.iter().map(|trusted| &trusted.key);
    read_known_countersignatures(&Medium::name(path), keys)
}

/// Steps 1 to 5 of docs/format.md §Verification.
fn trust(
    reader: &mut impl Read,
    policy: &Effective,
    countersignatures: &[SignatureBytes],
    limits: &Limits,
) -> Result<Trusted, OpenError> {
    let head = Unverified::read(reader, limits)?;
    Ok(policy.check(head, countersignatures, Timestamp::now(), limits)?)
}

/// Configs are small; they are kept while the manifests are read.
struct Kept {
    contents: HashMap<Digest, Vec<u8>>,
    bytes: u64,
    limit: u64,
}

impl Kept {
    fn overflowed(&self) -> bool {
        self.bytes > self.limit
    }
}

impl BlobSink for Kept {
    fn take(&mut self, blob: Blob, bytes: &[u8]) -> std::io::Result<()> {
        self.bytes += bytes.len() as u64;
        if self.overflowed() {
            return Err(std::io::Error::other("too many bytes of configs"));
        }
        self.contents.entry(blob.digest).or_default().extend_from_slice(bytes);
        Ok(())
    }
}
