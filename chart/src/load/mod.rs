//! From archives and directories to charts.
//! Start at [`Chart::from_archive`](crate::Chart::from_archive) and
//! [`Chart::from_directory`](crate::Chart::from_directory).

mod archive;
mod directory;
mod error;
mod ignore;
mod tree;

pub use error::{LoadCause, LoadError};
