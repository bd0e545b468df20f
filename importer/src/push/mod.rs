//! What carries a plan out: blobs, then manifests, then tags, then what belongs to something.
//! Takes a plan and a source of blobs, gives [`Pushed`](crate::Pushed).

pub(crate) mod arrival;
mod blobs;
pub(crate) mod error;
pub(crate) mod failures;
pub(crate) mod fallback_tags;
pub(crate) mod manifests;
pub(crate) mod piped;
pub(crate) mod rate_limit;
pub(crate) mod run;
pub(crate) mod source;
pub(crate) mod tags;
