use std::path::{Path, PathBuf};
use std::time::Instant;

use bundle_format::{Artifact, Expiry, Limits, Verdict};
use bundle_importer::{
    Arrival, Bundle, Decision, Delivery, DeliveryOptions, DeliveryPlan, Destination, HarborSettings,
    ImportPlan, OnExistingTag, Portion, QuotaCheck, RegistryKind, Report, Rollback, ScanPatience, ScanReport,
    Share,
};
use bundle_oci::Digest;
use serde_json::{Value, json};

use crate::command::receipt::ReceiptArguments;
use crate::command::{print, print_json, refuse_terminal};
use crate::connection::{Connection, Login, To};
use crate::exit::{Code, Failure};
use crate::harbor_text::{self, word};
use crate::memory::{self, MemoryArguments};
use crate::parts::PartArguments;
use crate::progress::progress;
use crate::size::{Bytes, Took, count};
use crate::span::Span;
use bundle_trust::Effective;

use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Import {
    /// The bundle; - reads standard input
    #[arg(value_name = "FILE|-")]
    bundle: PathBuf,

    /// The Harbor or other registry to import into, such as `https://harbor.example`, or a path
    /// below a registry, such as `gitlab.example/group/project`
    #[arg(long, value_name = "URL|HOST[:PORT][/PATH]")]
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

    /// Print the repositories that the import writes to, one a line, and end: for registries that
    /// make none by themselves, such as Amazon ECR
    #[arg(long, conflicts_with = "dry_run")]
    list_repositories: bool,

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

/// How an import ended.
struct Ended {
    report: Report,
    scans: Option<ScanReport>,
    harbor: Option<Value>,
}

impl Import {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        let mut policy = self.trust.effective()?;
        let receipt = self.receipt.requested()?;
        let options = self.options()?;
        if options.rollback != Rollback::Refuse {
            policy = policy.with_expiry(Expiry::Ignore);
        }
        let progress = progress("importing");
        // Those who share the work must not wait for each other.
        let shared = options.portion.share != Share::All;
        let state =
            if self.dry_run || shared { self.memory.look()? } else { self.memory.open(&**progress)? };
        let bundle = self.open(&policy, options.portion.spool.as_deref())?;
        if self.list_repositories {
            let names = bundle_importer::repositories(bundle.statement());
            let below = self.to.below.as_ref().map(|below| format!("{below}/")).unwrap_or_default();
            return print(&names.iter().map(|name| format!("{below}{name}\n")).collect::<String>());
        }
        let head = Head {
            signers: bundle.trusted().signers().to_vec(),
            digest: bundle.trusted().digest(),
            artifacts: bundle.statement().artifacts.clone(),
        };
        let client = self.connection.client_to(&self.to, &self.login, !self.dry_run, &progress).await?;
        let destination = Destination::detect(&client, &self.to.registry, self.registry_kind.into()).await?;
        match &destination {
            Destination::Plain { .. } => self.refuse_options_of_harbor()?,
            Destination::Harbor(_) => self.to.refuse_path()?,
        }
        let delivery = Delivery::plan(bundle, destination, state, &options).await?;
        let host = self.to.registry.as_str();
        let document = match delivery.steps() {
            DeliveryPlan::Harbor(plan) if self.json => {
                Some(harbor_text::plan_json(plan, &head.artifacts, host))
            }
            DeliveryPlan::Harbor(_) | DeliveryPlan::Plain(_) => None,
        };
        if self.dry_run {
            memory::tell(delivery.memory(), &self.to.registry, &**progress);
            drop(progress);
            return self.tell_steps(delivery.steps(), &head.artifacts, document);
        }
        match delivery.steps() {
            DeliveryPlan::Harbor(plan) if !plan.obstacles.is_empty() => {
                return Err(Failure::obstacles(&plan.obstacles, host));
            }
            DeliveryPlan::Harbor(plan) if !self.json => print(&harbor_text::short_plan(plan))?,
            DeliveryPlan::Harbor(_) | DeliveryPlan::Plain(_) => {}
        }
        memory::tell(delivery.memory(), &self.to.registry, &**progress);
        let skipped = skipped(delivery.steps().import(), &head.artifacts);
        let arrived = match delivery.carry_out(&options, progress.clone()).await? {
            Arrival::Whole(arrived) => *arrived,
            Arrival::Part(remaining) => {
                drop(progress);
                return print(&self.parts.remaining(&remaining)?);
            }
        };
        if let (Some(requested), Some(receipt)) = (receipt, &arrived.receipt) {
            requested.write(receipt)?;
        }
        if !arrived.databases.is_empty() {
            progress.note(&format!(
                "Trivy's databases are there; `bundle harbor trivy-values {} --to {host}` prints the values that make Harbor use them",
                self.bundle.display()
            ));
        }
        drop(progress);
        if !self.json {
            print(&skipped)?;
        }
        let scans = arrived.scans.filter(|_| self.wait_for_scan.is_some());
        self.tell(&head, &Ended { report: arrived.report, scans, harbor: document }, started)
    }

    fn options(&self) -> Result<DeliveryOptions, Failure> {
        let receipt = match self.receipt.is_wanted() {
            true => Some(self.receipt.site(&self.to.registry)?),
            false => None,
        };
        Ok(DeliveryOptions {
            on_existing: self.on_existing(),
            quota: if self.ignore_quota { QuotaCheck::Ignore } else { QuotaCheck::Enforce },
            settings: settings(self.harbor.as_deref())?,
            rollback: self.memory.rollback()?,
            portion: Portion { share: self.parts.share(), spool: self.parts.spool()? },
            receipt,
            patience: self.wait_for_scan.map(|Span(time)| ScanPatience::Wait(time)),
            state: self.memory.path()?,
            jobs: self.connection.jobs(),
            limits: bundle_importer::Limits::DEFAULT,
        })
    }

    fn open(&self, policy: &Effective, spool: Option<&Path>) -> Result<Bundle, Failure> {
        let limits = Limits::V1;
        if self.bundle.as_os_str() == "-" {
            refuse_terminal()?;
            if self.parts.needs_file() {
                return Err(Failure::text(Code::Usage, "a pipe is read as a whole"));
            }
            let countersignatures = self.trust.countersignatures()?;
            return Ok(Bundle::read(Box::new(std::io::stdin()), policy, &countersignatures, &limits)?);
        }
        Ok(match spool {
            Some(spool) => Bundle::open_partial(&self.bundle, spool, policy, &limits)?,
            None => Bundle::open(&self.bundle, policy, &limits)?,
        })
    }

    fn refuse_options_of_harbor(&self) -> Result<(), Failure> {
        let only_harbor = [
            (self.harbor.is_some(), "--harbor"),
            (self.wait_for_scan.is_some(), "--wait-for-scan"),
            (self.ignore_quota, "--ignore-quota"),
        ];
        match only_harbor.into_iter().find(|(given, _)| *given) {
            Some((_, option)) => {
                Err(Failure::text(Code::Usage, format!("{option} needs a Harbor, and {} is none", self.to))
                    .hint("if it is one all the same, say so with --registry-kind harbor"))
            }
            None => Ok(()),
        }
    }

    /// What a dry run says.
    fn tell_steps(
        &self,
        plan: &DeliveryPlan,
        artifacts: &[Artifact],
        document: Option<Value>,
    ) -> Result<(), Failure> {
        let plan = match plan {
            DeliveryPlan::Plain(plan) => {
                return self.tell_plan(artifacts, plan);
            }
            DeliveryPlan::Harbor(plan) => plan,
        };
        let host = self.to.registry.as_str();
        match document {
            Some(document) => print_json(&document)?,
            None => print(&harbor_text::plan(plan, artifacts, host))?,
        }
        if !plan.obstacles.is_empty() {
            return Err(Failure::refused(&plan.obstacles));
        }
        if !self.json {
            print("\nnothing was written\n")?;
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

/// The artifacts that are left out.
fn skipped(plan: &ImportPlan, artifacts: &[Artifact]) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        if let Decision::Skip(found) = step.decision {
            let target = &artifacts[step.artifact].target;
            text.push_str(&format!("left out {target}: its tag is {found} there\n"));
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
