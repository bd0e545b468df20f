//! Every bound on the files of keys and signatures, with its reason.
//! Takes nothing; the readers of this crate keep to them.

/// Every bound on files that say who may sign. They are read before anything is known of a bundle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Keys of one trust.yaml: each is tried with every signature of a bundle.
    pub(crate) keys: usize,
    /// The size in bytes of a key's file, which is read into memory.
    pub(crate) key_file: u64,
    /// Countersignatures beside a bundle: each costs a check against each trusted key.
    pub(crate) countersignatures: usize,
    /// The size in bytes of an approval, which is read into memory: it has one digest and one name.
    pub(crate) approval: u64,
    /// The size in bytes of a report that is approved, which is read into memory: a bundle of 100,000 images has one of
    /// 150 MiB.
    pub(crate) report: u64,
}

impl Limits {
    /// The limits that every reader keeps to.
    pub(crate) const DEFAULT: Self =
        Self { keys: 1000, key_file: 64 << 10, countersignatures: 32, approval: 64 << 10, report: 512 << 20 };
}
