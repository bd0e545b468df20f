//! Vulnerability scans of artifacts: asked for, looked at, their severities.
//! Takes an artifact, gives the state of its report.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bundle_oci::ProjectName;
use bundle_oci::{Digest, RepositoryName};
use bundle_registry::{Error, Method};
use serde::Deserialize;
use serde_json::json;

use crate::Harbor;
use crate::client::encoded;

/// How bad a vulnerability is (Harbor's pkg/scan/vuln/severity.go).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// No severity.
    None,
    /// Not rated yet.
    Unknown,
    /// In theory only.
    Negligible,
    /// Hard to use, or of little harm.
    Low,
    /// Of real harm.
    Medium,
    /// Of real harm to many users.
    High,
    /// Of the worst harm.
    Critical,
}

impl Severity {
    /// Harbor's number for it, by which it compares.
    pub fn code(self) -> u8 {
        match self {
            Self::None | Self::Unknown => 0,
            Self::Negligible => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
            Self::Critical => 5,
        }
    }
}

impl FromStr for Severity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "unknown" => Self::Unknown,
            "negligible" => Self::Negligible,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "critical" => Self::Critical,
            _ => return Err(()),
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Unknown => "unknown",
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// How far a scan has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanState {
    /// It waits or runs.
    Running,
    /// There is a report.
    Done,
    /// It failed or was stopped.
    Failed,
}

/// The findings of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanSummary {
    /// Harbor's name for the report, which another scan changes.
    pub report: Option<String>,
    /// How far it has come.
    pub state: ScanState,
    /// The worst that was found; exemptions are not taken into account. Harbor's word for one it
    /// does not know is taken for the worst.
    pub severity: Severity,
    /// How many vulnerabilities there are of each severity.
    pub counts: BTreeMap<String, u64>,
    /// How many there are for which there is a remedy.
    pub fixable: u64,
}

impl ScanSummary {
    /// How many vulnerabilities there are of a severity.
    pub fn count(&self, severity: Severity) -> u64 {
        let count = |(name, count): (&String, &u64)| (name.parse() == Ok(severity)).then_some(*count);
        self.counts.iter().filter_map(count).sum()
    }
}

/// The scanner of a project's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanner {
    /// Its name, such as `Trivy`.
    pub name: String,
}

#[derive(Deserialize)]
pub(crate) struct WireReport {
    #[serde(default)]
    report_id: Option<String>,
    #[serde(default)]
    scan_status: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    summary: Option<WireCounts>,
}

#[derive(Deserialize)]
struct WireCounts {
    #[serde(default)]
    fixable: u64,
    #[serde(default)]
    summary: Option<BTreeMap<String, u64>>,
}

#[derive(Deserialize)]
struct WireScanner {
    #[serde(default)]
    uuid: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    disabled: bool,
}

impl WireReport {
    pub(crate) fn read(self) -> ScanSummary {
        let state = match self.scan_status.as_str() {
            "Success" => ScanState::Done,
            "Error" | "Stopped" => ScanState::Failed,
            _ => ScanState::Running,
        };
        let (fixable, counts) =
            self.summary.map(|summary| (summary.fixable, summary.summary)).unwrap_or_default();
        let severity = match self.severity.as_str() {
            "" => Severity::None,
            text => text.parse().unwrap_or(Severity::Critical),
        };
        ScanSummary { report: self.report_id, state, severity, counts: counts.unwrap_or_default(), fixable }
    }
}

impl Harbor {
    /// The scanner of a project's images; none if there is none. Then no pull is prevented either (Harbor's
    /// middleware/vulnerable: an artifact that cannot be scanned and has no report may be pulled).
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn scanner(&self, project: &ProjectName) -> Result<Option<Scanner>, Error> {
        let doing = format!("tell what scans the project {project}");
        let path = format!("/projects/{project}/scanner");
        let found: Option<WireScanner> = match self.call(Method::Get, &path, &doing, None::<&()>).await {
            // Without a scanner, Harbor answers with nothing at all, or with an empty object.
            Ok(reply) if reply.body.trim_ascii().is_empty() => None,
            Ok(reply) => reply.json()?,
            Err(error) if error.status() == Some(404) => None,
            Err(error) => return Err(error),
        };
        let usable = found.filter(|scanner| !scanner.uuid.is_empty() && !scanner.disabled);
        Ok(usable.map(|scanner| Scanner { name: scanner.name }))
    }

    /// Has an artifact scanned. A scan that runs already is no error.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right, 412 if the project has no scanner, 400 for an artifact that
    /// is no image.
    pub async fn start_scan(
        &self,
        project: &ProjectName,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<(), Error> {
        let doing = format!("scan {project}/{repository}@{digest}");
        let path =
            format!("/projects/{project}/repositories/{}/artifacts/{digest}/scan", encoded(repository));
        match self.call(Method::Post, &path, &doing, Some(&json!({"scan_type": "vulnerability"}))).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(value: serde_json::Value) -> ScanSummary {
        serde_json::from_value::<WireReport>(value).unwrap().read()
    }

    #[test]
    fn a_report_tells_state_severity_and_counts() {
        let summary = report(json!({
            "scan_status": "Success", "severity": "High",
            "summary": {"total": 5, "fixable": 2, "summary": {"High": 3, "Medium": 2}},
        }));
        assert_eq!((summary.state, summary.severity, summary.fixable), (ScanState::Done, Severity::High, 2));
        assert_eq!((summary.count(Severity::High), summary.count(Severity::Critical)), (3, 0));
        for (status, state) in [
            ("Pending", ScanState::Running),
            ("Running", ScanState::Running),
            ("Error", ScanState::Failed),
            ("Stopped", ScanState::Failed),
        ] {
            assert_eq!(report(json!({"scan_status": status})).state, state);
        }
        assert_eq!(
            report(json!({"scan_status": "Success", "severity": "Dire"})).severity,
            Severity::Critical
        );
        assert_eq!(
            report(json!({"scan_status": "Success", "summary": {"summary": null}})).severity,
            Severity::None
        );
    }
}
