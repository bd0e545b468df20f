//! Writes a bundle anew whose files are damaged or missing, as far as its parity reaches. It is judged by its
//! statement before, and what was written is judged again before it gets its name.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bundle_format::{
    Archive, Damage, FileError, Layer, Limits, Medium, MediumError, ParityPlan, ParityShare, TooManyShards,
    VOLUMES_VERSION, VolumeEntry, VolumeIndex, VolumeNames, replace_file,
};
use bundle_oci::{ByteCount, Digest, Hasher};
use bundle_registry::{Progress, Silent};
use bundle_trust::Effective;

use crate::open::bundle::Contents;
use crate::open::verify::Counted;
use crate::{Bundle, OpenError};

/// How much is copied at once, in bytes.
const PIECE: usize = 1 << 20;

/// Asked again and again during long work; its error ends the work.
pub type GoesOn<'a> = dyn Fn() -> std::io::Result<()> + Sync + 'a;

/// A repaired bundle.
#[derive(Clone, Debug)]
pub struct Repaired {
    /// The files that were damaged or missing.
    pub rebuilt: Vec<PathBuf>,
    /// The new files.
    pub files: Vec<PathBuf>,
    /// Their size in bytes together.
    pub bytes: u64,
    /// The digest of the statement.
    pub statement: Digest,
}

/// Why a bundle cannot be written anew.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// It cannot be opened, is not trusted, or is damaged beyond its parity.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no parity.
    #[error("there is no parity beside {}", .0.display())]
    NoParity(PathBuf),
    /// There is parity, and it is of no use.
    #[error("{} cannot be used: {why}", .path.display())]
    UselessParity {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file of this name is there.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// There are too many volumes.
    #[error(transparent)]
    Shards(#[from] TooManyShards),
    /// A small file cannot be written.
    #[error(transparent)]
    Beside(#[from] FileError),
    /// Not enough room.
    #[error("{} needs {}, and {} are free", .path.display(), ByteCount(*.needed), ByteCount(*.available))]
    Space {
        /// The bundle.
        path: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        available: u64,
    },
    /// The system refused.
    #[error("{} cannot be {doing}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The action that failed.
        doing: &'static str,
        /// The operating system's error.
        source: std::io::Error,
    },
}

/// Writes the bundle at `path` anew as `output`, with as much parity as it has, or with another share.
/// `progress` gets the bytes as they are checked and, in another stage, as they are copied. `goes_on` is asked for
/// every piece, and its error ends the work.
///
/// # Errors
/// Any [`RepairError`]. Nothing is left then.
pub fn repair(
    path: &Path,
    output: &Path,
    share: Option<ParityShare>,
    policy: &Effective,
    threads: usize,
    progress: &dyn Progress,
    goes_on: &GoesOn,
) -> Result<Repaired, RepairError> {
    let limits = Limits::V1;
    let source = Medium::name(path);
    let bundle = Bundle::open(path, policy, &limits)?;
    let Contents::File(archive) = &bundle.contents else {
        return Err(RepairError::NoParity(source));
    };
    let notes = bundle.parity_notes();
    let Some((present, stored)) = archive.reader().parity() else {
        return Err(match notes.useless() {
            Some((path, why)) => RepairError::UselessParity { path: path.to_owned(), why: why.to_owned() },
            None => RepairError::NoParity(source),
        });
    };
    let new = New::begin(output, goes_on)?;
    archive.reader().keep_rebuilt_in(new.room()?);
    progress.total(bundle.statement().blob_bytes());
    whole(archive, threads, progress, goes_on)?;
    let rebuilt = notes.rebuilt().map(|rebuilt| rebuilt.files).unwrap_or_default();
    let share = share.unwrap_or(present);
    new.write(&source, &bundle, archive, stored, share, progress)?;
    // The files may have changed since the check above.
    let again = Bundle::open(new.names().bundle(), policy, &limits)?;
    let Contents::File(copy) = &again.contents else { return Err(RepairError::NoParity(source)) };
    whole(copy, threads, &Silent, goes_on)?;
    if let Some(rebuilt) = again.parity_notes().rebuilt() {
        let source = std::io::Error::other("it was written, and reads otherwise");
        return Err(RepairError::Io { path: rebuilt.parity, doing: "relied on", source });
    }
    let (files, bytes) = new.finish()?;
    Ok(Repaired { rebuilt, files, bytes, statement: bundle.trusted().digest() })
}

/// Hashes every blob.
fn whole(
    archive: &Archive<Medium>,
    threads: usize,
    progress: &dyn Progress,
    goes_on: &GoesOn,
) -> Result<(), RepairError> {
    let unreadable = |damage: &Damage| matches!(damage.itself(), Damage::Read(_));
    let counted = Counted::new(progress);
    let damages = archive.damaged_blobs(threads, &|blob, bytes| {
        counted.add(blob, bytes);
        goes_on()
    });
    let first = damages.into_iter().min_by_key(unreadable);
    first.map_or(Ok(()), |damage| Err(OpenError::from(damage).into()))
}

/// The files that are written, in a directory of their own until all are right.
struct New<'a> {
    directory: PathBuf,
    output: PathBuf,
    goes_on: &'a GoesOn<'a>,
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl<'a> New<'a> {
    fn begin(output: &Path, goes_on: &'a GoesOn<'a>) -> Result<Self, RepairError> {
        let failed = |path: &Path, source| RepairError::Io { path: path.to_owned(), doing: "made", source };
        let Some(name) = output.file_name() else {
            return Err(failed(output, std::io::ErrorKind::InvalidInput.into()));
        };
        let names = VolumeNames::of(output);
        for path in [names.bundle().to_owned(), names.index(), names.parity()] {
            if path.symlink_metadata().is_ok() {
                return Err(RepairError::Exists(path));
            }
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".repair");
        let directory = output.with_file_name(hidden);
        // Leftovers of a killed run are removed.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).map_err(|source| failed(&directory, source))?;
        Ok(Self { directory, output: output.to_owned(), goes_on })
    }

    /// A file without a name for what is rebuilt, on the disk that is written to.
    fn room(&self) -> Result<File, RepairError> {
        let path = self.directory.join(".rebuilt");
        let file = bundle_os::open_own(&path).map_err(|source| self.failed("written", source))?;
        std::fs::remove_file(&path).map_err(|source| self.failed("written", source))?;
        Ok(file)
    }

    /// The file names in the directory of their own.
    fn names(&self) -> VolumeNames {
        VolumeNames::of(&self.directory.join(self.output.file_name().unwrap_or_default()))
    }

    fn write(
        &self,
        source: &Path,
        bundle: &Bundle,
        archive: &Archive<Medium>,
        stored: &dyn Layer,
        share: ParityShare,
        progress: &dyn Progress,
    ) -> Result<(), RepairError> {
        let names = self.names();
        let statement = bundle.trusted().digest();
        let size = stored.size().map_err(Damage::Read).map_err(OpenError::from)?;
        let volumes = archive.reader().ranges();
        let plan = match &volumes {
            Some(ranges) => ParityPlan::of_volumes(statement, ranges.clone(), share)?,
            None => ParityPlan::of_file(statement, size, share),
        };
        let (needed, available) =
            (size.saturating_add(plan.size()), bundle_os::available_at(&self.directory));
        let available = available.map_err(|source| self.failed("looked at", source))?;
        if needed > available {
            return Err(RepairError::Space { path: self.output.clone(), needed, available });
        }
        progress.stage("copying", size);
        let mut sums = Sums::default();
        let ranges = volumes.clone().unwrap_or_else(|| std::iter::once(0..size).collect());
        let (mut entries, mut written) = (Vec::new(), Vec::new());
        for (range, number) in ranges.iter().zip(1..) {
            let path = match &volumes {
                Some(_) => names.volume(number, ranges.len()),
                None => names.bundle().to_owned(),
            };
            let digest = self.copy(stored, range, &path, progress)?;
            entries.push(VolumeEntry { size: range.end - range.start, digest });
            sums.add(&path, digest);
            let file = bundle_os::open(&path).map_err(|source| self.failed("read", source))?;
            written.push((range.clone(), file));
        }
        let create = |path: PathBuf| {
            let file = bundle_os::open_own(&path);
            file.map(|file| (path.clone(), file)).map_err(|source| RepairError::Io {
                path,
                doing: "made",
                source,
            })
        };
        let table = create(names.parity())?;
        let others: Result<Vec<(PathBuf, File)>, RepairError> =
            (1..=plan.volumes()).map(|number| create(names.parity_volume(number, plan.volumes()))).collect();
        let others = others?;
        let files: Vec<&File> = others.iter().map(|(_, file)| file).collect();
        // Reads the bytes written just now, which are on a better medium.
        let read = |buffer: &mut [u8], at: u64| {
            (self.goes_on)()?;
            read_written(&written, buffer, at)
        };
        plan.write(&read, &table.1, &files).map_err(|source| RepairError::Io {
            path: names.parity(),
            doing: "written",
            source,
        })?;
        for (path, file) in std::iter::once(&table).chain(&others) {
            sums.add(path, self.hash(file, path)?);
        }
        if volumes.is_some() {
            self.write_beside(bundle, archive, stored, entries, sums)?;
        }
        self.copy_countersignatures(source)
    }

    /// Writes the files beside volumes that make each of them usable alone.
    fn write_beside(
        &self,
        bundle: &Bundle,
        archive: &Archive<Medium>,
        stored: &dyn Layer,
        volumes: Vec<VolumeEntry>,
        mut sums: Sums,
    ) -> Result<(), RepairError> {
        let names = self.names();
        let (first, blobs) = (bundle.graph().first_layer, &bundle.graph().blobs);
        let layers: std::collections::HashSet<Digest> =
            blobs.iter().skip(first).map(|blob| blob.digest).collect();
        let position = bundle.statement().blobs.iter().position(|blob| layers.contains(&blob.digest));
        let head = archive.layout().start_of_blob(position.unwrap_or(usize::MAX));
        sums.add(&names.head(), self.copy(archive.reader(), &(0..head), &names.head(), &Silent)?);
        let [statement, signature, ..] = archive.layout().entries() else {
            return Err(OpenError::from(Damage::NotABundle).into());
        };
        for (entry, path) in [(statement, names.statement()), (signature, names.signature())] {
            let range = entry.offset..entry.offset + entry.size;
            sums.add(&path, self.copy(archive.reader(), &range, &path, &Silent)?);
        }
        if let Some(range) = archive.reader().table_of_frames() {
            sums.add(&names.frames(), self.copy(stored, &range, &names.frames(), &Silent)?);
        }
        let index =
            VolumeIndex { volumes_version: VOLUMES_VERSION, statement: bundle.trusted().digest(), volumes };
        let index = index.to_bytes();
        sums.add(&names.index(), Digest::of(&index));
        replace_file(&names.sums(), sums.0.as_bytes())?;
        replace_file(&names.index(), &index)?;
        Ok(())
    }

    /// Countersignatures lie beside the bundle.
    fn copy_countersignatures(&self, source: &Path) -> Result<(), RepairError> {
        let (names, directory) = (self.names(), parent(source));
        let prefix = format!("{}.", source.file_name().unwrap_or_default().to_string_lossy());
        let listed = std::fs::read_dir(directory).map_err(|source| self.failed("listed", source))?;
        for entry in listed.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(end) = name.strip_prefix(&prefix).filter(|end| is_countersignature(end)) else {
                continue;
            };
            if let Ok(bytes) = bundle_os::read(&entry.path(), 64) {
                let mut path = names.bundle().as_os_str().to_owned();
                path.push(format!(".{end}"));
                replace_file(Path::new(&path), &bytes)?;
            }
        }
        Ok(())
    }

    /// Copies a range into a new file, and says its digest.
    fn copy(
        &self,
        from: &dyn Layer,
        range: &Range<u64>,
        to: &Path,
        progress: &dyn Progress,
    ) -> Result<Digest, RepairError> {
        let failed = |doing, source| RepairError::Io { path: to.to_owned(), doing, source };
        let file = bundle_os::open_own(to).map_err(|source| failed("made", source))?;
        let mut hasher = Hasher::new();
        let mut piece = vec![0; PIECE];
        let mut at = range.start;
        while at < range.end {
            let length = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
            let bytes = &mut piece[..length];
            (self.goes_on)().map_err(|source| failed("written", source))?;
            from.read_exact_at(bytes, at).map_err(Damage::from).map_err(OpenError::from)?;
            hasher.update(bytes);
            bundle_os::write_all_at(&file, bytes, at - range.start)
                .map_err(|source| failed("written", source))?;
            at += length as u64;
            progress.advance(Digest::of(b""), length as u64);
        }
        Ok(hasher.finish())
    }

    /// The digest of a file that was written.
    fn hash(&self, file: &File, path: &Path) -> Result<Digest, RepairError> {
        let failed = |source| RepairError::Io { path: path.to_owned(), doing: "read", source };
        let size = Layer::size(file).map_err(failed)?;
        let mut hasher = Hasher::new();
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        while at < size {
            let length = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
            (self.goes_on)().map_err(failed)?;
            Layer::read_exact_at(file, &mut piece[..length], at).map_err(failed)?;
            hasher.update(&piece[..length]);
            at += length as u64;
        }
        Ok(hasher.finish())
    }

    /// Gives the files their places, that which makes them a bundle last.
    fn finish(self) -> Result<(Vec<PathBuf>, u64), RepairError> {
        let names = self.names();
        let listed = std::fs::read_dir(&self.directory).map_err(|source| self.failed("listed", source))?;
        let mut files: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let last = |path: &PathBuf| *path == names.index() || path == names.bundle();
        files.sort_by_key(last);
        let (mut done, mut bytes) = (Vec::new(), 0);
        for from in files {
            let to = self.output.with_file_name(from.file_name().unwrap_or_default());
            let file = bundle_os::open(&from).map_err(|source| self.failed("opened", source))?;
            file.sync_all().map_err(|source| self.failed("brought to disk", source))?;
            bytes += Layer::size(&file).unwrap_or_default();
            bundle_os::rename_new(&from, &to).map_err(|source| match source.kind() {
                std::io::ErrorKind::AlreadyExists => RepairError::Exists(to.clone()),
                _ => RepairError::Io { path: to.clone(), doing: "renamed", source },
            })?;
            done.push(to);
        }
        bundle_os::sync_directory(&self.output).map_err(|source| self.failed("brought to disk", source))?;
        Ok((done, bytes))
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> RepairError {
        RepairError::Io { path: self.output.clone(), doing, source }
    }
}

/// The lines of a set's `SHA256SUMS`.
#[derive(Default)]
struct Sums(String);

impl Sums {
    fn add(&mut self, path: &Path, digest: Digest) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.0.push_str(&format!("{}  {name}\n", digest.hex()));
    }
}

fn is_countersignature(end: &str) -> bool {
    let hex = end.strip_suffix(".sig").unwrap_or_default();
    hex.len() == 16 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Reads bytes that lie in files one behind the other, each with its range of the whole.
fn read_written(files: &[(Range<u64>, File)], buffer: &mut [u8], at: u64) -> std::io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        let place = at + done as u64;
        let position = files.partition_point(|(range, _)| range.end <= place);
        let Some((range, file)) = files.get(position).filter(|(range, _)| range.contains(&place)) else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        let length = usize::try_from(range.end - place).unwrap_or(usize::MAX).min(buffer.len() - done);
        Layer::read_exact_at(file, &mut buffer[done..done + length], place - range.start)?;
        done += length;
    }
    Ok(())
}

impl From<MediumError> for RepairError {
    fn from(error: MediumError) -> Self {
        Self::Open(error.into())
    }
}
