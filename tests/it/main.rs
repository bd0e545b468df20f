//! The whole program against real servers. Each test's name is a promise to a user.

mod containerd;
mod crossing;
mod destination;
mod extract;
mod interop;
mod kill;
mod mirror;
mod mistakes;
mod pull;
mod scene;
mod serve;
mod served;
mod source;
