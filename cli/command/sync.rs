//! `sync`: one run of the scheduled export or import.
//! Gives its report, its status and its metrics.

use std::path::PathBuf;
use std::sync::Arc;

use bundle_bundler::Config;
use bundle_format::Timestamp;
use bundle_harbor::Harbor;
use bundle_importer::{DeliveryOptions, OnFailure, Portion, Rollback};
use bundle_input::Span;
use bundle_os::EndSignal;
use bundle_registry::{Client, Progress};
use bundle_report::{
    ExportReport, ExportedBundle, ImportedItem, ItemOutcome, PrunedEntry, Report, SyncImportReport,
};
use bundle_site::{HarborOptions, QuotaCheck, ScanWait, connect};
use bundle_sync::{
    Boards, BundleOutcome, ExportConfig, ExportError, ExportJob, Exported, ImportConfig, ImportJob,
    ImportJobError, Imported, InboxItem, LockError, PruneRun, PrunedStream, Pruning, RunEnd, SyncConfig,
};
use bundle_trust::{Signer, load_private, load_public};

use crate::command::import::settings;
use crate::command::key::ask_passphrase;
use crate::command::wanted::missing_entry;
use crate::connection::{Connection, Login, To};
use crate::exit::{Code, Failure};
use crate::interrupt::{self, Left};
use crate::output;
use crate::program::PROGRAM;
use crate::progress::{Running, progress};
use crate::sources::SourceArguments;
use crate::trust::StoreArguments;

#[derive(clap::Subcommand)]
pub(crate) enum Sync {
    /// Write the next bundle to the outbox, if anything changed since the last receipt
    Export(Export),
    /// Import the inbox's bundles in order, write receipts, and move the bundles out of the inbox
    Import(Import),
}

#[derive(clap::Args)]
pub(crate) struct Export {
    /// Configuration of the job
    #[arg(long, value_name = "FILE", default_value = "sync.yaml")]
    config: PathBuf,

    /// Write a full bundle instead of a delta, for example after a medium was lost
    #[arg(long)]
    again: bool,

    #[command(flatten)]
    sources: SourceArguments,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
pub(crate) struct Import {
    /// Configuration of the job
    #[arg(long, value_name = "FILE", default_value = "sync.yaml")]
    config: PathBuf,

    /// Exit with 0 if all that is left in the inbox waits for more, such as a volume or a base bundle
    /// (otherwise 6)
    #[arg(long)]
    allow_waiting: bool,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    login: Login,

    #[command(flatten)]
    connection: Connection,
}

impl Sync {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Export(command) => command.run().await,
            Self::Import(command) => command.run().await,
        }
    }
}

impl Export {
    async fn run(self) -> Result<(), Failure> {
        let config = SyncConfig::load(&self.config)?.export(&self.config)?;
        let signer = signer(&config)?;
        let progress = progress("fetching");
        interrupt::leaves(Left::Kept(
            "what was fetched is kept, and the next run goes on with it".to_owned(),
        ));
        // The job reads the file again and reports what is wrong with it.
        let sources = Config::load(&config.file).map(|file| file.sources).unwrap_or_default();
        let cache = Some(config.state.join("cache"));
        let client = self.connection.client(&self.sources, &sources, cache, &progress)?;
        let jobs = self.connection.jobs();
        let receipt_keys = self.store.keys(&config.receipt_trust)?;
        let again = self.again;
        let job = ExportJob {
            config: &config,
            receipt_keys: &receipt_keys,
            client: &client,
            signer: &signer,
            again,
            jobs,
        };
        let boards = Boards { status: config.status.as_deref(), metrics: config.metrics.as_deref() };
        boards.may_replace()?;
        match job.run(progress.clone()).await {
            Ok(exported) => {
                drop(progress);
                let refused = refused_receipts(&exported);
                let told = tell_exported(&exported);
                let noted = boards.export(&exported.status, end(refused.as_ref())).map_err(Failure::from);
                all([refused.map_or(Ok(()), Err), told, noted])
            }
            Err(ExportError::Lock(LockError::Busy)) => {
                busy(&progress, &ExportReport { bundle: None, pruned: 0, busy: true, missing: Vec::new() })
            }
            Err(error) => {
                drop(progress);
                let failure = Failure::from(error);
                // The job's ledger is reported with the error, if it can be read at all.
                let noted = match job.status() {
                    Ok(status) => boards.export(&status, end(Some(&failure))).map_err(Failure::from),
                    Err(_) => Ok(()),
                };
                all([Err(failure), noted])
            }
        }
    }
}

fn signer(config: &ExportConfig) -> Result<Signer, Failure> {
    if let Some(path) = &config.key {
        return Ok(Signer::Key(load_private(path, ask_passphrase)?));
    }
    match (&config.sign_command, &config.public_key) {
        (Some(command), Some(public)) => {
            Ok(Signer::Command { command: command.clone(), public: load_public(public)? })
        }
        // The configuration would have been refused.
        _ => Err(Failure::text(Code::Usage, "export needs a key, or a command with its public key")),
    }
}

fn tell_exported(exported: &Exported) -> Result<(), Failure> {
    let last = exported.status.last.as_ref();
    let bundle = exported.bundle.as_ref().ok().map(|path| ExportedBundle {
        file: path.display().to_string(),
        sequence: last.map_or_else(String::new, |last| last.sequence.to_string()),
        bytes: last.map_or(0, |last| last.bytes),
    });
    let missing = exported.missing.iter().map(missing_entry).collect();
    output::report(&ExportReport { bundle, pruned: exported.pruned, busy: false, missing })
}

fn refused_receipts(exported: &Exported) -> Option<Failure> {
    let failures = exported.refused.iter().map(|refused| {
        Failure::text(Code::NotTrusted, refused.reason.clone())
            .about(&refused.path.display().to_string())
            .hint("the receipt is now in the directory refused beside it; find out where it came from")
    });
    failures.reduce(Failure::and)
}

impl Import {
    async fn run(self) -> Result<(), Failure> {
        let config = SyncConfig::load(&self.config)?.import(&self.config)?;
        let boards = Boards { status: config.status.as_deref(), metrics: config.metrics.as_deref() };
        boards.may_replace()?;
        let progress = progress("importing");
        interrupt::leaves(Left::Kept("what the registry has, it keeps, and the next run goes on".to_owned()));
        match self.imported(&config, &progress).await {
            Ok(imported) => {
                drop(progress);
                let status = imported.status.clone();
                let (told, waiting) = tell_imported(imported);
                let told = match (told, waiting) {
                    (Ok(()), Some(waiting)) if self.allow_waiting => {
                        waiting.tell_as_notes();
                        Ok(())
                    }
                    (told, waiting) => all([told, waiting.map_or(Ok(()), Err)]),
                };
                let noted = boards.import(&status, end(told.as_ref().err())).map_err(Failure::from);
                all([told, noted])
            }
            Err(Stopped::Busy) => {
                busy(&progress, &SyncImportReport { items: Vec::new(), left: 0, busy: true, pruned: None })
            }
            Err(Stopped::Failed(failure)) => {
                drop(progress);
                let noted = match ImportJob::status(&config) {
                    Ok(status) => boards.import(&status, end(Some(&failure))).map_err(Failure::from),
                    Err(_) => Ok(()),
                };
                all([Err(*failure), noted])
            }
        }
    }

    async fn imported(&self, config: &ImportConfig, progress: &Running) -> Result<Imported, Stopped> {
        let policy = self.store.effective(config.trust.as_deref())?;
        let key = load_private(&config.receipt_key, ask_passphrase).map_err(Failure::from)?;
        let signer = Arc::new(Signer::Key(key));
        let wrong = |text: &str, error: &dyn std::fmt::Display| {
            Failure::text(Code::Usage, format!("{}: '{text}' {error}", self.config.display()))
        };
        let to: To = config.to.parse().map_err(|error: String| wrong(&config.to, &error))?;
        let harbor = HarborOptions {
            settings: settings(config.harbor.as_deref())?,
            quota: QuotaCheck::Enforce,
            scans: config.wait_for_scan.map(|Span(time)| ScanWait::Wait(time)),
            limits: bundle_site::Limits::DEFAULT,
        };
        let options = DeliveryOptions {
            on_existing: config.on_existing_tag,
            only: None,
            on_failure: OnFailure::Stop,
            rollback: Rollback::Refuse,
            allow_future: false,
            portion: Portion::default(),
            receipt: Some(config.site.clone()),
            prove: config.prove,
            site_key: Some(signer.clone()),
            state: config.state.join("state.json"),
            jobs: self.connection.jobs(),
            adapts_jobs: self.connection.adapts_jobs(),
            stop: interrupt::stop().clone(),
            limits: bundle_importer::Limits::DEFAULT,
        };
        let shared: &Arc<dyn Progress> = progress;
        let client = self.connection.client_to(&to, &self.login, true, shared).await?;
        let destination =
            connect(&client, &to.registry, to.below.as_ref(), config.registry_kind, harbor, None).await;
        let destination = destination.map_err(Failure::from)?;
        let pruning = match &config.prune {
            Some(settings) => {
                Some((settings, self.harbor(&client, &to).await?, self.store.keys(&settings.receipt_trust)?))
            }
            None => None,
        };
        let pruning = pruning.as_ref().map(|(settings, harbor, keys)| {
            let jobs = self.connection.jobs();
            Pruning { settings, harbor, keys, jobs }
        });
        let job = ImportJob {
            config,
            policy: &policy,
            destination: &destination,
            options: &options,
            signer: &signer,
            client: &client,
            pruning,
        };
        match job.run(shared.clone()).await {
            Ok(imported) => Ok(imported),
            Err(ImportJobError::Lock(LockError::Busy)) => Err(Stopped::Busy),
            Err(error) => Err(Failure::from(error).into()),
        }
    }
}

impl Import {
    /// The Harbor to remove from.
    async fn harbor(&self, client: &Client, to: &To) -> Result<Harbor, Failure> {
        match Harbor::detect(client, &to.registry).await? {
            Some(harbor) => Ok(harbor),
            None => Err(Failure::text(Code::Usage, format!("'prune' needs a Harbor, and {to} is not one"))
                .of(&self.config)
                .hint("only Harbor tells when an image was pulled and which tags are immutable")),
        }
    }
}

/// Why there is no report of single bundles.
enum Stopped {
    Busy,
    Failed(Box<Failure>),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// Reports the outcome of each bundle, and fails with the gravest error. Waiting bundles are counted apart.
fn tell_imported(imported: Imported) -> (Result<(), Failure>, Option<Failure>) {
    let mut items = Vec::new();
    let (mut failed, mut refused, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for InboxItem { name, outcome } in imported.items {
        let done = |outcome, bundle| ImportedItem {
            name: name.clone(),
            outcome,
            bundle: Some(bundle),
            error: None,
            error_id: None,
        };
        let left = |outcome, failure: &Failure| ImportedItem {
            name: name.clone(),
            outcome,
            bundle: None,
            error: Some(failure.first_line().to_owned()),
            error_id: Some(failure.id().as_str().to_owned()),
        };
        match outcome {
            BundleOutcome::Imported(bundle) => items.push(done(ItemOutcome::Imported, bundle.to_string())),
            BundleOutcome::Again(bundle) => items.push(done(ItemOutcome::Again, bundle.to_string())),
            BundleOutcome::Failed(error) | BundleOutcome::Stuck(error) => {
                let failure = Failure::from(error);
                items.push(left(ItemOutcome::Failed, &failure));
                failed.push(failure.about(&name));
            }
            BundleOutcome::Refused(error) => {
                let failure = Failure::from(error);
                items.push(left(ItemOutcome::Refused, &failure));
                refused.push(failure.about(&name));
            }
            BundleOutcome::Waiting(error) => {
                // The error means only that something is still to come.
                let failure = Failure::from(error).with_code(Code::Incomplete);
                items.push(left(ItemOutcome::Waiting, &failure));
                waiting.push(failure.about(&name));
            }
        }
    }
    let pruned = imported.pruned.as_ref().map(pruned);
    let told = output::report(&SyncImportReport { items, left: imported.left, busy: false, pruned });
    if let Some(error) = imported.pruned.and_then(|run| run.error) {
        failed.push(Failure::from(error).about("prune"));
    }
    if imported.left > 0 {
        let text = format!("the inbox has {} more bundles", imported.left);
        waiting.push(Failure::text(Code::Incomplete, text).hint("the next run looks at them"));
    }
    // A stranger's bundle is graver than one that is old.
    let failures = failed.into_iter().chain(refused.into_iter().reduce(Failure::and_gravest));
    (all(failures.map(Err).chain([told])), waiting.into_iter().reduce(Failure::and))
}

fn pruned(run: &PruneRun) -> Vec<PrunedEntry> {
    let entry = |it: &PrunedStream| PrunedEntry {
        stream: it.stream.to_string(),
        removed: it.removed,
        left: it.left,
        bytes: it.bytes,
        record: it.record.as_deref().map(output::name),
    };
    run.streams.iter().map(entry).collect()
}

/// Reports all failures, with the code of the first.
fn all(results: impl IntoIterator<Item = Result<(), Failure>>) -> Result<(), Failure> {
    match results.into_iter().filter_map(Result::err).reduce(Failure::and) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn busy(progress: &Running, report: &impl Report) -> Result<(), Failure> {
    progress.note("another run is in progress; this one does nothing");
    output::report(report)
}

fn end(failure: Option<&Failure>) -> RunEnd<'_> {
    RunEnd {
        program: PROGRAM,
        at: Timestamp::now(),
        exit_code: failure
            .map_or(0, |failure| interrupt::signal().map_or(failure.code().number(), EndSignal::exit_code)),
        error: failure.map(Failure::first_line),
    }
}
