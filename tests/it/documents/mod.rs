//! What the documents and the files beside them promise.
//!
//! Commands do what the text says, and `manifests/` works as it is.

mod manifests;
mod reference;
mod runbook;
mod schemas;
