//! The directory where bundles arrive: what in it is a bundle, whole, and settled.
//! Takes a directory, gives candidates in order, and moves them when they are dealt with.

use crate::limits::Limits;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use bundle_format::{bundle_of, has_content};

use crate::ledger::{Fingerprint, Move};
use crate::listing::{self, Listed};

/// A bundle in the inbox, by its file names: one file or the volumes of a set, with the files beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name as one file.
    pub name: String,
    /// The path to open it by.
    pub path: PathBuf,
    /// All its files.
    pub files: Vec<PathBuf>,
    /// The size of the files in bytes.
    pub bytes: u64,
    pub(crate) fingerprint: Fingerprint,
}

/// An inbox that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {doing}", .path.display())]
pub struct InboxError {
    /// The directory or file.
    pub path: PathBuf,
    /// The action that failed.
    pub doing: &'static str,
    /// The operating system's error.
    pub source: std::io::Error,
}

/// Finds the bundles of an inbox. Files with other names, hidden ones (as copying programs make
/// them), directories and links are left alone.
pub(crate) fn scan(inbox: &Path) -> Result<Vec<Candidate>, InboxError> {
    let failed = |source| InboxError { path: inbox.to_owned(), doing: "read", source };
    let mut found: BTreeMap<String, Candidate> = BTreeMap::new();
    for Listed { name, path, metadata } in listing::files(inbox).map_err(failed)? {
        let Some(bundle) = bundle_of(&name) else { continue };
        let candidate = found.entry(bundle.to_owned()).or_insert_with(|| Candidate {
            name: bundle.to_owned(),
            path: inbox.join(bundle),
            files: Vec::new(),
            bytes: 0,
            fingerprint: Fingerprint { files: BTreeMap::new() },
        });
        candidate.files.push(path);
        candidate.bytes += metadata.len();
        let look = {
            let (seconds, nanoseconds) = bundle_os::change_time(&metadata);
            (metadata.len(), seconds, nanoseconds)
        };
        candidate.fingerprint.files.insert(name, look);
    }
    let mut candidates: Vec<Candidate> = found.into_values().collect();
    for candidate in &mut candidates {
        candidate.files.sort();
    }
    // A signature, or an index, that came before its bundle is not one yet.
    candidates.retain(Candidate::has_content);
    Ok(candidates)
}

impl Candidate {
    /// Whether there is any of the archive, or volumes of parity, from which all of a small one can be
    /// rebuilt.
    fn has_content(&self) -> bool {
        let name = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        self.files.iter().filter_map(name).any(|file| has_content(&file, &self.name))
    }

    /// How its files get to `directory`, where nothing is replaced, and where its reason can lie
    /// beside them.
    pub(crate) fn moves(&self, directory: &Path) -> Departure {
        let names: Vec<&OsStr> = self.files.iter().filter_map(|path| path.file_name()).collect();
        let first = self.files.iter().position(|path| *path == self.path).unwrap_or_default();
        let mut prefix = String::new();
        for number in 2.. {
            let place = |name: &OsStr| directory.join(shortened(&prefix, name));
            let mut places: Vec<PathBuf> = names.iter().map(|name| place(name)).collect();
            let reason = names.get(first).map(|name| {
                let mut named = name.to_os_string();
                named.push(REASON);
                place(&named)
            });
            places.extend(reason.clone());
            let distinct = places.iter().collect::<BTreeSet<_>>().len() == places.len();
            if distinct && !places.iter().any(|path| path.symlink_metadata().is_ok()) {
                let moves = self.files.iter().cloned().zip(places);
                let moves = moves.map(|(from, to)| Move { from, to }).collect();
                return Departure { moves, reason };
            }
            prefix = format!("{number}.");
        }
        Departure { moves: Vec::new(), reason: None }
    }
}

/// Where a bundle's files go.
pub(crate) struct Departure {
    /// File by file.
    pub(crate) moves: Vec<Move>,
    /// Where the reason goes, if there is one to be written.
    pub(crate) reason: Option<PathBuf>,
}

/// The suffix of the file with the reason for a refusal.
const REASON: &str = ".reason.txt";

/// A file name with something before it. One that would be too long keeps its end, and gets a digest for
/// the rest.
fn shortened(prefix: &str, name: &OsStr) -> OsString {
    let mut whole = OsString::from(prefix);
    whole.push(name);
    if whole.len() <= Limits::DEFAULT.file_name {
        return whole;
    }
    let text = whole.to_string_lossy();
    let digest = bundle_oci::Digest::of(text.as_bytes());
    let mut end = text.len().saturating_sub(Limits::DEFAULT.file_name / 2);
    while !text.is_char_boundary(end) {
        end += 1;
    }
    format!("{prefix}{}-{}", digest.short(), &text[end..]).into()
}

/// Moves files, and goes on where an earlier run was killed.
pub(crate) fn carry_out(moves: &[Move]) -> Result<(), InboxError> {
    for step in moves {
        let failed = |source| InboxError { path: step.from.clone(), doing: "moved", source };
        if let Some(directory) = step.to.parent() {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        match std::fs::rename(&step.from, &step.to) {
            // An earlier run moved it, or a person removed it: it is out of the inbox.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
                copy_over(step).map_err(failed)?;
            }
            moved => moved.map_err(failed)?,
        }
    }
    Ok(())
}

/// Moves a file to another file system: it is there whole, under its name, before it is gone here.
fn copy_over(step: &Move) -> std::io::Result<()> {
    let directory = step.to.parent().unwrap_or(Path::new("."));
    let mut copy = tempfile::Builder::new().prefix(".bundle-").suffix(".new").tempfile_in(directory)?;
    let mut file = bundle_os::open(&step.from)?;
    std::io::copy(&mut file, &mut copy)?;
    copy.as_file().set_permissions(file.metadata()?.permissions())?;
    copy.as_file().sync_all()?;
    copy.persist(&step.to).map_err(|error| error.error)?;
    bundle_os::sync_directory(&step.to)?;
    std::fs::remove_file(&step.from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_their_bundle() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "a.tar",
            "a.tar.0123456789abcdef.sig",
            "b.tar.zst",
            "c.tar.001-of-002",
            "c.tar.volumes.json",
            "c.tar.head",
            "d.tar.volumes.json",
            "e.tar.0123456789abcdef.sig",
            "j.tar.parity-001-of-001",
            "j.tar.parity",
            "j.tar.volumes.json",
            "k.tar.parity",
            ".f.tar.Xa1b2c",
            "g.tar.part",
            "readme.txt",
        ] {
            std::fs::write(directory.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(directory.path().join("h.tar")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("i.tar")).unwrap();
        let found = scan(directory.path()).unwrap();
        let names: Vec<(&str, usize)> = found.iter().map(|it| (it.name.as_str(), it.files.len())).collect();
        assert_eq!(names, [("a.tar", 2), ("b.tar.zst", 1), ("c.tar", 3), ("j.tar", 3)]);
    }

    #[test]
    fn no_name_and_nothing_in_the_way_keeps_a_file_in_the_inbox() {
        let directory = tempfile::tempdir().unwrap();
        let (inbox, refused) = (directory.path().join("in"), directory.path().join("refused"));
        std::fs::create_dir_all(&inbox).unwrap();
        let longest = format!("{}.tar", "ä".repeat(125));
        for name in [longest.as_str(), "a.tar"] {
            std::fs::write(inbox.join(name), name).unwrap();
        }
        std::fs::create_dir_all(refused.join("a.tar.reason.txt")).unwrap();
        std::fs::create_dir_all(refused.join("2.a.tar")).unwrap();
        for candidate in scan(&inbox).unwrap() {
            let departure = candidate.moves(&refused);
            std::fs::write(departure.reason.unwrap(), "junk").unwrap();
            carry_out(&departure.moves).unwrap();
        }
        assert_eq!(std::fs::read_dir(&inbox).unwrap().count(), 0);
        assert_eq!(std::fs::read_to_string(refused.join("3.a.tar")).unwrap(), "a.tar");
        assert_eq!(std::fs::read_to_string(refused.join("3.a.tar.reason.txt")).unwrap(), "junk");
    }

    #[test]
    fn what_somebody_took_away_stops_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let inbox = directory.path().join("in");
        std::fs::create_dir_all(&inbox).unwrap();
        std::fs::write(inbox.join("a.tar"), "a").unwrap();
        let moves = scan(&inbox).unwrap()[0].moves(&directory.path().join("done")).moves;
        std::fs::remove_file(inbox.join("a.tar")).unwrap();
        carry_out(&moves).unwrap();
    }

    #[test]
    fn a_file_gets_to_another_file_system_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a.tar"), directory.path().join("b.tar"));
        std::fs::write(&from, "content").unwrap();
        copy_over(&Move { from: from.clone(), to: to.clone() }).unwrap();
        assert!(!from.exists());
        assert_eq!(std::fs::read(&to).unwrap(), b"content");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_replaced_and_a_killed_move_is_gone_on_with() {
        let directory = tempfile::tempdir().unwrap();
        let (inbox, done) = (directory.path().join("in"), directory.path().join("done"));
        std::fs::create_dir_all(&inbox).unwrap();
        for round in ["one", "two", "three"] {
            std::fs::write(inbox.join("a.tar"), round).unwrap();
            std::fs::write(inbox.join("a.tar.0123456789abcdef.sig"), round).unwrap();
            let moves = scan(&inbox).unwrap()[0].moves(&done).moves;
            carry_out(&moves[..1]).unwrap();
            carry_out(&moves).unwrap();
            carry_out(&moves).unwrap();
        }
        for (name, content) in [("a.tar", "one"), ("2.a.tar", "two"), ("3.a.tar", "three")] {
            assert_eq!(std::fs::read_to_string(done.join(name)).unwrap(), content);
        }
        assert_eq!(std::fs::read_dir(&done).unwrap().count(), 6);
        assert_eq!(std::fs::read_dir(&inbox).unwrap().count(), 0);
    }
}
