//! The whole program against real servers. Each test's name is a promise to a user.

mod charts;
mod compressed;
mod containerd;
mod crossing;
mod delta;
mod destination;
mod extract;
mod harbor_accounts;
mod harbor_days;
mod harbor_receipt;
mod harbor_scan;
mod harbor_scene;
mod harbor_seed;
mod interop;
mod kill;
mod mirror;
mod mistakes;
mod pull;
mod receipt;
mod rollback;
mod scene;
mod serve;
mod served;
mod source;
mod trust;
mod volumes;
