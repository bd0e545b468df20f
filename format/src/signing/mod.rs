//! Keys, the policy of whose signature counts, and the rotation of keys and approvals.
//! Takes bytes and a policy, gives proof that a statement may be used.

pub(crate) mod approval;
pub(crate) mod key;
pub(crate) mod policy;
pub(crate) mod rotation;
