//! `serve`: bundles as a read-only registry. Writes the access log to standard output.
//! Takes bundles or directories of them, an address and trust; serves until a signal ends it.

mod console;
mod follow;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bundle_format::{Lent, Timestamp};
use bundle_importer::Bundle;
use bundle_input::Span;
use bundle_oci::Printable;
use bundle_os::{Hangups, Signals, allow_many_files};
use bundle_serve::{
    Asked, FileMedium, Follower, Identity, Limits, Note, Observer, Server, Source, Store, Summary, Users,
};
use bundle_trust::Effective;
use tokio::net::TcpListener;

use self::console::Console;
use self::follow::{EntranceFiles, Following, Trusting};
use crate::bases::BaseDirArguments;
use crate::command::quoted;
use crate::exit::{Code, Failure};
use crate::notes::parity_lines;
use crate::output::tell;
use crate::program::PROGRAM;
use crate::size::{Bytes, count};
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Serve {
    /// Bundles to serve. If two define the same tag, the newer bundle of one stream wins; otherwise the
    /// last argument wins
    #[arg(required_unless_present = "follow", value_name = "FILE")]
    bundles: Vec<PathBuf>,

    /// Serve the bundles in this directory, such as an inbox's `done`, too: new ones without a restart, and removed
    /// ones no longer. It need not exist yet; repeatable
    #[arg(long, value_name = "DIR")]
    follow: Vec<PathBuf>,

    /// Time between two looks into followed directories, and at the files of certificate, login and trust; SIGHUP
    /// has them looked at at once
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "follow")]
    poll: Span,

    /// Serve bundles created more than a day ahead of this machine's clock, too
    #[arg(long)]
    allow_future: bool,

    #[command(flatten)]
    trust: TrustArguments,

    /// Address to listen on
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5000")]
    listen: String,

    #[command(flatten)]
    bases: BaseDirArguments,

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
            ahead: if self.allow_future { i64::MAX } else { limits.ahead },
            ..limits
        };
        let console = Arc::new(Console::start());
        let observer: Arc<dyn Observer> = console.clone();
        if let Some(directory) = self.bundles.iter().find(|path| path.is_dir()) {
            let text = format!("{} is a directory", Printable(&directory.display().to_string()));
            return Err(Failure::text(Code::Usage, text).hint("serve what lies in it with --follow DIR"));
        }
        let lent = self.bases.lent()?;
        let sources = self.bundles.iter().map(|path| source(path, &policy, &lent, limits.ahead));
        let address = format!("{}://{address}", if identity.is_some() { "https" } else { "http" });
        // From here on SIGHUP no longer ends the process.
        let hangups = Hangups::listen().map_err(|error| Failure::new(Code::Failed, &error))?;
        let mut signals = Signals::listen().map_err(|error| Failure::new(Code::Failed, &error))?;
        let (store, follower) = if self.follow.is_empty() {
            let store = Store::new(sources.collect::<Result<_, _>>()?, limits, observer.clone())?;
            store.bundles().iter().for_each(|bundle| tell(&summary_line(bundle)));
            note_lines(&store.notes()).iter().for_each(|line| tell(line));
            (Arc::new(store), None)
        } else {
            let fixed = self.bundles.iter().zip(sources).map(|(path, source)| Ok((path.clone(), source?)));
            let fixed = fixed.collect::<Result<Vec<_>, Failure>>()?;
            fixed.iter().for_each(|(path, _)| {
                tell(&format!("{}: always served", Printable(&path.display().to_string())))
            });
            let store = Arc::new(Store::new(Vec::new(), limits, observer.clone())?);
            let trusting = Trusting::new(self.trust, policy, lent.clone());
            let mut follower = Follower::new(store.clone(), trusting, fixed, self.follow.clone());
            follow::lines(&follower.look(Asked::Yes)).iter().for_each(|line| tell(line));
            (store, Some(follower))
        };
        let (blobs, bytes) = store.size();
        tell(&format!("serving {}, {}, on {address}", count(blobs, "blob"), Bytes(bytes)));
        let server = Server::new(store.clone(), users, identity, observer, PROGRAM);
        let (end, ended) = tokio::sync::watch::channel(false);
        let pair = self.tls_cert.zip(self.tls_key);
        let entrance = EntranceFiles::new(server.entrance(), pair, self.auth, limits.passwords);
        match follower {
            Some(follower) => {
                let every = self.poll.0.max(SHORTEST_POLL);
                let following = Following { follower, store, every, entrance, console };
                tokio::spawn(async move {
                    following.run(hangups).await;
                    end.send_replace(true);
                });
            }
            None => drop(tokio::spawn(entrance.renew(hangups, console))),
        }
        let mut broken = ended.clone();
        let stop = async move {
            tokio::select! {
                _ = signals.next() => {}
                Ok(_) = broken.wait_for(|ended| *ended) => {}
            }
            tell("note: finishing what is being sent; once more to stop at once");
            tokio::spawn(async move {
                signals.next().await;
                std::process::exit(0);
            });
        };
        let left = server.run(listener, stop).await;
        if left > 0 {
            tell(&format!("note: {} still open", count(left, "connection")));
        }
        if *ended.borrow() {
            // A server that goes on would serve what is revoked meanwhile.
            let text = "following ended: a look into the directories failed in an unforeseen way";
            return Err(Failure::text(Code::Failed, text));
        }
        Ok(())
    }
}

/// One bundle that is served.
fn summary_line(bundle: &Summary) -> String {
    format!(
        "{}: {}, stream {}, sequence {}, signed by {}",
        Printable(&bundle.name),
        count(bundle.artifacts, "artifact"),
        bundle.stream,
        bundle.sequence.dated(),
        quoted(&bundle.signers)
    )
}

/// The notes for the user on the served content.
fn note_lines(notes: &[Note]) -> Vec<String> {
    let mut lines: Vec<String> = notes.iter().take(NOTES).map(|note| format!("note: {note}")).collect();
    if notes.len() > NOTES {
        lines.push(format!("note: and {} more", notes.len() - NOTES));
    }
    lines
}

/// Opens one bundle, and says which one could not be.
pub(crate) fn source(path: &Path, policy: &Effective, lent: &Lent, ahead: i64) -> Result<Source, Failure> {
    let bundle = Bundle::open(path, policy, &bundle_format::Limits::V1)
        .map_err(|error| Failure::from(error).of(path))?;
    bundle.lend(lent);
    for line in parity_lines(&bundle.parity_notes()) {
        tell(&format!("note: {line}"));
    }
    let (created, now) = (bundle.statement().created, Timestamp::now());
    if created.unix() > now.unix().saturating_add(ahead) {
        let text = format!(
            "bundle was made at {created}, more than a day ahead of this machine's clock, which says {now}"
        );
        let failure = Failure::text(Code::Policy, text).of(path);
        return Err(failure.hint("set the clock right; to serve it nevertheless: --allow-future"));
    }
    let (archive, graph) = bundle
        .into_archive()
        .ok_or_else(|| Failure::text(Code::Usage, "a bundle from a pipe cannot be served").of(path))?;
    Ok(Source {
        archive: archive.share(),
        graph,
        medium: Box::new(FileMedium(path.to_owned(), lent.clone())),
        until: None,
    })
}

/// More of the same would hide the rest.
const NOTES: usize = 20;

/// The shortest time between two looks.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
