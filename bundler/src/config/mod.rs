//! `bundle.yaml`: what a bundle carries, into which Harbor project, and with which settings.
//! Takes a file with the lists and values that it names; gives a [`Config`] of requests, or what is wrong,
//! with file, line and column. The fields are in `document` and `image`, the settings that a file, a project
//! and an image all have in `settings`, and requests are made of them in `load` and `project`.

mod document;
mod error;
mod image;
mod load;
mod local;
mod project;
mod settings;

pub use document::bundle_schema;
pub(crate) use error::wrong;
pub use error::{ConfigError, FieldError};
pub use load::Config;
pub(crate) use settings::present;
