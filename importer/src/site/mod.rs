//! Harbor as a site: how its projects are run, what is there now, what an import would change, and
//! what its scanners and quotas say.

pub(crate) mod accessory;
pub(crate) mod bootstrap;
pub(crate) mod drift;
pub(crate) mod finding;
pub(crate) mod live_state;
pub(crate) mod plan;
pub(crate) mod preflight;
pub(crate) mod rate_limit;
pub(crate) mod reconcile;
pub(crate) mod scan;
pub(crate) mod settings;
pub(crate) mod trivy;
