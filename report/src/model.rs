//! The interface of reports, and their JSON form.
//! Takes any model, gives JSON with the version in it.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The version of all reports.
pub const REPORT_VERSION: u32 = 1;

/// The result of a command, for people and for programs.
pub trait Report: Serialize + JsonSchema {
    /// The result for people: whole lines, each with its line feed.
    fn text(&self) -> String;
}

/// The report for programs: its fields and `reportVersion`.
///
/// # Errors
/// A map of the report has keys that are no strings, which no model of this crate has.
pub fn json(report: &impl Report) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(report)?;
    if let Value::Object(fields) = &mut value {
        fields.insert("reportVersion".to_owned(), REPORT_VERSION.into());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyReport;

    #[test]
    fn every_report_says_its_version() {
        let report = KeyReport { fingerprint: "SHA256:x".to_owned(), private: None, public: None };
        let value = json(&report).unwrap();
        assert_eq!(value, serde_json::json!({"fingerprint": "SHA256:x", "reportVersion": 1}));
    }
}
