//! A bundle that people look at, verified or not, and the arguments that say whether it is.
//! Takes a file and keys; gives the statement, its signers, and the graph of its manifests. No layer is read.

use std::path::{Path, PathBuf};

use bundle_format::{Archive, Cursor, Damage, Graph, Limits, Medium, OtherPlatform, Statement, Unverified};
use bundle_importer::{Bundle, CompactSizes, OpenError};
use bundle_oci::Digest;
use bundle_trust::{Effective, TrustStoreError};

use crate::exit::{Code, Failure};
use crate::output::{name, tell};
use crate::trust::StoreArguments;

/// Whether and by which keys a bundle is verified before it is shown.
#[derive(clap::Args)]
pub(crate) struct LookArguments {
    /// Public key or trust.yaml to verify the signature with [default: the keys of `bundle trust`; without
    /// any key, nothing is verified]
    #[arg(long, value_name = "PUBKEY|FILE")]
    trust: Option<PathBuf>,

    /// Show the contents without verifying the signature
    #[arg(long, conflicts_with = "trust")]
    unverified: bool,

    #[command(flatten)]
    pub(crate) store: StoreArguments,
}

/// How far a bundle is read that no key verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Only its statement.
    Statement,
    /// Its manifests, too.
    Manifests,
}

/// A bundle that was opened.
pub(crate) struct Opened {
    pub(crate) statement: Statement,
    /// The digest of the statement's bytes.
    pub(crate) digest: Digest,
    /// The names of the keys that signed, and their fingerprints. Empty if nothing is verified.
    pub(crate) signers: Vec<(String, Digest)>,
    /// None if nothing is verified.
    pub(crate) archive: Option<Archive<Medium>>,
    /// None if only the statement was read.
    pub(crate) graph: Option<Graph>,
    pub(crate) others: Vec<OtherPlatform>,
    pub(crate) sizes: Option<CompactSizes>,
}

impl Opened {
    /// Whether a trusted key signed.
    pub(crate) fn is_verified(&self) -> bool {
        !self.signers.is_empty()
    }
}

impl LookArguments {
    /// The policy for the bundle's signers; none if neither the arguments nor the store name a key.
    pub(crate) fn trusted(&self) -> Result<Option<Effective>, Failure> {
        if self.unverified {
            return Ok(None);
        }
        if let (None, Err(error)) = (&self.trust, self.store.find()) {
            // Nothing is trusted, so nothing is let through.
            tell(&format!("note: {error}"));
            return Ok(None);
        }
        match Effective::load(self.trust.as_deref(), &self.store.location()?) {
            Ok(effective) => Ok(Some(effective)),
            Err(TrustStoreError::NoKey(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a bundle, which `trusted` must accept if there is one.
    pub(crate) fn open(
        &self,
        path: &Path,
        trusted: Option<&Effective>,
        depth: Depth,
    ) -> Result<Opened, Failure> {
        let limits = Limits::V1;
        let Some(trusted) = trusted else { return unverified(path, depth, &limits) };
        let bundle = Bundle::open(path, trusted, &limits).map_err(|error| {
            let stranger = matches!(error, OpenError::Trust(_));
            let failure = Failure::from(error).of(path);
            match stranger && self.trust.is_none() {
                true => failure.also_hint("to show the contents without verifying them: --unverified"),
                false => failure,
            }
        })?;
        let (names, keys) = (bundle.trusted().signers(), bundle.trusted().signer_keys());
        let (others, sizes) = (bundle.other_platforms(), bundle.compact_sizes());
        let (statement, digest) = (bundle.statement().clone(), bundle.trusted().digest());
        let signers = names.iter().cloned().zip(keys.iter().copied()).collect();
        let (archive, graph) = match bundle.into_archive() {
            Some((archive, graph)) => (Some(archive), Some(graph)),
            // A path is never a pipe.
            None => (None, None),
        };
        Ok(Opened { statement, digest, signers, archive, graph, others, sizes })
    }
}

fn unverified(path: &Path, depth: Depth, limits: &Limits) -> Result<Opened, Failure> {
    let failed = |error: std::io::Error| {
        Failure::text(Code::Usage, format!("{} cannot be opened: {error}", name(path)))
    };
    let damaged = |damage| Failure::from(OpenError::Damage(damage)).of(path);
    let medium = Medium::open(path, limits)?;
    let mut cursor = Cursor::new(&medium).map_err(failed)?;
    let head = Unverified::read(&mut cursor, limits).map_err(damaged)?;
    let (statement, graph) = match depth {
        Depth::Statement => {
            let parsed = Statement::parse(&head.statement, limits);
            (parsed.map_err(|error| damaged(Damage::Statement(error)))?, None)
        }
        Depth::Manifests => {
            let (statement, graph) = head.contents(&medium, limits).map_err(damaged)?;
            (statement, Some(graph))
        }
    };
    let digest = Digest::of(&head.statement);
    Ok(Opened {
        statement,
        digest,
        signers: Vec::new(),
        archive: None,
        graph,
        others: Vec::new(),
        sizes: None,
    })
}
