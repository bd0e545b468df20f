//! `bundle serve`: what it answers, and who can pull from it.
//!
//! With containerd and the clients of others where they are installed.

pub(crate) mod containerd;
mod follow;
mod mirror;
mod page;
pub(crate) mod pull;
mod requests;
pub(crate) mod served;
