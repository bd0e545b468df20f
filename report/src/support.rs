//! The report of `support`.
//! Takes the files of the archive, gives a model.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Bytes, Report};

/// `support`: the archive and what is in it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SupportReport {
    /// The archive.
    pub file: String,
    /// Its files.
    pub entries: Vec<SupportEntry>,
}

/// A file of the archive.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SupportEntry {
    /// Its path below bundle-support/.
    pub path: String,
    /// What is in it, and where it is from.
    pub what: String,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Report for SupportReport {
    fn text(&self) -> String {
        let mut text = format!("{} has no passwords, tokens or keys:\n", self.file);
        for SupportEntry { path, what, bytes } in &self.entries {
            text.push_str(&format!("  {path:<20} {} ({what})\n", Bytes(*bytes)));
        }
        text
    }
}
