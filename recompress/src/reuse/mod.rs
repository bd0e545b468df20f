//! Reuse of a base's tokens: where the plain bytes of a layer are those of a base, and both were compressed alike, the
//! encoder would make the tokens again that the base's compressed bytes have. A recipe says where, a reader takes
//! them over without a search, and whether they are right is seen by the digest of what comes out.

mod base;
mod follow;
mod inflate;
mod matcher;
mod record;
mod sequence;

pub use base::{BaseTokens, ReadAt};
pub(crate) use follow::{Follow, Piece, Shared, Trouble};
pub(crate) use inflate::{Inflater, WANTED};
pub(crate) use matcher::Matcher;
pub use record::{InflateError, inflate_base};

/// The shortest run that is written, in plain bytes: shorter ones take more bytes of the recipe than they save time.
const SHORTEST_WRITTEN: u64 = 4 * 1024;
/// The shortest run that is read, so that what a run costs is little beside its bytes.
pub(crate) const SHORTEST_READ: u64 = 1024;

/// A run of a base's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Where it begins in the plain bytes of the member.
    pub(crate) at: u64,
    /// Which base.
    pub(crate) base: usize,
    /// Where it begins in the plain bytes of the base.
    pub(crate) from: u64,
    /// How many plain bytes.
    pub(crate) length: u64,
}
