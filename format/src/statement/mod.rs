//! The statement of a bundle, the manifests that it names, and the names in it. Takes JSON or a draft, gives
//! values whose rules hold.

mod census;
pub(crate) mod document;
pub(crate) mod extent;
pub(crate) mod graph;
pub(crate) mod index;
pub(crate) mod other_platforms;
pub(crate) mod promises;
pub(crate) mod stream;
pub(crate) mod target;
