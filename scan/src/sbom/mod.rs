//! SBOMs that are attached to the images of a bundle: which there are, and the licences that they name.
//! Takes bytes of publishers, which are hostile; gives names and numbers within bounds.

mod carried;
mod document;
mod licence;

pub use carried::{CarriedSboms, ImageSboms};
pub use document::{Sbom, SbomError, read_sbom};
