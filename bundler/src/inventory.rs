//! An inventory of one place: the contents of a bundle, a receipt or a lockfile, in one form. Takes a file of
//! any of these kinds, gives artifacts with their blobs as far as the file names them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use bundle_format::{
    Base, Blob, BundleId, CompactBase, Cursor, Damage, Graph, Kind, Limits, Medium, MediumError, PublicKey,
    Receipt, Statement, Target, Unverified,
};
use bundle_oci::{Digest, Platform, Printable, Reference, RepositoryName, Tag};

use crate::policy::says_lack;
use crate::{ConfigError, Lock};
use bundle_input::read_text;
use bundle_trust::{ReceiptFileError, load_receipt};

/// The known contents of one place: of a bundle, a receipt or a lock.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The kind of file that it was read from.
    pub origin: InventoryKind,
    /// Its identity.
    pub base: Base,
    /// Whether the signature was checked.
    pub verified: bool,
    /// The artifacts, in the order in which they are listed.
    pub artifacts: Vec<InventoryEntry>,
    /// The blobs that artifacts consist of; each of them names its own by their positions here, for one may be
    /// part of every artifact.
    pub(crate) known: Vec<Blob>,
}

/// The kind of file of an inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InventoryKind {
    /// A bundle, which may or may not have arrived.
    Bundle,
    /// A receipt: what arrived.
    Receipt,
    /// A lock: what was wanted.
    Lock,
}

impl InventoryKind {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Receipt => "receipt",
            Self::Lock => "lock",
        }
    }
}

/// One artifact of an inventory.
#[derive(Clone, Debug)]
pub struct InventoryEntry {
    /// Where it is.
    pub target: Target,
    /// Its digest.
    pub digest: Digest,
    /// All that it consists of, as positions among the inventory's blobs; none if that is not known, for a lock
    /// does not say.
    pub(crate) blobs: Option<Vec<u32>>,
    /// The size of all its blobs, in bytes.
    pub size: u64,
    /// The platforms; none if unknown, because a receipt does not list them.
    pub platforms: Option<Vec<Platform>>,
    /// Its missing parts, as the bundle lists them: platforms, signatures, layers.
    pub lacks: Vec<String>,
    /// The kind of artifact; none if unknown, because a receipt does not say it.
    pub kind: Option<Kind>,
    /// The digest of the manifest that it is attached to, as far as the file or the tag says it.
    pub subject: Option<Digest>,
    /// How to find out what it consists of.
    pub(crate) locked: Option<Locked>,
    /// Whether only some of several sites have it, or only some of its blobs are there still; its blobs are then those
    /// that all sites have.
    pub(crate) partial: bool,
}

/// An artifact of a lock.
#[derive(Clone, Debug)]
pub(crate) struct Locked {
    pub(crate) reference: Reference,
    pub(crate) digest: Digest,
    pub(crate) only: Vec<Platform>,
    /// Whether it was read from this machine, so that no registry is asked for it.
    pub(crate) is_local: bool,
}

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The file cannot be opened.
    #[error(transparent)]
    Medium(#[from] MediumError),
    /// A bundle that is damaged.
    #[error("{}: {source}", .path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Damage,
    },
    /// A bundle without a signature by a given key.
    #[error("{} is not signed by any of the keys given for it", .0.display())]
    Stranger(PathBuf),
    /// A receipt that cannot be used.
    #[error(transparent)]
    Receipt(#[from] ReceiptFileError),
    /// A lock that cannot be used.
    #[error(transparent)]
    Lock(#[from] ConfigError),
    /// An invalid target in a lock.
    #[error("{}: '{}' is not a valid target", .path.display(), Printable(.target))]
    Target {
        /// The file.
        path: PathBuf,
        /// The target.
        target: String,
    },
    /// A file of another kind.
    #[error("{} is neither a bundle nor a receipt nor a lockfile", .0.display())]
    Unknown(PathBuf),
}

impl Inventory {
    /// Reads a bundle, a receipt or a lock, whichever it is. With `keys`, bundles and receipts must be
    /// signed by one of them.
    ///
    /// # Errors
    /// Any [`InventoryError`].
    pub fn load(path: &Path, keys: &[PublicKey], limits: &Limits) -> Result<Self, InventoryError> {
        let medium = Medium::open(path, limits)?;
        match kind_of(&medium, path)? {
            InventoryKind::Bundle => Self::of_bundle(&medium, path, keys, limits),
            InventoryKind::Receipt => {
                Ok(Self::of_receipt(load_receipt(path, keys, limits)?, !keys.is_empty()))
            }
            InventoryKind::Lock => Self::of_lock(path),
        }
    }

    fn of_bundle(
        medium: &Medium,
        path: &Path,
        keys: &[PublicKey],
        limits: &Limits,
    ) -> Result<Self, InventoryError> {
        let damaged = |source| InventoryError::Bundle { path: path.to_owned(), source };
        let mut cursor = Cursor::new(medium).map_err(|error| damaged(Damage::Read(error)))?;
        let head = Unverified::read(&mut cursor, limits).map_err(damaged)?;
        let signed = |key: &PublicKey| key.verify(&head.statement, &head.signature);
        if !keys.is_empty() && !keys.iter().any(signed) {
            return Err(InventoryError::Stranger(path.to_owned()));
        }
        let (statement, graph) = head.contents(medium, limits).map_err(damaged)?;
        Ok(Self::of_statement(&statement, Digest::of(&head.statement), &graph, !keys.is_empty()))
    }

    /// The inventory of a bundle that is open already: its statement, the digest of the statement's bytes, the graph
    /// of its manifests, and whether a signature was checked. The artifacts are in the order of the statement.
    pub fn of_statement(statement: &Statement, digest: Digest, graph: &Graph, verified: bool) -> Self {
        // A statement has far fewer blobs than 2^32.
        let positions: HashMap<Digest, u32> = graph.blobs.iter().map(|blob| blob.digest).zip(0..).collect();
        let artifacts = statement
            .artifacts
            .iter()
            .map(|artifact| {
                let blobs = graph.extent(artifact.digest);
                InventoryEntry {
                    target: artifact.target.clone(),
                    digest: artifact.digest,
                    size: blobs.iter().map(|blob| blob.size).sum(),
                    blobs: Some(
                        blobs.iter().filter_map(|blob| positions.get(&blob.digest).copied()).collect(),
                    ),
                    platforms: Some(artifact.platforms.clone()),
                    lacks: artifact.reasons.iter().filter(|reason| says_lack(reason)).cloned().collect(),
                    kind: Some(artifact.kind),
                    subject: artifact.subject,
                    locked: None,
                    partial: false,
                }
            })
            .collect();
        let bundle = BundleId::of(statement, digest);
        Self {
            origin: InventoryKind::Bundle,
            base: base_of(&bundle),
            verified,
            artifacts,
            known: graph.blobs.clone(),
        }
    }

    /// The inventory of a receipt's delivered artifacts.
    pub fn of_receipt(receipt: Receipt, verified: bool) -> Self {
        let Receipt { bundle, artifacts, blobs: known, .. } = receipt;
        let size = |&position: &u32| known.get(position as usize).map_or(0, |blob| blob.size);
        let artifacts = artifacts
            .into_iter()
            .filter(|artifact| artifact.outcome.is_in_place())
            .map(|artifact| InventoryEntry {
                subject: artifact.target.tag.as_ref().and_then(subject_of_tag),
                kind: None,
                target: artifact.target,
                digest: artifact.digest,
                size: artifact.blobs.iter().map(size).sum(),
                blobs: Some(artifact.blobs),
                platforms: None,
                lacks: Vec::new(),
                locked: None,
                partial: false,
            })
            .collect();
        Self { origin: InventoryKind::Receipt, base: base_of(&bundle), verified, artifacts, known }
    }

    /// The same without these blobs, which are there no longer: what a later bundle does not build on.
    #[must_use]
    pub fn without(mut self, absent: &[CompactBase]) -> Self {
        let mut gone: HashMap<&RepositoryName, HashSet<Digest>> = HashMap::new();
        for CompactBase { digest, repository, .. } in absent {
            gone.entry(repository).or_default().insert(*digest);
        }
        let known = &self.known;
        for artifact in &mut self.artifacts {
            let gone = artifact.target.path().ok().and_then(|repository| gone.get(&repository));
            if let (Some(gone), Some(blobs)) = (gone, &mut artifact.blobs) {
                let before = blobs.len();
                blobs.retain(|&at| known.get(at as usize).is_none_or(|blob| !gone.contains(&blob.digest)));
                artifact.partial |= blobs.len() < before;
            }
        }
        self
    }

    /// The same without anything that these repositories have.
    #[must_use]
    pub fn without_all_of(mut self, repositories: &BTreeSet<RepositoryName>) -> Self {
        for artifact in &mut self.artifacts {
            let is_of_them =
                artifact.target.path().is_ok_and(|repository| repositories.contains(&repository));
            if let Some(blobs) = artifact.blobs.as_mut().filter(|_| is_of_them) {
                blobs.clear();
                artifact.partial = true;
            }
        }
        self
    }

    fn of_lock(path: &Path) -> Result<Self, InventoryError> {
        let (text, lock) = Lock::load_with_text(path)?;
        let artifacts = lock.artifacts.into_iter().map(|entry| {
            let target = entry.target.parse();
            Ok(InventoryEntry {
                target: target.map_err(|_| InventoryError::Target {
                    path: path.to_owned(),
                    target: entry.target.clone(),
                })?,
                digest: entry.delivered.unwrap_or(entry.digest),
                blobs: None,
                size: entry.size,
                platforms: Some(entry.platforms),
                lacks: Vec::new(),
                kind: Some(entry.kind),
                subject: None,
                locked: Some(Locked {
                    reference: entry.reference,
                    digest: entry.digest,
                    only: entry.only,
                    is_local: entry.from.is_some(),
                }),
                partial: false,
            })
        });
        let artifacts = artifacts.collect::<Result<_, InventoryError>>()?;
        let base = Base { stream: lock.name, sequence: None, digest: Digest::of(text.as_bytes()) };
        Ok(Self { origin: InventoryKind::Lock, base, verified: false, artifacts, known: Vec::new() })
    }

    /// The bundle's identity; none for a lock.
    pub fn bundle(&self) -> Option<BundleId> {
        Some(BundleId {
            stream: self.base.stream.clone(),
            sequence: self.base.sequence?,
            statement: self.base.digest,
        })
    }

    /// All blobs that are known to be there, each once.
    pub fn blobs(&self) -> HashMap<Digest, u64> {
        let blobs = self.artifacts.iter().filter_map(|held| self.blobs_of(held)).flatten();
        blobs.map(|blob| (blob.digest, blob.size)).collect()
    }

    /// All that one of its artifacts consists of; none if that is not known.
    pub(crate) fn blobs_of<'a>(
        &'a self,
        held: &'a InventoryEntry,
    ) -> Option<impl Iterator<Item = Blob> + 'a> {
        let positions = held.blobs.as_ref()?;
        Some(positions.iter().filter_map(|&position| self.known.get(position as usize).copied()))
    }

    /// Takes note of what the artifact at a position consists of.
    pub(crate) fn note_blobs(&mut self, at: usize, blobs: Option<Vec<Blob>>) {
        let first = self.known.len() as u32;
        let positions = blobs.as_ref().map(|blobs| (first..).take(blobs.len()).collect());
        self.known.extend(blobs.into_iter().flatten());
        if let Some(held) = self.artifacts.get_mut(at) {
            held.blobs = positions;
        }
    }

    /// Whether it is known of all artifacts what they consist of.
    pub fn knows_blobs(&self) -> bool {
        self.artifacts.iter().all(|held| held.blobs.is_some())
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            InventoryKind::Lock => write!(f, "{}", self.base),
            origin => write!(f, "the {} of {}", origin.as_str(), self.base),
        }
    }
}

fn base_of(bundle: &BundleId) -> Base {
    Base { stream: bundle.stream.clone(), sequence: Some(bundle.sequence), digest: bundle.statement }
}

/// The digest in a tag of cosign or of the fallback for referrers: `sha256-` and its digits, alone or followed by `.`
/// and more (docs/format.md §Verification, step 5).
fn subject_of_tag(tag: &Tag) -> Option<Digest> {
    let rest = tag.as_str().strip_prefix("sha256-")?;
    let (digits, more) = rest.split_at_checked(64)?;
    (more.is_empty() || more.starts_with('.')).then(|| format!("sha256:{digits}").parse().ok())?
}

/// Recognizes a file by its first bytes: a bundle's first header, JSON, or YAML.
fn kind_of(medium: &Medium, path: &Path) -> Result<InventoryKind, InventoryError> {
    use std::io::Read;
    let failed = |source| InventoryError::Medium(MediumError::Open { path: path.to_owned(), source });
    let mut start = Vec::new();
    Cursor::new(medium).and_then(|cursor| cursor.take(512).read_to_end(&mut start)).map_err(failed)?;
    if start.starts_with(b"bundle.json\0") {
        return Ok(InventoryKind::Bundle);
    }
    match std::str::from_utf8(&start).map(str::trim_start) {
        Ok(text) if text.starts_with('{') => Ok(InventoryKind::Receipt),
        Ok(text) if !text.is_empty() && !start.contains(&0) => Ok(InventoryKind::Lock),
        _ => Err(InventoryError::Unknown(path.to_owned())),
    }
}

impl Lock {
    /// A lock and the bytes that it was read from.
    fn load_with_text(path: &Path) -> Result<(String, Self), ConfigError> {
        let text = read_text(path, bundle_input::Limits::DEFAULT.lock)?;
        let lock = Self::parse(&text, &path.display().to_string())?;
        Ok((text, lock))
    }
}
