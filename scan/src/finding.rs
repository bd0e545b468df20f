//! What a scanner found, in one form for all scanners.
//! Takes texts of a scanner, which are cut to their bounds; gives findings and their counts by severity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Limits;

/// How grave a vulnerability is, from the least to the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The scanner does not know, or says a word that is not known here.
    Unknown,
    /// Low, and Grype's negligible.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

/// A word that is no severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("severity must be low, medium, high or critical")]
pub struct UnknownSeverity;

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        match text.to_ascii_lowercase().as_str() {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            "critical" => Ok(Self::Critical),
            _ => Err(UnknownSeverity),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

impl Severity {
    /// From a scanner's word. Trivy: UNKNOWN, LOW, MEDIUM, HIGH, CRITICAL (trivy-db, pkg/types/types.go); Grype:
    /// Unknown, Negligible, Low, Medium, High, Critical (grype/vulnerability/severity.go).
    pub(crate) fn of_scanner(word: &str) -> Self {
        if word.eq_ignore_ascii_case("negligible") {
            return Self::Low;
        }
        word.parse().unwrap_or(Self::Unknown)
    }
}

/// One vulnerability in one package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Finding {
    /// Such as `CVE-2026-1234`.
    pub id: String,
    /// Other names of the same, such as the CVE of a GHSA.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Its severity.
    pub severity: Severity,
    /// The package.
    pub package: String,
    /// The version that is installed.
    pub installed: String,
    /// The version that mends it, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// A short description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// All that a scanner found in the image of one platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Findings {
    /// Whether the scanner found a distribution or packages in it. If not, that nothing was found says nothing.
    pub recognised: bool,
    /// The findings, the gravest first; the same one in the same package stands once.
    pub all: Vec<Finding>,
}

impl Findings {
    /// In order, without repetitions.
    pub(crate) fn of(recognised: bool, mut all: Vec<Finding>) -> Self {
        all.sort_by(|one, other| {
            let key = |it: &Finding| (std::cmp::Reverse(it.severity), it.id.clone(), it.package.clone());
            key(one).cmp(&key(other)).then_with(|| one.cmp(other))
        });
        all.dedup_by(|one, other| {
            (&one.id, &one.package, &one.installed) == (&other.id, &other.package, &other.installed)
        });
        Self { recognised, all }
    }
}

/// Why a scanner's output cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// No JSON of the scanner's form.
    #[error("the scanner's output is not the JSON of a scan")]
    Json(#[source] serde_json::Error),
    /// Another version of the form.
    #[error("the scanner's output has the schema version {0}, and this program reads version 2")]
    Version(u64),
    /// A finding that lacks what makes it one.
    #[error("the scanner's output has a finding without an identifier")]
    NoIdentifier,
    /// More findings than anybody reads.
    #[error("the scanner's output has more than {0} findings")]
    TooMany(usize),
}

/// How many findings there are of each severity, without those that an exception covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Counts {
    /// Of severity critical.
    pub critical: u64,
    /// Of severity high.
    pub high: u64,
    /// Of severity medium.
    pub medium: u64,
    /// Of severity low.
    pub low: u64,
    /// Of unknown severity.
    pub unknown: u64,
    /// Covered by an exception, of any severity.
    pub excepted: u64,
}

impl Counts {
    /// Counts one more.
    pub(crate) fn add(&mut self, severity: Severity, excepted: bool) {
        let count = match (excepted, severity) {
            (true, _) => &mut self.excepted,
            (false, Severity::Critical) => &mut self.critical,
            (false, Severity::High) => &mut self.high,
            (false, Severity::Medium) => &mut self.medium,
            (false, Severity::Low) => &mut self.low,
            (false, Severity::Unknown) => &mut self.unknown,
        };
        *count += 1;
    }
}

/// A text of the scanner's, not longer than it may be.
pub(crate) fn cut(text: &str, limits: &Limits) -> String {
    text.chars().take(limits.text).collect()
}

/// The same, or nothing for an empty one.
pub(crate) fn cut_some(text: Option<String>, limits: &Limits) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(|text| cut(&text, limits))
}
