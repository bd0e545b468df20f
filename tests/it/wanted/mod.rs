//! What a bundle.yaml, lists and arguments ask for, through the program: how registries are reached, and which images
//! are left out.

mod convert;
mod excluded;
mod missing;
mod plan;
mod public;
mod reached;
mod tags;
