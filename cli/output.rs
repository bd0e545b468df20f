use std::io::Write;
use std::path::Path;

use bundle_oci::Printable;

use crate::exit::{Code, Failure};

/// Writes a result to standard output. Whatever others wrote into it, a terminal is safe.
///
/// # Errors
/// It cannot be written. A reader that went away has seen enough, which is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    write(&safe(text))
}

/// Writes a result as JSON, in which what a terminal may not see is escaped as JSON does.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    write(&format!("{}\n", json(value)))
}

/// JSON as [`print_json`] writes it.
pub(crate) fn json(value: &serde_json::Value) -> String {
    let escape = |character: char| {
        let mut units = [0; 2];
        character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    escaped(&format!("{value:#}"), escape)
}

/// Says something on standard error. That nobody hears it is no reason to end differently.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", safe(text));
}

/// A file's name on its way to a person, on one line.
pub(crate) fn name(path: &Path) -> String {
    Printable(&path.to_string_lossy()).to_string()
}

/// Text in which nothing but its line feeds can do more than to be shown.
pub(crate) fn safe(text: &str) -> String {
    escaped(text, |character| character.escape_unicode().to_string())
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' || Printable::shows(character) {
            escaped.push(character);
        } else {
            escaped.push_str(&escape(character));
        }
    }
    escaped
}

fn write(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::text(Code::Failed, format!("the result cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_the_same_to_programs_and_is_harmless_to_terminals() {
        let value = serde_json::json!({"name": "a\u{9b}31m\u{202e}b\u{1b}[0m – ü\n"});
        let text = json(&value);
        assert!(text.chars().all(|character| character == '\n' || Printable::shows(character)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
