//! The report of `diff`.
//! Takes two inventories' differences, gives a model.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use super::findings::ReviewScan;
use super::markdown::{plain, rows};
use super::model::{ChangeSummary, ReviewRow, table};
use crate::Report;

/// `diff`: how two bundles, receipts or lockfiles differ.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DiffReport {
    /// The earlier one.
    pub before: SideEntry,
    /// The later one.
    pub after: SideEntry,
    /// The differences by target.
    pub diff: DifferenceEntry,
    /// The differences by image, counted.
    pub summary: ChangeSummary,
    /// The images, charts and other artifacts that differ, each with what is attached to it, and with its tag before
    /// and after.
    pub rows: Vec<ReviewRow>,
    /// The scan of the later one whose verdicts the rows have; null without `--scan`.
    pub scan: Option<ReviewScan>,
}

/// A bundle, receipt or lockfile.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SideEntry {
    /// bundle, receipt or lock.
    pub kind: String,
    /// The stream.
    pub stream: String,
    /// The number in the stream; null for a lockfile.
    pub sequence: Option<u64>,
    /// The digest of the statement or of the lockfile.
    pub digest: String,
    /// Whether a signature was checked.
    pub verified: bool,
    /// Its name for people.
    #[serde(skip)]
    #[schemars(skip)]
    pub name: String,
}

/// The differences.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceEntry {
    /// The targets that differ.
    pub changes: Vec<ChangeEntry>,
    /// The number of artifacts that are the same.
    pub unchanged: usize,
    /// The bytes of blobs that only the later one has; null where one side is a lockfile.
    pub new_bytes: Option<u64>,
    /// The number of these blobs.
    pub new_blobs: Option<usize>,
    /// The bytes of blobs that only the earlier one has.
    pub dropped_bytes: Option<u64>,
}

/// The change of one target.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum ChangeEntry {
    /// It is only in the later one.
    Added {
        /// The target.
        target: String,
        /// Its digest.
        digest: String,
        /// The bytes of all its blobs.
        size: u64,
        /// Its missing parts: platforms, signatures or layers.
        lacks: Vec<String>,
    },
    /// It has another digest in the later one.
    Moved {
        /// The target.
        target: String,
        /// The digest in the earlier one.
        from: String,
        /// The digest in the later one.
        to: String,
        /// The bytes of all its blobs in the later one.
        size: u64,
        /// The platforms that only the earlier one has.
        #[serde(rename = "lostPlatforms")]
        lost_platforms: Vec<String>,
        /// The platforms that only the later one has.
        #[serde(rename = "gainedPlatforms")]
        gained_platforms: Vec<String>,
        /// Its missing parts that the earlier one had: platforms, signatures or layers.
        lacks: Vec<String>,
    },
    /// It is only in the earlier one.
    Removed {
        /// The target.
        target: String,
        /// Its digest.
        digest: String,
        /// The bytes of all its blobs.
        size: u64,
    },
}

impl Report for DiffReport {
    fn text(&self) -> String {
        let mut text = format!("from {}\nto   {}\n", self.before.name, self.after.name);
        if self.is_unverified() {
            text.push_str("NOT VERIFIED: pass --trust to check signatures; without, anyone may have written the contents.\n");
        }
        let table = table(&self.rows, true);
        if !table.is_empty() {
            text.push_str(&format!("\n{table}"));
        }
        text.push_str(&format!("\n{}\n", self.summary.text()));
        if let Some(scan) = &self.scan {
            text.push_str(&format!("{}{}\n", Printable(&scan.summary()), unverified(scan)));
        }
        text
    }
}

/// The changes that [`DiffReport::markdown`] lists: with more, GitHub would refuse the text of a pull request
/// (65,536 characters).
const MOST_ROWS: usize = 150;

impl DiffReport {
    fn is_unverified(&self) -> bool {
        [&self.before, &self.after].into_iter().any(SideEntry::is_unverified)
    }

    /// The differences as a table in GitHub's and GitLab's Markdown, for pull and merge requests.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        if self.is_unverified() {
            text.push_str(
                "**NOT VERIFIED**: no signature was checked, so anyone may have written the contents.\n\n",
            );
        }
        text.push_str(&rows(&self.rows, MOST_ROWS));
        text.push_str(&format!("{}\n", self.summary.text()));
        if let Some(scan) = &self.scan {
            text.push_str(&format!("\n{}{}\n", plain(&scan.summary()), unverified(scan)));
        }
        text
    }
}

/// That nobody checked who wrote the verdicts.
fn unverified(scan: &ReviewScan) -> &'static str {
    if scan.signer.is_some() { "" } else { " (NOT VERIFIED: no key was checked for its result)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(kind: &str) -> SideEntry {
        SideEntry {
            kind: kind.to_owned(),
            stream: "nightly".to_owned(),
            sequence: None,
            digest: "sha256:00".to_owned(),
            verified: false,
            name: kind.to_owned(),
        }
    }

    fn report(kind: &str, rows: Vec<ReviewRow>) -> DiffReport {
        let diff = DifferenceEntry {
            changes: Vec::new(),
            unchanged: 2,
            new_bytes: None,
            new_blobs: None,
            dropped_bytes: None,
        };
        let summary = ChangeSummary { unchanged: 2, ..ChangeSummary::of(&rows) };
        DiffReport { before: side(kind), after: side("lock"), diff, summary, rows, scan: None }
    }

    #[test]
    fn the_table_is_the_same_in_the_terminal_and_in_markdown() {
        let mut rows = super::super::model::testing::report().rows;
        rows.retain(ReviewRow::is_change);
        let report = report("lock", rows);
        assert!(report.text().contains("cache/nginx  1.27.0 -> 1.27.1"), "{}", report.text());
        assert!(report.text().ends_with("\n1 updated, 1 new, 1 gone, 2 unchanged\n"), "{}", report.text());
        assert!(report.markdown().contains("| `cache/nginx` | `1.27.0` → `1.27.1` |"));
        assert!(report.markdown().ends_with("\n\n1 updated, 1 new, 1 gone, 2 unchanged\n"));
    }

    #[test]
    fn a_table_has_a_bound_and_only_bundles_and_receipts_are_called_unverified() {
        let gone = |number: usize| ReviewRow {
            change: "gone".to_owned(),
            project: "cache".to_owned(),
            repository: "a".repeat(200),
            tag_before: Some(number.to_string()),
            digest_before: Some("sha256:00".to_owned()),
            ..ReviewRow::default()
        };
        let text = report("lock", (0..1000).map(gone).collect()).markdown();
        assert!(text.len() < 65_536 && text.contains("… and 850 more changes.\n"), "{}", text.len());
        assert_eq!(report("lock", Vec::new()).markdown(), "0 changes, 2 unchanged\n");
        assert!(!report("lock", Vec::new()).text().contains("NOT VERIFIED"));
        for text in [report("bundle", Vec::new()).markdown(), report("receipt", Vec::new()).text()] {
            assert!(text.contains("NOT VERIFIED"), "{text}");
        }
    }
}
