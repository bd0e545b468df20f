//! Fetches a plan's blobs and writes its bytes to a sink, signed: several blobs at once, each at its
//! place where the sink takes bytes so, and otherwise one after the other; a compact bundle is encoded afterwards.

pub(crate) mod anywhere;
pub(crate) mod compact;
pub(crate) mod configs;
pub(crate) mod error;
pub(crate) mod fetch;
pub(crate) mod in_order;
pub(crate) mod run;
pub(crate) mod shard;
