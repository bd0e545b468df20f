//! The report of `repair`.
//! Gives text and JSON of one model.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Bytes, Report, Took, count};

/// `repair`: what was written anew.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepairReport {
    /// The bundle.
    pub file: String,
    /// The path of the repaired bundle.
    pub output: String,
    /// The digest of the statement, which is the same.
    pub statement: String,
    /// The files that were damaged or missing.
    pub rebuilt: Vec<String>,
    /// The new files.
    pub files: Vec<String>,
    /// Their size in bytes together.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Report for RepairReport {
    fn text(&self) -> String {
        let rebuilt = match self.rebuilt.as_slice() {
            [] => "nothing was damaged".to_owned(),
            files => format!("rebuilt: {}", files.join(", ")),
        };
        format!(
            "{} is whole: {}, {}, in {}; {rebuilt}\n",
            self.output,
            count(self.files.len(), "file"),
            Bytes(self.bytes),
            Took(Duration::from_secs_f64(self.seconds.max(0.0)))
        )
    }
}
