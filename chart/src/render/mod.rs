//! From a chart and values to documents.
//! Start at [`render`].

mod capabilities;
mod definition;
mod document;
mod error;
mod objects;
mod reading;
mod rendering;
mod wanted;

pub use capabilities::{KubeVersion, ParseKubeVersionError};
pub(crate) use document::label;
pub use document::{Document, Origin};
pub use error::RenderError;
pub use rendering::{Definitions, Operation, RenderOptions, Rendering, render};
pub(crate) use rendering::{Prepared, Run};
