//! The volumes of a set, as far as they exist, read as the bytes that they were cut from.
//! Takes the set's names, gives a [`Layer`](crate::Layer) that knows which of its bytes are here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bundle_oci::Hasher;

use crate::medium::error::open_regular;
use crate::{Layer, Limits, MediumError, VolumeIndex, VolumeNames};

/// The volumes of a bundle, as far as they exist.
#[derive(Debug)]
pub struct Volumes {
    names: VolumeNames,
    /// Where each volume belongs, whether it is there or not.
    ranges: Vec<Range<u64>>,
    index: Option<VolumeIndex>,
    /// Those that exist, in order.
    pieces: Vec<Piece>,
    size: u64,
}

#[derive(Debug)]
struct Piece {
    range: Range<u64>,
    file: File,
    path: PathBuf,
}

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 20;

impl Volumes {
    /// Opens what is there of a set.
    ///
    /// # Errors
    /// A file cannot be opened, a volume has another size than it should, or it cannot be known
    /// where the volumes belong.
    pub fn open(names: VolumeNames, limits: &Limits) -> Result<Self, MediumError> {
        let (volumes, wrong) = Self::open_damaged(names, limits)?;
        wrong.map_or(Ok(volumes), Err)
    }

    /// The same of a set of which volumes may have another size than they should: of each there is as much as
    /// there is of it. The first error is returned beside it.
    ///
    /// # Errors
    /// The others of [`Self::open`].
    pub(crate) fn open_damaged(
        names: VolumeNames,
        limits: &Limits,
    ) -> Result<(Self, Option<MediumError>), MediumError> {
        let index = read_index(&names, limits)?;
        let found = find(&names)?;
        let of = match (&index, found.keys().next_back()) {
            (Some(index), _) => index.volumes.len(),
            (None, Some(&(of, _))) => of,
            (None, None) => return Err(MediumError::NoVolume(names.bundle().to_owned())),
        };
        if let Some((_, foreign)) = found.iter().find(|((others, _), _)| *others != of) {
            return Err(MediumError::OtherSet { path: foreign.clone(), of });
        }
        let mut files = BTreeMap::new();
        for ((_, number), path) in found {
            let file = open_regular(&path)?;
            let size = file.size().map_err(|source| MediumError::Open { path: path.clone(), source })?;
            files.insert(number, (path, file, size));
        }
        let ranges = match &index {
            Some(index) => index.ranges(),
            None => {
                let lacking: Vec<usize> = (1..=of).filter(|number| !files.contains_key(number)).collect();
                if !lacking.is_empty() {
                    return Err(MediumError::NoIndex(names.index()));
                }
                let mut start = 0_u64;
                let ranges = files.values().map(|(_, _, size)| {
                    let end = start.checked_add(*size)?;
                    Some(std::mem::replace(&mut start, end)..end)
                });
                let ranges: Option<Vec<_>> = ranges.collect();
                ranges.ok_or_else(|| MediumError::NoIndex(names.index()))?
            }
        };
        let mut pieces = Vec::new();
        let mut wrong = None;
        for (number, (path, file, found)) in files {
            let Some(range) = ranges.get(number - 1).cloned() else {
                return Err(MediumError::OtherSet { path, of });
            };
            let expected = range.end - range.start;
            if found != expected {
                wrong = wrong.or(Some(MediumError::VolumeSize { path: path.clone(), expected, found }));
            }
            let range = range.start..range.start + found.min(expected);
            if range.start < range.end {
                pieces.push(Piece { range, file, path });
            }
        }
        let size = ranges.last().map_or(0, |range| range.end);
        Ok((Self { names, ranges, index, pieces, size }, wrong))
    }

    /// Where each volume belongs, whether it is there or not.
    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// The index of the volumes, if it exists.
    pub fn index(&self) -> Option<&VolumeIndex> {
        self.index.as_ref()
    }

    fn names_of(&self, wanted: impl Fn(&Range<u64>) -> bool) -> Vec<PathBuf> {
        let of = self.ranges.len();
        let numbers = self.ranges.iter().zip(1..).filter(|(range, _)| wanted(range));
        numbers.map(|(_, number)| self.names.volume(number, of)).collect()
    }

    /// Whether a volume is there and not what the index says: which of several is to be copied again.
    fn is_damaged(&self, path: &Path) -> bool {
        let Some((_, number, _)) = VolumeNames::read(path) else { return false };
        let entry = self.index.as_ref().and_then(|index| index.volumes.get(number - 1));
        let piece = self.pieces.iter().find(|piece| piece.path == path);
        let (Some(entry), Some(piece)) = (entry, piece) else { return false };
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; PIECE];
        let mut done = 0;
        while done < entry.size {
            let length = usize::try_from(entry.size - done).unwrap_or(PIECE).min(PIECE);
            if Layer::read_exact_at(&piece.file, &mut buffer[..length], done).is_err() {
                return true;
            }
            hasher.update(&buffer[..length]);
            done += length as u64;
        }
        hasher.finish() != entry.digest
    }

    /// The volume that has this byte, if it exists.
    fn piece_at(&self, offset: u64) -> Option<&Piece> {
        let position = self.pieces.partition_point(|piece| piece.range.end <= offset);
        self.pieces.get(position).filter(|piece| piece.range.contains(&offset))
    }
}

impl Layer for Volumes {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset.checked_add(done as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
            if at >= self.size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(piece) = self.piece_at(at) else {
                let missing = self.files_of(&(at..at + 1)).pop().unwrap_or_default();
                let text = format!("{} is missing", missing.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            };
            let left = usize::try_from(piece.range.end - at).unwrap_or(usize::MAX);
            let end = done + left.min(buffer.len() - done);
            Layer::read_exact_at(&piece.file, &mut buffer[done..end], at - piece.range.start).map_err(
                |error| {
                    // A volume that became shorter is no end of the archive.
                    io::Error::other(format!("{} cannot be read: {error}", piece.path.display()))
                },
            )?;
            done = end;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        let end = offset.checked_add(buffer.len() as u64);
        self.piece_at(offset)
            .filter(|piece| end.is_some_and(|end| end <= piece.range.end))
            .is_some_and(|piece| piece.file.read_at_once(buffer, offset - piece.range.start))
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        bytes.is_empty() || self.parts_of(bytes) == [bytes.clone()]
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        let mut parts: Vec<Range<u64>> = Vec::new();
        let first = self.pieces.partition_point(|piece| piece.range.end <= bytes.start);
        for piece in self.pieces[first..].iter().take_while(|piece| piece.range.start < bytes.end) {
            let part = piece.range.start.max(bytes.start)..piece.range.end.min(bytes.end);
            match parts.last_mut() {
                Some(last) if last.end == part.start => last.end = part.end,
                _ => parts.push(part),
            }
        }
        parts
    }

    fn files_of(&self, bytes: &Range<u64>) -> Vec<PathBuf> {
        self.names_of(|range| range.start < bytes.end && bytes.start < range.end)
    }

    fn missing(&self) -> Vec<PathBuf> {
        self.names_of(|range| !self.pieces.iter().any(|piece| piece.range.start == range.start))
    }

    fn place(&self, bytes: &Range<u64>) -> Option<String> {
        let mut names = self.files_of(bytes);
        if names.len() > 1 {
            let damaged: Vec<PathBuf> = names.iter().filter(|path| self.is_damaged(path)).cloned().collect();
            if !damaged.is_empty() {
                names = damaged;
            }
        }
        let names: Vec<String> = names.iter().map(|path| path.display().to_string()).collect();
        Some(names.join(", "))
    }

    fn settle(&self, _: &Range<u64>, _: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        false
    }
}

fn read_index(names: &VolumeNames, limits: &Limits) -> Result<Option<VolumeIndex>, MediumError> {
    let path = names.index();
    let file = match open_regular(&path) {
        Ok(file) => file,
        Err(MediumError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limits.volume_index)
        .read_to_end(&mut bytes)
        .map_err(|source| MediumError::Open { path: path.clone(), source })?;
    let index = VolumeIndex::parse(&bytes, limits);
    index.map(Some).map_err(|source| MediumError::Index { path, source })
}

/// The volumes that are there, by how many their names say there are, and their number.
fn find(names: &VolumeNames) -> Result<BTreeMap<(usize, usize), PathBuf>, MediumError> {
    let directory = match names.bundle().parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let failed = |source| MediumError::Open { path: directory.to_owned(), source };
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let path = names.bundle().with_file_name(name);
        if let Some((set, number, of)) = VolumeNames::read(&path)
            && set == *names
        {
            found.insert((of, number), path);
        }
    }
    Ok(found)
}
