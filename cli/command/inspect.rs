//! `inspect`: the statement of a bundle, verified or not.
//! Takes a bundle, gives its artifacts, sizes and signers; no blob is read but manifests.

use std::path::{Path, PathBuf};

use bundle_format::{Cursor, Damage, Limits, Medium, Statement, Unverified};
use bundle_importer::{Bundle, Deduplication, OpenError, deduplication_of};
use bundle_report::{
    BaseEntry, CompactExtent, Extent, InspectReport, InspectSetReport, InspectedArtifact, OtherPlatformEntry,
    SharedWith,
};
use bundle_trust::{Effective, TrustStoreError};

use crate::exit::{Code, Failure};
use crate::output::{self, name, tell};
use crate::several::Failed;
use crate::trust::StoreArguments;

#[derive(clap::Args)]
pub(crate) struct Inspect {
    /// Bundles to read
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,

    /// Public key or trust.yaml to verify the signature with [default: the keys of `bundle trust`; without
    /// any key, nothing is verified]
    #[arg(long, value_name = "PUBKEY|FILE")]
    trust: Option<PathBuf>,

    /// Show the contents without verifying the signature
    #[arg(long, conflicts_with = "trust")]
    unverified: bool,

    #[command(flatten)]
    store: StoreArguments,
}

impl Inspect {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let trusted = self.trusted()?;
        let look = |bundle: &Path| self.inspected(bundle, trusted.as_ref());
        if let [bundle] = self.bundles.as_slice() {
            return output::report(&look(bundle)?);
        }
        let (bundles, failed) = Failed::each(&self.bundles, look);
        output::report(&InspectSetReport { bundles, failed: failed.entries() })?;
        failed.end()
    }

    fn inspected(&self, path: &Path, trusted: Option<&Effective>) -> Result<InspectReport, Failure> {
        let limits = Limits::V1;
        let (statement, signers, graph, others, sizes) = match trusted {
            Some(trusted) => {
                let bundle = Bundle::open(path, trusted, &limits).map_err(|error| {
                    let stranger = matches!(error, OpenError::Trust(_));
                    let failure = Failure::from(error).of(path);
                    match stranger && self.trust.is_none() {
                        true => {
                            failure.also_hint("to show the contents without verifying them: --unverified")
                        }
                        false => failure,
                    }
                })?;
                let signers = bundle.trusted().signers().to_vec();
                let others = bundle.other_platforms();
                let sizes = bundle.compact_sizes();
                (bundle.statement().clone(), signers, Some(bundle.into_graph()), others, sizes)
            }
            None => {
                let failed = |error: std::io::Error| {
                    Failure::text(Code::Usage, format!("{} cannot be opened: {error}", name(path)))
                };
                let medium = Medium::open(path, &limits)?;
                let mut cursor = Cursor::new(&medium).map_err(failed)?;
                let head = Unverified::read(&mut cursor, &limits)
                    .map_err(|damage| Failure::from(OpenError::Damage(damage)).of(path))?;
                let statement = Statement::parse(&head.statement, &limits)
                    .map_err(|error| Failure::from(OpenError::Damage(Damage::Statement(error))).of(path))?;
                (statement, Vec::new(), None, Vec::new(), None)
            }
        };
        let shares = graph.as_ref().map(|graph| deduplication_of(&statement.artifacts, graph));
        let extent = |position: usize| {
            let compact = sizes.as_ref().and_then(|sizes| sizes.artifacts.get(position).copied());
            shares.as_ref()?.get(position).map(|share| extent(share, compact))
        };
        let artifacts = statement.artifacts.iter().enumerate();
        Ok(InspectReport {
            file: name(path),
            verified: !signers.is_empty(),
            signers,
            stream: statement.stream.to_string(),
            sequence: statement.sequence.into(),
            created: statement.created.to_string(),
            expires: statement.expires.map(|time| time.to_string()),
            previous: statement.previous.map(|digest| digest.to_string()),
            base: statement.base.iter().map(BaseEntry::from).collect(),
            requires: statement.requires.len(),
            required_bytes: statement.requires.iter().map(|blob| blob.size).sum(),
            blobs: statement.blobs.len(),
            blob_bytes: statement.blob_bytes(),
            compact: sizes.as_ref().map(|sizes| CompactExtent {
                size: sizes.file,
                bases: sizes.bases,
                base_bytes: sizes.base_bytes,
            }),
            artifacts: artifacts
                .map(|(position, artifact)| InspectedArtifact {
                    artifact: artifact.into(),
                    extent: extent(position),
                })
                .collect(),
            other_platforms: others.iter().map(OtherPlatformEntry::from).collect(),
        })
    }
}

impl Inspect {
    /// The policy for the bundle's signers; none if neither the arguments nor the store name a key.
    fn trusted(&self) -> Result<Option<Effective>, Failure> {
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
}

fn extent(share: &Deduplication<'_>, compact_size: Option<u64>) -> Extent {
    let with = |(other, bytes): &(&bundle_format::Artifact, u64)| SharedWith {
        target: other.target.to_string(),
        bytes: *bytes,
    };
    Extent {
        size: share.size,
        own_size: share.own,
        compact_size,
        shared_with: share.with.iter().map(with).collect(),
        shared_with_more: share.more,
    }
}
