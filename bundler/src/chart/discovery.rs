//! Discovers the images of charts.
//! Takes requests; fetches and renders the charts, asks registries what exists, and gives [`DiscoveredChart`]s.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bundle_chart::{
    Certainty, Chart, ChartArtifact, Discovery, Find, Purpose, RenderOptions, Rendering, ValueSet, discover,
    render, trials,
};
use bundle_format::{Kind, Target};
use bundle_oci::{Digest, Printable, Reference};
use bundle_registry::{Client, Name, Progress};
use futures_util::StreamExt;

use super::error::{ChartCause, ChartError, ChartErrors};
use super::fetch::{Fetched, Fetcher, Place, fetch};
use super::request::{ChartRequest, ChartSource, Empty};
use crate::{Item, Lock, Pins, Platforms, Rename, Request};

/// How charts are looked into.
#[derive(Clone, Copy, Debug)]
pub struct ChartOptions {
    /// What a chart means that the lock does not know, or knows otherwise.
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

/// A chart with the images that it asks for.
#[derive(Clone, Debug)]
pub struct DiscoveredChart {
    /// The chart's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The place that asked for it.
    pub reason: String,
    /// What it is called where it comes from.
    pub source: Reference,
    /// Where the chart itself goes.
    pub target: Target,
    /// Its images.
    pub images: Vec<ChartImage>,
    /// What is likely a mistake.
    pub warnings: Vec<String>,
    platforms: Platforms,
    /// The artifact that is made of it, unless it is one already.
    pub(super) artifact: Option<ChartArtifact>,
}

/// An image that a chart asks for.
#[derive(Clone, Debug)]
pub struct ChartImage {
    /// What was found, and where.
    pub find: Find,
    /// What its registry said.
    pub confirmation: Confirmation,
    /// Where it goes.
    pub target: Target,
}

/// What is known of an image that a chart asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Somebody said that it is not wanted.
    Excluded,
    /// Its registry was not asked.
    NotAsked,
    /// It is there.
    Found,
    /// There is no such image.
    NotFound,
    /// Its registry does not say: the account may not see it, or there is none.
    Refused(String),
}

impl ChartImage {
    /// Whether it is carried.
    pub fn is_wanted(&self) -> bool {
        match self.confirmation {
            Confirmation::Excluded => false,
            Confirmation::NotAsked | Confirmation::Found => true,
            Confirmation::NotFound | Confirmation::Refused(_) => self.find.certainty == Certainty::Certain,
        }
    }
}

/// How long one chart may take to render with one set of values.
const RENDER_TIME: Duration = Duration::from_secs(60);

/// How many trials one value set gets. Large charts leave a dozen names open.
const TRIALS: usize = 40;

/// Fetches charts with all that they depend on, renders them with every set of values, and finds
/// their images.
///
/// # Errors
/// All charts whose images cannot be told, not only the first.
pub async fn discover_charts(
    client: &Client,
    requests: &[ChartRequest],
    lock: Option<&Lock>,
    options: ChartOptions,
    progress: &dyn Progress,
) -> Result<Vec<DiscoveredChart>, ChartErrors> {
    let fetcher = &Fetcher::new(client);
    let discovered: Vec<_> = futures_util::stream::iter(requests)
        .map(|request| async move {
            let one = discover_one(fetcher, request, lock, options.pins, progress).await;
            one.map_err(|cause| ChartError {
                chart: request.source.to_string(),
                reason: request.reason.clone(),
                cause,
            })
        })
        .buffered(options.jobs.max(1))
        .collect()
        .await;
    let (mut charts, mut errors) = (Vec::new(), Vec::new());
    for one in discovered {
        match one {
            Ok(chart) => charts.push(chart),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() && options.confirm == Confirm::Ask {
        errors.extend(confirm(client, &mut charts, options.jobs).await);
    }
    if errors.is_empty() { Ok(charts) } else { Err(ChartErrors(errors)) }
}

async fn discover_one(
    fetcher: &Fetcher<'_>,
    request: &ChartRequest,
    lock: Option<&Lock>,
    pins: Pins,
    progress: &dyn Progress,
) -> Result<DiscoveredChart, ChartCause> {
    let locked = lock.and_then(|lock| locked_version(lock, request));
    if pins == Pins::Demand && locked.is_none() && !request.source.is_local() {
        return Err(ChartCause::NotLocked);
    }
    let fetched = fetch(fetcher, &request.source, locked.as_deref()).await?;
    let work = {
        let request = request.clone();
        tokio::task::spawn_blocking(move || look_into(fetched, &request))
    };
    let (mut chart, notes) = work.await??;
    for note in notes {
        progress.note(&format!("chart {} {}: {note}", chart.name, chart.version));
    }
    if let Some(artifact) = &chart.artifact {
        let found = Digest::of(&artifact.manifest);
        let known = lock.and_then(|lock| lock.digest(&chart.source, &chart.target));
        match (known, pins) {
            (Some(locked), Pins::Demand) if locked != found => {
                return Err(ChartCause::Changed { locked, found });
            }
            (None, Pins::Demand) => return Err(ChartCause::NotLocked),
            (Some(locked), Pins::Prefer) if locked != found => {
                let (name, version) = (&chart.name, &chart.version);
                progress.note(&format!("chart {name} {version}: it has changed since it was locked"));
            }
            _ => {}
        }
    }
    chart.images.sort_by(|a, b| a.find.reference.cmp(&b.find.reference));
    Ok(chart)
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
        ChartSource::Path(_) => false,
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
fn look_into(fetched: Fetched, request: &ChartRequest) -> Result<(DiscoveredChart, Vec<String>), ChartCause> {
    let Fetched { chart, place } = fetched;
    let metadata = chart.metadata().clone();
    let mut notes = Vec::new();
    let mut renderings = renderings(&chart, request, &mut notes)?;
    renderings.extend(tried(&chart, request, &renderings));
    let Discovery { finds, warnings } = discover(&chart, &renderings, &bundle_chart::Limits::DEFAULT);
    if finds.is_empty() && request.empty == Empty::Refuse {
        return Err(ChartCause::NoImage);
    }
    let warnings: BTreeSet<String> = renderings
        .iter()
        .flat_map(|rendering| &rendering.warnings)
        .chain(&warnings)
        .map(ToString::to_string)
        .collect();
    let image = |find: Find| {
        let what = find.reference.to_string();
        let item = Item { reference: find.reference.clone(), rename: None };
        match item.place_by(&request.project, &request.layout) {
            Ok(target) => {
                let excluded = request.exclude.iter().any(|exclusion| exclusion.holds(&find.reference));
                let confirmation = if excluded { Confirmation::Excluded } else { Confirmation::NotAsked };
                Ok(ChartImage { find, confirmation, target })
            }
            Err(error) => Err(ChartCause::Place { what, error }),
        }
    };
    let images: Result<Vec<ChartImage>, ChartCause> = finds.into_iter().map(image).collect();
    let json = |error: serde_json::Error| ChartCause::Pack(error.into());
    let (source, artifact) = match place {
        Place::Registry(reference) => (reference, None),
        Place::Archive { source, archive, provenance } => {
            let provenance = provenance.map(Vec::from);
            let artifact = ChartArtifact::new(&metadata, archive.into(), provenance).map_err(json)?;
            (source, Some(artifact))
        }
        Place::Directory { source } => {
            let archive = chart.pack().map_err(ChartCause::Pack)?;
            (source, Some(ChartArtifact::new(&metadata, archive, None).map_err(json)?))
        }
    };
    let target =
        target(&source, request).map_err(|error| ChartCause::Place { what: metadata.name.clone(), error })?;
    let found = DiscoveredChart {
        name: metadata.name,
        version: metadata.version,
        reason: request.reason.clone(),
        source,
        target,
        images: images?,
        warnings: warnings.into_iter().collect(),
        platforms: request.platforms.clone(),
        artifact,
    };
    Ok((found, notes))
}

/// Renders with the defaults, with the values that were given, and with each further set. Once
/// values are given, nobody will install with the defaults alone: what only they ask for is less
/// certain, and it is no error if they do not render.
fn renderings(
    chart: &Chart,
    request: &ChartRequest,
    notes: &mut Vec<String>,
) -> Result<Vec<Rendering>, ChartCause> {
    let purpose = if request.values.is_empty() { Purpose::Install } else { Purpose::Discovery };
    let mut renderings = Vec::new();
    for set in sets(request, purpose) {
        match render(chart, &set, &render_options(request)) {
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

/// Renders what may tell how the chart completes the names that its values leave open: all at once,
/// and one by one where that does not go together. It is no error if none renders: then they are guessed.
fn tried(chart: &Chart, request: &ChartRequest, renderings: &[Rendering]) -> Vec<Rendering> {
    // One time for all: they are worth no more than the chart itself.
    let options = render_options(request);
    let trials = trials(chart, renderings, &options.limits);
    let mut tried = Vec::new();
    for set in sets(request, Purpose::Trial) {
        let own: Vec<_> = trials.iter().filter(|trial| trial.value_set == set.name).collect();
        let with = |more: Vec<String>| {
            let set =
                ValueSet { purpose: Purpose::Trial, set: [set.set.clone(), more].concat(), ..set.clone() };
            render(chart, &set, &options).ok()
        };
        if own.is_empty() {
            continue;
        }
        match with(own.iter().flat_map(|trial| trial.set.clone()).collect()) {
            Some(rendering) => tried.push(rendering),
            None => tried.extend(own.iter().take(TRIALS).filter_map(|trial| with(trial.set.clone()))),
        }
    }
    tried
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
        kube_version: request.kube_version.clone(),
        api_versions: request.api_versions.clone(),
        deadline: Some(Instant::now() + RENDER_TIME),
        ..RenderOptions::default()
    }
}

/// Where the chart itself goes: in `cache` under where it comes from, elsewhere under `charts/`.
fn target(source: &Reference, request: &ChartRequest) -> Result<Target, crate::ItemError> {
    let has_home = !matches!(request.source, ChartSource::Path(_));
    let rename: Option<Rename> = match request.project.is_cache() && has_home {
        true => None,
        false => Some(format!("charts/{}", source.repository().last_component()).parse()?),
    };
    Item { reference: source.clone(), rename }.place_by(&request.project, &request.layout)
}

/// Asks registries for what only looks like an image; each once.
async fn confirm(client: &Client, charts: &mut [DiscoveredChart], jobs: usize) -> Vec<ChartError> {
    let mut asked: BTreeMap<Reference, (String, String)> = BTreeMap::new();
    for chart in charts.iter() {
        let open = |image: &&ChartImage| {
            image.find.certainty == Certainty::Probable && image.confirmation == Confirmation::NotAsked
        };
        for image in chart.images.iter().filter(open) {
            let who = (format!("{} {}", chart.name, chart.version), chart.reason.clone());
            asked.entry(image.find.reference.clone()).or_insert(who);
        }
    }
    let answers: Vec<_> = futures_util::stream::iter(asked)
        .map(|(reference, who)| async move {
            let name = Name::of(&reference);
            let found = client.manifest_exists(reference.registry(), reference.repository(), &name).await;
            (reference, who, found)
        })
        .buffer_unordered(jobs.max(1))
        .collect()
        .await;
    let mut known: HashMap<Reference, Confirmation> = HashMap::new();
    let mut errors = Vec::new();
    for (reference, (chart, reason), found) in answers {
        let confirmation = match found {
            Ok(Some(_)) => Confirmation::Found,
            Ok(None) => Confirmation::NotFound,
            // Docker Hub says 401 to strangers who ask for what is not there, others say 403.
            Err(error) if matches!(error.status(), Some(401 | 403)) => {
                Confirmation::Refused(error.to_string())
            }
            // What only looks like an image may name a host that is none.
            Err(bundle_registry::Error::NotARegistry { .. }) => Confirmation::NotFound,
            Err(error) => {
                let cause = ChartCause::Confirm { image: reference, error };
                errors.push(ChartError { chart, reason, cause });
                continue;
            }
        };
        known.insert(reference, confirmation);
    }
    for image in charts.iter_mut().flat_map(|chart| &mut chart.images) {
        if image.confirmation != Confirmation::Excluded
            && let Some(confirmation) = known.get(&image.find.reference)
        {
            image.confirmation = confirmation.clone();
        }
    }
    errors
}

/// How many places of an image a bundle tells.
const PLACES: usize = 10;

impl DiscoveredChart {
    /// What the bundle carries for it: its images, and itself if it is in a registry.
    pub fn requests(&self) -> Vec<Request> {
        let mut requests: Vec<Request> = Vec::new();
        if self.artifact.is_none() {
            requests.push(Request {
                reference: self.source.clone(),
                target: self.target.clone(),
                platforms: self.platforms.clone(),
                reasons: vec![self.reason.clone()],
            });
        }
        for image in self.images.iter().filter(|image| image.is_wanted()) {
            let places = image.find.places.iter();
            let mut reasons: Vec<String> =
                places.map(|place| format!("chart {} {}: {place}", self.name, self.version)).collect();
            if let Some(more) = reasons.len().checked_sub(PLACES).filter(|more| *more > 0) {
                reasons.truncate(PLACES);
                reasons.push(format!("chart {} {}: and {more} more places", self.name, self.version));
            }
            requests.push(Request {
                reference: image.find.reference.clone(),
                target: image.target.clone(),
                platforms: self.platforms.clone(),
                reasons: reasons.iter().map(|reason| Printable(reason).to_string()).collect(),
            });
        }
        requests
    }
}
