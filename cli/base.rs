//! The bases of a delta.
//! Takes --base arguments, gives inventories.

use std::path::{Path, PathBuf};

use crate::exit::Failure;
use bundle_bundler::{EverySite, Inventory, InventoryKind, NamedBase, complete};
use bundle_format::{BundleBases, Limits};
use bundle_registry::{Client, Progress};

use crate::trust::StoreArguments;

/// The bundles, receipts and locks of the other side.
#[derive(clap::Args)]
pub(crate) struct BaseArguments {
    /// Create a delta: omit blobs that this receipt, bundle or lockfile proves delivered; SHORT=FILE is a
    /// short receipt with its bundle or lockfile; repeatable
    #[arg(long, value_name = "FILE|SHORT=FILE")]
    base: Vec<String>,

    /// Create one delta for many sites: omit only what the receipts in DIR prove that all of them have; each file in
    /// it is the receipt of a site, each directory in it has those of one
    #[arg(long, value_name = "DIR", conflicts_with = "base")]
    base_sites: Option<PathBuf>,

    /// Public key that signed the receipts and bundles of --base or --base-sites; repeatable
    #[arg(long, value_name = "PUBKEY")]
    base_trust: Vec<PathBuf>,

    #[command(flatten)]
    store: StoreArguments,
}

impl BaseArguments {
    /// Reads the bases.
    pub(crate) fn load(&self, progress: &dyn Progress) -> Result<Vec<Inventory>, Failure> {
        let keys = self.store.keys(&self.base_trust)?;
        let mut bases = Vec::new();
        for named in &self.base {
            let base = named.parse::<NamedBase>()?.load(&keys, &Limits::V1)?;
            if !base.verified {
                progress.note(&format!(
                    "{base}: no signature was verified; if the content is wrong, the far side refuses the bundle"
                ));
            }
            bases.push(base);
        }
        if let Some(directory) = &self.base_sites {
            let sites = EverySite::read(directory, &keys, &Limits::V1)?;
            let number = sites.sites();
            if let Some(shared) = sites.shared() {
                progress.note(&format!("{number} sites; the one furthest behind has {}", shared.base));
                if !shared.verified {
                    progress.note(
                        "no signature of their receipts was verified; if one is wrong, its site refuses the bundle",
                    );
                }
                bases.push(shared);
            }
        }
        Ok(bases)
    }

    /// The bundles among the bases, whose layers can be read here.
    pub(crate) fn at_hand(&self) -> BundleBases {
        let mut bundles = BundleBases::default();
        for path in self.base.iter().map(|named| named.rsplit('=').next().unwrap_or(named)) {
            // A receipt or a lock has no layers; what is no bundle was refused when it was loaded.
            let _ = bundles.add(Path::new(path), &Limits::V1);
        }
        bundles
    }

    /// Asks the sources what a lock does not say.
    pub(crate) async fn complete(
        bases: &mut [Inventory],
        client: &Client,
        jobs: usize,
        progress: &dyn Progress,
    ) {
        for base in bases.iter_mut().filter(|base| base.origin == InventoryKind::Lock) {
            complete(client, base, jobs, progress).await;
        }
    }
}
