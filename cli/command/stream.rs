//! `stream`: shows either side's record of a stream, and sets it back after a mistake. Takes a registry, or
//! the export job's configuration; gives a report.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use bundle_format::{BundleId, Sequence, StreamName, Timestamp};
use bundle_importer::{
    Destination, HistoryNotice, ListedBundle, RecordedStream, StateFile, TakenBack, take_back,
};
use bundle_oci::{Printable, ProjectName};
use bundle_registry::Progress;
use bundle_report::{
    BundleEntry, ExportedStreamReport, OutboxEntry, RecordedBundleEntry, RecordedStreamEntry,
    RecordedStreamsReport, StreamRepairReport, TakenBackEntry,
};
use bundle_site::{HarborOptions, HarborSettings, QuotaCheck, connect};
use bundle_sync::{ExportConfig, ExportedStream, SyncConfig};
use bundle_trust::{Signer, load_private};

use crate::command::import::Kind;
use crate::command::key::ask_passphrase;
use crate::connection::{Connection, Login, To};
use crate::exit::{Code, Failure};
use crate::limits::{RECORDS_SHOWN, ROLLBACK_REASON};
use crate::output;
use crate::place;
use crate::progress::{Running, progress};
use crate::trust::StoreArguments;

#[derive(clap::Subcommand)]
pub(crate) enum Stream {
    /// Show what is known of a stream: at a registry with --to, of the export job without
    Show(Show),
    /// Set a stream's record back after a mistake, for example after a bundle from the future was accepted
    Repair(Repair),
}

#[derive(clap::Args)]
pub(crate) struct Show {
    /// Stream [default with --to: all streams]
    #[arg(value_name = "STREAM")]
    stream: Option<StreamName>,

    #[command(flatten)]
    side: Side,
}

#[derive(clap::Args)]
pub(crate) struct Repair {
    /// Stream
    #[arg(value_name = "STREAM")]
    stream: StreamName,

    /// Newest sequence that still counts; `none` if no bundle of the stream does
    #[arg(long, value_name = "SEQUENCE|none")]
    back_to: BackTo,

    /// Name of the person who decides; the record keeps it
    #[arg(long, value_name = "NAME")]
    by: String,

    /// Reason; the record keeps it
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Write; without it, only print the bundles that would no longer count, and fail
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    side: Side,
}

/// Which side is looked at.
#[derive(clap::Args)]
struct Side {
    /// Registry whose record is meant (far side)
    #[arg(long, value_name = "URL|HOST[:PORT][/PATH]")]
    to: Option<To>,

    /// State file of the imports into the registry [default: bundle/state.json in XDG_STATE_HOME or
    /// ~/.local/state]
    #[arg(long, value_name = "FILE", requires = "to")]
    state: Option<PathBuf>,

    /// Project whose record is read, besides cache and platform; repeatable
    #[arg(long = "project", value_name = "NAME", requires = "to")]
    projects: Vec<ProjectName>,

    /// Private key of this site, as for `import --receipt-key`: what is written is signed with it, and what it did not
    /// sign is reported and does not count
    #[arg(long, value_name = "FILE", requires = "to")]
    receipt_key: Option<PathBuf>,

    /// Kind of the registry
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Kind::Auto, requires = "to")]
    registry_kind: Kind,

    /// Configuration of the export job (connected side)
    #[arg(long, value_name = "FILE", default_value = "sync.yaml", conflicts_with = "to")]
    config: PathBuf,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    login: Login,

    #[command(flatten)]
    connection: Connection,
}

/// Where a stream is set back to.
#[derive(Clone, Copy, Debug)]
struct BackTo(Option<Sequence>);

impl std::str::FromStr for BackTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            _ => {
                text.parse().map(|sequence| Self(Some(sequence))).map_err(|error| format!("{error}, or none"))
            }
        }
    }
}

impl Stream {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Show(command) => command.run().await,
            Self::Repair(command) => command.run().await,
        }
    }
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let Some(to) = &self.side.to else {
            let (config, keys) = self.side.export()?;
            let known = ExportedStream::look(&config, &keys)?;
            is_the_jobs(self.stream.as_ref(), &known.stream)?;
            return output::report(&exported(&known));
        };
        let progress = progress("reading");
        let destination = self.side.destination(to, false, &progress).await?;
        let state = StateFile::look(&self.side.state()?)?;
        let mut unreadable = BTreeSet::new();
        let site_key = self.side.site_key()?;
        let recorded =
            self.side.recorded(&*destination, self.stream.as_ref(), site_key, &mut unreadable).await?;
        drop(progress);
        let mut streams: BTreeMap<String, RecordedStreamEntry> = BTreeMap::new();
        for known in &recorded {
            let newest = state.newest(&to.root(), &known.stream);
            streams.insert(
                known.stream.to_string(),
                RecordedStreamEntry {
                    stream: known.stream.to_string(),
                    state: newest.map(|newest| newest.sequence.into()),
                    bundles: known
                        .bundles
                        .iter()
                        .take(RECORDS_SHOWN)
                        .map(|each| entry(each, &known.listed))
                        .collect(),
                    more: known.more + known.bundles.len().saturating_sub(RECORDS_SHOWN),
                },
            );
        }
        let asked = |name: &StreamName| self.stream.as_ref().is_none_or(|stream| stream == name);
        for name in state.streams(&to.root()).into_iter().filter(asked) {
            let newest = state.newest(&to.root(), &name);
            let empty = RecordedStreamEntry {
                stream: name.to_string(),
                state: newest.map(|newest| newest.sequence.into()),
                bundles: Vec::new(),
                more: 0,
            };
            streams.entry(name.to_string()).or_insert(empty);
        }
        output::report(&RecordedStreamsReport {
            to: to.to_string(),
            streams: streams.into_values().collect(),
            unreadable: unreadable.into_iter().collect(),
        })
    }
}

impl Repair {
    async fn run(self) -> Result<(), Failure> {
        let mark = self.mark()?;
        let BackTo(back_to) = self.back_to;
        let Some(to) = &self.side.to else {
            let (config, keys) = self.side.export()?;
            let known = ExportedStream::look(&config, &keys)?;
            is_the_jobs(Some(&self.stream), &known.stream)?;
            if !self.yes {
                let above = known.outbox.iter().map(|sent| sent.sequence);
                let above = above.filter(|sequence| back_to.is_none_or(|back_to| *sequence > back_to));
                let lines = above.map(|sequence| format!("{} would leave the outbox", sequence.dated()));
                return Err(unconfirmed(lines.collect()));
            }
            let withdrawn = ExportedStream::set_back(&config, &keys, back_to, &mark)?;
            return output::report(&StreamRepairReport {
                stream: self.stream.to_string(),
                taken_back: withdrawn.receipts.iter().map(BundleEntry::from).collect(),
                withdrawn: withdrawn.bundles.into_iter().map(u64::from).collect(),
                newest: back_to.map(u64::from),
            });
        };
        let site_key = self.side.site_key()?;
        let progress = progress("reading");
        let destination = self.side.destination(to, self.yes, &progress).await?;
        let waiting = || progress.note(&HistoryNotice::Waiting.to_string());
        let path = self.side.state()?;
        let mut state = if self.yes { StateFile::open(&path, waiting)? } else { StateFile::look(&path)? };
        let mut unreadable = BTreeSet::new();
        let key = || site_key.clone();
        let recorded = self.side.recorded(&*destination, Some(&self.stream), key(), &mut unreadable).await?;
        let above = recorded.first().map(|known| known.above(back_to)).unwrap_or_default();
        if !self.yes {
            drop(progress);
            let mut lines: Vec<String> =
                above.iter().map(|bundle| format!("{bundle} would count no more")).collect();
            if let Some(newest) = state.newest(&to.root(), &self.stream)
                && back_to.is_none_or(|back_to| newest.sequence > back_to)
            {
                lines.push(format!("{} would be forgotten by {}", newest.sequence.dated(), path.display()));
            }
            return Err(unconfirmed(lines));
        }
        let counting = |known: &RecordedStream| known.above(None).len() > above.len();
        if back_to.is_some() && !recorded.first().is_some_and(counting) {
            let text = format!("no bundle of the stream '{}' would be left that counts", self.stream);
            return Err(Failure::text(Code::Usage, text)
                .hint("if that is meant: --back-to none; for other projects' records: --project NAME"));
        }
        let projects = self.side.projects();
        take_back(&*destination, &projects, &above, &mark, site_key.clone()).await?;
        // The report shows the record after the write.
        let left = self.side.recorded(&*destination, Some(&self.stream), key(), &mut unreadable).await?;
        let newest = left.first().and_then(RecordedStream::newest);
        let known = state.newest(&to.root(), &self.stream);
        if known.is_some_and(|known| back_to.is_none_or(|back_to| known.sequence > back_to)) {
            state.set_back(&to.root(), &self.stream, newest.clone())?;
        }
        drop(progress);
        output::report(&StreamRepairReport {
            stream: self.stream.to_string(),
            taken_back: above.iter().map(BundleEntry::from).collect(),
            withdrawn: Vec::new(),
            newest: newest.map(|newest| newest.sequence.into()),
        })
    }

    fn mark(&self) -> Result<TakenBack, Failure> {
        for (option, text) in [("--by", &self.by), ("--reason", &self.reason)] {
            let is_plain = Printable(text).to_string() == *text && text.trim() == text;
            if text.is_empty() || text.len() > ROLLBACK_REASON || !is_plain {
                let text = format!("{option} must be 1 to {ROLLBACK_REASON} printable characters");
                return Err(Failure::text(Code::Usage, text));
            }
        }
        Ok(TakenBack { by: self.by.clone(), at: Timestamp::now(), reason: self.reason.clone() })
    }
}

impl Side {
    fn export(&self) -> Result<(ExportConfig, Vec<bundle_format::PublicKey>), Failure> {
        let config = SyncConfig::load(&self.config)?.export(&self.config)?;
        let keys = self.store.keys(&config.receipt_trust)?;
        Ok((config, keys))
    }

    async fn destination(
        &self,
        to: &To,
        writes: bool,
        progress: &Running,
    ) -> Result<Arc<dyn Destination>, Failure> {
        let shared: &Arc<dyn Progress> = progress;
        let client = self.connection.client_to(to, &self.login, writes, shared).await?;
        let harbor = HarborOptions {
            settings: HarborSettings::default(),
            quota: QuotaCheck::Ignore,
            scans: None,
            limits: bundle_site::Limits::DEFAULT,
        };
        let kind = self.registry_kind.into();
        Ok(connect(&client, &to.registry, to.below.as_ref(), kind, harbor, None).await?)
    }

    fn projects(&self) -> Vec<ProjectName> {
        let named = self.projects.iter().cloned();
        let all: BTreeSet<ProjectName> =
            [ProjectName::cache(), ProjectName::platform()].into_iter().chain(named).collect();
        all.into_iter().collect()
    }

    async fn recorded(
        &self,
        destination: &dyn Destination,
        stream: Option<&StreamName>,
        site_key: Option<Arc<Signer>>,
        unreadable: &mut BTreeSet<String>,
    ) -> Result<Vec<RecordedStream>, Failure> {
        // For one stream all records are read, because all newer ones must be taken back.
        let most = if stream.is_some() { usize::MAX } else { RECORDS_SHOWN };
        Ok(RecordedStream::read(destination, &self.projects(), stream, most, site_key.into(), unreadable)
            .await?)
    }

    fn site_key(&self) -> Result<Option<Arc<Signer>>, Failure> {
        let key = self.receipt_key.as_ref().map(|path| load_private(path, ask_passphrase)).transpose()?;
        Ok(key.map(|key| Arc::new(Signer::Key(key))))
    }

    fn state(&self) -> Result<PathBuf, Failure> {
        match &self.state {
            Some(path) => Ok(path.clone()),
            None => place::state("state.json"),
        }
    }
}

/// The error for a change without `--yes`, with the planned steps.
fn unconfirmed(mut lines: Vec<String>) -> Failure {
    if lines.is_empty() {
        lines.push("nothing is newer than that".to_owned());
    }
    lines.push("nothing was written".to_owned());
    Failure::text(Code::Usage, lines.join("\n"))
        .hint("look at these lines, and run the same command again with --yes")
}

fn is_the_jobs(asked: Option<&StreamName>, known: &StreamName) -> Result<(), Failure> {
    match asked {
        Some(asked) if asked != known => {
            Err(Failure::text(Code::Usage, format!("the job writes the stream '{known}', and not '{asked}'"))
                .hint("for the far side, name the registry with --to"))
        }
        _ => Ok(()),
    }
}

fn entry(each: &bundle_importer::RecordedBundle, listed: &[ListedBundle]) -> RecordedBundleEntry {
    let known = listed.iter().find(|known| known.bundle == each.bundle);
    let moment = |bundle: &BundleId| bundle.sequence.moment().map(|moment| moment.to_string());
    RecordedBundleEntry {
        bundle: BundleEntry::from(&each.bundle),
        created: known.map(|known| known.created.to_string()).or_else(|| moment(&each.bundle)),
        signers: known.map(signers).unwrap_or_default(),
        taken_back: each.taken_back.as_ref().map(|mark| TakenBackEntry {
            by: Printable(&mark.by).to_string(),
            at: mark.at.to_string(),
            reason: Printable(&mark.reason).to_string(),
        }),
    }
}

/// Anybody who can push there can write anything.
fn signers(listed: &ListedBundle) -> Vec<String> {
    listed.signers.iter().map(|name| Printable(name).to_string()).collect()
}

fn exported(known: &ExportedStream) -> ExportedStreamReport {
    let last = known.last.as_ref();
    ExportedStreamReport {
        stream: known.stream.to_string(),
        last: last.map(|last| BundleEntry {
            stream: last.stream.to_string(),
            sequence: last.sequence.into(),
            statement: last.statement.to_string(),
        }),
        created: last.map(|last| last.created.to_string()),
        outbox: known
            .outbox
            .iter()
            .map(|sent| OutboxEntry {
                sequence: sent.sequence.into(),
                file: sent.path.display().to_string(),
                bytes: sent.bytes,
            })
            .collect(),
        arrived: known.arrived.as_ref().map(BundleEntry::from),
    }
}
