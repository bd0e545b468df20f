//! Keys, the policy of whose signature counts, and the rotation of keys.

pub(crate) mod key;
pub(crate) mod policy;
pub(crate) mod rotation;
