//! `import`: verifies a bundle and puts it into a registry, or says what it would do.
//! Takes a bundle, a registry and trust; gives a report, a receipt, and the exit code of a partial import.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bundle_format::{Expiry, Limits, Statement, Target, Verdict};
use bundle_handout::{Choice, Referrers};
use bundle_importer::{
    Arrival, Bundle, Decision, Delivery, DeliveryOptions, ImportPlan, OnExistingTag, OnFailure, Portion,
    Report, Rollback, ScanReport, Shard,
};
use bundle_oci::{Digest, Printable, ProjectName};
use bundle_report::{
    ImportReport, ImportedBlobs, OutlookReport, RepositoriesReport, StepsReport, UnstoredEntry,
};
use bundle_site::{
    HarborOptions, HarborSettings, QuotaCheck, RegistryKind, ScanWait, TrivyDatabases, connect,
};

use crate::command::receipt::{ReceiptArguments, Requested};
use crate::command::{print, refuse_terminal};
use crate::connection::{Connection, Login, To};
use crate::destination;
use crate::exit::{Code, Failure, Id};
use crate::history::{self, HistoryArguments};
use crate::interrupt::{self, Left};
use crate::notes::tell_parity;
use crate::output;
use crate::parts::PartArguments;
use crate::progress::{self, progress};
use crate::size::count;
use bundle_input::Span;
use bundle_trust::Effective;

use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Import {
    /// Bundle to import; - reads standard input
    #[arg(value_name = "FILE|-")]
    bundle: PathBuf,

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
    #[arg(long, value_enum, default_value_t = Existing::Error)]
    on_existing_tag: Existing,

    /// Project policy file [default: harbor.yaml, if it exists]
    #[arg(long, value_name = "FILE")]
    harbor: Option<PathBuf>,

    /// Kind of the registry
    #[arg(long, value_enum, default_value_t = Kind::Auto)]
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

impl Import {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        let mut policy = self.trust.effective()?;
        let receipt = self.receipt.requested()?;
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
        let bundle = self.open(&policy, options.portion.scratch.as_deref())?;
        let parity = bundle.parity_notes();
        if self.list_repositories {
            let names = bundle_importer::repositories(bundle.statement());
            let below = self.to.below.as_ref().map(|below| format!("{below}/")).unwrap_or_default();
            let repositories = names.iter().map(|name| format!("{below}{name}")).collect();
            return output::report(&RepositoriesReport { repositories });
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
        let delivery = Delivery::plan(bundle, destination, state, &options).await?;
        let host = self.to.registry.as_str();
        if self.dry_run {
            history::tell(delivery.history(), &self.to.root(), &**progress);
            drop(progress);
            return self.tell_steps(&delivery);
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
                return output::report(&self.parts.remaining(&remaining, &self.to.registry)?);
            }
        };
        if let (Some(requested), Some(receipt)) = (receipt, &arrived.receipt) {
            requested.write(receipt)?;
        }
        if !head.databases.is_empty() {
            progress.note(&format!(
                "Trivy's databases are there; `bundle harbor trivy-values {} --to {host}` prints the values that make Harbor use them",
                self.bundle.display()
            ));
        }
        drop(progress);
        if !output::is_json() {
            print(&skipped)?;
        }
        let scans = arrived.scans.filter(|_| self.wait_for_scan.is_some());
        self.tell(head, Ended { report: arrived.report, scans, plan }, started)?;
        self.tell_next(example.as_deref());
        Ok(())
    }

    /// Says what can be done with what was imported.
    fn tell_next(&self, example: Option<&str>) {
        let mut steps = Vec::new();
        steps.extend(example.map(|target| format!("pull {}/{target}", self.to)));
        steps.push(match self.receipt.is_wanted() {
            true => "carry the receipt back, for the next bundle to leave out what is here".to_owned(),
            false => {
                "with --receipt, an import writes what the other side needs for smaller bundles".to_owned()
            }
        });
        progress::next(&steps.join("; "));
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
            limits: bundle_importer::Limits::DEFAULT,
        })
    }

    fn open(&self, policy: &Effective, scratch: Option<&Path>) -> Result<Bundle, Failure> {
        let limits = Limits::V1;
        if self.bundle.as_os_str() == "-" {
            refuse_terminal()?;
            if self.parts.needs_file() {
                return Err(Failure::text(Code::Usage, "a pipe is read as a whole"));
            }
            let countersignatures = self.trust.countersignatures()?;
            return Ok(Bundle::read(Box::new(std::io::stdin()), policy, &countersignatures, &limits)?);
        }
        match scratch {
            Some(scratch) => Bundle::open_partial(&self.bundle, scratch, policy, &limits),
            None => Bundle::open(&self.bundle, policy, &limits),
        }
        .map_err(|error| Failure::from(error).of(&self.bundle))
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
    fn tell_steps(&self, delivery: &Delivery) -> Result<(), Failure> {
        let (import, findings) = (delivery.import(), delivery.findings());
        let host = self.to.registry.as_str();
        let Some(outlook) = delivery.outlook() else {
            return match findings.is_empty() {
                true => output::report(&self.steps(import)),
                false => Err(Failure::findings(findings, host)),
            };
        };
        output::report(&destination::outlook(outlook, import, findings, host))?;
        if !findings.is_empty() {
            return Err(Failure::refused(findings));
        }
        Ok(())
    }

    fn on_existing(&self) -> OnExistingTag {
        match self.on_existing_tag {
            Existing::Skip => OnExistingTag::Skip,
            Existing::Error => OnExistingTag::Error,
            Existing::Overwrite => OnExistingTag::Overwrite,
        }
    }

    fn tell(&self, head: Head, ended: Ended, started: Instant) -> Result<(), Failure> {
        let Report { pushed, present, skipped, sent, sent_bytes, mounted, found, unstored } = ended.report;
        let missing = unstored
            .iter()
            .map(|each| UnstoredEntry { target: each.target.clone(), reason: each.reason.clone() });
        output::report(&ImportReport {
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
            scans: ended.scans.as_ref().map(destination::scans),
        })?;
        if !unstored.is_empty() {
            let lines = unstored.iter().map(|it| format!("{}: {}", it.target, Printable(&it.reason)));
            let mut lines: Vec<String> = lines.collect();
            lines.push(format!(
                "{} could not be stored; everything else is in place",
                count(lines.len(), "artifact")
            ));
            return Err(Failure::text(Code::Incomplete, lines.join("\n"))
                .hint("its tag is not set; fix the cause and run the same command again"));
        }
        let Some(scans) = &ended.scans else { return Ok(()) };
        let (unfinished, blocked) = (scans.unfinished().count(), scans.count(Verdict::Blocked));
        if unfinished > 0 {
            let text = format!(
                "{} delivered without a finished scan; Harbor blocks pulls of unscanned images",
                count(unfinished, "image")
            );
            return Err(Failure::text(Id::ScanMissing, text)
                .hint("wait longer with --wait-for-scan TIME, or look at the scanner's log in Harbor"));
        }
        if blocked > 0 {
            let text = format!("{} delivered that Harbor does not let anybody pull", count(blocked, "image"));
            return Err(Failure::text(Id::ImagesBlocked, text)
                .hint("import a newer image, or add the vulnerabilities to the project's CVE allowlist"));
        }
        Ok(())
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

/// The artifacts that are left out.
fn skipped(plan: &ImportPlan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        if let Decision::Skip(found) = step.decision {
            text.push_str(&format!("left out {}: its tag is {found} there\n", step.target));
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
