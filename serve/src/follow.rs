//! Keeps a store in step with directories: new bundles are served, removed ones are not, and an unusable one
//! is reported once and ends nothing. Takes directories and what opens bundles; each look gives what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::Timestamp;
use bundle_oci::Digest;

use crate::listing::{self, Fingerprint};
use crate::selection::{Candidate, Room, choose};
use crate::shelf::{Held, Shelf};
use crate::{Note, Source, Store, Summary};

/// Opens bundles, with the trust policy.
pub trait Opener {
    /// Reads again whom to trust. Says whether that changed since the last time.
    ///
    /// # Errors
    /// It cannot be read; then what was known before still counts.
    fn refresh(&mut self) -> Result<bool, String>;

    /// Opens a bundle: its signature, statement, frame and manifests are right.
    ///
    /// # Errors
    /// It is not trusted, damaged, or not all there.
    fn open(&self, path: &Path) -> Result<Source, String>;

    /// The present time.
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Keeps a [`Store`] to the bundles of directories, beside some that are always served.
///
/// A scan reads only the statement and manifests of a bundle, and does not keep them: a follower needs the
/// memory of the catalog, of which there are two while one replaces the other. Verified blobs of a bundle
/// stay verified as long as its files look the same.
pub struct Follower<O> {
    store: Arc<Store>,
    opener: O,
    fixed: Vec<(PathBuf, Arc<Held>)>,
    directories: Vec<Directory>,
    known: BTreeMap<PathBuf, Known>,
    /// The fault of the trust files, as reported.
    distrust: Option<String>,
    /// The fault of one of the fixed bundles, as reported. Until it is right again, the served content does
    /// not change.
    hindrance: Option<String>,
    /// Why fixed bundles are not served, as reported.
    fixed_out: BTreeMap<PathBuf, Why>,
    /// Whether it has served something, be it nothing.
    begun: bool,
}

struct Directory {
    path: PathBuf,
    /// Its fault, as reported.
    trouble: Option<String>,
}

#[derive(Default)]
struct Known {
    /// How it looked; nothing if it is to be opened anew.
    look: Option<Fingerprint>,
    held: Option<Arc<Held>>,
    /// When it is to be opened anew, for it may no longer be trusted.
    until: Option<Timestamp>,
    /// What was told to be served under this path.
    shown: Option<Summary>,
    /// Why it cannot be served.
    out: Option<Why>,
    served: bool,
    /// Why it is not served, as reported.
    told: Option<Why>,
    /// Whether it is unchanged since the last scan: no copy is in progress.
    settled: bool,
}

/// Why a bundle is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It cannot be opened, or is not trusted.
    Unusable(String),
    /// It is a delta, and bundles that it builds on are not there.
    Base {
        /// How many blobs are missing.
        count: usize,
        /// One of them.
        first: Digest,
    },
    /// It was made after so much time from now as [`Limits`](crate::Limits) allow. It is served when it is time.
    Future(Timestamp),
    /// There are more than [`Limits`](crate::Limits) allow, and the newest of each stream come first.
    TooMany,
}

/// The result of a scan.
#[derive(Debug, Default)]
pub struct Look {
    /// The changes, in the order of names.
    pub changes: Vec<Change>,
    /// New notes on the served content: tags that bundles of different streams claim, and names that a key
    /// may not define.
    pub notes: Vec<Note>,
    /// Whether another catalog is served than before.
    pub replaced: bool,
}

/// A change that a look found.
#[derive(Clone, Debug)]
pub enum Change {
    /// A bundle is served from now on.
    Served(Summary),
    /// A bundle is served from now on in place of another that had its path.
    Replaced {
        /// The one that was served.
        before: Summary,
        /// The one that is.
        now: Summary,
    },
    /// A bundle is not served. Each reason is reported once, when the bundle is unchanged since the last
    /// scan.
    LeftOut {
        /// The bundle.
        name: String,
        /// Why not.
        why: Why,
        /// Whether it was served until now.
        withdrawn: bool,
    },
    /// A bundle that was served is no longer there.
    Gone(String),
    /// A directory, a fixed bundle, or a trust file cannot be read. The served content does not change.
    Trouble {
        /// The unreadable path; none for trust files.
        path: Option<PathBuf>,
        /// The fault.
        what: String,
    },
}

/// Whether a scan was requested. Then nothing waits to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A person did, or the server has just begun.
    Yes,
    /// It is just time.
    No,
}

impl<O: Opener> Follower<O> {
    /// Follows `directories`. The bundles `fixed`, each with its path, are always served.
    pub fn new(
        store: Arc<Store>,
        opener: O,
        fixed: Vec<(PathBuf, Source)>,
        directories: Vec<PathBuf>,
    ) -> Self {
        let fixed = fixed.into_iter().map(|(path, source)| {
            let (opened, medium) = source.split();
            (path, store.hold(&opened, medium))
        });
        let fixed = fixed.collect();
        let directories = directories.into_iter().map(|path| Directory { path, trouble: None });
        let directories = directories.collect();
        Self {
            store,
            opener,
            fixed,
            directories,
            known: BTreeMap::new(),
            distrust: None,
            hindrance: None,
            fixed_out: BTreeMap::new(),
            begun: false,
        }
    }

    /// Looks into the directories, and serves what is there.
    pub fn look(&mut self, asked: Asked) -> Look {
        let mut look = Look::default();
        let trust_changed = self.trust(&mut look);
        let mut found = self.list(&mut look);
        for (path, known) in self.known.iter().filter(|(_, known)| known.served) {
            if let Some(files) = known.look.as_ref().filter(|files| listing::is_there(path, files)) {
                found.entry(path.clone()).or_insert_with(|| files.clone());
            }
        }
        let now = self.opener.now();
        let mut changed = trust_changed || self.hindrance.is_some() || !self.begun;
        self.known.retain(|path, known| {
            let there = found.contains_key(path);
            if !there && known.served {
                look.changes.push(Change::Gone(path.display().to_string()));
            }
            changed |= !there && known.held.is_some();
            there
        });
        for (path, files) in found {
            changed |= self.examine(path, files, trust_changed, now);
        }
        if changed && !self.replace(&mut look, now) {
            return look;
        }
        self.tell(&mut look, asked);
        look
    }

    fn trust(&mut self, look: &mut Look) -> bool {
        match self.opener.refresh() {
            Ok(changed) => {
                self.distrust = None;
                changed
            }
            Err(what) => {
                if self.distrust.as_ref() != Some(&what) {
                    look.changes.push(Change::Trouble { path: None, what: what.clone() });
                    self.distrust = Some(what);
                }
                false
            }
        }
    }

    /// The files. A directory that cannot be read keeps its last list.
    fn list(&mut self, look: &mut Look) -> BTreeMap<PathBuf, Fingerprint> {
        let mut all = BTreeMap::new();
        let most = self.store.limits.candidates;
        for Directory { path, trouble } in &mut self.directories {
            let served =
                self.known.iter().filter(|(known, held)| held.served && known.parent() == Some(path));
            let served = served.map(|(path, _)| path.clone()).collect();
            let found = listing::bundles(path, most, &served);
            let what = match &found {
                Ok((_, false)) => None,
                Ok((_, true)) => {
                    Some(format!("it has more than {most} bundles, and the others are left alone"))
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Some("it does not exist yet".to_owned())
                }
                Err(error) => Some(format!("it cannot be read: {error}")),
            };
            if let Some(what) = what.clone().filter(|what| trouble.as_ref() != Some(what)) {
                look.changes.push(Change::Trouble { path: Some(path.clone()), what });
            }
            *trouble = what;
            match found {
                Ok((bundles, _)) => all.extend(bundles),
                Err(_) => {
                    let kept = self.known.iter().filter(|(known, _)| known.parent() == Some(path));
                    all.extend(
                        kept.map(|(path, known)| (path.clone(), known.look.clone().unwrap_or_default())),
                    );
                }
            }
        }
        all
    }

    /// Opens a bundle that is new, looks otherwise than before, or whose time may be over. Whether something else is
    /// to be served now.
    fn examine(&mut self, path: PathBuf, files: Fingerprint, trust_changed: bool, now: Timestamp) -> bool {
        let ahead = self.store.limits.ahead;
        let known = self.known.entry(path.clone()).or_default();
        known.settled = known.look.as_ref() == Some(&files);
        let over = known.held.is_some() && known.until.is_some_and(|until| now > until);
        if known.settled && !trust_changed && !over {
            return matches!(known.out, Some(Why::Future(created)) if !is_ahead(created, now, ahead));
        }
        let same = known.look.as_ref().is_some_and(|look| listing::same_content(look, &files));
        known.look = Some(files);
        let before = known.held.take();
        match self.opener.open(&path) {
            Ok(source) => {
                known.until = source.until;
                let (opened, medium) = source.split();
                let digest = opened.archive.trusted().digest();
                let kept = before.filter(|held| same && held.summary.digest == digest);
                known.held = Some(kept.unwrap_or_else(|| self.store.hold(&opened, medium)));
                true
            }
            Err(what) => {
                known.out = Some(Why::Unusable(what));
                before.is_some()
            }
        }
    }

    /// Makes a catalog of all that can be served together, and serves it in place of the one before. False if a fixed
    /// bundle stands in the way.
    fn replace(&mut self, look: &mut Look, now: Timestamp) -> bool {
        let mut left_out: BTreeMap<PathBuf, Why> = BTreeMap::new();
        let mut stale: BTreeSet<PathBuf> = BTreeSet::new();
        let mut order: Vec<(PathBuf, Arc<Held>)> =
            self.known.iter().filter_map(|(path, known)| Some((path.clone(), known.held.clone()?))).collect();
        // Of different streams, the tag of the bundle that was made last counts.
        order.sort_by(|(a, one), (b, other)| (one.created, a).cmp(&(other.created, b)));
        let fixed = self.fixed.len();
        let order: Vec<(PathBuf, Arc<Held>)> = self.fixed.iter().cloned().chain(order).collect();
        let limits = self.store.limits;
        for (path, held) in order.iter().skip(fixed) {
            if is_ahead(held.created, now, limits.ahead) {
                left_out.insert(path.clone(), Why::Future(held.created));
            }
        }
        loop {
            let before = left_out.len();
            let chosen = self.choose(&order, &left_out);
            let mut shelf = Shelf::default();
            for (position, (path, held)) in order.iter().enumerate() {
                if left_out.contains_key(path) || !chosen.contains(path) {
                    continue;
                }
                let opened = match self.opener.open(path) {
                    Ok(source) => source.split().0,
                    Err(what) if position < fixed => {
                        self.hinder(path.clone(), what, look);
                        return false;
                    }
                    Err(what) => {
                        stale.insert(path.clone());
                        left_out.insert(path.clone(), Why::Unusable(what));
                        continue;
                    }
                };
                if opened.archive.trusted().digest() != held.summary.digest {
                    stale.insert(path.clone());
                    left_out
                        .insert(path.clone(), Why::Unusable("it has just become another bundle".to_owned()));
                    continue;
                }
                shelf.add(held.clone(), &opened);
            }
            shelf.finish();
            for (held, count, first) in shelf.lacking() {
                for (path, _) in order.iter().filter(|(_, other)| Arc::ptr_eq(other, held)) {
                    left_out.insert(path.clone(), Why::Base { count, first });
                }
            }
            // Others may build on what was left out.
            if left_out.len() == before {
                let others = order.iter().map(|(path, _)| path);
                let others = others.filter(|path| !chosen.contains(*path) && !left_out.contains_key(*path));
                let others: Vec<PathBuf> = others.cloned().collect();
                left_out.extend(others.into_iter().map(|path| (path, Why::TooMany)));
                let served = self.store.shelf();
                look.notes = new_notes(shelf.catalog.notes(), served.catalog.notes());
                look.replaced = !look.notes.is_empty() || contents(&shelf) != contents(&served);
                self.store.put(shelf);
                self.begun = true;
                break;
            }
        }
        for (path, known) in &mut self.known {
            if known.held.is_some() {
                known.out = left_out.remove(path);
            }
            if stale.contains(path) {
                known.look = None;
            }
        }
        for (path, why) in &left_out {
            if self.fixed_out.get(path) != Some(why) {
                let (name, why) = (path.display().to_string(), why.clone());
                look.changes.push(Change::LeftOut { name, why, withdrawn: true });
            }
        }
        (self.fixed_out, self.hindrance) = (left_out, None);
        true
    }

    /// The paths of those that can be served together, without those that are left out already.
    fn choose(&self, order: &[(PathBuf, Arc<Held>)], left_out: &BTreeMap<PathBuf, Why>) -> BTreeSet<PathBuf> {
        let is_left = |(path, _): &&(PathBuf, Arc<Held>)| !left_out.contains_key(path);
        let left: Vec<&(PathBuf, Arc<Held>)> = order.iter().filter(is_left).collect();
        let fixed = order.iter().take(self.fixed.len()).filter(is_left).count();
        let candidates: Vec<Candidate<'_>> = left.iter().map(|entry| candidate_of(&entry.1)).collect();
        let room = Room { bundles: self.store.limits.bundles, blobs: self.store.limits.blobs };
        let places = choose(&candidates, fixed, room, |place| {
            // One that cannot be opened is noticed when it is added.
            let Ok(source) = self.opener.open(&left[place].0) else { return Vec::new() };
            source.archive.statement().blobs.iter().map(|blob| blob.digest).collect()
        });
        places.into_iter().map(|place| left[place].0.clone()).collect()
    }

    fn hinder(&mut self, path: PathBuf, what: String, look: &mut Look) {
        if self.hindrance.as_ref() != Some(&what) {
            look.changes.push(Change::Trouble { path: Some(path), what: what.clone() });
        }
        self.hindrance = Some(what);
    }

    /// Notes what is served now and was not, and what is not.
    fn tell(&mut self, look: &mut Look, asked: Asked) {
        for (path, known) in &mut self.known {
            let was_served = known.served;
            known.served = known.held.is_some() && known.out.is_none();
            let Some(why) = &known.out else {
                known.told = None;
                let Some(now) = known.held.as_ref().map(|held| held.summary.clone()) else { continue };
                match known.shown.replace(now.clone()) {
                    Some(before) if was_served && before.digest != now.digest => {
                        look.changes.push(Change::Replaced { before, now });
                    }
                    _ if was_served => {}
                    _ => look.changes.push(Change::Served(now)),
                }
                continue;
            };
            let certain = known.settled || asked == Asked::Yes || !matches!(why, Why::Unusable(_));
            if (was_served || certain) && known.told.as_ref() != Some(why) {
                known.told = Some(why.clone());
                let (name, why) = (path.display().to_string(), why.clone());
                look.changes.push(Change::LeftOut { name, why, withdrawn: was_served });
            }
        }
    }
}

/// Whether a bundle was made later than clocks differ.
fn is_ahead(created: Timestamp, now: Timestamp, ahead: i64) -> bool {
    created.unix() > now.unix().saturating_add(ahead)
}

fn candidate_of(held: &Held) -> Candidate<'_> {
    Candidate {
        signers: &held.summary.signers,
        stream: &held.summary.stream,
        sequence: held.summary.sequence,
        digest: held.summary.digest,
        bases: &held.bases,
        blobs: held.blobs,
    }
}

/// What people are told of a shelf.
fn contents(shelf: &Shelf) -> Vec<(String, Digest)> {
    shelf.bundles().iter().map(|held| (held.summary.name.clone(), held.summary.digest)).collect()
}

/// The notes that are new, but those on tags that move within a stream, which is what streams are for.
fn new_notes(now: &[Note], before: &[Note]) -> Vec<Note> {
    let wanted =
        |note: &&Note| !matches!(note, Note::Superseded { one_stream: true, .. }) && !before.contains(note);
    now.iter().filter(wanted).cloned().collect()
}
