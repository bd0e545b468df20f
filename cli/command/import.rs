use std::path::PathBuf;
use std::time::Instant;

use bundle_format::{Artifact, Expiry, Limits, Verdict};
use bundle_harbor::Harbor;
use bundle_importer::{
    Bundle, Decision, Destination, HarborPlan, HarborSettings, ImportPlan, Memory, MemoryError,
    OnExistingTag, PUSH_RIGHTS, Portion, Progressed, PushError, Pushed, QuotaCheck, ReceiptDraft,
    RegistryKind, Report, Rollback, ScanPatience, ScanReport, ScanTargets, Share, StateFile, TrivyDatabases,
    policies, push, scan_report, seed,
};
use bundle_oci::Digest;
use bundle_registry::Progress;
use serde_json::{Value, json};

use crate::command::receipt::{ReceiptArguments, Requested};
use crate::command::{print, print_json};
use crate::connection::{Connection, Login, To};
use crate::exit::{Code, Failure};
use crate::harbor_text::{self, word};
use crate::memory::{self, MemoryArguments};
use crate::parts::PartArguments;
use crate::progress::{Running, progress};
use crate::size::{Bytes, Took, count};
use crate::span::Span;
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Import {
    /// The bundle; - reads standard input
    #[arg(value_name = "FILE|-")]
    bundle: PathBuf,

    /// The Harbor or other registry to put the images into, such as https://harbor.example
    #[arg(long, value_name = "URL|HOST[:PORT]")]
    to: To,

    #[command(flatten)]
    trust: TrustArguments,

    #[command(flatten)]
    memory: MemoryArguments,

    /// What becomes of a tag that is there with another digest
    #[arg(long, value_enum, default_value_t = Existing::Error)]
    on_existing_tag: Existing,

    /// How Harbor's projects are run [default: harbor.yaml, if it is there]
    #[arg(long, value_name = "FILE")]
    harbor: Option<PathBuf>,

    /// What the registry is; auto asks it
    #[arg(long, value_enum, default_value_t = Kind::Auto)]
    registry_kind: Kind,

    /// Wait until Harbor has scanned the images, and say which of them can be pulled; fails if one
    /// is blocked
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "10m")]
    wait_for_scan: Option<Span>,

    /// Import although a project's quota may end before all is there
    #[arg(long)]
    ignore_quota: bool,

    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    parts: PartArguments,

    #[command(flatten)]
    receipt: ReceiptArguments,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    login: Login,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Existing {
    /// Leave the tag as it is, and go on without the image
    Skip,
    /// Refuse the import before anything is written
    Error,
    /// Move the tag
    Overwrite,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Find out
    Auto,
    /// Harbor
    Harbor,
    /// Any registry
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

/// What is needed of a bundle after its blobs are gone.
struct Head {
    signers: Vec<String>,
    digest: Digest,
    artifacts: Vec<Artifact>,
}

/// What an import carries along beside the bundle.
struct Run {
    state: StateFile,
    rollback: Rollback,
    receipt: Option<Requested>,
    portion: Portion,
    progress: Running,
}

/// What ended the way of content into a Harbor.
enum Delivery {
    Push(PushError),
    Memory(MemoryError),
    Part(Failure),
}

impl From<PushError> for Delivery {
    fn from(error: PushError) -> Self {
        Self::Push(error)
    }
}

/// How an import ended.
struct Ended {
    report: Report,
    scans: Option<ScanReport>,
    harbor: Option<Value>,
}

impl Import {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        let mut policy = self.trust.policy()?;
        let rollback = self.memory.rollback()?;
        if rollback != Rollback::Refuse {
            policy.expiry = Expiry::Ignore;
        }
        let receipt = self.receipt.requested()?;
        let settings = settings(self.harbor.as_deref())?;
        let progress = progress("importing");
        // Those who share the work must not wait for each other.
        let shared = self.parts.share() != Share::All;
        let state =
            if self.dry_run || shared { self.memory.look()? } else { self.memory.open(&**progress)? };
        let limits = Limits::V1;
        let spool = self.parts.spool()?;
        let bundle = match &spool {
            _ if self.bundle.as_os_str() == "-" => {
                if self.parts.needs_file() {
                    return Err(Failure::text(Code::Usage, "a pipe is read as a whole"));
                }
                Bundle::read(Box::new(std::io::stdin()), &policy, &self.trust.countersignatures()?, &limits)?
            }
            Some(spool) => Bundle::open_partial(&self.bundle, spool, &policy, &limits)?,
            None => Bundle::open(&self.bundle, &policy, &limits)?,
        };
        let head = Head {
            signers: bundle.trusted().signers().to_vec(),
            digest: bundle.trusted().digest(),
            artifacts: bundle.statement().artifacts.clone(),
        };
        let client = self.connection.client_to(&self.to, &self.login, &progress).await?;
        let destination = Destination::detect(&client, &self.to.registry, self.registry_kind.into()).await?;
        let portion = Portion { share: self.parts.share(), spool };
        let run = Run { state, rollback, receipt, portion, progress };
        let ended = match &destination {
            Destination::Harbor(harbor) => {
                self.deliver_to_harbor(bundle, &head, harbor, &destination, &settings, run).await?
            }
            Destination::Plain { .. } => self.deliver_to_plain(bundle, &head, &destination, run).await?,
        };
        match ended {
            Some(ended) => self.tell(&head, &ended, started),
            None => Ok(()),
        }
    }

    async fn deliver_to_plain(
        &self,
        bundle: Bundle,
        head: &Head,
        destination: &Destination,
        run: Run,
    ) -> Result<Option<Ended>, Failure> {
        let only_harbor = [
            (self.harbor.is_some(), "--harbor"),
            (self.wait_for_scan.is_some(), "--wait-for-scan"),
            (self.ignore_quota, "--ignore-quota"),
        ];
        if let Some((_, option)) = only_harbor.into_iter().find(|(given, _)| *given) {
            return Err(Failure::text(
                Code::Usage,
                format!("{option} needs a Harbor, and {} is none", self.to),
            )
            .hint("if it is one all the same, say so with --registry-kind harbor"));
        }
        let (client, registry) = (destination.client(), destination.registry());
        let jobs = self.connection.jobs();
        let mut memory = Memory::recall(run.state, &bundle, destination).await?;
        let overrides = memory.judge(bundle.trusted().is_expired(), &run.rollback)?;
        memory::tell(&memory, registry, &**run.progress);
        let plan = ImportPlan::against(&bundle, client, registry, self.on_existing(), jobs).await?;
        if self.dry_run {
            drop(run.progress);
            self.tell_plan(&head.artifacts, &plan)?;
            return Ok(None);
        }
        let site = self.receipt.site(registry)?;
        let draft = ReceiptDraft::new(&bundle, &plan, registry, site, memory.newest(), overrides);
        let pushed = push(bundle, &plan, destination, &run.portion, jobs, run.progress.clone()).await?;
        let Some(pushed) = self.all(pushed)? else { return Ok(None) };
        self.hold(&mut memory, &**run.progress)?;
        memory.accept(destination, &run.rollback).await?;
        let report = pushed.set_tags(&plan, destination, jobs).await?;
        if let Some(receipt) = run.receipt {
            receipt.write(draft, destination, jobs).await?;
        }
        drop(run.progress);
        self.tell_skipped(&head.artifacts, &plan)?;
        Ok(Some(Ended { report, scans: None, harbor: None }))
    }

    async fn deliver_to_harbor(
        &self,
        bundle: Bundle,
        head: &Head,
        harbor: &Harbor,
        destination: &Destination,
        settings: &HarborSettings,
        run: Run,
    ) -> Result<Option<Ended>, Failure> {
        let jobs = self.connection.jobs();
        let quota = if self.ignore_quota { QuotaCheck::Ignore } else { QuotaCheck::Enforce };
        let plan = HarborPlan::against(&bundle, harbor, settings, self.on_existing(), quota, jobs).await?;
        let host = self.to.registry.as_str();
        // Whether a stream goes back is the graver question, if it can be asked at all.
        let mut memory = match plan.obstacles.is_empty() {
            true => Memory::recall(run.state, &bundle, destination).await?,
            false => Memory::of_file(run.state, &bundle, harbor.registry()),
        };
        let overrides = memory.judge(bundle.trusted().is_expired(), &run.rollback)?;
        let document = self.json.then(|| harbor_text::plan_json(&plan, &head.artifacts, host));
        if self.dry_run {
            memory::tell(&memory, &self.to.registry, &**run.progress);
            drop(run.progress);
            match document {
                Some(document) => print_json(&document)?,
                None => print(&harbor_text::plan(&plan, &head.artifacts, host))?,
            }
            if plan.obstacles.is_empty() {
                if !self.json {
                    print("\nnothing was written\n")?;
                }
                return Ok(None);
            }
            return Err(Failure::refused(&plan.obstacles));
        }
        if !plan.obstacles.is_empty() {
            return Err(Failure::obstacles(&plan.obstacles, host));
        }
        memory::tell(&memory, &self.to.registry, &**run.progress);
        if !self.json {
            print(&harbor_text::short_plan(&plan))?;
        }
        let site = self.receipt.site(harbor.registry())?;
        let draft =
            ReceiptDraft::new(&bundle, &plan.import, harbor.registry(), site, memory.newest(), overrides);
        let targets = ScanTargets::of(&bundle, &plan.import);
        let databases = TrivyDatabases::of(bundle.statement());
        let account = &plan.survey.account;
        seed(harbor, account, &plan.seed, settings, &PUSH_RIGHTS).await?;
        let report = async {
            let progress = run.progress.clone();
            let pushed = push(bundle, &plan.import, destination, &run.portion, jobs, progress).await?;
            let Some(pushed) = self.all(pushed).map_err(Delivery::Part)? else { return Ok(None) };
            self.hold(&mut memory, &**run.progress).map_err(Delivery::Part)?;
            memory.accept(destination, &run.rollback).await.map_err(Delivery::Memory)?;
            Ok(Some(pushed.set_tags(&plan.import, destination, jobs).await?))
        };
        let report = match report.await {
            Ok(Some(report)) => report,
            Ok(None) => return Ok(None),
            Err(Delivery::Part(failure)) => return Err(failure),
            Err(Delivery::Memory(error)) => return Err(error.into()),
            Err(Delivery::Push(error)) => return Err(Failure::push(error, harbor, host).await),
        };
        // Without a word about scans, a receipt says what is known of them now.
        let patience = match self.wait_for_scan {
            Some(Span(time)) => Some(ScanPatience::Wait(time)),
            None => run.receipt.as_ref().map(|_| ScanPatience::Look),
        };
        let scans = match patience {
            Some(patience) => Some(scan_report(targets, harbor, account, patience, jobs).await?),
            None => None,
        };
        if let Some(receipt) = run.receipt {
            let projects = plan.survey.projects.iter().map(|(name, _)| name.clone());
            let policies = policies(harbor, account, projects).await?;
            let mut draft = draft.with_policies(policies);
            if let Some(scans) = &scans {
                draft = draft.with_scans(scans);
            }
            receipt.write(draft, destination, jobs).await?;
        }
        if !databases.is_empty() {
            run.progress.note(&format!(
                "Trivy's databases are there; `bundle harbor trivy-values {} --to {host}` prints the values that make Harbor use them",
                self.bundle.display()
            ));
        }
        drop(run.progress);
        self.tell_skipped(&head.artifacts, &plan.import)?;
        let scans = scans.filter(|_| self.wait_for_scan.is_some());
        Ok(Some(Ended { report, scans, harbor: document }))
    }

    /// What was pushed, if that is all; else people are told what is still to come.
    fn all(&self, progressed: Progressed) -> Result<Option<Pushed>, Failure> {
        match progressed {
            Progressed::All(pushed) => Ok(Some(*pushed)),
            Progressed::Part(remaining) => {
                print(&self.parts.remaining(&remaining)?)?;
                Ok(None)
            }
        }
    }

    /// Those who share the work do not hold the state until one of them is the last.
    fn hold(&self, memory: &mut Memory, progress: &dyn Progress) -> Result<(), Failure> {
        if self.parts.share() != Share::All {
            memory.lock(self.memory.open(progress)?, &self.to.registry);
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

    fn tell(&self, head: &Head, ended: &Ended, started: Instant) -> Result<(), Failure> {
        let report = &ended.report;
        if self.json {
            let mut document = json!({
                "to": self.to.registry,
                "statement": head.digest,
                "signers": head.signers,
                "pushed": report.pushed,
                "present": report.present,
                "skipped": report.skipped,
                "blobs": {"sent": report.sent, "sentBytes": report.sent_bytes, "mounted": report.mounted, "found": report.found},
                "seconds": started.elapsed().as_secs_f64(),
            });
            if let Some(harbor) = &ended.harbor {
                document["plan"] = harbor.clone();
            }
            if let Some(scans) = &ended.scans {
                document["scans"] = harbor_text::scans_json(scans);
            }
            print_json(&document)?;
        } else {
            let mut text = format!(
                "{} pushed, {} there already{}; {} sent ({}), {} mounted, {} found, in {}: {}\n",
                count(report.pushed, "artifact"),
                report.present,
                if report.skipped > 0 { format!(", {} left out", report.skipped) } else { String::new() },
                count(usize::try_from(report.sent).unwrap_or(usize::MAX), "blob"),
                Bytes(report.sent_bytes),
                report.mounted,
                report.found,
                Took(started.elapsed()),
                self.to
            );
            if let Some(scans) = &ended.scans {
                text.push_str(&harbor_text::scans(scans));
            }
            print(&text)?;
        }
        let Some(scans) = &ended.scans else { return Ok(()) };
        let (unfinished, blocked) = (scans.unfinished().count(), scans.count(Verdict::Blocked));
        if unfinished > 0 {
            let text = format!(
                "{} delivered without a scan that ended; Harbor holds back what it has not scanned",
                count(unfinished, "image")
            );
            return Err(Failure::text(Code::Incomplete, text)
                .hint("wait longer with --wait-for-scan TIME, or look at the scanner's log in Harbor"));
        }
        if blocked > 0 {
            let text = format!("{} delivered that Harbor does not let anybody pull", count(blocked, "image"));
            return Err(Failure::text(Code::Policy, text)
                .hint("bring a newer image, or exempt the vulnerabilities in the project's CVE allowlist"));
        }
        Ok(())
    }

    fn tell_skipped(&self, artifacts: &[Artifact], plan: &ImportPlan) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let mut text = String::new();
        for step in &plan.steps {
            if let Decision::Skip(found) = step.decision {
                let target = &artifacts[step.artifact].target;
                text.push_str(&format!("left out {target}: its tag is {found} there\n"));
            }
        }
        print(&text)
    }

    fn tell_plan(&self, artifacts: &[Artifact], plan: &ImportPlan) -> Result<(), Failure> {
        if self.json {
            let steps: Vec<_> = plan
                .steps
                .iter()
                .map(|step| {
                    let artifact = &artifacts[step.artifact];
                    json!({"decision": word(&step.decision), "target": artifact.target.to_string(), "digest": artifact.digest})
                })
                .collect();
            return print_json(&json!({"to": self.to.registry, "steps": steps}));
        }
        let mut text = String::new();
        for step in &plan.steps {
            let artifact = &artifacts[step.artifact];
            text.push_str(&format!("{:<8} {} {}\n", word(&step.decision), artifact.target, artifact.digest));
        }
        text.push_str(&format!(
            "{} to push to {}, at most {}; nothing was written\n",
            count(plan.pushes(), "artifact"),
            self.to,
            Bytes(plan.bytes())
        ));
        print(&text)
    }
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
