//! The compact encoding of an archive (docs/format.md §Compact encoding): blobs as recipes that make them of
//! their uncompressed bytes, and these as differences to what the other side has already. Nothing here is signed:
//! what comes out is the archive, whose statement proves every byte of it.

pub(crate) mod at_hand;
pub(crate) mod bases;
pub(crate) mod conduit;
pub(crate) mod encode;
pub(crate) mod error;
pub(crate) mod form;
pub(crate) mod layer;
pub(crate) mod make;
pub(crate) mod opened;
pub(crate) mod pipe;
pub(crate) mod plain;
pub(crate) mod scratch;
#[cfg(test)]
mod tests;
pub(crate) mod writer;
