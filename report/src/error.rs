//! An error for programs.
//! Takes what a command says of its failure, gives one JSON object.

use schemars::JsonSchema;
use serde::Serialize;

use crate::ErrorId;

/// The object that a failed command prints on standard error with `--json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorReport {
    /// The version of the error report: 1.
    pub version: u32,
    /// The error.
    pub error: ErrorBody,
}

/// An error.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorBody {
    /// The stable identifier of the cause.
    pub id: String,
    /// The exit code of the program.
    pub code: u8,
    /// The message: the first line of the text for people.
    pub message: String,
    /// The other lines that people read: causes, and what else is wrong.
    pub causes: Vec<String>,
    /// Hints for the user.
    pub hints: Vec<String>,
}

/// A file of several that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileError {
    /// The file, as on the command line.
    pub file: String,
    /// The stable identifier of the cause.
    pub id: String,
    /// The exit code that the command would end with if this file were the only one.
    pub code: u8,
    /// The message: the first line of the text for people.
    pub message: String,
}

impl ErrorReport {
    /// The report of an error of this cause. `lines` and `hints` are what people read.
    pub fn new(id: ErrorId, lines: &[String], hint: Option<&str>) -> Self {
        let mut lines = lines.iter().flat_map(|text| text.lines()).map(str::to_owned);
        let message = lines.next().unwrap_or_default();
        Self {
            version: 1,
            error: ErrorBody {
                id: id.as_str().to_owned(),
                code: id.code().number(),
                message,
                causes: lines.collect(),
                hints: hint.into_iter().flat_map(str::lines).map(str::to_owned).collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_report_has_the_code_of_its_cause() {
        let lines = ["a.tar is truncated\nat byte 5".to_owned(), "nothing was written".to_owned()];
        let report = ErrorReport::new(ErrorId::Truncated, &lines, Some("copy the file again"));
        let value = serde_json::to_value(report).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"version": 1, "error": {
                "id": "truncated",
                "code": 3,
                "message": "a.tar is truncated",
                "causes": ["at byte 5", "nothing was written"],
                "hints": ["copy the file again"],
            }})
        );
    }
}
