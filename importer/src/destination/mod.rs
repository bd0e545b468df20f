//! The destination of a bundle: the interface that every destination implements, its reports before and after
//! an import, and the adapter for a plain registry.

mod bases;
mod finding;
mod interface;
mod outlook;
mod plain;
mod scans;

pub use bases::RegistryBases;
pub use finding::{Cause, Finding, PrepareError};
pub(crate) use interface::project_of;
pub use interface::{
    Answer, ConfirmRequest, Confirmation, Destination, Found, Preparation, PushRules, RecordedTag,
};
pub use outlook::{Change, Note, Outlook, ProjectOutlook, ProjectStorage, Unmarked};
pub use plain::{NoPreparation, PlainRegistry};
pub use scans::{ImageScan, PlatformScan, ScanPolicy, ScanReport, ScanSummary, Scanning, Unscanned};
