//! Every bound on what is read here beside a bundle, with its reason.
//! Takes nothing; the readers of this crate keep to them.

/// Every bound on files and configs that extraction and nodes' configuration read into memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The size in bytes of a Docker configuration with a node's login.
    pub(crate) login: u64,
    /// The size in bytes of a file of a node's configuration; ours have a line or two for each registry.
    pub(crate) node_file: u64,
    /// The size in bytes of a `Chart.yaml` as JSON; Helm itself has no bound.
    pub(crate) chart_metadata: u64,
}

impl Limits {
    /// The limits that every reader keeps to.
    pub(crate) const DEFAULT: Self = Self { login: 1 << 20, node_file: 4 << 20, chart_metadata: 1 << 20 };
}
