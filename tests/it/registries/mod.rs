//! Registries of all makes as source and as target, with their habits and their faults.
//!
//! The servers are stand-ins of `tests/servers`, each modelled on the real thing.

mod case;
mod cosign;
mod crane;
mod destination;
mod foreign;
mod identity;
mod interface;
mod line;
mod login;
mod policy;
mod requests;
mod shapes;
mod source;
mod sources;
mod targets;
mod upstream;
