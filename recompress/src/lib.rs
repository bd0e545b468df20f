//! Exact recompression: compressed bytes taken apart into plain bytes and a recipe, and made again of the
//! two, bit for bit. Takes readers and writers, knows no bundle and no network.
//!
//! Start at [`examine`] and [`recreate`]; for compressed files within the plain bytes at [`Opener`] and [`Closer`].

mod deflate;
mod encoder;
mod examine;
mod frames;
pub mod go;
mod gzip;
mod inner;
pub mod klauspost;
pub mod klauspost_zstd;
mod model;
mod recipe;
mod recreate;
mod reuse;
mod source;
mod tokens;
mod trial;
mod varint;
mod zlib;
mod zstd;

pub use encoder::Encoder;
pub use examine::{ExamineError, MAX_MEMORY, examine, examine_beside};
pub use inner::{
    ArchiveEntry, Closer, InnerRecipe, MAX_INNER_RECIPE, MAX_STREAM_LIST, Opener, Packed, StreamListWriter,
    StreamsError, archive_entries, inflate_streams, inflated_len, is_archive,
};
pub use model::{GoLevel, KlauspostSettings, Model, PgzipSettings};
pub use recipe::{MAX_RECIPE, Recipe, RecipeError};
pub use recreate::{Limits, RecreateError, Recreated, recreate, recreate_beside};
pub use reuse::{BaseTokens, InflateError, ReadAt, inflate_base};
pub use source::ReadSeek;
pub use zlib::{Deflate, Level, Pigz, PigzBlocks, PigzSettings, Strategy, ZlibSettings};
pub use zstd::ZstdSettings;
