//! The model of a report for approval: a bundle, its rows, and what they cost.
//! Takes the facts of a bundle and of an earlier one; the files beside this one render it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::findings::{ReviewScan, RowScan};
use super::licences::RowLicences;
use crate::artifact::dated;
use crate::keys::quoted;
use crate::table::{Align, Table};
use crate::{BaseEntry, Bytes, OtherPlatformEntry, Report, SideEntry, count};

/// `report`: what a bundle has, and what it changes, for people who approve it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewReport {
    /// The name of the bundle's file.
    pub file: String,
    /// Whether a trusted key signed. If false, anybody may have written the rest.
    pub verified: bool,
    /// The keys that signed.
    pub signers: Vec<SignerEntry>,
    /// The stream.
    pub stream: String,
    /// The number in the stream.
    pub sequence: u64,
    /// When the bundle was made.
    pub created: String,
    /// When the bundle stops being importable; null for never.
    pub expires: Option<String>,
    /// The digest of the statement, which names the bundle.
    pub statement: String,
    /// The digest of the previous statement in the series; null if it is not known.
    pub previous: Option<String>,
    /// The bases of a delta. Empty for a full bundle.
    pub base: Vec<BaseEntry>,
    /// The number of blobs that a delta leaves out.
    pub requires: usize,
    /// The bytes of these blobs.
    pub required_bytes: u64,
    /// The number of blobs.
    pub blobs: usize,
    /// The bytes of all blobs, as in the plain archive.
    pub blob_bytes: u64,
    /// The size of the file in bytes, if it is a compact encoding; null if not.
    pub compact_size: Option<u64>,
    /// The bundle, receipt or lockfile that it is compared with; null if it is shown alone.
    pub since: Option<SideEntry>,
    /// The changes, counted. If the bundle is shown alone, everything is new.
    pub summary: ChangeSummary,
    /// The images, charts and other artifacts, in the order of their targets; those that are gone among them.
    pub rows: Vec<ReviewRow>,
    /// The images whose configs name another platform than their index, by which nodes choose. Empty if the bundle
    /// is not verified.
    pub other_platforms: Vec<OtherPlatformEntry>,
    /// The scan of the bundle whose verdicts the rows have; null without `--scan`.
    pub scan: Option<ReviewScan>,
}

/// A key that signed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SignerEntry {
    /// Its name at this site.
    pub name: String,
    /// Its fingerprint.
    pub fingerprint: String,
}

/// How many artifacts changed in which way, and what it costs.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeSummary {
    /// They have another digest or another tag.
    pub updated: usize,
    /// Only the later one has them.
    pub new: usize,
    /// Only the earlier one has them. An import deletes nothing.
    pub gone: usize,
    /// They are the same, with other signatures, attestations or SBOMs.
    pub attached: usize,
    /// They are the same.
    pub unchanged: usize,
    /// The bytes of blobs that only the later one has; null where one side is a lockfile.
    pub new_bytes: Option<u64>,
    /// The number of these blobs.
    pub new_blobs: Option<usize>,
    /// The bytes of blobs that only the earlier one has.
    pub dropped_bytes: Option<u64>,
}

/// An image, chart or other artifact, with what is attached to it.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewRow {
    /// updated, new, gone, attached (only its signatures, attestations or SBOMs changed) or unchanged.
    pub change: String,
    /// image, chart, signature, attestation, sbom or artifact; null if it is not known.
    pub kind: Option<String>,
    /// The project.
    pub project: String,
    /// The repository in the project.
    pub repository: String,
    /// The tag in the earlier one; null if there is none.
    pub tag_before: Option<String>,
    /// The tag in the later one; null if there is none.
    pub tag_after: Option<String>,
    /// The digest in the earlier one; null if it is new.
    pub digest_before: Option<String>,
    /// The digest in the later one; null if it is gone.
    pub digest_after: Option<String>,
    /// The reference at the source; null if it is gone or not known.
    pub source: Option<String>,
    /// Its platforms in the later one. Empty for what runs nowhere, or if they are not known.
    pub platforms: Vec<String>,
    /// The platforms that only the earlier one has.
    pub lost_platforms: Vec<String>,
    /// The platforms that only the later one has.
    pub gained_platforms: Vec<String>,
    /// The bytes of all its blobs.
    pub size: u64,
    /// The bytes of the blobs that no other artifact has; null if it is not known.
    pub own_size: Option<u64>,
    /// The bytes of its blobs and of those attached to it that the earlier one has nowhere; null if it is not known.
    /// Blobs that several rows have count for each.
    pub new_bytes: Option<u64>,
    /// The lines, charts and switches that ask for it.
    pub requested_by: Vec<String>,
    /// Its missing parts: platforms, signatures or layers.
    pub lacks: Vec<String>,
    /// Its signatures, attestations, SBOMs and what else is attached to it, the first ten of them; null if that is not
    /// known, because receipts and lockfiles do not say it.
    pub attached: Option<Vec<AttachedEntry>>,
    /// How many of them are signatures.
    pub signatures: usize,
    /// How many SBOMs it has: attached ones, and those in attestations of a verified bundle.
    pub sboms: usize,
    /// The licences that they name; null if there is none, or if the bundle is not verified.
    pub licences: Option<RowLicences>,
    /// How many more are attached to it than are listed.
    pub attached_more: usize,
    /// The result of the check of its upstream signature when the bundle was made; null if none was checked.
    pub signature_check: Option<String>,
    /// What a scanner found in it; null for what is no image or is gone, and without `--scan`.
    pub scan: Option<RowScan>,
}

/// So many attached artifacts of one image are listed.
const MOST_ATTACHED: usize = 10;

/// What is attached to an image.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AttachedEntry {
    /// signature, attestation, sbom or artifact.
    pub kind: String,
    /// Its digest.
    pub digest: String,
    /// Its tag. Absent for what is only pulled by digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl ReviewRow {
    /// The same with what is attached to it. Of more than ten, the first ten are listed: many names of one digest have the
    /// same attachments each, and a report of hostile names would be larger than memory.
    #[must_use]
    pub fn with_attached(mut self, attached: impl Iterator<Item = AttachedEntry>) -> Self {
        let mut listed = Vec::new();
        for entry in attached {
            self.signatures += usize::from(entry.kind == "signature");
            self.sboms += usize::from(entry.kind == "sbom");
            match listed.len() < MOST_ATTACHED {
                true => listed.push(entry),
                false => self.attached_more += 1,
            }
        }
        self.attached = Some(listed);
        self
    }

    /// `project/repository`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.project, self.repository)
    }

    /// `project/repository:tag` in the later one; without a tag, as it is.
    pub(crate) fn target(&self) -> String {
        match &self.tag_after {
            Some(tag) => format!("{}:{tag}", self.name()),
            None => self.name(),
        }
    }

    /// The name by which a scan's result has the later one: without a tag, with its digest.
    pub fn scanned_name(&self) -> String {
        match (&self.tag_after, &self.digest_after) {
            (None, Some(digest)) => format!("{}@{digest}", self.name()),
            _ => self.target(),
        }
    }

    /// The tag before and after, or the digest of what has no tag, with `arrow` between them.
    pub(crate) fn tags(&self, arrow: &str) -> String {
        let name = |tag: &Option<String>, digest: &Option<String>| match (tag, digest) {
            (Some(tag), _) => tag.clone(),
            (None, digest) => digest.as_deref().map(short).unwrap_or_default(),
        };
        let before = name(&self.tag_before, &self.digest_before);
        let after = name(&self.tag_after, &self.digest_after);
        match (before.is_empty(), after.is_empty()) {
            (false, false) if before != after => format!("{before} {arrow} {after}"),
            (_, false) => after,
            _ => before,
        }
    }

    /// What is known of its upstream signature, in a few words; none for what is gone, or if it is not known.
    pub(crate) fn signature(&self) -> Option<String> {
        self.digest_after.as_ref().and(self.attached.as_ref())?;
        Some(match (&self.signature_check, self.signatures) {
            (Some(check), _) => check.clone(),
            (None, 0) => "none".to_owned(),
            (None, 1) => "carried, not checked".to_owned(),
            (None, number) => format!("{number} carried, not checked"),
        })
    }

    /// Whether an SBOM comes with it, in a word; none for what is gone, or if it is not known.
    pub(crate) fn sbom(&self) -> Option<&'static str> {
        self.digest_after.as_ref().and(self.attached.as_ref())?;
        Some(if self.sboms > 0 { "yes" } else { "no" })
    }

    /// Whether it differs from the earlier one.
    pub fn is_change(&self) -> bool {
        self.change != "unchanged"
    }
}

/// The first digits of a digest.
pub(crate) fn short(digest: &str) -> String {
    digest.rsplit(':').next().unwrap_or_default().chars().take(12).collect()
}

/// Text in which each whole digest is cut to its first digits.
pub(crate) fn with_short_digests(text: &str) -> String {
    let is_digest = |word: &str| word.len() == 71 && word.starts_with("sha256:");
    let word =
        |word: &str| if is_digest(word) { format!("sha256:{}…", short(word)) } else { word.to_owned() };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Whether a missing part is that of an upstream signature, which has a column of its own.
pub(crate) fn is_of_signature(lack: &str) -> bool {
    lack.starts_with("signature: ")
}

impl ChangeSummary {
    /// `3 updated, 1 new, 1 gone, 20 unchanged; 5 blobs new, 2.4 MiB`
    pub(crate) fn text(&self) -> String {
        let changes = self.changes();
        let mut text = match changes.is_empty() {
            true => format!("0 changes, {} unchanged", self.unchanged),
            false => format!("{changes}, {} unchanged", self.unchanged),
        };
        if let (Some(bytes), Some(blobs)) = (self.new_bytes, self.new_blobs) {
            text.push_str(&format!("; {} new, {}", count(blobs, "blob"), Bytes(bytes)));
        }
        if let Some(bytes) = self.dropped_bytes.filter(|bytes| *bytes > 0) {
            text.push_str(&format!("; {} no longer used", Bytes(bytes)));
        }
        text
    }

    /// `3 updated, 1 new, 1 gone`; empty if nothing changed.
    pub(crate) fn changes(&self) -> String {
        let parts = [
            (self.updated, "updated"),
            (self.new, "new"),
            (self.gone, "gone"),
            (self.attached, "with other signatures or SBOMs"),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(number, _)| *number > 0).map(|(n, word)| format!("{n} {word}")).collect();
        parts.join(", ")
    }

    /// The counts of these rows, without what they cost.
    pub fn of(rows: &[ReviewRow]) -> Self {
        let number = |change: &str| rows.iter().filter(|row| row.change == change).count();
        Self {
            updated: number("updated"),
            new: number("new"),
            gone: number("gone"),
            attached: number("attached"),
            unchanged: number("unchanged"),
            ..Self::default()
        }
    }
}

impl ReviewReport {
    /// The summary in one line: the changes and their bytes, or the contents of a bundle that is shown alone.
    pub(crate) fn headline(&self) -> String {
        if self.since.is_none() {
            let kinds = self.kinds();
            return format!("{kinds}, {}", Bytes(self.blob_bytes));
        }
        let changes = self.summary.changes();
        let changes = if changes.is_empty() { "no changes".to_owned() } else { changes };
        match self.summary.new_bytes {
            Some(bytes) => format!("{changes}, {}", Bytes(bytes)),
            None => changes,
        }
    }

    /// `12 images, 2 charts`: what the bundle has.
    pub(crate) fn kinds(&self) -> String {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.digest_after.is_some()) {
            *kinds.entry(row.kind.as_deref().unwrap_or("artifact")).or_default() += 1;
        }
        let order = ["image", "chart", "artifact", "signature", "attestation", "sbom"];
        let words = order.iter().filter_map(|kind| Some(count(*kinds.get(kind)?, kind)));
        words.collect::<Vec<_>>().join(", ")
    }

    /// The rows that differ, by project: updated ones first, then new ones, those that are gone, and those of which
    /// only attachments changed. Of a bundle that is shown alone, all rows.
    pub(crate) fn changed_by_project(&self) -> BTreeMap<&str, Vec<&ReviewRow>> {
        let order = |change: &str| ["updated", "new", "gone", "attached"].iter().position(|it| *it == change);
        let mut projects: BTreeMap<&str, Vec<&ReviewRow>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.is_change()) {
            projects.entry(&row.project).or_default().push(row);
        }
        projects.values_mut().for_each(|rows| rows.sort_by_key(|row| order(&row.change)));
        projects
    }

    /// `nightly 1795000000 (2026-11-18…)`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.stream, dated(self.sequence))
    }

    /// Whether what is shown rests on a file whose signature nobody checked, in words.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.verified {
            warnings.push(
                "NOT VERIFIED: no key was checked, so anyone may have written the contents of this bundle"
                    .to_owned(),
            );
        }
        if let Some(since) = self.since.as_ref().filter(|since| since.is_unverified()) {
            warnings.push(format!(
                "NOT VERIFIED: no key was checked for {}, so changes may be missing from this report",
                since.name
            ));
        }
        warnings.extend(self.scan_warning());
        if self.is_backwards() {
            warnings.push("BACKWARDS: this bundle is older than the one it is compared with".to_owned());
        }
        warnings
    }

    /// Whether the bundle comes before the one that it is compared with.
    fn is_backwards(&self) -> bool {
        let since = self.since.as_ref().filter(|since| since.stream == self.stream);
        since.and_then(|since| since.sequence).is_some_and(|sequence| sequence > self.sequence)
    }

    /// What deserves a look before everything else, in words.
    pub(crate) fn attention(&self) -> Vec<String> {
        let mut points = self.scan_attention();
        let carried = || self.rows.iter().filter(|row| row.digest_after.is_some());
        let lost = carried().filter(|row| !row.lost_platforms.is_empty()).count();
        if lost > 0 {
            points.push(format!("{} platforms that the earlier one has", plural(lost, "lacks", "lack")));
        }
        let lacking = carried().filter(|row| row.lacks.iter().any(|lack| !is_of_signature(lack))).count();
        if lacking > 0 {
            points.push(format!("{} missing parts", plural(lacking, "has", "have")));
        }
        let unverified = |row: &&ReviewRow| {
            row.signature_check.as_ref().is_some_and(|check| check.starts_with("not verified"))
        };
        let unverified = carried().filter(unverified).count();
        if unverified > 0 {
            points.push(format!(
                "{} an upstream signature that was not verified",
                plural(unverified, "has", "have")
            ));
        }
        let images = || carried().filter(|row| row.kind.as_deref() == Some("image") && row.is_change());
        let unsigned = images().filter(|row| row.signature().as_deref() == Some("none")).count();
        if unsigned > 0 {
            let of = if self.since.is_some() { "new or updated images" } else { "images" };
            points.push(format!("{unsigned} of {} {of} carry no upstream signature", images().count()));
        }
        points.extend(self.other_platforms.iter().take(MOST_POINTS).map(|other| other.text.clone()));
        if self.other_platforms.len() > MOST_POINTS {
            let more = self.other_platforms.len() - MOST_POINTS;
            points.push(format!("{} with another platform than their index says", count(more, "more image")));
        }
        points
    }
}

/// The images with another platform than their index says that are named one by one.
const MOST_POINTS: usize = 20;

/// `1 image lacks`, `2 images lack`.
fn plural(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(number, "image"), if number == 1 { one } else { many })
}

impl SideEntry {
    /// `the bundle nightly 1794000000 (2026-11-06…)`.
    pub(crate) fn title(&self) -> String {
        match self.sequence {
            Some(sequence) => format!("the {} {} {}", self.kind, self.stream, dated(sequence)),
            None => format!("the {} {}", self.kind, self.stream),
        }
    }

    /// Whether somebody should check a signature: lockfiles have none.
    pub(crate) fn is_unverified(&self) -> bool {
        self.kind != "lock" && !self.verified
    }
}

impl Report for ReviewReport {
    fn text(&self) -> String {
        let mut text = String::new();
        self.warnings().iter().for_each(|warning| text.push_str(&format!("{warning}.\n")));
        let names: Vec<String> = self.signers.iter().map(|signer| signer.name.clone()).collect();
        if self.verified {
            text.push_str(&format!("signed by {}\n", quoted(&names)));
        }
        text.push_str(&format!("{}, created {}\n", self.title(), self.created));
        if let Some(since) = &self.since {
            text.push_str(&format!("compared with {}\n", since.name));
        }
        text.push_str(&self.scan_text());
        text.push_str(&format!("\n{}\n", self.headline()));
        self.attention().iter().for_each(|point| text.push_str(&format!("  {point}\n")));
        let table = table(&self.rows, self.since.is_some());
        if !table.is_empty() {
            text.push_str(&format!("\n{table}"));
        }
        text
    }
}

/// Findings below an image in the terminal.
const MOST_BELOW: usize = 5;

/// The rows that differ as a table, with what they lost below each. `compared` is false for a bundle shown alone.
pub(crate) fn table(rows: &[ReviewRow], compared: bool) -> String {
    let change = if compared { "CHANGE" } else { "KIND" };
    let mut table = Table::new([
        (change, Align::Left),
        ("IMAGE", Align::Left),
        ("TAG", Align::Left),
        ("NEW", Align::Right),
        ("SIZE", Align::Right),
        ("PLATFORMS", Align::Left),
        ("FINDINGS", Align::Left),
    ]);
    for row in rows.iter().filter(|row| row.is_change()) {
        let mut below = Vec::new();
        for (word, platforms) in [("lost", &row.lost_platforms), ("gained", &row.gained_platforms)] {
            if !platforms.is_empty() {
                below.push(format!("{word} platforms: {}", platforms.join(", ")));
            }
        }
        if row.change == "attached" {
            below.push("only its signatures, attestations or SBOMs changed".to_owned());
        }
        below.extend(row.lacks.iter().cloned());
        below.extend(row.scan.iter().flat_map(|scan| scan.notes(MOST_BELOW)));
        let first = if compared { row.change.clone() } else { row.kind.clone().unwrap_or_default() };
        let cells = [
            first,
            row.name(),
            row.tags("->"),
            row.new_bytes
                .filter(|_| row.digest_after.is_some())
                .map(|bytes| Bytes(bytes).to_string())
                .unwrap_or_default(),
            Bytes(row.size).to_string(),
            row.platforms.join(" "),
            row.scan.as_ref().map(RowScan::text).unwrap_or_default(),
        ];
        table.row(cells, below);
    }
    table.text()
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::{ExceptionEntry, FindingCounts, FindingRow};

    /// A report of which every text is hostile where it may be.
    pub(crate) fn report() -> ReviewReport {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let row = |change: &str, repository: &str, before: Option<&str>, after: Option<&str>| ReviewRow {
            change: change.to_owned(),
            kind: Some("image".to_owned()),
            project: "cache".to_owned(),
            repository: repository.to_owned(),
            tag_before: before.map(str::to_owned),
            tag_after: after.map(str::to_owned),
            digest_before: before.map(|_| digest("1")),
            digest_after: after.map(|_| digest("2")),
            source: after.map(|tag| format!("docker.io/library/{repository}:{tag}")),
            platforms: vec!["linux/amd64".to_owned()],
            size: 40 << 20,
            own_size: Some(10 << 20),
            new_bytes: Some(2 << 20),
            requested_by: vec!["bundle.yaml:3".to_owned()],
            attached: Some(Vec::new()),
            ..ReviewRow::default()
        };
        let mut lost = row("updated", "nginx", Some("1.27.0"), Some("1.27.1"));
        lost.lost_platforms = vec!["linux/arm64".to_owned()];
        (lost.signatures, lost.sboms) = (1, 1);
        let licences = [("MIT".to_owned(), 3), ("<b>a|b".to_owned(), 1)];
        lost.licences = Some(RowLicences::of(5, 1, licences.into_iter(), Vec::new()));
        lost.attached = Some(vec![
            AttachedEntry { kind: "signature".to_owned(), digest: digest("3"), tag: None },
            AttachedEntry { kind: "sbom".to_owned(), digest: digest("4"), tag: None },
        ]);
        let mut hostile = row("new", "evil", None, Some("1"));
        hostile.requested_by = vec![
            "<script>alert(1)</script>".to_owned(),
            "=HYPERLINK(\"http://x\")".to_owned(),
            "a|b`c\"&'".to_owned(),
        ];
        hostile.lacks = vec!["incomplete: <b>\u{202e}x".to_owned()];
        let rows = vec![
            hostile,
            row("gone", "redis", Some("7.2"), None),
            lost,
            row("unchanged", "same", Some("1"), Some("1")),
        ];
        ReviewReport {
            file: "nightly.tar".to_owned(),
            verified: true,
            signers: vec![SignerEntry { name: "ops".to_owned(), fingerprint: digest("a") }],
            stream: "nightly".to_owned(),
            sequence: 1_795_000_000,
            created: "2026-11-18T11:06:40Z".to_owned(),
            expires: None,
            statement: digest("b"),
            previous: None,
            base: Vec::new(),
            requires: 0,
            required_bytes: 0,
            blobs: 9,
            blob_bytes: 70 << 20,
            compact_size: Some(3 << 20),
            since: Some(SideEntry {
                kind: "bundle".to_owned(),
                stream: "nightly".to_owned(),
                sequence: Some(1_794_000_000),
                digest: digest("c"),
                verified: true,
                name: "the bundle of nightly 1794000000".to_owned(),
            }),
            summary: ChangeSummary {
                new_bytes: Some(2_516_582),
                new_blobs: Some(3),
                dropped_bytes: Some(1),
                ..ChangeSummary::of(&rows)
            },
            rows,
            other_platforms: Vec::new(),
            scan: None,
        }
    }

    /// The same with a scan that found something, whose texts are hostile, too.
    pub(crate) fn scanned() -> ReviewReport {
        let mut report = report();
        let exception = ExceptionEntry {
            vulnerability: "CVE-2026-2".to_owned(),
            image: "cache/*".to_owned(),
            owner: "=owner <b>".to_owned(),
            expires: "2026-12-31".to_owned(),
            reason: "not|loaded".to_owned(),
        };
        let finding = |id: &str, verdict: &str, exception: Option<ExceptionEntry>| FindingRow {
            id: id.to_owned(),
            severity: "critical".to_owned(),
            package: "<script>ssl".to_owned(),
            installed: "3.0".to_owned(),
            fixed: Some("3.1".to_owned()),
            verdict: verdict.to_owned(),
            exception,
        };
        let scan = RowScan {
            verdict: "blocked".to_owned(),
            counts: FindingCounts { critical: 1, medium: 2, excepted: 1, ..FindingCounts::default() },
            errors: Vec::new(),
            unrecognised: false,
            findings: Vec::new(),
            findings_more: 0,
        };
        let found = [
            finding("CVE-2026-1", "blocked", None),
            finding("CVE-2026-2", "allowed", Some(exception.clone())),
            finding("CVE-2026-3", "warned", None),
        ];
        report.rows[2].scan = Some(scan.with_findings(found.into_iter()));
        report.rows[0].scan = Some(RowScan::missing());
        let none = RowScan { verdict: "allowed".to_owned(), errors: Vec::new(), ..RowScan::missing() };
        report.rows[3].scan = Some(none);
        let scan = ReviewScan {
            file: "nightly.scan.json".to_owned(),
            digest: format!("sha256:{}", "d".repeat(64)),
            signer: Some(format!("sha256:{}", "e".repeat(64))),
            scanner: "trivy".to_owned(),
            scanner_version: "0.74.0".to_owned(),
            database: Some("2026-11-18T06:00:00Z".to_owned()),
            vex: None,
            scanned: "2026-11-18T12:00:00Z".to_owned(),
            block: "high".to_owned(),
            exceptions: Vec::new(),
            exceptions_more: 0,
            expired: vec![ExceptionEntry { expires: "2026-11-01".to_owned(), ..exception.clone() }],
        };
        let used = (exception, vec!["cache/nginx:1.27.1".to_owned()]);
        report.scan = Some(scan.with_exceptions(std::iter::once(used)));
        report
    }
}

#[cfg(test)]
mod tests {
    use super::testing::report;
    use super::*;

    #[test]
    fn the_summary_comes_first_and_lost_platforms_are_seen() {
        let text = report().text();
        assert!(text.contains("\n1 updated, 1 new, 1 gone, 2.4 MiB\n"), "{text}");
        assert!(text.contains("  1 image lacks platforms that the earlier one has\n"), "{text}");
        assert!(text.contains("updated  cache/nginx  1.27.0 -> 1.27.1  2.0 MiB  40.0 MiB  linux/amd64\n    lost platforms: linux/arm64\n"), "{text}");
        assert!(!text.contains("NOT VERIFIED") && !text.contains("cache/same"), "{text}");
    }

    #[test]
    fn what_is_not_verified_or_backwards_is_said() {
        let mut report = report();
        report.verified = false;
        report.sequence = 1;
        report.since.as_mut().unwrap().verified = false;
        let warnings = report.warnings();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        report.since = None;
        assert_eq!(report.headline(), "3 images, 70.0 MiB");
    }

    #[test]
    fn many_attachments_are_counted_and_ten_are_listed() {
        let entry = |number: usize| AttachedEntry {
            kind: if number == 11 { "sbom" } else { "signature" }.to_owned(),
            digest: number.to_string(),
            tag: None,
        };
        let row = report().rows.remove(3).with_attached((0..12).map(entry));
        assert_eq!((row.attached.as_ref().unwrap().len(), row.attached_more), (10, 2));
        assert_eq!((row.signature().unwrap().as_str(), row.sbom()), ("11 carried, not checked", Some("yes")));
    }

    #[test]
    fn an_upstream_signature_is_checked_carried_or_none() {
        let mut row = report().rows.remove(2);
        assert_eq!((row.signature().unwrap().as_str(), row.sbom()), ("carried, not checked", Some("yes")));
        row.signature_check = Some("verified by acme.pub".to_owned());
        assert_eq!(row.signature().unwrap(), "verified by acme.pub");
        let key = format!("verified, key sha256:{}", "a".repeat(64));
        assert_eq!(with_short_digests(&key), "verified, key sha256:aaaaaaaaaaaa…");
        row.digest_after = None;
        assert_eq!((row.signature(), row.sbom()), (None, None));
        row.digest_after = row.digest_before.clone();
        row.attached = None;
        assert_eq!((row.signature(), row.sbom()), (None, None), "a lockfile does not say it");
    }
}
