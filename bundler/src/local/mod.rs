//! Images and files that are read from this machine instead of a registry: archives of `docker save` and
//! `podman save`, OCI image layouts in directories and archives, and single files.
//!
//! Takes what people ask for ([`LocalRequest`]) and opens each archive once; gives ordinary
//! [`Request`](crate::Request)s whose manifests and blobs come from a [`LocalImage`]. From there on, they are
//! resolved, planned and written as images of registries are. Nothing is unpacked: blobs are read in place,
//! and only an archive that is compressed as a whole is unpacked into one temporary file first.

mod address;
mod compression;
mod content;
mod directory;
mod docker;
mod error;
mod file;
mod layout;
mod open;
mod program;
mod request;
mod sboms;
mod store;
mod tar;
#[cfg(test)]
mod tests;
mod tree;

pub use address::{LocalAddress, LocalAddressError, Selector, Transport};
pub(crate) use content::ContentReader;
pub use error::{LocalBlame, LocalCause, LocalError};
pub use file::{FileError, FileMode, FileOrigin, LocalFile, ParseModeError};
pub use program::{ProgramError, program_tag};
pub(crate) use request::open_all;
pub use request::{LocalItem, LocalItemError, LocalRequest, LocalSource};
pub(crate) use sboms::attach_sboms;
pub use store::LocalImage;
