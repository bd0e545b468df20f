use std::path::PathBuf;

use bundle_bundler::{CacheLayout, Config, Item, Platforms, Request, from_list, merge, read_list};
use bundle_format::{ProjectName, StreamName};
use bundle_oci::{Platform, Printable};

use crate::exit::{Code, Failure};

/// What is wanted: a bundle.yaml, references, lists.
#[derive(clap::Args)]
pub(crate) struct Wanted {
    /// Images to carry, such as nginx:1.25; `reference => new-name` renames
    #[arg(value_name = "REFERENCE")]
    references: Vec<String>,

    /// What to carry, and into which project [default: bundle.yaml, if nothing else is given]
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// A list of references, one a line; - reads standard input
    #[arg(long, value_name = "LIST|-")]
    images: Vec<PathBuf>,

    /// The project for references and lists given here
    #[arg(long, value_name = "NAME", default_value = "cache")]
    project: ProjectName,

    /// Carry only these platforms
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all_platforms")]
    platforms: Vec<Platform>,

    /// Carry all platforms, whatever bundle.yaml says
    #[arg(long)]
    all_platforms: bool,
}

pub(crate) const DEFAULT_FILE: &str = "bundle.yaml";

impl Wanted {
    /// The requests, and the stream's name if the file has one.
    pub(crate) fn requests(&self) -> Result<(Vec<Request>, Option<StreamName>), Failure> {
        let explicit = !self.references.is_empty() || !self.images.is_empty();
        let file = match &self.file {
            Some(file) => Some(file.clone()),
            None if explicit => None,
            None if PathBuf::from(DEFAULT_FILE).exists() => Some(DEFAULT_FILE.into()),
            None => {
                return Err(Failure::text(
                    Code::Usage,
                    "nothing to carry: no reference, no --images, no bundle.yaml",
                )
                .hint("for example: bundle create nginx:1.25 --key KEY -o bundle.tar"));
            }
        };
        let mut requests = Vec::new();
        let mut name = None;
        let mut layout = CacheLayout::default();
        if let Some(file) = file {
            let config = Config::load(&file)?;
            name = config.name;
            layout = config.cache_layout;
            requests.extend(config.requests);
        }
        let here = Platforms::only(self.platforms.clone()).unwrap_or_default();
        for text in &self.references {
            let wrong = |error: bundle_bundler::ItemError| {
                Failure::text(Code::Usage, format!("'{}': {error}", Printable(text)))
            };
            let item: Item = text.parse().map_err(wrong)?;
            requests.push(Request {
                target: item.place_by(&self.project, &layout).map_err(wrong)?,
                reference: item.reference,
                platforms: here.clone(),
                reasons: vec!["command line".to_owned()],
            });
        }
        for list in &self.images {
            let (name, text) = read_list(list)?;
            requests.extend(from_list(&text, &name, &self.project, &layout, &here)?);
        }
        if requests.is_empty() {
            return Err(Failure::text(Code::Usage, "nothing to carry: the lists are empty"));
        }
        if !self.platforms.is_empty() || self.all_platforms {
            for request in &mut requests {
                request.platforms = here.clone();
            }
        }
        Ok((merge(requests)?, name))
    }
}
