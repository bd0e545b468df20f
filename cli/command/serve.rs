//! `serve`: bundles as a read-only registry. Writes the access log to standard output.
//! Takes bundles, an address and trust; serves until a signal ends it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use bundle_format::Timestamp;
use bundle_importer::Bundle;
use bundle_oci::Printable;
use bundle_os::{Signals, allow_many_files};
use bundle_report::AccessReport;
use bundle_serve::{
    Access, Ending, Event, FileMedium, Identity, Limits, Note, Observer, Server, Source, Store, Users,
};
use tokio::net::TcpListener;

use crate::command::quoted;
use crate::exit::{Code, Failure};
use crate::notes::parity_lines;
use crate::output::{self, tell};
use crate::size::{Bytes, count};
use bundle_trust::Effective;

use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Serve {
    /// Bundles to serve. If two define the same tag, the newer bundle of one stream wins; otherwise the
    /// last argument wins
    #[arg(required = true, value_name = "FILE")]
    bundles: Vec<PathBuf>,

    #[command(flatten)]
    trust: TrustArguments,

    /// Address to listen on
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5000")]
    listen: String,

    /// Certificate chain of the server (PEM) [default: plain HTTP]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Require a login: htpasswd file with bcrypt hashes (`htpasswd -B`)
    #[arg(long, value_name = "HTPASSWD")]
    auth: Option<PathBuf>,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let policy = self.trust.effective()?;
        let limits = Limits::default();
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(Identity::load(certificate, key)?),
            _ => None,
        };
        let users = self.auth.as_deref().map(|path| Users::load(path, limits.passwords)).transpose()?;
        let listener = TcpListener::bind(&self.listen).await.map_err(|error| {
            let text = format!("{} cannot be listened on: {error}", Printable(&self.listen));
            let failure = Failure::text(Code::Usage, text);
            match error.kind() {
                std::io::ErrorKind::AddrInUse => failure.hint("choose another port with --listen HOST:PORT"),
                _ => failure,
            }
        })?;
        let address = listener.local_addr().map_err(|error| Failure::new(Code::Failed, &error))?;
        if users.is_some() && identity.is_none() && !address.ip().is_loopback() {
            let text = "passwords would cross the network unencrypted";
            return Err(Failure::text(Code::Usage, text).hint("add --tls-cert and --tls-key"));
        }
        let files = allow_many_files();
        let limits = Limits {
            // Some files are the bundles, the log and the runtime's own.
            connections: limits.connections.min(files.saturating_sub(64).max(16)),
            ..limits
        };
        let console: Arc<dyn Observer> = Arc::new(Console::start());
        let sources = self.bundles.iter().map(|path| source(path, &policy)).collect::<Result<_, _>>()?;
        let store = Store::new(sources, limits, console.clone())?;
        self.tell(&store, &address.to_string(), identity.is_some());
        let mut signals = Signals::listen().map_err(|error| Failure::new(Code::Failed, &error))?;
        let stop = async move {
            signals.next().await;
            tell("note: finishing what is being sent; once more to stop at once");
            tokio::spawn(async move {
                signals.next().await;
                std::process::exit(0);
            });
        };
        let left = Server::new(Arc::new(store), users, identity, console).run(listener, stop).await;
        if left > 0 {
            tell(&format!("note: {} still open", count(left, "connection")));
        }
        Ok(())
    }

    fn tell(&self, store: &Store, address: &str, tls: bool) {
        for bundle in store.bundles() {
            tell(&format!(
                "{}: {}, stream {}, sequence {}, signed by {}",
                Printable(&bundle.name),
                count(bundle.artifacts, "artifact"),
                bundle.stream,
                bundle.sequence.dated(),
                quoted(&bundle.signers)
            ));
        }
        let name = |position: usize| {
            self.bundles.get(position).map(|path| path.display().to_string()).unwrap_or_default()
        };
        for note in store.notes().iter().take(NOTES) {
            match note {
                Note::Superseded { name: image, served, left } => tell(&format!(
                    "note: {image} is that of {}, not that of {}",
                    Printable(&name(*served)),
                    Printable(&name(*left))
                )),
                Note::TargetsOnly { bundle, signers } => tell(&format!(
                    "note: {} may not write to the project 'cache', so {} is served under the names of its targets only",
                    quoted(signers),
                    Printable(&name(*bundle))
                )),
            }
        }
        if store.notes().len() > NOTES {
            tell(&format!("note: and {} more", store.notes().len() - NOTES));
        }
        let (blobs, bytes) = store.size();
        let scheme = if tls { "https" } else { "http" };
        tell(&format!("serving {}, {}, on {scheme}://{address}", count(blobs, "blob"), Bytes(bytes)));
    }
}

/// Opens one bundle, and says which one could not be.
fn source(path: &Path, policy: &Effective) -> Result<Source, Failure> {
    let bundle = Bundle::open(path, policy, &bundle_format::Limits::V1)
        .map_err(|error| Failure::from(error).of(path))?;
    for line in parity_lines(&bundle.parity_notes()) {
        tell(&format!("note: {line}"));
    }
    let (archive, graph) = bundle
        .into_archive()
        .ok_or_else(|| Failure::text(Code::Usage, "a bundle from a pipe cannot be served").of(path))?;
    Ok(Source { archive: archive.share(), graph, medium: Box::new(FileMedium(path.to_owned())) })
}

/// More of the same would hide the rest.
const NOTES: usize = 20;

/// Writes the access log to stdout and messages to stderr, from a thread of its own, so that a
/// terminal that was stopped does not stop the server.
struct Console {
    lines: SyncSender<Line>,
}

enum Line {
    Access(String),
    Message(String),
}

/// The lines that wait for the terminal; what comes while it is full is lost.
const WAITING: usize = 4096;

impl Console {
    fn start() -> Self {
        let (lines, waiting) = sync_channel(WAITING);
        std::thread::spawn(move || {
            for line in waiting {
                // If stdout or stderr is closed, the error cannot be reported.
                let _ = match line {
                    Line::Access(text) => writeln!(std::io::stdout(), "{text}"),
                    Line::Message(text) => writeln!(std::io::stderr(), "{text}"),
                };
            }
        });
        Self { lines }
    }
}

fn line(access: &Access) -> String {
    let report = AccessReport {
        time: Timestamp::now().to_string(),
        peer: access.peer.to_string(),
        user: access.user.clone(),
        method: access.method.to_string(),
        target: access.target.clone(),
        status: access.status,
        bytes: access.bytes,
        ending: match access.ending {
            Ending::Complete => "complete",
            Ending::Left => "left",
            Ending::Broken => "broken",
        }
        .to_owned(),
        seconds: access.took.as_secs_f64(),
        agent: access.agent.clone(),
    };
    match output::is_json() {
        true => output::json_line(&report),
        false => report.line(&access.peer.ip().to_string()),
    }
}

impl Observer for Console {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Answered(access) => Line::Access(line(access)),
            Event::Lost { bundle, error } => Line::Message(format!(
                "error: {} cannot be read: {error}; looking for it again when it is asked for",
                Printable(bundle)
            )),
            Event::Found { bundle } => {
                Line::Message(format!("note: {} is available again", Printable(bundle)))
            }
            Event::Damaged { bundle, byte } => Line::Message(format!(
                "error: {} has other bytes than were signed, in the blob at byte {byte}; answers with it are cut off before their end",
                Printable(bundle)
            )),
            Event::Refused(error) => Line::Message(format!("error: connections cannot be accepted: {error}")),
        };
        match self.lines.try_send(line) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}
