//! Why another tool's file cannot be converted.
//! Takes the faults of readers, gives messages with file and line.

use bundle_input::YamlError;
use bundle_oci::Printable;

use super::Tool;

/// Why another tool's file cannot be converted at all.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// YAML that is not valid, or not of the tool's form.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A file that no known tool reads.
    #[error("{} is of no form that is known: {}", Printable(.name), Tool::names())]
    Unknown {
        /// The file.
        name: String,
    },
    /// A file of the right form that asks for nothing.
    #[error("{} asks for nothing, read as a file of {tool}", Printable(.name))]
    Nothing {
        /// The file.
        name: String,
        /// Its form.
        tool: Tool,
    },
    /// A line of a list that is no reference.
    #[error("{}:{line}: '{}' is not a reference of an image", Printable(.name), Printable(.text))]
    Line {
        /// The file.
        name: String,
        /// The line, from 1.
        line: usize,
        /// The line's text.
        text: String,
    },
    /// More documents, or more entries, than a file of people has.
    #[error("{} asks for more than {limit} things", Printable(.name))]
    TooMany {
        /// The file.
        name: String,
        /// How many are read.
        limit: usize,
    },
}
