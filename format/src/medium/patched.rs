//! A layer of which some bytes are missing, with files that have some of those: the head that lies
//! beside volumes, and parts of blobs that were kept from volumes that came before.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::medium::error::open_regular;
use crate::{Layer, MediumError};

/// Bytes with patches, which are read where the layer below has none.
pub(crate) struct Patched {
    below: Arc<dyn Layer>,
    patches: Vec<Patch>,
    size: u64,
}

struct Patch {
    range: Range<u64>,
    file: File,
}

impl Patched {
    pub(crate) fn new(below: Arc<dyn Layer>, size: u64) -> Self {
        Self { below, patches: Vec::new(), size }
    }

    /// Adds a file that has these bytes.
    pub(crate) fn add(&mut self, range: Range<u64>, path: &Path) -> Result<(), MediumError> {
        let file = open_regular(path)?;
        let found =
            Layer::size(&file).map_err(|source| MediumError::Open { path: path.to_owned(), source })?;
        let expected = range.end.saturating_sub(range.start);
        if found != expected || range.end > self.size {
            return Err(MediumError::VolumeSize { path: path.to_owned(), expected, found });
        }
        self.patches.push(Patch { range, file });
        Ok(())
    }

    /// Adds a file that has the first bytes.
    pub(crate) fn add_start(&mut self, path: &Path) -> Result<(), MediumError> {
        match open_regular(path) {
            Ok(file) => {
                let failed = |source| MediumError::Open { path: path.to_owned(), source };
                let length = Layer::size(&file).map_err(failed)?;
                if length <= self.size {
                    self.patches.push(Patch { range: 0..length, file });
                }
                Ok(())
            }
            Err(MediumError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How far the bytes from `at` on, and before `end`, come from one place; and the patch, if it
    /// is one.
    fn next(&self, at: u64, end: u64) -> Option<(u64, Option<&Patch>)> {
        let below = self.below.parts_of(&(at..end));
        if let Some(part) = below.first().filter(|part| part.start == at) {
            return Some((part.end, None));
        }
        let patch = self.patches.iter().find(|patch| patch.range.contains(&at))?;
        // As soon as the layer below has bytes, those are taken.
        let until = below.first().map_or(end, |part| part.start);
        Some((patch.range.end.min(until).min(end), Some(patch)))
    }
}

impl Layer for Patched {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut at = offset;
        while at < end {
            let left = (at - offset) as usize..;
            let Some((until, patch)) = self.next(at, end) else {
                // It knows best which volume is missing.
                return self.below.read_exact_at(&mut buffer[left], at);
            };
            let now = &mut buffer[left][..(until - at) as usize];
            match patch {
                Some(patch) => Layer::read_exact_at(&patch.file, now, at - patch.range.start)?,
                None => self.below.read_exact_at(now, at)?,
            }
            at = until;
        }
        Ok(())
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        self.below.read_at_once(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        bytes.is_empty() || self.parts_of(bytes) == [bytes.clone()]
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        let mut parts: Vec<Range<u64>> = Vec::new();
        let mut at = bytes.start;
        while at < bytes.end {
            if let Some((end, _)) = self.next(at, bytes.end) {
                match parts.last_mut() {
                    Some(last) if last.end == at => last.end = end,
                    _ => parts.push(at..end),
                }
                at = end;
            } else {
                let below = self.below.parts_of(&(at..bytes.end)).into_iter().map(|part| part.start);
                let starts = self.patches.iter().map(|patch| patch.range.start).chain(below);
                at = starts.filter(|start| *start > at).min().unwrap_or(bytes.end);
            }
        }
        parts
    }

    fn files_of(&self, bytes: &Range<u64>) -> Vec<PathBuf> {
        self.below.files_of(bytes)
    }

    fn missing(&self) -> Vec<PathBuf> {
        self.below.missing()
    }

    fn place(&self, bytes: &Range<u64>) -> Option<String> {
        self.below.place(bytes)
    }

    fn settle(&self, _: &Range<u64>, _: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        false
    }
}
