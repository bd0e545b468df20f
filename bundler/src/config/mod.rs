//! `bundle.yaml`: what a bundle carries, into which Harbor project, and with which settings.
//! Takes a file with the lists and values that it names; gives a [`Config`] of requests, or what is wrong,
//! with file, line and column. The fields are in `document`, `image`, `list` and `sources`, the rules about
//! signatures in `upstream`, the settings that a file, a project, a list and an image all have in `settings`, and requests are made of them in `load` and
//! `project`.

mod choice;
mod document;
mod error;
mod image;
mod list;
mod load;
mod local;
mod project;
mod settings;
mod sources;
mod upstream;

pub use document::bundle_schema;
pub(crate) use error::wrong;
pub use error::{ConfigError, FieldError};
pub(crate) use list::read_excludes;
pub use load::Config;
pub(crate) use settings::present;
pub use sources::{ParseMirrorError, SourceMirror, Sources};
