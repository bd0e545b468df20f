//! Go's own `compress/flate` as it was up to Go 1.26: what `compress/gzip` writes in Docker, BuildKit,
//! containerd, crane and ko. Read in Go 1.26.8; the encoder is the same since Go 1.8.

pub(crate) mod bits;
pub(crate) mod block;
mod chains;
mod encoder;
mod fast;
pub(crate) mod huffman;
mod table;
pub(crate) mod token;
pub(crate) mod write;

pub use encoder::GoEncoder;
pub(crate) use encoder::LAZY;
