//! The files of parity beside a bundle, until they are complete: made of the bundle's own files when these
//! have all their bytes, and named before the bundle is.

use std::ops::Range;
use std::path::{Path, PathBuf};

use bundle_format::{ParityPlan, ParityShare, VolumeNames};
use bundle_oci::Digest;

use crate::OutputError;
use crate::sink::names::{directory_of, hidden, open_own};
use crate::sink::parts::Part;

/// Files of parity under the names that they have until they are complete.
#[derive(Debug)]
pub(crate) struct Parity {
    parts: Vec<Part>,
}

impl Drop for Parity {
    /// A run that ends early has no use for them; after the last step they have other names.
    fn drop(&mut self) {
        for part in &self.parts {
            let _ = std::fs::remove_file(&part.partial);
        }
    }
}

impl Parity {
    /// Makes the parity of a bundle, whose bytes `read` gives and lie in these ranges: volumes, or one
    /// file.
    pub(crate) fn make(
        path: &Path,
        statement: Digest,
        ranges: &[Range<u64>],
        volumes: bool,
        share: ParityShare,
        read: &(dyn Fn(&mut [u8], u64) -> std::io::Result<()> + Sync),
    ) -> Result<Self, OutputError> {
        let plan = plan(path, statement, ranges, volumes, share)?;
        let names = VolumeNames::of(path);
        let mut parity = Self { parts: Vec::new() };
        parity.add(names.parity(), plan.table_size())?;
        for number in 1..=plan.volumes() {
            parity.add(names.parity_volume(number, plan.volumes()), plan.volume_size())?;
        }
        let files: Vec<&std::fs::File> = parity.parts.iter().map(|part| &part.file).collect();
        let Some((table, others)) = files.split_first() else { return Ok(parity) };
        plan.write(read, table, others).map_err(|source| OutputError::Io {
            path: names.parity(),
            doing: "written",
            source,
        })?;
        Ok(parity)
    }

    fn add(&mut self, path: PathBuf, length: u64) -> Result<(), OutputError> {
        let partial = hidden(&path, "partial");
        let part = Part { file: open_own(&partial)?, partial, path, range: 0..length };
        part.empty()?;
        self.parts.push(part);
        Ok(())
    }

    /// The files, in the order in which they are called.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Gives the files their names.
    pub(crate) fn rename(&self) -> Result<(), OutputError> {
        self.parts.iter().try_for_each(Part::rename)
    }
}

/// The parity of a bundle whose bytes lie in these ranges.
pub(crate) fn plan(
    path: &Path,
    statement: Digest,
    ranges: &[Range<u64>],
    volumes: bool,
    share: ParityShare,
) -> Result<ParityPlan, OutputError> {
    if volumes {
        let plan = ParityPlan::of_volumes(statement, ranges.to_vec(), share);
        return plan.map_err(|source| OutputError::Parity { path: path.to_owned(), source });
    }
    let size = ranges.last().map_or(0, |range| range.end);
    Ok(ParityPlan::of_file(statement, size, share))
}

/// Removes what a run left that was killed: parity that has its name already, of a bundle that has not.
///
/// # Errors
/// There is parity that is not ours.
pub(crate) fn take_back(path: &Path, ours: bool) -> Result<(), OutputError> {
    let names = VolumeNames::of(path);
    let directory = directory_of(path);
    let failed = |source| OutputError::Io { path: directory.to_owned(), doing: "listed", source };
    let start = hidden(&names.parity(), "");
    let start = start.file_name().unwrap_or_default().to_string_lossy().trim_end_matches('.').to_owned();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let found = path.with_file_name(entry.map_err(failed)?.file_name());
        let name = found.file_name().unwrap_or_default().to_string_lossy();
        let is_partial = name.starts_with(&start) && name.ends_with(".partial");
        let is_parity = VolumeNames::read_parity(&found).is_some_and(|set| set == names);
        if is_parity && !ours {
            return Err(OutputError::Exists(found));
        }
        if is_parity || is_partial {
            std::fs::remove_file(&found).map_err(|source| OutputError::Io {
                path: found.clone(),
                doing: "removed",
                source,
            })?;
        }
    }
    Ok(())
}
