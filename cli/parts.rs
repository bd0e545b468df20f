use std::path::PathBuf;

use bundle_importer::{Remaining, Share};

use crate::exit::{Code, Failure};
use crate::place;
use crate::size::{Bytes, count};

/// Which part of a bundle is imported now.
#[derive(clap::Args)]
pub(crate) struct PartArguments {
    /// Take the volumes that are there, and say which are still to come; in any order, one medium
    /// after the other. The tags are set with the last one
    #[arg(long)]
    pub(crate) partial: bool,

    /// Scratch directory for blobs that span volumes
    /// [default: bundle/spool in XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIRECTORY", requires = "partial")]
    spool: Option<PathBuf>,

    /// Import one shard of the blobs (0/4 … 3/4), for parallel imports; the last to finish sets the
    /// tags
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
    pub(crate) fn remaining(&self, remaining: &Remaining) -> Result<String, Failure> {
        let left = format!("{} ({})", count(remaining.blobs, "blob"), Bytes(remaining.bytes));
        if let Share::Part { number, of } = self.share() {
            return Ok(format!("share {number} of {of} is done; {left} of the others' are not there yet\n"));
        }
        let mut lines: Vec<String> =
            remaining.volumes.iter().map(|path| format!("still to come: {}", path.display())).collect();
        lines.push(format!("what was there is imported; {left} are missing, and no tag is set"));
        Err(Failure::text(Code::Incomplete, lines.join("\n"))
            .hint("bring these volumes, and run the same command again"))
    }
}
