//! What is known of the line to each registry: how fast uploads go over it, and how many requests the
//! registry takes at once. Takes what happened to requests, gives how the next ones are made.

mod passes;
mod rate;

pub(crate) use passes::Passes;
pub(crate) use rate::{Flow, Lines, Way};
