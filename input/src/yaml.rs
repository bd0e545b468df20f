//! One reader of people's YAML: bounded, strict, and with messages in the words of someone who writes
//! YAML. Takes a text and its file's name, gives a value or the place of the mistake.

use std::path::Path;

use bundle_oci::Printable;
use serde::de::DeserializeOwned;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Location};

use crate::text::{TextError, read_text};
use crate::{Limits, nearest};

/// A file's text that is no YAML, or not of the form that it must have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}", Printable(.name))]
pub struct YamlError {
    /// The file's name.
    pub name: String,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// The fault, safe to print.
    pub message: String,
}

impl YamlError {
    /// A mistake that a later look found at a place of the file called `name`.
    pub fn at(name: &str, place: Location, message: String) -> Self {
        Self { name: name.to_owned(), line: place.line(), column: place.column(), message }
    }
}

/// Why a person's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file cannot be had.
    #[error(transparent)]
    Text(#[from] TextError),
    /// YAML that is not valid, or not of the form that it must have.
    #[error(transparent)]
    Yaml(#[from] YamlError),
}

/// Which YAML a file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Ours, without anchors.
    Plain,
    /// Ours, made by the program itself, and larger than what people write.
    Lock,
    /// Ours, with anchors and aliases in the file, whose use is bounded.
    Anchors,
    /// Helm's YAML: an index that others wrote, where the later of two keys counts and a scalar may be read
    /// as a text whatever it looks like.
    Helm,
    /// Another tool's, in which a scalar may be read as a text whatever it looks like, with anchors, aliases and merge
    /// keys, whose use is bounded. A key that appears twice is a mistake: one of its values would be lost.
    Others,
}

/// Reads the YAML file at `path`, of at most [`Limits::file`] bytes.
///
/// # Errors
/// Any [`InputError`].
pub fn read_yaml<T: DeserializeOwned>(path: &Path, dialect: Dialect) -> Result<T, InputError> {
    let text = read_text(path, Limits::DEFAULT.file)?;
    Ok(parse_yaml(&text, &path.display().to_string(), dialect)?)
}

/// Reads one document of the file called `name`. A text of ours must be quoted where other readers of
/// YAML would see a number or boolean, so that `1.10` means the same to all of them.
///
/// # Errors
/// [`YamlError`], with the place of the mistake.
pub fn parse_yaml<T: DeserializeOwned>(text: &str, name: &str, dialect: Dialect) -> Result<T, YamlError> {
    let limits = Limits::DEFAULT;
    let ours = !matches!(dialect, Dialect::Helm | Dialect::Others);
    // Where all fields may be left out, a file that was cut to nothing would mean something.
    if ours && text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#')) {
        let message = "the file is empty".to_owned();
        return Err(YamlError { name: name.to_owned(), line: 1, column: 1, message });
    }
    let nodes = match dialect {
        Dialect::Plain | Dialect::Anchors | Dialect::Others => limits.nodes,
        Dialect::Lock => limits.lock_nodes,
        Dialect::Helm => limits.index_nodes,
    };
    let aliases = if matches!(dialect, Dialect::Anchors | Dialect::Others) { limits.aliases } else { 0 };
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: ours,
        no_schema: ours,
        reject_unsupported_tags: ours,
        duplicate_keys: match dialect {
            Dialect::Helm => DuplicateKeyPolicy::LastWins,
            _ => DuplicateKeyPolicy::Error,
        },
        merge_keys: if ours { MergeKeyPolicy::Error } else { MergeKeyPolicy::default() },
        budget: serde_saphyr::budget! {
            max_depth: limits.depth,
            flow_nesting_limit: limits.depth,
            max_nodes: nodes,
            // A list or map has an end too.
            max_events: 2 * nodes,
            max_aliases: aliases,
            max_anchors: aliases,
            max_recorded_anchor_events: limits.alias_events,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: limits.alias_events,
            max_replay_stack_depth: limits.depth,
        },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
        YamlError { name: name.to_owned(), line, column, message: message(error) }
    })
}

/// The message for a file that exceeds [`Limits`].
const TOO_MUCH: &str = "too deep, too many values, or too many anchors and aliases";

/// The fault in YAML's terms, without the place, which is printed before.
fn message(error: &Error) -> String {
    match error {
        Error::Eof { .. } => "the file is empty".to_owned(),
        Error::MultipleDocuments { .. } => "a second document; one file is one document".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("field '{}' appears twice", Printable(key))
        }
        Error::SerdeUnknownField { field, expected, .. } => {
            let close = match nearest(field, expected) {
                Some(known) => format!("did you mean '{known}'?"),
                None => format!("known here: {}", expected.join(", ")),
            };
            format!("unknown field '{}'; {close}", Printable(field))
        }
        Error::SerdeMissingField { field, .. } => format!("field '{field}' is missing"),
        Error::Unexpected { expected: "mapping start", .. } => "expected a map".to_owned(),
        Error::Unexpected { expected: "sequence start", .. } => "expected a list".to_owned(),
        Error::Unexpected { expected: "string scalar", .. } | Error::NullIntoString { .. } => {
            "expected a text".to_owned()
        }
        Error::QuotingRequired { value, .. } => {
            format!("'{}' may be read as a number or boolean: it is not in quotes", Printable(value))
        }
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            let expected = format!("expected {}", Printable(expected));
            match unexpected.split_once(' ').map_or(unexpected.as_str(), |(kind, _)| kind) {
                "floating" | "integer" | "boolean" => {
                    format!("{expected}: numbers and booleans are texts only in quotes")
                }
                _ => expected,
            }
        }
        Error::UnknownAnchor { .. } => "this alias has no anchor before it".to_owned(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "this alias stands inside its anchor".to_owned(),
        Error::MergeKeyNotAllowed { .. } => "merge keys (<<) are not read".to_owned(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => TOO_MUCH.to_owned(),
        other => {
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.rfind(" at line ").map_or(text, |at| &text[..at]);
            if text.starts_with("tabs disallowed") {
                return "tabs cannot indent YAML, only spaces can".to_owned();
            }
            if text.contains("recursion limit") {
                return TOO_MUCH.to_owned();
            }
            // The parser's messages are quoted for people who write YAML, not Rust.
            Printable(&text.trim_start_matches("error: ").replace('`', "'")).to_string()
        }
    }
}
