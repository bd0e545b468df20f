//! The forms of a report for approval, and what is said once one is written.
//! Takes a file's name and a report; gives the form's bytes.

use std::fmt;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::model::ReviewReport;
use crate::{Report, json};

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewForm {
    /// A page for browsers and paper.
    Html,
    /// A text for merge requests and tickets.
    Markdown,
    /// A table for spreadsheets.
    Csv,
    /// The model for programs.
    Json,
}

impl ReviewForm {
    /// The form that a file's name asks for by its ending; none for other endings.
    pub fn of_name(path: &Path) -> Option<Self> {
        Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "html" | "htm" => Self::Html,
            "md" | "markdown" => Self::Markdown,
            "csv" => Self::Csv,
            "json" => Self::Json,
            _ => return None,
        })
    }

    /// The text that every report on the bundle with this statement has in this form, and no report on another bundle.
    pub fn mark(self, statement: &str) -> String {
        match self {
            Self::Html => format!("<meta name=\"bundle.statement\" content=\"{statement}\">"),
            Self::Markdown => format!("| Statement | `{statement}` |"),
            Self::Csv => format!(",{statement}\r\n"),
            Self::Json => format!("\"statement\": \"{statement}\""),
        }
    }

    /// The report in this form.
    ///
    /// # Errors
    /// As [`json()`].
    pub fn render(self, report: &ReviewReport) -> Result<String, serde_json::Error> {
        Ok(match self {
            Self::Html => report.html(),
            Self::Markdown => report.markdown(),
            Self::Csv => report.csv(),
            Self::Json => format!("{:#}\n", json(report)?),
        })
    }
}

impl fmt::Display for ReviewForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Json => "json",
        })
    }
}

/// `report --output`: the report that was written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WrittenReport {
    /// The file.
    pub output: String,
    /// html, markdown, csv or json.
    pub form: String,
    /// The digest of the file, which `bundle sign --report` signs.
    pub digest: String,
    /// The summary in one line.
    pub summary: String,
    /// Whether a trusted key signed the bundle.
    pub verified: bool,
}

impl WrittenReport {
    /// What is said of `report`, written to `output` with this digest.
    pub fn of(report: &ReviewReport, output: String, form: ReviewForm, digest: String) -> Self {
        let summary = report.headline();
        Self { output, form: form.to_string(), digest, summary, verified: report.verified }
    }
}

impl Report for WrittenReport {
    fn text(&self) -> String {
        let unverified = if self.verified { "" } else { "NOT VERIFIED: no key was checked.\n" };
        format!("{unverified}{}\nwrote {} ({})\n", self.summary, self.output, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_mark_of_its_bundle_and_not_of_the_one_it_is_compared_with() {
        let report = super::super::model::testing::report();
        let other = report.since.as_ref().unwrap().digest.clone();
        for form in [ReviewForm::Html, ReviewForm::Markdown, ReviewForm::Csv, ReviewForm::Json] {
            let text = form.render(&report).unwrap();
            assert!(text.contains(&form.mark(&report.statement)), "{form}");
            assert!(!text.contains(&form.mark(&other)), "{form}");
        }
    }

    #[test]
    fn the_ending_of_the_name_is_the_form() {
        let form = |name: &str| ReviewForm::of_name(Path::new(name)).map(|form| form.to_string());
        assert_eq!(form("a/report.HTML").as_deref(), Some("html"));
        assert_eq!(form("r.md").as_deref(), Some("markdown"));
        assert_eq!((form("r.csv").as_deref(), form("r.json").as_deref()), (Some("csv"), Some("json")));
        assert_eq!((form("r.pdf"), form("html")), (None, None));
    }
}
