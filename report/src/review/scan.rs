//! The report of `scan`: the verdict on each image, what was found, and where the result is kept.
//! Takes a judgement, gives a model.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::table::{Align, Table};
use crate::{BundleEntry, Report, count};

/// `scan`: the verdict on the images of a bundle.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleScanReport {
    /// The bundle's file.
    pub file: String,
    /// The bundle.
    pub bundle: BundleEntry,
    /// The scanner's name.
    pub scanner: String,
    /// The scanner's version.
    pub scanner_version: String,
    /// When the scanner's database was made. Absent if a COMMAND says all in its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The least severity that blocks: low, medium, high or critical.
    pub block: String,
    /// The images, the worst first.
    pub images: Vec<ScannedImageEntry>,
    /// Exceptions past their last day, which counted for nothing.
    pub expired: Vec<ExceptionEntry>,
    /// Exceptions that nothing needed.
    pub unused: Vec<ExceptionEntry>,
    /// How many manifests were scanned now.
    pub scanned: usize,
    /// How many manifests were known from an earlier scan by the same scanner with the same database.
    pub cached: usize,
    /// The file of the result.
    pub record: String,
    /// The same as SARIF.
    pub sarif: String,
    /// Whether the result is signed.
    pub signed: bool,
    /// The SBOMs that the scanner made; absent without `--sbom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sboms: Option<MadeSbomsEntry>,
}

/// The SBOMs that a scanner made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MadeSbomsEntry {
    /// The directory.
    pub directory: String,
    /// spdx or cyclonedx.
    pub form: String,
    /// How many were made now.
    pub made: usize,
    /// How many were there before.
    pub known: usize,
    /// How many images carry one of their publisher's.
    pub carried: usize,
    /// The images of which none could be made, each with the reason.
    pub failed: Vec<String>,
}

/// The verdict on an image.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScannedImageEntry {
    /// `project/repository:tag` at the destination.
    pub image: String,
    /// Where it came from.
    pub source: String,
    /// The digest of its manifest or index.
    pub digest: String,
    /// allowed, warned, failed or blocked.
    pub verdict: String,
    /// How many findings there are; the same one in several platforms counts once.
    pub counts: FindingCounts,
    /// The platforms that were scanned.
    pub platforms: Vec<String>,
    /// Why platforms were not scanned.
    pub errors: Vec<String>,
    /// Whether the scanner knows nothing in it: no distribution and no package. Then no finding says nothing.
    pub unrecognised: bool,
    /// The findings that are not allowed or are covered by an exception, the gravest first.
    pub findings: Vec<FindingRow>,
}

/// Numbers of findings by severity, without those that an exception covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingCounts {
    /// Of severity critical.
    pub critical: u64,
    /// Of severity high.
    pub high: u64,
    /// Of severity medium.
    pub medium: u64,
    /// Of severity low or negligible.
    pub low: u64,
    /// Of a severity that the scanner does not know.
    pub unknown: u64,
    /// Covered by an exception.
    pub excepted: u64,
}

/// A vulnerability in a package of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingRow {
    /// Such as `CVE-2026-1234`.
    pub id: String,
    /// Its severity.
    pub severity: String,
    /// The package.
    pub package: String,
    /// The version that is installed.
    pub installed: String,
    /// The version that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// What it means for the image: allowed, warned or blocked.
    pub verdict: String,
    /// The exception that covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<ExceptionEntry>,
}

/// An exception of the file of `--ignore`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionEntry {
    /// The vulnerability.
    pub vulnerability: String,
    /// The pattern of images.
    pub image: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it counts.
    pub expires: String,
    /// Why.
    pub reason: String,
}

/// Findings that are named below an image; JSON has all.
const NAMED: usize = 5;

impl BundleScanReport {
    /// How many images have this verdict.
    pub fn with_verdict(&self, verdict: &str) -> usize {
        self.images.iter().filter(|image| image.verdict == verdict).count()
    }
}

impl Report for BundleScanReport {
    fn text(&self) -> String {
        let mut table = Table::new([
            ("VERDICT", Align::Left),
            ("CRITICAL", Align::Right),
            ("HIGH", Align::Right),
            ("MEDIUM", Align::Right),
            ("LOW", Align::Right),
            ("UNKNOWN", Align::Right),
            ("IMAGE", Align::Left),
        ]);
        for image in &self.images {
            let FindingCounts { critical, high, medium, low, unknown, .. } = image.counts;
            let numbers = [critical, high, medium, low, unknown];
            let number =
                |number: u64| if image.platforms.is_empty() { "-".to_owned() } else { number.to_string() };
            let cells = [image.verdict.clone()].into_iter().chain(numbers.into_iter().map(number));
            table.row(cells.chain([image.image.clone()]), below(image));
        }
        let mut text = table.text();
        for it in &self.expired {
            text.push_str(&format!(
                "expired  the exception for {} in {} ended on {} and counts for nothing; its owner is {}\n",
                Printable(&it.vulnerability),
                Printable(&it.image),
                it.expires,
                Printable(&it.owner)
            ));
        }
        for it in &self.unused {
            text.push_str(&format!(
                "unused   the exception for {} in {} covers nothing that was found\n",
                Printable(&it.vulnerability),
                Printable(&it.image)
            ));
        }
        let database = self.database.as_ref().map(|it| format!(", database of {}", Printable(it)));
        text.push_str(&format!(
            "{}: {} blocked, {} failed, {} warned, {} allowed; {} scanned now, {} known before\n\
             by {} {}{}; {} and graver blocks\nwrote {} and {}{}\n",
            count(self.images.len(), "image"),
            self.with_verdict("blocked"),
            self.with_verdict("failed"),
            self.with_verdict("warned"),
            self.with_verdict("allowed"),
            count(self.scanned, "manifest"),
            self.cached,
            Printable(&self.scanner),
            Printable(&self.scanner_version),
            database.unwrap_or_default(),
            self.block,
            self.record,
            self.sarif,
            if self.signed { "" } else { "; not signed: no --key was given" }
        ));
        if let Some(MadeSbomsEntry { directory, form, made, known, carried, failed }) = &self.sboms {
            text.push_str(&format!(
                "SBOMs ({form}) in {directory}: {made} made now, {known} made before, {} not made; {} their publisher's\n",
                failed.len(),
                if *carried == 1 { "1 image has".to_owned() } else { format!("{carried} images have") }
            ));
            for why in failed {
                text.push_str(&format!("no SBOM  {}\n", Printable(why)));
            }
        }
        text
    }
}

fn below(image: &ScannedImageEntry) -> Vec<String> {
    let mut lines = image.errors.clone();
    if image.unrecognised {
        lines.push("the scanner knows no package in it, so that no finding says nothing".to_owned());
    }
    let bad = |it: &&FindingRow| it.verdict == "blocked";
    for it in image.findings.iter().filter(bad).take(NAMED) {
        let fixed = it.fixed.as_ref().map(|fixed| format!(", mended in {fixed}")).unwrap_or_default();
        lines.push(format!("{} {} in {} {}{fixed}", it.id, it.severity, it.package, it.installed));
    }
    let more = image.findings.iter().filter(bad).count().saturating_sub(NAMED);
    if more > 0 {
        lines.push(format!("and {more} more that block; --json has all"));
    }
    let excepted = image.findings.iter().filter_map(|it| Some((it, it.exception.as_ref()?)));
    for (it, exception) in excepted.take(NAMED) {
        lines.push(format!(
            "{} {} in {} is excepted until {} by {}: {}",
            it.id, it.severity, it.package, exception.expires, exception.owner, exception.reason
        ));
    }
    lines
}
