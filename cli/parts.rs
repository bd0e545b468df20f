//! Importing a bundle in parts: shards, and volumes one after the other. Takes arguments, gives the wanted
//! part and the report of the rest.

use std::path::PathBuf;

use bundle_importer::{Remaining, Shard};
use bundle_oci::Registry;
use bundle_report::PartReport;

use crate::exit::{Failure, Id};
use crate::place;
use crate::size::{Bytes, count};

/// Which part of a bundle is imported now.
#[derive(clap::Args)]
pub(crate) struct PartArguments {
    /// Import the volumes that are present, one medium after the other in any order, and report the missing
    /// ones. The last volume sets the tags
    #[arg(long)]
    pub(crate) partial: bool,

    /// Scratch directory for blobs that span volumes
    /// [default: bundle/spool in XDG_STATE_HOME or ~/.local/state]
    #[arg(long, alias = "spool", value_name = "DIR", requires = "partial")]
    scratch: Option<PathBuf>,

    /// Upload only one shard of the blobs (0/4 … 3/4), so that several imports run in parallel; the last to
    /// finish sets the tags
    #[arg(long, alias = "share", value_name = "NUMBER/SHARDS", conflicts_with = "partial")]
    shard: Option<Shard>,
}

impl PartArguments {
    /// Where parts wait, if some can be missing.
    pub(crate) fn scratch(&self) -> Result<Option<PathBuf>, Failure> {
        match &self.scratch {
            _ if !self.partial => Ok(None),
            Some(scratch) => Ok(Some(scratch.clone())),
            None => place::state("spool").map(Some),
        }
    }

    /// The shard of the blobs.
    pub(crate) fn shard(&self) -> Shard {
        self.shard.unwrap_or_default()
    }

    /// Whether a pipe will do.
    pub(crate) fn needs_file(&self) -> bool {
        self.partial || self.shard.is_some()
    }

    /// The report for blobs that are still to come: an error, unless another import delivers them.
    pub(crate) fn remaining(&self, remaining: &Remaining, to: &Registry) -> Result<PartReport, Failure> {
        let left = format!("{} ({})", count(remaining.blobs, "blob"), Bytes(remaining.bytes));
        if let Shard::Part { number, of } = self.shard() {
            return Ok(PartReport {
                to: to.to_string(),
                share: format!("{number}/{of}"),
                remaining_blobs: remaining.blobs,
                remaining_bytes: remaining.bytes,
            });
        }
        let mut lines: Vec<String> =
            remaining.volumes.iter().map(|path| format!("still to come: {}", path.display())).collect();
        lines.push(format!("the present volumes are imported; {left} are missing, and no tag is set"));
        Err(Failure::text(Id::VolumeMissing, lines.join("\n"))
            .hint("copy these volumes here, and run the same command again"))
    }
}
