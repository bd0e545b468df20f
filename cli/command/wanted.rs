//! The request of a command: references, lists and a bundle.yaml, read into one value. Takes the arguments;
//! gives requests and charts.

use std::path::{Path, PathBuf};

use crate::exit::{Code, Failure};
use bundle_bundler::{
    Asked, CacheLayout, Config, ConfigError, FileOrigin, ImagePolicy, Item, LocalFile, LocalItem,
    LocalRequest, LocalSource, LockBeside, Notice, Platforms, Reason, Rename, Request, from_list, merge,
};
use bundle_input::read_list;
use bundle_oci::{Platform, Printable, ProjectName};
use bundle_registry::Progress;

/// The images and charts to carry: a bundle.yaml, references, lists.
#[derive(clap::Args)]
pub(crate) struct Wanted {
    /// Images to carry, such as nginx:1.25, or from this machine: docker-archive:FILE, oci-archive:FILE, oci:DIR,
    /// dir:DIR, each with :NAME for one of several; `reference => new-name` renames
    #[arg(value_name = "REFERENCE")]
    references: Vec<String>,

    /// File that lists images and charts by project; repeatable [default: bundle.yaml, if no reference or
    /// list is given]
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// File with one reference per line; - reads standard input; repeatable
    #[arg(long, value_name = "LIST|-")]
    images: Vec<PathBuf>,

    /// Carry a single file too, as the OCI artifact files/NAME [default: files/PATH's name:latest]; repeatable
    #[arg(long = "add-file", value_name = "PATH[=NAME[:TAG]]")]
    add_files: Vec<String>,

    /// Carry this program too, as platform/files/bundle: for its own platform, or the executable at PATH;
    /// repeatable
    #[arg(
        long,
        value_name = "PATH|PLATFORM",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        action = clap::ArgAction::Append
    )]
    with_program: Vec<String>,

    /// Project for the references, lists and files on the command line
    #[arg(long, value_name = "NAME", default_value = "cache")]
    pub(crate) project: ProjectName,

    /// Carry only this platform; repeatable
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all_platforms")]
    platforms: Vec<Platform>,

    /// Carry all platforms, overriding bundle.yaml
    #[arg(long)]
    all_platforms: bool,
}

pub(crate) const DEFAULT_FILE: &str = "bundle.yaml";

/// Prints the notices about a bundle.
pub(crate) fn tell_notices(notices: &[Notice], progress: &dyn Progress) {
    notices.iter().for_each(|notice| progress.note(&notice.to_string()));
}

/// The file that was given as a reference, and the option for it. Its name could be that of an image, but no
/// registry has an image without a host.
fn file_for(reference: &str) -> Option<(&'static str, &'static str)> {
    let path = Path::new(reference);
    let option = match path.extension()?.to_str()? {
        "yaml" | "yml" => "-f",
        "txt" | "list" => "--images",
        _ => return None,
    };
    match path.is_file() {
        true => Some((option, "is a file, not an image")),
        false if !reference.contains(['/', ':']) => {
            Some((option, "is not an image, and there is no such file"))
        }
        false => None,
    }
}

impl Wanted {
    /// The one bundle.yaml that is named, if any is.
    pub(crate) fn file(&self) -> Result<Option<&Path>, Failure> {
        match self.files.as_slice() {
            [] => Ok(None),
            [file] => Ok(Some(file)),
            _ => Err(Failure::text(Code::Usage, "one bundle.yaml at a time: -f is given more than once")),
        }
    }

    /// The lock that belongs to the bundle.yaml.
    pub(crate) fn lock_path(&self) -> PathBuf {
        LockBeside::path_of(self.files.first().map_or_else(|| Path::new(DEFAULT_FILE), PathBuf::as_path))
    }

    /// The choice of platforms on the command line.
    pub(crate) fn platforms(&self) -> Platforms {
        Platforms::only(self.platforms.clone()).unwrap_or_default()
    }

    /// A file and the name that it gets: `PATH` or `PATH=NAME`. A file with that very name is meant, if there is
    /// one.
    fn file_to_add(&self, text: &str) -> Result<(LocalFile, Option<Rename>), Failure> {
        let (path, rename) = match text.rsplit_once('=') {
            Some((path, rename)) if !Path::new(text).exists() => {
                let wrong = |error| Failure::text(Code::Usage, format!("'{}': {error}", Printable(text)));
                (path, Some(rename.parse().map_err(|error: bundle_bundler::ItemError| wrong(error))?))
            }
            _ => (text, None),
        };
        let origin = FileOrigin::Path { path: path.into(), written: path.to_owned() };
        Ok((LocalFile { origin, title: None, mode: None }, rename))
    }

    /// Reads the request from the arguments and the files.
    pub(crate) fn read(&self) -> Result<Asked, Failure> {
        let explicit = !self.references.is_empty() || !self.images.is_empty();
        let files = !self.add_files.is_empty() || !self.with_program.is_empty();
        let file = match self.file()? {
            Some(file) => Some(file.to_owned()),
            None if explicit => None,
            None if PathBuf::from(DEFAULT_FILE).exists() => Some(DEFAULT_FILE.into()),
            None if files => None,
            None => {
                return Err(Failure::text(
                    Code::Usage,
                    "nothing to carry: no reference, no --images, no bundle.yaml",
                )
                .hint("for example: bundle create nginx:1.25 --key KEY -o bundle.tar"));
            }
        };
        let mut requests = Vec::new();
        let mut charts = Vec::new();
        let mut locals = Vec::new();
        let mut name = None;
        let mut layout = CacheLayout::default();
        let mut policy = ImagePolicy::default();
        if let Some(file) = file {
            let config = Config::load(&file)?;
            name = config.name;
            layout = config.cache_layout;
            policy = config.policy;
            requests.extend(config.requests);
            charts = config.charts;
            locals = config.locals;
        }
        let here = self.platforms();
        for text in &self.references {
            if let Some((option, wrong)) = file_for(text) {
                return Err(Failure::text(Code::Usage, format!("'{}' {wrong}", Printable(text)))
                    .hint(format!("did you mean {option} {}?", Printable(text))));
            }
            if let Some(item) = LocalItem::parse(text) {
                let item = item
                    .map_err(|error| Failure::text(Code::Usage, format!("'{}': {error}", Printable(text))))?;
                locals.push(LocalRequest {
                    source: LocalSource::Images(item.address),
                    rename: item.rename,
                    project: self.project.clone(),
                    layout: layout.clone(),
                    platforms: here.clone(),
                    policy,
                    reason: Reason::CommandLine,
                });
                continue;
            }
            let wrong = |error: bundle_bundler::ItemError| {
                let failure = Failure::text(Code::Usage, format!("'{}': {error}", Printable(text)));
                match bundle_bundler::meant(text) {
                    Some(meant) => failure.hint(format!("did you mean '{}'?", Printable(&meant))),
                    None => failure,
                }
            };
            let item: Item = text.parse().map_err(wrong)?;
            requests.push(Request {
                target: item.place_by(&self.project, &layout).map_err(wrong)?,
                reference: item.reference,
                local: None,
                platforms: here.clone(),
                policy,
                reasons: vec![Reason::CommandLine],
            });
        }
        for text in &self.add_files {
            let (source, rename) = self.file_to_add(text)?;
            locals.push(LocalRequest {
                source: LocalSource::File(source),
                rename,
                project: self.project.clone(),
                layout: layout.clone(),
                platforms: here.clone(),
                policy,
                reason: Reason::CommandLine,
            });
        }
        for program in &self.with_program {
            locals.push(LocalRequest::program(program)?);
        }
        for list in &self.images {
            let (name, text) = read_list(list).map_err(ConfigError::from)?;
            requests.extend(from_list(&text, &name, &self.project, &layout, &here, policy)?);
        }
        if requests.is_empty() && charts.is_empty() && locals.is_empty() {
            return Err(Failure::text(Code::Usage, "nothing to carry: the lists are empty"));
        }
        if !self.platforms.is_empty() || self.all_platforms {
            let platforms = requests.iter_mut().map(|request| &mut request.platforms);
            let platforms = platforms.chain(charts.iter_mut().map(|chart| &mut chart.platforms));
            for platforms in platforms.chain(locals.iter_mut().map(|local| &mut local.platforms)) {
                *platforms = here.clone();
            }
        }
        // Two images for one target are reported before any network access.
        Ok(Asked { requests: merge(requests)?, charts, locals, stream: name })
    }
}
