//! What is known of a registry's content: from receipts, from bundles, and from the registry's own record.
//!
//! Start at [`search`], which answers where an image is and which bundle brought it, and at [`nights`], one line for
//! each receipt. What both read, and what `bundle-prune` decides by, are [`receipt_files`], [`bundle_files`],
//! [`statement_of`] and [`read_record`]. Nothing here writes anything.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod files;
mod limits;
mod log;
mod record;
mod search;
mod statements;
mod subject;

pub use files::{FilesError, bundle_files, receipt_files};
pub use limits::Limits;
pub use log::{Night, NightLog, nights};
pub use record::{Depth, RegistryRecord, StreamRecord, read_record};
pub use search::{Answer, At, Bringing, Far, Now, Place, Problem, SearchError, Sources, Standing, search};
pub use statements::statement_of;
pub use subject::{ParseSubjectError, Subject};
