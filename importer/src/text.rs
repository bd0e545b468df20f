use std::io::Read;
use std::path::{Path, PathBuf};

use bundle_oci::Printable;
use serde::de::DeserializeOwned;
use serde_saphyr::Error;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use crate::Limits;

/// Why a person's file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The file cannot be had.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is longer than any that people write.
    #[error("{} has more than {} bytes", .0.display(), Limits::DEFAULT.file)]
    TooLong(PathBuf),
    /// YAML that is not valid, or not of the form that it must have.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong, safe to print.
        message: String,
    },
}

/// Reads a file of bounded size.
pub(crate) fn read_text(path: &Path) -> Result<String, TextError> {
    let failed = |source| TextError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let limit = Limits::DEFAULT.file;
    std::fs::File::open(path).map_err(failed)?.take(limit + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > limit { Err(TextError::TooLong(path.to_owned())) } else { Ok(text) }
}

/// Reads one YAML document. Anchors are not read: none of these files is long enough to need them.
pub(crate) fn read_yaml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, TextError> {
    let limits = Limits::DEFAULT;
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        budget: serde_saphyr::budget! {
            max_depth: limits.depth,
            flow_nesting_limit: limits.depth,
            max_nodes: limits.nodes,
            max_events: 2 * limits.nodes,
            max_aliases: 0,
            max_anchors: 0,
            max_documents: 2,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        TextError::Yaml { path: path.to_owned(), line, column, message: message(error) }
    })
}

fn message(error: &Error) -> String {
    match error {
        Error::Eof { .. } => "the file says nothing".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("'{}' is there twice", Printable(key)),
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown field '{}'; known here: {}", Printable(field), expected.join(", "))
        }
        Error::SerdeMissingField { field, .. } => format!("field '{field}' is missing"),
        other => {
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.rfind(" at line ").map_or(text, |at| &text[..at]);
            Printable(text.trim_start_matches("error: ")).to_string()
        }
    }
}
