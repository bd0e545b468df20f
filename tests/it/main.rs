//! The whole program against real servers. Each test's name is a promise to a user.

mod charts;
mod crossing;
mod destination;
mod interop;
mod kill;
mod mistakes;
mod scene;
mod source;
