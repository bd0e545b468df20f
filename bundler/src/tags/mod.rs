//! Tags that are chosen by patterns, ranges of versions, or how new they are, in place of being named.
//! A [`TagGlob`] is a pattern, a [`TagSelection`] a choice, a [`TagPattern`] a request for what it chooses. The choice
//! becomes requests for images by the list of a registry, or by a lock.

mod expand;
mod glob;
mod pattern;
mod select;

pub use expand::{TagCause, TagError, TagErrors};
pub(crate) use expand::{TagSources, expand};
pub use glob::{ParseGlobError, TagGlob};
pub use pattern::{ParseTagItemError, TagItem, TagPattern};
pub use select::{ParseRangeError, TagSelection, VersionRange};
