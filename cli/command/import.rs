//! `import`: verifies bundles and puts them into a registry, or says what it would do.
//! Takes one bundle or several, a registry and trust; gives reports, receipts, and the exit code of a partial import.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bundle_format::{Expiry, Lent, Limits, ScratchSpace, Statement, Target, Verdict};
use bundle_handout::{Choice, Referrers};
use bundle_importer::{
    Arrival, Bundle, Decision, Delivery, DeliveryOptions, ImportPlan, OnExistingTag, OnFailure, Portion,
    RegistryBases, Report, Rollback, ScanReport, Shard, Unstored,
};
use bundle_oci::{Digest, Printable, ProjectName, Registry};
use bundle_registry::Progress;
use bundle_report::{
    ImportOutcome, ImportReport, ImportSetEntry, ImportSetReport, ImportedBlobs, OutlookReport,
    RepositoriesReport, StepsReport, UnstoredEntry,
};
use bundle_site::{
    HarborOptions, HarborSettings, QuotaCheck, RegistryKind, ScanWait, TrivyDatabases, connect,
};

use crate::bases::BaseDirArguments;
use crate::command::receipt::{ReceiptArguments, Requested};
use crate::command::{print, refuse_terminal};
use crate::connection::{Connection, Login, To};
use crate::destination;
use crate::exit::{Code, Failure, Id};
use crate::history::{self, HistoryArguments};
use crate::interrupt::{self, Left};
use crate::notes::tell_parity;
use crate::output::{self, name};
use crate::parts::PartArguments;
use crate::progress::{self, progress};
use crate::several::Failed;
use crate::size::{Bytes, count};
use bundle_input::Span;
use bundle_trust::Effective;

use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Import {
    /// Bundles to import, in this order: a delta after its base; - reads one from standard input
    #[arg(required = true, value_name = "FILE|-")]
    bundles: Vec<PathBuf>,

    /// Registry to import into, such as `https://harbor.example`, or a path of one, such as
    /// `gitlab.example/group/project`
    #[arg(long, value_name = "URL|HOST[:PORT][/PATH]")]
    to: To,

    #[command(flatten)]
    trust: TrustArguments,

    #[command(flatten)]
    history: HistoryArguments,

    /// Action for a tag that exists with a different digest, unless this stream set it; the stream's own tags
    /// are moved
    #[arg(long, value_enum, value_name = "ACTION", default_value_t = Existing::Error)]
    on_existing_tag: Existing,

    /// Project policy file [default: harbor.yaml, if it exists]
    #[arg(long, value_name = "FILE")]
    harbor: Option<PathBuf>,

    /// Kind of the registry
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Kind::Auto)]
    registry_kind: Kind,

    /// Wait until Harbor has scanned the images, at most this long, and report which can be pulled; fails
    /// if a policy blocks one
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "10m")]
    wait_for_scan: Option<Span>,

    /// Import even if a project's quota may be exceeded
    #[arg(long)]
    ignore_quota: bool,

    /// Print the plan, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Print the repositories that the import writes to, one per line, and exit; for registries that create
    /// none on push, such as Amazon ECR
    #[arg(long, conflicts_with = "dry_run")]
    list_repositories: bool,

    /// Import only this image, by the name that it has in the bundle or at its source, with its
    /// signatures; repeatable. The receipt names the rest as missing
    #[arg(long = "image", value_name = "REFERENCE")]
    images: Vec<String>,

    /// Import only the images of this project; repeatable
    #[arg(long = "project", value_name = "NAME")]
    projects: Vec<ProjectName>,

    /// If the registry refuses an image, import the others; its tag is not set, and the exit code is 6
    #[arg(long)]
    keep_going: bool,

    #[command(flatten)]
    parts: PartArguments,

    #[command(flatten)]
    bases: BaseDirArguments,

    #[command(flatten)]
    receipt: ReceiptArguments,

    /// Read everything that the receipt is for back from the registry, and hash it; the receipt says so
    #[arg(long, requires = "receipt")]
    prove: bool,

    #[command(flatten)]
    login: Login,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Existing {
    /// Keep the tag, and skip the image
    Skip,
    /// Fail before anything is written
    Error,
    /// Move the tag
    Overwrite,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Ask the registry
    Auto,
    /// Harbor
    Harbor,
    /// Any other registry
    Plain,
}

impl From<Kind> for RegistryKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Auto => Self::Auto,
            Kind::Harbor => Self::Harbor,
            Kind::Plain => Self::Plain,
        }
    }
}

/// The parts of a bundle that are needed after its blobs are gone.
struct Head {
    signers: Vec<String>,
    digest: Digest,
    databases: TrivyDatabases,
}

/// How an import ended.
struct Ended {
    report: Report,
    scans: Option<ScanReport>,
    plan: Option<OutlookReport>,
}

/// A bundle whose import came to an end.
struct Imported {
    report: ImportOutcome,
    /// Why it is no success, where the report says more than the failure.
    failure: Option<Failure>,
    /// The next step of the user.
    next: Option<String>,
}

impl From<ImportOutcome> for Imported {
    fn from(report: ImportOutcome) -> Self {
        Self { report, failure: None, next: None }
    }
}

impl Import {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let policy = self.trust.effective()?;
        let receipts = self.receipt.requested(&self.bundles)?;
        let mut bundles: Vec<_> = self.bundles.iter().zip(receipts).collect();
        if bundles.len() > 1 {
            self.refuse_of_several()?;
            return self.several(bundles, &policy).await;
        }
        let Some((bundle, receipt)) = bundles.pop() else { return Ok(()) };
        let Imported { report, failure, next } = self.one(bundle, policy, receipt).await?;
        output::report(&report)?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        next.iter().for_each(|next| progress::next(next));
        Ok(())
    }

    /// Refuses options that are about one bundle.
    fn refuse_of_several(&self) -> Result<(), Failure> {
        let of_one = [(!self.images.is_empty(), "--image"), (!self.projects.is_empty(), "--project")];
        if let Some((_, option)) = of_one.into_iter().find(|(given, _)| *given) {
            let text = format!("{option} chooses from one bundle, and {} are given", self.bundles.len());
            return Err(Failure::text(Code::Usage, text).hint("import the bundles one by one"));
        }
        if self.bundles.iter().filter(|bundle| bundle.as_os_str() == "-").count() > 1 {
            return Err(Failure::text(Code::Usage, "standard input has one bundle, and - is given twice"));
        }
        Ok(())
    }

    /// Imports one after the other. After a failure that says nothing of the other bundles, these are imported.
    async fn several(
        &self,
        bundles: Vec<(&PathBuf, Option<Requested>)>,
        policy: &Effective,
    ) -> Result<(), Failure> {
        let (mut done, mut failed, mut next) = (Vec::new(), Failed::default(), None);
        let mut bundles = bundles.into_iter();
        for (bundle, receipt) in bundles.by_ref() {
            let file = name(bundle);
            // Lists of repositories are for other programs.
            if !output::is_json() && !self.list_repositories {
                print(&format!("{file}:\n"))?;
            }
            let failure = match self.one(bundle, policy.clone(), receipt).await {
                Ok(imported) => {
                    if !output::is_json() {
                        output::report(&imported.report)?;
                    }
                    done.push(ImportSetEntry { file, report: imported.report });
                    next = imported.next.or(next);
                    imported.failure
                }
                Err(failure) => Some(failure),
            };
            if let Some(failure) = failure {
                let ends = !failure.code().is_of_one_file();
                failed.add(bundle, failure);
                if ends {
                    break;
                }
            }
        }
        let not_tried: Vec<String> = bundles.map(|(bundle, _)| name(bundle)).collect();
        if !output::is_json() && !not_tried.is_empty() {
            output::tell(&format!(
                "note: the import stops at the failure below; not imported: {}",
                not_tried.join(", ")
            ));
        }
        if output::is_json() {
            let (complete, failed) = (failed.is_empty(), failed.entries());
            output::report(&ImportSetReport { complete, bundles: done, failed, not_tried })?;
        }
        if failed.is_empty() {
            next.iter().for_each(|next: &String| progress::next(next));
        }
        failed.end()
    }

    async fn one(
        &self,
        bundle: &Path,
        mut policy: Effective,
        receipt: Option<Requested>,
    ) -> Result<Imported, Failure> {
        let (file, started) = (bundle, Instant::now());
        let mut options = self.options()?;
        options.site_key = receipt.as_ref().and_then(Requested::site_key);
        if options.rollback != Rollback::Refuse {
            policy = policy.with_expiry(Expiry::Ignore);
        }
        let progress = progress("importing");
        // Imports of the other shards must not wait for each other.
        let shared = options.portion.shard != Shard::All;
        let state =
            if self.dry_run || shared { self.history.look()? } else { self.history.open(&**progress)? };
        let bases = self.bases.at_hand()?;
        let lent = Lent { bases: bases.clone(), scratch: ScratchSpace::default() };
        let bundle = self.open(file, &policy, options.portion.scratch.as_deref(), &lent)?;
        let parity = bundle.parity_notes();
        if self.list_repositories {
            let names = bundle_importer::repositories(bundle.statement());
            let below = self.to.below.as_ref().map(|below| format!("{below}/")).unwrap_or_default();
            let repositories = names.iter().map(|name| format!("{below}{name}")).collect();
            return Ok(ImportOutcome::Repositories(RepositoriesReport { repositories }).into());
        }
        options.only = self.only(bundle.statement())?;
        let head = Head {
            signers: bundle.trusted().signers().to_vec(),
            digest: bundle.trusted().digest(),
            databases: TrivyDatabases::of(bundle.statement()),
        };
        let client = self.connection.client_to(&self.to, &self.login, !self.dry_run, &progress).await?;
        let destination = connect(
            &client,
            &self.to.registry,
            self.to.below.as_ref(),
            self.registry_kind.into(),
            self.harbor_options()?,
            self.only_harbor(),
        )
        .await?;
        if !self.dry_run {
            interrupt::leaves(Left::Kept(format!("what {} has, it keeps", self.to.registry)));
        }
        let there = RegistryBases::look(&client, &self.to.registry, bundle.bases()).await;
        tell_bases(there.present(bundle.bases()), &self.to.registry, &**progress);
        bases.add(Arc::new(there));
        bundle.lend(&lent);
        let delivery = Delivery::plan(bundle, destination, state, &options).await?;
        let host = self.to.registry.as_str();
        if self.dry_run {
            history::tell(delivery.history(), &self.to.root(), &**progress);
            drop(progress);
            return self.planned(&delivery);
        }
        if !delivery.findings().is_empty() {
            // A list of tags that is not believed can be why a tag counts as somebody else's.
            history::tell_ignored(delivery.history(), &**progress);
            return Err(Failure::findings(delivery.findings(), host));
        }
        let plan = delivery
            .outlook()
            .map(|outlook| destination::outlook(outlook, delivery.import(), delivery.findings(), host));
        if let Some(plan) = plan.as_ref().filter(|_| !output::is_json()) {
            print(&plan.short_text())?;
        }
        history::tell(delivery.history(), &self.to.root(), &**progress);
        let skipped = skipped(delivery.import());
        let pulled =
            delivery.import().steps.iter().find(|step| step.target.tag.is_some() && step.decision.is_push());
        let example = pulled.map(|step| step.target.to_string());
        let carried = delivery.carry_out(&options, progress.clone()).await;
        tell_parity(&parity, &**progress);
        let arrived = match carried? {
            Arrival::Whole(arrived) => *arrived,
            Arrival::Part(remaining) => {
                drop(progress);
                return Ok(ImportOutcome::Part(self.parts.remaining(&remaining, &self.to.registry)?).into());
            }
        };
        if let (Some(requested), Some(receipt)) = (receipt, &arrived.receipt) {
            requested.write(receipt)?;
        }
        if !head.databases.is_empty() {
            progress.note(&format!(
                "the bundle has Trivy's databases; `bundle harbor trivy-values {} --to {host}` prints the values that make Harbor use them; once it does, \
                 `bundle harbor rescan --to {host}` has the images there scanned again, and says what is blocked now",
                file.display()
            ));
        }
        drop(progress);
        if !output::is_json() {
            print(&skipped)?;
        }
        let scans = arrived.scans.filter(|_| self.wait_for_scan.is_some());
        let ended = Ended { report: arrived.report, scans, plan };
        Ok(self.ended(head, ended, started, self.next(example.as_deref())))
    }

    /// What can be done with what was imported.
    fn next(&self, example: Option<&str>) -> String {
        let mut steps = Vec::new();
        steps.extend(example.map(|target| format!("pull {}/{target}", self.to)));
        steps.push(match self.receipt.is_wanted() {
            true => "transfer the receipt to the connected side, so that the next bundle omits what this registry has"
                .to_owned(),
            false => {
                "with --receipt, an import writes a receipt from which the connected side makes smaller bundles"
                    .to_owned()
            }
        });
        steps.join("; ")
    }

    fn options(&self) -> Result<DeliveryOptions, Failure> {
        let receipt = match self.receipt.is_wanted() {
            true => Some(self.receipt.site(&self.to.registry)?),
            false => None,
        };
        Ok(DeliveryOptions {
            on_existing: self.on_existing(),
            only: None,
            on_failure: if self.keep_going { OnFailure::KeepGoing } else { OnFailure::Stop },
            rollback: self.history.rollback()?,
            allow_future: self.history.allow_future(),
            portion: Portion { shard: self.parts.shard(), scratch: self.parts.scratch()? },
            receipt,
            prove: self.prove,
            site_key: None,
            state: self.history.path()?,
            jobs: self.connection.jobs(),
            adapts_jobs: self.connection.adapts_jobs(),
            stop: interrupt::stop().clone(),
            limits: bundle_importer::Limits::DEFAULT,
        })
    }

    fn open(
        &self,
        file: &Path,
        policy: &Effective,
        scratch: Option<&Path>,
        lent: &Lent,
    ) -> Result<Bundle, Failure> {
        let limits = Limits::V1;
        if file.as_os_str() == "-" {
            refuse_terminal()?;
            if self.parts.needs_file() {
                return Err(Failure::text(Code::Usage, "a pipe is read as a whole"));
            }
            let countersignatures = self.trust.countersignatures()?;
            return Ok(Bundle::read(Box::new(std::io::stdin()), policy, &countersignatures, lent, &limits)?);
        }
        match scratch {
            Some(scratch) => Bundle::open_partial(file, scratch, policy, &limits),
            None => Bundle::open(file, policy, &limits),
        }
        .map_err(|error| Failure::from(error).of(file))
    }

    /// The targets that were asked for; none for all.
    fn only(&self, statement: &Statement) -> Result<Option<HashSet<Target>>, Failure> {
        if self.images.is_empty() && self.projects.is_empty() {
            return Ok(None);
        }
        let mut only = HashSet::new();
        if !self.images.is_empty() {
            let choice = Choice::images(statement, &self.images, Referrers::Along)?;
            only.extend(choice.artifacts(statement).map(|artifact| artifact.target.clone()));
        }
        for project in &self.projects {
            let targets = statement.artifacts.iter().map(|artifact| &artifact.target);
            let mut of_project = targets.filter(|target| target.project == *project).peekable();
            if of_project.peek().is_none() {
                let text = format!("the bundle has nothing for the project {project}");
                return Err(Failure::text(Code::Usage, text));
            }
            only.extend(of_project.cloned());
        }
        Ok(Some(only))
    }

    fn harbor_options(&self) -> Result<HarborOptions, Failure> {
        Ok(HarborOptions {
            settings: settings(self.harbor.as_deref())?,
            quota: if self.ignore_quota { QuotaCheck::Ignore } else { QuotaCheck::Enforce },
            scans: self.wait_for_scan.map(|Span(time)| ScanWait::Wait(time)),
            limits: bundle_site::Limits::DEFAULT,
        })
    }

    /// An option that was given and that only Harbor can do.
    fn only_harbor(&self) -> Option<&'static str> {
        let options = [
            (self.harbor.is_some(), "--harbor"),
            (self.wait_for_scan.is_some(), "--wait-for-scan"),
            (self.ignore_quota, "--ignore-quota"),
        ];
        options.into_iter().find(|(given, _)| *given).map(|(_, option)| option)
    }

    /// The plan, as a dry run shows it.
    fn planned(&self, delivery: &Delivery) -> Result<Imported, Failure> {
        let (import, findings) = (delivery.import(), delivery.findings());
        let host = self.to.registry.as_str();
        let Some(outlook) = delivery.outlook() else {
            return match findings.is_empty() {
                true => Ok(ImportOutcome::Steps(self.steps(import)).into()),
                false => Err(Failure::findings(findings, host)),
            };
        };
        let report = ImportOutcome::Planned(Box::new(destination::outlook(outlook, import, findings, host)));
        let failure = (!findings.is_empty()).then(|| Failure::refused(findings));
        Ok(Imported { report, failure, next: None })
    }

    fn on_existing(&self) -> OnExistingTag {
        match self.on_existing_tag {
            Existing::Skip => OnExistingTag::Skip,
            Existing::Error => OnExistingTag::Error,
            Existing::Overwrite => OnExistingTag::Overwrite,
        }
    }

    fn ended(&self, head: Head, ended: Ended, started: Instant, next: String) -> Imported {
        let Report { pushed, present, skipped, sent, sent_bytes, mounted, found, unstored } = ended.report;
        let missing = unstored
            .iter()
            .map(|each| UnstoredEntry { target: each.target.clone(), reason: each.reason.clone() });
        let scans = ended.scans.as_ref();
        let failure = incomplete(&unstored).or_else(|| scans.and_then(not_to_be_pulled));
        let report = ImportReport {
            to: self.to.registry.to_string(),
            statement: head.digest.to_string(),
            signers: head.signers,
            pushed,
            present,
            skipped,
            blobs: ImportedBlobs { sent, sent_bytes, mounted, found },
            seconds: started.elapsed().as_secs_f64(),
            missing: missing.collect(),
            plan: ended.plan,
            scans: scans.map(destination::scans),
        };
        Imported { report: ImportOutcome::Imported(Box::new(report)), failure, next: Some(next) }
    }

    fn steps(&self, plan: &ImportPlan) -> StepsReport {
        StepsReport {
            to: self.to.to_string(),
            steps: plan.steps.iter().map(destination::step).collect(),
            pushes: plan.pushes(),
            bytes: plan.bytes(),
        }
    }
}

/// The artifacts that could not be stored.
fn incomplete(unstored: &[Unstored]) -> Option<Failure> {
    if unstored.is_empty() {
        return None;
    }
    let lines = unstored.iter().map(|it| format!("{}: {}", it.target, Printable(&it.reason)));
    let mut lines: Vec<String> = lines.collect();
    lines
        .push(format!("{} could not be stored; everything else is in place", count(lines.len(), "artifact")));
    Some(
        Failure::text(Code::Incomplete, lines.join("\n"))
            .hint("its tag is not set; fix the cause and run the same command again"),
    )
}

/// The images that are in place, and that Harbor lets nobody pull.
fn not_to_be_pulled(scans: &ScanReport) -> Option<Failure> {
    let (unfinished, blocked) = (scans.unfinished().count(), scans.count(Verdict::Blocked));
    if unfinished > 0 {
        let text = format!(
            "{} delivered without a finished scan; Harbor blocks pulls of unscanned images",
            count(unfinished, "image")
        );
        return Some(
            Failure::text(Id::ScanMissing, text)
                .hint("wait longer with --wait-for-scan TIME, or look at the scanner's log in Harbor"),
        );
    }
    if blocked > 0 {
        let text = format!("{} delivered that Harbor does not let anybody pull", count(blocked, "image"));
        return Some(
            Failure::text(Id::ImagesBlocked, text)
                .hint("import a newer image, or add the vulnerabilities to the project's CVE allowlist"),
        );
    }
    None
}

/// The artifacts that are left out.
fn skipped(plan: &ImportPlan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        if let Decision::Skip(found) = step.decision {
            text.push_str(&format!("skipped {}: its tag is {found} at the registry\n", step.target));
        }
    }
    text
}

/// The settings of a file, or of `harbor.yaml` if it is there.
pub(crate) fn settings(file: Option<&std::path::Path>) -> Result<HarborSettings, Failure> {
    let default = std::path::Path::new("harbor.yaml");
    match file {
        Some(file) => Ok(HarborSettings::load(file)?),
        None if default.exists() => Ok(HarborSettings::load(default)?),
        None => Ok(HarborSettings::default()),
    }
}

/// Says beforehand how much of what lies there is read for a compact bundle.
fn tell_bases((layers, bytes): (usize, u64), from: &Registry, progress: &dyn Progress) {
    if layers > 0 {
        let (layers, bytes) = (count(layers, "layer"), Bytes(bytes));
        progress
            .note(&format!("the bundle is compact: up to {layers}, {bytes}, are read from {from} as bases"));
    }
}
