//! Values that make a chart ask for other images than its own: found by rendering, not by name.
//!
//! Charts make one reference of many values, each in its own way. So every way of writing is tried, and
//! the rendering says which is right.

mod edit;
mod images;
mod ingress;
mod leaf;
mod prefix;
mod pull_secret;
mod resources;
mod seen;
mod slot;
mod sound;
mod spelling;
mod trial;

pub use images::{Placed, Placement, Proof};
pub use ingress::IngressError;
pub use resources::Resources;
pub use trial::{Overlay, OverlayError};
