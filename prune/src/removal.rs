//! The rows of a plan: what goes, what stays and why, and what it frees.
//! Plain values, which the plan's file and the record of a removal have as JSON.

use std::fmt;

use bundle_format::{BundleId, Timestamp};
use bundle_oci::{Digest, Tag};
use serde::{Deserialize, Serialize};

use crate::Repository;

/// Something that can go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Removal {
    /// Where it is.
    #[serde(with = "crate::document::repository")]
    pub repository: Repository,
    /// The artifact.
    pub digest: Digest,
    /// Its tags that go; none if it has none.
    pub tags: Vec<Tag>,
    /// Whether the artifact goes too, because nothing needs it. Otherwise only the tags do.
    pub whole: bool,
    /// What goes with it: accessories, and children of an index that nothing else refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<Digest>,
    /// The newest bundle that brought it.
    pub brought_by: BundleId,
    /// When it was pulled last; none if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulled: Option<Timestamp>,
    /// The bytes of all that it consists of, whoever else has them too.
    pub bytes: u64,
}

/// Something that the stream brought and no kept bundle wants, and that stays nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Left {
    /// Where it is.
    #[serde(with = "crate::document::repository")]
    pub repository: Repository,
    /// What is there.
    pub digest: Digest,
    /// The tag that stays; none if it is the artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// Why.
    pub why: Why,
}

/// Why something stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// Somebody else moved the tag: the stream did not bring this digest under it.
    Moved,
    /// A rule of the project makes the tag immutable.
    Immutable,
    /// It was pulled lately.
    Pulled(Timestamp),
    /// It may run, under this name.
    InUse(String),
    /// Something is attached to it that the stream did not bring.
    Attached(Digest),
    /// It would take something along that a kept bundle wants.
    Shared(Digest),
    /// An index that stays lists it.
    Listed(Digest),
    /// It has a tag that somebody else set.
    Tagged(Tag),
    /// It has a tag that the plan does not name.
    NotReviewed(Tag),
    /// A kept bundle wants it now.
    Wanted,
    /// Harbor refused, in its words.
    Refused(String),
}

impl Why {
    /// Its stable name for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Immutable => "immutable",
            Self::Pulled(_) => "pulled",
            Self::InUse(_) => "in-use",
            Self::Attached(_) => "attached",
            Self::Shared(_) => "shared",
            Self::Listed(_) => "listed",
            Self::Tagged(_) => "tagged",
            Self::NotReviewed(_) => "not-reviewed",
            Self::Wanted => "wanted",
            Self::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved => f.write_str("somebody else moved the tag"),
            Self::Immutable => f.write_str("the tag is immutable"),
            Self::Pulled(at) => write!(f, "it was pulled {at}"),
            Self::InUse(name) => write!(f, "it may be running as {}", bundle_oci::Printable(name)),
            Self::Attached(digest) => write!(f, "{digest} is attached to it, which the stream did not bring"),
            Self::Shared(digest) => write!(f, "it holds {digest}, which a kept bundle wants"),
            Self::Listed(digest) => write!(f, "the index {digest} lists it"),
            Self::Tagged(tag) => write!(f, "somebody else gave it the tag {tag}"),
            Self::NotReviewed(tag) => write!(f, "it has the tag {tag}, which the plan does not name"),
            Self::Wanted => f.write_str("a kept bundle wants it"),
            Self::Refused(text) => write!(f, "Harbor refused: {}", bundle_oci::Printable(text)),
        }
    }
}

/// What a removal frees once Harbor has collected its garbage: each blob once, and none that anything known still
/// needs. Images that people pushed may share blobs with it, which receipts do not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freed {
    /// How many blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}
