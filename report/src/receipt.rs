//! The reports of `receipt show` and `receipt short`. Takes a receipt and whether its signature was checked,
//! gives models.

use bundle_format::{Evidence, ProjectPolicy, Receipt, Scan, Verdict};
use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Bytes, FileError, Report, count};

/// `receipt show`: a receipt.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReceiptReport {
    /// The file.
    pub file: String,
    /// Whether the site's signature was checked. If false, anybody may have written the rest.
    pub verified: bool,
    /// The receipt as it was read; its fields are in docs/format.md.
    #[schemars(with = "std::collections::BTreeMap<String, serde_json::Value>")]
    pub receipt: Receipt,
}

const WARNING: &str = "NOT VERIFIED: no --trust was given, so anyone may have written the contents.";

impl Report for ReceiptReport {
    fn text(&self) -> String {
        let warning = if self.verified { String::new() } else { format!("{WARNING}\n") };
        format!("{warning}{}", shown(&self.receipt))
    }
}

/// `receipt show FILE FILE...`: several receipts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReceiptSetReport {
    /// The receipts that could be read, in the order of the command line.
    pub receipts: Vec<ReceiptReport>,
    /// The files that failed, with the cause, in the order of the command line.
    pub failed: Vec<FileError>,
}

impl Report for ReceiptSetReport {
    fn text(&self) -> String {
        let texts: Vec<String> =
            self.receipts.iter().map(|each| format!("{}:\n{}", each.file, each.text())).collect();
        texts.join("\n")
    }
}

fn shown(receipt: &Receipt) -> String {
    let mut text = format!(
        "{} imported bundle {} into {}, {}\nsigned by {}\n",
        receipt.site,
        receipt.bundle,
        receipt.registry,
        receipt.imported,
        receipt.signers.join(", ")
    );
    match &receipt.previous {
        Some(previous) => text.push_str(&format!("the previous bundle was {previous}\n")),
        None => text.push_str("no earlier bundle of this stream is known\n"),
    }
    for made in &receipt.overrides {
        text.push_str(&format!("the rule '{}' was overridden: {}\n", made.rule.as_str(), made.reason));
    }
    text.push('\n');
    for artifact in &receipt.artifacts {
        text.push_str(&format!("{:<8} {} {}", artifact.outcome.as_str(), artifact.target, artifact.digest));
        if let Some(found) = artifact.found {
            let word = if artifact.outcome.is_in_place() { "was" } else { "is" };
            text.push_str(&format!(" ({word} {found})"));
        }
        text.push('\n');
        if let Some(scan) = &artifact.scan {
            text.push_str(&format!("         {}\n", scanned(scan)));
        }
    }
    for (project, settings) in &receipt.policies {
        text.push_str(&format!("\nproject {project}: {}", policy(settings)));
    }
    if !receipt.policies.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!(
        "\n{}, {}\n",
        count(receipt.artifacts.len(), "artifact"),
        count(receipt.blobs.len(), "blob")
    ));
    let by = |evidence| receipt.artifacts.iter().filter(|it| it.evidence() == Some(evidence)).count();
    text.push_str(&format!(
        "in the registry by what the import did: {} uploaded, {} looked at, {} read back and hashed\n",
        by(Evidence::Uploaded),
        by(Evidence::Looked),
        by(Evidence::Proved)
    ));
    text
}

/// The name of a verdict.
fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Warned => "warned",
        Verdict::Blocked => "blocked",
        Verdict::Unscanned => "unscanned",
    }
}

fn scanned(scan: &Scan) -> String {
    let counts: Vec<String> =
        scan.counts.iter().rev().map(|(severity, count)| format!("{count} {}", severity.as_str())).collect();
    match counts.is_empty() {
        true => verdict(scan.verdict).to_owned(),
        false => format!("{}: {} ({} fixable)", verdict(scan.verdict), counts.join(", "), scan.fixable),
    }
}

fn policy(policy: &ProjectPolicy) -> String {
    let mut words = vec![
        if policy.public { "public" } else { "private" }.to_owned(),
        if policy.scan_on_push { "automatic scan" } else { "no automatic scan" }.to_owned(),
        match policy.blocked_from {
            Some(severity) => format!("pulls blocked from severity {}", severity.as_str()),
            None => "pulls never prevented".to_owned(),
        },
    ];
    words.extend(policy.quota.map(|bytes| format!("quota {}", Bytes(bytes))));
    words
        .extend(policy.immutable_tags.iter().map(|pattern| format!("tags {} immutable", Printable(pattern))));
    words.join(", ")
}

/// `receipt short`: the short form of a receipt.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ShortReceiptReport {
    /// The short receipt, to be read out or put into a QR code.
    pub short: String,
}

impl Report for ShortReceiptReport {
    fn text(&self) -> String {
        format!("{}\n", self.short)
    }
}

/// `receipt short FILE FILE...`: the short forms of several receipts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ShortReceiptSetReport {
    /// The receipts that could be shortened, in the order of the command line.
    pub receipts: Vec<ShortReceiptEntry>,
    /// The files that failed, with the cause, in the order of the command line.
    pub failed: Vec<FileError>,
}

/// The short form of one receipt of several.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ShortReceiptEntry {
    /// The file, as on the command line.
    pub file: String,
    /// The short receipt.
    pub short: String,
}

impl Report for ShortReceiptSetReport {
    fn text(&self) -> String {
        self.receipts.iter().map(|each| format!("{}:\n{}\n", each.file, each.short)).collect()
    }
}
