//! Executes a plan: blobs, then manifests, then tags, then accessories. Takes a plan and a source of blobs,
//! gives [`Pushed`](crate::Pushed).

pub(crate) mod arrival;
mod blobs;
pub(crate) mod error;
pub(crate) mod failures;
pub(crate) mod fallback_tags;
pub(crate) mod manifest_bytes;
pub(crate) mod manifests;
pub(crate) mod piped;
pub(crate) mod rate_limit;
pub(crate) mod run;
pub(crate) mod source;
pub(crate) mod tags;
