//! DEFLATE (RFC 1951) itself: what all models share. Bits are written, codes are numbered and block headers
//! are laid out here; how an encoder chooses its tokens and its blocks is the business of the models.

mod bits;
pub(crate) mod codes;
pub(crate) mod trees;

pub(crate) use bits::{BitWriter, Bulk};
