//! Blobs on their way to a registry: mounted, sent whole, or sent in pieces that fit the line.
//! Takes a source of bytes, gives how the blob came to be in the repository.

mod body;
mod pieces;
mod send;
mod session;

pub use send::{BlobSource, Uploaded};
pub(crate) use session::session_url;
