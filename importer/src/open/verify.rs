//! Checks a bundle without a destination, down to the last blob, and says what passed.
//! Takes a file and a trust policy, gives each check with its verdict.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use bundle_format::{
    Archive, Blob, BlobSink, Damage, Lent, Limits, Medium, OtherPlatform, ParityNotes, SignatureBytes,
    Trusted,
};
use bundle_oci::Digest;
use bundle_registry::Progress;
use bundle_trust::Effective;

use crate::open::bundle::Contents;
use crate::push::run::extents;
use crate::{Bundle, OpenError};

/// The checks, in the order of docs/format.md §Verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckName {
    /// The head of the archive is that of a bundle.
    Head,
    /// A trusted key signed the statement.
    Signature,
    /// The statement is of a known version and consistent.
    Statement,
    /// The key may write to the projects, at this time.
    Scope,
    /// Every byte that is not blob content is the one that follows from the statement.
    Layout,
    /// The manifests are whole, and name exactly the blobs that the statement lists.
    Manifests,
    /// Every blob has the content that its digest says.
    Blobs,
}

impl CheckName {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Head,
        Self::Signature,
        Self::Statement,
        Self::Scope,
        Self::Layout,
        Self::Manifests,
        Self::Blobs,
    ];

    /// The check's name for people and for JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Signature => "signature",
            Self::Statement => "statement",
            Self::Scope => "scope",
            Self::Layout => "layout",
            Self::Manifests => "manifests",
            Self::Blobs => "blobs",
        }
    }
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It holds.
    Passed,
    /// It does not; this is why.
    Failed(Vec<String>),
    /// It could not be made in part, because something is not here that is needed for it; this is what.
    Unknown(Vec<String>),
    /// It was not made, because one before it failed.
    NotReached,
}

/// A check and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which one.
    pub name: CheckName,
    /// How it ended.
    pub verdict: CheckOutcome,
}

/// The bundle that was checked, with any result for the blobs.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its statement, with what is known of the signatures.
    pub trusted: Trusted,
    /// The length of the archive in bytes.
    pub size: u64,
    /// The images of which indexes say another platform than configs do.
    pub other_platforms: Vec<OtherPlatform>,
}

/// The result of the checks.
#[derive(Debug)]
pub struct Verification {
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// The bundle; none if its head or its signatures are not right.
    pub bundle: Option<Checked>,
    /// Why the check that failed did, if one failed: the first of its reasons.
    pub refused: Option<OpenError>,
    /// Notes on the bundle's parity for the user.
    pub parity: ParityNotes,
}

/// Makes every check on a file, or on a pipe if there is no path, whose countersignatures come
/// beside it. Blobs of a file are hashed on `threads` threads.
///
/// # Errors
/// The file cannot be opened or read. A faulty bundle is a verdict, not an error.
pub fn verify(
    path: Option<&std::path::Path>,
    policy: &Effective,
    countersignatures: &[SignatureBytes],
    lent: &Lent,
    limits: &Limits,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Verification, OpenError> {
    let opened = match path {
        Some(path) => Bundle::open(path, policy, limits),
        None => Bundle::read(Box::new(std::io::stdin()), policy, countersignatures, lent, limits),
    };
    let bundle = match opened {
        Ok(bundle) => bundle,
        Err(error @ (OpenError::Open(_) | OpenError::Missing(_) | OpenError::Countersignature(_))) => {
            return Err(error);
        }
        Err(OpenError::Damage(damage)) if unreadable(&damage) => return Err(OpenError::Damage(damage)),
        Err(error) => {
            let failed = failed_check(&error);
            let checks = checks(failed, vec![told(&error)]);
            let parity = ParityNotes::default();
            return Ok(Verification { checks, bundle: None, refused: Some(error), parity });
        }
    };
    bundle.lend(lent);
    let checked = Checked {
        trusted: bundle.trusted().clone(),
        size: bundle.size(),
        other_platforms: bundle.other_platforms(),
    };
    let parity = bundle.parity_notes();
    progress.total(bundle.statement().blob_bytes());
    let carried: HashSet<Digest> = bundle.statement().blobs.iter().map(|blob| blob.digest).collect();
    let artifacts = &bundle.statement().artifacts;
    progress.images(&extents(artifacts, bundle.graph(), |blob| carried.contains(&blob.digest)));
    let damages: Vec<Damage> = match bundle.contents {
        Contents::File(archive) => {
            let counted = Counted::new(progress);
            archive.damaged_blobs(threads, &|blob, bytes| {
                counted.add(blob, bytes);
                Ok(())
            })
        }
        Contents::Pipe { pipe, .. } => pipe.finish(&mut Counted::new(progress)).err().into_iter().collect(),
    };
    let mut reasons: Vec<String> = damages.iter().map(|damage| told(damage)).collect();
    // Many layers may be the difference to one.
    reasons.dedup();
    if damages.len() >= Archive::<Medium>::MOST_DAMAGES {
        reasons.push("others may be damaged too".to_owned());
    }
    let medium = damages.iter().all(unreadable);
    // Damage explains more than an unreadable medium.
    let rank = |damage: &Damage| (unreadable(damage), is_no_base(damage));
    let first = damages.into_iter().min_by_key(rank).map(OpenError::Damage);
    match first {
        Some(error) if medium => Err(error),
        refused => {
            let checks = match &refused {
                // What is missing elsewhere says nothing about the bundle.
                Some(OpenError::Damage(damage)) if is_no_base(damage) => {
                    let mut checks = checks_passed();
                    if let Some(last) = checks.last_mut() {
                        last.verdict = CheckOutcome::Unknown(reasons);
                    }
                    checks
                }
                Some(_) => checks(CheckName::Blobs, reasons),
                None => checks_passed(),
            };
            Ok(Verification { checks, bundle: Some(checked), refused, parity })
        }
    }
}

/// Whether it is the medium that cannot be read, which says nothing about the bundle.
fn unreadable(damage: &Damage) -> bool {
    matches!(damage.itself(), Damage::Read(_))
}

/// Whether a blob was not made, for its base is not here, or is not what it should be.
fn is_no_base(damage: &Damage) -> bool {
    matches!(damage.itself(), Damage::NoBase(_) | Damage::WrongBase(_))
}

fn failed_check(error: &OpenError) -> CheckName {
    use bundle_format::TrustError;
    match error {
        OpenError::Open(_) | OpenError::Missing(_) | OpenError::Countersignature(_) => CheckName::Head,
        OpenError::Trust(
            TrustError::Stranger { .. }
            | TrustError::Revoked(_)
            | TrustError::TooMany { .. }
            | TrustError::TooFew { .. },
        ) => CheckName::Signature,
        OpenError::Trust(TrustError::Statement(_)) => CheckName::Statement,
        OpenError::Trust(
            TrustError::KeyTime { .. }
            | TrustError::Scope { .. }
            | TrustError::Stream { .. }
            | TrustError::Expired(_),
        ) => CheckName::Scope,
        OpenError::Damage(damage) => match damage.itself() {
            Damage::NotABundle | Damage::StatementSize(_) => CheckName::Head,
            Damage::Statement(_) => CheckName::Statement,
            Damage::Truncated { .. }
            | Damage::TooLong(_)
            | Damage::Header(_)
            | Damage::Padding(_)
            | Damage::Trailer
            | Damage::Read(_)
            | Damage::Packed(_)
            | Damage::NoBase(_)
            | Damage::WrongBase(_)
            | Damage::InVolumes { .. } => CheckName::Layout,
            Damage::Content(_)
            | Damage::BlobList(_)
            | Damage::Graph(_)
            | Damage::Promise(_)
            | Damage::PipedManifests(_) => CheckName::Manifests,
        },
    }
}

fn checks_passed() -> Vec<Check> {
    CheckName::ALL.map(|name| Check { name, verdict: CheckOutcome::Passed }).to_vec()
}

fn checks(failed: CheckName, reasons: Vec<String>) -> Vec<Check> {
    let mut verdict = CheckOutcome::Passed;
    CheckName::ALL
        .map(|name| {
            if name == failed {
                verdict = CheckOutcome::NotReached;
                return Check { name, verdict: CheckOutcome::Failed(reasons.clone()) };
            }
            Check { name, verdict: verdict.clone() }
        })
        .to_vec()
}

fn told(error: &dyn std::error::Error) -> String {
    bundle_oci::Printable(&bundle_oci::chain(error)).to_string()
}

/// Bytes as they are read of blobs, each of which begins with its first and ends with its last.
pub struct Counted<'a> {
    progress: &'a dyn Progress,
    /// How many bytes of a blob are still to come.
    left: Mutex<HashMap<Digest, u64>>,
}

impl<'a> Counted<'a> {
    /// Passes on to `progress`.
    pub fn new(progress: &'a dyn Progress) -> Self {
        Self { progress, left: Mutex::default() }
    }

    /// Bytes of a blob were read.
    pub fn add(&self, blob: Blob, bytes: u64) {
        // The counts are whole between statements.
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let open = left.entry(blob.digest).or_insert_with(|| {
            self.progress.begin(blob.digest, blob.size, 0);
            blob.size
        });
        *open = open.saturating_sub(bytes);
        self.progress.advance(blob.digest, bytes);
        if *open == 0 {
            self.progress.end(blob.digest);
        }
    }
}

impl std::fmt::Debug for Counted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}

impl BlobSink for Counted<'_> {
    fn take(&mut self, blob: Blob, bytes: &[u8]) -> std::io::Result<()> {
        self.add(blob, bytes.len() as u64);
        Ok(())
    }
}
