//! The plan of a removal: a pure function of what a stream brought, what kept bundles want, what is there, and what
//! runs. Gives what can go, what it frees, and what stays although no kept bundle wants it, with the reason.

mod question;
mod repository;
mod there;

#[cfg(test)]
mod tests;

pub use question::{Question, plan};
