//! Directories that `serve` follows: scans them at intervals and on SIGHUP, and reports the changes. Takes a
//! follower; reads certificate, login and trust again where they changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bundle_format::{Lent, Limits, Timestamp, Trusted};
use bundle_importer::Bundle;
use bundle_oci::Printable;
use bundle_os::Hangups;
use bundle_serve::{
    Asked, Change, Entrance, FileMedium, Follower, Identity, Look, Opener, Source, Store, Users, Why,
};
use bundle_trust::Effective;

use super::console::Console;
use super::{note_lines, summary_line};
use crate::exit::Failure;
use crate::size::{Bytes, count};
use crate::trust::TrustArguments;

/// Opens bundles in a directory, with the trust policy of the arguments.
pub(super) struct Trusting {
    trust: TrustArguments,
    policy: Effective,
    lent: Lent,
}

impl Trusting {
    pub(super) fn new(trust: TrustArguments, policy: Effective, lent: Lent) -> Self {
        Self { trust, policy, lent }
    }
}

impl Opener for Trusting {
    fn refresh(&mut self) -> Result<bool, String> {
        let policy = self.trust.effective_again().map_err(|failure| failure.said())?;
        let changed = policy != self.policy;
        self.policy = policy;
        Ok(changed)
    }

    fn open(&self, path: &Path) -> Result<Source, String> {
        let opened = Bundle::open_arrived(path, &self.policy, &Limits::V1);
        let bundle = opened.map_err(|error| Failure::from(error).said().replace('\n', "; "))?;
        bundle.lend(&self.lent);
        // One that comes through a pipe has no path.
        let until = until(bundle.trusted(), &self.policy);
        let (archive, graph) = bundle.into_archive().ok_or("it is a pipe")?;
        Ok(Source {
            archive: archive.share(),
            graph,
            medium: Box::new(FileMedium(path.to_owned(), self.lent.clone())),
            until,
        })
    }
}

/// The next moment after which a bundle may no longer be trusted: its own end, or that of a key that signed it.
fn until(trusted: &Trusted, policy: &Effective) -> Option<Timestamp> {
    let now = Timestamp::now();
    let signers = trusted.signer_keys();
    let keys = policy.policy().keys.iter().filter(|key| signers.contains(&key.key.fingerprint()));
    let ends = keys.filter_map(|key| key.until).chain(trusted.statement().expires);
    ends.filter(|end| now <= *end).min()
}

/// A follower at work.
pub(super) struct Following {
    pub(super) follower: Follower<Trusting>,
    pub(super) store: Arc<Store>,
    pub(super) every: Duration,
    pub(super) entrance: EntranceFiles,
    pub(super) console: Arc<Console>,
}

impl Following {
    /// Looks for ever. Returns only if a look ended in a fault of the program: then nothing follows the directories any
    /// more, and what is revoked would still be served.
    pub(super) async fn run(mut self, hangups: Hangups) {
        looks(self.every, hangups, move |asked| self.look(asked)).await;
    }

    fn look(&mut self, asked: Asked) {
        for line in self.entrance.read_again(asked) {
            self.console.say(line);
        }
        let look = self.follower.look(asked);
        for line in lines(&look) {
            self.console.say(line);
        }
        if look.replaced || asked == Asked::Yes {
            let (bundles, (blobs, bytes)) = (self.store.bundles().len(), self.store.size());
            let (bundles, blobs) = (count(bundles, "bundle"), count(blobs, "blob"));
            self.console.say(format!("now serving {bundles}, {blobs}, {}", Bytes(bytes)));
        }
    }
}

/// Calls `look` at intervals and on SIGHUP, until it panics.
async fn looks(every: Duration, mut hangups: Hangups, mut look: impl FnMut(Asked) + Send + 'static) {
    let (ask, mut asks) = tokio::sync::mpsc::channel(1);
    // Files are read, which may take long on a slow medium. All looks are of one thread, for the memory that
    // one of them leaves is used by the next: other threads have memory of their own.
    std::thread::spawn(move || {
        while let Some(asked) = asks.blocking_recv() {
            look(asked);
        }
    });
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(every) => Asked::No,
            () = hangups.next() => Asked::Yes,
            () = ask.closed() => return,
        };
        if ask.send(asked).await.is_err() {
            return;
        }
    }
}

/// The messages of a scan of the directories.
pub(super) fn lines(look: &Look) -> Vec<String> {
    let line = |change: &Change| match change {
        Change::Served(bundle) => summary_line(bundle),
        Change::Replaced { before, now } => {
            let older = before.stream == now.stream && now.sequence < before.sequence;
            let (warning, older) = if older { ("warning: ", " the later") } else { ("", "") };
            let (line, stream, sequence) = (summary_line(now), &before.stream, before.sequence.dated());
            format!("{warning}{line}; in place of{older} sequence {sequence} of stream {stream}")
        }
        Change::LeftOut { name, why, withdrawn } => {
            let why = match why {
                Why::Unusable(what) => what.clone(),
                Why::Base { count: blobs, first } => format!(
                    "it is a delta, and {} that it builds on {} not here, such as {first}; bring the bundles before it",
                    count(*blobs, "blob"),
                    if *blobs == 1 { "is" } else { "are" }
                ),
                Why::Future(created) => format!(
                    "it was made at {created}, more than a day ahead of this machine's clock; set the clock right, \
                     or serve it nevertheless with --allow-future"
                ),
                Why::TooMany => {
                    "there are more bundles or blobs than are served at once, and the newest of each \
                                 stream come first; remove some that are not needed"
                        .to_owned()
                }
            };
            let no = if *withdrawn { "no longer" } else { "not" };
            format!("warning: {} is {no} served: {why}", Printable(name))
        }
        Change::Gone(name) => format!("{} is gone, and no longer served", Printable(name)),
        Change::Trouble { path: Some(path), what } => {
            format!("warning: {}: {what}; what was served still is", Printable(&path.display().to_string()))
        }
        Change::Trouble { path: None, what } => {
            format!("warning: {what}; those are trusted who were before")
        }
    };
    look.changes.iter().map(line).chain(note_lines(&look.notes)).collect()
}

/// The files of certificate and login, which people renew while the server runs.
pub(super) struct EntranceFiles {
    entrance: Arc<Entrance>,
    pair: Option<(PathBuf, PathBuf)>,
    users: Option<PathBuf>,
    passwords: usize,
    /// How they looked when they were read: the size and last change of each.
    seen: Vec<Option<(u64, (i64, i64))>>,
}

impl EntranceFiles {
    pub(super) fn new(
        entrance: Arc<Entrance>,
        pair: Option<(PathBuf, PathBuf)>,
        users: Option<PathBuf>,
        passwords: usize,
    ) -> Self {
        let mut this = Self { entrance, pair, users, passwords, seen: Vec::new() };
        this.seen = this.look();
        this
    }

    /// Reads them again at each SIGHUP, where no directory is followed.
    pub(super) async fn renew(mut self, mut hangups: Hangups, console: Arc<Console>) {
        loop {
            hangups.next().await;
            let lines = tokio::task::block_in_place(|| self.read_again(Asked::Yes));
            lines.into_iter().for_each(|line| console.say(line));
            console
                .say("certificate and login were looked at again; bundles are only with --follow".to_owned());
        }
    }

    fn look(&self) -> Vec<Option<(u64, (i64, i64))>> {
        let (certificate, key) = self.pair.as_ref().map(|(one, other)| (one, other)).unzip();
        let paths = [certificate, key, self.users.as_ref()].into_iter().flatten();
        let look = |path: &PathBuf| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.len(), bundle_os::change_time(&metadata)))
        };
        paths.map(look).collect()
    }

    /// Reads them again if they changed, or on request. Files that cannot be used are reported and change
    /// nothing.
    fn read_again(&mut self, asked: Asked) -> Vec<String> {
        let seen = self.look();
        if asked == Asked::No && seen == self.seen {
            return Vec::new();
        }
        self.seen = seen;
        let mut lines = Vec::new();
        let mut failed = |failure: Failure| {
            lines.push(format!("warning: {}; the one before still counts", failure.said()))
        };
        if let Some((certificate, key)) = &self.pair {
            match Identity::load(certificate, key) {
                Ok(identity) => self.entrance.show(identity),
                Err(error) => failed(error.into()),
            }
        }
        if let Some(path) = &self.users {
            match Users::load(path, self.passwords) {
                Ok(users) => self.entrance.admit(users),
                Err(error) => failed(error.into()),
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn looks_end_when_one_of_them_panics() {
        let mut left = 2;
        let hangups = Hangups::listen().unwrap();
        looks(Duration::from_millis(1), hangups, move |_| {
            left -= 1;
            assert!(left > 0, "this panic is part of the test");
        })
        .await;
    }
}
