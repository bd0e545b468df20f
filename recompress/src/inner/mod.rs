//! Compressed files within plain bytes, such as jars in a tar: their DEFLATE streams are replaced by what they stand
//! for, and made again. Takes positions in a file, gives opened bytes with a recipe, and the bytes as they were.
//!
//! One side finds streams ([`archive_entries`]), opens those that it wants ([`Opener`]), and says which streams of a
//! base are of use ([`StreamListWriter`]). The other side inflates these ([`inflate_streams`]) and closes what was
//! opened ([`Closer`]); it looks for nothing.

mod close;
mod entry;
mod list;
mod open;
mod positioned;
mod recipe;
mod zip;

pub use close::Closer;
pub use entry::{ArchiveEntry, Packed, archive_entries, is_archive};
pub use list::{MAX_STREAM_LIST, StreamListWriter, StreamsError, inflate_streams, inflated_len};
pub use open::Opener;
pub use recipe::{InnerRecipe, MAX_INNER_RECIPE};
