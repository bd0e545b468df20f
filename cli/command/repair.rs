//! `repair`: writes a bundle anew whose files are damaged or missing, from its parity.
//! Takes the bundle and a place for the new one; gives a report of what was rebuilt.

use std::path::PathBuf;
use std::time::Instant;

use bundle_format::ParityShare;
use bundle_importer::repair;
use bundle_report::RepairReport;

use crate::exit::Failure;
use crate::interrupt::{self, Left};
use crate::output::{self, name};
use crate::progress::progress;
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Repair {
    /// Bundle to repair; of volumes, any of their names
    #[arg(value_name = "FILE")]
    bundle: PathBuf,

    /// Bundle to write, with all of its files, preferably to another medium
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Write another share of parity than it has: 10%, or 1/10 for one volume in ten
    #[arg(long, value_name = "SHARE")]
    parity: Option<ParityShare>,

    #[command(flatten)]
    trust: TrustArguments,
}

impl Repair {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        let policy = self.trust.effective()?;
        let progress = progress("repairing");
        interrupt::leaves(Left::Lost("nothing was repaired".to_owned()));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let repaired = repair(
            &self.bundle,
            &self.output,
            self.parity,
            &policy,
            threads,
            &**progress,
            &interrupt::goes_on,
        )?;
        drop(progress);
        output::report(&RepairReport {
            file: name(&self.bundle),
            output: name(&self.output),
            statement: repaired.statement.to_string(),
            rebuilt: repaired.rebuilt.iter().map(|path| name(path)).collect(),
            files: repaired.files.iter().map(|path| name(path)).collect(),
            bytes: repaired.bytes,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}
