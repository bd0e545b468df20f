//! The other side is a Harbor: made ready, filled, looked after.
//!
//! All tests here run against the double of `tests/servers/src/harbor`.

mod accounts;
mod days;
mod doctor;
mod labels;
mod policies;
mod prune;
mod receipt;
mod scan;
pub(crate) mod scene;
mod seed;
mod whereabouts;
