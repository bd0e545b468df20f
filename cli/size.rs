//! Numbers for people, as the reports print them.
//! Takes numbers, gives text of MiB, seconds and counts.

pub(crate) use bundle_report::{Bytes, Took, count};
