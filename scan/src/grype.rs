//! Grype's JSON.
//! Takes bytes of a scanner (anchore/grype, grype/presenter/models/document.go and match.go), gives findings.

use serde::Deserialize;

use crate::finding::{cut, cut_some};
use crate::{Finding, Findings, Limits, ParseError, Severity};

#[derive(Deserialize)]
struct Document {
    matches: Vec<Match>,
    #[serde(default)]
    distro: Option<Distro>,
    /// Every document has it. Its form is that of the kind of source.
    #[allow(dead_code, reason = "it must be there")]
    descriptor: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
struct Distro {
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    vulnerability: Vulnerability,
    #[serde(default)]
    related_vulnerabilities: Option<Vec<Related>>,
    artifact: Package,
}

#[derive(Deserialize)]
struct Vulnerability {
    id: String,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    fix: Option<Fix>,
}

#[derive(Deserialize)]
struct Related {
    id: String,
}

#[derive(Deserialize)]
struct Fix {
    #[serde(default)]
    versions: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: String,
}

/// Reads the output of `grype -o json`.
///
/// # Errors
/// Any [`ParseError`].
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Findings, ParseError> {
    let document: Document = serde_json::from_slice(bytes).map_err(ParseError::Json)?;
    if document.matches.len() > limits.findings {
        return Err(ParseError::TooMany(limits.findings));
    }
    let distro = document.distro.and_then(|distro| distro.name).is_some_and(|name| !name.is_empty());
    let recognised = distro || !document.matches.is_empty();
    let mut all = Vec::new();
    for Match { vulnerability, related_vulnerabilities, artifact } in document.matches {
        if vulnerability.id.is_empty() {
            return Err(ParseError::NoIdentifier);
        }
        let related = related_vulnerabilities.unwrap_or_default();
        let aliases = related.iter().filter(|it| it.id != vulnerability.id).take(limits.aliases);
        let versions = vulnerability.fix.and_then(|fix| fix.versions).unwrap_or_default();
        all.push(Finding {
            id: cut(&vulnerability.id, limits),
            aliases: aliases.map(|it| cut(&it.id, limits)).collect(),
            severity: Severity::of_scanner(vulnerability.severity.as_deref().unwrap_or_default()),
            package: cut(&artifact.name, limits),
            installed: cut(&artifact.version, limits),
            fixed: cut_some(Some(versions.join(", ")), limits),
            title: cut_some(vulnerability.description, limits),
        });
    }
    Ok(Findings::of(recognised, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{
      "matches": [
        {"vulnerability": {"id": "GHSA-1", "dataSource": "https://github.com/advisories/GHSA-1", "severity": "High",
          "fix": {"versions": ["1.2", "1.3"], "state": "fixed"}, "advisories": [], "risk": 1.5},
         "relatedVulnerabilities": [{"id": "CVE-2026-1", "dataSource": "nvd"}], "matchDetails": [],
         "artifact": {"name": "x", "version": "1.0", "type": "go-module", "locations": []}},
        {"vulnerability": {"id": "CVE-2026-2", "severity": "Negligible", "fix": {"versions": [], "state": "wont-fix"}},
         "artifact": {"name": "y", "version": "2"}}],
      "source": {"type": "image"}, "distro": {"name": "debian", "version": "12"},
      "descriptor": {"name": "grype", "version": "0.121.0", "db": {}}}"#;

    #[test]
    fn findings_have_the_names_of_all_databases() {
        let found = parse(DOCUMENT.as_bytes(), &Limits::DEFAULT).unwrap();
        assert!(found.recognised);
        let [one, other] = &found.all[..] else { panic!("{found:?}") };
        assert_eq!((one.id.as_str(), one.severity), ("GHSA-1", Severity::High));
        assert_eq!((&one.aliases, one.fixed.as_deref()), (&vec!["CVE-2026-1".to_owned()], Some("1.2, 1.3")));
        assert_eq!((other.severity, &other.fixed), (Severity::Low, &None));
    }

    #[test]
    fn output_that_is_no_document_is_refused() {
        for text in ["", "{}", "[]", r#"{"matches":[]}"#, r#"{"SchemaVersion":2}"#] {
            assert!(matches!(parse(text.as_bytes(), &Limits::DEFAULT), Err(ParseError::Json(_))), "{text}");
        }
        let limits = Limits { findings: 1, ..Limits::DEFAULT };
        assert!(matches!(parse(DOCUMENT.as_bytes(), &limits), Err(ParseError::TooMany(1))));
        let empty = r#"{"matches": [], "distro": {"name": ""}, "descriptor": {}}"#;
        assert!(!parse(empty.as_bytes(), &Limits::DEFAULT).unwrap().recognised);
    }
}
