//! The report of `prune`: what goes or went, what stays and why, what it frees.
//! Takes a plan and the results of its removals, gives a model.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{BundleEntry, Bytes, Report, count};

/// `prune`: a planned removal, or one that was carried out.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PruneReport {
    /// The Harbor.
    pub registry: String,
    /// The stream whose images may go.
    pub stream: String,
    /// The bundles of the stream that are kept, the newest first.
    pub kept: Vec<BundleEntry>,
    /// The bundles of other streams that are kept.
    pub others: Vec<BundleEntry>,
    /// Whether the receipts' signatures were checked.
    pub verified: bool,
    /// What goes, or went.
    pub removals: Vec<PruneRow>,
    /// What no kept bundle wants and what stays.
    pub left: Vec<PruneLeft>,
    /// The number of blobs that are freed once Harbor has collected its garbage.
    pub freed_blobs: u64,
    /// Their bytes. Blobs that images of people share too are not known, and stay.
    pub freed_bytes: u64,
    /// What else people should know: retention rules, replication.
    pub remarks: Vec<String>,
    /// The file of the plan.
    pub plan: String,
    /// The file of the record. Absent if nothing was to be removed yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Whether the record is signed.
    pub signed: bool,
}

/// Something that goes, or went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PruneRow {
    /// The repository with its project.
    pub repository: String,
    /// The artifact.
    pub digest: String,
    /// The tags that go, or went.
    pub tags: Vec<String>,
    /// Whether the artifact goes, or went, and not only its tags.
    pub artifact: bool,
    /// The bytes of all that it consists of, whoever else has them too.
    pub bytes: u64,
    /// The newest bundle that brought it.
    pub brought_by: BundleEntry,
    /// When it was pulled last. Absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulled: Option<String>,
    /// removed, gone, left, failed or pending. Absent in a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why it was left, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Something that stays.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PruneLeft {
    /// Repository and tag, or digest.
    pub name: String,
    /// The stable name of the reason.
    pub what: String,
    /// The reason, in words.
    pub message: String,
}

impl Report for PruneReport {
    fn text(&self) -> String {
        let mut text = String::new();
        if !self.verified {
            text.push_str("NOT VERIFIED: no --trust was given, so anyone may have written the receipts.\n");
        }
        for bundle in self.kept.iter().chain(&self.others) {
            text.push_str(&format!("keep     {bundle}\n"));
        }
        for row in &self.removals {
            text.push_str(&format!("{}\n", line(row)));
        }
        for left in &self.left {
            text.push_str(&format!("stays    {}: {}\n", left.name, Printable(&left.message)));
        }
        for remark in &self.remarks {
            text.push_str(&format!("note     {}\n", Printable(remark)));
        }
        let freed = Bytes(self.freed_bytes);
        let blobs = count(usize::try_from(self.freed_blobs).unwrap_or(usize::MAX), "blob");
        match &self.record {
            None => text.push_str(&format!(
                "{} to remove, {} left; frees up to {freed} ({blobs}) after Harbor's garbage collection\n\
                 wrote {}; nothing was removed\n",
                count(self.removals.len(), "artifact"),
                self.left.len(),
                self.plan
            )),
            Some(record) => {
                let of = |outcome: &str| {
                    self.removals.iter().filter(|row| row.outcome.as_deref() == Some(outcome)).count()
                };
                text.push_str(&format!(
                    "{} removed, {} gone already, {} left or failed; garbage collection in Harbor frees the space\n\
                     wrote {record}{}\n",
                    of("removed"),
                    of("gone"),
                    self.removals.len() - of("removed") - of("gone"),
                    if self.signed { "" } else { ", which is not signed: no --key was given" }
                ));
            }
        }
        text
    }
}

fn line(row: &PruneRow) -> String {
    let name = match row.tags.is_empty() {
        true => format!("{}@{}", row.repository, row.digest),
        false => format!("{}:{}", row.repository, row.tags.join(",")),
    };
    let word = row.outcome.as_deref().unwrap_or("remove");
    let mut text = format!("{word:<8} {name}");
    if row.outcome.is_none() {
        let what = if row.artifact { Bytes(row.bytes).to_string() } else { "only the tag".to_owned() };
        text.push_str(&format!(", {what}, brought by {} {}", row.brought_by.stream, row.brought_by.sequence));
    }
    if let Some(why) = &row.why {
        text.push_str(&format!(": {}", Printable(why)));
    }
    text
}
