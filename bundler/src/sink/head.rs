//! The facts about a bundle that every sink gets. Takes a plan and its signature, gives both with the digest
//! and length of the archive.

use std::sync::Arc;

use bundle_format::SignatureBytes;
use bundle_oci::Digest;

use crate::Plan;

/// A bundle as a sink knows it.
#[derive(Clone, Debug)]
pub(crate) struct SinkHead {
    plan: Arc<Plan>,
    signature: SignatureBytes,
}

impl SinkHead {
    pub(crate) fn new(plan: Arc<Plan>, signature: SignatureBytes) -> Self {
        Self { plan, signature }
    }

    /// The same bundle with another signature.
    pub(crate) fn with_signature(&self, signature: SignatureBytes) -> Self {
        Self { plan: self.plan.clone(), signature }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The digest of the statement's bytes.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.plan.statement_bytes())
    }

    /// The statement's bytes.
    pub(crate) fn statement(&self) -> &[u8] {
        self.plan.statement_bytes()
    }

    /// Its signature.
    pub(crate) fn signature(&self) -> &SignatureBytes {
        &self.signature
    }

    /// The length of the archive up to its first layer.
    pub(crate) fn length(&self) -> u64 {
        self.plan.head_length()
    }
}
