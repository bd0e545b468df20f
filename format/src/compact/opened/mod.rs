//! Opens the archives in a layer's uncompressed bytes (jars, wheels, gzip files), so that the difference is one of what
//! is in them. Takes the bytes and the bases; gives opened bytes, what closes them, and what of the bases is like it.

mod archives;
mod base;
mod known;
mod open;
#[cfg(test)]
mod tests;

pub(crate) use base::OpenedBase;
pub(crate) use open::{Near, Opened, open_archives};
