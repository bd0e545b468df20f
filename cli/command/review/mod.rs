//! The commands of people who approve bundles: `diff`, `report` and `sign`.
//! Takes parsed arguments, gives what each command prints or writes.

mod diff;
mod report;
mod rows;
mod scanned;
mod sign;

pub(crate) use diff::Diff;
pub(crate) use report::Report;
pub(crate) use sign::{Sign, approval_entry};
