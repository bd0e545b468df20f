//! The archive: where its entries lie, its head, blobs by digest, and how it can be damaged; from a
//! medium that is read at any place, or from a pipe. The only room that computes where in an
//! archive a byte lies.

pub(crate) mod blob;
pub(crate) mod damage;
pub(crate) mod file;
pub(crate) mod head;
pub(crate) mod layout;
pub(crate) mod manifests;
pub(crate) mod pipe;
#[cfg(test)]
mod tests;
