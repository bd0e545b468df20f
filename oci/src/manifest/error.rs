//! Errors of manifests: why bytes are refused.
//! Takes what a manifest or a registry says; gives messages with it escaped.

use crate::{Digest, Printable};

/// Why bytes are no manifest that can be carried.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// More bytes than registries accept (distribution-spec §Pushing Manifests suggests 4 MiB).
    #[error("manifest has {}, more than the 4 MiB that registries accept", crate::ByteCount(*.0 as u64))]
    TooLarge(usize),
    /// No JSON, nested too deeply, a field missing, repeated or of another type.
    #[error("manifest is not valid")]
    Json(#[from] serde_json::Error),
    /// A field that the specification reserves for the other kind of manifest, or spells
    /// otherwise. Readers disagree about such bytes (CVE-2021-41190).
    #[error("manifest is ambiguous: it has the field '{}'", Printable(.0))]
    Ambiguous(String),
    /// The field `mediaType` contradicts the descriptor or the `Content-Type`.
    #[error("manifest says it is {}, not {expected}", Printable(.found))]
    MediaType {
        /// The media type in the descriptor or from the registry.
        expected: String,
        /// The media type in the manifest.
        found: String,
    },
    /// Docker's schema 1, which current registries refuse.
    #[error("manifest is of Docker's schema 1, which registries no longer accept")]
    Schema1,
    /// A type of manifest other than the four.
    #[error("manifest has the unknown media type {}", Printable(.0))]
    UnknownType(String),
    /// A descriptor's field that breaks its grammar.
    #[error("manifest has a descriptor with an invalid {0}")]
    Descriptor(&'static str),
    /// Embedded `data` that is not the content it stands for (descriptor.md §Embedded Content).
    #[error("manifest has embedded data that is not {0}")]
    Data(Digest),
}
