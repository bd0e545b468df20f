//! The reports of `verify`, of one bundle or of several.
//! Takes the verdicts of checks, gives models.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::artifact::dated;
use crate::keys::quoted;
use crate::{ApprovalEntry, Bytes, FileError, OtherPlatformEntry, Report, Took, count};

/// `verify FILE`: the verdict of each check.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// The file, or - for standard input.
    pub file: String,
    /// Whether every check passed.
    pub trusted: bool,
    /// The checks, in the order in which they are done.
    pub checks: Vec<CheckEntry>,
    /// The bundle's contents. Absent if a check failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<VerifiedBundle>,
    /// The files of the bundle that are damaged or missing, and whose content was rebuilt from parity.
    pub rebuilt: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

/// One check.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CheckEntry {
    /// Its name.
    pub check: String,
    /// passed, failed, "not checked in part" or "not reached".
    pub verdict: String,
    /// Why it failed, or what is missing for it.
    pub reasons: Vec<String>,
}

/// A bundle that passed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedBundle {
    /// The names of the keys that signed.
    pub signers: Vec<String>,
    /// The stream.
    pub stream: String,
    /// The number in the stream.
    pub sequence: u64,
    /// The digest of the statement.
    pub statement: String,
    /// The number of artifacts.
    pub artifacts: usize,
    /// The number of blobs.
    pub blobs: usize,
    /// The size of the uncompressed bundle in bytes.
    pub size: u64,
    /// The reports by which signers approved the bundle.
    pub approvals: Vec<ApprovalEntry>,
    /// The artifacts of which the bundle has only a part, each with its missing parts.
    pub incomplete: Vec<String>,
    /// The images whose configs name another platform than their index, by which nodes choose.
    pub other_platforms: Vec<OtherPlatformEntry>,
}

impl Report for VerifyReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for CheckEntry { check, verdict, reasons } in &self.checks {
            let verdict = match verdict.as_str() {
                "failed" => format!("FAILED  {}", reasons.join("\n                   ")),
                other if reasons.is_empty() => other.to_owned(),
                other => format!("{other}\n           {}", reasons.join("\n           ")),
            };
            text.push_str(&format!("{check:<10} {verdict}\n"));
        }
        if let Some(bundle) = &self.bundle {
            text.push_str(&format!(
                "{} is whole and signed by {}: {}, {}, {}, in {}\n",
                self.file,
                quoted(&bundle.signers),
                count(bundle.artifacts, "artifact"),
                count(bundle.blobs, "blob"),
                Bytes(bundle.size),
                Took(Duration::from_secs_f64(self.seconds.max(0.0)))
            ));
            text.push_str(&format!("stream {}, sequence {}\n", bundle.stream, dated(bundle.sequence)));
            for ApprovalEntry { by, name, report, approved, .. } in &bundle.approvals {
                let by = quoted(&by.iter().cloned().collect::<Vec<_>>());
                text.push_str(&format!("approved by {by} on {approved} by the report {name} ({report})\n"));
            }
            bundle.incomplete.iter().for_each(|each| text.push_str(&format!("{each}\n")));
            bundle.other_platforms.iter().for_each(|each| text.push_str(&format!("{}\n", each.text)));
        }
        text
    }
}

/// `verify FILE FILE...`: the verdicts of several bundles.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct VerifySetReport {
    /// Whether every bundle passed every check.
    pub trusted: bool,
    /// The bundles that could be looked at, in the order of the command line.
    pub bundles: Vec<VerifyReport>,
    /// The files that failed, with the cause, in the order of the command line.
    pub failed: Vec<FileError>,
}

impl Report for VerifySetReport {
    fn text(&self) -> String {
        self.bundles.iter().map(|each| format!("{}:\n{}", each.file, each.text())).collect()
    }
}
