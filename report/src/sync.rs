//! The reports of `sync export` and `sync import`.
//! Takes what a run did, gives models.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::artifact::dated;
use crate::{Bytes, MissingEntry, Report, count};

/// `sync export`: what one run did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExportReport {
    /// The bundle that was written; null if nothing changed.
    pub bundle: Option<ExportedBundle>,
    /// The number of bundles that arrived and were removed from the outbox.
    pub pruned: usize,
    /// Whether another run was at work, so that this one did nothing.
    pub busy: bool,
    /// The images that are gone at their registries and did not stop the run.
    pub missing: Vec<MissingEntry>,
}

/// A bundle in the outbox.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExportedBundle {
    /// The file.
    pub file: String,
    /// The number in the stream.
    pub sequence: String,
    /// The size in bytes.
    pub bytes: u64,
}

impl Report for ExportReport {
    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(ExportedBundle { file, sequence, bytes }) = &self.bundle {
            let sequence = sequence.parse().map_or_else(|_| sequence.clone(), dated);
            text.push_str(&format!("wrote bundle {sequence}, {}: {file}\n", Bytes(*bytes)));
        }
        if self.pruned > 0 {
            text.push_str(&format!("removed {} that arrived\n", self.pruned));
        }
        text
    }
}

/// `sync import`: what one run did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SyncImportReport {
    /// The bundles of the inbox, in the order in which they were looked at.
    pub items: Vec<ImportedItem>,
    /// The number of bundles that the run did not look at.
    pub left: usize,
    /// Whether another run was at work, so that this one did nothing.
    pub busy: bool,
    /// What was removed from Harbor afterwards, by stream. Absent if the job removes nothing, or had no reason to look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Vec<PrunedEntry>>,
}

/// What was removed of a stream, because none of its kept bundles wants it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PrunedEntry {
    /// The stream.
    pub stream: String,
    /// The number of artifacts and tags that were removed, or were gone.
    pub removed: usize,
    /// The number of those that nobody wants and that stay: pulled lately, running, immutable, or of people.
    pub left: usize,
    /// The bytes that Harbor's garbage collection frees, at most.
    pub bytes: u64,
    /// The file of the signed record. Absent if nothing could go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

/// A bundle of the inbox.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ImportedItem {
    /// Its name in the inbox.
    pub name: String,
    /// The outcome.
    pub outcome: ItemOutcome,
    /// Its number in the stream. Absent if it was not imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// Why it was not imported. Absent if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The identifier of that error, as in docs/reference/exit-codes.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_id: Option<String>,
}

/// The outcome for a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ItemOutcome {
    /// It was imported.
    Imported,
    /// It had been imported before.
    Again,
    /// The import failed; the next run tries again.
    Failed,
    /// It was refused and put aside.
    Refused,
    /// Something of it is missing; the next run looks again.
    Waiting,
}

impl Report for SyncImportReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for ImportedItem { name, outcome, bundle, .. } in &self.items {
            let (name, bundle) = (Printable(name), bundle.as_deref().unwrap_or_default());
            match outcome {
                ItemOutcome::Imported => text.push_str(&format!("imported bundle {bundle}: {name}\n")),
                ItemOutcome::Again => {
                    text.push_str(&format!("bundle {bundle} was imported before: {name}\n"));
                }
                // Their causes are printed as errors.
                ItemOutcome::Failed | ItemOutcome::Refused | ItemOutcome::Waiting => {}
            }
        }
        for PrunedEntry { stream, removed, left, bytes, record } in self.pruned.iter().flatten() {
            // A job that did nothing says nothing.
            let (freed, Some(record)) = (Bytes(*bytes), record) else { continue };
            text.push_str(&format!(
                "removed {} of stream {stream} that no kept bundle wants, {left} left; frees up to {freed}: {record}\n",
                count(*removed, "artifact")
            ));
        }
        text
    }
}
