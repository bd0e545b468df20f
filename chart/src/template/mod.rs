//! Go's text/template language with Helm's functions.

mod engine;
mod error;

pub use engine::{Engine, Rendered, TemplateSource};
pub use error::Error;
