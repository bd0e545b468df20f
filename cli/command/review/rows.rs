//! The rows of a comparison as the model of reports has them.
//! Takes inventories, and the statement and sizes of the later bundle where there are; gives rows.

use std::cell::RefCell;

use bundle_bundler::{Inventory, InventoryKind, Row, names_requester, rows, signature_check};
use bundle_format::Statement;
use bundle_importer::Deduplication;
use bundle_report::{AttachedEntry, ReviewRow, RowLicences, SideEntry};
use bundle_scan::{CarriedSboms, ImageSboms, Sbom};

/// What is known of the later side beyond its inventory: it is an open bundle.
pub(super) struct Contents<'a> {
    pub(super) statement: &'a Statement,
    /// The sizes of its artifacts, in the order of the statement.
    pub(super) shares: &'a [Deduplication<'a>],
    /// Its SBOMs; none if nobody verified the bundle.
    pub(super) sboms: Option<RefCell<CarriedSboms<'a>>>,
}

/// The rows from `before` to `after`, those of what did not change among them.
pub(super) fn entries(
    before: Option<&Inventory>,
    after: &Inventory,
    contents: Option<&Contents<'_>>,
) -> Vec<ReviewRow> {
    rows(before, after).into_iter().filter_map(|row| entry(row, before, after, contents)).collect()
}

fn entry(
    row: Row,
    before: Option<&Inventory>,
    after: &Inventory,
    contents: Option<&Contents<'_>>,
) -> Option<ReviewRow> {
    let old = row.before.zip(before).map(|(at, before)| &before.artifacts[at]);
    let new = row.after.map(|at| &after.artifacts[at]);
    // Each row is of one of both.
    let held = new.or(old)?;
    let artifact = row.after.zip(contents).map(|(at, contents)| &contents.statement.artifacts[at]);
    let reasons = || artifact.iter().flat_map(|artifact| &artifact.reasons);
    let tag = |held: &bundle_bundler::InventoryEntry| held.target.tag.as_ref().map(ToString::to_string);
    let text = |all: &[bundle_oci::Platform]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (inventory, attached) = match (row.after, before) {
        (None, Some(before)) => (before, &row.attached_before),
        _ => (after, &row.attached_after),
    };
    let attached = attached.iter().map(|&at| &inventory.artifacts[at]).map(|held| AttachedEntry {
        kind: held.kind.map_or("artifact", |kind| kind.as_str()).to_owned(),
        digest: held.digest.to_string(),
        tag: tag(held),
    });
    let entry = ReviewRow {
        change: row.change.as_str().to_owned(),
        kind: held.kind.or(old.and_then(|old| old.kind)).map(|kind| kind.as_str().to_owned()),
        project: held.target.project.to_string(),
        repository: held.target.repository.to_string(),
        tag_before: old.and_then(tag),
        tag_after: new.and_then(tag),
        digest_before: old.map(|old| old.digest.to_string()),
        digest_after: new.map(|new| new.digest.to_string()),
        source: artifact.map(|artifact| artifact.source.to_string()),
        platforms: held.platforms.as_deref().map(text).unwrap_or_default(),
        lost_platforms: text(&row.lost),
        gained_platforms: text(&row.gained),
        size: held.size,
        own_size: row.after.zip(contents).and_then(|(at, contents)| Some(contents.shares.get(at)?.own)),
        new_bytes: row.new_bytes,
        requested_by: reasons().filter(|reason| names_requester(reason)).cloned().collect(),
        lacks: row.lacks,
        signature_check: reasons().find_map(|reason| signature_check(reason)).map(str::to_owned),
        ..ReviewRow::default()
    };
    let mut entry = match inventory.origin {
        InventoryKind::Bundle => entry.with_attached(attached),
        _ => entry,
    };
    if let (Some(new), Some(sboms)) = (new, contents.and_then(|contents| contents.sboms.as_ref())) {
        let attached = row.attached_after.iter().map(|&at| &after.artifacts[at]);
        let attached = attached.filter_map(|held| Some((held.kind?, held.digest)));
        let ImageSboms { found, sbom, unread } = sboms.borrow_mut().of(new.digest, attached);
        entry.sboms = entry.sboms.max(found);
        if found > 0 {
            let Sbom { packages, without, licences, .. } = sbom.unwrap_or_default();
            entry.licences = Some(RowLicences::of(packages, without, licences.into_iter(), unread));
        }
    }
    Some(entry)
}

/// A side of a comparison.
pub(super) fn side(inventory: &Inventory) -> SideEntry {
    SideEntry {
        kind: inventory.origin.as_str().to_owned(),
        stream: inventory.base.stream.to_string(),
        sequence: inventory.base.sequence.map(u64::from),
        digest: inventory.base.digest.to_string(),
        verified: inventory.verified,
        name: inventory.to_string(),
    }
}
