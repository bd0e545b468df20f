//! Removes from a Harbor what a stream's bundles brought and no kept bundle wants.
//!
//! Start at [`Planned`] and [`carry_out`], which do what people and the nightly job ask for. [`gather`] reads receipts,
//! bundles and the registry's record into a [`Ledger`], and [`plan`] is a pure function of the ledger and of what is
//! there. [`apply`] carries out a reviewed [`RemovalPlan`] after looking again, and gives a [`RemovalRecord`] to sign.
//! Nothing here removes what no receipt of the stream says it brought.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod apply;
mod document;
mod gather;
mod in_use;
mod job;
mod ledger;
mod limits;
mod live;
mod plan;
mod record;
mod remarks;
mod removal;

pub use apply::{Applied, apply};
pub use document::{DocumentError, RemovalPlan};
pub use gather::{GatherError, Gathered, Sources, gather};
pub use in_use::{InUse, InUseError};
pub use job::{Approved, Planned, Removed, Request, carry_out};
pub use ledger::{Kept, Ledger, Repository, Wanted};
pub use limits::Limits;
pub use live::{LiveAccessory, LiveArtifact, LiveTag, look};
pub use plan::{Question, plan};
pub use record::{Outcome, RecordError, RemovalRecord, RemovalResult, record_path, write_record};
pub use remarks::{Remark, remarks};
pub use removal::{Freed, Left, Removal, Why};
