//! One import from beginning to end: compares a bundle with its destination, and then delivers it,
//! remembers it, sets tags, looks at all of it again and gives a receipt.

use std::path::PathBuf;
use std::sync::Arc;

use bundle_format::{Override, Receipt, SiteName, Timestamp};
use bundle_harbor::Harbor;
use bundle_oci::Registry;
use bundle_registry::{Error, Progress};

use crate::{
    Bundle, ConfirmError, Destination, Diagnosis, HarborPlan, HarborSettings, ImportPlan, Limits, Memory,
    MemoryError, Obstacle, OnExistingTag, PUSH_RIGHTS, PlanError, Portion, Progressed, PushError, Pushed,
    QuotaCheck, ReceiptDraft, Remaining, Report, Rollback, ScanPatience, ScanReport, ScanTargets, SeedError,
    Share, StateFile, TrivyDatabases, diagnose, policies, push, scan_report, seed,
};

/// How a bundle is delivered.
#[derive(Clone, Debug)]
pub struct DeliveryOptions {
    /// What becomes of tags that are there with another digest.
    pub on_existing: OnExistingTag,
    /// Whether a bundle that may not fit into a Harbor's quotas is tried.
    pub quota: QuotaCheck,
    /// How a Harbor's projects are run.
    pub settings: HarborSettings,
    /// Whether the rules of streams are set aside.
    pub rollback: Rollback,
    /// The part of the bundle that is delivered.
    pub portion: Portion,
    /// What the site is called in the receipt; none if no receipt is wanted.
    pub receipt: Option<SiteName>,
    /// How long a Harbor's scans are waited for; none if nobody asked.
    pub patience: Option<ScanPatience>,
    /// The file that remembers the newest bundle of each stream.
    pub state: PathBuf,
    /// How much is done at once.
    pub jobs: usize,
    /// How a Harbor is asked; [`Limits::DEFAULT`] unless there is a reason.
    pub limits: Limits,
}

/// A bundle and what will be done with it: nothing is written yet.
#[derive(Debug)]
pub struct Delivery {
    bundle: Bundle,
    destination: Destination,
    memory: Memory,
    overrides: Vec<Override>,
    plan: DeliveryPlan,
}

/// What will be done at a destination.
#[derive(Clone, Debug)]
pub enum DeliveryPlan {
    /// At any registry.
    Plain(ImportPlan),
    /// At a Harbor.
    Harbor(Box<HarborPlan>),
}

impl DeliveryPlan {
    /// What becomes of the artifacts.
    pub fn import(&self) -> &ImportPlan {
        match self {
            Self::Plain(import) => import,
            Self::Harbor(harbor) => &harbor.import,
        }
    }
}

/// How a delivery ended.
#[derive(Debug)]
pub enum Arrival {
    /// All of the bundle is in place.
    Whole(Box<Arrived>),
    /// Some blobs are still to come, and no tag is set.
    Part(Remaining),
}

/// What is in place.
#[derive(Debug)]
pub struct Arrived {
    /// What was done.
    pub report: Report,
    /// The receipt, if one was wanted.
    pub receipt: Option<Receipt>,
    /// What a Harbor's scanners say, as far as anybody asked.
    pub scans: Option<ScanReport>,
    /// The databases for Trivy that the bundle brought.
    pub databases: TrivyDatabases,
}

/// Why a bundle is not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Its stream does not allow it, or cannot be remembered.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// It does not fit the destination.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Something at the Harbor stands in the way; nothing was written.
    #[error("{} obstacles at {host}", .obstacles.len())]
    Obstacles {
        /// What stands in the way.
        obstacles: Vec<Obstacle>,
        /// The Harbor.
        host: Registry,
    },
    /// The Harbor's projects cannot be made as they should be.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// Its content cannot be put in place.
    #[error("{error}")]
    Push {
        /// What happened.
        #[source]
        error: PushError,
        /// What is behind it, if a Harbor told.
        diagnosis: Option<Diagnosis>,
        /// The registry.
        host: Registry,
    },
    /// The Harbor cannot be asked for its scans or policies.
    #[error(transparent)]
    Harbor(Error),
    /// What was delivered is no longer there.
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
}

impl Delivery {
    /// Compares a bundle with what is remembered of its stream and with what the destination has.
    ///
    /// # Errors
    /// Any [`DeliveryError`] but those of carrying it out. Obstacles at a Harbor are in the plan.
    pub async fn plan(
        bundle: Bundle,
        destination: Destination,
        state: StateFile,
        options: &DeliveryOptions,
    ) -> Result<Self, DeliveryError> {
        let (on_existing, jobs) = (options.on_existing, options.jobs);
        let expired = bundle.trusted().is_expired();
        let (memory, overrides, plan) = match &destination {
            Destination::Plain { client, registry } => {
                let memory = Memory::recall(state, &bundle, &destination).await?;
                let overrides = memory.judge(expired, &options.rollback)?;
                let plan = ImportPlan::against(&bundle, client, registry, on_existing, jobs).await?;
                (memory, overrides, DeliveryPlan::Plain(plan))
            }
            Destination::Harbor(harbor) => {
                let plan =
                    HarborPlan::against(&bundle, harbor, &options.settings, on_existing, options.quota, jobs);
                let plan = match plan.await {
                    Ok(plan) => plan,
                    // A bundle that is too old waits for nothing: its base need not come any more.
                    Err(error @ PlanError::Base { .. }) => {
                        let memory = Memory::recall(state, &bundle, &destination).await?;
                        memory.judge(expired, &options.rollback)?;
                        return Err(error.into());
                    }
                    Err(error) => return Err(error.into()),
                };
                // Whether a stream goes back is the graver question, if it can be asked at all.
                let memory = match plan.obstacles.is_empty() {
                    true => Memory::recall(state, &bundle, &destination).await?,
                    false => Memory::of_file(state, &bundle, harbor.registry()),
                };
                let overrides = memory.judge(expired, &options.rollback)?;
                (memory, overrides, DeliveryPlan::Harbor(Box::new(plan)))
            }
        };
        Ok(Self { bundle, destination, memory, overrides, plan })
    }

    /// What will be done at the destination.
    pub fn steps(&self) -> &DeliveryPlan {
        &self.plan
    }

    /// What is known of the bundle's stream.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Delivers the bundle: a Harbor's projects, blobs, manifests; then, once it is remembered, tags;
    /// and looks at all of it again.
    ///
    /// # Errors
    /// Any [`DeliveryError`]; a second run goes on where this one ended.
    pub async fn carry_out(
        self,
        options: &DeliveryOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<Arrival, DeliveryError> {
        let Self { bundle, destination, mut memory, overrides, plan } = self;
        let (registry, jobs) = (destination.registry().clone(), options.jobs);
        let draft = options.receipt.clone().map(|site| {
            ReceiptDraft::new(&bundle, plan.import(), &registry, site, memory.newest(), overrides)
        });
        let targets = ScanTargets::of(&bundle, plan.import());
        let databases = TrivyDatabases::of(bundle.statement());
        if let (DeliveryPlan::Harbor(plan), Destination::Harbor(harbor)) = (&plan, &destination) {
            if !plan.obstacles.is_empty() {
                return Err(DeliveryError::Obstacles { obstacles: plan.obstacles.clone(), host: registry });
            }
            seed(harbor, &plan.survey.account, &plan.seed, &options.settings, &PUSH_RIGHTS).await?;
        }
        let pushed = push(
            bundle,
            plan.import(),
            &destination,
            &options.portion,
            jobs,
            &options.limits,
            progress.clone(),
        )
        .await;
        let pushed: Pushed = match pushed {
            Ok(Progressed::All(pushed)) => *pushed,
            Ok(Progressed::Part(remaining)) => return Ok(Arrival::Part(remaining)),
            Err(error) => return Err(explained(error, &destination).await),
        };
        // Those who share the work do not hold the state until one of them is the last.
        if options.portion.share != Share::All {
            let waiting = || progress.note("waiting for another import to end");
            let state = StateFile::open(&options.state, waiting).map_err(MemoryError::State)?;
            memory.lock(state, &registry);
        }
        memory.accept(&destination, &options.rollback).await?;
        let report = match pushed.set_tags(plan.import(), &destination, jobs).await {
            Ok(report) => report,
            Err(error) => return Err(explained(error, &destination).await),
        };
        let (receipt, scans) = confirm(draft, targets, &plan, &destination, options).await?;
        Ok(Arrival::Whole(Box::new(Arrived { report, receipt, scans, databases })))
    }
}

/// A push that failed, with what a Harbor tells when it is asked why.
async fn explained(error: PushError, destination: &Destination) -> DeliveryError {
    let diagnosis = match destination {
        Destination::Harbor(harbor) => diagnose(harbor, &error).await,
        Destination::Plain { .. } => None,
    };
    DeliveryError::Push { error, diagnosis, host: destination.registry().clone() }
}

/// Looks at what was delivered, and what a Harbor makes of it.
async fn confirm(
    draft: Option<ReceiptDraft>,
    targets: ScanTargets,
    plan: &DeliveryPlan,
    destination: &Destination,
    options: &DeliveryOptions,
) -> Result<(Option<Receipt>, Option<ScanReport>), DeliveryError> {
    let (mut draft, mut scans) = (draft, None);
    if let (DeliveryPlan::Harbor(plan), Destination::Harbor(harbor)) = (plan, destination) {
        // Without a word about scans, a receipt says what is known of them now.
        let patience = options.patience.or_else(|| draft.as_ref().map(|_| ScanPatience::Look));
        if let Some(patience) = patience {
            let report =
                scan_report(targets, harbor, &plan.survey.account, patience, options.jobs, &options.limits)
                    .await;
            scans = Some(report.map_err(DeliveryError::Harbor)?);
        }
        if let Some(with) = draft.take() {
            let with = with.with_policies(project_policies(plan, harbor).await?);
            draft = Some(match &scans {
                Some(scans) => with.with_scans(scans),
                None => with,
            });
        }
    }
    let receipt = match draft {
        Some(draft) => Some(draft.confirm(destination, Timestamp::now(), options.jobs).await?),
        None => None,
    };
    Ok((receipt, scans))
}

async fn project_policies(
    plan: &HarborPlan,
    harbor: &Harbor,
) -> Result<std::collections::BTreeMap<bundle_oci::ProjectName, bundle_format::ProjectPolicy>, DeliveryError>
{
    let projects = plan.survey.projects.iter().map(|(name, _)| name.clone());
    policies(harbor, &plan.survey.account, projects).await.map_err(DeliveryError::Harbor)
}
