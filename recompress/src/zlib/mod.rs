//! Models of zlib's `deflate` and of its relatives: GNU gzip, from which zlib came, and pigz, which calls
//! zlib for one block of the input after the other.

mod engine;
mod matcher;
mod pigz;
mod settings;

pub use engine::Deflate;

pub use pigz::{Pigz, PigzBlocks, PigzSettings};
pub use settings::{Level, Strategy, ZlibSettings};
