//! The state of the line to each registry: the speed of uploads, the number of requests that the registry accepts
//! at once, and what can be found out beforehand. Takes the outcomes of requests, gives the limits of the next
//! ones.

pub(crate) mod certificate_times;
mod passes;
mod probe;
mod rate;
pub(crate) mod trace;

pub use certificate_times::CertificateTimes;
pub(crate) use passes::Passes;
pub use probe::{Held, ServerTime};
pub(crate) use rate::{Flow, Lines, Way};
