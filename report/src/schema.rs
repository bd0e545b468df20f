//! The report of `schema --check`.
//! Takes the files that were checked, gives a model.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{FileError, Report};

/// `schema --check FILE`: the files that are valid.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SchemaCheckReport {
    /// The files that are valid, in the order of the command line.
    pub valid: Vec<String>,
    /// The files that are not, with the cause.
    pub failed: Vec<FileError>,
}

impl Report for SchemaCheckReport {
    fn text(&self) -> String {
        self.valid.iter().map(|file| format!("{file} is valid\n")).collect()
    }
}
