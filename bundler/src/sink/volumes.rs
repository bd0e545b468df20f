//! A set of volumes: the small files beside them, the names that come last, and taking names back
//! that a run gave before it was killed.

use std::path::{Path, PathBuf};

use bundle_format::{VOLUMES_VERSION, VolumeEntry, VolumeIndex, VolumeNames, replace_file};
use bundle_oci::{Digest, Hasher};

use crate::OutputError;
use crate::sink::head::SinkHead;
use crate::sink::names::directory_of;
use crate::sink::parity::Parity;
use crate::sink::parts::Part;

/// The files beside volumes that make each volume usable alone.
#[derive(Debug)]
pub(crate) struct Beside<'a> {
    pub(crate) head: &'a SinkHead,
    /// The archive up to its first layer.
    pub(crate) start: Start<'a>,
    /// Where the frames of a compressed archive begin.
    pub(crate) frames: Option<&'a [u8]>,
}

/// The archive up to its first layer.
#[derive(Debug)]
pub(crate) enum Start<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In a file, which gets another name.
    File(&'a Part),
}

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 20;

/// Writes what lies beside the volumes, and gives the volumes their names. The index comes last: a
/// set with an index is complete.
pub(crate) fn finish(
    names: &VolumeNames,
    parts: &[Part],
    parity: Option<&Parity>,
    beside: &Beside<'_>,
) -> Result<(), OutputError> {
    // A kiosk checks each file from its first byte to its last, and blobs came in any order: so
    // each volume is read once.
    let digests = hash_all(parts)?;
    let volumes: Vec<(PathBuf, VolumeEntry)> = parts
        .iter()
        .zip(digests)
        .map(|(part, digest)| (part.path.clone(), VolumeEntry { size: part.length(), digest }))
        .collect();
    let of_parity = parity.map(Parity::parts).unwrap_or_default();
    let parity_digests = hash_all(of_parity)?;
    let more: Vec<(&Path, Digest)> =
        of_parity.iter().zip(parity_digests).map(|(part, digest)| (part.path.as_path(), digest)).collect();
    let index = lay_beside(names, &volumes, &more, beside)?;
    parity.map_or(Ok(()), Parity::rename)?;
    for part in parts {
        part.rename()?;
    }
    replace_file(&names.index(), &index)?;
    Ok(())
}

/// Writes the small files beside volumes but for the index, whose bytes it returns. `more` are other files to name
/// in SHA256SUMS.
pub(crate) fn lay_beside(
    names: &VolumeNames,
    volumes: &[(PathBuf, VolumeEntry)],
    more: &[(&Path, Digest)],
    beside: &Beside<'_>,
) -> Result<Vec<u8>, OutputError> {
    let index = VolumeIndex {
        volumes_version: VOLUMES_VERSION,
        statement: beside.head.digest(),
        volumes: volumes.iter().map(|(_, entry)| *entry).collect(),
    };
    let index = index.to_bytes();
    let mut small: Vec<(PathBuf, &[u8])> = vec![
        (names.statement(), beside.head.statement()),
        (names.signature(), beside.head.signature().as_ref()),
    ];
    small.extend(beside.frames.map(|frames| (names.frames(), frames)));
    let start = match &beside.start {
        Start::Bytes(bytes) => {
            small.push((names.head(), bytes));
            None
        }
        Start::File(part) => Some((names.head(), hash(part)?)),
    };
    let sum = |path: &Path, digest: Digest| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("{}  {name}\n", digest.hex())
    };
    let mut sums: String = volumes.iter().map(|(path, entry)| sum(path, entry.digest)).collect();
    sums.extend(more.iter().map(|(path, digest)| sum(path, *digest)));
    sums.extend(start.iter().map(|(path, digest)| sum(path, *digest)));
    sums.extend(small.iter().map(|(path, bytes)| sum(path, Digest::of(bytes))));
    sums.push_str(&sum(&names.index(), Digest::of(&index)));
    replace_file(&names.sums(), sums.as_bytes())?;
    for (path, bytes) in &small {
        replace_file(path, bytes)?;
    }
    if let Start::File(part) = &beside.start {
        let path = names.head();
        part.file.sync_all().map_err(|source| part.failed("brought to disk", source))?;
        std::fs::rename(&part.partial, &path).map_err(|source| part.failed("renamed", source))?;
    }
    Ok(index)
}

pub(crate) fn hash_all(parts: &[Part]) -> Result<Vec<Digest>, OutputError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(parts.len().max(1));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let found = std::sync::Mutex::new(vec![None; parts.len()]);
    let failed = std::sync::Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let position = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(part) = parts.get(position) else { break };
                    match hash(part) {
                        Ok(digest) => {
                            found.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[position] =
                                Some(digest);
                        }
                        Err(error) => {
                            *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(error) => Err(error),
        None => {
            let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            Ok(found.into_iter().flatten().collect())
        }
    }
}

fn hash(part: &Part) -> Result<Digest, OutputError> {
    let mut hasher = Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    while done < part.length() {
        let size = usize::try_from(part.length() - done).unwrap_or(PIECE).min(PIECE);
        bundle_os::read_exact_at(&part.file, &mut piece[..size], done)
            .map_err(|source| part.failed("read", source))?;
        hasher.update(&piece[..size]);
        done += size as u64;
    }
    Ok(hasher.finish())
}

/// The first bytes of the archive, out of as many volumes as they lie in.
pub(crate) fn read_start(parts: &[Part], bytes: u64) -> Result<Vec<u8>, OutputError> {
    let mut start = Vec::new();
    for part in parts {
        let wanted = bytes.saturating_sub(part.range.start).min(part.length());
        let mut piece = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX)];
        bundle_os::read_exact_at(&part.file, &mut piece, 0).map_err(|source| part.failed("read", source))?;
        start.append(&mut piece);
    }
    Ok(start)
}

/// Takes back the names that a run gave to volumes before it ended without writing the index.
///
/// # Errors
/// The volumes are not ours.
pub(crate) fn take_back(
    names: &VolumeNames,
    journal: &Path,
    partial: impl Fn(usize) -> PathBuf,
) -> Result<(), OutputError> {
    let directory = directory_of(names.bundle());
    let failed = |source| OutputError::Io { path: directory.to_owned(), doing: "listed", source };
    let ours = journal.metadata().is_ok_and(|metadata| metadata.len() > 0);
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = names.bundle().with_file_name(entry.map_err(failed)?.file_name());
        let Some((set, number, _)) = VolumeNames::read(&path) else { continue };
        if set != *names {
            continue;
        }
        let partial = partial(number);
        if !ours || partial.symlink_metadata().is_ok() {
            return Err(OutputError::Exists(path));
        }
        std::fs::rename(&path, &partial).map_err(|source| OutputError::Io {
            path,
            doing: "renamed",
            source,
        })?;
    }
    Ok(())
}
