//! The model of differences (stream 1): `predict` says how likely the next bit is, from bytes that both sides know;
//! `range` codes bits by that; `diff` goes through the bytes. Encoder and decoder run the same code.

mod diff;
mod predict;
mod range;

pub(crate) use diff::{AHEAD, DiffModel};
pub(crate) use range::{Bits, RangeDecoder, RangeEncoder};

/// The number of contexts of a bit.
pub(crate) const INPUTS: usize = 10;
