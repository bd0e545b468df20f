//! `extract`: takes images, charts or single files out of a bundle.
//! Takes a bundle and what to choose; gives an OCI layout, an archive for K3s, or files.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

use bundle_bundler::program_tag;
use bundle_format::{Blob, Limits, Statement};
use bundle_handout::{
    CarriedFile, Choice, NamesFor, PROGRAM, Referrers, carried_files, choose_file, extract_archive,
    extract_charts, extract_file, extract_layout,
};
use bundle_importer::{Bundle, Counted, extents};
use bundle_oci::{ProjectName, Registry};
use bundle_registry::Progress;
use bundle_report::{ExtractReport, FileEntry, FilesReport};

use crate::bases::BaseDirArguments;
use crate::exit::{Code, Failure};
use crate::interrupt::{self, Left};
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
    #[arg(long, value_name = "DIR", required_unless_present_any = ["file", "files", "program"])]
    to: Option<PathBuf>,

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

    /// Extract this single file, by its name or its target
    #[arg(long, value_name = "NAME", conflicts_with_all = ["charts", "images", "projects", "format", "registry"])]
    file: Option<String>,

    /// Extract this program as the bundle carries it, for this machine's platform if it has several
    #[arg(long, conflicts_with_all = ["file", "charts", "images", "projects", "format", "registry"])]
    program: bool,

    #[command(flatten)]
    bases: BaseDirArguments,

    /// List the single files in the bundle
    #[arg(long, conflicts_with_all = ["file", "program", "charts", "images", "projects", "format", "registry", "to"])]
    files: bool,

    /// Path for the single file [default: its name, in the directory of --to or the current one]
    #[arg(short, long, value_name = "PATH", conflicts_with_all = ["to", "files", "charts", "images", "projects", "format", "registry"])]
    output: Option<PathBuf>,

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
        bundle.lend(&self.bases.lent()?);
        let statement = bundle.statement();
        if self.files {
            let files = carried_files(&bundle)?;
            return output::report(&FilesReport { files: files.iter().map(listed).collect() });
        }
        let progress = progress("extracting");
        let counted = Counted::new(&**progress);
        let tell = |blob, bytes| {
            counted.add(blob, bytes);
            interrupt::goes_on()
        };
        interrupt::leaves(Left::Lost("nothing was extracted".to_owned()));
        if self.program || self.file.is_some() {
            let files = carried_files(&bundle)?;
            let wanted = self.file.clone().unwrap_or_else(|| program_of(&files));
            let file = choose_file(&files, &wanted)?;
            let path = self.output.clone().unwrap_or_else(|| match &self.to {
                Some(directory) => directory.join(&file.name),
                None => PathBuf::from(&file.name),
            });
            extract_file(&bundle, file, &path, &tell)?;
            tell_parity(&bundle.parity_notes(), &**progress);
            drop(progress);
            let seconds = started.elapsed().as_secs_f64();
            return output::report(&ExtractReport { files: vec![name(&path)], artifacts: 1, seconds });
        }
        let Some(to) = self.to.clone() else {
            return Err(Failure::text(Code::Usage, "images and charts need a directory: --to"));
        };
        let names = NamesFor { registry: self.registry.as_ref() };
        let (choice, paths) = if !self.charts.is_empty() {
            let choice = Choice::charts(statement, &self.charts)?;
            let paths = extract_charts(&bundle, &choice, &to, &tell)?;
            (choice, paths)
        } else {
            match self.format {
                Format::Oci => {
                    let choice = match self.images.as_slice() {
                        [] => Choice::all(statement),
                        images => Choice::images(statement, images, Referrers::Along)?,
                    };
                    foresee(&choice, &bundle, &**progress);
                    let threads = std::thread::available_parallelism().map_or(1, usize::from);
                    extract_layout(&bundle, &choice, names, &to, threads, &tell)?;
                    (choice, vec![to])
                }
                Format::K3s => {
                    let choice = match self.images.as_slice() {
                        [] => Choice::for_nodes(statement, &self.projects)?,
                        images => Choice::images(statement, images, Referrers::Left)?,
                    };
                    if self.images.is_empty() && self.projects.is_empty() {
                        left_out(&choice, statement, &**progress);
                    }
                    foresee(&choice, &bundle, &**progress);
                    let path = extract_archive(&bundle, &choice, names, &to, &tell)?;
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

fn listed(file: &CarriedFile) -> FileEntry {
    FileEntry {
        name: file.name.clone(),
        target: file.target.to_string(),
        size: file.size,
        digest: file.digest.to_string(),
        executable: file.executable,
    }
}

/// The name of the program in the bundle: with that of this machine's platform if there are several.
fn program_of(files: &[CarriedFile]) -> String {
    let programs = files.iter().filter(|file| file.target.repository.as_str() == PROGRAM).count();
    if programs == 1 { PROGRAM.to_owned() } else { format!("{PROGRAM}:{}", program_tag()) }
}

/// Tells progress what will be extracted.
fn foresee(choice: &Choice, bundle: &Bundle, progress: &dyn Progress) {
    let all = || choice.artifacts(bundle.statement());
    let blobs = all().flat_map(|artifact| bundle.graph().extent(artifact.digest));
    let blobs: HashSet<Blob> = blobs.collect();
    progress.total(blobs.iter().map(|blob| blob.size).sum());
    progress.images(&extents(all(), bundle.graph(), |_| true));
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
