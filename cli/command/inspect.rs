//! `inspect`: the statement of a bundle, verified or not.
//! Takes a bundle, gives its artifacts, sizes and signers; no blob is read but manifests.

use std::path::{Path, PathBuf};

use bundle_importer::{Deduplication, deduplication_of, heads_of, total_sizes};
use bundle_report::{
    BaseEntry, CompactExtent, Extent, InspectReport, InspectSetReport, InspectView, InspectedArtifact,
    OtherPlatformEntry, SharedWith, TotalExtent,
};
use bundle_trust::Effective;

use crate::exit::Failure;
use crate::opened::{Depth, LookArguments, Opened};
use crate::output::{self, name};
use crate::several::Failed;

#[derive(clap::Args)]
pub(crate) struct Inspect {
    /// Bundles to read
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,

    /// Show a tree: project, repository, tag, platforms, and what is attached
    #[arg(long, conflicts_with = "sizes")]
    tree: bool,

    /// Show the size of each image, the largest first: its own bytes, which the bundle saves without it, and shared ones
    #[arg(long)]
    sizes: bool,

    /// Show whole digests
    #[arg(long)]
    long: bool,

    #[command(flatten)]
    look: LookArguments,
}

impl Inspect {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let trusted = self.look.trusted()?;
        let look = |bundle: &Path| self.inspected(bundle, trusted.as_ref());
        if let [bundle] = self.bundles.as_slice() {
            return output::report(&look(bundle)?);
        }
        let (bundles, failed) = Failed::each(&self.bundles, look);
        output::report(&InspectSetReport { bundles, failed: failed.entries() })?;
        failed.end()
    }

    fn inspected(&self, path: &Path, trusted: Option<&Effective>) -> Result<InspectReport, Failure> {
        // Sizes and platforms' signatures are in the manifests.
        let depth = if self.tree || self.sizes { Depth::Manifests } else { Depth::Statement };
        let Opened { statement, signers, graph, others, sizes, .. } = self.look.open(path, trusted, depth)?;
        let heads = heads_of(&statement.artifacts, graph.as_ref());
        let totals = graph.as_ref().map(|graph| total_sizes(&statement.artifacts, graph, &heads));
        let signers: Vec<String> = signers.into_iter().map(|(name, _)| name).collect();
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
                    attached_to: heads.get(position).copied().filter(|head| *head != position),
                    total: totals
                        .as_ref()
                        .and_then(|totals| totals.get(position).copied()?)
                        .map(|total| TotalExtent { total_size: total.size, leaving_out_saves: total.own }),
                })
                .collect(),
            view: match (self.tree, self.sizes) {
                (true, _) => InspectView::Tree,
                (_, true) => InspectView::Sizes,
                _ => InspectView::List,
            },
            long: self.long,
            other_platforms: others.iter().map(OtherPlatformEntry::from).collect(),
        })
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
