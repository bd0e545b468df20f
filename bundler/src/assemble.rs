//! The one way from what people ask for to a plan: look into charts, merge what they ask for with the
//! rest, keep to the lock, resolve, and order. `bundle create`, its dry run, `bundle lock`, `bundle images`
//! and the scheduled export call it, so that the same request gives the same bytes and the same notices.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bundle_format::{Limits, StreamName};
use bundle_oci::ParseMediaTypeError;
use bundle_registry::{Client, Progress};

use crate::chart::discover_charts;
use crate::local::open_all;
use crate::{
    ChartErrors, ChartOptions, ChartRequest, Config, ConfigError, Confirm, Conflict, DiscoveredChart,
    LocalError, LocalRequest, Lock, Notice, Pins, Plan, PlanError, PolicyOverride, Request, ResolveErrors,
    ResolveOptions, StatementHead, merge, resolve,
};

/// The request before any network access: images, and charts that have not been rendered.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The images, each target once.
    pub requests: Vec<Request>,
    /// The charts.
    pub charts: Vec<ChartRequest>,
    /// The images and files of this machine.
    pub locals: Vec<LocalRequest>,
    /// The stream that a bundle.yaml names.
    pub stream: Option<StreamName>,
}

impl From<Config> for Asked {
    fn from(config: Config) -> Self {
        Self { requests: config.requests, charts: config.charts, locals: config.locals, stream: config.name }
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
    /// The images that are asked for beside those of charts, those of this machine among them.
    pub requests: Vec<Request>,
    /// The charts, with the images that they ask for.
    pub charts: Vec<DiscoveredChart>,
    /// Notices about the charts.
    pub notices: Vec<Notice>,
}

/// A plan, and its notices.
#[derive(Debug)]
pub struct Assembled {
    /// The bundle, before its first byte moves.
    pub plan: Plan,
    /// Notices for the user, in the order of their finding.
    pub notices: Vec<Notice>,
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
    /// Opens what is on this machine, and looks into the charts.
    ///
    /// # Errors
    /// [`AssembleError::Local`], [`AssembleError::Charts`].
    pub async fn discover(&self, asked: Asked) -> Result<Discovered, AssembleError> {
        let options = ChartOptions { pins: self.pins, confirm: self.confirm, jobs: self.jobs };
        let lock = self.lock.as_ref().map(|beside| &beside.lock);
        let charts = discover_charts(self.client, &asked.charts, lock, options).await?;
        let notices = charts.iter().flat_map(Notice::of_chart).collect();
        let mut requests = asked.requests;
        requests.extend(open_all(self.client, &asked.locals).await?);
        Ok(Discovered { requests, charts, notices })
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
        let Discovered { mut requests, charts, mut notices } = self.discover(asked).await?;
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
        let mut resolved = resolve(self.client, &requests, &pins, options, progress).await?;
        charts.iter().try_for_each(|chart| chart.add_to(&mut resolved))?;
        notices.append(&mut resolved.notices);
        let plan = Plan::new(resolved, head, &Limits::V1)?;
        notices.extend(plan.foreign_layers());
        Ok(Assembled { plan, notices })
    }
}
