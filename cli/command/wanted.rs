use std::path::{Path, PathBuf};

use crate::exit::{Code, Failure};
use bundle_bundler::{
    CacheLayout, ChartOptions, ChartRequest, Config, ConfigError, Confirmation, DiscoveredChart, Item, Lock,
    Platforms, Request, discover_charts, from_list, merge,
};
use bundle_format::StreamName;
use bundle_input::read_list;
use bundle_oci::{Platform, Printable, ProjectName};
use bundle_registry::{Client, Progress};

/// What is wanted: a bundle.yaml, references, lists.
#[derive(clap::Args)]
pub(crate) struct Wanted {
    /// Images to carry, such as nginx:1.25; `reference => new-name` renames
    #[arg(value_name = "REFERENCE")]
    references: Vec<String>,

    /// What to carry, and into which project [default: bundle.yaml, if nothing else is given]
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// A list of references, one a line; - reads standard input
    #[arg(long, value_name = "LIST|-")]
    images: Vec<PathBuf>,

    /// The project for references and lists given here
    #[arg(long, value_name = "NAME", default_value = "cache")]
    pub(crate) project: ProjectName,

    /// Carry only these platforms
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all_platforms")]
    platforms: Vec<Platform>,

    /// Carry all platforms, whatever bundle.yaml says
    #[arg(long)]
    all_platforms: bool,
}

pub(crate) const DEFAULT_FILE: &str = "bundle.yaml";

/// What was asked for, before charts are looked into.
pub(crate) struct Asked {
    pub(crate) requests: Vec<Request>,
    pub(crate) charts: Vec<ChartRequest>,
    /// The stream's name, if the file has one.
    pub(crate) name: Option<StreamName>,
}

impl Asked {
    /// Looks into the charts, and tells what is left out or likely a mistake.
    pub(crate) async fn discover(
        &self,
        client: &Client,
        lock: Option<&Lock>,
        options: ChartOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<DiscoveredChart>, Failure> {
        let charts = discover_charts(client, &self.charts, lock, options, progress).await?;
        for chart in &charts {
            let who = chart.label();
            for warning in &chart.warnings {
                progress.note(&format!("{who}: {warning}"));
            }
            for image in &chart.images {
                // That a name can be read in two ways is told where both are missing.
                if matches!(image.confirmation, Confirmation::OtherReading(_)) {
                    continue;
                }
                let Some(why) = image.left_out() else { continue };
                let place = image.find.places.first().map(ToString::to_string).unwrap_or_default();
                progress.note(&format!("{who}: {} ({place}) is left out: {why}", image.find.reference));
            }
        }
        Ok(charts)
    }

    /// All requests, those of the charts among them.
    pub(crate) fn merged(self, charts: &[DiscoveredChart]) -> Result<Vec<Request>, Failure> {
        let mut requests = self.requests;
        requests.extend(charts.iter().flat_map(DiscoveredChart::requests));
        Ok(merge(requests)?)
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

    /// The choice of platforms on the command line.
    pub(crate) fn platforms(&self) -> Platforms {
        Platforms::only(self.platforms.clone()).unwrap_or_default()
    }

    /// What the arguments and the files ask for.
    pub(crate) fn read(&self) -> Result<Asked, Failure> {
        let explicit = !self.references.is_empty() || !self.images.is_empty();
        let file = match self.file()? {
            Some(file) => Some(file.to_owned()),
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
        let mut charts = Vec::new();
        let mut name = None;
        let mut layout = CacheLayout::default();
        if let Some(file) = file {
            let config = Config::load(&file)?;
            name = config.name;
            layout = config.cache_layout;
            requests.extend(config.requests);
            charts = config.charts;
        }
        let here = self.platforms();
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
            let (name, text) = read_list(list).map_err(ConfigError::from)?;
            requests.extend(from_list(&text, &name, &self.project, &layout, &here)?);
        }
        if requests.is_empty() && charts.is_empty() {
            return Err(Failure::text(Code::Usage, "nothing to carry: the lists are empty"));
        }
        if !self.platforms.is_empty() || self.all_platforms {
            let platforms = requests.iter_mut().map(|request| &mut request.platforms);
            for platforms in platforms.chain(charts.iter_mut().map(|chart| &mut chart.platforms)) {
                *platforms = here.clone();
            }
        }
        // Two images for one place are told before any network is asked.
        Ok(Asked { requests: merge(requests)?, charts, name })
    }
}
