//! The whole program against real servers. Each test's name is a promise to a user.

mod compressed;
mod crossing;
mod delta;
mod destination;
mod interop;
mod kill;
mod mistakes;
mod receipt;
mod rollback;
mod scene;
mod source;
mod trust;
mod volumes;
