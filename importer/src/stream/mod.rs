//! The history of a bundle's stream at one registry, and the rules against rolling it back: the
//! state file on this machine, the record in the registry, and what both know together.

pub(crate) mod history;
pub(crate) mod notice;
pub(crate) mod place;
pub(crate) mod record;
pub(crate) mod recorded;
pub(crate) mod repair;
pub(crate) mod rollback;
pub(crate) mod state;
pub(crate) mod tags;
