//! From renderings, values and annotations to images.
//! Start at [`discover`]; [`render_switched`] renders with each switch turned.

mod annotation;
mod find;
mod group;
mod manifest;
mod mention;
mod owner;
mod pair;
mod path;
mod rules;
mod shape;
mod sighting;
mod switch;
mod text;
mod turn;
mod union;
mod walk;

pub use find::{Certainty, Find, Grade, Place};
pub(crate) use group::Group;
pub use manifest::{NamedChart, discover_manifests, named_charts, read_manifests};
pub(crate) use path::Step;
pub use rules::{OperatorRule, Rules};
pub(crate) use sighting::{Declared, sightings};
pub use switch::{SwitchOptions, Switched, render_switched};
pub(crate) use union::declared_in;
pub use union::{Discovery, discover, discover_by};
