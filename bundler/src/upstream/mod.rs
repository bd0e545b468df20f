//! Signatures of publishers, checked before an image is packed: `policy` of a `bundle.yaml`.
//! Takes rules by source and what registries have beside images; gives a [`SignatureCheck`] for each image that a
//! rule is about. The checks of the bytes are in `bundle-upstream`.

mod check;
mod pattern;
mod rules;
mod verdict;

pub use pattern::{ParseSourceError, SourcePattern};
pub use rules::{CosignSigner, ParseActionError, SignatureAction, SignatureRule, UpstreamPolicy};
pub use verdict::{SignatureCheck, SignatureOutcome, Unsigned};
