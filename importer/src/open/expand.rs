//! Writes the archive of a bundle that is encoded otherwise: what `create` without compression would have written,
//! byte for byte. Takes a compact bundle, a compressed one, or volumes; gives one file, every blob of it checked.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use bundle_format::{
    Cursor, Damage, Layer, Layout, Lent, Limits, Medium, MediumError, Statement, Unverified,
};
use bundle_oci::{Digest, Hasher};
use bundle_registry::Progress;

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 20;

/// Why a bundle cannot be expanded.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// The bundle cannot be opened.
    #[error(transparent)]
    Open(#[from] MediumError),
    /// The bundle is damaged, or a base of it is missing.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// Volumes that are not there.
    #[error("{} of the volumes are missing", .0.len())]
    Missing(Vec<PathBuf>),
    /// The archive cannot be written.
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

/// What was expanded.
#[derive(Clone, Debug)]
pub struct Expanded {
    /// The digest of the statement.
    pub statement: Digest,
    /// The length of the archive in bytes.
    pub size: u64,
}

/// Writes the archive of the bundle at `path` to `output`, which must not exist. Who signed it is not asked: the
/// archive is as trusted as the bundle.
///
/// # Errors
/// Any [`ExpandError`]. Nothing is left then.
pub fn expand(
    path: &Path,
    output: &Path,
    lent: &Lent,
    progress: &dyn Progress,
) -> Result<Expanded, ExpandError> {
    let limits = Limits::V1;
    let medium = Medium::open(path, &limits)?;
    let missing = medium.missing();
    if !missing.is_empty() {
        return Err(ExpandError::Missing(missing));
    }
    medium.lend(lent);
    let head = Unverified::read(&mut Cursor::new(&medium).map_err(Damage::Read)?, &limits)?;
    let statement = Statement::parse(&head.statement, &limits).map_err(Damage::Statement)?;
    let layout = Layout::of(&statement, head.statement.len() as u64);
    let found = medium.size().map_err(Damage::Read)?;
    if found != layout.size() {
        return Err(Damage::Truncated { expected: layout.size(), found }.into());
    }
    progress.total(layout.size());
    let failed = |doing| move |source| ExpandError::Io { path: output.to_owned(), doing, source };
    if output.symlink_metadata().is_ok() {
        return Err(failed("written")(std::io::ErrorKind::AlreadyExists.into()));
    }
    let directory = match output.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let file = tempfile::NamedTempFile::new_in(directory).map_err(failed("written"))?;
    let mut copy =
        Copy { medium: &medium, file: file.as_file(), at: 0, progress, digest: Digest::of(&head.statement) };
    for (entry, blob) in layout.blobs().iter().zip(&statement.blobs) {
        copy.until(entry.offset, None).map_err(|error| error.of(output))?;
        let mut hasher = Hasher::new();
        copy.until(entry.offset + entry.size, Some(&mut hasher)).map_err(|error| error.of(output))?;
        if hasher.finish() != blob.digest {
            return Err(Damage::Content(*entry).into());
        }
    }
    copy.until(layout.size(), None).map_err(|error| error.of(output))?;
    file.as_file().sync_all().map_err(failed("brought to disk"))?;
    file.persist_noclobber(output).map_err(|error| failed("named")(error.error))?;
    Ok(Expanded { statement: Digest::of(&head.statement), size: layout.size() })
}

/// Copies an archive from its first byte to its last.
struct Copy<'a> {
    medium: &'a Medium,
    file: &'a File,
    at: u64,
    progress: &'a dyn Progress,
    digest: Digest,
}

enum CopyError {
    Read(std::io::Error),
    Write(std::io::Error),
}

impl CopyError {
    fn of(self, output: &Path) -> ExpandError {
        match self {
            Self::Read(error) => Damage::from(error).into(),
            Self::Write(source) => ExpandError::Io { path: output.to_owned(), doing: "written", source },
        }
    }
}

impl Copy<'_> {
    fn until(&mut self, end: u64, mut hasher: Option<&mut Hasher>) -> Result<(), CopyError> {
        let mut piece = vec![0; PIECE.min(usize::try_from(end - self.at).unwrap_or(PIECE))];
        while self.at < end {
            let length = usize::try_from(end - self.at).unwrap_or(PIECE).min(piece.len());
            self.medium.read_exact_at(&mut piece[..length], self.at).map_err(CopyError::Read)?;
            if let Some(hasher) = &mut hasher {
                hasher.update(&piece[..length]);
            }
            self.file.write_all(&piece[..length]).map_err(CopyError::Write)?;
            self.at += length as u64;
            self.progress.advance(self.digest, length as u64);
        }
        Ok(())
    }
}
