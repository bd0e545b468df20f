//! A run as its caller sees it.
//! Gives the events of its progress, and takes the request to end it early.

pub(crate) mod progress;
pub(crate) mod stop;
