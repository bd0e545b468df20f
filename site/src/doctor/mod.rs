//! Whether a site is ready: checks that can be made from where one stands, and that change nothing.
//! Takes clients, files and names; gives each check with how it ended, and no advice.

mod check;
mod cluster;
mod files;
mod host;
mod names;
mod product;

pub use check::{Check, CheckName, Outcome, Skipped, Trouble};
pub use cluster::{ClusterChecks, WantedSecret, look_at_cluster, wanted_secrets};
pub use files::{look_at_keys, look_at_secret_file, look_at_space};
pub use host::{HostChecks, look_at_host};
pub use names::{look_at_hosts_file, look_at_pod_names};
pub use product::{RegistryChecks, look_at_registry, look_at_request_time};
