//! Parity: files beside a bundle from which what is lost or damaged of it is made again. They are not signed
//! and not trusted: the statement's digests check rebuilt bytes like all others.

pub(crate) mod code;
pub(crate) mod layer;
pub(crate) mod shape;
pub(crate) mod share;
pub(crate) mod spill;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod writer;
