//! One line of the log.
//! Takes a level, a message and fields; gives text or JSON that is safe on a terminal and has no passwords.

use bundle_oci::hide_logins;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::Level;

use crate::output;

/// The form of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object per line: time, level, message, and the fields of the event
    Json,
}

/// The characters of a field's text that are kept.
const LONGEST: usize = 2000;

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    time: Timestamp,
    level: Level,
    part: &'static str,
    message: String,
    fields: Vec<(String, Value)>,
}

impl Line {
    /// An event's line, of now.
    pub(crate) fn new(level: Level, part: &'static str) -> Self {
        Self { time: Timestamp::now(), level, part, message: String::new(), fields: Vec::new() }
    }

    /// A line that is printed on standard error anyway: an error, a hint, a warning or a note.
    pub(crate) fn printed(text: &str) -> Self {
        let level = match text.split_once(": ") {
            Some(("error", _)) => Level::ERROR,
            Some(("warning", _)) => Level::WARN,
            _ => Level::INFO,
        };
        Self { message: cut(text), ..Self::new(level, "bundle") }
    }

    /// Adds a field; `message` is the event itself.
    pub(crate) fn add(&mut self, name: &str, value: Value) {
        let value = match value {
            Value::String(text) => Value::String(cut(&text)),
            value => value,
        };
        match (name, value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.fields.push((name.to_owned(), value)),
        }
    }

    /// The line for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{:.3} {:<5} {}: {}", self.time, self.level, self.part, self.message);
        for (name, value) in &self.fields {
            match value {
                Value::String(word) if plain(word) => text.push_str(&format!(" {name}={word}")),
                value => text.push_str(&format!(" {name}={value}")),
            }
        }
        output::safe(&text).replace('\n', " ")
    }

    /// The line for programs.
    pub(crate) fn json(&self) -> String {
        let mut object = Map::new();
        object.insert("time".to_owned(), format!("{:.3}", self.time).into());
        object.insert("level".to_owned(), self.level.as_str().to_lowercase().into());
        object.insert("part".to_owned(), self.part.into());
        object.insert("message".to_owned(), self.message.clone().into());
        for (name, value) in &self.fields {
            object.entry(name.clone()).or_insert_with(|| value.clone());
        }
        output::json_line(&object)
    }
}

/// Whether a word needs no quotes.
fn plain(word: &str) -> bool {
    !word.is_empty() && !word.contains(|character: char| character.is_whitespace() || character == '"')
}

/// Neither long nor with a password: what is cut off could be the `@` behind it.
fn cut(text: &str) -> String {
    let text = hide_logins(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_harmless_in_both_forms() {
        let mut line = Line::new(Level::INFO, "registry");
        line.add("message", "retry".into());
        line.add("cause", "first\nsecond \u{1b}[31m".into());
        line.add("status", 503.into());
        let text = line.text();
        assert!(
            text.ends_with(r#" INFO  registry: retry cause="first\nsecond \u001b[31m" status=503"#),
            "{text}"
        );
        let json: Value = serde_json::from_str(&line.json()).unwrap();
        assert_eq!((&json["status"], &json["level"]), (&503.into(), &"info".into()));
        assert_eq!(json["cause"], "first\nsecond \u{1b}[31m");
        assert!(!line.json().contains('\u{1b}') && !line.json().contains('\n'));
    }

    #[test]
    fn a_password_in_a_text_reaches_no_log() {
        let mut line = Line::printed("error: f.yaml:5 (http://u:hunter2@h/x) is not used");
        line.add("address", format!("https://u:hunter2@h/{}", "x".repeat(5000)).into());
        let (text, json) = (line.text(), line.json());
        assert!(text.contains("(http://***@h/x)") && json.contains("https://***@h/x"), "{text} {json}");
        assert!(!text.contains("hunter2") && !json.contains("hunter2"));
    }

    #[test]
    fn what_is_long_is_cut() {
        let line = Line::printed(&format!("error: {}", "x".repeat(5000)));
        assert!(line.text().len() < 2100 && line.text().contains("ERROR"));
    }
}
