//! From bytes that nobody trusts to a bundle whose signature, frame and manifests are right.

pub(crate) mod bundle;
pub(crate) mod verify;
