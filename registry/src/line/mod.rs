//! The state of the line to each registry: the speed of uploads, and the number of requests that the registry
//! accepts at once. Takes the outcomes of requests, gives the limits of the next ones.

mod passes;
mod rate;

pub(crate) use passes::Passes;
pub(crate) use rate::{Flow, Lines, Way};
