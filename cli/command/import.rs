use std::path::PathBuf;
use std::time::Instant;

use bundle_format::{Expiry, Limits};
use bundle_importer::{
    Bundle, Decision, ImportPlan, Memory, OnExistingTag, Portion, Progressed, ReceiptDraft, Rollback, Share,
    push,
};
use bundle_oci::Registry;
use serde_json::json;

use crate::command::receipt::ReceiptArguments;
use crate::command::{print, print_json};
use crate::connection::Connection;
use crate::exit::{Code, Failure};
use crate::memory::{self, MemoryArguments};
use crate::parts::PartArguments;
use crate::progress::progress;
use crate::size::{Bytes, Took, count};
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Import {
    /// The bundle; - reads standard input
    #[arg(value_name = "FILE|-")]
    bundle: PathBuf,

    /// The registry to put the images into
    #[arg(long, value_name = "HOST[:PORT]")]
    to: Registry,

    #[command(flatten)]
    trust: TrustArguments,

    #[command(flatten)]
    memory: MemoryArguments,

    /// What becomes of a tag that is there with another digest
    #[arg(long, value_enum, default_value_t = Existing::Error)]
    on_existing_tag: Existing,

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
        let mut policy = self.trust.policy()?;
        let rollback = self.memory.rollback()?;
        if rollback != Rollback::Refuse {
            policy.expiry = Expiry::Ignore;
        }
        let receipt = self.receipt.requested()?;
        let site = self.receipt.site(&self.to)?;
        let progress = progress("importing");
        // Those who share the work must not wait for each other.
        let shared = self.parts.share() != Share::All;
        let state =
            if self.dry_run || shared { self.memory.look()? } else { self.memory.open(&*progress)? };
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
        let on_existing = match self.on_existing_tag {
            Existing::Skip => OnExistingTag::Skip,
            Existing::Error => OnExistingTag::Error,
            Existing::Overwrite => OnExistingTag::Overwrite,
        };
        let client = self.connection.client(&[], &progress)?;
        let jobs = self.connection.jobs();
        let mut memory = Memory::recall(state, &bundle, &client, &self.to).await?;
        let overrides = memory.judge(bundle.trusted().is_expired(), &rollback)?;
        memory::tell(&memory, &self.to, &*progress);
        let plan = ImportPlan::against(&bundle, &client, &self.to, on_existing, jobs).await?;
        let artifacts = bundle.statement().artifacts.clone();
        if self.dry_run {
            drop(progress);
            self.tell_plan(&artifacts, &plan);
            return Ok(());
        }
        let draft = ReceiptDraft::new(&bundle, &plan, &self.to, site, memory.newest(), overrides);
        let signers = bundle.trusted().signers().to_vec();
        let digest = bundle.trusted().digest();
        let portion = Portion { share: self.parts.share(), spool };
        let pushed = match push(bundle, &plan, &client, &self.to, &portion, jobs, progress.clone()).await? {
            Progressed::All(pushed) => pushed,
            Progressed::Part(remaining) => {
                drop(progress);
                print(&self.parts.remaining(&remaining)?);
                return Ok(());
            }
        };
        if shared {
            memory.lock(self.memory.open(&*progress)?, &self.to);
        }
        memory.accept(&client, &self.to, &rollback).await?;
        let report = pushed.set_tags(&plan, &client, &self.to, jobs).await?;
        if let Some(receipt) = receipt {
            receipt.write(draft, &client, &self.to, jobs).await?;
        }
        drop(progress);
        if self.json {
            print_json(&json!({
                "to": self.to,
                "statement": digest,
                "signers": signers,
                "pushed": report.pushed,
                "present": report.present,
                "skipped": report.skipped,
                "blobs": {"sent": report.sent, "sentBytes": report.sent_bytes, "mounted": report.mounted, "found": report.found},
                "seconds": started.elapsed().as_secs_f64(),
            }));
            return Ok(());
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
        print(&text);
        Ok(())
    }

    fn tell_plan(&self, artifacts: &[bundle_format::Artifact], plan: &ImportPlan) {
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
            print_json(&json!({"to": self.to, "steps": steps}));
            return;
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
        print(&text);
    }
}
