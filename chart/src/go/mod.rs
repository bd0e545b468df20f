//! Pieces of Go's standard library whose exact texts charts depend on.
//! Each file is one package or a part of one; none of them knows Helm.

mod directive;
pub(crate) mod duration;
pub(crate) mod float;
pub(crate) mod format;
pub(crate) mod integer;
pub(crate) mod json;
pub(crate) mod quote;
pub(crate) mod time;
pub(crate) mod types;
