//! YAML as Helm reads and writes it.

mod reader;
mod scalar;
mod writer;

pub use reader::{YamlError, parse_documents, parse_values};
pub use writer::to_yaml;
