//! Bounds on the files and texts that commands themselves read; all others are in the libraries.
//! Takes nothing; each number has its unit and reason.

use std::time::Duration;

/// The size in bytes of a values file of a person; larger is something else.
pub(crate) const VALUES_FILE: u64 = 5 << 20;

/// The size in bytes of a chain of certificates; larger is something else.
pub(crate) const CERTIFICATES: u64 = 1 << 20;

/// The size in bytes of the document of a key's rotation.
pub(crate) const ROTATION: u64 = 64 << 10;

/// The longest password in bytes: tokens of cloud registries have a few KiB.
pub(crate) const PASSWORD: u64 = 128 << 10;

/// How long one chart may take to find its values. The largest take seconds.
pub(crate) const VALUES_TIME: Duration = Duration::from_secs(300);

/// How many bundles of a stream `stream show` lists.
pub(crate) const RECORDS_SHOWN: usize = 10;

/// The longest reason for a rollback in characters: it goes into the receipt.
pub(crate) const ROLLBACK_REASON: usize = 1000;

/// The size in bytes of a log or status file that `support` collects; the last log has half of it at most.
pub(crate) const SUPPORT_FILE: u64 = 1 << 20;

/// The size in bytes of a file of the system that `support` reads facts from.
pub(crate) const SUPPORT_FACT: u64 = 64 << 10;
