//! The whole program against real servers.
