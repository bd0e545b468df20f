//! From references to digests: each request is looked up once, with every manifest that belongs to it, its
//! platforms are chosen, and what is attached to it is found. Takes requests and what a lock says of them;
//! gives [`Resolved`], or why each image that failed did.
//!
//! - A locked digest is kept; an image that the lock does not have is resolved, or refused if the lock is
//!   demanded.
//! - The manifests of an index for the wanted platforms make a new index, with all other fields of the first.
//!   A reference with a digest, and an index that is signed where that is the policy, stay whole.
//! - A bundle has one digest of each source.

mod content;
mod error;
mod image;
mod resolver;
mod run;
mod source;

pub(crate) use content::{parse, platform_of, whole_blob};
pub use error::{ResolveCause, ResolveError, ResolveErrors};
pub(crate) use image::Image;
pub(crate) use resolver::Resolver;
pub(crate) use run::{Known, resolve};
pub use run::{Origin, Pins, ResolveOptions, Resolved};
pub(crate) use source::Source;
