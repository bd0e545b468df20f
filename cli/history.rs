//! The stream's history: arguments of rollback protection, and notices about a bundle's place. Takes --state
//! and its kin, gives the state file and the rule for rollbacks.

use crate::limits::ROLLBACK_REASON;
use std::path::PathBuf;

use bundle_importer::{HistoryNotice, Rollback, StateFile, StreamHistory};
use bundle_oci::{Printable, RegistryPath};
use bundle_registry::Progress;

use crate::exit::{Code, Failure};
use crate::place;

/// The history of bundles that were imported before.
#[derive(clap::Args)]
pub(crate) struct HistoryArguments {
    /// File with the newest bundle of each stream, for rollback protection [default: bundle/state.json in
    /// XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Accept a bundle that is older than the newest one, reuses a sequence, or is expired; needs --reason
    #[arg(long, requires = "reason")]
    allow_rollback: bool,

    /// Accept a bundle created more than a day ahead of this machine's clock
    #[arg(long)]
    allow_future: bool,

    /// Reason for --allow-rollback; the receipt records it
    #[arg(long, value_name = "TEXT", requires = "allow_rollback")]
    reason: Option<String>,
}

impl HistoryArguments {
    /// Whether rules are to be set aside.
    pub(crate) fn rollback(&self) -> Result<Rollback, Failure> {
        let Some(reason) = &self.reason else { return Ok(Rollback::Refuse) };
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > ROLLBACK_REASON || Printable(reason).to_string() != reason {
            let text = format!("--reason must be 1 to {ROLLBACK_REASON} printable characters");
            return Err(Failure::text(Code::Usage, text));
        }
        Ok(Rollback::Allow { reason: reason.to_owned() })
    }

    /// Whether a bundle may be from the future.
    pub(crate) fn allow_future(&self) -> bool {
        self.allow_future
    }

    /// Opens the file. As long as it is open, other imports wait.
    pub(crate) fn open(&self, progress: &dyn Progress) -> Result<StateFile, Failure> {
        let path = self.path()?;
        let state = StateFile::open(&path, || progress.note(&HistoryNotice::Waiting.to_string()))?;
        if let Some(notice) = state.notice() {
            progress.note(&notice.to_string());
        }
        Ok(state)
    }

    /// Looks into the file, and leaves everything as it is.
    pub(crate) fn look(&self) -> Result<StateFile, Failure> {
        Ok(StateFile::look(&self.path()?)?)
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> Result<PathBuf, Failure> {
        match &self.state {
            Some(path) => Ok(path.clone()),
            None => place::state("state.json"),
        }
    }
}

/// Prints the notice about a bundle's place in its stream.
pub(crate) fn tell(history: &StreamHistory, registry: &RegistryPath, progress: &dyn Progress) {
    tell_ignored(history, progress);
    if let Some(notice) = history.notice(registry) {
        progress.note(&notice.to_string());
    }
}

/// Prints which entries of the registry's record are ignored.
pub(crate) fn tell_ignored(history: &StreamHistory, progress: &dyn Progress) {
    for notice in history.ignored() {
        progress.note(&notice.to_string());
    }
}
