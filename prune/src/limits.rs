//! The bounds on what a removal reads: plans, and lists of what runs.
//! Takes nothing; each number has the reason why it is as it is.

/// Every bound beside those of a receipt and of Harbor's answers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a plan. One removal takes about 300 bytes, so that this is enough for 200,000 of them.
    pub plan: u64,
    /// Bytes of a list of what runs. A pod takes some 10 KB in `kubectl get pods -o json`; this is enough for 50,000.
    pub in_use: u64,
    /// Different references in it. A cluster has at most some thousands.
    pub references: usize,
    /// Removals that run at once. Harbor hashes an administrator's password for each request.
    pub removals: usize,
}

impl Limits {
    /// The bounds that the program keeps to.
    pub const DEFAULT: Self = Self { plan: 64 << 20, in_use: 512 << 20, references: 200_000, removals: 4 };
}
