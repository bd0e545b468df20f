//! YAML as Helm reads and writes it: go-yaml's dialect.
//! Start at [`parse_values`] and [`to_yaml`].

mod json;
mod order;
mod reader;
mod scalar;
mod style;
mod writer;

pub(crate) use json::parse_json;
pub(crate) use reader::{Nodes, decode_yaml};
pub use reader::{YamlError, parse_documents, parse_values};
pub use writer::to_yaml;
pub(crate) use writer::{encode_pretty_yaml, encode_yaml};
