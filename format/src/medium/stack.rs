//! Opens what a bundle lies on: looks at what exists, and builds the layers that give the archive's
//! bytes. A file or volumes at the bottom; what is compressed is unpacked above; and where volumes are
//! missing, the head and what was kept of others on top.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_oci::Digest;

use crate::medium::error::open_regular;
use crate::medium::patched::Patched;
use crate::{Compressed, Layer, Limits, MediumError, VolumeNames, Volumes};

/// What a bundle lies on, as the bytes of its archive.
pub struct Medium {
    bytes: Bytes,
    set: Option<Set>,
}

/// The layer at the top.
enum Bytes {
    Whole(Arc<dyn Layer>),
    Patched(Patched),
}

/// A set of volumes.
struct Set {
    names: VolumeNames,
    /// The statement that the set's index names.
    statement: Option<Digest>,
}

impl Medium {
    /// Opens what lies at `path`: a file; a volume, or any name of its set. Of a set, volumes may be
    /// missing. Each may be compressed.
    ///
    /// # Errors
    /// Any [`MediumError`].
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, MediumError> {
        let Some(names) = set_of(path) else {
            let file = open_regular(path)?;
            let whole = unpacked(Arc::new(file), None, path, limits)?;
            return Ok(Self { bytes: Bytes::Whole(whole), set: None });
        };
        let volumes = Volumes::open(names.clone(), limits)?;
        let statement = volumes.index().map(|index| index.statement);
        let head = names.head();
        let is_whole = volumes.missing().is_empty();
        let frames = read_frames(&names, limits)?;
        let bytes = unpacked(Arc::new(volumes), frames, &names.frames(), limits)?;
        let set = Some(Set { names, statement });
        if is_whole {
            return Ok(Self { bytes: Bytes::Whole(bytes), set });
        }
        let size = bytes.size().map_err(|source| MediumError::Open { path: path.to_owned(), source })?;
        let mut patched = Patched::new(bytes, size);
        patched.add_start(&head)?;
        Ok(Self { bytes: Bytes::Patched(patched), set })
    }

    /// Adds bytes of the archive that were kept from a volume that is gone. Where no volume is
    /// missing, they are of no use, and not looked at.
    ///
    /// # Errors
    /// The file cannot be opened, or has another length than the range.
    pub fn add(&mut self, range: Range<u64>, path: &Path) -> Result<(), MediumError> {
        match &mut self.bytes {
            Bytes::Whole(_) => Ok(()),
            Bytes::Patched(patched) => patched.add(range, path),
        }
    }

    /// The file that the archive's start lies in beside volumes.
    pub fn head(&self) -> Option<PathBuf> {
        self.set.as_ref().map(|set| set.names.head())
    }

    /// Makes sure that the volumes are those of the bundle with this statement.
    ///
    /// # Errors
    /// [`MediumError::OtherIndex`].
    pub fn belongs_to(&self, statement: Digest) -> Result<(), MediumError> {
        match &self.set {
            Some(set) if set.statement.is_some_and(|found| found != statement) => {
                Err(MediumError::OtherIndex(set.names.index()))
            }
            _ => Ok(()),
        }
    }

    /// The name that the bundle at `path` goes by: that of the file, or of the set's volumes
    /// together. Its countersignatures lie beside it.
    pub fn name(path: &Path) -> PathBuf {
        set_of(path).map_or_else(|| path.to_owned(), |names| names.bundle().to_owned())
    }

    fn top(&self) -> &dyn Layer {
        match &self.bytes {
            Bytes::Whole(layer) => layer,
            Bytes::Patched(patched) => patched,
        }
    }
}

/// The set that a path means: one of its files, or what it would be called as one file.
fn set_of(path: &Path) -> Option<VolumeNames> {
    if let Some((names, _, _)) = VolumeNames::read(path) {
        return Some(names);
    }
    let text = path.to_str().unwrap_or_default();
    if let Some(base) = text.strip_suffix(".volumes.json") {
        return Some(VolumeNames::of(Path::new(base)));
    }
    let names = VolumeNames::of(path);
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    (!is_there(path) && (is_there(&names.index()) || is_there(&names.head()))).then_some(names)
}

/// What these bytes unpack to, if they are compressed, and otherwise themselves. `frames` is a copy of
/// the table at their end; `path` is named in errors.
fn unpacked(
    stored: Arc<dyn Layer>,
    frames: Option<Vec<u8>>,
    path: &Path,
    limits: &Limits,
) -> Result<Arc<dyn Layer>, MediumError> {
    let mut start = [0; 4];
    // What is shorter is told by whoever reads it.
    let starts = stored.has(&(0..4)) && stored.read_exact_at(&mut start, 0).is_ok();
    let is_compressed = if starts { Compressed::starts(&start) } else { frames.is_some() };
    if !is_compressed {
        return Ok(stored);
    }
    let compressed = Compressed::open(stored, frames, limits);
    let failed = |source| MediumError::Compressed { path: path.to_owned(), source };
    Ok(Arc::new(compressed.map_err(failed)?))
}

/// The copy of the table of frames that lies beside compressed volumes.
fn read_frames(names: &VolumeNames, limits: &Limits) -> Result<Option<Vec<u8>>, MediumError> {
    let path = names.frames();
    let file: File = match open_regular(&path) {
        Ok(file) => file,
        Err(MediumError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let read = file.take(Compressed::largest_table(limits)).read_to_end(&mut bytes);
    read.map_err(|source| MediumError::Open { path, source })?;
    Ok(Some(bytes))
}

impl Layer for Medium {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.top().read_exact_at(buffer, offset)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        self.top().read_at_once(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.top().size()
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        self.top().has(bytes)
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        self.top().parts_of(bytes)
    }

    fn files_of(&self, bytes: &Range<u64>) -> Vec<PathBuf> {
        self.top().files_of(bytes)
    }

    fn missing(&self) -> Vec<PathBuf> {
        self.top().missing()
    }

    fn place(&self, bytes: &Range<u64>) -> Option<String> {
        self.top().place(bytes)
    }
}

impl std::fmt::Debug for Medium {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.set {
            Some(set) => write!(f, "Medium({})", set.names.bundle().display()),
            None => f.write_str("Medium(file)"),
        }
    }
}
