//! The one way from what people ask for to a plan: look into charts, merge what they ask for with the
//! rest, keep to the lock, resolve, and order. `bundle create`, its dry run, `bundle lock`, `bundle images`
//! and the scheduled export call it, so that the same request gives the same bytes and the same notices.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bundle_format::{Limits, StreamName};
use bundle_oci::ParseMediaTypeError;
use bundle_registry::{Client, Progress};

use crate::chart::discover_charts;
use crate::local::{attach_sboms, open_all};
use crate::resolve::Known;
use crate::tags::{TagSources, expand};
use crate::{
    ChartErrors, ChartOptions, ChartRequest, Config, ConfigError, Confirm, Conflict, DiscoveredChart,
    Exclude, LocalError, LocalRequest, Lock, LockPattern, MissingImages, Notice, Pins, Plan, PlanError,
    Platforms, PolicyOverride, Request, ResolveErrors, ResolveOptions, SignatureCheck, Sources,
    StatementHead, TagErrors, TagPattern, UpstreamPolicy, is_excluded, merge, resolve,
};

/// The request before any network access: images, and charts that have not been rendered.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The images, each target once.
    pub requests: Vec<Request>,
    /// The choices of tags.
    pub patterns: Vec<TagPattern>,
    /// The charts.
    pub charts: Vec<ChartRequest>,
    /// The images and files of this machine.
    pub locals: Vec<LocalRequest>,
    /// The stream that a bundle.yaml names.
    pub stream: Option<StreamName>,
    /// How a bundle.yaml says that registries are reached.
    pub sources: Sources,
    /// The rules about publishers' signatures.
    pub upstream: UpstreamPolicy,
    /// The directory of SBOMs for images that carry none.
    pub sboms: Option<PathBuf>,
    /// All images that are excluded, with their places: for notices about those that there are not.
    pub excludes: Vec<Exclude>,
}

impl From<Config> for Asked {
    fn from(config: Config) -> Self {
        Self {
            requests: config.requests,
            patterns: config.patterns,
            charts: config.charts,
            locals: config.locals,
            stream: config.name,
            sources: config.sources,
            upstream: config.upstream,
            sboms: config.sboms,
            excludes: config.excludes,
        }
    }
}

impl Asked {
    /// Whether it asks for nothing at all.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
            && self.patterns.is_empty()
            && self.charts.is_empty()
            && self.locals.is_empty()
    }

    /// Excludes images from everything that is asked for so far.
    pub fn leave_out(&mut self, excludes: &[Exclude]) {
        self.requests.retain(|request| !is_excluded(excludes, &request.reference));
        self.patterns.iter_mut().for_each(|pattern| pattern.exclude.extend_from_slice(excludes));
        self.charts.iter_mut().for_each(|chart| chart.exclude.extend_from_slice(excludes));
        self.excludes.extend_from_slice(excludes);
    }

    /// Chooses these platforms of every image.
    pub fn choose(&mut self, platforms: &Platforms) {
        let requests = self.requests.iter_mut().map(|request| &mut request.platforms);
        let patterns = self.patterns.iter_mut().map(|pattern| &mut pattern.platforms);
        let charts = self.charts.iter_mut().map(|chart| &mut chart.platforms);
        let locals = self.locals.iter_mut().map(|local| &mut local.platforms);
        let images = requests.chain(patterns).chain(charts).chain(locals);
        images.for_each(|chosen| *chosen = platforms.clone());
    }

    /// Chooses what becomes of images that are gone.
    pub fn treat_missing(&mut self, missing: MissingImages) {
        let requests = self.requests.iter_mut().map(|request| &mut request.policy);
        let patterns = self.patterns.iter_mut().map(|pattern| &mut pattern.policy);
        let charts = self.charts.iter_mut().map(|chart| &mut chart.policy);
        requests.chain(patterns).chain(charts).for_each(|policy| policy.missing_images = missing);
    }
}

/// A lock beside what is asked for, and the name of its file.
#[derive(Clone, Debug)]
pub struct LockBeside {
    /// The file.
    pub path: PathBuf,
    /// The lock.
    pub lock: Lock,
}

impl LockBeside {
    /// Reads the lock at `path`. A missing file gives none, unless the pins are demanded.
    ///
    /// # Errors
    /// [`AssembleError::NoLock`], or the lock cannot be used.
    pub fn read(path: &Path, pins: Pins) -> Result<Option<Self>, AssembleError> {
        if path.symlink_metadata().is_err() {
            return match pins {
                Pins::Prefer => Ok(None),
                Pins::Demand => Err(AssembleError::NoLock(path.to_owned())),
            };
        }
        Ok(Some(Self { path: path.to_owned(), lock: Lock::load(path)? }))
    }

    /// The lock that belongs to a bundle.yaml: `bundle.lock` beside it.
    pub fn path_of(file: &Path) -> PathBuf {
        file.with_extension("lock")
    }
}

/// How a bundle is put together.
#[derive(Debug)]
pub struct Assembly<'a> {
    /// The client for the registries.
    pub client: &'a Client,
    /// The lock to keep to, if there is one.
    pub lock: Option<LockBeside>,
    /// What an earlier run found, for images whose tags are gone now; beside the lock.
    pub earlier: Option<Lock>,
    /// The treatment of images that are missing from the lock, or whose digest is gone.
    pub pins: Pins,
    /// The command line's policy, which overrides the files'.
    pub overrule: PolicyOverride,
    /// Whether registries are asked for images of charts that only look like some.
    pub confirm: Confirm,
    /// How much is looked up at once.
    pub jobs: usize,
    /// How long what a registry said of referrers in an earlier run counts at most; zero to ask each time.
    pub referrers_max_age: Duration,
}

/// The request with the charts rendered: everything that is known before a digest is resolved.
#[derive(Debug)]
pub struct Discovered {
    /// The images that are asked for beside those of charts, those of this machine and of choices of tags among them.
    pub requests: Vec<Request>,
    /// The choices of tags that nobody resolved, because registries are not asked.
    pub patterns: Vec<TagPattern>,
    /// What the other choices came to.
    pub locked: Vec<LockPattern>,
    /// The charts, with the images that they ask for.
    pub charts: Vec<DiscoveredChart>,
    /// Notices about the charts, and about what is excluded.
    pub notices: Vec<Notice>,
}

/// A plan, and its notices.
#[derive(Debug)]
pub struct Assembled {
    /// The bundle, before its first byte moves.
    pub plan: Plan,
    /// Notices for the user, in the order of their finding.
    pub notices: Vec<Notice>,
    /// What came of the checks of publishers' signatures, for each image that a rule is about.
    pub signatures: Vec<SignatureCheck>,
}

/// Why what is asked for makes no plan.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// There is no lock, and it is demanded.
    #[error("{} does not exist, and the images must be exactly those of the lockfile", .0.display())]
    NoLock(PathBuf),
    /// The lock, or a file of people's, cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Charts cannot be looked into.
    #[error(transparent)]
    Charts(#[from] ChartErrors),
    /// A local source cannot be used.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// Two images for one target.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Choices of tags come to nothing.
    #[error(transparent)]
    Tags(#[from] TagErrors),
    /// All images are gone, and left out.
    #[error("all images ({0}) are gone at their registries, and there is no bundle of nothing")]
    NothingLeft(usize),
    /// Images cannot be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveErrors),
    /// A chart makes no artifact.
    #[error("a chart cannot be added to the bundle")]
    Chart(#[from] ParseMediaTypeError),
    /// The resolved images make no bundle.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Assembly<'_> {
    /// Opens what is on this machine, looks into the charts, and chooses among tags.
    ///
    /// # Errors
    /// [`AssembleError::Local`], [`AssembleError::Charts`] or [`AssembleError::Tags`].
    pub async fn discover(&self, asked: Asked) -> Result<Discovered, AssembleError> {
        let options = ChartOptions { pins: self.pins, confirm: self.confirm, jobs: self.jobs };
        let lock = self.lock.as_ref().map(|beside| &beside.lock);
        let charts = discover_charts(self.client, &asked.charts, lock, options).await?;
        let mut notices: Vec<Notice> = charts.iter().flat_map(Notice::of_chart).collect();
        let Asked { mut requests, mut patterns, locals, excludes, .. } = asked;
        requests.extend(open_all(self.client, &locals).await?);
        let mut locked = Vec::new();
        if self.confirm == Confirm::Ask {
            let (client, earlier) = (self.client, self.earlier.as_ref());
            let sources = TagSources { client, lock, earlier, pins: self.pins, jobs: self.jobs };
            let expanded = expand(&patterns, sources).await?;
            requests.extend(expanded.requests);
            notices.extend(expanded.notices);
            locked = expanded.locked;
            patterns.clear();
        }
        // Which tags these exclude is not known.
        patterns.iter().flat_map(|pattern| &pattern.exclude).for_each(Exclude::count);
        notices.extend(excludes.iter().filter_map(Exclude::unused));
        Ok(Discovered { requests, patterns, locked, charts, notices })
    }

    /// Puts a bundle together, as far as its first byte.
    ///
    /// # Errors
    /// Any [`AssembleError`] but of the lock's file.
    pub async fn plan(
        &self,
        asked: Asked,
        head: &StatementHead,
        progress: &dyn Progress,
    ) -> Result<Assembled, AssembleError> {
        let (upstream, sboms) = (asked.upstream.clone(), asked.sboms.clone());
        let Discovered { mut requests, locked, charts, mut notices, .. } = self.discover(asked).await?;
        requests.extend(charts.iter().flat_map(DiscoveredChart::requests));
        let mut requests = merge(requests)?;
        for request in &mut requests {
            if !request.is_file() {
                request.policy = request.policy.with(self.overrule);
            }
        }
        let pins = self.lock.as_ref().map(|beside| beside.lock.pins(&requests)).unwrap_or_default();
        if let (Some(beside), false) = (&self.lock, pins.is_empty()) {
            let lock = beside.path.display().to_string();
            notices.push(Notice::KeptToLock { kept: pins.len(), of: requests.len(), lock });
        }
        let options =
            ResolveOptions { pins: self.pins, jobs: self.jobs, referrers_max_age: self.referrers_max_age };
        let lock = self.lock.as_ref().map(|beside| &beside.lock);
        let known = Known { pins: &pins, lock, earlier: self.earlier.as_ref() };
        let mut resolved = resolve(self.client, &requests, known, &upstream, options, progress).await?;
        charts.iter().try_for_each(|chart| chart.add_to(&mut resolved))?;
        if let Some(directory) = &sboms {
            let attached = attach_sboms(directory, &mut resolved)?;
            tracing::info!(directory = %directory.display(), manifests = attached, "SBOMs attached");
        }
        let missing = notices.iter().chain(&resolved.notices).filter_map(Notice::missing).count();
        if resolved.artifacts.is_empty() && missing > 0 {
            return Err(AssembleError::NothingLeft(missing));
        }
        resolved.patterns = locked;
        let signatures = std::mem::take(&mut resolved.signatures);
        notices.append(&mut resolved.notices);
        let plan = Plan::new(resolved, head, &Limits::V1)?;
        notices.extend(plan.foreign_layers());
        tracing::info!(
            requests = requests.len(),
            locked = pins.len(),
            artifacts = plan.statement().artifacts.len(),
            blobs = plan.statement().blobs.len(),
            "planned"
        );
        Ok(Assembled { plan, notices, signatures })
    }
}
