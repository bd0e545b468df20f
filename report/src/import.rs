//! The reports of `import` and `import --dry-run`: the plan, the bytes that were sent, and the scan results.
//! Takes a plan or a finished import as facts, gives models.

use std::collections::BTreeMap;
use std::time::Duration;

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::artifact::shortened;
use crate::table::{Align, Table};
use crate::{Bytes, FileError, FindingEntry, ProjectStep, Report, Took, count};

/// `import`: how an import ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// The registry.
    pub to: String,
    /// The digest of the statement.
    pub statement: String,
    /// The names of the keys that signed.
    pub signers: Vec<String>,
    /// The number of artifacts that were pushed.
    pub pushed: usize,
    /// The number of artifacts that existed already.
    pub present: usize,
    /// The number of artifacts that were left out.
    pub skipped: usize,
    /// The counts of the blobs.
    pub blobs: ImportedBlobs,
    /// How long it took.
    pub seconds: f64,
    /// The artifacts that could not be stored. Absent if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<UnstoredEntry>,
    /// The plan that was carried out. Absent for a registry that has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<OutlookReport>,
    /// The scan results. Absent without --wait-for-scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scans: Option<ScansReport>,
}

/// An artifact that could not be stored, where the import went on without it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct UnstoredEntry {
    /// The target.
    pub target: String,
    /// The destination's answer.
    pub reason: String,
}

/// The report of one bundle, whichever it is: of an import, of a part, or of a dry run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ImportOutcome {
    /// The bundle is in place.
    Imported(Box<ImportReport>),
    /// A part of it is.
    Part(PartReport),
    /// The plan for a Harbor.
    Planned(Box<OutlookReport>),
    /// The plan for another registry.
    Steps(StepsReport),
    /// The repositories that it would be written to.
    Repositories(RepositoriesReport),
}

impl Report for ImportOutcome {
    fn text(&self) -> String {
        match self {
            Self::Imported(report) => report.text(),
            Self::Part(report) => report.text(),
            Self::Planned(report) => report.text(),
            Self::Steps(report) => report.text(),
            Self::Repositories(report) => report.text(),
        }
    }
}

/// `import FILE FILE...`: how the imports of several bundles ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportSetReport {
    /// Whether every bundle was imported.
    pub complete: bool,
    /// The bundles whose import came to an end, in the order of the command line.
    pub bundles: Vec<ImportSetEntry>,
    /// The files that failed, with the cause, in the order of the command line.
    pub failed: Vec<FileError>,
    /// The files that were not looked at, because of the failure before them.
    pub not_tried: Vec<String>,
}

/// One bundle of several: its file, and the fields of the report that it would have alone.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ImportSetEntry {
    /// The file, as on the command line.
    pub file: String,
    /// The report.
    #[serde(flatten)]
    #[schemars(skip)]
    pub report: ImportOutcome,
}

impl Report for ImportSetReport {
    fn text(&self) -> String {
        self.bundles.iter().map(|each| format!("{}:\n{}", each.file, each.report.text())).collect()
    }
}

/// The counts of an import's blobs.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportedBlobs {
    /// The number of blobs that were sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// The number of blobs that were mounted from another repository.
    pub mounted: u64,
    /// The number of blobs that existed already.
    pub found: u64,
}

impl Report for ImportReport {
    fn text(&self) -> String {
        let left_out = match self.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} left out"),
        };
        let mut text = format!(
            "{} pushed, {} already present{left_out}; {} sent ({}), {} mounted, {} found, in {}: {}\n",
            count(self.pushed, "artifact"),
            self.present,
            count(usize::try_from(self.blobs.sent).unwrap_or(usize::MAX), "blob"),
            Bytes(self.blobs.sent_bytes),
            self.blobs.mounted,
            self.blobs.found,
            Took(Duration::from_secs_f64(self.seconds.max(0.0))),
            self.to
        );
        self.scans.iter().for_each(|scans| text.push_str(&scans.text()));
        text
    }
}

/// `import --shard` and `import --partial`: a part of a bundle was imported.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartReport {
    /// The registry.
    pub to: String,
    /// Which shard of how many was imported, such as 0/4.
    pub share: String,
    /// The number of blobs of other shards that do not exist yet.
    pub remaining_blobs: usize,
    /// Their bytes.
    pub remaining_bytes: u64,
}

impl Report for PartReport {
    fn text(&self) -> String {
        let (number, of) = self.share.split_once('/').unwrap_or((&self.share, "1"));
        let left = format!("{} ({})", count(self.remaining_blobs, "blob"), Bytes(self.remaining_bytes));
        format!("shard {number} of {of} is imported; {left} of other shards are missing\n")
    }
}

/// `import --list-repositories`: the repositories that an import writes to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RepositoriesReport {
    /// Their names at the registry.
    pub repositories: Vec<String>,
}

impl Report for RepositoriesReport {
    fn text(&self) -> String {
        self.repositories.iter().map(|name| format!("{name}\n")).collect()
    }
}

/// `import --dry-run` into a plain registry: the step for each artifact.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepsReport {
    /// The registry.
    pub to: String,
    /// The step for each artifact.
    pub steps: Vec<ImportStep>,
    /// The number of artifacts that would be pushed.
    pub pushes: usize,
    /// The most bytes that would be sent.
    pub bytes: u64,
}

/// The step for an artifact.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ImportStep {
    /// push, move, present, skip or omit.
    pub decision: String,
    /// The target.
    pub target: String,
    /// The digest.
    pub digest: String,
}

/// The steps as a table.
fn steps(steps: &[ImportStep]) -> String {
    let mut table = Table::new([("STEP", Align::Left), ("TARGET", Align::Left), ("DIGEST", Align::Left)]);
    for ImportStep { decision, target, digest } in steps {
        table.row([decision.clone(), target.clone(), shortened(digest)], []);
    }
    table.text()
}

impl Report for StepsReport {
    fn text(&self) -> String {
        let mut text = steps(&self.steps);
        text.push_str(&format!(
            "{} to push to {}, at most {}; nothing was written\n",
            count(self.pushes, "artifact"),
            self.to,
            Bytes(self.bytes)
        ));
        text
    }
}

/// `import --dry-run` into a Harbor, and the plan of an import into one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutlookReport {
    /// The registry.
    pub to: String,
    /// The product, such as Harbor.
    pub product: String,
    /// Its version; null if it does not say.
    pub harbor: Option<String>,
    /// The account, in words.
    pub account: String,
    /// The steps for the projects.
    pub projects: Vec<ProjectStep>,
    /// The step for each artifact.
    pub steps: Vec<ImportStep>,
    /// How blobs get there.
    pub blobs: BlobWays,
    /// The storage of each project.
    pub storage: Vec<StorageEntry>,
    /// Notes that need no action before the import.
    pub notes: Vec<String>,
    /// The preflight checks that failed. Nothing is written if there is one.
    pub refused: Vec<FindingEntry>,
}

/// How many blobs get to the destination in which way.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct BlobWays {
    /// They are sent.
    pub send: BlobCounts,
    /// They are mounted from another repository.
    pub mount: BlobCounts,
    /// They exist already.
    pub there: BlobCounts,
}

/// A number of blobs.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct BlobCounts {
    /// The number.
    pub count: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl BlobWays {
    fn text(&self) -> String {
        let part = |blobs: BlobCounts, word: &str| format!("{} {word} ({})", blobs.count, Bytes(blobs.bytes));
        [part(self.send, "to send"), part(self.mount, "to mount"), part(self.there, "already present")]
            .join(", ")
    }
}

/// The storage of one project.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StorageEntry {
    /// The project.
    pub project: String,
    /// The most bytes that the bundle adds.
    pub adds: u64,
    /// The bytes that it stores; null if the account may not know.
    pub used: Option<u64>,
    /// Its quota in bytes; null for none, or if the account may not know.
    pub limit: Option<u64>,
    /// Whether the account may know its quota.
    pub known: bool,
}

impl StorageEntry {
    fn line(&self) -> String {
        let known = match (self.used, self.limit) {
            (Some(used), None) => format!("stores {}, no quota", Bytes(used)),
            (Some(used), Some(limit)) => format!("stores {} of {}", Bytes(used), Bytes(limit)),
            (None, _) => "quota not known".to_owned(),
        };
        format!("  {}: {known}, gets at most {}\n", self.project, Bytes(self.adds))
    }
}

impl Report for OutlookReport {
    fn text(&self) -> String {
        let version = self.harbor.as_deref().unwrap_or("of unknown version");
        let mut text = format!(
            "{} {} at {}, as {}\n\nprojects\n",
            self.product,
            Printable(version),
            self.to,
            self.account
        );
        self.projects.iter().for_each(|step| text.push_str(&step.text()));
        text.push_str("\nartifacts\n");
        steps(&self.steps).lines().for_each(|line| text.push_str(&format!("  {line}\n")));
        text.push_str(&format!("\nblobs\n  {}\n", self.blobs.text()));
        if !self.storage.is_empty() {
            text.push_str("\nstorage\n");
            self.storage.iter().for_each(|each| text.push_str(&each.line()));
        }
        for each in &self.notes {
            text.push_str(&format!("\nnote: {each}"));
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        if self.refused.is_empty() {
            text.push_str("\nnothing was written\n");
            return text;
        }
        text.push_str("\nrefused\n");
        for FindingEntry { message, advice, .. } in &self.refused {
            text.push_str(&format!("  {message}\n    {advice}\n"));
        }
        text
    }
}

impl OutlookReport {
    /// The steps for the projects and the bytes to move, printed before an import begins.
    pub fn short_text(&self) -> String {
        let mut text = String::new();
        for step in self.projects.iter().filter(|step| step.change != "keep") {
            text.push_str(&step.text());
        }
        for each in &self.notes {
            text.push_str(&format!("  note: {each}\n"));
        }
        if self.steps.iter().all(|step| step.decision == "present") {
            return text;
        }
        let mut decisions: BTreeMap<&str, usize> = BTreeMap::new();
        for step in &self.steps {
            *decisions.entry(&step.decision).or_default() += 1;
        }
        let artifacts: Vec<_> = ["push", "move", "present", "skip", "omit"]
            .into_iter()
            .filter_map(|word| Some(format!("{} {word}", decisions.get(word)?)))
            .collect();
        text.push_str(&format!("  artifacts: {}; blobs: {}\n", artifacts.join(", "), self.blobs.text()));
        text
    }
}

/// The scan results at the destination.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ScansReport {
    /// The images, in the order of the statement.
    pub images: Vec<ScanEntry>,
    /// How each project deals with vulnerable images, by name.
    pub projects: BTreeMap<String, ProjectScans>,
}

/// The scan result of an image.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ScanEntry {
    /// The target.
    pub target: String,
    /// allowed, warned, blocked or unscanned.
    pub verdict: String,
    /// The number of vulnerabilities by severity, in the destination's words; null without a scan.
    pub counts: Option<BTreeMap<String, u64>>,
    /// The number of vulnerabilities that a newer package repairs; null without a scan.
    pub fixable: Option<u64>,
    /// Why there is no scan; null if there is one.
    pub why: Option<String>,
    /// The platform that the verdict is about, if platforms differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The findings, for people.
    #[serde(skip)]
    #[schemars(skip)]
    pub findings: String,
}

/// How a project deals with vulnerable images.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProjectScans {
    /// The severity from which on pulls are prevented, or never.
    pub prevention: String,
    /// The scanner; null if there is none, or it is not known.
    pub scanner: Option<String>,
    /// Whether the project exempts vulnerabilities.
    pub exemptions: bool,
    /// Whether it is known that nothing scans the project.
    pub unscanned: bool,
}

impl Report for ScansReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for wanted in ["blocked", "unscanned", "warned", "allowed"] {
            for image in self.images.iter().filter(|image| image.verdict == wanted) {
                text.push_str(&format!("{wanted:<9} {}: {}\n", image.target, image.findings));
            }
        }
        for (project, policy) in &self.projects {
            if policy.unscanned && policy.prevention != "never" {
                text.push_str(&format!(
                    "project {project} has no scanner: blocking pulls from severity {} on has no effect\n",
                    policy.prevention
                ));
            } else if policy.unscanned {
                text.push_str(&format!("project {project} has no scanner\n"));
            } else if policy.exemptions {
                text.push_str(&format!(
                    "in the project {project} some vulnerabilities are exempted, so that what is blocked here may be pulled all the same\n"
                ));
            }
        }
        let number = |wanted: &str| self.images.iter().filter(|image| image.verdict == wanted).count();
        text.push_str(&format!(
            "{}: {} blocked, {} warned, {} allowed, {} unscanned\n",
            count(self.images.len(), "image"),
            number("blocked"),
            number("warned"),
            number("allowed"),
            number("unscanned")
        ));
        text
    }
}
