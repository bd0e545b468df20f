//! The result as SARIF 2.1.0, for tools that collect findings (OASIS, sarif-schema-2.1.0).
//! Takes a record, gives JSON: a rule for each vulnerability, a result for each finding of an image.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{JudgedFinding, ScanRecord, Severity};

/// The record as SARIF, which ends with a line feed.
pub fn sarif(record: &ScanRecord) -> Vec<u8> {
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    let mut results = Vec::new();
    let mut failures = Vec::new();
    for image in &record.images {
        for part in &image.platforms {
            let place = match &part.platform {
                Some(platform) => format!("{} ({platform})", image.image),
                None => image.image.clone(),
            };
            if let Some(error) = &part.error {
                failures.push(json!({"level": "error", "message": {"text": format!("{place}: {error}")}}));
            }
            for JudgedFinding { finding, exception, .. } in &part.findings {
                let text = finding.title.clone().unwrap_or_else(|| finding.id.clone());
                rules.entry(&finding.id).or_insert_with(|| {
                    json!({
                        "id": finding.id,
                        "shortDescription": {"text": text},
                        "properties": {"security-severity": score(finding.severity), "tags": ["vulnerability"]},
                    })
                });
                let fixed =
                    finding.fixed.as_deref().map(|it| format!(", mended in {it}")).unwrap_or_default();
                let message = format!(
                    "{place}: {} {} has {} ({}){fixed}",
                    finding.package, finding.installed, finding.id, finding.severity
                );
                let mut result = json!({
                    "ruleId": finding.id,
                    "level": level(finding.severity),
                    "message": {"text": message},
                    "locations": [{
                        "physicalLocation": {"artifactLocation": {"uri": image.image}},
                        "logicalLocations": [{"fullyQualifiedName": format!("{}@{}", image.image, part.digest)}],
                    }],
                });
                if let Some(it) = exception {
                    let why = format!("{} (owner {}, until {})", it.reason, it.owner, it.expires);
                    result["suppressions"] =
                        json!([{"kind": "external", "status": "accepted", "justification": why}]);
                }
                results.push(result);
            }
        }
    }
    let document = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": record.scanner.name,
                "version": record.scanner.version,
                "rules": rules.into_values().collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": failures.is_empty(),
                "toolExecutionNotifications": failures,
                "endTimeUtc": record.scanned.to_string(),
            }],
            "results": results,
        }],
    });
    format!("{document:#}\n").into_bytes()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium | Severity::Unknown => "warning",
        Severity::Low => "note",
    }
}

/// A number within the range that collectors take for this severity.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
        Severity::Unknown => "0.0",
    }
}
