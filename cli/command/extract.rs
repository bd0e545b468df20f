//! `extract`: takes images or charts out of a bundle.
//! Takes a bundle and what to choose; gives an OCI layout, an archive for K3s, or chart files.

use std::path::PathBuf;
use std::time::Instant;

use bundle_format::Limits;
use bundle_handout::{Choice, NamesFor, Referrers, extract_archive, extract_charts, extract_layout};
use bundle_importer::Bundle;
use bundle_oci::{Digest, Registry};
use bundle_report::ExtractReport;

use crate::exit::Failure;
use crate::notes::tell_parity;
use crate::output::{self, name};
use crate::progress::progress;
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Extract {
    /// Bundle to read
    #[arg(value_name = "FILE")]
    bundle: PathBuf,

    #[command(flatten)]
    trust: TrustArguments,

    /// Directory to write to; for an OCI layout it must not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// Extract only this image, by its source or target; repeatable [default: all]
    #[arg(long = "image", value_name = "REFERENCE", conflicts_with = "charts")]
    images: Vec<String>,

    /// Extract this Helm chart, as NAME or NAME:VERSION; repeatable
    #[arg(long = "chart", value_name = "NAME")]
    charts: Vec<String>,

    /// Format of the images
    #[arg(long, value_enum, default_value_t = Format::Oci, conflicts_with = "charts")]
    format: Format,

    /// Also name images as at this registry
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "charts")]
    registry: Option<Registry>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// OCI image layout, with referrers
    Oci,
    /// Archive for the images directory of K3s or RKE2
    K3s,
}

impl Extract {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        let bundle = Bundle::open(&self.bundle, &self.trust.effective()?, &Limits::V1)
            .map_err(|error| Failure::from(error).of(&self.bundle))?;
        let statement = bundle.statement();
        let progress = progress("extracting");
        let blob = Digest::of(b"");
        let tell = |bytes| progress.advance(blob, bytes);
        let names = NamesFor { registry: self.registry.as_ref() };
        let (choice, paths) = if !self.charts.is_empty() {
            let choice = Choice::charts(statement, &self.charts)?;
            let paths = extract_charts(&bundle, &choice, &self.to, &tell)?;
            (choice, paths)
        } else {
            match self.format {
                Format::Oci => {
                    let choice = match self.images.as_slice() {
                        [] => Choice::all(statement),
                        images => Choice::images(statement, images, Referrers::Along)?,
                    };
                    let threads = std::thread::available_parallelism().map_or(1, usize::from);
                    extract_layout(&bundle, &choice, names, &self.to, threads, &tell)?;
                    (choice, vec![self.to.clone()])
                }
                Format::K3s => {
                    let choice = match self.images.as_slice() {
                        [] => Choice::all_images(statement),
                        images => Choice::images(statement, images, Referrers::Left)?,
                    };
                    let path = extract_archive(&bundle, &choice, names, &self.to, &tell)?;
                    (choice, vec![path])
                }
            }
        };
        tell_parity(&bundle.parity_notes(), &**progress);
        drop(progress);
        output::report(&ExtractReport {
            files: paths.iter().map(|path| name(path)).collect(),
            artifacts: choice.artifacts(statement).count(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}
