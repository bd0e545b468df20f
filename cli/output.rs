//! Standard output and standard error. Takes reports and texts, and writes them as text or JSON; untrusted
//! text in them is escaped, and standard error has no passwords.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bundle_oci::{Printable, hide_logins};
use bundle_report::Report;
use serde::Serialize;

use crate::exit::{Code, Failure};
use crate::log::{self, Format, Line};
use crate::progress::aside;

/// Whether results and errors are JSON. The command line says so once, before anything is written.
static JSON: AtomicBool = AtomicBool::new(false);

/// Whether standard error has errors only.
static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on, standard error has errors only.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether standard error has errors only.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// From now on, results and errors are JSON.
pub(crate) fn print_as_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// Whether results and errors are JSON.
pub(crate) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Writes a command's result to standard output, as text or JSON.
///
/// # Errors
/// As [`print()`].
pub(crate) fn report(report: &impl Report) -> Result<(), Failure> {
    write(&rendered(report)?)
}

/// Writes a command's result to standard error, for standard output has something else.
///
/// # Errors
/// It cannot be made into JSON.
pub(crate) fn report_aside(report: &impl Report) -> Result<(), Failure> {
    // A result, which -q does not take away.
    tell_error(rendered(report)?.trim_end_matches('\n'));
    Ok(())
}

fn rendered(report: &impl Report) -> Result<String, Failure> {
    if !is_json() {
        return Ok(safe(&report.text()));
    }
    let value = bundle_report::json(report).map_err(|error| Failure::new(Code::Failed, &error))?;
    Ok(format!("{}\n", json(&value)))
}

/// Says something on standard error for programs, on one line.
pub(crate) fn tell_json(value: &impl Serialize) {
    // If standard error is closed, the error cannot be reported.
    let line = json_line(value);
    let _ = aside(|| writeln!(std::io::stderr().lock(), "{line}"));
}

/// JSON on one line. A value that cannot be JSON, which no report is, becomes null.
pub(crate) fn json_line(value: &impl Serialize) -> String {
    harmless(&serde_json::to_value(value).unwrap_or_default().to_string())
}

/// Writes a result to standard output. Untrusted text in it is escaped on a terminal.
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
    harmless(&format!("{value:#}"))
}

/// JSON in which what a terminal may not see is escaped.
fn harmless(json: &str) -> String {
    let escape = |character: char| {
        let mut units = [0; 2];
        character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    escaped(json, escape)
}

/// Says something on standard error, unless only errors are wanted there. A closed standard error changes no exit
/// code.
pub(crate) fn tell(text: &str) {
    let text = hide_logins(text);
    let line = Line::printed(&text);
    log::note(&line);
    if !QUIET.load(Ordering::Relaxed) {
        print_aside(&text, &line);
    }
}

/// Says what is wrong on standard error.
pub(crate) fn tell_error(text: &str) {
    let text = hide_logins(text);
    let line = Line::printed(&text);
    log::note(&line);
    print_aside(&text, &line);
}

fn print_aside(text: &str, line: &Line) {
    let text = match log::format() {
        Format::Text => safe(text),
        Format::Json => line.json(),
    };
    let _ = aside(|| writeln!(std::io::stderr().lock(), "{text}"));
}

/// Prints a line of the log on standard error, which is safe to print already.
pub(crate) fn log(line: &str) {
    let _ = aside(|| writeln!(std::io::stderr().lock(), "{line}"));
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
    let written = aside(|| {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    });
    match written {
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
