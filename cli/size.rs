//! Numbers for people, as the reports print them.

pub(crate) use bundle_report::{Bytes, Took, count};
