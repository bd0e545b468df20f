//! Every bound that an import keeps to, with its reason.

use std::time::Duration;

/// Every bound on what an import may be asked for by people's files, and on what it asks of a Harbor.
/// None is part of the bundle's format.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Uploads into one Harbor project at a time. Each changes the project's quota, and Harbor
    /// fails some of many that meet (its controller/quota, optimistic lock).
    pub uploads_per_project: usize,
    /// When a blob was seen in its repository longer ago than this, it is looked for again before
    /// the manifest that names it is pushed. Harbor's garbage collection takes what nobody names
    /// and was not touched for two hours (jobservice/job/impl/gc).
    pub recheck_after: Duration,
    /// How often blobs that a registry lost before their manifest are sent again.
    pub rounds: usize,
    /// The first wait between two looks at a scan; it grows up to [`Limits::longest_scan_wait`].
    pub scan_wait: Duration,
    /// The longest wait between two looks at a scan.
    pub longest_scan_wait: Duration,
    /// The size in bytes of the output of `kubectl`, of which the end is shown.
    pub command_output: u64,
}

impl Limits {
    /// The limits that every import keeps to.
    pub const DEFAULT: Self = Self {
        uploads_per_project: 6,
        recheck_after: Duration::from_secs(30 * 60),
        rounds: 3,
        scan_wait: Duration::from_millis(500),
        longest_scan_wait: Duration::from_secs(10),
        command_output: 64 << 10,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
