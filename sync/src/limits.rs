//! Every bound on what the scheduled jobs read and remember, with its reason.
//! Takes nothing; the jobs keep to them.

/// Every bound of the scheduled jobs. They run unattended over directories that others write to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The size in bytes of what a job remembers: enough for many streams.
    pub(crate) ledger: u64,
    /// The size in bytes of a file of short receipts: some hundred of them.
    pub(crate) short_receipts: u64,
    /// Bundles that are refused, or remembered as unusable, in one run. The ledger is written again with each
    /// bundle that a run moves, and a million files in an inbox must not fill the memory. Valid bundles are
    /// imported, however much junk lies beside them.
    pub(crate) unusable: usize,
    /// The longest name of a file in bytes that Linux's file systems take.
    pub(crate) file_name: usize,
}

impl Limits {
    /// The limits that both jobs keep to.
    pub(crate) const DEFAULT: Self =
        Self { ledger: 16 << 20, short_receipts: 64 << 10, unusable: 250, file_name: 255 };
}
