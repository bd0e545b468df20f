//! Manifests and indexes as registries serve them.
//! Takes bytes and a media type; gives a [`Manifest`] with descriptors of what it points to, or a
//! [`ManifestError`]. `document` has the types and the steps, `names` refuses bytes that readers disagree
//! about, `wire` has the fields as they are written.

mod document;
mod error;
mod names;
mod wire;

pub(crate) use document::allocated;
pub use document::{Child, Descriptor, ImageManifest, Index, Manifest};
pub use error::ManifestError;
