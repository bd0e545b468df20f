//! Files that people write: read within bounds, as text and as YAML, with one strictness and one
//! table of messages for all of them.
//!
//! Start at [`read_yaml`], which gives a value of any type that serde knows, or an [`InputError`]
//! that names file, line and column. [`parse_yaml`] does the same to a text that is at hand.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod limits;
mod nearest;
mod plain;
pub mod schema;
mod settings;
mod span;
mod text;
mod yaml;

pub use limits::Limits;
pub use nearest::nearest;
pub use plain::{Plain, plain};
pub use schema::schema_of;
pub use settings::{FileSetting, SettingsError, SettingsFile, settings_schema};
pub use span::Span;
pub use text::{STDIN, TextError, read_bytes, read_list, read_text};
pub use yaml::{Dialect, InputError, YamlError, parse_yaml, read_yaml};
