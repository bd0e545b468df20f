//! Opens bundles: from untrusted bytes to a bundle whose signature, frame and manifests are right. Takes a
//! file or pipe and a trust policy, gives [`Bundle`](crate::Bundle).

pub(crate) mod bundle;
pub(crate) mod expand;
pub(crate) mod repair;
pub(crate) mod verify;
