//! An archive that is read at any place. Steps 6 and 7 of docs/format.md §Verification are what makes
//! one: a trusted statement and a medium give an archive whose every byte but blob content is right.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::archive::blob::{BlobReader, PIECE, by_digest};
use crate::archive::layout::{BLOCK, Entry, EntryName, Layout, OCI_LAYOUT, TRAILER};
use crate::archive::manifests::graph_of;
use crate::{Blob, Damage, Graph, Layer, Limits, Statement, Trusted};

/// Called with the bytes of a blob as they are hashed, on any thread; its error ends the hashing.
pub type HashingProgress<'a> = dyn Fn(Blob, u64) -> io::Result<()> + Sync + 'a;

/// A bundle in a file, whose statement is trusted and whose frame is what the statement says:
/// steps 6 and 7 of docs/format.md §Verification are what makes one.
#[derive(Debug)]
pub struct Archive<R> {
    pub(crate) reader: R,
    trusted: Trusted,
    pub(crate) layout: Layout,
    /// The positions of the blobs' entries, in the order of their digests.
    pub(crate) by_digest: Vec<u32>,
}

impl<R: Layer> Archive<R> {
    /// How many damaged blobs are told of one by one: a bundle may have hundreds of thousands.
    pub const MOST_DAMAGES: usize = 1_000;

    /// Checks the length, each header, the padding, `oci-layout`, `index.json` and the end, as far as
    /// they are there.
    ///
    /// # Errors
    /// Any [`Damage`] to what is not blob content.
    pub fn open(reader: R, trusted: Trusted) -> Result<Self, Damage> {
        let layout = Layout::of(trusted.statement(), trusted.size());
        let found = reader.size().map_err(Damage::Read)?;
        if found < layout.size() {
            return Err(Damage::Truncated { expected: layout.size(), found });
        }
        if found > layout.size() {
            return Err(Damage::TooLong(layout.size()));
        }
        let by_digest = by_digest(trusted.statement());
        let archive = Self { reader, trusted, layout, by_digest };
        archive.check_frame().map_err(|damage| damage.located(&archive.reader))?;
        Ok(archive)
    }

    fn check_frame(&self) -> Result<(), Damage> {
        for entry in self.layout.entries() {
            let mut block = [0; BLOCK as usize];
            if self.reader.has(&(entry.header_offset()..entry.offset)) {
                self.fill(&mut block, entry.header_offset())?;
                if block != entry.header() {
                    return Err(Damage::Header(*entry));
                }
            }
            let padding = &mut block[..entry.padding() as usize];
            if self.reader.has(&(entry.offset + entry.size..entry.end())) {
                self.fill(padding, entry.offset + entry.size)?;
                if padding.iter().any(|&byte| byte != 0) {
                    return Err(Damage::Padding(*entry));
                }
            }
        }
        let [_, _, oci_layout, index, ..] = self.layout.entries() else {
            return Err(Damage::NotABundle);
        };
        if self.read(oci_layout)? != OCI_LAYOUT {
            return Err(Damage::Content(*oci_layout));
        }
        if self.read(index)? != self.statement().index_json() {
            return Err(Damage::Content(*index));
        }
        let mut trailer = [0; TRAILER as usize];
        let start = self.layout.size() - TRAILER;
        if self.reader.has(&(start..self.layout.size())) {
            self.fill(&mut trailer, start)?;
            if trailer.iter().any(|&byte| byte != 0) {
                return Err(Damage::Trailer);
            }
        }
        Ok(())
    }

    /// The same, read through a reader that can be shared.
    pub fn share(self) -> Archive<std::sync::Arc<dyn Layer>>
    where
        R: 'static,
    {
        let Self { reader, trusted, layout, by_digest } = self;
        Archive { reader: std::sync::Arc::new(reader), trusted, layout, by_digest }
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        self.trusted.statement()
    }

    /// The statement with what is known of its signature.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// The length of the archive in bytes.
    pub fn size(&self) -> u64 {
        self.layout.size()
    }

    /// Where everything lies.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The bytes themselves.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// Step 8 of docs/format.md §Verification: reads and hashes every manifest, and checks that
    /// the statement's list of blobs is the one that they name.
    ///
    /// # Errors
    /// A manifest is damaged, or the graph is not the statement's.
    pub fn graph(&self, limits: &Limits) -> Result<Graph, Damage> {
        let graph = graph_of(&self.reader, self.statement(), &self.layout, &self.by_digest, limits);
        graph.map_err(|damage| damage.located(&self.reader))
    }

    /// The content of an entry at the head.
    fn read(&self, entry: &Entry) -> Result<Vec<u8>, Damage> {
        let size = usize::try_from(entry.size).map_err(|_| Damage::Content(*entry))?;
        let mut bytes = vec![0; size];
        self.fill(&mut bytes, entry.offset)?;
        Ok(bytes)
    }

    /// Step 9 of docs/format.md §Verification: hashes the blobs, the largest first, on `threads`
    /// threads. `progress` is told of bytes as they are read; its error ends the reading, as [`Damage::Read`]. All
    /// damage is returned, not only the first, but no more than [`Self::MOST_DAMAGES`].
    pub fn damaged_blobs(&self, threads: usize, progress: &HashingProgress) -> Vec<Damage> {
        self.damaged_where(|_| true, threads, progress)
    }

    /// [`Self::damaged_blobs`], of the blobs that are wanted only.
    pub fn damaged_where(
        &self,
        wanted: impl Fn(&Blob) -> bool,
        threads: usize,
        progress: &HashingProgress,
    ) -> Vec<Damage> {
        let entries = self.statement().blobs.iter().zip(self.layout.blobs());
        let mut order: Vec<&Entry> =
            entries.filter(|(blob, _)| wanted(blob)).map(|(_, entry)| entry).collect();
        order.sort_by_key(|entry| std::cmp::Reverse(entry.size));
        let next = AtomicUsize::new(0);
        let damages = std::sync::Mutex::new(Vec::new());
        let work = || {
            let mut piece = vec![0; PIECE];
            while let Some(entry) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(damage) = self.hash(entry, &mut piece, progress) {
                    let mut damages = damages.lock().expect("no thread panics while it holds the lock");
                    if damages.len() < Self::MOST_DAMAGES {
                        damages.push(damage);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.clamp(1, order.len().max(1)) {
                // Fewer threads make it slower, and no less thorough.
                if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        damages.into_inner().expect("no thread panics while it holds the lock")
    }

    fn hash(&self, entry: &Entry, piece: &mut [u8], progress: &HashingProgress) -> Result<(), Damage> {
        let EntryName::Blob(digest) = entry.name else { return Ok(()) };
        let blob = Blob { digest, size: entry.size };
        let mut reader = BlobReader::new(self, *entry, digest);
        loop {
            match reader.next(piece)? {
                0 => return Ok(()),
                length => progress(blob, length as u64).map_err(Damage::Read)?,
            }
        }
    }

    pub(crate) fn fill(&self, buffer: &mut [u8], offset: u64) -> Result<(), Damage> {
        fill_at(&self.reader, buffer, offset, self.layout.size())
    }
}

/// Fills `buffer` from an archive that is `size` bytes long.
pub(crate) fn fill_at<R: Layer>(reader: &R, buffer: &mut [u8], offset: u64, size: u64) -> Result<(), Damage> {
    reader.read_exact_at(buffer, offset).map_err(|error| damage_of(reader, error, offset, size))
}

/// Maps a read error at `offset` of an archive of `size` bytes.
pub(crate) fn damage_of<R: Layer>(reader: &R, error: io::Error, offset: u64, size: u64) -> Damage {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Damage::Truncated { expected: size, found: reader.size().unwrap_or(offset) }
        }
        _ => error.into(),
    }
}
