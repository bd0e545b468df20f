//! The registry that an import delivers to, as a source of the bases of compact bundles. Takes a base's repository
//! and digest, gives the blob that lies there.

use std::collections::HashSet;
use std::io::{self, Write};

use bundle_format::{Bases, CompactBase};
use bundle_oci::Registry;
use bundle_registry::{BlockingBlobs, Client};
use futures_util::StreamExt;

/// How many blobs are asked for at once.
const AT_ONCE: usize = 8;

/// The repositories of a registry. A path below its host is the client's own matter.
#[derive(Debug)]
pub struct RegistryBases {
    blobs: BlockingBlobs,
    registry: Registry,
    /// Bases that were looked for and are not there.
    absent: HashSet<CompactBase>,
}

impl RegistryBases {
    /// What `registry` has, of which these bases are looked for now, with one request for each. Of what cannot be
    /// found out, and of others, it is seen when they are read.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn look(client: &Client, registry: &Registry, bases: &[CompactBase]) -> Self {
        let absent = futures_util::stream::iter(bases)
            .map(|base| async move {
                let found = client.has_blob(registry, &base.repository, base.digest).await;
                matches!(found, Ok(false)).then(|| base.clone())
            })
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        Self { blobs: BlockingBlobs::new(client.clone()), registry: registry.clone(), absent }
    }

    /// The bases that were looked for and are not there, in no order.
    pub fn absent(&self) -> impl Iterator<Item = &CompactBase> {
        self.absent.iter()
    }

    /// How many bytes the bases have together that are not known to be gone.
    pub fn present(&self, bases: &[CompactBase]) -> (usize, u64) {
        let there = bases.iter().filter(|base| self.has(base));
        there.fold((0, 0), |(number, bytes), base| (number + 1, bytes + base.size))
    }
}

impl Bases for RegistryBases {
    fn has(&self, base: &CompactBase) -> bool {
        !self.absent.contains(base)
    }

    fn copy(&self, base: &CompactBase, out: &mut dyn Write) -> io::Result<()> {
        self.blobs.copy(&self.registry, &base.repository, base.digest, base.size, out)
    }
}
