//! Harbor as a site: a destination with projects, quotas, scanners and accounts of its own.
//!
//! [`connect`] is the one place that decides what kind of destination a host is; it gives the
//! importer's [`Destination`](bundle_importer::Destination). The rest serves that adapter, and the
//! commands that administer a Harbor: [`bootstrap`], [`rotate`], [`drift`]. [`look_at_host`] and its
//! neighbours check whether a site is ready, and change nothing.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod accessory;
mod bootstrap;
mod cause;
mod connect;
mod deliveries;
mod difference;
mod doctor;
mod drift;
mod exceptions;
mod harbor;
mod label;
mod limits;
mod live_state;
mod preflight;
mod preparation;
mod quota;
mod reach;
mod reconcile;
mod rescan;
mod retention;
mod scan;
mod settings;
mod trivy;

pub use bootstrap::kept::ClientAs;
pub use bootstrap::kubectl::KubectlError;
pub use bootstrap::robots::{
    BootstrapError, BootstrapPlan, IMPORTER_RIGHTS, Purpose, RobotChange, RobotStep, SecretDelivery,
    SecretPlace, SecretPlaces, bootstrap, rotate,
};
pub use bootstrap::secrets::{HARBORS_PULL_SECRET, PULL_SECRET, PullAccount, new_secret};
pub use connect::{ConnectError, RegistryKind, connect};
pub use deliveries::Deliveries;
pub use difference::{Difference, expired};
pub use doctor::{
    Check, CheckName, ClusterChecks, HostChecks, Outcome, RegistryChecks, Skipped, Trouble, WantedSecret,
    look_at_cluster, look_at_host, look_at_hosts_file, look_at_keys, look_at_pod_names, look_at_registry,
    look_at_request_time, look_at_secret_file, look_at_space, wanted_secrets,
};
pub use drift::{Drift, drift, extra, prove_again, undone};
pub use exceptions::{Day, Exception, Exceptions};
pub use harbor::{HarborOptions, HarborSite};
pub use label::LABEL_RIGHTS;
pub use limits::Limits;
pub use live_state::{LiveProject, LiveState, ProjectState, ScannerState, account_text};
pub use preflight::{PUSH_RIGHTS, preflight};
pub use quota::QuotaCheck;
pub use reach::Reach;
pub use reconcile::{ProjectChange, ProjectStep, ReconcilePlan, policy_text, reconcile};
pub use rescan::{Rescan, RescanError, RescanWay, RescannedImage, rescan};
pub use retention::Retention;
pub use scan::ScanWait;
pub use settings::{
    ExistingProjects, HarborFileError, HarborSettings, Namespace, RobotSettings, Setting, TagPattern,
    WantedProject, harbor_schema,
};
pub use trivy::{PUBLIC, TrivyDatabases, TrivySetting};
