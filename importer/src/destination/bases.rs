//! The registry that an import delivers to, as a source of the bases of compact bundles. Takes a base's repository
//! and digest, gives the blob that lies there.

use std::io::{self, Write};

use bundle_format::{Bases, CompactBase};
use bundle_oci::Registry;
use bundle_registry::{BlockingBlobs, Client};

/// The repositories of a registry. A path below its host is the client's own matter.
#[derive(Debug)]
pub struct RegistryBases {
    blobs: BlockingBlobs,
    registry: Registry,
}

impl RegistryBases {
    /// What `registry` has.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn new(client: &Client, registry: &Registry) -> Self {
        Self { blobs: BlockingBlobs::new(client.clone()), registry: registry.clone() }
    }
}

impl Bases for RegistryBases {
    fn has(&self, base: &CompactBase) -> bool {
        self.blobs.has(&self.registry, &base.repository, base.digest)
    }

    fn copy(&self, base: &CompactBase, out: &mut dyn Write) -> io::Result<()> {
        self.blobs.copy(&self.registry, &base.repository, base.digest, base.size, out)
    }
}
