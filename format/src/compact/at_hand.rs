//! Bundles that lie here, as a source of bases. Their signatures are of no account: a base's own digest proves it.
//! Takes paths, gives blobs that any of the bundles holds.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_oci::Digest;

use crate::compact::form::Part;
use crate::{
    Bases, CompactBase, Cursor, Damage, Layout, Limits, Medium, MediumError, Statement, Unverified, bundle_of,
};

/// The most bundles of one directory that are looked at, the newest first.
const MOST_BUNDLES: usize = 64;

/// Bundles at hand, whose blobs can be bases.
#[derive(Debug, Default)]
pub struct BundleBases {
    bundles: Vec<Medium>,
    blobs: HashMap<Digest, Place>,
}

/// Where a blob lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    bundle: u32,
    offset: u64,
    size: u64,
}

/// Why a bundle is no source of bases.
#[derive(Debug, thiserror::Error)]
pub enum BasesError {
    /// A directory that cannot be listed.
    #[error("{} cannot be listed", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file that cannot be opened.
    #[error(transparent)]
    Medium(#[from] MediumError),
    /// A file that is no bundle.
    #[error("{}: {source}", .path.display())]
    NoBundle {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Damage,
    },
}

impl BundleBases {
    /// Adds the bundle at `path`, whose volumes may be missing in part.
    ///
    /// # Errors
    /// Any [`BasesError`].
    pub fn add(&mut self, path: &Path, limits: &Limits) -> Result<(), BasesError> {
        let medium = Medium::open(path, limits)?;
        let no_bundle = |source| BasesError::NoBundle { path: path.to_owned(), source };
        let mut cursor = Cursor::new(&medium).map_err(|error| no_bundle(Damage::Read(error)))?;
        let head = Unverified::read(&mut cursor, limits).map_err(no_bundle)?;
        let statement =
            Statement::parse(&head.statement, limits).map_err(|_| no_bundle(Damage::NotABundle))?;
        let layout = Layout::of(&statement, head.statement.len() as u64);
        let bundle = self.bundles.len() as u32;
        for (entry, blob) in layout.blobs().iter().zip(&statement.blobs) {
            let place = Place { bundle, offset: entry.offset, size: entry.size };
            self.blobs.entry(blob.digest).or_insert(place);
        }
        self.bundles.push(medium);
        Ok(())
    }

    /// Adds the bundles in a directory, the newest first; what is no bundle is passed over.
    ///
    /// # Errors
    /// [`BasesError::Directory`].
    pub fn add_directory(&mut self, path: &Path, limits: &Limits) -> Result<(), BasesError> {
        let failed = |source| BasesError::Directory { path: path.to_owned(), source };
        let mut found: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(bundle) = name.to_str().and_then(bundle_of) else { continue };
            let bundle = path.join(bundle);
            let time = entry.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
            match found.iter_mut().find(|(_, known)| *known == bundle) {
                Some((known, _)) => *known = time.max(*known),
                None => found.push((time, bundle)),
            }
        }
        found.sort_by(|a, b| b.cmp(a));
        for (_, bundle) in found.into_iter().take(MOST_BUNDLES) {
            // A file that is still being copied, or something else with such a name.
            let _ = self.add(&bundle, limits);
        }
        Ok(())
    }

    /// Whether there is no bundle.
    pub fn is_empty(&self) -> bool {
        self.bundles.is_empty()
    }

    fn place(&self, base: &CompactBase) -> Option<(&Medium, Place)> {
        let place = *self.blobs.get(&base.digest).filter(|place| place.size == base.size)?;
        let medium = self.bundles.get(place.bundle as usize)?;
        Some((medium, place))
    }
}

impl Bases for BundleBases {
    fn has(&self, base: &CompactBase) -> bool {
        use crate::Layer;
        self.place(base).is_some_and(|(medium, at)| medium.has(&(at.offset..at.offset + at.size)))
    }

    fn copy(&self, base: &CompactBase, out: &mut dyn Write) -> io::Result<()> {
        let (medium, place) = self.place(base).ok_or(io::ErrorKind::NotFound)?;
        let mut part = Part::new(medium, place.offset..place.offset + place.size);
        io::copy(&mut io::BufReader::with_capacity(128 << 10, &mut part), out).map(drop)
    }
}

/// Several sources, the first that has a base gives it; others can be added while it is in use.
#[derive(Default)]
pub struct AllBases(std::sync::RwLock<Vec<Arc<dyn Bases>>>);

impl AllBases {
    /// Adds a source that is asked after those that are known.
    pub fn add(&self, bases: Arc<dyn Bases>) {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner).push(bases);
    }

    fn sources(&self) -> Vec<Arc<dyn Bases>> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl Bases for AllBases {
    fn has(&self, base: &CompactBase) -> bool {
        self.sources().iter().any(|bases| bases.has(base))
    }

    fn copy(&self, base: &CompactBase, out: &mut dyn Write) -> io::Result<()> {
        for bases in self.sources() {
            if bases.has(base) {
                return bases.copy(base, out);
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

impl std::fmt::Debug for AllBases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AllBases({})", self.sources().len())
    }
}
