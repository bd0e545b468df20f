//! A client of Harbor's API v2.0, as Harbor 2.14 and 2.15 speak it.
//!
//! Start at [`Harbor::detect`]. Each file is one noun of Harbor: [`Project`], [`Robot`],
//! [`Artifact`], [`Label`], [`ImmutableRule`], [`RetentionPolicy`], [`Allowlist`], [`StorageLimit`], [`ScanSummary`], [`SystemInfo`], [`Rights`].
//! Blobs and manifests go over `/v2/`, which is `bundle-registry`'s; so do credentials, certificates
//! and retries. Each request carries user and password and no cookie: with Harbor's session cookie,
//! the next change would be refused for want of a CSRF token (Harbor's middleware/csrf).

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod account;
mod allowlist;
mod artifact;
mod client;
mod immutable;
mod label;
mod limits;
mod project;
mod quota;
mod removal;
mod replication;
mod rescan;
mod retention;
mod robot;
mod scan;
mod secret;
mod system;

pub use account::{Account, Right, Rights};
pub use allowlist::{Allowlist, AllowlistSource};
pub use artifact::{Accessory, Artifact, ArtifactTag};
pub use client::Harbor;
pub use immutable::ImmutableRule;
pub use label::{Label, Labelled};
pub use limits::Limits;
pub use project::{Access, NewProject, Policy, Prevention, Project};
pub use quota::{ParseStorageLimitError, Quota, StorageLimit, StorageUse};
pub use removal::Removed;
pub use replication::ReplicationPolicy;
pub use rescan::ScanAllProgress;
pub use retention::{Keeps, RetentionPolicy, RetentionRule};
pub use robot::{CreatedRobot, Permission, Robot, RobotLifetime, RobotSpec};
pub use scan::{ScanState, ScanSummary, Scanner, Severity};
pub use secret::RobotSecret;
pub use system::{ComponentHealth, Health, SystemInfo, Volume};

/// The oldest and the newest version that this client was tried with, by their first two numbers.
pub const TRIED_VERSIONS: [(u32, u32); 2] = [(2, 14), (2, 15)];
