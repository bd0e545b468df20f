//! `prune`: plans the removal of what no kept bundle wants, and carries out a plan that people reviewed.
//! Takes receipts and a Harbor, gives a plan, or a record of what was removed.

use std::path::PathBuf;
use std::sync::Arc;

use bundle_format::{StreamName, Timestamp};
use bundle_harbor::{Account, Harbor};
use bundle_prune::{
    Approved, InUse, Limits, Outcome, Planned, RemovalPlan, RemovalResult, Request, Sources, carry_out,
    record_path,
};
use bundle_report::{BundleEntry, PruneLeft, PruneReport, PruneRow};
use bundle_site::account_text;
use bundle_trust::{Signer, load_private};

use crate::command::key::ask_passphrase;
use crate::connection::{Connection, Login, To};
use crate::exit::{Code, Failure};
use crate::output::{self, name};
use crate::progress::{Running, progress};
use crate::size::count;
use crate::trust::StoreArguments;

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["plan", "apply"]))]
pub(crate) struct Prune {
    /// Address of the Harbor, as the imports named it
    #[arg(long, value_name = "URL|HOST[:PORT]")]
    to: To,

    /// Stream whose images may go
    #[arg(long, value_name = "STREAM", required_unless_present = "apply", conflicts_with = "apply")]
    stream: Option<StreamName>,

    /// Number of newest bundles of each stream whose images stay
    #[arg(long, value_name = "N", default_value_t = 3, conflicts_with = "apply",
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    keep: u16,

    /// Plan to write; nothing is removed
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,

    /// Reviewed plan to carry out (needs an administrator's account, and --trust); a row that was taken out of it stays
    #[arg(long, value_name = "FILE", requires = "trust")]
    apply: Option<PathBuf>,

    /// Receipts of the imports into this Harbor, of all its streams; of a directory, all *.json in it; repeatable
    #[arg(long, value_name = "FILE|DIR", required = true)]
    receipts: Vec<PathBuf>,

    /// Public key of the site that signed the receipts; each signature is FILE.sig; repeatable
    #[arg(long, value_name = "PUBKEY")]
    trust: Vec<PathBuf>,

    /// Bundles, for what a bundle without a receipt wants, and for the bases of deltas, which stay; of a directory, all
    /// in it; repeatable
    #[arg(long, value_name = "FILE|DIR")]
    bundles: Vec<PathBuf>,

    /// What runs, and stays: the output of `kubectl get pods -A -o json`, or one image a line; repeatable
    #[arg(long, value_name = "FILE")]
    in_use: Vec<PathBuf>,

    /// Keep what was pulled in this many days; 0 if pulls do not matter
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    pulled_within: u16,

    /// Record of the removal to write [default: PLAN with the ending .record.json]
    #[arg(long, value_name = "FILE", requires = "apply")]
    record: Option<PathBuf>,

    /// Private key of this site, to sign the record with. Of a stream's record in Harbor, only what this key or one of
    /// --trust signed counts, if they signed any of it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    login: Login,

    #[command(flatten)]
    connection: Connection,
}

impl Prune {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let key = self.key.as_ref().map(|path| load_private(path, ask_passphrase)).transpose()?;
        let signer = key.map(|key| Arc::new(Signer::Key(key)));
        match (&self.plan, &self.apply, &self.stream) {
            (Some(path), _, Some(stream)) => {
                RemovalPlan::may_replace(path)?;
                let (harbor, progress) = self.connect("planning").await?;
                let account = harbor.account().await?;
                let keep = usize::from(self.keep);
                let planned = self.planned(&harbor, &account, &progress, stream, keep, signer).await?;
                planned.plan.write(path)?;
                drop(progress);
                output::report(&self.report(&planned, &name(path), None, false))
            }
            (None, Some(path), _) => self.carry_out(path.clone(), signer).await,
            _ => Err(Failure::text(Code::Usage, "--plan needs --stream")),
        }
    }

    async fn connect(&self, doing: &'static str) -> Result<(Harbor, Running), Failure> {
        self.to.refuse_path()?;
        let progress = progress(doing);
        let client = self.connection.client_to(&self.to, &self.login, false, &progress).await?;
        match Harbor::detect(&client, &self.to.registry).await? {
            Some(harbor) => Ok((harbor, progress)),
            None => Err(Failure::text(Code::Usage, format!("{} is not a Harbor", self.to))
                .hint("only Harbor tells when an image was pulled and which tags are immutable")),
        }
    }

    async fn planned(
        &self,
        harbor: &Harbor,
        account: &Account,
        progress: &Running,
        stream: &StreamName,
        keep: usize,
        site_key: Option<Arc<Signer>>,
    ) -> Result<Planned, Failure> {
        let mut in_use = InUse::default();
        for path in &self.in_use {
            in_use.add_file(path, &Limits::DEFAULT)?;
        }
        let keys = self.store.keys(&self.trust)?;
        let sources =
            Sources { receipts: &self.receipts, keys: &keys, bundles: &self.bundles, site_key, bases: &[] };
        let (pulled_within, jobs) = (self.pulled_within, self.connection.jobs());
        let request = Request { stream, keep, sources, in_use: &in_use, pulled_within, jobs };
        let planned = Planned::make(harbor, account, request, Timestamp::now()).await?;
        if planned.elsewhere > 0 {
            progress.note(&format!("{} of other registries left alone", count(planned.elsewhere, "receipt")));
        }
        for entry in planned.unreadable.iter().take(NAMED) {
            progress.note(&format!("{entry} is ignored in the record of accepted bundles"));
        }
        Ok(planned)
    }

    async fn carry_out(&self, path: PathBuf, signer: Option<Arc<Signer>>) -> Result<(), Failure> {
        let (reviewed, digest) = RemovalPlan::read(&path, &Limits::DEFAULT)?;
        if reviewed.registry != self.to.root() {
            let text = format!("the plan is for {}, not for {}", reviewed.registry, self.to);
            return Err(Failure::text(Code::Usage, text).of(&path).hint("name that one with --to"));
        }
        let (harbor, progress) = self.connect("removing").await?;
        let account = harbor.account().await?;
        let mut planned = self
            .planned(&harbor, &account, &progress, &reviewed.stream, reviewed.keep, signer.clone())
            .await?;
        let place = self.record.clone().unwrap_or_else(|| record_path(&path));
        let approved = Approved { removals: &reviewed.removals, file: Some(digest), frees: reviewed.frees };
        let removed =
            carry_out(&harbor, &account_text(&account), approved, &planned, &place, signer.as_deref())
                .await?;
        drop(progress);
        planned.plan.removals = reviewed.removals;
        planned.plan.left.clear();
        let left = removed.left();
        let results = Some((removed.record.results.as_slice(), name(&place)));
        output::report(&self.report(&planned, &name(&path), results, signer.is_some()))?;
        removed.written?;
        if let Some(error) = removed.error {
            let failure = Failure::from(error);
            return Err(failure.also_hint("what was removed is in the record; the same command goes on"));
        }
        if left > 0 {
            let text = format!("{} of the plan left", count(left, "row"));
            return Err(Failure::text(Code::Incomplete, text)
                .hint("the report says why; make a new plan, and review what changed"));
        }
        Ok(())
    }

    fn report(
        &self,
        planned: &Planned,
        plan: &str,
        done: Option<(&[RemovalResult], String)>,
        signed: bool,
    ) -> PruneReport {
        let rows = planned.plan.removals.iter().enumerate().map(|(at, removal)| {
            let result = done.as_ref().and_then(|(results, _)| results.get(at));
            let (outcome, why) = match result.map(|result| &result.outcome) {
                None => (None, None),
                Some(Outcome::Pending) => (Some("pending"), None),
                Some(Outcome::Removed) => (Some("removed"), None),
                Some(Outcome::Gone) => (Some("gone"), None),
                Some(Outcome::Left(why)) => (Some("left"), Some(why.to_string())),
                Some(Outcome::Failed(text)) => (Some("failed"), Some(text.clone())),
            };
            PruneRow {
                repository: removal.repository.to_string(),
                digest: removal.digest.to_string(),
                tags: removal.tags.iter().map(ToString::to_string).collect(),
                artifact: result.map_or(removal.whole, |result| result.artifact),
                bytes: removal.bytes,
                brought_by: BundleEntry::from(&removal.brought_by),
                pulled: removal.pulled.map(|at| at.to_string()),
                outcome: outcome.map(str::to_owned),
                why,
            }
        });
        let left = planned.plan.left.iter().map(|left| PruneLeft {
            name: match &left.tag {
                Some(tag) => format!("{}:{tag}", left.repository),
                None => format!("{}@{}", left.repository, left.digest),
            },
            what: left.why.name().to_owned(),
            message: left.why.to_string(),
        });
        PruneReport {
            registry: planned.plan.registry.to_string(),
            stream: planned.plan.stream.to_string(),
            kept: planned.plan.kept.iter().map(BundleEntry::from).collect(),
            others: planned.plan.others.iter().map(BundleEntry::from).collect(),
            verified: !self.trust.is_empty(),
            removals: rows.collect(),
            left: left.collect(),
            freed_blobs: planned.plan.frees.blobs,
            freed_bytes: planned.plan.frees.bytes,
            remarks: planned.remarks.iter().map(ToString::to_string).collect(),
            plan: plan.to_owned(),
            record: done.map(|(_, record)| record),
            signed,
        }
    }
}

/// How many entries of the record that count for nothing are named.
const NAMED: usize = 20;
