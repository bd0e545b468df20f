//! Where a bundle's bytes go: a file, its volumes, a pipe, and each of the first two compressed.
//! The mirror of the media that `bundle-format` reads: only this room computes where in a file a byte
//! of the archive goes.

pub(crate) mod compact;
pub(crate) mod error;
pub(crate) mod head;
pub(crate) mod journal;
pub(crate) mod names;
pub(crate) mod packed;
pub(crate) mod parity;
pub(crate) mod parts;
pub(crate) mod pipe;
pub(crate) mod shard;
pub(crate) mod target;
pub(crate) mod volumes;
pub(crate) mod zstd;
