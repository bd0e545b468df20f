//! What a scanner found, in a report for approval: the scan, the verdict on each image, and exceptions with their owners.
//! Takes facts of a scan's result, gives the model and its words; the files beside this one render it.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use super::model::{ReviewReport, ReviewRow, short};
use super::scan::{ExceptionEntry, FindingCounts, FindingRow};
use crate::count;

/// The scan whose result a report has.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewScan {
    /// The name of the result's file.
    pub file: String,
    /// The digest of this file.
    pub digest: String,
    /// The fingerprint of the trusted key that signed the result; null if no key was checked. Then anybody may have
    /// written it.
    pub signer: Option<String>,
    /// The scanner's name.
    pub scanner: String,
    /// The scanner's version.
    pub scanner_version: String,
    /// When the scanner's database was made; null if the scanner says all in its version.
    pub database: Option<String>,
    /// The digest of the VEX file that the scanner read; null if there was none.
    pub vex: Option<String>,
    /// When the scan ended.
    pub scanned: String,
    /// The least severity that blocks: low, medium, high or critical.
    pub block: String,
    /// The exceptions that cover a finding, by their last day, at most a hundred.
    pub exceptions: Vec<UsedException>,
    /// How many more there are.
    pub exceptions_more: usize,
    /// Exceptions past their last day when the scan ended, which counted for nothing.
    pub expired: Vec<ExceptionEntry>,
}

/// An exception that covers a finding.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsedException {
    /// The exception.
    pub exception: ExceptionEntry,
    /// The images that it was needed for, at most ten.
    pub images: Vec<String>,
    /// How many more there are.
    pub images_more: usize,
}

/// What a scanner found in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowScan {
    /// allowed, warned, failed or blocked, by the platform's policy. An image that the scan has nothing on is failed.
    pub verdict: String,
    /// How many findings there are; the same one in several platforms counts once.
    pub counts: FindingCounts,
    /// Why platforms were not scanned.
    pub errors: Vec<String>,
    /// Whether the scanner knows nothing in it: no distribution and no package. Then no finding says nothing.
    pub unrecognised: bool,
    /// The findings that block, and those that an exception covers, the gravest first, at most twenty.
    pub findings: Vec<FindingRow>,
    /// How many more there are.
    pub findings_more: usize,
}

/// So many findings of one image are in a report: nobody reads more on paper, and the scan's result has all.
const MOST_FINDINGS: usize = 20;

/// So many exceptions are in a report.
const MOST_EXCEPTIONS: usize = 100;

/// So many images of one exception.
const MOST_IMAGES: usize = 10;

impl ReviewScan {
    /// The same with these exceptions, each with the images that it was needed for.
    #[must_use]
    pub fn with_exceptions(mut self, all: impl Iterator<Item = (ExceptionEntry, Vec<String>)>) -> Self {
        for (exception, mut images) in all {
            if self.exceptions.len() == MOST_EXCEPTIONS {
                self.exceptions_more += 1;
                continue;
            }
            let images_more = images.len().saturating_sub(MOST_IMAGES);
            images.truncate(MOST_IMAGES);
            self.exceptions.push(UsedException { exception, images, images_more });
        }
        self
    }

    /// `trivy 0.74.0, database of 2026-11-28T06:00:00Z`.
    pub(crate) fn scanner_text(&self) -> String {
        let database = self.database.as_ref().map(|it| format!(", database of {it}")).unwrap_or_default();
        format!("{} {}{database}", self.scanner, self.scanner_version)
    }

    /// What it is and by which rule it judges, in one sentence for people.
    pub(crate) fn summary(&self) -> String {
        format!("scanned on {} by {}; {} and graver blocks", self.scanned, self.scanner_text(), self.block)
    }
}

impl RowScan {
    /// An image that the scan has nothing on.
    pub fn missing() -> Self {
        Self {
            verdict: "failed".to_owned(),
            counts: FindingCounts::default(),
            errors: vec!["the scan has nothing on it".to_owned()],
            unrecognised: false,
            findings: Vec::new(),
            findings_more: 0,
        }
    }

    /// The same with those of these findings that block or that an exception covers.
    #[must_use]
    pub fn with_findings(mut self, all: impl Iterator<Item = FindingRow>) -> Self {
        for row in all.filter(|row| row.verdict == "blocked" || row.exception.is_some()) {
            match self.findings.len() < MOST_FINDINGS {
                true => self.findings.push(row),
                false => self.findings_more += 1,
            }
        }
        self
    }

    /// `2 critical, 1 high, 3 excepted`; empty if nothing was found.
    pub(crate) fn counts_text(&self) -> String {
        let FindingCounts { critical, high, medium, low, unknown, excepted } = self.counts;
        let all = [
            (critical, "critical"),
            (high, "high"),
            (medium, "medium"),
            (low, "low"),
            (unknown, "unknown"),
            (excepted, "excepted"),
        ];
        let words = all.iter().filter(|(number, _)| *number > 0).map(|(n, word)| format!("{n} {word}"));
        words.collect::<Vec<_>>().join(", ")
    }

    /// The verdict with its counts: `blocked: 2 critical, 1 high`.
    pub(crate) fn text(&self) -> String {
        let counts = self.counts_text();
        match (counts.is_empty(), self.unrecognised) {
            (true, true) => format!("{}: no package known", self.verdict),
            (true, false) => self.verdict.clone(),
            (false, _) => format!("{}: {counts}", self.verdict),
        }
    }

    /// Whether somebody should look at it.
    pub(crate) fn deserves_a_look(&self) -> bool {
        self.verdict != "allowed" || self.unrecognised || self.counts.excepted > 0
    }

    /// What speaks against it, in words, at most `most` findings.
    pub(crate) fn notes(&self, most: usize) -> Vec<String> {
        let mut notes = self.errors.clone();
        if self.unrecognised {
            notes.push("the scanner knows no package in it, so that no finding says nothing".to_owned());
        }
        notes.extend(self.findings.iter().take(most).map(finding_text));
        let more = self.findings.len().saturating_sub(most) + self.findings_more;
        if more > 0 {
            notes.push(format!("and {more} more"));
        }
        notes
    }
}

/// `CVE-2026-1 critical in ssl 3.0, mended in 3.1`, with the exception that covers it.
fn finding_text(it: &FindingRow) -> String {
    let fixed = it.fixed.as_ref().map(|fixed| format!(", mended in {fixed}")).unwrap_or_default();
    let excepted = it.exception.as_ref().map(|it| format!("; excepted until {} by {}", it.expires, it.owner));
    format!(
        "{} {} in {} {}{fixed}{}",
        it.id,
        it.severity,
        it.package,
        it.installed,
        excepted.unwrap_or_default()
    )
}

impl ExceptionEntry {
    /// `CVE-2026-1 in cache/*, until 2026-12-31 by security@example: not loaded`.
    pub(crate) fn text(&self) -> String {
        let Self { vulnerability, image, owner, expires, reason } = self;
        format!("{vulnerability} in {image}, until {expires} by {owner}: {reason}")
    }
}

/// The images of these rows by verdict.
pub(crate) fn verdicts(rows: &[ReviewRow]) -> [(usize, &'static str); 4] {
    let number = |verdict: &str| {
        let all = rows.iter().filter(|row| row.digest_after.is_some()).filter_map(|row| row.scan.as_ref());
        all.filter(|scan| scan.verdict == verdict).count()
    };
    ["blocked", "failed", "warned", "allowed"].map(|verdict| (number(verdict), verdict))
}

/// `1 blocked, 0 failed, 2 warned, 9 allowed`.
pub(crate) fn verdicts_text(rows: &[ReviewRow]) -> String {
    verdicts(rows).map(|(number, verdict)| format!("{number} {verdict}")).join(", ")
}

impl ReviewReport {
    /// What of the scan rests on nothing, in words.
    pub(crate) fn scan_warning(&self) -> Option<String> {
        let scan = self.scan.as_ref().filter(|scan| scan.signer.is_none())?;
        Some(format!(
            "NOT VERIFIED: no key was checked for the result of the scan {}, so anyone may have written its verdicts",
            scan.file
        ))
    }

    /// What of the scan deserves a look, in words.
    pub(crate) fn scan_attention(&self) -> Vec<String> {
        let Some(scan) = &self.scan else { return Vec::new() };
        let mut points = Vec::new();
        let [(blocked, _), (failed, _), ..] = verdicts(&self.rows);
        let is = |number: usize, what: &str| {
            format!("{} {} {what}", count(number, "image"), if number == 1 { "is" } else { "are" })
        };
        if blocked > 0 {
            points.push(is(blocked, &format!("blocked by findings ({} and graver blocks)", scan.block)));
        }
        if failed > 0 {
            points.push(is(failed, "not scanned, or not to the end"));
        }
        let unrecognised = self.rows.iter().filter(|row| row.scan.as_ref().is_some_and(|it| it.unrecognised));
        let unrecognised = unrecognised.count();
        if unrecognised > 0 {
            points.push(format!(
                "the scanner knows no package in {}, so that no finding says nothing",
                count(unrecognised, "image")
            ));
        }
        if let Some(first) = scan.exceptions.first() {
            let number = scan.exceptions.len() + scan.exceptions_more;
            points.push(format!(
                "{} in use; the first ends on {} ({})",
                if number == 1 { "1 exception is".to_owned() } else { format!("{number} exceptions are") },
                Printable(&first.exception.expires),
                Printable(&first.exception.owner)
            ));
        }
        for it in scan.expired.iter().take(MOST_IMAGES) {
            points.push(format!(
                "the exception for {} ended on {} and counts for nothing ({})",
                Printable(&it.vulnerability),
                Printable(&it.expires),
                Printable(&it.owner)
            ));
        }
        points
    }

    /// The rows whose images somebody should look at, the worst first.
    pub(crate) fn found(&self) -> Vec<(&ReviewRow, &RowScan)> {
        let order = |verdict: &str| ["blocked", "failed", "warned"].iter().position(|it| *it == verdict);
        let rows = self.rows.iter().filter(|row| row.digest_after.is_some());
        let mut rows: Vec<(&ReviewRow, &RowScan)> = rows
            .filter_map(|row| Some((row, row.scan.as_ref().filter(|it| it.deserves_a_look())?)))
            .collect();
        rows.sort_by_key(|(_, scan)| order(&scan.verdict).unwrap_or(usize::MAX));
        rows
    }

    /// The scan in the terminal: what it is, and its verdicts.
    pub(crate) fn scan_text(&self) -> String {
        let Some(scan) = &self.scan else { return String::new() };
        let by = match &scan.signer {
            Some(key) => format!("signed by {}", short(key)),
            None => "not verified".to_owned(),
        };
        format!(
            "{}\n{} ({by}): {}\n",
            Printable(&scan.summary()),
            Printable(&scan.file),
            verdicts_text(&self.rows)
        )
    }
}
