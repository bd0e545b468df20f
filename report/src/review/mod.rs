//! What a bundle has and what it changes, for people who approve it: one model, and one file for each form.
//! Start at [`ReviewReport`].

mod csv;
mod difference;
mod findings;
mod html;
mod html_findings;
mod licences;
mod markdown;
mod model;
mod scan;
mod written;

pub use difference::{ChangeEntry, DiffReport, DifferenceEntry, SideEntry};
pub use findings::{ReviewScan, RowScan, UsedException};
pub use licences::{LicenceEntry, RowLicences};
pub use model::{AttachedEntry, ChangeSummary, ReviewReport, ReviewRow, SignerEntry};
pub use scan::{
    BundleScanReport, ExceptionEntry, FindingCounts, FindingRow, MadeSbomsEntry, ScannedImageEntry,
};
pub use written::{ReviewForm, WrittenReport};
