//! Access to blobs: by digest, in sequence and checked, or a range of one for callers that check it
//! themselves. No other module computes where a blob lies.

use std::io::{self, Read};
use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::sync::Arc;

use bundle_oci::{Digest, Hasher};

use crate::archive::file::damage_of;
use crate::archive::layout::{Entry, Layout};
use crate::{Archive, Blob, CompactBase, Damage, Layer, Medium, Statement};

/// How much is read at once, in bytes.
pub(crate) const PIECE: usize = 1 << 20;

/// The positions of a statement's blobs, in the order of their digests.
pub(crate) fn by_digest(statement: &Statement) -> Vec<u32> {
    // There are far fewer than 2^32 of them.
    let mut positions: Vec<u32> = (0..statement.blobs.len() as u32).collect();
    positions.sort_unstable_by_key(|&position| statement.blobs[position as usize].digest);
    positions
}

/// Where a blob lies, by what [`by_digest`] gives for its statement.
pub(crate) fn entry_of<'a>(
    statement: &Statement,
    layout: &'a Layout,
    by_digest: &[u32],
    digest: Digest,
) -> Option<&'a Entry> {
    let blobs = &statement.blobs;
    let found = by_digest.binary_search_by_key(&digest, |&position| blobs[position as usize].digest);
    let position = *by_digest.get(found.ok()?)?;
    layout.blobs().get(position as usize)
}

impl<R: Layer> Archive<R> {
    fn entry_of(&self, digest: Digest) -> Option<&Entry> {
        entry_of(self.statement(), &self.layout, &self.by_digest, digest)
    }

    /// The bytes of the archive that a blob fills.
    pub(crate) fn range_of(&self, digest: Digest) -> Option<Range<u64>> {
        self.entry_of(digest).map(|entry| entry.offset..entry.offset + entry.size)
    }

    /// The blob with this digest, if the archive has one; its bytes may be on a volume that is missing.
    pub fn blob(&self, digest: Digest) -> Option<Blob> {
        self.entry_of(digest).map(|entry| Blob { digest, size: entry.size })
    }

    /// Whether all bytes of a blob can be read.
    pub fn has_blob(&self, digest: Digest) -> bool {
        self.range_of(digest).is_some_and(|range| self.reader.has(&range))
    }

    /// Which bytes of the archive are both the blob's and to be had, in order.
    pub fn parts_of_blob(&self, digest: Digest) -> Vec<Range<u64>> {
        self.range_of(digest).map(|range| self.reader.parts_of(&range)).unwrap_or_default()
    }

    /// The volumes that have some of a blob's bytes, missing ones too.
    pub fn files_of_blob(&self, digest: Digest) -> Vec<PathBuf> {
        self.range_of(digest).map(|range| self.reader.files_of(&range)).unwrap_or_default()
    }

    /// Reads a blob in sequence. `None` if the archive has none with this digest.
    pub fn open_blob(self: &Arc<Self>, digest: Digest) -> Option<BlobReader<Arc<Self>>> {
        let entry = *self.entry_of(digest)?;
        Some(BlobReader::new(self.clone(), entry, digest))
    }

    /// [`Self::open_blob`], borrowing the archive.
    pub fn blob_reader(&self, digest: Digest) -> Option<BlobReader<&Self>> {
        let entry = *self.entry_of(digest)?;
        Some(BlobReader::new(self, entry, digest))
    }

    /// The whole content of a small blob: a manifest. `None` if the archive has none with this
    /// digest.
    ///
    /// # Errors
    /// The medium cannot be read, or the content is not what its digest says.
    pub fn read_blob(&self, digest: Digest) -> Option<Result<Vec<u8>, Damage>> {
        let mut reader = self.blob_reader(digest)?;
        let mut bytes = vec![0; usize::try_from(reader.entry.size).ok()?];
        Some(reader.next(&mut bytes).map(|_| bytes))
    }

    /// The place of a blob, for callers that read ranges of it and check them themselves.
    pub fn place_of_blob(&self, digest: Digest) -> Option<BlobPlace> {
        self.entry_of(digest).map(|entry| BlobPlace::new(entry, digest))
    }

    /// The same of all blobs, in the order of the statement's list.
    pub fn places_of_blobs(&self) -> impl Iterator<Item = BlobPlace> {
        let entries = self.layout.blobs().iter().zip(&self.statement().blobs);
        entries.map(|(entry, blob)| BlobPlace::new(entry, blob.digest))
    }
}

impl Archive<Medium> {
    /// How many bytes of a compact encoding a blob is made of; none in another encoding.
    pub fn compact_size_of_blob(&self, digest: Digest) -> Option<u64> {
        self.reader.compact_size_of(&self.range_of(digest)?)
    }

    /// The bases of a compact encoding without which a blob cannot be read, and which are not to be had.
    pub fn missing_bases_of_blob(&self, digest: Digest) -> Vec<CompactBase> {
        self.range_of(digest).map(|range| self.reader.missing_bases_of(&range)).unwrap_or_default()
    }
}

/// Reads a blob from its first byte to its last. The bytes at the end are only given away once the
/// whole was found to be what its digest says.
#[derive(Debug)]
pub struct BlobReader<A> {
    archive: A,
    entry: Entry,
    digest: Digest,
    hasher: Hasher,
    done: u64,
    checked: bool,
}

impl<A> BlobReader<A> {
    pub(crate) fn new(archive: A, entry: Entry, digest: Digest) -> Self {
        Self { archive, entry, digest, hasher: Hasher::new(), done: 0, checked: false }
    }

    /// The blob's length in bytes.
    pub fn size(&self) -> u64 {
        self.entry.size
    }
}

impl<R: Layer, A: Deref<Target = Archive<R>>> BlobReader<A> {
    /// Fills `buffer`, or as much of it as there are bytes left, and says how much; 0 at the end.
    ///
    /// # Errors
    /// The medium cannot be read, or the last bytes would complete a blob that does not match its digest.
    /// `buffer` must not be used then.
    pub fn next(&mut self, buffer: &mut [u8]) -> Result<usize, Damage> {
        let length = (self.entry.size - self.done).min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..length];
        let place = BlobPlace::new(&self.entry, self.digest);
        let (layer, from) = (&self.archive.reader, self.done);
        let read = place.read_at(layer, buffer, from);
        read.map_err(|error| damage_of(layer, error, place.offset + from, self.archive.size()))?;
        self.hasher.update(buffer);
        self.done += length as u64;
        if self.done == self.entry.size && !self.checked {
            if std::mem::take(&mut self.hasher).finish() != self.digest {
                // A retry reads the last bytes again and fails again.
                self.done = self.entry.size - length as u64;
                return Err(Damage::Content(self.entry).located(&self.archive.reader));
            }
            self.checked = true;
        }
        Ok(length)
    }
}

impl<R: Layer, A: Deref<Target = Archive<R>>> Read for BlobReader<A> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|damage| match damage {
            Damage::Read(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        })
    }
}

/// Where a blob lies in its archive, and in every copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobPlace {
    offset: u64,
    size: u64,
    digest: Digest,
}

impl BlobPlace {
    pub(crate) fn new(entry: &Entry, digest: Digest) -> Self {
        Self { offset: entry.offset, size: entry.size, digest }
    }

    /// The blob's length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buffer` with the blob's bytes from `from` on. They are as the medium has them: not
    /// checked. Only where parity says that others belong there, the blob's digest is asked which are
    /// right.
    ///
    /// # Errors
    /// The bytes cannot be read, or are beyond the blob's end.
    pub fn read_at(&self, medium: &dyn Layer, buffer: &mut [u8], from: u64) -> io::Result<()> {
        let at = self.inside(buffer.len(), from).ok_or(io::ErrorKind::UnexpectedEof)?;
        let read = medium.read_exact_at(buffer, at);
        let whole = self.offset..self.offset + self.size;
        if medium.settle(&whole, &mut |plain| self.is_right(plain)) {
            return medium.read_exact_at(buffer, at);
        }
        read
    }

    /// Whether the blob is what its digest says.
    fn is_right(&self, medium: &dyn Layer) -> bool {
        let mut hasher = Hasher::new();
        let mut piece = vec![0; PIECE.min(usize::try_from(self.size).unwrap_or(PIECE))];
        let mut done = 0;
        while done < self.size {
            let length = (self.size - done).min(piece.len() as u64) as usize;
            if medium.read_exact_at(&mut piece[..length], self.offset + done).is_err() {
                return false;
            }
            hasher.update(&piece[..length]);
            done += length as u64;
        }
        hasher.finish() == self.digest
    }

    /// [`Self::read_at`], if that can be done without waiting for a medium; whether it was done.
    pub fn read_at_once(&self, medium: &dyn Layer, buffer: &mut [u8], from: u64) -> bool {
        self.inside(buffer.len(), from).is_some_and(|at| medium.read_at_once(buffer, at))
    }

    /// A number for a byte of the blob that no other byte of the same archive has.
    pub fn number(&self, from: u64) -> u64 {
        self.offset + from
    }

    fn inside(&self, length: usize, from: u64) -> Option<u64> {
        let end = from.checked_add(length as u64)?;
        (end <= self.size).then_some(self.offset + from)
    }
}
