//! The scanner and what it found.
//! Takes findings from tests; gives reports and summaries in the words of Harbor's API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answer::{Code, Refusal};
use super::clock::Time;
use super::state::{Artifact, State};
use crate::manifest::{DOCKER_MANIFEST, OCI_MANIFEST};

/// The report that the double gives; Harbor has an older form too, which Trivy's adapter no longer makes.
pub(super) const REPORT_TYPE: &str = "application/vnd.security.vulnerability.report; version=1.1";

/// Layers that no scanner can read, as BuildKit's attestations have (Harbor `controller/artifact`).
const UNSCANNABLE_LAYER: &str = "application/vnd.in-toto+json";

/// How bad a vulnerability is; in Harbor's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Not rated. As a project's threshold: every vulnerability is over it.
    Unknown,
    /// `Low`
    Low,
    /// `Medium`
    Medium,
    /// `High`
    High,
    /// `Critical`
    Critical,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Severity::Unknown => "Unknown",
            Severity::Low => "Low",
            Severity::Medium => "Medium",
            Severity::High => "High",
            Severity::Critical => "Critical",
        }
    }

    /// Harbor `pkg/scan/vuln/severity.go`: what is not a known word, `none` and the empty one among them, is as
    /// low as can be, so that as a threshold it blocks everything.
    pub(super) fn parse(word: &str) -> Severity {
        match word.to_ascii_lowercase().as_str() {
            "low" => Severity::Low,
            "medium" => Severity::Medium,
            "high" => Severity::High,
            "critical" => Severity::Critical,
            _ => Severity::Unknown,
        }
    }
}

/// The findings of a manifest's scan, which a test sets before the scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    vulnerabilities: Vec<Vulnerability>,
    unseen: usize,
    polls: usize,
    failing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Vulnerability {
    id: String,
    severity: Severity,
    fixed: bool,
}

impl Findings {
    /// No vulnerabilities.
    pub fn clean() -> Findings {
        Findings::default()
    }

    /// `count` more vulnerabilities of that severity, without a fix. Their names are `CVE-2026-1000` and on.
    pub fn with(mut self, severity: Severity, count: usize) -> Findings {
        for _ in 0..count {
            let id = format!("CVE-2026-{}", 1000 + self.vulnerabilities.len());
            self.vulnerabilities.push(Vulnerability { id, severity, fixed: false });
        }
        self
    }

    /// The first `count` vulnerabilities have a fix.
    pub fn fixable(mut self, count: usize) -> Findings {
        self.vulnerabilities.iter_mut().take(count).for_each(|v| v.fixed = true);
        self
    }

    /// Hides a scan that a push began from so many requests: Harbor begins it after it has answered. Each
    /// request for the overview counts.
    pub fn unseen(self, looks: usize) -> Findings {
        Findings { unseen: looks, ..self }
    }

    /// The scan is seen that many times before it is seen done: first `Pending`, then `Running`.
    pub fn after_polls(self, polls: usize) -> Findings {
        Findings { polls, ..self }
    }

    /// The scan is never done.
    pub fn never(self) -> Findings {
        self.after_polls(usize::MAX)
    }

    /// The scan ends with `Error`.
    pub fn failing(self) -> Findings {
        Findings { failing: true, ..self }
    }

    fn severity(&self) -> Option<Severity> {
        self.vulnerabilities.iter().map(|v| v.severity).max()
    }

    fn summary(&self) -> Value {
        let mut by_severity: BTreeMap<&str, usize> = BTreeMap::new();
        for vulnerability in &self.vulnerabilities {
            *by_severity.entry(vulnerability.severity.name()).or_default() += 1;
        }
        let fixable = self.vulnerabilities.iter().filter(|v| v.fixed).count();
        json!({"total": self.vulnerabilities.len(), "fixable": fixable, "summary": by_severity})
    }
}

/// Trivy, or its absence.
#[derive(Debug)]
pub(super) struct Scanner {
    pub(super) present: bool,
    /// By digest.
    findings: BTreeMap<String, Findings>,
    /// For all other digests.
    default: Findings,
    /// By digest: what was scanned, in any repository.
    reports: BTreeMap<String, Report>,
}

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner {
            present: true,
            findings: BTreeMap::new(),
            default: Findings::clean(),
            reports: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug)]
struct Report {
    id: String,
    status: Status,
    /// Looks that will see nothing of it.
    unseen: usize,
    /// Looks that saw it unfinished.
    polls: usize,
    findings: Findings,
    started: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Pending,
    Running,
    Success,
    Error,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Pending => "Pending",
            Status::Running => "Running",
            Status::Success => "Success",
            Status::Error => "Error",
        }
    }

    fn is_final(self) -> bool {
        matches!(self, Status::Success | Status::Error)
    }
}

impl Report {
    fn finish(&mut self) {
        self.status = if self.findings.failing { Status::Error } else { Status::Success };
    }

    /// One request for a scan, which advances it. Whether anything is seen.
    fn poll(&mut self) -> bool {
        if self.unseen > 0 {
            self.unseen -= 1;
            return false;
        }
        if self.polls > 0 && !self.status.is_final() {
            self.status = Status::Running;
        }
        if self.polls >= self.findings.polls && !self.status.is_final() {
            self.finish();
        }
        self.polls += 1;
        true
    }
}

impl Scanner {
    pub(super) fn set_findings(&mut self, digest: &str, findings: Findings) {
        self.findings.insert(digest.to_owned(), findings);
    }

    pub(super) fn set_default(&mut self, findings: Findings) {
        self.default = findings;
    }

    /// Throws the report of a manifest away that is nowhere any more.
    pub(super) fn forget(&mut self, digest: &str) {
        self.reports.remove(digest);
    }

    /// Advances all scans under way, and says how many reports there are and how many of them are final.
    pub(super) fn advance(&mut self) -> (usize, usize) {
        for report in self.reports.values_mut() {
            report.poll();
        }
        (self.reports.len(), self.reports.values().filter(|report| report.status.is_final()).count())
    }

    /// Ends all scans under way.
    pub(super) fn finish_all(&mut self) {
        for report in self.reports.values_mut().filter(|report| !report.status.is_final()) {
            report.unseen = 0;
            report.finish();
        }
    }

    /// The status and the worst severity, for people.
    pub(super) fn verdict(&self, digest: &str) -> Option<String> {
        let report = self.reports.get(digest)?;
        if report.status != Status::Success {
            return Some(report.status.name().to_owned());
        }
        let severity = report.findings.severity().map_or("no vulnerabilities", Severity::name);
        Some(match report.findings.vulnerabilities.len() {
            0 => severity.to_owned(),
            n => format!("{severity}, {n} in all"),
        })
    }
}

/// The state of an artifact's vulnerabilities.
pub(super) enum Vulnerable {
    /// There is no report, and maybe there cannot be one.
    NoReport,
    /// The reports are there, and their status, by this name, is not success.
    Unfinished(&'static str),
    Scanned {
        count: usize,
        worst: Option<Severity>,
    },
}

impl State {
    /// The artifacts that a scan of this one is about: the artifact, or an index's children (Harbor
    /// `controller/scan collectScanningArtifacts`); and whether any of them can be scanned.
    fn scanned_artifacts(&self, repository: &str, artifact: &Artifact) -> (Vec<Artifact>, bool) {
        let (mut found, mut scannable) = (Vec::new(), false);
        self.walk(repository, artifact, &mut |visited| {
            if self.is_accessory(repository, &visited.digest) || self.is_unscannable(visited) {
                return Walk::On;
            }
            let supported = is_supported(visited);
            if !supported && visited.is_index() {
                return Walk::On;
            }
            found.push(visited.clone());
            scannable |= supported;
            if supported { Walk::Skip } else { Walk::On }
        });
        (found, scannable)
    }

    /// Harbor `controller/scan/checker.go`, which unlike a scan does not look at the layers: an attestation
    /// can never be scanned, and yet counts as something that could be.
    pub(super) fn is_scannable(&self, repository: &str, artifact: &Artifact) -> bool {
        let mut scannable = false;
        if self.scanner.present {
            self.walk(repository, artifact, &mut |visited| {
                scannable |= !self.is_accessory(repository, &visited.digest) && is_supported(visited);
                Walk::On
            });
        }
        scannable
    }

    fn is_unscannable(&self, artifact: &Artifact) -> bool {
        artifact.blobs.iter().filter_map(|b| self.blobs.get(b)).any(|b| b.content_type == UNSCANNABLE_LAYER)
    }

    fn walk(&self, repository: &str, root: &Artifact, visit: &mut dyn FnMut(&Artifact) -> Walk) {
        let mut seen = BTreeSet::new();
        let mut queue = vec![root.digest.clone()];
        while let Some(digest) = queue.pop() {
            let Ok(artifact) = self.artifact(repository, &digest) else { continue };
            if seen.insert(digest) && visit(artifact) == Walk::On {
                queue.extend(artifact.references.iter().rev().map(|r| r.child_digest.clone()));
            }
        }
    }

    /// `POST …/scan`.
    pub(super) fn start_scan(&mut self, repository: &str, artifact: &Artifact) -> Result<(), Refusal> {
        self.begin_scan(repository, artifact, Beginning::Asked)
    }

    fn begin_scan(
        &mut self,
        repository: &str,
        artifact: &Artifact,
        beginning: Beginning,
    ) -> Result<(), Refusal> {
        if !self.scanner.present {
            let project = self.project_of(repository)?.id;
            return Err(Refusal::new(
                Code::Precondition,
                format!("no available scanner for project: {project}"),
            ));
        }
        let (artifacts, scannable) = self.scanned_artifacts(repository, artifact);
        if !scannable {
            return Err(Refusal::bad_request(format!(
                "the configured scanner Trivy does not support scanning artifact with mime type {}",
                artifact.manifest_media_type
            )));
        }
        let running = |state: &State, digest: &str| {
            state.scanner.reports.get(digest).map(|r| r.status).filter(|status| !status.is_final())
        };
        let under_way: Vec<Status> = artifacts.iter().filter_map(|a| running(self, &a.digest)).collect();
        if let [first, ..] = under_way[..]
            && under_way.len() == artifacts.len()
        {
            return Err(Refusal::new(Code::Conflict, format!("a previous scan process is {}", first.name())));
        }
        for artifact in artifacts {
            if running(self, &artifact.digest).is_some() {
                continue;
            }
            let findings =
                self.scanner.findings.get(&artifact.digest).unwrap_or(&self.scanner.default).clone();
            let id = format!("report-{}", self.next_id());
            let mut report = Report {
                id,
                status: Status::Pending,
                unseen: if beginning == Beginning::Pushed { findings.unseen } else { 0 },
                polls: 0,
                findings,
                started: self.now(),
            };
            if report.findings.polls == 0 {
                report.finish();
            }
            self.scanner.reports.insert(artifact.digest, report);
        }
        Ok(())
    }

    /// Starts the scan of a push where the project has automatic scans, each time anew: the earlier report is
    /// gone, and with it the right to pull, until the new one exists (Harbor
    /// `controller/event/handler/internal autoScan`).
    pub(super) fn scan_automatically(&mut self, repository: &str, digest: &str) {
        let wanted = self.project_of(repository).is_ok_and(|project| project.is_on("auto_scan"));
        if let (true, Ok(artifact)) = (wanted, self.artifact(repository, digest).cloned()) {
            // A scan that runs already and an artifact that no scanner reads are no failure of the push.
            drop(self.begin_scan(repository, &artifact, Beginning::Pushed));
        }
    }

    /// `scan_overview` of an artifact, if there is any. Reading it advances a scan.
    pub(super) fn scan_overview(&mut self, repository: &str, artifact: &Artifact) -> Option<Value> {
        if !self.is_scannable(repository, artifact) {
            return None;
        }
        let (artifacts, _) = self.scanned_artifacts(repository, artifact);
        let reports: Vec<&mut Report> = {
            let digests: BTreeSet<String> = artifacts.into_iter().map(|a| a.digest).collect();
            self.scanner
                .reports
                .iter_mut()
                .filter(|(digest, _)| digests.contains(*digest))
                .map(|(_, report)| report)
                .collect()
        };
        let mut merged: Option<Report> = None;
        for report in reports {
            if !report.poll() {
                continue;
            }
            merged = Some(match merged {
                None => report.clone(),
                Some(mut all) => {
                    all.status = merge(all.status, report.status);
                    all.id = format!("{}|{}", all.id, report.id);
                    let new = report.findings.vulnerabilities.iter();
                    let known: BTreeSet<String> =
                        all.findings.vulnerabilities.iter().map(|v| v.id.clone()).collect();
                    all.findings.vulnerabilities.extend(new.filter(|v| !known.contains(&v.id)).cloned());
                    all
                }
            });
        }
        let report = merged?;
        let mut overview = json!({
            "report_id": report.id,
            "scan_status": report.status.name(),
            "start_time": report.started.to_string(),
            "scanner": {"name": "Trivy", "vendor": "Aqua Security", "version": "v0.72.0"},
        });
        if report.status == Status::Success {
            overview["severity"] = json!(report.findings.severity().map_or("None", Severity::name));
            overview["summary"] = report.findings.summary();
            overview["end_time"] = json!(report.started.to_string());
            overview["complete_percent"] = json!(100);
        }
        Some(json!({ REPORT_TYPE: overview }))
    }

    /// `…/additions/vulnerabilities`: the whole list.
    pub(super) fn vulnerability_report(&self, repository: &str, artifact: &Artifact) -> Value {
        let (artifacts, _) = self.scanned_artifacts(repository, artifact);
        let reports: Vec<&Report> = artifacts
            .iter()
            .filter_map(|a| self.scanner.reports.get(&a.digest))
            .filter(|r| r.status == Status::Success)
            .collect();
        if reports.is_empty() {
            return json!({});
        }
        let list: Vec<Value> = reports
            .iter()
            .flat_map(|report| &report.findings.vulnerabilities)
            .map(|v| {
                json!({
                    "id": v.id,
                    "package": "made-up",
                    "version": "1.0",
                    "fix_version": if v.fixed { "1.1" } else { "" },
                    "severity": v.severity.name(),
                    "description": "made up",
                    "links": [],
                })
            })
            .collect();
        let severity = reports.iter().filter_map(|r| r.findings.severity()).max();
        json!({REPORT_TYPE: {
            "generated_at": self.now().to_string(),
            "scanner": {"name": "Trivy", "vendor": "Aqua Security", "version": "v0.72.0"},
            "severity": severity.map_or("None", Severity::name),
            "vulnerabilities": list,
        }})
    }

    /// The reports of the artifact, without the vulnerabilities that are allowed (Harbor `controller/scan
    /// GetVulnerable`).
    pub(super) fn vulnerable(
        &self,
        repository: &str,
        artifact: &Artifact,
        allowed: &BTreeSet<String>,
    ) -> Vulnerable {
        if !self.scanner.present {
            return Vulnerable::NoReport;
        }
        let (artifacts, scannable) = self.scanned_artifacts(repository, artifact);
        if !scannable {
            return Vulnerable::NoReport;
        }
        let mut reports = Vec::new();
        for artifact in &artifacts {
            match self.scanner.reports.get(&artifact.digest) {
                Some(report) if report.unseen == 0 => reports.push(report),
                _ => return Vulnerable::NoReport,
            }
        }
        match reports.iter().map(|report| report.status).reduce(merge) {
            None => return Vulnerable::NoReport,
            Some(Status::Success) => {}
            Some(status) => return Vulnerable::Unfinished(status.name()),
        }
        let counted: Vec<&Vulnerability> = reports
            .iter()
            .flat_map(|report| &report.findings.vulnerabilities)
            .filter(|v| !allowed.contains(&v.id))
            .collect();
        Vulnerable::Scanned { count: counted.len(), worst: counted.iter().map(|v| v.severity).max() }
    }
}

/// The trigger of a scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beginning {
    Asked,
    Pushed,
}

#[derive(PartialEq, Eq)]
enum Walk {
    /// Look at the children too.
    On,
    Skip,
}

/// Whether Trivy's adapter reads an artifact: images, and no index as such.
fn is_supported(artifact: &Artifact) -> bool {
    artifact.kind == "IMAGE"
        && matches!(artifact.manifest_media_type.as_str(), OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Harbor `pkg/scan/vuln MergeScanStatus`: one child that succeeded makes the index a success.
fn merge(a: Status, b: Status) -> Status {
    for status in [Status::Running, Status::Success] {
        if a == status || b == status {
            return status;
        }
    }
    if a == Status::Error { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_that_is_no_word_of_harbors_is_below_everything() {
        for word in ["", "hgh", "none", "unknown"] {
            assert!(Severity::Low > Severity::parse(word), "{word}");
        }
        assert!(Severity::High >= Severity::parse("High") && Severity::Medium < Severity::parse("high"));
    }

    #[test]
    fn an_index_counts_as_scanned_when_one_child_was() {
        assert_eq!(merge(Status::Success, Status::Error), Status::Success);
        assert_eq!(merge(Status::Success, Status::Running), Status::Running);
        assert_eq!(merge(Status::Pending, Status::Error), Status::Error);
    }
}
