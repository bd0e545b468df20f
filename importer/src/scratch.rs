//! A directory for the parts of blobs that span volumes which are not all there yet.
//! Takes parts of a blob as volumes come, gives the blob when the last part is here.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bundle_format::{Archive, Blob, FileError, Layer, Medium, MediumError};
use bundle_oci::Digest;
use bundle_os::{Access, create_directory, open_or_create};

/// The scratch directory for the parts of blobs that are larger than one volume, while the volumes come one
/// after the other. Blobs that fit into a volume go to the registry at once and are never kept.
#[derive(Clone, Debug)]
pub struct Scratch {
    directory: PathBuf,
}

/// How much is copied at once, in bytes.
const PIECE: usize = 1 << 20;

impl Scratch {
    /// The place for one bundle below `directory`.
    pub fn of(directory: &Path, statement: Digest) -> Self {
        Self { directory: directory.join(statement.hex()) }
    }

    /// Adds what was kept to the volumes that are there.
    pub(crate) fn lend(&self, medium: &mut Medium) -> Result<(), MediumError> {
        for (range, path) in self.kept() {
            // Half-copied parts of a killed run, and files that are not ours, are removed.
            if medium.add(range, &path).is_err() {
                let _ = std::fs::remove_file(&path);
            }
        }
        Ok(())
    }

    /// Keeps the parts of these blobs that are there, and drops all else.
    ///
    /// # Errors
    /// A part cannot be read or written.
    pub(crate) fn keep(&self, archive: &Archive<Medium>, blobs: &[Blob]) -> Result<(), FileError> {
        let wanted: Vec<Range<u64>> =
            blobs.iter().flat_map(|blob| archive.parts_of_blob(blob.digest)).collect();
        let kept = self.kept();
        for range in wanted.iter().filter(|range| !kept.iter().any(|(kept, _)| kept == *range)) {
            self.copy(archive, range)?;
        }
        for (range, path) in kept {
            if !wanted.contains(&range) {
                std::fs::remove_file(&path).map_err(|source| FileError { path, source })?;
            }
        }
        Ok(())
    }

    /// Drops all that was kept.
    pub fn clear(&self) {
        // Leftovers take space; the next import of this bundle removes them.
        let _ = std::fs::remove_dir_all(&self.directory);
    }

    fn copy(&self, archive: &Archive<Medium>, range: &Range<u64>) -> Result<(), FileError> {
        let path = self.directory.join(format!("{}-{}", range.start, range.end));
        let failed = |source| FileError { path: path.clone(), source };
        create_directory(&self.directory, Access::Owner).map_err(failed)?;
        let partial = path.with_extension("partial");
        let mut file = open_or_create(&partial, Access::Owner).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        let mut piece = vec![0; PIECE];
        let mut at = range.start;
        while at < range.end {
            let length = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
            archive.reader().read_exact_at(&mut piece[..length], at).map_err(failed)?;
            file.write_all(&piece[..length]).map_err(failed)?;
            at += length as u64;
        }
        file.sync_all().map_err(failed)?;
        std::fs::rename(&partial, &path).map_err(failed)?;
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }

    /// The parts that were kept, by the bytes of the archive that they have.
    fn kept(&self) -> Vec<(Range<u64>, PathBuf)> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return Vec::new() };
        let range = |path: PathBuf| {
            let name = path.file_name()?.to_str()?;
            let (start, end) = name.split_once('-')?;
            let range = start.parse().ok()?..end.parse().ok()?;
            (range.start < range.end).then_some((range, path))
        };
        entries.flatten().filter_map(|entry| range(entry.path())).collect()
    }
}
