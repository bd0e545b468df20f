//! The promises of the documents and of the files beside them.
//!
//! Commands do what the text says, and `manifests/` works as it is.

mod chart;
mod ci;
mod cluster_oracle;
mod machine;
mod manifests;
mod monitoring;
pub(crate) mod page;
mod pages;
mod plain_registry;
mod reference;
mod runbook;
mod schemas;
