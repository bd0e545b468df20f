//! From renderings, values and annotations to images.
//! Start at [`discover`]; [`trials`] says what to render besides.

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
pub(crate) use group::Group;
pub(crate) use path::Step;
pub use trial::{Trial, trials};
pub(crate) use union::declared_in;
pub use union::{Discovery, discover};
pub(crate) use walk::{Declared, sightings};
