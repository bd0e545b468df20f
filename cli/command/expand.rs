//! `expand`: writes a compact or compressed bundle, or a set of volumes, as the one archive that all of them encode.
//! Gives its path and size.

use std::path::PathBuf;
use std::time::Instant;

use bundle_importer::{ExpandError, expand};
use bundle_report::ExpandReport;

use crate::bases::BaseDirArguments;
use crate::exit::{Failure, Id};
use crate::output::{self, name};
use crate::progress::progress;

#[derive(clap::Args)]
pub(crate) struct Expand {
    /// Bundle to expand: a file, or a set of volumes
    #[arg(value_name = "FILE")]
    bundle: PathBuf,

    /// Path for the archive, which must not exist
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    bases: BaseDirArguments,
}

impl Expand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        let lent = self.bases.lent()?;
        let progress = progress("expanding");
        let expanded = expand(&self.bundle, &self.output, &lent, &**progress)
            .map_err(|error| Failure::from(error).of(&self.bundle))?;
        drop(progress);
        output::report(&ExpandReport {
            file: name(&self.output),
            statement: expanded.statement.to_string(),
            size: expanded.size,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

impl From<ExpandError> for Failure {
    fn from(error: ExpandError) -> Self {
        match error {
            ExpandError::Open(error) => error.into(),
            ExpandError::Damage(error) => bundle_importer::OpenError::Damage(error).into(),
            ExpandError::Missing(missing) => bundle_importer::OpenError::Missing(missing).into(),
            ExpandError::Io { .. } => Self::new(Id::FileSystem, &error),
        }
    }
}
