use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bundle_format::{BLOCK, Limits, Statement};
use bundle_oci::Digest;
use rustix::fs::{FallocateFlags, OFlags, RenameFlags};

/// Why a bundle's file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
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
        if path.symlink_metadata().is_ok() {
            return Err(OutputError::Exists(path.to_owned()));
        }
        let beside = |suffix: &str| {
            let mut name = OsString::from(".");
            name.push(path.file_name().unwrap_or_default());
            name.push(suffix);
            path.with_file_name(name)
        };
        let (partial, journal_path) = (beside(".partial"), beside(".journal"));
        let open = |path: &Path| {
            let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
            let options = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .custom_flags(flags.cast_signed())
                .open(path);
            let failed = |source| OutputError::Io { path: path.to_owned(), doing: "opened", source };
            let file = options.map_err(failed)?;
            if !file.metadata().map_err(failed)?.is_file() {
                return Err(failed(std::io::Error::other("it is no regular file")));
            }
            Ok(file)
        };
        let file = open(&partial)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(OutputError::Busy(path.to_owned())),
            // Some network file systems have no locks; two runs at once are then the user's care.
            Err(std::fs::TryLockError::Error(_)) => {}
        }
        let journal = Mutex::new(open(&journal_path)?);
        Ok(Self { file, journal, path: path.to_owned(), partial, journal_path })
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
        let have =
            std::os::unix::fs::MetadataExt::blocks(&self.file.metadata().map_err(io("looked at"))?) * 512;
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

    /// Brings all to disk, and gives the file its final name.
    pub(crate) fn finish(self) -> Result<(), OutputError> {
        self.file.sync_all().map_err(|source| self.failed("brought to disk", source))?;
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
    /// What a run made and never wrote to would only puzzle people.
    fn drop(&mut self) {
        let journal = self.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if journal.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            let _ = std::fs::remove_file(&self.journal_path);
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}
