//! Trivy's JSON, which also a COMMAND prints.
//! Takes bytes of a scanner (aquasecurity/trivy, pkg/types/report.go and vulnerability.go), gives findings.

use serde::Deserialize;

use crate::finding::{cut, cut_some};
use crate::{Finding, Findings, Limits, ParseError, Severity};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    schema_version: u64,
    results: Option<Vec<Scope>>,
}

/// What was found in one target: the distribution's packages, or those of one language or file.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Scope {
    vulnerabilities: Option<Vec<Vulnerability>>,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(rename = "VulnerabilityID", default)]
    id: String,
    #[serde(rename = "VendorIDs", default)]
    vendor_ids: Option<Vec<String>>,
    #[serde(rename = "PkgName", default)]
    package: String,
    #[serde(rename = "InstalledVersion", default)]
    installed: String,
    #[serde(rename = "FixedVersion", default)]
    fixed: Option<String>,
    #[serde(rename = "Severity", default)]
    severity: String,
    #[serde(rename = "Title", default)]
    title: Option<String>,
}

/// Reads the output of `trivy image --format json`.
///
/// # Errors
/// Any [`ParseError`].
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Findings, ParseError> {
    let report: Report = serde_json::from_slice(bytes).map_err(ParseError::Json)?;
    if report.schema_version != 2 {
        return Err(ParseError::Version(report.schema_version));
    }
    let results = report.results.unwrap_or_default();
    let recognised = !results.is_empty();
    let mut all = Vec::new();
    for found in results.into_iter().flat_map(|result| result.vulnerabilities.unwrap_or_default()) {
        if found.id.is_empty() {
            return Err(ParseError::NoIdentifier);
        }
        if all.len() == limits.findings {
            return Err(ParseError::TooMany(limits.findings));
        }
        let aliases = found.vendor_ids.unwrap_or_default();
        all.push(Finding {
            id: cut(&found.id, limits),
            aliases: aliases.iter().take(limits.aliases).map(|it| cut(it, limits)).collect(),
            severity: Severity::of_scanner(&found.severity),
            package: cut(&found.package, limits),
            installed: cut(&found.installed, limits),
            fixed: cut_some(found.fixed, limits),
            title: cut_some(found.title, limits),
        });
    }
    Ok(Findings::of(recognised, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the form of Trivy 0.74; fields that are not read are among them.
    const REPORT: &str = r#"{
      "SchemaVersion": 2, "CreatedAt": "2026-11-28T10:00:00Z", "ArtifactName": "h/a@sha256:0", "ArtifactType": "container_image",
      "Metadata": {"OS": {"Family": "alpine", "Name": "3.20.1"}, "ImageConfig": {"architecture": "amd64"}},
      "Results": [
        {"Target": "h/a (alpine 3.20.1)", "Class": "os-pkgs", "Type": "alpine", "Vulnerabilities": [
          {"VulnerabilityID": "CVE-2026-1", "PkgName": "musl", "InstalledVersion": "1.2", "FixedVersion": "1.3",
           "Status": "fixed", "Severity": "MEDIUM", "Title": "a", "CVSS": {"nvd": {"V3Score": 5.5}}},
          {"VulnerabilityID": "CVE-2026-2", "VendorIDs": ["ALPINE-7"], "PkgName": "ssl", "InstalledVersion": "3",
           "FixedVersion": "", "Severity": "CRITICAL"},
          {"VulnerabilityID": "CVE-2026-1", "PkgName": "musl", "InstalledVersion": "1.2", "Severity": "MEDIUM"}]},
        {"Target": "app/go", "Class": "lang-pkgs", "Type": "gobinary", "Vulnerabilities": null},
        {"Target": "app/x", "Class": "lang-pkgs", "Vulnerabilities": [
          {"VulnerabilityID": "GHSA-3", "PkgName": "x", "InstalledVersion": "0", "Severity": "of no known word"}]}]}"#;

    fn parsed(text: &str) -> Result<Findings, ParseError> {
        parse(text.as_bytes(), &Limits { findings: 3, text: 20, ..Limits::DEFAULT })
    }

    #[test]
    fn findings_of_all_targets_are_read_once_each_with_the_gravest_first() {
        let limits = Limits { findings: 4, ..Limits::DEFAULT };
        let found = parse(REPORT.as_bytes(), &limits).unwrap();
        let ids: Vec<(&str, Severity)> = found.all.iter().map(|it| (it.id.as_str(), it.severity)).collect();
        assert_eq!(
            ids,
            [
                ("CVE-2026-2", Severity::Critical),
                ("CVE-2026-1", Severity::Medium),
                ("GHSA-3", Severity::Unknown)
            ]
        );
        assert_eq!((&found.all[0].aliases, &found.all[0].fixed), (&vec!["ALPINE-7".to_owned()], &None));
        assert!(found.recognised);
        assert!(matches!(parsed(REPORT), Err(ParseError::TooMany(3))));
    }

    #[test]
    fn an_image_without_packages_is_no_image_without_vulnerabilities() {
        let found = parsed(r#"{"SchemaVersion": 2, "ArtifactName": "a"}"#).unwrap();
        assert_eq!(found, Findings { recognised: false, all: vec![] });
        assert!(parsed(r#"{"SchemaVersion": 2, "Results": [{"Target": "a"}]}"#).unwrap().recognised);
    }

    #[test]
    fn output_that_is_no_report_is_refused_and_long_texts_are_cut() {
        for text in
            ["", "{}", "[]", "null", "{\"Results\":[]}", "{\"SchemaVersion\":2,\"Results\":{}}", "not found"]
        {
            assert!(matches!(parsed(text), Err(ParseError::Json(_))), "{text}");
        }
        assert!(matches!(parsed(r#"{"SchemaVersion":3}"#), Err(ParseError::Version(3))));
        let one = |fields: &str| {
            parsed(&format!(r#"{{"SchemaVersion":2,"Results":[{{"Vulnerabilities":[{{{fields}}}]}}]}}"#))
        };
        assert!(matches!(one(r#""PkgName":"a","Severity":"HIGH""#), Err(ParseError::NoIdentifier)));
        let long = one(&format!(r#""VulnerabilityID":"CVE-1","Title":"{}""#, "ä".repeat(999))).unwrap();
        assert_eq!(long.all[0].title.as_ref().unwrap().chars().count(), 20);
        let deep = format!("{}{}", r#"{"SchemaVersion":2,"Results":"#, "[".repeat(100_000));
        assert!(matches!(parsed(&deep), Err(ParseError::Json(_))));
    }
}
