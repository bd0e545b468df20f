//! A report for approval as CSV (RFC 4180), one line for each image, for spreadsheets and scripts.
//! Takes the model, gives the text. No cell is a formula, whatever a bundle says.

use bundle_oci::Printable;

use super::model::ReviewReport;
use super::scan::FindingCounts;

const HEADS: [&str; 31] = [
    "change",
    "kind",
    "project",
    "repository",
    "tag_before",
    "tag_after",
    "digest_before",
    "digest_after",
    "source",
    "platforms",
    "lost_platforms",
    "gained_platforms",
    "size",
    "own_size",
    "new_bytes",
    "requested_by",
    "lacks",
    "upstream_signature",
    "sbom",
    "verified",
    "licences",
    "scan_verdict",
    "critical",
    "high",
    "medium",
    "low",
    "unknown",
    "excepted",
    "findings",
    "exceptions",
    "statement",
];

impl ReviewReport {
    /// The rows as CSV, with a line of heads. Lists are joined by a semicolon, sizes are bytes, and what is not known
    /// is empty.
    pub fn csv(&self) -> String {
        let mut text = line(HEADS.map(str::to_owned));
        for row in &self.rows {
            let number = |bytes: Option<u64>| bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
            let word = |word: &Option<String>| word.clone().unwrap_or_default();
            let found = |of: fn(&FindingCounts) -> u64| {
                row.scan.as_ref().map(|scan| of(&scan.counts).to_string()).unwrap_or_default()
            };
            let mut exceptions: Vec<String> = Vec::new();
            for it in row.scan.iter().flat_map(|scan| &scan.findings).filter_map(|it| it.exception.as_ref()) {
                let words = it.text();
                if !exceptions.contains(&words) {
                    exceptions.push(words);
                }
            }
            text.push_str(&line([
                row.change.clone(),
                word(&row.kind),
                row.project.clone(),
                row.repository.clone(),
                word(&row.tag_before),
                word(&row.tag_after),
                word(&row.digest_before),
                word(&row.digest_after),
                word(&row.source),
                row.platforms.join("; "),
                row.lost_platforms.join("; "),
                row.gained_platforms.join("; "),
                row.size.to_string(),
                number(row.own_size),
                number(row.new_bytes),
                row.requested_by.join("; "),
                row.lacks.join("; "),
                row.signature().unwrap_or_default(),
                row.sbom().unwrap_or_default().to_owned(),
                self.verified.to_string(),
                row.licences.iter().flat_map(|it| it.words(usize::MAX)).collect::<Vec<_>>().join("; "),
                row.scan.as_ref().map(|scan| scan.verdict.clone()).unwrap_or_default(),
                found(|it| it.critical),
                found(|it| it.high),
                found(|it| it.medium),
                found(|it| it.low),
                found(|it| it.unknown),
                found(|it| it.excepted),
                row.scan.iter().flat_map(|scan| scan.notes(usize::MAX)).collect::<Vec<_>>().join("; "),
                exceptions.join("; "),
                self.statement.clone(),
            ]));
        }
        text
    }
}

fn line<const N: usize>(cells: [String; N]) -> String {
    format!("{}\r\n", cells.map(|text| cell(&text)).join(","))
}

/// One cell. Spreadsheets take text that begins with one of these characters as a formula (OWASP, CSV Injection), also
/// in quotes; after an apostrophe it is text.
fn cell(text: &str) -> String {
    let text = Printable(text).to_string();
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r', '|', '%']) { "'" } else { "" };
    match text.contains([',', '"', ';', '\'', '\n', '\r']) || !guard.is_empty() {
        true => format!("\"{guard}{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::testing::{report, scanned};
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_each_line_has_as_many_cells_as_the_first() {
        for (text, safe) in [
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@x", "\"'@x\""),
            ("\tx", "\\u{9}x"),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("1.27.0", "1.27.0"),
        ] {
            assert_eq!(cell(text), safe);
        }
        for csv in [report().csv(), scanned().csv()] {
            check(&csv);
        }
        let csv = scanned().csv();
        assert!(csv.contains(",blocked,1,0,2,0,0,1,"), "{csv}");
        assert!(csv.contains("CVE-2026-2 in cache/*, until 2026-12-31 by =owner <b>: not|loaded"), "{csv}");
    }

    fn check(csv: &str) {
        let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 5);
        for line in lines {
            let mut quoted = false;
            let commas = line.chars().filter(|c| {
                quoted ^= *c == '"';
                *c == ',' && !quoted
            });
            assert_eq!(commas.count() + 1, HEADS.len(), "{line}");
        }
        assert!(csv.contains("updated,image,cache,nginx,1.27.0,1.27.1,"));
    }
}
