use crate::{Limits, Value};

/// A text that is no YAML, or more than the limits allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong; may hold text of the document, so print it through `Printable`.
    pub message: String,
}

/// Reads the first document of `text`, as Helm reads values: numbers become floats, as they do on Helm's
/// way through JSON. An empty text is [`Value::Nil`].
///
/// # Errors
///
/// A text that is no YAML, a key that is there twice, or more than `limits` allow.
pub fn parse_values(text: &str, limits: &Limits) -> Result<Value, YamlError> {
    let _ = (text, limits);
    Err(YamlError { line: 1, column: 1, message: "not read yet".to_owned() })
}

/// Reads every document of `text`. Empty documents are left out.
///
/// # Errors
///
/// As [`parse_values`].
pub fn parse_documents(text: &str, limits: &Limits) -> Result<Vec<Value>, YamlError> {
    parse_values(text, limits).map(|value| vec![value])
}
