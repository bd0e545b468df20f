//! A bundle and what happens to it between two registries.
//!
//! Whole, in volumes, compressed, as a delta, killed halfway, rebuilt from parity, signed by others, and what comes back.

pub(crate) mod compact;
mod compressed;
mod delta;
mod extract;
mod in_process;
mod interop;
mod interrupt;
pub(crate) mod kill;
mod local;
mod parallel;
mod parity;
mod promises;
mod prove;
mod receipt;
mod revoked;
mod rollback;
mod same;
mod several;
mod shards;
mod streams;
mod trust;
mod volumes;
mod whole;
