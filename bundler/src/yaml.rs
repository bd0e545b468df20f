use bundle_oci::Printable;
use serde::de::DeserializeOwned;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Location};

use crate::Limits;

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
    /// What is wrong, safe to print.
    pub message: String,
}

impl YamlError {
    pub(crate) fn at(name: &str, place: Location, message: String) -> Self {
        Self { name: name.to_owned(), line: place.line(), column: place.column(), message }
    }
}

/// Whether a file may define anchors and use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchors {
    /// It may.
    Allow,
    /// It may not.
    Refuse,
}

/// Reads one document of the file called `name`. A text must be quoted where other readers of YAML would see a number or
/// boolean, so that `1.10` means the same to all of them.
///
/// # Errors
/// [`YamlError`], with the place of the mistake.
pub fn parse<T: DeserializeOwned>(text: &str, name: &str, anchors: Anchors) -> Result<T, YamlError> {
    let limits = Limits::DEFAULT;
    let aliases = if anchors == Anchors::Allow { limits.aliases } else { 0 };
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        no_schema: true,
        reject_unsupported_tags: true,
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        budget: serde_saphyr::budget! {
            max_depth: limits.depth,
            flow_nesting_limit: limits.depth,
            max_nodes: limits.nodes,
            // A list or map has an end too.
            max_events: 2 * limits.nodes,
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

/// What is wrong in the words of someone who writes YAML, without the place, which is told before.
fn message(error: &Error) -> String {
    match error {
        Error::Eof { .. } => "the file says nothing".to_owned(),
        Error::MultipleDocuments { .. } => "a second document; one file is one document".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("field '{}' is there twice", Printable(key))
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
            format!("'{}' may be read as a number or boolean; put it in quotes", Printable(value))
        }
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            let expected = format!("expected {}", Printable(expected));
            match unexpected.split_once(' ').map_or(unexpected.as_str(), |(kind, _)| kind) {
                "floating" | "integer" | "boolean" => {
                    format!("{expected}; put numbers and booleans in quotes")
                }
                _ => expected,
            }
        }
        Error::MergeKeyNotAllowed { .. } => "merge keys (<<) are not read".to_owned(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "too deep, too many values, or too many anchors and aliases".to_owned()
        }
        other => {
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let text = text.rfind(" at line ").map_or(text, |at| &text[..at]);
            if text.starts_with("tabs disallowed") {
                return "tabs cannot indent YAML; use spaces".to_owned();
            }
            Printable(text.trim_start_matches("error: ")).to_string()
        }
    }
}

/// The known name that a mistyped one is closest to, if it is close.
fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    const FAR: usize = 3;
    let distance = |known: &str| {
        // Nothing close is that long, and the distance takes the product of both lengths.
        if written.len() > known.len() + FAR { FAR } else { edits(written.as_bytes(), known.as_bytes()) }
    };
    let (distance, name) = known.iter().map(|name| (distance(name), *name)).min()?;
    (distance < FAR && distance < written.len()).then_some(name)
}

/// How many bytes must be put in, taken out or exchanged to make one of the other (Levenshtein).
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let exchanged = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = exchanged.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_close_names_are_suggested() {
        let known = ["images", "lists", "as"];
        for (written, suggested) in [
            ("image", Some("images")),
            ("Lists", Some("lists")),
            ("ass", Some("as")),
            ("charts", None),
            ("x", None),
            ("", None),
            (&"images".repeat(1_000), None),
        ] {
            assert_eq!(nearest(written, &known), suggested, "{written:?}");
        }
    }
}
