//! The report of `diff`.
//! Takes two inventories' differences, gives a model.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Bytes, Report, count};

/// `diff`: how two bundles, receipts or lockfiles differ.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DiffReport {
    /// The earlier one.
    pub before: SideEntry,
    /// The later one.
    pub after: SideEntry,
    /// The differences.
    pub diff: DifferenceEntry,
}

/// A bundle, receipt or lockfile.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SideEntry {
    /// bundle, receipt or lock.
    pub kind: String,
    /// The stream.
    pub stream: String,
    /// The number in the stream; null for a lockfile.
    pub sequence: Option<u64>,
    /// The digest of the statement or of the lockfile.
    pub digest: String,
    /// Whether a signature was checked.
    pub verified: bool,
    /// Its name for people.
    #[serde(skip)]
    #[schemars(skip)]
    pub name: String,
}

/// The differences.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceEntry {
    /// The targets that differ.
    pub changes: Vec<ChangeEntry>,
    /// The number of artifacts that are the same.
    pub unchanged: usize,
    /// The bytes of blobs that only the later one has; null where one side is a lockfile.
    pub new_bytes: Option<u64>,
    /// The number of these blobs.
    pub new_blobs: Option<usize>,
    /// The bytes of blobs that only the earlier one has.
    pub dropped_bytes: Option<u64>,
}

/// The change of one target.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum ChangeEntry {
    /// It is only in the later one.
    Added {
        /// The target.
        target: String,
        /// Its digest.
        digest: String,
        /// The bytes of all its blobs.
        size: u64,
        /// Its missing parts: platforms, signatures or layers.
        lacks: Vec<String>,
    },
    /// It has another digest in the later one.
    Moved {
        /// The target.
        target: String,
        /// The digest in the earlier one.
        from: String,
        /// The digest in the later one.
        to: String,
        /// The bytes of all its blobs in the later one.
        size: u64,
        /// The platforms that only the earlier one has.
        #[serde(rename = "lostPlatforms")]
        lost_platforms: Vec<String>,
        /// The platforms that only the later one has.
        #[serde(rename = "gainedPlatforms")]
        gained_platforms: Vec<String>,
        /// Its missing parts that the earlier one had: platforms, signatures or layers.
        lacks: Vec<String>,
    },
    /// It is only in the earlier one.
    Removed {
        /// The target.
        target: String,
        /// Its digest.
        digest: String,
        /// The bytes of all its blobs.
        size: u64,
    },
}

impl Report for DiffReport {
    fn text(&self) -> String {
        let mut text = format!("from {}\nto   {}\n", self.before.name, self.after.name);
        if self.is_unverified() {
            text.push_str("NOT VERIFIED: pass --trust to check signatures; without, anyone may have written the contents.\n");
        }
        text.push('\n');
        let diff = &self.diff;
        diff.changes.iter().for_each(|change| text.push_str(&change.line()));
        text.push_str(&diff.summary());
        text.push('\n');
        text
    }
}

/// The changes that [`DiffReport::markdown`] lists: with more, GitHub would refuse the text of a pull request
/// (65,536 characters).
const MOST_ROWS: usize = 150;

/// The missing parts of one target that [`DiffReport::markdown`] lists.
const MOST_NOTES: usize = 3;

impl DiffReport {
    /// Whether somebody should check a signature: lockfiles have none.
    fn is_unverified(&self) -> bool {
        [&self.before, &self.after].into_iter().any(|side| side.kind != "lock" && !side.verified)
    }

    /// The differences as a table in GitHub's and GitLab's Markdown, for pull and merge requests.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        if self.is_unverified() {
            text.push_str(
                "**NOT VERIFIED**: no signature was checked, so anyone may have written the contents.\n\n",
            );
        }
        let changes = &self.diff.changes;
        if !changes.is_empty() {
            text.push_str("| change | target | before | after | size | notes |\n| --- | --- | --- | --- | ---: | --- |\n");
            changes.iter().take(MOST_ROWS).for_each(|change| text.push_str(&change.row()));
            if let Some(more) = changes.len().checked_sub(MOST_ROWS).filter(|more| *more > 0) {
                text.push_str(&format!("\n… and {}.\n", count(more, "more change")));
            }
            text.push('\n');
        }
        text.push_str(&self.diff.summary());
        text.push('\n');
        text
    }
}

impl DifferenceEntry {
    /// `3 changes, 20 unchanged; 5 blobs new, 10.0 MiB`
    fn summary(&self) -> String {
        let diff = self;
        let mut text = format!("{}, {} unchanged", count(diff.changes.len(), "change"), diff.unchanged);
        if let (Some(bytes), Some(blobs)) = (diff.new_bytes, diff.new_blobs) {
            text.push_str(&format!("; {} new, {}", count(blobs, "blob"), Bytes(bytes)));
        }
        if let Some(bytes) = diff.dropped_bytes.filter(|bytes| *bytes > 0) {
            text.push_str(&format!("; {} no longer used", Bytes(bytes)));
        }
        text
    }
}

impl ChangeEntry {
    /// A row of a table in Markdown.
    fn row(&self) -> String {
        let listed = |lacks: &[String]| {
            let mut notes: Vec<String> = lacks.iter().take(MOST_NOTES).map(|lack| code(lack)).collect();
            if lacks.len() > MOST_NOTES {
                notes.push(format!("and {} more", lacks.len() - MOST_NOTES));
            }
            notes
        };
        let row = |change: &str, target: &str, before: &str, after: &str, size: u64, notes: Vec<String>| {
            let (target, size, notes) = (code(target), Bytes(size), notes.join(", "));
            format!("| {change} | {target} | {before} | {after} | {size} | {notes} |\n")
        };
        match self {
            Self::Added { target, digest, size, lacks } => {
                row("added", target, "", &short(digest), *size, listed(lacks))
            }
            Self::Moved { target, from, to, size, lost_platforms, gained_platforms, lacks } => {
                let platforms = [("lost", lost_platforms), ("gained", gained_platforms)];
                let named = platforms.into_iter().filter(|(_, platforms)| !platforms.is_empty());
                let mut notes: Vec<String> = named
                    .map(|(word, platforms)| format!("{word} {}", code(&platforms.join(", "))))
                    .collect();
                notes.extend(listed(lacks));
                row("moved", target, &short(from), &short(to), *size, notes)
            }
            Self::Removed { target, digest, size } => {
                row("removed", target, &short(digest), "", *size, Vec::new())
            }
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Added { target, digest, size, lacks } => {
                format!("added    {}  {}  {digest}\n{}", Bytes(*size), Printable(target), lines(lacks))
            }
            Self::Moved { target, from, to, size, lost_platforms, gained_platforms, lacks } => {
                let mut line = format!("moved    {}  {}  {from} -> {to}\n", Bytes(*size), Printable(target));
                for (word, platforms) in [("lost", lost_platforms), ("gained", gained_platforms)] {
                    if !platforms.is_empty() {
                        line.push_str(&format!("         {word} platforms: {}\n", platforms.join(", ")));
                    }
                }
                line.push_str(&lines(lacks));
                line
            }
            Self::Removed { target, digest, size } => {
                format!("removed  {}  {}  {digest}\n", Bytes(*size), Printable(target))
            }
        }
    }
}

/// Text in a table of Markdown, where it is code: nothing in it is a link, a mention or another cell.
fn code(text: &str) -> String {
    format!("`{}`", Printable(text).to_string().replace('`', "'").replace('|', "\\|"))
}

/// The first digits of a digest, as code.
fn short(digest: &str) -> String {
    code(&digest.rsplit(':').next().unwrap_or_default().chars().take(12).collect::<String>())
}

/// Each on a line of its own, below its change.
fn lines(lacks: &[String]) -> String {
    lacks.iter().map(|lack| format!("         {}\n", Printable(lack))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(kind: &str) -> SideEntry {
        SideEntry {
            kind: kind.to_owned(),
            stream: "nightly".to_owned(),
            sequence: None,
            digest: "sha256:00".to_owned(),
            verified: false,
            name: kind.to_owned(),
        }
    }

    fn report(kind: &str, changes: Vec<ChangeEntry>) -> DiffReport {
        let diff =
            DifferenceEntry { changes, unchanged: 2, new_bytes: None, new_blobs: None, dropped_bytes: None };
        DiffReport { before: side(kind), after: side("lock"), diff }
    }

    #[test]
    fn a_table_of_lockfiles_has_a_row_for_each_change_and_a_hostile_name_stays_in_its_cell() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let changes = vec![
            ChangeEntry::Added {
                target: "a|b`@all<b>:1".to_owned(),
                digest: digest("1"),
                size: 2048,
                lacks: (0..5).map(|number| format!("no part {number}")).collect(),
            },
            ChangeEntry::Moved {
                target: "cache/a:1".to_owned(),
                from: digest("1"),
                to: digest("2"),
                size: 1024,
                lost_platforms: vec!["linux/arm64".to_owned()],
                gained_platforms: Vec::new(),
                lacks: Vec::new(),
            },
            ChangeEntry::Removed { target: "cache/b:1".to_owned(), digest: digest("3"), size: 1024 },
        ];
        let text = report("lock", changes).markdown();
        assert_eq!(
            text,
            "| change | target | before | after | size | notes |\n\
             | --- | --- | --- | --- | ---: | --- |\n\
             | added | `a\\|b'@all<b>:1` |  | `111111111111` | 2.0 KiB | `no part 0`, `no part 1`, `no part 2`, and 2 more |\n\
             | moved | `cache/a:1` | `111111111111` | `222222222222` | 1.0 KiB | lost `linux/arm64` |\n\
             | removed | `cache/b:1` | `333333333333` |  | 1.0 KiB |  |\n\n\
             3 changes, 2 unchanged\n"
        );
    }

    #[test]
    fn a_table_has_a_bound_and_only_bundles_and_receipts_are_called_unverified() {
        let removed = |number: usize| ChangeEntry::Removed {
            target: format!("cache/{}:{number}", "a".repeat(200)),
            digest: String::new(),
            size: 1,
        };
        let text = report("lock", (0..1000).map(removed).collect()).markdown();
        assert!(text.len() < 65_536 && text.contains("… and 850 more changes.\n"), "{}", text.len());
        assert_eq!(report("lock", Vec::new()).markdown(), "0 changes, 2 unchanged\n");
        assert!(!report("lock", Vec::new()).text().contains("NOT VERIFIED"));
        for text in [report("bundle", Vec::new()).markdown(), report("receipt", Vec::new()).text()] {
            assert!(text.contains("NOT VERIFIED"), "{text}");
        }
    }
}
