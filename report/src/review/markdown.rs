//! Changes as a table in GitHub's and GitLab's Markdown, for merge requests and tickets.
//! Takes the rows, gives Markdown in which all text of a bundle is code.

use bundle_oci::Printable;

use super::findings::verdicts_text;
use super::model::{ReviewReport, ReviewRow};
use crate::{Bytes, count};

/// The missing parts of one image that are in its row.
const MOST_NOTES: usize = 3;

impl ReviewReport {
    /// The report as Markdown: the summary, what deserves a look, the facts, and the rows that differ.
    pub fn markdown(&self) -> String {
        let mut text = format!("# Approval report: {}\n\n", code(&self.title()));
        self.warnings().iter().for_each(|warning| text.push_str(&format!("**{}.**\n\n", plain(warning))));
        text.push_str(&format!("**{}**\n\n", plain(&self.headline())));
        if let Some(since) = &self.since {
            text.push_str(&format!(
                "Compared with {}; {} unchanged.\n\n",
                code(&since.name),
                self.summary.unchanged
            ));
        }
        let attention = self.attention();
        if !attention.is_empty() {
            attention.iter().for_each(|point| text.push_str(&format!("- {}\n", plain(point))));
            text.push('\n');
        }
        let mut facts = vec![("File", code(&self.file)), ("Statement", code(&self.statement))];
        for signer in &self.signers {
            facts.push(("Signed by", format!("{} {}", code(&signer.name), code(&signer.fingerprint))));
        }
        facts.push(("Created", code(&self.created)));
        facts.push(("Expires", self.expires.as_deref().map_or("never".to_owned(), code)));
        facts.push(("Contents", self.kinds()));
        facts.push(("Size, plain", format!("{} in {}", Bytes(self.blob_bytes), count(self.blobs, "blob"))));
        facts.extend(self.compact_size.map(|bytes| ("Size, compact", Bytes(bytes).to_string())));
        if let Some(scan) = &self.scan {
            facts.push(("Scan", plain(&scan.summary())));
            let by = scan
                .signer
                .as_ref()
                .map_or("not verified".to_owned(), |key| format!("signed by {}", code(key)));
            facts.push(("Result of the scan", format!("{} {} {by}", code(&scan.file), code(&scan.digest))));
        }
        text.push_str("| | |\n| --- | --- |\n");
        facts.iter().for_each(|(name, value)| text.push_str(&format!("| {name} | {value} |\n")));
        text.push_str(&format!("\n{}", rows(&self.rows, usize::MAX)));
        self.markdown_findings(&mut text);
        text.push_str(
            "| approved | ticket | name | date |\n| --- | --- | --- | --- |\n| ☐ yes ☐ no | | | |\n",
        );
        text
    }

    /// The images that deserve a look for what was found in them, and the exceptions.
    fn markdown_findings(&self, text: &mut String) {
        let Some(scan) = &self.scan else { return };
        text.push_str(&format!("## Findings\n\n**{}**\n\n", verdicts_text(&self.rows)));
        let found = self.found();
        if !found.is_empty() {
            text.push_str("| verdict | image | what speaks against it |\n| --- | --- | --- |\n");
        }
        for (row, scan) in &found {
            let notes: Vec<String> = scan.notes(MOST_NOTES).iter().map(|note| code(note)).collect();
            text.push_str(&format!(
                "| {} | {} | {} |\n",
                plain(&scan.text()),
                code(&row.target()),
                notes.join(", ")
            ));
        }
        let used = scan.exceptions.iter().map(|used| (&used.exception, ""));
        let expired = scan.expired.iter().map(|exception| (exception, "over: "));
        for (number, (exception, over)) in used.chain(expired).enumerate() {
            if number == 0 {
                text.push_str("\n| exception | last day | owner | reason |\n| --- | --- | --- | --- |\n");
            }
            text.push_str(&format!(
                "| {} in {} | {over}{} | {} | {} |\n",
                code(&exception.vulnerability),
                code(&exception.image),
                code(&exception.expires),
                code(&exception.owner),
                code(&exception.reason)
            ));
        }
        if scan.exceptions_more > 0 {
            text.push_str(&format!("\n… and {}.\n", count(scan.exceptions_more, "more exception")));
        }
        text.push('\n');
    }
}

/// The rows that differ as a table, at most `most`, and a line feed behind it; nothing if there is none.
pub(super) fn rows(all: &[ReviewRow], most: usize) -> String {
    let changed: Vec<&ReviewRow> = all.iter().filter(|row| row.is_change()).collect();
    if changed.is_empty() {
        return String::new();
    }
    let scanned = changed.iter().any(|row| row.scan.is_some());
    let (head, dashes) = if scanned { (" findings |", " --- |") } else { ("", "") };
    let mut text = format!(
        "| change | image | tag | platforms | new | size | signature | SBOM |{head} notes |\n\
         | --- | --- | --- | --- | ---: | ---: | --- | --- |{dashes} --- |\n"
    );
    changed.iter().take(most).for_each(|row| text.push_str(&line(row, scanned)));
    if let Some(more) = changed.len().checked_sub(most).filter(|more| *more > 0) {
        text.push_str(&format!("\n… and {}.\n", count(more, "more change")));
    }
    text.push('\n');
    text
}

fn line(row: &ReviewRow, scanned: bool) -> String {
    let mut notes = Vec::new();
    for (word, platforms) in [("**lost**", &row.lost_platforms), ("gained", &row.gained_platforms)] {
        if !platforms.is_empty() {
            notes.push(format!("{word} {}", code(&platforms.join(", "))));
        }
    }
    let listed = |all: &[String]| {
        let mut some: Vec<String> = all.iter().take(MOST_NOTES).map(|each| code(each)).collect();
        if all.len() > MOST_NOTES {
            some.push(format!("and {} more", all.len() - MOST_NOTES));
        }
        some
    };
    notes.extend(listed(&row.lacks));
    if let Some(licences) = &row.licences {
        notes.push(format!("licences {}", listed(&licences.words(usize::MAX)).join(", ")));
    }
    if !row.requested_by.is_empty() {
        notes.push(format!("for {}", listed(&row.requested_by).join(", ")));
    }
    let short = |digest: &Option<String>| digest.as_deref().map(super::model::short);
    let digests = short(&row.digest_before).zip(short(&row.digest_after)).filter(|(old, new)| old != new);
    let before = row.tag_before.clone().or_else(|| short(&row.digest_before));
    let after = row.tag_after.clone().or_else(|| short(&row.digest_after));
    let tag = match (before, after) {
        (Some(before), Some(after)) if before != after => format!("{} → {}", code(&before), code(&after)),
        (Some(tag), _) | (None, Some(tag)) => match digests {
            // The tag stays, and means something else: only the digests show it.
            Some((old, new)) => format!("{} ({} → {})", code(&tag), code(&old), code(&new)),
            None => code(&tag),
        },
        (None, None) => String::new(),
    };
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| Bytes(bytes).to_string()).unwrap_or_default();
    let platforms = if row.platforms.is_empty() { String::new() } else { code(&row.platforms.join(" ")) };
    let signature = row.signature().map(|word| plain(&word)).unwrap_or_default();
    let findings = match scanned {
        true => format!(" {} |", row.scan.as_ref().map(|scan| plain(&scan.text())).unwrap_or_default()),
        false => String::new(),
    };
    format!(
        "| {} | {} | {tag} | {platforms} | {} | {} | {signature} | {} |{findings} {} |\n",
        row.change,
        code(&row.name()),
        bytes(row.new_bytes.filter(|_| row.digest_after.is_some())),
        Bytes(row.size),
        row.sbom().unwrap_or_default(),
        notes.join(", ")
    )
}

/// Text in a table of Markdown, where it is code: nothing in it is a link, a mention or another cell.
fn code(text: &str) -> String {
    format!("`{}`", Printable(text).to_string().replace('`', "'").replace('|', "\\|"))
}

/// Our own words with names of others among them: what would be markup is escaped.
pub(super) fn plain(text: &str) -> String {
    let mut escaped = String::new();
    for c in Printable(text).to_string().chars() {
        if "\\`*_{}[]<>()#!|~@&".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::model::testing::{report, scanned};
    use super::*;

    #[test]
    fn findings_are_a_column_of_their_own_and_exceptions_have_owner_and_last_day() {
        let text = rows(&scanned().rows, 10);
        for line in text.trim_end().lines() {
            assert_eq!(line.replace("\\|", "").matches('|').count(), 11, "{line}");
        }
        assert!(text.contains("| blocked: 1 critical, 2 medium, 1 excepted |"), "{text}");
        let text = scanned().markdown();
        assert!(
            text.contains("| `CVE-2026-2` in `cache/*` | `2026-12-31` | `=owner <b>` | `not\\|loaded` |"),
            "{text}"
        );
        assert!(text.contains("| over: `2026-11-01` |"), "{text}");
        assert!(!report().markdown().contains("indings"));
    }

    #[test]
    fn a_hostile_name_stays_in_its_cell() {
        let text = rows(&report().rows, 10);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        assert_eq!(lines.len(), 5);
        for line in &lines {
            assert_eq!(line.replace("\\|", "").matches('|').count(), 10, "{line}");
        }
        assert_eq!(
            lines[4],
            "| updated | `cache/nginx` | `1.27.0` → `1.27.1` | `linux/amd64` | 2.0 MiB | 40.0 MiB | carried, not checked | yes | **lost** `linux/arm64`, licences `MIT`, `<b>a\\|b`, `none for 1 of 5 packages`, for `bundle.yaml:3` |"
        );
        assert!(lines[2].contains("`<script>alert(1)</script>`") && lines[2].contains("`a\\|b'c\"&'`"));
        assert!(rows(&report().rows, 1).contains("… and 2 more changes.\n"));
    }

    #[test]
    fn the_whole_report_has_the_summary_before_the_rows() {
        let text = report().markdown();
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(at("**1 updated, 1 new, 1 gone, 2.4 MiB**") < at("| Signed by | `ops`"));
        assert!(at("Signed by") < at("| updated | `cache/nginx`"));
        assert_eq!(plain("a_[b](http://x)"), "a\\_\\[b\\]\\(http://x\\)");
    }
}
