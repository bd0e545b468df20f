//! One import from beginning to end: compares a bundle with its destination, and then delivers it,
//! remembers it, sets tags, looks at all of it again and gives a receipt.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use bundle_format::{BundleId, Override, Receipt, SiteName, Statement, Target, Timestamp};
use bundle_oci::{ProjectName, Registry};
use bundle_registry::{Error, Progress, Stop};
use bundle_trust::Signer;
use tracing::info;

use crate::{
    Bundle, Cause, ConfirmError, ConfirmRequest, Decision, Destination, Finding, HistoryError, HistoryNotice,
    ImportPlan, Limits, OnExistingTag, OnFailure, Outlook, PlanError, Portion, Preparation, PrepareError,
    Progressed, ProveError, PushError, Pushed, ReceiptDraft, Record, Remaining, Report, Rollback, ScanReport,
    Shard, StateFile, StreamHistory, prove, push,
};

/// The options of a delivery, for any destination.
#[derive(Clone, Debug)]
pub struct DeliveryOptions {
    /// The treatment of tags that exist with another digest.
    pub on_existing: OnExistingTag,
    /// The targets that are delivered; all, if it does not say. The others are omitted.
    pub only: Option<HashSet<Target>>,
    /// The treatment of the other artifacts if one cannot be stored.
    pub on_failure: OnFailure,
    /// Whether the rules of streams are set aside.
    pub rollback: Rollback,
    /// Whether a bundle may be made later than this machine's clock says that it is.
    pub allow_future: bool,
    /// The part of the bundle that is delivered.
    pub portion: Portion,
    /// The site's name in the receipt; none if no receipt is wanted.
    pub receipt: Option<SiteName>,
    /// Whether all that the receipt is for is read back and hashed.
    pub prove: bool,
    /// The site's key, which signs receipts: it signs the records in the registry too, and only records that
    /// it signed count.
    pub site_key: Option<Arc<Signer>>,
    /// The file that remembers the newest bundle of each stream.
    pub state: PathBuf,
    /// How much is done at once.
    pub jobs: usize,
    /// Whether more small requests than these are made at once over a long line.
    pub adapts_jobs: bool,
    /// Ends the delivery wherever it is, as if the program were killed: a second run goes on there.
    pub stop: Stop,
    /// The bounds of the import; [`Limits::DEFAULT`] unless there is a reason.
    pub limits: Limits,
}

impl DeliveryOptions {
    /// Whether an artifact is to be delivered.
    pub(crate) fn asks_for(&self, target: &Target) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(target))
    }

    /// The projects that are written to, with those of the stream's record.
    fn projects(&self, statement: &Statement) -> BTreeSet<ProjectName> {
        let targets = statement.artifacts.iter().map(|artifact| &artifact.target);
        let asked = targets.filter(|target| self.asks_for(target)).map(|target| target.project.clone());
        asked.chain(Record::of(statement).projects().iter().cloned()).collect()
    }
}

/// A bundle and what will be done with it: nothing is written yet. The plan, and what the destination
/// prepares, were made for this bundle at this destination, and cannot be exchanged.
#[derive(Debug)]
pub struct Delivery {
    bundle: Bundle,
    destination: Arc<dyn Destination>,
    history: StreamHistory,
    overrides: Vec<Override>,
    preparation: Box<dyn Preparation>,
    import: ImportPlan,
    findings: Vec<Finding>,
}

/// How a delivery ended.
#[derive(Debug)]
pub enum Arrival {
    /// All of the bundle is in place.
    Whole(Box<Arrived>),
    /// Some blobs are still to come, and no tag is set.
    Part(Remaining),
}

/// The result of an import.
#[derive(Debug)]
pub struct Arrived {
    /// The counts of the import.
    pub report: Report,
    /// The receipt, if one was wanted.
    pub receipt: Option<Receipt>,
    /// The scanners' results, if a scan report was requested.
    pub scans: Option<ScanReport>,
}

/// Why a bundle is not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Its stream does not allow it, or cannot be remembered.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// It was made with a clock that is ahead of this machine's: nothing newer would be accepted until then.
    #[error(
        "bundle {id} was made at {created}, more than a day ahead of this machine's clock, which says {now}; \
         accepted, it would keep every other bundle of its stream out until then"
    )]
    Future {
        /// The bundle.
        id: BundleId,
        /// When it says that it was made.
        created: Timestamp,
        /// The present time.
        now: Timestamp,
    },
    /// It does not fit the destination.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Preflight checks failed; nothing was written.
    #[error("{} preflight checks failed at {host}", .findings.len())]
    Findings {
        /// Which.
        findings: Vec<Finding>,
        /// The destination.
        host: Registry,
    },
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
    /// The destination cannot be prepared.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The bundle's content cannot be put in place.
    #[error("{error}")]
    Push {
        /// The error.
        #[source]
        error: PushError,
        /// The cause that the destination gave, if it could be asked.
        cause: Option<Cause>,
        /// The destination.
        host: Registry,
    },
    /// The destination cannot be asked for its scans or policies.
    #[error(transparent)]
    Confirmation(Error),
    /// The registry's content differs from the bundle, or cannot be read back.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// The delivered content is no longer there.
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
}

/// Logs the decision for each artifact, and the preflight checks that failed.
fn log_plan(import: &ImportPlan, findings: &[Finding]) {
    for step in &import.steps {
        let (target, digest) = (&step.target, step.digest);
        match step.decision {
            Decision::Present => info!(%target, %digest, "present already"),
            Decision::Push => info!(%target, %digest, "will be pushed"),
            Decision::Move(from) => info!(%target, %digest, %from, "tag will move"),
            Decision::Skip(found) => info!(%target, %digest, %found, "skipped: the tag has another digest"),
            Decision::Omit => info!(%target, %digest, "skipped: not asked for"),
        }
    }
    for finding in findings {
        info!(finding = ?finding, "preflight check failed");
    }
}

impl Delivery {
    /// Compares a bundle with what is remembered of its stream and with what the destination has.
    ///
    /// # Errors
    /// Any [`DeliveryError`] but those of carrying it out. Preflight checks that failed are in
    /// [`Delivery::findings`].
    pub async fn plan(
        bundle: Bundle,
        destination: Arc<dyn Destination>,
        state: StateFile,
        options: &DeliveryOptions,
    ) -> Result<Self, DeliveryError> {
        let (created, now) = (bundle.statement().created, Timestamp::now());
        if !options.allow_future && created.unix() > now.unix().saturating_add(options.limits.ahead) {
            let id = BundleId::of(bundle.statement(), bundle.trusted().digest());
            return Err(DeliveryError::Future { id, created, now });
        }
        let projects = options.projects(bundle.statement());
        let expired = bundle.trusted().is_expired();
        let site = || options.site_key.clone();
        let mut preparation = destination.prepare(projects, options.jobs).await.map_err(PlanError::from)?;
        let mut findings = preparation.findings().to_vec();
        let import = ImportPlan::against(&bundle, &*destination, &*preparation, options, &mut findings);
        let import = match import.await {
            Ok(import) => import,
            // A bundle that is too old waits for nothing: its base need not come any more.
            Err(error @ PlanError::Base { .. }) => {
                let history = StreamHistory::recall(state, &bundle, &*destination, site()).await?;
                history.judge(expired, &options.rollback)?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let known = preparation.findings().len();
        preparation.weigh(&bundle, &import);
        findings.extend_from_slice(preparation.findings().get(known..).unwrap_or_default());
        // Whether a stream goes back is the graver question, if it can be asked at all.
        let mut history = match findings.iter().all(Finding::is_about_a_tag) {
            true => StreamHistory::recall(state, &bundle, &*destination, site()).await?,
            false => StreamHistory::of_file(state, &bundle, &destination.root(), site()),
        };
        history.ignore(import.ignored.clone());
        let overrides = history.judge(expired, &options.rollback)?;
        log_plan(&import, &findings);
        Ok(Self { bundle, destination, history, overrides, preparation, import, findings })
    }

    /// The plan for the artifacts.
    pub fn import(&self) -> &ImportPlan {
        &self.import
    }

    /// The preflight checks that failed: with one of these, nothing is written.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The destination's description of itself, if it has more than any registry.
    pub fn outlook(&self) -> Option<&Outlook> {
        self.preparation.outlook()
    }

    /// The history of the bundle's stream.
    pub fn history(&self) -> &StreamHistory {
        &self.history
    }

    /// Delivers the bundle: prepares the destination, puts blobs and manifests; then, once the bundle
    /// is remembered, sets tags; and looks at all of it again.
    ///
    /// # Errors
    /// Any [`DeliveryError`]; a second run goes on where this one ended.
    pub async fn carry_out(
        self,
        options: &DeliveryOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<Arrival, DeliveryError> {
        // Not everything that takes long is a request that ends by itself: all blobs are hashed, and a pipe is slow.
        let delivered = options.stop.unless(self.deliver(options, progress)).await;
        delivered.unwrap_or(Err(DeliveryError::Interrupted))
    }

    async fn deliver(
        self,
        options: &DeliveryOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<Arrival, DeliveryError> {
        let Self { bundle, destination, mut history, overrides, preparation, import, findings } = self;
        let (registry, root, jobs) = (destination.registry().clone(), destination.root(), options.jobs);
        if !findings.is_empty() {
            return Err(DeliveryError::Findings { findings, host: registry });
        }
        let draft = options
            .receipt
            .clone()
            .map(|site| ReceiptDraft::new(&bundle, &root, site, history.newest(), overrides));
        preparation.make().await?;
        let pushed = push(bundle, import, destination.clone(), options, progress.clone()).await;
        let pushed: Pushed = match pushed {
            Ok(Progressed::All(pushed)) => *pushed,
            Ok(Progressed::Part(remaining)) => return Ok(Arrival::Part(remaining)),
            Err(error) => return Err(explained(error, &*destination).await),
        };
        // Imports of shards do not hold the state until one of them is the last.
        if options.portion.shard != Shard::All {
            let waiting = || progress.note(&HistoryNotice::Waiting.to_string());
            let state = StateFile::open(&options.state, waiting).map_err(HistoryError::State)?;
            history.lock(state, &root);
        }
        history.accept(&*destination, &options.rollback, pushed.plan()).await?;
        progress.stage("tagging", 0);
        let tagged = match pushed.set_tags(options).await {
            Ok(tagged) => tagged,
            Err(error) => return Err(explained(error, &*destination).await),
        };
        // All is in place; without the note, a tag that somebody sets back is moved by the next bundle.
        if let Err(error) = history.settle(&*destination, &tagged.plan).await {
            progress.note(&format!(
                "the registry's record does not say that the tags were moved: {}",
                bundle_oci::chain(&error)
            ));
        }
        for unmarked in preparation.mark(jobs).await {
            progress.note(&bundle_oci::chain(&unmarked));
        }
        let request = ConfirmRequest { receipt: draft.is_some(), jobs };
        let confirmation = preparation.confirm(request).await.map_err(DeliveryError::Confirmation)?;
        let receipt = match draft {
            Some(draft) => {
                let draft = draft.of(&tagged.plan, &tagged.graph).with(&confirmation);
                let receipt = draft.confirm(&*destination, Timestamp::now(), jobs).await?;
                Some(match options.prove {
                    true => {
                        let held = prove(&*destination, &receipt, jobs, &*progress).await?;
                        receipt.proved(&held)
                    }
                    false => receipt,
                })
            }
            None => None,
        };
        Ok(Arrival::Whole(Box::new(Arrived { report: tagged.report, receipt, scans: confirmation.scans })))
    }
}

/// A failed push, with the cause that the destination gives.
async fn explained(error: PushError, destination: &dyn Destination) -> DeliveryError {
    let cause = destination.explain(&error).await;
    DeliveryError::Push { error, cause, host: destination.registry().clone() }
}
