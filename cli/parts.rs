//! Importing a bundle in parts: shards, and volumes one after the other. Takes arguments, gives which part is
//! meant and what is said of the rest.

use std::path::PathBuf;

use bundle_importer::{Remaining, Share};
use bundle_oci::Registry;
use bundle_report::PartReport;

use crate::exit::{Failure, Id};
use crate::place;
use crate::size::{Bytes, count};

/// Which part of a bundle is imported now.
#[derive(clap::Args)]
pub(crate) struct PartArguments {
    /// Take the volumes that are there, and say which are still to come; in any order, one medium
    /// after the other. The tags are set with the last one
    #[arg(long)]
    pub(crate) partial: bool,

    /// Where parts of blobs wait that are larger than one volume
    /// [default: bundle/spool in XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIRECTORY", requires = "partial")]
    spool: Option<PathBuf>,

    /// Deliver only this part of the blobs, so that several can share the work: 0/4 to 3/4. Who ends
    /// last sets the tags
    #[arg(long, value_name = "NUMBER/PARTS", conflicts_with = "partial")]
    share: Option<Share>,
}

impl PartArguments {
    /// Where parts wait, if some can be missing.
    pub(crate) fn spool(&self) -> Result<Option<PathBuf>, Failure> {
        match &self.spool {
            _ if !self.partial => Ok(None),
            Some(spool) => Ok(Some(spool.clone())),
            None => place::state("spool").map(Some),
        }
    }

    /// The share of the blobs.
    pub(crate) fn share(&self) -> Share {
        self.share.unwrap_or_default()
    }

    /// Whether a pipe will do.
    pub(crate) fn needs_file(&self) -> bool {
        self.partial || self.share.is_some()
    }

    /// What is said when something is still to come: an error, unless others were to bring it.
    pub(crate) fn remaining(&self, remaining: &Remaining, to: &Registry) -> Result<PartReport, Failure> {
        let left = format!("{} ({})", count(remaining.blobs, "blob"), Bytes(remaining.bytes));
        if let Share::Part { number, of } = self.share() {
            return Ok(PartReport {
                to: to.to_string(),
                share: format!("{number}/{of}"),
                remaining_blobs: remaining.blobs,
                remaining_bytes: remaining.bytes,
            });
        }
        let mut lines: Vec<String> =
            remaining.volumes.iter().map(|path| format!("still to come: {}", path.display())).collect();
        lines.push(format!("what was there is imported; {left} are missing, and no tag is set"));
        Err(Failure::text(Id::VolumeMissing, lines.join("\n"))
            .hint("bring these volumes, and run the same command again"))
    }
}
