//! `extract`: takes images or charts out of a bundle.
//! Takes a bundle and what to choose; gives an OCI layout, an archive for K3s, or chart files.

use std::path::PathBuf;
use std::time::Instant;

use bundle_format::{Limits, Statement};
use bundle_handout::{Choice, NamesFor, Referrers, extract_archive, extract_charts, extract_layout};
use bundle_importer::Bundle;
use bundle_oci::{Digest, ProjectName, Registry};
use bundle_registry::Progress;
use bundle_report::ExtractReport;

use crate::exit::{Code, Failure};
use crate::notes::tell_parity;
use crate::output::{self, name};
use crate::progress::progress;
use crate::size::count;
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

    /// Extract only this image, by its source or target; repeatable [default: all; with --format k3s
    /// those of the project cache]
    #[arg(long = "image", value_name = "REFERENCE", conflicts_with = "charts")]
    images: Vec<String>,

    /// With --format k3s: extract the images of this project; repeatable. Any pod of a node can run what
    /// the node has, without a pull secret
    #[arg(long = "project", value_name = "NAME", conflicts_with_all = ["charts", "images"])]
    projects: Vec<ProjectName>,

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
        if !self.projects.is_empty() && !matches!(self.format, Format::K3s) {
            return Err(Failure::text(Code::Usage, "--project belongs to --format k3s")
                .hint("choose the images of an OCI layout with --image"));
        }
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
                        [] => Choice::for_nodes(statement, &self.projects)?,
                        images => Choice::images(statement, images, Referrers::Left)?,
                    };
                    if self.images.is_empty() && self.projects.is_empty() {
                        left_out(&choice, statement, &**progress);
                    }
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

/// Says which images stay in the bundle.
fn left_out(choice: &Choice, statement: &Statement, progress: &dyn Progress) {
    let projects = choice.left_out(statement);
    if projects.is_empty() {
        return;
    }
    let named: Vec<String> = projects
        .iter()
        .map(|(project, images)| format!("{} of {project}", count(*images, "image")))
        .collect();
    progress.note(&format!(
        "not extracted: {}; any pod of a node can run what the node has, without a pull secret: take them with --project or --image",
        named.join(", ")
    ));
}
