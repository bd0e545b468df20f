//! Parity: files beside a bundle from which what is lost or damaged of it is made again. Nothing of them
//! is signed and nothing of them is believed: what was rebuilt is held to the statement like all else.

pub(crate) mod code;
pub(crate) mod layer;
pub(crate) mod shape;
pub(crate) mod share;
pub(crate) mod spill;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod writer;
