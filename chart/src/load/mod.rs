//! From an archive or a directory to a [`Chart`](crate::Chart).

mod archive;
mod directory;
mod error;
mod ignore;
mod tree;

pub use error::{LoadCause, LoadError};
