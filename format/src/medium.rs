use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bundle_oci::Digest;

use crate::{Compressed, CompressedError, Limits, ReadAt, VolumeIndexError, VolumeNames, Volumes};

/// What a bundle lies on.
#[derive(Debug)]
pub enum Medium {
    /// A tar in one file.
    File(File),
    /// The volumes of a tar, of which some may be missing.
    Volumes(Volumes),
    /// A compressed tar in one file.
    Compressed(Compressed),
}

/// Why a medium cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum MediumError {
    /// A file that cannot be opened.
    #[error("{} cannot be opened", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A compressed file that cannot be read at any place.
    #[error("{}: {source}", .path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CompressedError,
    },
    /// An index of volumes that cannot be used.
    #[error("{}: {source}", .path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: VolumeIndexError,
    },
    /// An index of volumes of another bundle.
    #[error("{} belongs to another bundle than the volumes beside it", .0.display())]
    OtherIndex(PathBuf),
    /// Volumes of which nobody knows where they belong.
    #[error("{} is missing, and so it is not known where the volumes that are there belong", .0.display())]
    NoIndex(PathBuf),
    /// No volume at all.
    #[error("there is no volume of {}", .0.display())]
    NoVolume(PathBuf),
    /// A volume whose name says that it is of another set.
    #[error("{} is of another set: this one has {of} volumes", .path.display())]
    OtherSet {
        /// The volume.
        path: PathBuf,
        /// How many volumes this set has.
        of: usize,
    },
    /// A volume that is cut short, or of another set.
    #[error("{} has {found} bytes instead of {expected}: it is damaged, or of another set", .path.display())]
    VolumeSize {
        /// The volume.
        path: PathBuf,
        /// How many bytes it should have.
        expected: u64,
        /// How many it has.
        found: u64,
    },
}

impl Medium {
    /// Opens what lies at `path`: a file; a volume, or any name of its set. Of a set, volumes may be
    /// missing.
    ///
    /// # Errors
    /// Any [`MediumError`].
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, MediumError> {
        if let Some(names) = set_of(path) {
            return Ok(Self::Volumes(Volumes::open(names, limits)?));
        }
        let file = open_regular(path)?;
        let mut start = [0; 4];
        // What is shorter is told by whoever reads it.
        if ReadAt::read_exact_at(&file, &mut start, 0).is_ok() && Compressed::starts(&start) {
            let compressed = Compressed::open(file, limits);
            let failed = |source| MediumError::Compressed { path: path.to_owned(), source };
            return Ok(Self::Compressed(compressed.map_err(failed)?));
        }
        Ok(Self::File(file))
    }

    /// The volumes that are not there.
    pub fn missing(&self) -> Vec<PathBuf> {
        match self {
            Self::File(_) | Self::Compressed(_) => Vec::new(),
            Self::Volumes(volumes) => volumes.missing(),
        }
    }

    /// Makes sure that the volumes are those of the bundle with this statement.
    ///
    /// # Errors
    /// [`MediumError::OtherIndex`].
    pub fn belongs_to(&self, statement: Digest) -> Result<(), MediumError> {
        match self {
            Self::Volumes(volumes) if volumes.index().is_some_and(|index| index.statement != statement) => {
                Err(MediumError::OtherIndex(volumes.names().index()))
            }
            Self::Volumes(_) | Self::File(_) | Self::Compressed(_) => Ok(()),
        }
    }

    /// The name that the bundle at `path` goes by: that of the file, or of the set's volumes
    /// together. Its countersignatures lie beside it.
    pub fn name(path: &Path) -> PathBuf {
        set_of(path).map_or_else(|| path.to_owned(), |names| names.bundle().to_owned())
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

/// Opens a file that is neither a device nor a pipe.
pub(crate) fn open_regular(path: &Path) -> Result<File, MediumError> {
    bundle_os::open(path).map_err(|source| MediumError::Open { path: path.to_owned(), source })
}

impl ReadAt for Medium {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => ReadAt::read_exact_at(file, buffer, offset),
            Self::Volumes(volumes) => volumes.read_exact_at(buffer, offset),
            Self::Compressed(compressed) => compressed.read_exact_at(buffer, offset),
        }
    }

    fn size(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => file.size(),
            Self::Volumes(volumes) => volumes.size(),
            Self::Compressed(compressed) => compressed.size(),
        }
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        match self {
            Self::File(file) => file.read_at_once(buffer, offset),
            Self::Volumes(volumes) => volumes.read_at_once(buffer, offset),
            Self::Compressed(compressed) => compressed.read_at_once(buffer, offset),
        }
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        match self {
            Self::File(file) => file.has(bytes),
            Self::Volumes(volumes) => volumes.has(bytes),
            Self::Compressed(compressed) => compressed.has(bytes),
        }
    }

    fn place(&self, bytes: &Range<u64>) -> Option<String> {
        match self {
            Self::File(file) => file.place(bytes),
            Self::Volumes(volumes) => volumes.place(bytes),
            Self::Compressed(compressed) => compressed.place(bytes),
        }
    }
}

/// Reads a medium from its start.
#[derive(Debug)]
pub struct Cursor<'a, R> {
    reader: &'a R,
    position: u64,
    size: u64,
}

impl<'a, R: ReadAt> Cursor<'a, R> {
    /// A reader that has read nothing.
    ///
    /// # Errors
    /// The medium's length cannot be found out.
    pub fn new(reader: &'a R) -> io::Result<Self> {
        Ok(Self { reader, position: 0, size: reader.size()? })
    }
}

impl<R: ReadAt> Read for Cursor<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.reader.read_exact_at(&mut buffer[..length], self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}
