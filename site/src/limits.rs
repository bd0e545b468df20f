//! Every bound on what is asked of a Harbor and of the programs beside it, with its reason.
//! Takes nothing; the rest of this crate keeps to them.

use std::time::Duration;

/// How a Harbor is asked.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Uploads into one project at a time. Each changes the project's quota, and Harbor fails some of
    /// many that meet (its controller/quota, optimistic lock).
    pub uploads_per_project: usize,
    /// When a blob was seen in its repository longer ago than this, it is looked for again before the
    /// manifest that names it is pushed. Harbor's garbage collection removes unreferenced blobs that were not
    /// touched for two hours (jobservice/job/impl/gc).
    pub recheck_after: Duration,
    /// The first wait between two looks at a scan; it grows up to [`Limits::longest_scan_wait`].
    pub scan_wait: Duration,
    /// The longest wait between two looks at a scan.
    pub longest_scan_wait: Duration,
    /// The size in bytes of the output of `kubectl`, of which the end is shown.
    pub command_output: u64,
    /// The size in bytes of a file of pull secrets: one document for each namespace of a project.
    pub kept_secret: u64,
    /// The longest run of `kubectl`: a cluster answers in less, or not at all.
    pub command_time: Duration,
    /// The longest run of `kubectl` that only reads: who waits for a check wants to know soon.
    pub look_time: Duration,
    /// The size in bytes of an object of Kubernetes, or of a list of names: etcd keeps no larger one than
    /// 1.5 MiB.
    pub object: u64,
    /// The difference between the clock and the registry's from which a warning is given. Tokens and
    /// certificates have their tolerances below this.
    pub clock_warns: Duration,
    /// How far it may be at most: tokens of half an hour and signatures with times begin to be refused.
    pub clock_fails: Duration,
    /// How long before its end a certificate or key is spoken of.
    pub ends_soon: Duration,
    /// The size in bytes of the request that is announced where the bundle does not say how large its largest
    /// layer is.
    pub announced: u64,
    /// Addresses of one host that are tried.
    pub addresses: usize,
    /// Labels of earlier bundles of a stream in a project. Each is listed on a night that changed something, and people
    /// choose from all of them on Harbor's page.
    pub earlier_labels: usize,
}

impl Limits {
    /// The limits that every import keeps to.
    pub const DEFAULT: Self = Self {
        uploads_per_project: 6,
        recheck_after: Duration::from_secs(30 * 60),
        scan_wait: Duration::from_millis(500),
        longest_scan_wait: Duration::from_secs(10),
        command_output: 64 << 10,
        kept_secret: 4 << 20,
        command_time: Duration::from_secs(120),
        look_time: Duration::from_secs(15),
        object: 4 << 20,
        clock_warns: Duration::from_secs(60),
        clock_fails: Duration::from_secs(5 * 60),
        ends_soon: Duration::from_secs(30 * 24 * 60 * 60),
        announced: 10 << 30,
        addresses: 16,
        earlier_labels: 10,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
