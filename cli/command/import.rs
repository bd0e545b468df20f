use std::path::PathBuf;
use std::time::Instant;

use bundle_format::Limits;
use bundle_importer::{Bundle, Decision, ImportPlan, OnExistingTag, ReceiptDraft, load_trust, push};
use bundle_oci::Registry;
use serde_json::json;

use crate::command::receipt::ReceiptArguments;
use crate::command::{print, print_json};
use crate::connection::Connection;
use crate::exit::Failure;
use crate::progress::progress;
use crate::size::{Bytes, Took, count};

#[derive(clap::Args)]
pub(crate) struct Import {
    /// The bundle; - reads standard input
    #[arg(value_name = "FILE|-")]
    bundle: PathBuf,

    /// The registry to put the images into
    #[arg(long, value_name = "HOST[:PORT]")]
    to: Registry,

    /// Whose bundles are accepted: a public key, or a trust.yaml
    #[arg(long, value_name = "PUBKEY|FILE")]
    trust: PathBuf,

    /// What becomes of a tag that is there with another digest
    #[arg(long, value_enum, default_value_t = Existing::Error)]
    on_existing_tag: Existing,

    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    receipt: ReceiptArguments,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

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

impl Import {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        let policy = load_trust(&self.trust)?;
        let receipt = self.receipt.requested()?;
        let site = self.receipt.site(&self.to)?;
        let limits = Limits::V1;
        let bundle = if self.bundle.as_os_str() == "-" {
            Bundle::read(Box::new(std::io::stdin()), &policy, &limits)?
        } else {
            Bundle::open(&self.bundle, &policy, &limits)?
        };
        let on_existing = match self.on_existing_tag {
            Existing::Skip => OnExistingTag::Skip,
            Existing::Error => OnExistingTag::Error,
            Existing::Overwrite => OnExistingTag::Overwrite,
        };
        let progress = progress("importing");
        let client = self.connection.client(&[], &progress)?;
        let jobs = self.connection.jobs();
        let plan = ImportPlan::against(&bundle, &client, &self.to, on_existing, jobs).await?;
        let artifacts = bundle.statement().artifacts.clone();
        if self.dry_run {
            drop(progress);
            return self.tell_plan(&artifacts, &plan);
        }
        let draft = ReceiptDraft::new(&bundle, &plan, &self.to, site, Vec::new());
        let signer = bundle.trusted().signer().to_owned();
        let digest = bundle.trusted().digest();
        let report = push(bundle, &plan, &client, &self.to, jobs, progress.clone()).await?;
        if let Some(receipt) = receipt {
            receipt.write(draft, &client, &self.to, jobs).await?;
        }
        drop(progress);
        if self.json {
            return print_json(&json!({
                "to": self.to,
                "statement": digest,
                "signer": signer,
                "pushed": report.pushed,
                "present": report.present,
                "skipped": report.skipped,
                "blobs": {"sent": report.sent, "sentBytes": report.sent_bytes, "mounted": report.mounted, "found": report.found},
                "seconds": started.elapsed().as_secs_f64(),
            }));
        }
        let mut text = String::new();
        for step in &plan.steps {
            if let Decision::Skip(found) = step.decision {
                text.push_str(&format!(
                    "left out {}: its tag is {found} there\n",
                    artifacts[step.artifact].target
                ));
            }
        }
        text.push_str(&format!(
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
        ));
        print(&text)
    }

    fn tell_plan(&self, artifacts: &[bundle_format::Artifact], plan: &ImportPlan) -> Result<(), Failure> {
        let word = |decision: &Decision| match decision {
            Decision::Present => "present",
            Decision::Push => "push",
            Decision::Move(_) => "move",
            Decision::Skip(_) => "skip",
        };
        if self.json {
            let steps: Vec<_> = plan
                .steps
                .iter()
                .map(|step| {
                    let artifact = &artifacts[step.artifact];
                    json!({"decision": word(&step.decision), "target": artifact.target.to_string(), "digest": artifact.digest})
                })
                .collect();
            return print_json(&json!({"to": self.to, "steps": steps}));
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
