//! `diff`: compares two bundles, receipts or lockfiles.
//! Takes two files, gives what was added, moved and removed.

use std::path::{Path, PathBuf};

use bundle_bundler::{Change, Inventory, InventoryDiff as Difference};
use bundle_format::{Limits, PublicKey};
use bundle_report::{ChangeEntry, ChangeSummary, DiffReport, DifferenceEntry, ReviewRow};

use super::rows::{entries, side};
use super::scanned::ScanArguments;
use crate::exit::{Code, Failure};
use crate::output::{self, tell};
use crate::trust::StoreArguments;

/// Compare two bundles, receipts or lockfiles
#[derive(clap::Args)]
pub(crate) struct Diff {
    /// Earlier bundle, receipt or lockfile
    before: PathBuf,

    /// Later bundle, receipt or lockfile
    after: PathBuf,

    /// Public key that signed both, unless they are lockfiles
    #[arg(long, value_name = "PUBKEY")]
    trust: Vec<PathBuf>,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    scan: ScanArguments,

    /// Print the differences as a Markdown table, for pull and merge requests
    #[arg(long)]
    markdown: bool,
}

impl Diff {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.markdown && output::is_json() {
            return Err(Failure::text(Code::Usage, "--markdown and --json cannot be used together"));
        }
        let keys = self.store.keys(&self.trust)?;
        let (before, after) = (load(&self.before, &keys)?, load(&self.after, &keys)?);
        let diff = Difference::between(&before, &after);
        if is_backwards(&before, &after) {
            tell(
                "note: the first file is the later one: additions and removals are shown the wrong way round",
            );
        }
        let mut rows = entries(Some(&before), &after, None);
        let summary = ChangeSummary {
            new_bytes: diff.new_bytes,
            new_blobs: diff.new_blobs,
            dropped_bytes: diff.dropped_bytes,
            ..ChangeSummary::of(&rows)
        };
        rows.retain(ReviewRow::is_change);
        let scan = self.scan.judge(&mut rows, after.base.digest, &self.store, keys)?;
        let report = DiffReport {
            before: side(&before),
            after: side(&after),
            diff: DifferenceEntry {
                changes: diff.changes.into_iter().map(change).collect(),
                unchanged: diff.unchanged,
                new_bytes: diff.new_bytes,
                new_blobs: diff.new_blobs,
                dropped_bytes: diff.dropped_bytes,
            },
            summary,
            rows,
            scan,
        };
        if self.markdown {
            return output::print(&report.markdown());
        }
        output::report(&report)
    }
}

/// Whether both are of one stream, and the first has the higher number.
fn is_backwards(before: &Inventory, after: &Inventory) -> bool {
    before.base.stream == after.base.stream
        && before.base.sequence.zip(after.base.sequence).is_some_and(|(first, second)| first > second)
}

fn load(path: &Path, keys: &[PublicKey]) -> Result<Inventory, Failure> {
    Ok(Inventory::load(path, keys, &Limits::V1)?)
}

fn change(change: Change) -> ChangeEntry {
    match change {
        Change::Added { target, digest, size, lacks } => {
            ChangeEntry::Added { target: target.0, digest: digest.to_string(), size, lacks }
        }
        Change::Moved { target, from, to, size, lost, gained, lacks } => ChangeEntry::Moved {
            target: target.0,
            from: from.to_string(),
            to: to.to_string(),
            size,
            lost_platforms: lost.iter().map(ToString::to_string).collect(),
            gained_platforms: gained.iter().map(ToString::to_string).collect(),
            lacks,
        },
        Change::Removed { target, digest, size } => {
            ChangeEntry::Removed { target: target.0, digest: digest.to_string(), size }
        }
    }
}
