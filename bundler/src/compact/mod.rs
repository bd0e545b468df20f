//! Compact bundles: which bases a blob is made a difference to, and where these are read while a bundle is made.
//! Takes a plan and what the other side has, gives bases and their bytes.

pub(crate) mod bases;
pub(crate) mod choose;
