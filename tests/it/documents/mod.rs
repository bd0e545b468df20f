//! What the documents and the files beside them promise.
//!
//! Links lead somewhere, commands do what the text says, and `manifests/` works as it is.

mod links;
mod manifests;
mod runbook;
