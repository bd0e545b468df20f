//! The whole program against real servers and against doubles of them.
//!
//! Each test's name is a promise to a user. A room is a subject: `cargo test --test it serve::` runs one.

mod browser;
mod charts;
mod crossing;
mod documents;
mod harbor;
mod hostile;
mod log;
mod memory;
mod mistakes;
mod overwrite;
mod progress;
mod registries;
mod release;
mod reports;
mod review;
mod scan;
mod scene;
mod serve;
mod settings;
mod soak;
mod sync;
mod wanted;
