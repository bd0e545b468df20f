//! The reports of all commands, as models with a version: one value, from which text and JSON are both made.
//! Start at [`Report`], which each model implements, and at [`ErrorReport`], which is printed if a command
//! fails.
//!
//! A field may be added at any time. A field that is taken away, or gets another meaning, raises
//! [`REPORT_VERSION`]. Sizes are bytes, times are seconds, points in time are RFC 3339 in UTC.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod artifact;
mod chart_images;
mod completion;
mod config;
mod convert;
mod create;
mod doctor;
mod error;
mod error_id;
mod exit_code;
mod expand;
mod extract;
mod harbor;
mod import;
mod inspect;
mod inventory;
mod keys;
mod model;
mod progress;
mod prune;
mod receipt;
mod repair;
mod review;
mod schema;
mod serve;
mod size;
mod stream;
mod support;
mod sync;
mod table;
mod verify;

pub use artifact::{ArtifactEntry, BaseEntry, BundleEntry, OtherPlatformEntry, TargetEntry};
pub use chart_images::{ChartEntry, ChartImageEntry, ImagesReport, ListedEntry, WhyReport};
pub use completion::CompletionReport;
pub use config::{ConfigReport, CredentialsEntry, SettingEntry, SettingsFileEntry, VariableEntry};
pub use convert::{ConvertRemark, ConvertReport};
pub use create::{
    CreateReport, LockReport, MissingEntry, PlanReport, Saving, ShardEntry, SignatureEntry, UnchangedReport,
    UnreadBaseEntry,
};
pub use doctor::{CheckOutcome, DoctorCheck, DoctorReport};
pub use error::{ErrorBody, ErrorReport, FileError};
pub use error_id::ErrorId;
pub use exit_code::ExitCode;
pub use expand::ExpandReport;
pub use extract::{
    ConfigFile, ExtractReport, FileEntry, FileReport, FilesReport, MirrorConfigReport, NodeDeviation,
    NodeReport, ValuesReport,
};
pub use harbor::{
    BootstrapReport, CheckReport, DriftEntry, DriftReport, FindingEntry, ProjectCheck, ProjectStep,
    RescanReport, RescannedEntry, RobotStep, RotateReport, RotatedAccount, SecretStep,
};
pub use import::{
    BlobCounts, BlobWays, ImportOutcome, ImportReport, ImportSetEntry, ImportSetReport, ImportStep,
    ImportedBlobs, OutlookReport, PartReport, ProjectScans, RepositoriesReport, ScanEntry, ScansReport,
    StepsReport, StorageEntry, UnstoredEntry,
};
pub use inspect::{
    CompactExtent, Extent, InspectReport, InspectSetReport, InspectView, InspectedArtifact, SharedWith,
    TotalExtent,
};
pub use inventory::{
    BringingEntry, NightEntry, NowWord, PlaceEntry, ProblemEntry, ReceiptLogReport, StandingEntry,
    WhereReport,
};
pub use keys::{
    AcceptReport, ApprovalEntry, KeyReport, LoginReport, LogoutReport, RequireReport, RevokeReport,
    RotationReport, SignReport, SignSetReport, TrustListReport, TrustReport, TrustedKeyEntry,
};
pub use model::{REPORT_VERSION, Report, json};
pub use progress::{ProgressBody, ProgressReport};
pub use prune::{PruneLeft, PruneReport, PruneRow};
pub use receipt::{
    ReceiptReport, ReceiptSetReport, ShortReceiptEntry, ShortReceiptReport, ShortReceiptSetReport,
};
pub use repair::RepairReport;
pub use review::{
    AttachedEntry, BundleScanReport, ChangeEntry, ChangeSummary, DiffReport, DifferenceEntry, ExceptionEntry,
    FindingCounts, FindingRow, LicenceEntry, MadeSbomsEntry, ReviewForm, ReviewReport, ReviewRow, ReviewScan,
    RowLicences, RowScan, ScannedImageEntry, SideEntry, SignerEntry, UsedException, WrittenReport,
};
pub use schema::SchemaCheckReport;
pub use serve::AccessReport;
pub use size::{Bytes, Took, count};
pub use stream::{
    ExportedStreamReport, OutboxEntry, RecordedBundleEntry, RecordedStreamEntry, RecordedStreamsReport,
    StreamRepairReport, TakenBackEntry,
};
pub use support::{SupportEntry, SupportReport};
pub use sync::{ExportReport, ExportedBundle, ImportedItem, ItemOutcome, PrunedEntry, SyncImportReport};
pub use verify::{CheckEntry, VerifiedBundle, VerifyReport, VerifySetReport};
