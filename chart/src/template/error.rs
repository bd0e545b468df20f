//! Why a template cannot be read or rendered.
//! Every [`Error`] has its file and line, and the calls that led there.

use std::fmt;

use bundle_oci::Printable;

/// A template that cannot be read or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// The template's name, like `harbor/templates/core/core-dpl.yaml`. `gotpl` is a text that `tpl` was
    /// given.
    pub template: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The function that failed, if it was one.
    pub function: Option<String>,
    /// The fault. The chart's own words, in one line, where `required` or `fail` stopped the rendering.
    pub message: String,
    /// The calls that led here, outermost first.
    pub includes: Vec<Include>,
}

/// A call of a named template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// The name of the file that the call is in.
    pub template: String,
    /// The line of the call, from 1.
    pub line: usize,
    /// The name of the template that is called; `tpl` for a text.
    pub name: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Outside of templates, only a lack of threads can fail.
        if !self.template.is_empty() {
            write!(f, "{}:{}:{}: ", Printable(&self.template), self.line, self.column)?;
        }
        match self.function.as_deref() {
            // Their message is the chart's own.
            Some("required" | "fail") | None => {}
            Some(function) => write!(f, "{}: ", Printable(function))?,
        }
        write!(f, "{}", Printable(&self.message))
    }
}

/// The line and the column of a byte, both from 1.
pub(super) fn place(text: &str, position: usize) -> (usize, usize) {
    let before = text.get(..position).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |feed| feed + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
