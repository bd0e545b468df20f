//! The nightly jobs of both sides.
//!
//! One night at a time, a month of them, and nights on which people interfere.

mod absence;
mod bad_nights;
mod fleet;
pub(crate) mod jobs;
mod nights;
mod pruning;
mod thrift;
mod year;
