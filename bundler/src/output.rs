use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bundle_format::{BLOCK, FileError, Layout, Limits, Statement, VolumeNames, VolumeSize};
use bundle_oci::Digest;
use bundle_os::{Preallocated, Volume};

use crate::volume_set::{self, Head};

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
    /// More volumes than a set can have.
    #[error("{} would have {volumes} volumes, more than a set can have", .path.display())]
    TooManyVolumes {
        /// The file.
        path: PathBuf,
        /// How many.
        volumes: usize,
    },
    /// A small file beside the volumes cannot be written.
    #[error(transparent)]
    Beside(#[from] FileError),
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

/// A bundle's file, or its volumes, on the way to completeness, under names of their own beside the
/// final ones, with a journal of what is in them. All survive a run that ends early; the next run
/// goes on.
#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    volumes: Option<VolumeSize>,
    /// In the order of the archive; of volumes, only the first is open before the cuts are known.
    parts: Vec<Part>,
    journal: Mutex<File>,
    journal_path: PathBuf,
    /// How much the in-order writer has written.
    appended: Mutex<u64>,
}

/// One file, and the bytes of the archive that it has.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) file: File,
    pub(crate) partial: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) range: Range<u64>,
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
    /// Opens what an earlier run left, or starts anew, and makes sure that nobody else does. With a
    /// size, the archive is cut into volumes.
    ///
    /// # Errors
    /// Any [`OutputError`].
    pub fn open(path: &Path, volumes: Option<VolumeSize>) -> Result<Self, OutputError> {
        if file_name(path).is_none() {
            return Err(OutputError::NoName(path.to_owned()));
        }
        let journal_path = hidden(path, "journal");
        for _ in 0..CLAIMS {
            if path.symlink_metadata().is_ok() {
                return Err(OutputError::Exists(path.to_owned()));
            }
            if volumes.is_some() {
                volume_set::take_back(&VolumeNames::of(path), &journal_path, |number| {
                    partial(path, Some(number))
                })?;
            }
            let first = partial(path, volumes.map(|_| 1));
            let file = open_own(&first)?;
            if claim(&file, path, &first)? {
                let journal = Mutex::new(open_own(&journal_path)?);
                let part = Part { file, partial: first, path: path.to_owned(), range: 0..u64::MAX };
                let output = Self {
                    path: path.to_owned(),
                    volumes,
                    parts: vec![part],
                    journal,
                    journal_path,
                    appended: Mutex::new(0),
                };
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
        let mut reader: Box<dyn Read> =
            match self.volumes {
                None => Box::new(&self.parts.first()?.file),
                Some(_) => {
                    let parts = (1..=limits.volumes)
                        .map_while(|number| File::open(partial(&self.path, Some(number))).ok());
                    Box::new(parts.fold(Box::new(std::io::empty()) as Box<dyn Read>, |all, part| {
                        Box::new(all.chain(part))
                    }))
                }
            };
        if self.volumes.is_none() {
            (&self.parts.first()?.file).rewind().ok()?;
        }
        let mut header = [0; BLOCK as usize];
        reader.read_exact(&mut header).ok()?;
        let size = std::str::from_utf8(&header[124..135]).ok()?;
        let size = u64::from_str_radix(size, 8).ok().filter(|size| *size <= limits.statement)?;
        let mut bytes = Vec::new();
        reader.take(size).read_to_end(&mut bytes).ok()?;
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

    /// Makes room for the whole archive, and starts the journal anew unless it is of this plan.
    pub(crate) fn prepare(&mut self, statement: Digest, layout: &Layout) -> Result<Placement, OutputError> {
        let size = layout.size();
        let same = self.read_journal().is_some_and(|(digest, _)| digest == statement);
        self.cut(layout)?;
        if !same {
            for part in &self.parts {
                part.file.set_len(0).map_err(|source| part.failed("emptied", source))?;
            }
            let mut journal = self.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let io = |doing| {
                let path = self.journal_path.clone();
                move |source| OutputError::Io { path, doing, source }
            };
            journal.set_len(0).and_then(|()| journal.rewind()).map_err(io("emptied"))?;
            writeln!(journal, "{JOURNAL} {statement}").map_err(io("written"))?;
        }
        let placement = self.placement()?;
        let available = self.check_space(size)?;
        for part in &self.parts {
            let size = part.range.end - part.range.start;
            if placement == Placement::InOrder {
                part.file.set_len(0).map_err(|source| part.failed("emptied", source))?;
                continue;
            }
            match bundle_os::preallocate(&part.file, size) {
                // Without it a file is still right, only its space is not sure.
                Ok(Preallocated::Done | Preallocated::Unsupported) => {}
                Ok(Preallocated::NoSpace) => {
                    return Err(OutputError::Space { path: self.path.clone(), needed: size, available });
                }
                Err(error) => return Err(part.failed("made larger", error)),
            }
            // An earlier run's file of the same plan has this size; anything else is cut.
            part.file.set_len(size).map_err(|source| part.failed("made larger", source))?;
        }
        Ok(placement)
    }

    /// Makes sure of room for so many bytes, which will be appended, or for fewer.
    pub(crate) fn prepare_stream(&mut self, size: u64) -> Result<(), OutputError> {
        self.parts[0].range = 0..size;
        self.placement()?;
        self.check_space(size)?;
        let part = &mut self.parts[0];
        part.file.set_len(0).map_err(|source| part.failed("emptied", source))?;
        part.range = 0..u64::MAX;
        Ok(())
    }

    /// Opens a file for each volume, now that the cuts are known.
    fn cut(&mut self, layout: &Layout) -> Result<(), OutputError> {
        let Some(size) = self.volumes else {
            self.parts[0].range = 0..layout.size();
            return Ok(());
        };
        let cuts = size.cut(layout);
        let of = cuts.len();
        if of > Limits::V1.volumes {
            return Err(OutputError::TooManyVolumes { path: self.path.clone(), volumes: of });
        }
        let names = VolumeNames::of(&self.path);
        for (range, number) in cuts.into_iter().zip(1..) {
            let (path, partial) = (names.volume(number, of), partial(&self.path, Some(number)));
            match self.parts.get_mut(number - 1) {
                Some(part) => (part.path, part.range) = (path, range),
                None => self.parts.push(Part { file: open_own(&partial)?, partial, path, range }),
            }
        }
        // Another plan's volumes, of which there were more.
        for number in of + 1.. {
            if std::fs::remove_file(partial(&self.path, Some(number))).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// How many bytes there are, if they suffice.
    fn check_space(&self, size: u64) -> Result<u64, OutputError> {
        let mut have = 0;
        for part in &self.parts {
            let metadata = part.file.metadata().map_err(|source| part.failed("looked at", source))?;
            have += bundle_os::allocated(&metadata);
        }
        let first = &self.parts[0];
        let available = bundle_os::available(&first.file);
        let available = available.map_err(|source| first.failed("looked at", source))?;
        let needed = size.saturating_sub(have);
        if needed > available {
            return Err(OutputError::Space { path: self.path.clone(), needed, available });
        }
        Ok(available)
    }

    fn placement(&self) -> Result<Placement, OutputError> {
        let first = &self.parts[0];
        let volume = bundle_os::volume(&first.file);
        let volume = volume.map_err(|source| first.failed("looked at", source))?;
        let large = self.parts.iter().find(|part| part.range.end - part.range.start >= 1 << 32);
        if let (Volume::Fat, Some(part)) = (volume, large) {
            let size = part.range.end - part.range.start;
            return Err(OutputError::TooLarge { path: part.path.clone(), size });
        }
        Ok(if volume == Volume::Any { Placement::Anywhere } else { Placement::InOrder })
    }

    pub(crate) fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> Result<(), OutputError> {
        while !bytes.is_empty() {
            let (part, length) = self.part_at(offset, bytes.len())?;
            bundle_os::write_all_at(&part.file, &bytes[..length], offset - part.range.start)
                .map_err(|source| part.failed("written", source))?;
            (bytes, offset) = (&bytes[length..], offset + length as u64);
        }
        Ok(())
    }

    pub(crate) fn read_at(&self, mut bytes: &mut [u8], mut offset: u64) -> Result<(), OutputError> {
        while !bytes.is_empty() {
            let (part, length) = self.part_at(offset, bytes.len())?;
            let (now, later) = bytes.split_at_mut(length);
            bundle_os::read_exact_at(&part.file, now, offset - part.range.start)
                .map_err(|source| part.failed("read", source))?;
            (bytes, offset) = (later, offset + length as u64);
        }
        Ok(())
    }

    /// The part that has this byte of the archive, and how many of the next `length` it has.
    fn part_at(&self, offset: u64, length: usize) -> Result<(&Part, usize), OutputError> {
        let position = self.parts.partition_point(|part| part.range.end <= offset);
        let Some(part) = self.parts.get(position) else {
            let source = std::io::Error::other("beyond the archive's end");
            return Err(OutputError::Io { path: self.path.clone(), doing: "written", source });
        };
        let left = usize::try_from(part.range.end - offset).unwrap_or(usize::MAX);
        Ok((part, length.min(left)))
    }

    /// Writes at the end, for the in-order writer.
    pub(crate) fn append(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut appended = self.appended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.write_at(bytes, *appended).map_err(|error| match error {
            OutputError::Io { source, .. } => source,
            other => std::io::Error::other(other),
        })?;
        *appended += bytes.len() as u64;
        Ok(())
    }

    /// What is said when the in-order writer could not write.
    pub(crate) fn not_appended(&self, source: std::io::Error) -> OutputError {
        OutputError::Io { path: self.path.clone(), doing: "written", source }
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

    /// Brings all to disk, and gives the files their final names.
    pub(crate) fn finish(&self, head: &Head<'_>) -> Result<(), OutputError> {
        for part in &self.parts {
            part.file.sync_all().map_err(|source| part.failed("brought to disk", source))?;
        }
        if self.volumes.is_some() {
            volume_set::finish(&VolumeNames::of(&self.path), &self.parts, head)?;
        } else {
            self.parts[0].rename()?;
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
            return Err(self.parts[0].failed("brought to disk", error));
        }
        // A journal that stays is recognised as another file's and emptied.
        let _ = std::fs::remove_file(&self.journal_path);
        Ok(())
    }
}

impl Part {
    /// Gives the file its final name, which nobody else may have.
    pub(crate) fn rename(&self) -> Result<(), OutputError> {
        if !is_at(&self.file, &self.partial) {
            let gone = std::io::Error::other("another file has taken its place");
            return Err(self.failed("renamed", gone));
        }
        bundle_os::rename_new(&self.partial, &self.path).map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => OutputError::Exists(self.path.clone()),
            _ => self.failed("renamed", source),
        })
    }

    pub(crate) fn failed(&self, doing: &'static str, source: std::io::Error) -> OutputError {
        OutputError::Io { path: self.partial.clone(), doing, source }
    }
}

/// `.NAME.journal` beside `NAME`.
fn hidden(path: &Path, end: &str) -> PathBuf {
    let mut hidden = OsString::from(".");
    hidden.push(path.file_name().unwrap_or_default());
    hidden.push(".");
    hidden.push(end);
    path.with_file_name(hidden)
}

/// What a file, or one of its volumes, is called until it is complete.
fn partial(path: &Path, volume: Option<usize>) -> PathBuf {
    match volume {
        Some(number) => hidden(path, &format!("{number:03}.partial")),
        None => hidden(path, "partial"),
    }
}

/// Opens a file of ours, and nothing that somebody put in its place.
fn open_own(path: &Path) -> Result<File, OutputError> {
    bundle_os::open_own(path).map_err(|source| OutputError::Io {
        path: path.to_owned(),
        doing: "opened",
        source,
    })
}

impl Drop for PartialFile {
    /// What has nothing in it that was fetched would only puzzle people.
    fn drop(&mut self) {
        let fetched = |(_, written): (_, HashMap<usize, u64>)| written.values().any(|bytes| *bytes > 0);
        if !self.read_journal().is_some_and(fetched) && is_at(&self.parts[0].file, &self.parts[0].partial) {
            let _ = std::fs::remove_file(&self.journal_path);
            for part in &self.parts {
                let _ = std::fs::remove_file(&part.partial);
            }
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
        (Ok(open), Ok(there)) => bundle_os::same_file(&open, &there),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head<'_> = Head { statement: b"{}", signature: &[0; 64], length: 0 };

    fn digest() -> Digest {
        Digest::of(b"statement")
    }

    /// The layout of an archive with one blob of this size.
    fn layout(size: u64) -> Layout {
        let statement = format!(
            r#"{{"formatVersion":1,"stream":"s","sequence":1,"created":"2026-11-25T00:00:00Z",
            "index":["{0}",2],"artifacts":[],"blobs":[["{0}",{size}]]}}"#,
            digest()
        );
        let statement: Statement = serde_json::from_str(&statement).unwrap();
        Layout::of(&statement, 2)
    }

    fn open(path: &Path) -> Result<PartialFile, OutputError> {
        PartialFile::open(path, None)
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
        let mut first = open(&path).unwrap();
        let partial = first.parts[0].partial.clone();
        first.prepare(digest(), &layout(7)).unwrap();
        first.write_at(b"content", 0).unwrap();
        let late = open_own(&partial).unwrap();
        assert!(matches!(claim(&late, &path, &partial), Err(OutputError::Busy(_))));
        first.finish(&HEAD).unwrap();
        drop(first);
        assert!(!claim(&late, &path, &partial).unwrap());
        assert!(matches!(open(&path), Err(OutputError::Exists(_))));
        assert!(std::fs::read(&path).unwrap().starts_with(b"content"));
        assert_eq!(names(directory.path()), ["b.tar"]);
    }

    #[test]
    fn a_partial_file_that_another_has_replaced_gets_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        let mut output = open(&path).unwrap();
        output.prepare(digest(), &layout(7)).unwrap();
        std::fs::remove_file(&output.parts[0].partial).unwrap();
        std::fs::write(&output.parts[0].partial, "another's").unwrap();
        assert!(matches!(output.finish(&HEAD), Err(OutputError::Io { .. })));
        drop(output);
        assert_eq!(names(directory.path()), [".b.tar.journal", ".b.tar.partial"]);
    }

    #[test]
    fn only_what_was_fetched_outlives_a_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        let mut output = open(&path).unwrap();
        let needed = output.prepare(digest(), &layout(1 << 52)).unwrap_err();
        assert!(matches!(
            needed,
            OutputError::Space { .. } | OutputError::TooLarge { .. } | OutputError::Io { .. }
        ));
        drop(output);
        assert!(names(directory.path()).is_empty());
        let mut output = open(&path).unwrap();
        output.prepare(digest(), &layout(7)).unwrap();
        output.note(0, 3).unwrap();
        drop(output);
        assert_eq!(names(directory.path()), [".b.tar.journal", ".b.tar.partial"]);
    }

    #[test]
    fn a_path_that_names_no_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["out/", "out/.", "..", "."] {
            let path = directory.path().join(path);
            assert!(matches!(open(&path), Err(OutputError::NoName(_))), "{path:?}");
        }
        assert!(names(directory.path()).is_empty());
    }
}
