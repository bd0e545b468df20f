//! The report of `expand`.
//! Gives text and JSON of one model.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Bytes, Report, Took};

/// `expand`: the archive that was written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpandReport {
    /// The archive.
    pub file: String,
    /// The digest of the statement, which is the same.
    pub statement: String,
    /// Its size in bytes.
    pub size: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Report for ExpandReport {
    fn text(&self) -> String {
        let took = Took(Duration::from_secs_f64(self.seconds.max(0.0)));
        format!("{}: {}, in {took}; every blob is right\n", self.file, Bytes(self.size))
    }
}
