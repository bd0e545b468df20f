use std::path::{Path, PathBuf};

use bundle_bundler::{Change, Diff as Difference, Inventory};
use bundle_format::{Limits, PublicKey};
use bundle_oci::Printable;
use serde_json::json;

use crate::command::{print, print_json};
use crate::exit::Failure;
use crate::size::{Bytes, count};
use crate::trust::StoreArguments;

/// Compare two bundles, receipts or lock files
#[derive(clap::Args)]
pub(crate) struct Diff {
    /// The earlier one
    before: PathBuf,

    /// The later one
    after: PathBuf,

    /// The public key that both must be signed with, unless they are locks
    #[arg(long, value_name = "PUBKEY")]
    trust: Vec<PathBuf>,

    #[command(flatten)]
    store: StoreArguments,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let keys = self.store.keys(&self.trust)?;
        let (before, after) = (load(&self.before, &keys)?, load(&self.after, &keys)?);
        let diff = Difference::between(&before, &after);
        if self.json {
            let side = |inventory: &Inventory| {
                json!({
                    "kind": inventory.origin.as_str(),
                    "stream": inventory.base.stream,
                    "sequence": inventory.base.sequence,
                    "digest": inventory.base.digest,
                    "verified": inventory.verified,
                })
            };
            return print_json(&json!({"before": side(&before), "after": side(&after), "diff": diff}));
        }
        let mut text = format!("from {before}\nto   {after}\n");
        if !before.verified || !after.verified {
            text.push_str("NOT VERIFIED: pass --trust to check signatures\n");
        }
        text.push('\n');
        for change in &diff.changes {
            text.push_str(&line(change));
        }
        text.push_str(&format!("{}, {} unchanged", count(diff.changes.len(), "change"), diff.unchanged));
        if let (Some(bytes), Some(blobs)) = (diff.new_bytes, diff.new_blobs) {
            text.push_str(&format!("; {} new, {}", count(blobs, "blob"), Bytes(bytes)));
        }
        if let Some(bytes) = diff.dropped_bytes.filter(|bytes| *bytes > 0) {
            text.push_str(&format!("; {} no longer used", Bytes(bytes)));
        }
        text.push('\n');
        print(&text)
    }
}

fn load(path: &Path, keys: &[PublicKey]) -> Result<Inventory, Failure> {
    Ok(Inventory::load(path, keys, &Limits::V1)?)
}

fn line(change: &Change) -> String {
    match change {
        Change::Added { target, digest, size } => {
            format!("added    {}  {}  {digest}\n", Bytes(*size), Printable(&target.0))
        }
        Change::Moved { target, from, to, size } => {
            format!("moved    {}  {}  {from} -> {to}\n", Bytes(*size), Printable(&target.0))
        }
        Change::Removed { target, digest, size } => {
            format!("removed  {}  {}  {digest}\n", Bytes(*size), Printable(&target.0))
        }
    }
}
