//! One signature as it lies in a registry.
//! Takes its bytes and annotations; knows which form it has.

use crate::Annotations;

/// The media type of a payload that cosign signs (cosign, pkg/types/media.go).
pub const SIMPLE_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The media type of a Sigstore bundle (sigstore/protobuf-specs, protos/sigstore_bundle.proto).
pub const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The annotation of a layer with the signature of its content (cosign, specs/SIGNATURE_SPEC.md §Properties).
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// One signature beside an image, as a registry has it. Nothing of it is trusted.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// A layer of a manifest with cosign's tag, `sha256-….sig`.
    Simple {
        /// The content of the layer.
        payload: &'a [u8],
        /// The layer's annotation [`SIGNATURE_ANNOTATION`].
        signature: &'a str,
        /// What else is beside it, for signatures without a key.
        beside: Annotations<'a>,
    },
    /// The layer of a referrer of the type [`BUNDLE_TYPE`], as cosign writes it from version 3 on.
    Bundle(&'a [u8]),
}
