//! SBOMs that are attached to the images of a bundle: which there are, the licences that they name, and new ones
//! of images that have none.
//! Takes bytes of publishers, which are hostile; gives names and numbers within bounds.

mod carried;
mod document;
mod licence;
mod made;

pub use carried::{CarriedSboms, ImageSboms};
pub use document::{Sbom, SbomError, read_sbom};
pub use made::{MadeSboms, MakeSbomsError, SbomForm, UnknownForm, make_sboms};
