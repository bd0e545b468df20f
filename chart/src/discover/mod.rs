//! From renderings, values and annotations to images.

mod annotation;
mod find;
mod group;
mod pair;
mod path;
mod shape;
mod trial;
mod union;
mod walk;

pub use find::{Certainty, Find, Place};
pub use trial::{Trial, trials};
pub use union::{Discovery, discover};
