//! The report of `receipt log`: one line for each import.
//! Takes receipts, gives a model.

use schemars::JsonSchema;
use serde::Serialize;

use crate::artifact::dated;
use crate::table::{Align, Table};
use crate::{BundleEntry, ProblemEntry, Report, count};

/// `receipt log`: the imports that receipts tell of.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReceiptLogReport {
    /// Whether the receipts' signatures were checked. If false, anybody may have written them.
    pub verified: bool,
    /// The imports, oldest first.
    pub nights: Vec<NightEntry>,
    /// Receipts that cannot be used. With any of them, the exit code is 6.
    pub problems: Vec<ProblemEntry>,
}

/// One import.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NightEntry {
    /// The receipt.
    pub file: String,
    /// When the import ended.
    pub imported: String,
    /// The bundle.
    pub bundle: BundleEntry,
    /// The newest bundle of the stream before. Absent at the first import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<BundleEntry>,
    /// Whether that one's receipt is missing, although there are older ones.
    pub gap: bool,
    /// The site.
    pub site: String,
    /// The registry.
    pub registry: String,
    /// The names of the keys that signed the bundle, as the site calls them.
    pub signers: Vec<String>,
    /// The number of artifacts that were pushed.
    pub pushed: usize,
    /// The number of those whose tag moved.
    pub moved: usize,
    /// The number of those that were there before.
    pub present: usize,
    /// The number of those that were left out, or not delivered.
    pub missing: usize,
    /// The number of those that the registry's scanner blocks.
    pub blocked: usize,
    /// The rules that a person set aside, with the reason.
    pub overrides: Vec<String>,
}

impl Report for ReceiptLogReport {
    fn text(&self) -> String {
        let mut table = Table::new([
            ("IMPORTED", Align::Left),
            ("STREAM", Align::Left),
            ("BUNDLE", Align::Left),
            ("SITE", Align::Left),
            ("REGISTRY", Align::Left),
            ("NEW", Align::Right),
            ("MOVED", Align::Right),
            ("SAME", Align::Right),
            ("MISSING", Align::Right),
            ("BLOCKED", Align::Right),
            ("SIGNED BY", Align::Left),
        ]);
        for night in &self.nights {
            let mut notes = Vec::new();
            if let (true, Some(previous)) = (night.gap, &night.previous) {
                notes.push(format!(
                    "the receipt of the bundle before, {}, is missing",
                    dated(previous.sequence)
                ));
            }
            notes.extend(night.overrides.iter().cloned());
            // Nothing is said where there is nothing.
            let number = |count: usize| if count == 0 { String::new() } else { count.to_string() };
            table.row(
                [
                    night.imported.clone(),
                    night.bundle.stream.clone(),
                    dated(night.bundle.sequence),
                    night.site.clone(),
                    night.registry.clone(),
                    night.pushed.to_string(),
                    night.moved.to_string(),
                    night.present.to_string(),
                    number(night.missing),
                    number(night.blocked),
                    night.signers.join(", "),
                ],
                notes,
            );
        }
        let mut text = match self.verified {
            true => String::new(),
            false => {
                "NOT VERIFIED: no --trust was given, so anyone may have written the receipts.\n".to_owned()
            }
        };
        text.push_str(&table.text());
        for problem in &self.problems {
            text.push_str(&problem.text());
        }
        text.push_str(&format!("{}\n", count(self.nights.len(), "import")));
        text
    }
}
