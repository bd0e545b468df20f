use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bundle_format::{BLOCK, Limits, Statement};
use bundle_oci::Digest;
use rustix::fs::{FallocateFlags, OFlags, RenameFlags};

/// Why a bundle's file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// A path that ends in a slash, or names a directory otherwise.
    #[error("{} names no file", .0.display())]
    NoName(PathBuf),
    /// The file is there already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Another run writes the same file.
    #[error("another run is writing {}", .0.display())]
    Busy(PathBuf),
    /// Not enough room.
    #[error("{} needs {needed} bytes, and there are {available}", .path.display())]
    Space {
        /// The file.
        path: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        available: u64,
    },
    /// A file system that cannot hold so large a file.
    #[error("{} would have {size} bytes, more than its file system (FAT) can hold in one file", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How large it would be.
        size: u64,
    },
    /// The system refused.
    #[error("{} cannot be {doing}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A bundle's file on its way to completeness, under a name of its own beside the final one, with
/// a journal of what is in it. Both survive a run that ends early; the next run goes on.
#[derive(Debug)]
pub struct PartialFile {
    file: File,
    journal: Mutex<File>,
    path: PathBuf,
    partial: PathBuf,
    journal_path: PathBuf,
}

/// How a file system is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Space is set aside, and every blob is written at its final place.
    Anywhere,
    /// Gaps would be filled with zeros, writing everything twice: one byte after the other.
    InOrder,
}

const JOURNAL: &str = "bundle-journal 1";

impl PartialFile {
    /// Opens what an earlier run left, or starts anew, and makes sure that nobody else does.
    ///
    /// # Errors
    /// Any [`OutputError`].
    pub fn open(path: &Path) -> Result<Self, OutputError> {
        let name = file_name(path).ok_or_else(|| OutputError::NoName(path.to_owned()))?;
        let beside = |suffix: &str| {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(suffix);
            path.with_file_name(hidden)
        };
        let (partial, journal_path) = (beside(".partial"), beside(".journal"));
        for _ in 0..CLAIMS {
            if path.symlink_metadata().is_ok() {
                return Err(OutputError::Exists(path.to_owned()));
            }
            let file = open_beside(&partial)?;
            if claim(&file, path, &partial)? {
                let journal = Mutex::new(open_beside(&journal_path)?);
                let output = Self { file, journal, path: path.to_owned(), partial, journal_path };
                if path.symlink_metadata().is_ok() {
                    return Err(OutputError::Exists(path.to_owned()));
                }
                return Ok(output);
            }
        }
        Err(OutputError::Busy(path.to_owned()))
    }

    /// The statement that an earlier run began to write, if its file is still there.
    pub fn earlier(&self, limits: &Limits) -> Option<Statement> {
        let (digest, _) = self.read_journal()?;
        let mut header = [0; BLOCK as usize];
        self.file.read_exact_at(&mut header, 0).ok()?;
        let size = std::str::from_utf8(&header[124..135]).ok()?;
        let size = u64::from_str_radix(size, 8).ok().filter(|size| *size <= limits.statement)?;
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        self.file.read_exact_at(&mut bytes, BLOCK).ok()?;
        (Digest::of(&bytes) == digest).then(|| Statement::parse(&bytes, limits).ok())?
    }

    /// How many bytes of each blob an earlier run of this very plan wrote, by the blob's position.
    /// The journal is only a hint: what it says is hashed again before it is relied on.
    pub(crate) fn written(&self, statement: Digest) -> HashMap<usize, u64> {
        self.read_journal()
            .filter(|(digest, _)| *digest == statement)
            .map(|(_, written)| written)
            .unwrap_or_default()
    }

    fn read_journal(&self) -> Option<(Digest, HashMap<usize, u64>)> {
        let mut journal = self.journal.lock().ok()?;
        let mut text = String::new();
        journal.rewind().ok()?;
        (&*journal).take(64 << 20).read_to_string(&mut text).ok()?;
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let digest = lines.next()?.strip_prefix(JOURNAL)?.trim().parse().ok()?;
        let mut written: HashMap<usize, u64> = HashMap::new();
        for line in lines {
            let Some((blob, bytes)) = line.split_once(' ') else { continue };
            if let (Ok(blob), Ok(bytes)) = (blob.parse(), bytes.parse()) {
                written.insert(blob, bytes);
            }
        }
        Some((digest, written))
    }

    /// Makes room for the whole file, and starts the journal anew unless it is of this plan.
    pub(crate) fn prepare(&self, statement: Digest, size: u64) -> Result<Placement, OutputError> {
        let io = |doing| {
            move |source: std::io::Error| OutputError::Io { path: self.partial.clone(), doing, source }
        };
        let same = self.read_journal().is_some_and(|(digest, _)| digest == statement);
        if !same {
            self.file.set_len(0).map_err(io("emptied"))?;
            let mut journal = self.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            journal.set_len(0).and_then(|()| journal.rewind()).map_err(io("emptied"))?;
            writeln!(journal, "{JOURNAL} {statement}").map_err(io("written"))?;
        }
        let placement = self.placement(size)?;
        let room = rustix::fs::fstatvfs(&self.file).map_err(|error| io("looked at")(error.into()))?;
        let available = room.f_bavail.saturating_mul(room.f_frsize);
        let have = self.file.metadata().map_err(io("looked at"))?.blocks() * 512;
        if size.saturating_sub(have) > available {
            return Err(OutputError::Space {
                path: self.path.clone(),
                needed: size.saturating_sub(have),
                available,
            });
        }
        if placement == Placement::Anywhere {
            match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, size) {
                Ok(()) => {}
                // Without it a file is still right, only its space is not sure.
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                    self.file.set_len(size).map_err(io("made larger"))?;
                }
                Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => {
                    return Err(OutputError::Space { path: self.path.clone(), needed: size, available });
                }
                Err(error) => return Err(io("made larger")(error.into())),
            }
            // An earlier run's file of the same plan has this size; anything else is cut.
            self.file.set_len(size).map_err(io("made larger"))?;
        } else {
            self.file.set_len(0).map_err(io("emptied"))?;
        }
        Ok(placement)
    }

    fn placement(&self, size: u64) -> Result<Placement, OutputError> {
        const MSDOS: u64 = 0x4d44;
        const EXFAT: u64 = 0x2011_bab0;
        const FUSE: u64 = 0x6573_5546;
        const NTFS: u64 = 0x5346_544e;
        let status = rustix::fs::fstatfs(&self.file).map_err(|error| OutputError::Io {
            path: self.partial.clone(),
            doing: "looked at",
            source: error.into(),
        })?;
        let kind = (status.f_type as u64) & 0xffff_ffff;
        if kind == MSDOS && size >= 1 << 32 {
            return Err(OutputError::TooLarge { path: self.path.clone(), size });
        }
        Ok(if matches!(kind, MSDOS | EXFAT | FUSE | NTFS) { Placement::InOrder } else { Placement::Anywhere })
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), OutputError> {
        self.file.write_all_at(bytes, offset).map_err(|source| self.failed("written", source))
    }

    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), OutputError> {
        self.file.read_exact_at(bytes, offset).map_err(|source| self.failed("read", source))
    }

    /// Writes at the end, for the in-order writer.
    pub(crate) fn append(&self, bytes: &[u8]) -> std::io::Result<()> {
        (&self.file).write_all(bytes)
    }

    /// Notes that the first `bytes` of a blob are written.
    pub(crate) fn note(&self, blob: usize, bytes: u64) -> Result<(), OutputError> {
        let mut journal = self.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let line = format!("{blob} {bytes}\n");
        journal
            .seek(std::io::SeekFrom::End(0))
            .and_then(|_| journal.write_all(line.as_bytes()))
            .map_err(|source| OutputError::Io { path: self.journal_path.clone(), doing: "written", source })
    }

    /// Brings all to disk, and gives the file its final name. Nothing is written to it afterwards.
    pub(crate) fn finish(&self) -> Result<(), OutputError> {
        self.file.sync_all().map_err(|source| self.failed("brought to disk", source))?;
        if !is_at(&self.file, &self.partial) {
            let gone = std::io::Error::other("another file has taken its place");
            return Err(self.failed("renamed", gone));
        }
        let cwd = rustix::fs::CWD;
        match rustix::fs::renameat_with(cwd, &self.partial, cwd, &self.path, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => return Err(OutputError::Exists(self.path.clone())),
            // File systems without the flag: a link fails if the name is taken.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
                if self.path.symlink_metadata().is_ok() {
                    return Err(OutputError::Exists(self.path.clone()));
                }
                std::fs::rename(&self.partial, &self.path)
                    .map_err(|source| self.failed("renamed", source))?;
            }
            Err(error) => return Err(self.failed("renamed", error.into())),
        }
        let directory = match self.path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        // FAT and some network file systems cannot sync a directory.
        if let Err(error) = synced
            && error.kind() != std::io::ErrorKind::InvalidInput
            && error.kind() != std::io::ErrorKind::Unsupported
        {
            return Err(self.failed("brought to disk", error));
        }
        // A journal that stays is recognised as another file's and emptied.
        let _ = std::fs::remove_file(&self.journal_path);
        Ok(())
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> OutputError {
        OutputError::Io { path: self.partial.clone(), doing, source }
    }
}

impl Drop for PartialFile {
    /// What has nothing in it that was fetched would only puzzle people.
    fn drop(&mut self) {
        let fetched = |(_, written): (_, HashMap<usize, u64>)| written.values().any(|bytes| *bytes > 0);
        if !self.read_journal().is_some_and(fetched) && is_at(&self.file, &self.partial) {
            let _ = std::fs::remove_file(&self.journal_path);
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// How often a partial file may vanish between opening and locking before that is no accident.
const CLAIMS: usize = 8;

/// The last part of a path, unless the path can only be a directory's: `dir/`, `dir/.`, `..`.
fn file_name(path: &Path) -> Option<&OsStr> {
    let name = path.file_name()?;
    path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes()).then_some(name)
}

fn open_beside(path: &Path) -> Result<File, OutputError> {
    let failed = |source| OutputError::Io { path: path.to_owned(), doing: "opened", source };
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .custom_flags(flags.cast_signed())
        .open(path)
        .map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::other("it is no regular file")));
    }
    Ok(file)
}

/// Locks an open partial file, and says whether it is still one: the run that held the lock until
/// then may have given this very file its final name, or cleared it away.
fn claim(file: &File, path: &Path, partial: &Path) -> Result<bool, OutputError> {
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Err(OutputError::Busy(path.to_owned())),
        // Some network file systems have no locks; two runs at once are then the user's care.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(is_at(file, partial)),
    }
}

/// Whether a path leads to this open file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Digest {
        Digest::of(b"statement")
    }

    fn names(directory: &Path) -> Vec<OsString> {
        let mut names: Vec<_> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_was_finished_between_opening_and_locking_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        let first = PartialFile::open(&path).unwrap();
        let partial = first.partial.clone();
        first.prepare(statement(), 7).unwrap();
        first.write_at(b"content", 0).unwrap();
        let late = open_beside(&partial).unwrap();
        assert!(matches!(claim(&late, &path, &partial), Err(OutputError::Busy(_))));
        first.finish().unwrap();
        drop(first);
        assert!(!claim(&late, &path, &partial).unwrap());
        assert!(matches!(PartialFile::open(&path), Err(OutputError::Exists(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        assert_eq!(names(directory.path()), ["b.tar"]);
    }

    #[test]
    fn a_partial_file_that_another_has_replaced_gets_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        let output = PartialFile::open(&path).unwrap();
        output.prepare(statement(), 7).unwrap();
        std::fs::remove_file(&output.partial).unwrap();
        std::fs::write(&output.partial, "another's").unwrap();
        assert!(matches!(output.finish(), Err(OutputError::Io { .. })));
        drop(output);
        assert_eq!(names(directory.path()), [".b.tar.journal", ".b.tar.partial"]);
    }

    #[test]
    fn only_what_was_fetched_outlives_a_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        let output = PartialFile::open(&path).unwrap();
        let needed = output.prepare(statement(), 1 << 60).unwrap_err();
        assert!(matches!(
            needed,
            OutputError::Space { .. } | OutputError::TooLarge { .. } | OutputError::Io { .. }
        ));
        drop(output);
        assert!(names(directory.path()).is_empty());
        let output = PartialFile::open(&path).unwrap();
        output.prepare(statement(), 7).unwrap();
        output.note(0, 3).unwrap();
        drop(output);
        assert_eq!(names(directory.path()), [".b.tar.journal", ".b.tar.partial"]);
    }

    #[test]
    fn a_path_that_names_no_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["out/", "out/.", "..", "."] {
            let path = directory.path().join(path);
            assert!(matches!(PartialFile::open(&path), Err(OutputError::NoName(_))), "{path:?}");
        }
        assert!(names(directory.path()).is_empty());
    }
}
