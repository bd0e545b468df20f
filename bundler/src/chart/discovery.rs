//! Discovers the images of charts.
//! Takes requests; fetches and renders the charts, asks registries what exists, and gives [`DiscoveredChart`]s.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use bundle_chart::{
    Chart, ChartArtifact, Definitions, Discovery, Find, Grade, Purpose, RenderOptions, Rendering,
    SwitchOptions, ValueSet, discover_by, render, render_switched,
};
use bundle_format::{Kind, Target};
use bundle_oci::{Digest, Platform, Printable, Reference};
use bundle_registry::Client;
use futures_util::StreamExt;

use super::confirm::confirm;
use super::error::{ChartCause, ChartError, ChartErrors};
use super::fetch::{Fetched, Fetcher, Place, fetch};
use super::manifest;
use super::request::{Carry, ChartRequest, ChartSource, Empty};
use crate::exclude::is_excluded;
use crate::{ImagePolicy, Item, Limits, Lock, Pins, Platforms, Reason, Rename, Request};

/// How charts are looked into.
#[derive(Clone, Copy, Debug)]
pub struct ChartOptions {
    /// The treatment of charts that are missing from the lock, or differ from it.
    pub pins: Pins,
    /// Whether registries are asked for what only looks like an image.
    pub confirm: Confirm,
    /// How many charts and images are asked for at once.
    pub jobs: usize,
}

/// Whether registries are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// They are.
    Ask,
    /// They are not.
    Leave,
}

/// The source in which images were searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A chart, which travels with them.
    Chart,
    /// Manifests, which do not.
    Manifests,
}

/// A chart with the images that it asks for, or manifests with theirs.
#[derive(Clone, Debug)]
pub struct DiscoveredChart {
    /// Which of the two.
    pub subject: Subject,
    /// The chart's name; `manifests` of manifests.
    pub name: String,
    /// Its version; manifests have none.
    pub version: String,
    /// The place that asked for it.
    pub reason: Reason,
    /// Its name at its source.
    pub source: Reference,
    /// Where the chart itself goes.
    pub target: Target,
    /// Its images.
    pub images: Vec<ChartImage>,
    /// Likely mistakes.
    pub warnings: Vec<String>,
    platforms: Platforms,
    policy: ImagePolicy,
    /// The artifact that is made of it, unless it is one already.
    pub(super) artifact: Option<ChartArtifact>,
}

/// An image that a chart asks for.
#[derive(Clone, Debug)]
pub struct ChartImage {
    /// The image and its places.
    pub find: Find,
    /// The answer of its registry.
    pub confirmation: Confirmation,
    /// Where it goes.
    pub target: Target,
}

/// The state of an image that a chart asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// A person excluded it.
    Excluded,
    /// The chart's `carry` leaves out what is asked for like this.
    NotCarried,
    /// Its registry was not asked.
    NotAsked,
    /// It exists.
    Found,
    /// There is no such image.
    NotFound,
    /// It is not made for the platforms that are wanted.
    NoPlatform(Platform),
    /// The same fields mean another image, which exists.
    OtherReading(Reference),
    /// Another image, which is asked for more strongly, has its name on the other side.
    NameTaken(Reference),
    /// Its registry does not say: the account may not see it, or it does not exist.
    Refused(String),
    /// Its registry could not be asked.
    Unreachable(String),
}

impl ChartImage {
    /// Whether it travels.
    pub fn is_wanted(&self) -> bool {
        matches!(self.confirmation, Confirmation::NotAsked | Confirmation::Found)
    }

    /// Why it does not travel, in words; nothing if it does.
    pub fn left_out(&self) -> Option<String> {
        Some(match &self.confirmation {
            Confirmation::NotAsked | Confirmation::Found => return None,
            Confirmation::Excluded => "it is excluded".to_owned(),
            Confirmation::NotCarried => {
                format!("it is {}, and the chart's carry leaves such images out", self.find.grade.as_str())
            }
            Confirmation::NotFound => "there is no such image".to_owned(),
            Confirmation::NoPlatform(wanted) => format!("it is not made for {wanted}"),
            Confirmation::OtherReading(other) => format!("the same fields mean {other}"),
            Confirmation::NameTaken(other) => format!("{other} has its name on the far side"),
            Confirmation::Refused(why) | Confirmation::Unreachable(why) => why.clone(),
        })
    }
}

/// The second version of Kubernetes that a chart is rendered for, if none is given: three years before the
/// first.
const OLDER: &str = "1.31";

/// Fetches charts with all that they depend on, renders them with every set of values, and finds
/// their images.
///
/// # Errors
/// All charts whose images cannot be told, not only the first.
pub(crate) async fn discover_charts(
    client: &Client,
    requests: &[ChartRequest],
    lock: Option<&Lock>,
    options: ChartOptions,
) -> Result<Vec<DiscoveredChart>, ChartErrors> {
    let fetcher = &Fetcher::new(client, options.confirm);
    let (mut charts, mut errors) = (Vec::new(), Vec::new());
    // Charts that manifests name are discovered after them.
    let mut waiting: Vec<ChartRequest> = requests.to_vec();
    while !waiting.is_empty() {
        let discovered: Vec<_> = futures_util::stream::iter(&waiting)
            .map(|request| async move {
                let one = discover_one(fetcher, request, lock, options.pins).await;
                one.map_err(|cause| ChartError {
                    chart: request.source.to_string(),
                    reason: request.reason.clone(),
                    cause,
                })
            })
            .buffered(options.jobs.max(1))
            .collect()
            .await;
        let mut named = Vec::new();
        for one in discovered {
            match one {
                Ok((chart, further)) => {
                    charts.push(chart);
                    named.extend(further);
                }
                Err(error) => errors.push(error),
            }
        }
        waiting = named;
    }
    if errors.is_empty() && options.confirm == Confirm::Ask {
        errors.extend(confirm(client, &mut charts, lock, options.jobs).await);
    }
    take_names(&mut charts);
    if errors.is_empty() { Ok(charts) } else { Err(ChartErrors(errors)) }
}

/// If two images would have one name, the one of the stronger grade gets it. The merge of all requests
/// reports two images of the strongest grade with one name.
fn take_names(charts: &mut [DiscoveredChart]) {
    let mut images: Vec<&mut ChartImage> =
        charts.iter_mut().flat_map(|chart| &mut chart.images).filter(|image| image.is_wanted()).collect();
    images.sort_by_key(|image| image.find.grade);
    let mut taken: HashMap<Target, Reference> = HashMap::new();
    for image in images {
        match taken.get(&image.target) {
            Some(other) if *other != image.find.reference && image.find.grade != Grade::Rendered => {
                image.confirmation = Confirmation::NameTaken(other.clone());
            }
            Some(_) => {}
            None => {
                taken.insert(image.target.clone(), image.find.reference.clone());
            }
        }
    }
}

async fn discover_one(
    fetcher: &Fetcher<'_>,
    request: &ChartRequest,
    lock: Option<&Lock>,
    pins: Pins,
) -> Result<(DiscoveredChart, Vec<ChartRequest>), ChartCause> {
    if let ChartSource::Manifests(paths) = &request.source {
        let (paths, request) = (paths.clone(), request.clone());
        return tokio::task::spawn_blocking(move || manifests(&paths, &request)).await?;
    }
    let locked = lock.and_then(|lock| locked_version(lock, request));
    if pins == Pins::Demand && locked.is_none() && !request.source.is_local() {
        return Err(ChartCause::NotLocked);
    }
    let fetched = fetch(fetcher, &request.source, request.root.as_deref(), locked.as_deref()).await?;
    let work = {
        let (request, confirm) = (request.clone(), fetcher.confirm());
        tokio::task::spawn_blocking(move || look_into(fetched, &request, confirm))
    };
    let (mut chart, notes) = work.await??;
    chart.warnings.extend(notes);
    if let Some(artifact) = &chart.artifact {
        let found = Digest::of(&artifact.manifest);
        let known = lock.and_then(|lock| lock.digest(&chart.source, &chart.target));
        match (known, pins) {
            (Some(locked), Pins::Demand) if locked != found => {
                return Err(ChartCause::Changed { locked, found });
            }
            (None, Pins::Demand) => return Err(ChartCause::NotLocked),
            (Some(locked), Pins::Prefer) if locked != found => {
                chart.warnings.push("it has changed since it was locked".to_owned());
            }
            _ => {}
        }
    }
    chart.images.sort_by(|a, b| a.find.reference.cmp(&b.find.reference));
    Ok((chart, Vec::new()))
}

/// The images of manifests, and the charts that they name.
fn manifests(
    paths: &[PathBuf],
    request: &ChartRequest,
) -> Result<(DiscoveredChart, Vec<ChartRequest>), ChartCause> {
    let manifest::Found { discovery, charts, mut warnings } = manifest::look_into(paths, request)?;
    if discovery.finds.is_empty() && charts.is_empty() && request.empty == Empty::Refuse {
        return Err(ChartCause::NoImage);
    }
    warnings.extend(discovery.warnings.iter().map(ToString::to_string));
    let images = chart_images(discovery.finds, request, &mut warnings)?;
    let name = "manifests";
    let source: Reference = format!("localhost/{name}:latest").parse().map_err(|error| {
        let error = crate::ItemError::Reference(error);
        ChartCause::Place { what: name.to_owned(), error }
    })?;
    let target =
        target(&source, request).map_err(|error| ChartCause::Place { what: name.to_owned(), error })?;
    let found = DiscoveredChart {
        subject: Subject::Manifests,
        name: name.to_owned(),
        version: String::new(),
        reason: request.reason.clone(),
        source,
        target,
        images,
        warnings,
        platforms: request.platforms.clone(),
        policy: request.policy,
        artifact: None,
    };
    Ok((found, charts))
}

/// Finds with where they go. A name that cannot be had elsewhere is an error for what is rendered only.
fn chart_images(
    finds: Vec<Find>,
    request: &ChartRequest,
    warnings: &mut Vec<String>,
) -> Result<Vec<ChartImage>, ChartCause> {
    let mut images = Vec::new();
    for find in finds {
        let item = Item { reference: find.reference.clone(), rename: None };
        match item.place_by(&request.project, &request.layout) {
            Ok(target) => {
                let excluded = is_excluded(&request.exclude, &find.reference);
                let confirmation = match (excluded, request.carry.takes(find.grade)) {
                    (true, _) => Confirmation::Excluded,
                    (false, true) => Confirmation::NotAsked,
                    (false, false) => Confirmation::NotCarried,
                };
                images.push(ChartImage { find, confirmation, target });
            }
            Err(error) if find.grade == Grade::Rendered => {
                return Err(ChartCause::Place { what: find.reference.to_string(), error });
            }
            Err(error) => {
                warnings.push(format!("{} is left out: it cannot be placed: {error}", find.reference));
            }
        }
    }
    Ok(images)
}

/// The version of a chart in the lock, as long as the request still wants it.
fn locked_version(lock: &Lock, request: &ChartRequest) -> Option<String> {
    let range = request.source.range().unwrap_or("*");
    let named = |reference: &Reference| match &request.source {
        ChartSource::Registry { registry, repository, .. } => {
            reference.registry() == registry && reference.repository() == repository
        }
        ChartSource::Repository { address, name, .. } => {
            let place = address.split_once("://").map_or(address.as_str(), |(_, place)| place);
            format!("{}/{}", reference.registry(), reference.repository())
                == format!("{place}/{name}").to_ascii_lowercase()
        }
        ChartSource::Path(_) | ChartSource::Manifests(_) => false,
    };
    lock.artifacts.iter().filter(|entry| entry.kind == Kind::Chart && named(&entry.reference)).find_map(
        |entry| {
            let version = entry.reference.tag()?.as_str().replace('_', "+");
            let fits = match (range.parse::<bundle_chart::Constraint>(), version.parse()) {
                (Ok(range), Ok(version)) => range.allows(&version),
                _ => false,
            };
            (fits || range == version).then_some(version)
        },
    )
}

/// Everything that needs no network: what the chart is, and what it asks for.
fn look_into(
    fetched: Fetched,
    request: &ChartRequest,
    confirm: Confirm,
) -> Result<(DiscoveredChart, Vec<String>), ChartCause> {
    let Fetched { chart, place } = fetched;
    let metadata = chart.metadata().clone();
    let mut notes = Vec::new();
    let renderings = renderings(&chart, request, &mut notes)?;
    let limits = bundle_chart::Limits::DEFAULT;
    let Discovery { finds, warnings } = discover_by(&chart, &renderings, &request.rules, &limits);
    if finds.is_empty() && request.empty == Empty::Refuse {
        return Err(ChartCause::NoImage);
    }
    let warnings: BTreeSet<String> = renderings
        .iter()
        .flat_map(|rendering| &rendering.warnings)
        .chain(&warnings)
        .map(ToString::to_string)
        .collect();
    // Renderings are many small values; nobody needs to wait until all are gone.
    std::thread::Builder::new().spawn(move || drop(renderings)).ok();
    let mut warnings: Vec<String> = warnings.into_iter().collect();
    let images = chart_images(finds, request, &mut warnings)?;
    let json = |error: serde_json::Error| ChartCause::Pack(error.into());
    let (source, artifact) = match place {
        Place::Registry(reference) => (reference, None),
        Place::Archive { source, archive, provenance } => {
            let provenance = provenance.map(Vec::from);
            let artifact = ChartArtifact::new(&metadata, archive.into(), provenance).map_err(json)?;
            (source, Some(artifact))
        }
        // A dry run needs no archive, and large charts take a while to pack.
        Place::Directory { source } if confirm == Confirm::Leave => (source, None),
        Place::Directory { source } => {
            let archive = chart.pack().map_err(ChartCause::Pack)?;
            (source, Some(ChartArtifact::new(&metadata, archive, None).map_err(json)?))
        }
    };
    let target =
        target(&source, request).map_err(|error| ChartCause::Place { what: metadata.name.clone(), error })?;
    let found = DiscoveredChart {
        subject: Subject::Chart,
        name: metadata.name,
        version: metadata.version,
        reason: request.reason.clone(),
        source,
        target,
        images,
        warnings,
        platforms: request.platforms.clone(),
        policy: request.policy,
        artifact,
    };
    Ok((found, notes))
}

/// Renders with the defaults, with the values that were given, and with each further set, and turns the
/// switches of each. If values are given, the chart will not be installed with the defaults alone: images
/// that only the defaults ask for are less certain, and it is no error if the defaults do not render.
fn renderings(
    chart: &Chart,
    request: &ChartRequest,
    notes: &mut Vec<String>,
) -> Result<Vec<Rendering>, ChartCause> {
    let purpose = if request.values.is_empty() { Purpose::Install } else { Purpose::Discovery };
    let options = render_options(request);
    let switches = SwitchOptions {
        threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        deadline: Some(Instant::now() + Limits::DEFAULT.switch_time),
        kube_version: if request.kube_version.is_none() { OLDER.parse().ok() } else { None },
    };
    let mut renderings = Vec::new();
    for set in sets(request, purpose) {
        // The time is for each set; what templates were read is for all.
        let options =
            RenderOptions { deadline: Some(Instant::now() + Limits::DEFAULT.render_time), ..options.clone() };
        let rendered = match request.carry {
            Carry::Rendered => render(chart, &set, &options),
            Carry::Switched | Carry::Declared | Carry::All if set.purpose == Purpose::Discovery => {
                render(chart, &set, &options)
            }
            Carry::Switched | Carry::Declared | Carry::All => {
                render_switched(chart, &set, &options, &switches)
            }
        };
        match rendered {
            Ok(rendering) => renderings.push(rendering),
            Err(error) if set.purpose == Purpose::Discovery => {
                let error = Printable(&error.to_string()).to_string();
                notes.push(format!(
                    "its defaults alone do not render, so only the values given count: {error}"
                ));
            }
            Err(error) => {
                return Err(ChartCause::Render { value_set: set.name, error: Box::new(error) });
            }
        }
    }
    Ok(renderings)
}

/// The defaults, the values that were given, and each further set.
fn sets(request: &ChartRequest, purpose: Purpose) -> Vec<ValueSet> {
    let mut sets = vec![ValueSet { purpose, ..ValueSet::defaults() }];
    if !request.values.is_empty() {
        sets.push(request.values.clone());
    }
    sets.extend(request.value_sets.iter().cloned());
    sets
}

fn render_options(request: &ChartRequest) -> RenderOptions {
    RenderOptions {
        kube_version: request.kube_version.clone().unwrap_or_default(),
        definitions: Definitions::Search,
        api_versions: request.api_versions.clone(),
        deadline: Some(Instant::now() + Limits::DEFAULT.render_time),
        ..RenderOptions::default()
    }
}

/// Where the chart itself goes: in `cache` under where it comes from, elsewhere under `charts/`.
fn target(source: &Reference, request: &ChartRequest) -> Result<Target, crate::ItemError> {
    let has_home = !matches!(request.source, ChartSource::Path(_) | ChartSource::Manifests(_));
    let rename: Option<Rename> = match request.project.is_cache() && has_home {
        true => None,
        false => Some(format!("charts/{}", source.repository().last_component()).parse()?),
    };
    Item { reference: source.clone(), rename }.place_by(&request.project, &request.layout)
}

/// The number of an image's places in a bundle.
const PLACES: usize = 10;

impl DiscoveredChart {
    /// Its name in notes: `chart web 1.2.0`, `manifests`.
    pub fn label(&self) -> String {
        match self.subject {
            Subject::Chart => format!("chart {} {}", Printable(&self.name), Printable(&self.version)),
            Subject::Manifests => self.name.clone(),
        }
    }

    /// A place in it that asks for an image.
    fn place(&self, place: String) -> Reason {
        match self.subject {
            Subject::Chart => Reason::Chart { chart: self.label(), place },
            Subject::Manifests => Reason::Manifests { name: self.label(), place },
        }
    }

    pub(super) const fn platforms(&self) -> &Platforms {
        &self.platforms
    }

    pub(super) const fn policy(&self) -> ImagePolicy {
        self.policy
    }

    /// The requests for its images, and for itself if it is in a registry.
    pub fn requests(&self) -> Vec<Request> {
        let mut requests: Vec<Request> = Vec::new();
        if self.subject == Subject::Chart && self.artifact.is_none() {
            requests.push(Request {
                reference: self.source.clone(),
                local: None,
                target: self.target.clone(),
                platforms: self.platforms.clone(),
                policy: self.policy,
                reasons: vec![self.reason.clone()],
            });
        }
        for image in self.images.iter().filter(|image| image.is_wanted()) {
            let places = image.find.places.iter();
            let mut reasons: Vec<Reason> = places.map(|place| self.place(place.to_string())).collect();
            if let Some(more) = reasons.len().checked_sub(PLACES).filter(|more| *more > 0) {
                reasons.truncate(PLACES);
                reasons.push(self.place(format!("and {more} more places")));
            }
            requests.push(Request {
                reference: image.find.reference.clone(),
                local: None,
                target: image.target.clone(),
                platforms: self.platforms.clone(),
                policy: self.policy,
                reasons,
            });
        }
        requests
    }
}
