use std::io::{self, Read};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use bundle_oci::{Digest, Hasher, MediaType};

use crate::layout::{self, BLOCK, Entry, EntryName, Layout, OCI_LAYOUT, SIGNATURE, TRAILER};
use crate::{Blob, Contents, Graph, GraphError, Limits, SignatureBytes, Statement, StatementError, Trusted};

/// Bytes that can be read at any place and by several threads at once.
pub trait ReadAt: Send + Sync {
    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// The bytes cannot be read, or end before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// The length cannot be found out.
    fn size(&self) -> io::Result<u64>;

    /// Whether these bytes are there: of a set of volumes, some may be missing.
    fn has(&self, _bytes: &Range<u64>) -> bool {
        true
    }

    /// What people call the place where these bytes are, if there are several.
    fn place(&self, _bytes: &Range<u64>) -> Option<String> {
        None
    }

    /// Fills `buffer` from `offset` if that can be done without waiting for a medium, and says
    /// whether it did. What cannot be filled so, for whatever reason, is left to
    /// [`ReadAt::read_exact_at`].
    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        let _ = (buffer, offset);
        false
    }
}

impl ReadAt for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        bundle_os::read_exact_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        bundle_os::read_cached_at(self, buffer, offset)
    }
}

impl<R: ReadAt + ?Sized> ReadAt for std::sync::Arc<R> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        R::read_exact_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        R::size(self)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        R::read_at_once(self, buffer, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

/// How an archive differs from the one that its statement determines.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The file is no bundle.
    #[error("this is not a bundle: it does not start with the entry bundle.json")]
    NotABundle,
    /// The statement is larger than can be read.
    #[error("statement has {0} bytes, more than allowed")]
    StatementSize(u64),
    /// The archive ends too early.
    #[error("bundle is truncated: it has {found} bytes of {expected}")]
    Truncated {
        /// How long it must be, as far as is known.
        expected: u64,
        /// How long it is.
        found: u64,
    },
    /// The archive goes on after its end.
    #[error("bundle is longer than its statement says: it should have {0} bytes")]
    TooLong(u64),
    /// A header with other bytes than the one that follows from the statement.
    #[error("{} has another header than the statement says, at byte {}", .0.name, .0.header_offset())]
    Header(Entry),
    /// Bytes other than zero after an entry's content.
    #[error("{} is followed by bytes that are not zero, at byte {}", .0.name, .0.offset + .0.size)]
    Padding(Entry),
    /// Bytes other than zero at the end.
    #[error("bundle does not end with two blocks of zeros")]
    Trailer,
    /// Content that its digest does not describe.
    #[error("{} is damaged: its content, at byte {} for {} bytes, is not what its digest says", .0.name, .0.offset, .0.size)]
    Content(Entry),
    /// The statement cannot be acted on.
    #[error(transparent)]
    Statement(StatementError),
    /// The blob list is not the one that follows from the manifests.
    #[error("statement's list of blobs is not the one that its manifests name, from {0} on")]
    BlobList(Digest),
    /// The manifests do not fit together.
    #[error("bundle's manifests do not fit together")]
    Graph(#[source] Box<GraphError<Damage>>),
    /// The manifests are more than can be kept while reading a pipe.
    #[error("bundle's manifests have more than {0} bytes together; read it from a file")]
    PipedManifests(u64),
    /// Bytes that cannot be unpacked.
    #[error("bundle is compressed, and damaged")]
    Packed(#[source] io::Error),
    /// The medium cannot be read.
    #[error("bundle cannot be read")]
    Read(#[source] io::Error),
    /// Damage to a bundle on several volumes.
    #[error("{damage} (in {place})")]
    InVolumes {
        /// The volumes that have the damaged bytes.
        place: String,
        /// The damage.
        damage: Box<Damage>,
    },
}

impl From<io::Error> for Damage {
    /// What cannot be unpacked is damaged; all else is the medium's fault.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Packed(error),
            _ => Self::Read(error),
        }
    }
}

impl Damage {
    /// The damage itself, wherever it is.
    pub fn itself(&self) -> &Self {
        match self {
            Self::InVolumes { damage, .. } => damage.itself(),
            other => other,
        }
    }

    /// The bytes that are damaged, if it is some of the archive's.
    fn bytes(&self) -> Option<Range<u64>> {
        match self {
            Self::Header(entry) => Some(entry.header_offset()..entry.offset),
            Self::Padding(entry) => Some(entry.offset + entry.size..entry.end()),
            Self::Content(entry) => Some(entry.offset..entry.offset + entry.size),
            _ => None,
        }
    }

    /// Says in which volumes of `reader` it is.
    fn located(self, reader: &impl ReadAt) -> Self {
        let Some(place) = self.bytes().and_then(|bytes| reader.place(&bytes)) else {
            return self;
        };
        Self::InVolumes { place, damage: Box::new(self) }
    }
}

/// The statement and signature as they stand at a bundle's head; nothing about them is known yet.
#[derive(Debug)]
pub struct Unverified {
    /// The statement's bytes.
    pub statement: Vec<u8>,
    /// The signature's bytes.
    pub signature: SignatureBytes,
}

impl Unverified {
    /// Steps 1 and 2 of docs/format.md §Verification: the two entries at the head, from their
    /// first byte to the end of the signature's padding.
    ///
    /// # Errors
    /// The head is not that of a bundle.
    pub fn read(reader: &mut impl Read, limits: &Limits) -> Result<Self, Damage> {
        let mut header = [0; BLOCK as usize];
        fill(reader, &mut header, 0).map_err(|damage| match damage {
            Damage::Truncated { .. } => Damage::NotABundle,
            other => other,
        })?;
        let size = statement_size(&header).ok_or(Damage::NotABundle)?;
        if header != layout::header(EntryName::Statement, size) {
            return Err(Damage::NotABundle);
        }
        if size > limits.statement {
            return Err(Damage::StatementSize(size));
        }
        let entry = Entry { name: EntryName::Statement, offset: BLOCK, size };
        // The size is bounded, yet memory is taken only as bytes arrive.
        let mut statement = Vec::new();
        let read = reader.take(size).read_to_end(&mut statement);
        // A compressed pipe that is cut says so itself.
        if let Err(error) = read
            && error.kind() != io::ErrorKind::UnexpectedEof
        {
            return Err(error.into());
        }
        if statement.len() as u64 != size {
            return Err(Damage::Truncated { expected: entry.end(), found: BLOCK + statement.len() as u64 });
        }
        zeros(reader, &entry)?;
        let entry = Entry { name: EntryName::Signature, offset: entry.end() + BLOCK, size: SIGNATURE };
        fill(reader, &mut header, entry.header_offset())?;
        if header != entry.header() {
            return Err(Damage::Header(entry));
        }
        let mut signature = [0; SIGNATURE as usize];
        fill(reader, &mut signature, entry.offset)?;
        zeros(reader, &entry)?;
        Ok(Self { statement, signature })
    }
}

/// The size in the first header: octal digits (a statement is far below the 8 GiB where base-256
/// begins).
fn statement_size(header: &[u8; BLOCK as usize]) -> Option<u64> {
    let digits = header[124..135].iter().try_fold(0_u64, |size, digit| match digit {
        b'0'..=b'7' => Some(size * 8 + u64::from(digit - b'0')),
        _ => None,
    })?;
    (header[135] == 0).then_some(digits)
}

fn fill(reader: &mut impl Read, buffer: &mut [u8], offset: u64) -> Result<(), Damage> {
    reader.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Damage::Truncated { expected: offset + buffer.len() as u64, found: offset }
        }
        _ => error.into(),
    })
}

fn zeros(reader: &mut impl Read, entry: &Entry) -> Result<(), Damage> {
    let mut padding = [0; BLOCK as usize];
    let padding = &mut padding[..entry.padding() as usize];
    fill(reader, padding, entry.offset + entry.size)?;
    if padding.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(Damage::Padding(*entry)) }
}

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 20;

/// A bundle in a file, whose statement is trusted and whose frame is what the statement says:
/// steps 6 and 7 of docs/format.md §Verification are what makes one.
#[derive(Debug)]
pub struct Archive<R> {
    reader: R,
    trusted: Trusted,
    layout: Layout,
}

impl<R: ReadAt> Archive<R> {
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
        let archive = Self { reader, trusted, layout };
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

    /// Whether an entry's content is there.
    pub fn has(&self, entry: &Entry) -> bool {
        self.reader.has(&(entry.offset..entry.offset + entry.size))
    }

    /// That an entry's content is not what its digest says.
    pub fn damaged(&self, entry: &Entry) -> Damage {
        Damage::Content(*entry).located(&self.reader)
    }

    /// The same, read through a reader that can be shared.
    pub fn share(self) -> Archive<std::sync::Arc<dyn ReadAt>>
    where
        R: 'static,
    {
        let Self { reader, trusted, layout } = self;
        Archive { reader: std::sync::Arc::new(reader), trusted, layout }
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        self.trusted.statement()
    }

    /// The statement with what is known of its signature.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
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
        let graph = graph_of(&self.reader, self.statement(), &self.layout, limits);
        graph.map_err(|damage| damage.located(&self.reader))
    }

    /// The content of a small entry: a manifest, or one at the head.
    ///
    /// # Errors
    /// The medium cannot be read.
    pub fn read(&self, entry: &Entry) -> Result<Vec<u8>, Damage> {
        let size = usize::try_from(entry.size).map_err(|_| Damage::Content(*entry))?;
        let mut bytes = vec![0; size];
        self.fill(&mut bytes, entry.offset)?;
        Ok(bytes)
    }

    /// Step 9 of docs/format.md §Verification: hashes the blobs, the largest first, on `threads`
    /// threads. `progress` is told of bytes as they are read. All damage is returned, not only the
    /// first.
    pub fn damaged_blobs(&self, threads: usize, progress: &(dyn Fn(u64) + Sync)) -> Vec<Damage> {
        self.damaged_among(self.layout.blobs().iter().collect(), threads, progress)
    }

    /// [`Self::damaged_blobs`], of these entries only.
    pub fn damaged_among(
        &self,
        mut order: Vec<&Entry>,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Vec<Damage> {
        order.sort_by_key(|entry| std::cmp::Reverse(entry.size));
        let next = AtomicUsize::new(0);
        let damages = std::sync::Mutex::new(Vec::new());
        let work = || {
            let mut piece = vec![0; PIECE];
            while let Some(entry) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(damage) = self.hash(entry, &mut piece, progress) {
                    damages.lock().expect("no thread panics while it holds the lock").push(damage);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.clamp(1, order.len().max(1)) {
                // A machine that gives no more threads is slower, and no less thorough.
                if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        damages.into_inner().expect("no thread panics while it holds the lock")
    }

    fn hash(&self, entry: &Entry, piece: &mut [u8], progress: &dyn Fn(u64)) -> Result<(), Damage> {
        let mut hasher = Hasher::new();
        let mut done = 0;
        while done < entry.size {
            let length = (entry.size - done).min(piece.len() as u64) as usize;
            self.fill(&mut piece[..length], entry.offset + done)?;
            hasher.update(&piece[..length]);
            done += length as u64;
            progress(length as u64);
        }
        match entry.name {
            EntryName::Blob(digest) if hasher.finish() == digest => Ok(()),
            _ => Err(self.damaged(entry)),
        }
    }

    fn fill(&self, buffer: &mut [u8], offset: u64) -> Result<(), Damage> {
        fill_at(&self.reader, buffer, offset, self.layout.size())
    }
}

/// Fills `buffer` from an archive that is `size` bytes long.
fn fill_at<R: ReadAt>(reader: &R, buffer: &mut [u8], offset: u64, size: u64) -> Result<(), Damage> {
    reader.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Damage::Truncated { expected: size, found: reader.size().unwrap_or(offset) }
        }
        _ => error.into(),
    })
}

impl Unverified {
    /// What a bundle says to hold whose signature nobody checks: its statement, and all that its
    /// manifests name. The manifests are what their digests say; that is all that is known.
    ///
    /// # Errors
    /// Any [`Damage`] to the statement or the manifests.
    pub fn contents<R: ReadAt>(&self, reader: &R, limits: &Limits) -> Result<(Statement, Graph), Damage> {
        let statement = Statement::parse(&self.statement, limits).map_err(Damage::Statement)?;
        let layout = Layout::of(&statement, self.statement.len() as u64);
        let graph = graph_of(reader, &statement, &layout, limits)?;
        Ok((statement, graph))
    }
}

fn graph_of<R: ReadAt>(
    reader: &R,
    statement: &Statement,
    layout: &Layout,
    limits: &Limits,
) -> Result<Graph, Damage> {
    let entries = statement.blobs.iter().zip(layout.blobs());
    let entries = entries.map(|(blob, entry)| (blob.digest, *entry)).collect();
    let mut stored = Stored { reader, size: layout.size(), entries };
    let graph = Graph::walk(&statement.artifacts, &mut stored, limits).map_err(from_graph)?;
    check_blob_list(statement, &graph)?;
    Ok(graph)
}

fn from_graph(error: GraphError<Damage>) -> Damage {
    match error {
        GraphError::Contents(damage) => damage,
        other => Damage::Graph(Box::new(other)),
    }
}

/// What is present, and what a delta requires, together are what the manifests name, in its order.
fn check_blob_list(statement: &Statement, graph: &Graph) -> Result<(), Damage> {
    let (mut present, mut required) = (statement.blobs.iter(), statement.requires.iter());
    let (mut blob, mut requirement) = (present.next(), required.next());
    for named in &graph.blobs {
        if blob == Some(named) {
            blob = present.next();
        } else if requirement == Some(named) && !graph.manifests.contains_key(&named.digest) {
            requirement = required.next();
        } else {
            return Err(Damage::BlobList(named.digest));
        }
    }
    match blob.or(requirement) {
        Some(extra) => Err(Damage::BlobList(extra.digest)),
        None => Ok(()),
    }
}

struct Stored<'a, R> {
    reader: &'a R,
    size: u64,
    entries: std::collections::HashMap<Digest, Entry>,
}

impl<R: ReadAt> Contents for Stored<'_, R> {
    type Error = Damage;

    fn manifest(&mut self, digest: Digest, _: &MediaType, _: Option<u64>) -> Result<Vec<u8>, Damage> {
        let entry = self.entries.get(&digest).ok_or(Damage::BlobList(digest))?;
        if entry.size > bundle_oci::Manifest::LARGEST as u64 {
            return Err(from_graph(GraphError::Manifest {
                digest,
                source: bundle_oci::ManifestError::TooLarge(
                    usize::try_from(entry.size).unwrap_or(usize::MAX),
                ),
            }));
        }
        let mut bytes = vec![0; entry.size as usize];
        fill_at(self.reader, &mut bytes, entry.offset, self.size)?;
        if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(Damage::Content(*entry)) }
    }

    fn config(&mut self, _: Blob) -> Result<(), Damage> {
        Ok(())
    }
}

/// A bundle that arrives through a pipe: each byte is seen once and in order.
#[derive(Debug)]
pub struct Pipe<R> {
    reader: R,
    trusted: Trusted,
    layout: Layout,
    next: usize,
}

/// What became of a blob's bytes on their way out of a pipe.
pub trait BlobSink {
    /// Takes the next bytes of `blob`; the last call for a blob comes only after its digest was
    /// found right.
    ///
    /// # Errors
    /// The bytes cannot be taken.
    fn take(&mut self, blob: Blob, bytes: &[u8]) -> io::Result<()>;
}

impl<R: Read> Pipe<R> {
    /// Goes on after [`Unverified::read`] and [`crate::TrustPolicy::check`]: checks `oci-layout`
    /// and `index.json`.
    ///
    /// # Errors
    /// Any [`Damage`] to these.
    pub fn open(reader: R, trusted: Trusted) -> Result<Self, Damage> {
        let layout = Layout::of(trusted.statement(), trusted.size());
        let mut pipe = Self { reader, trusted, layout, next: 2 };
        for expected in [OCI_LAYOUT.to_vec(), pipe.statement().index_json()] {
            let entry = pipe.header()?;
            let mut bytes = vec![0; expected.len()];
            fill(&mut pipe.reader, &mut bytes, entry.offset)?;
            if bytes != expected {
                return Err(Damage::Content(entry));
            }
            zeros(&mut pipe.reader, &entry)?;
        }
        Ok(pipe)
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        self.trusted.statement()
    }

    /// The statement with what is known of its signature.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// The length of the whole archive in bytes.
    pub fn size(&self) -> u64 {
        self.layout.size()
    }

    /// Reads manifests and configs. The manifests' bytes are kept, for they are pushed last; the
    /// configs' go to `sink`.
    ///
    /// # Errors
    /// Any [`Damage`], or the sink failed.
    pub fn graph<S: BlobSink>(
        &mut self,
        sink: &mut S,
        limits: &Limits,
    ) -> Result<(Graph, std::collections::HashMap<Digest, Vec<u8>>), Damage> {
        let artifacts = self.statement().artifacts.clone();
        let required = self.statement().requires.iter().map(|blob| blob.digest).collect();
        let kept = std::collections::HashMap::new();
        let mut piped = Piped { pipe: self, sink, kept, required, bytes: 0, limits };
        let graph = Graph::walk(&artifacts, &mut piped, limits).map_err(from_graph)?;
        let kept = piped.kept;
        check_blob_list(self.statement(), &graph)?;
        Ok((graph, kept))
    }

    /// Reads the remaining blobs into `sink`, and the end.
    ///
    /// # Errors
    /// Any [`Damage`], or the sink failed.
    pub fn finish<S: BlobSink>(mut self, sink: &mut S) -> Result<(), Damage> {
        while let Some(&blob) = self.statement().blobs.get(self.next - Layout::HEAD) {
            self.blob(blob, sink)?;
        }
        let mut trailer = [0; TRAILER as usize];
        fill(&mut self.reader, &mut trailer, self.layout.size() - TRAILER)?;
        if trailer.iter().any(|&byte| byte != 0) {
            return Err(Damage::Trailer);
        }
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Damage::TooLong(self.layout.size())),
            Err(error) => Err(error.into()),
        }
    }

    fn header(&mut self) -> Result<Entry, Damage> {
        let entry = self.layout.entries()[self.next];
        let mut header = [0; BLOCK as usize];
        fill(&mut self.reader, &mut header, entry.header_offset())?;
        if header != entry.header() {
            return Err(Damage::Header(entry));
        }
        self.next += 1;
        Ok(entry)
    }

    fn blob<S: BlobSink>(&mut self, blob: Blob, sink: &mut S) -> Result<(), Damage> {
        let entry = self.header()?;
        let mut hasher = Hasher::new();
        let mut piece = vec![0; PIECE.min(usize::try_from(blob.size).unwrap_or(PIECE))];
        let mut done = 0;
        loop {
            let length = (blob.size - done).min(piece.len() as u64) as usize;
            fill(&mut self.reader, &mut piece[..length], entry.offset + done)?;
            hasher.update(&piece[..length]);
            done += length as u64;
            if done == blob.size {
                if hasher.finish() != blob.digest {
                    return Err(Damage::Content(entry));
                }
                sink.take(blob, &piece[..length]).map_err(Damage::Read)?;
                return zeros(&mut self.reader, &entry);
            }
            sink.take(blob, &piece[..length]).map_err(Damage::Read)?;
        }
    }
}

struct Piped<'a, R, S> {
    pipe: &'a mut Pipe<R>,
    sink: &'a mut S,
    kept: std::collections::HashMap<Digest, Vec<u8>>,
    required: std::collections::HashSet<Digest>,
    bytes: u64,
    limits: &'a Limits,
}

impl<R: Read, S: BlobSink> Piped<'_, R, S> {
    /// The entry that the walk expects must be the one that comes next.
    fn expect(&self, digest: Digest) -> Result<Blob, Damage> {
        match self.pipe.statement().blobs.get(self.pipe.next - Layout::HEAD) {
            Some(blob) if blob.digest == digest => Ok(*blob),
            _ => Err(Damage::BlobList(digest)),
        }
    }
}

impl<R: Read, S: BlobSink> Contents for Piped<'_, R, S> {
    type Error = Damage;

    fn manifest(&mut self, digest: Digest, _: &MediaType, _: Option<u64>) -> Result<Vec<u8>, Damage> {
        let blob = self.expect(digest)?;
        self.bytes = self.bytes.saturating_add(blob.size);
        if blob.size > bundle_oci::Manifest::LARGEST as u64 || self.bytes > self.limits.piped_manifests {
            return Err(Damage::PipedManifests(self.limits.piped_manifests));
        }
        let entry = self.pipe.header()?;
        let mut bytes = vec![0; blob.size as usize];
        fill(&mut self.pipe.reader, &mut bytes, entry.offset)?;
        zeros(&mut self.pipe.reader, &entry)?;
        if Digest::of(&bytes) != digest {
            return Err(Damage::Content(entry));
        }
        self.kept.insert(digest, bytes.clone());
        Ok(bytes)
    }

    fn config(&mut self, config: Blob) -> Result<(), Damage> {
        if self.required.contains(&config.digest) {
            return Ok(());
        }
        let blob = self.expect(config.digest)?;
        if blob != config {
            return Err(Damage::BlobList(config.digest));
        }
        self.pipe.blob(blob, self.sink)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{bundle, policy, statement};
    use crate::{Timestamp, TrustError};

    #[derive(Debug)]
    enum Refusal {
        Damage(#[expect(dead_code, reason = "shown when a test fails")] Damage),
        Trust(#[expect(dead_code, reason = "shown when a test fails")] TrustError),
    }

    fn trust(reader: &mut impl Read) -> Result<Trusted, Refusal> {
        let head = Unverified::read(reader, &Limits::V1).map_err(Refusal::Damage)?;
        let now = Timestamp::from_unix(1_800_000_000).unwrap();
        policy().check(head, &[], now, &Limits::V1).map_err(Refusal::Trust)
    }

    fn verify(bytes: &[u8]) -> Result<Graph, Refusal> {
        let trusted = trust(&mut &bytes[..])?;
        let archive = Archive::open(bytes.to_vec(), trusted).map_err(Refusal::Damage)?;
        let graph = archive.graph(&Limits::V1).map_err(Refusal::Damage)?;
        match archive.damaged_blobs(2, &|_| ()).pop() {
            Some(damage) => Err(Refusal::Damage(damage)),
            None => Ok(graph),
        }
    }

    #[derive(Default)]
    struct Kept(Vec<(Blob, Vec<u8>)>);

    impl BlobSink for Kept {
        fn take(&mut self, blob: Blob, bytes: &[u8]) -> io::Result<()> {
            match self.0.last_mut() {
                Some((last, kept)) if *last == blob => kept.extend_from_slice(bytes),
                _ => self.0.push((blob, bytes.to_vec())),
            }
            Ok(())
        }
    }

    fn verify_piped(mut bytes: &[u8]) -> Result<Kept, Refusal> {
        let trusted = trust(&mut bytes)?;
        let mut pipe = Pipe::open(bytes, trusted).map_err(Refusal::Damage)?;
        let mut kept = Kept::default();
        pipe.graph(&mut kept, &Limits::V1).map_err(Refusal::Damage)?;
        pipe.finish(&mut kept).map_err(Refusal::Damage)?;
        Ok(kept)
    }

    #[test]
    fn a_file_that_was_just_written_can_be_read_at_once() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"0123456789").unwrap();
        let mut buffer = [0; 4];
        // A file system may refuse; then the buffer is filled in the usual way.
        if file.read_at_once(&mut buffer, 3) {
            assert_eq!(&buffer, b"3456");
        }
        assert!(!file.read_at_once(&mut buffer, 8), "the file ends before");
        ReadAt::read_exact_at(&file, &mut buffer, 3).unwrap();
        assert_eq!(&buffer, b"3456");
    }

    #[test]
    fn every_single_byte_change_is_refused() {
        let bytes = bundle(&[b"one layer", b"another"]);
        verify(&bytes).unwrap();
        verify_piped(&bytes).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(verify(&changed).is_err(), "byte {at} of a file can change unseen");
            assert!(verify_piped(&changed).is_err(), "byte {at} of a pipe can change unseen");
        }
    }

    #[test]
    fn every_truncation_and_extension_is_refused() {
        let bytes = bundle(&[b"one layer"]);
        for length in 0..bytes.len() {
            assert!(verify(&bytes[..length]).is_err(), "{length}");
            assert!(verify_piped(&bytes[..length]).is_err(), "{length}");
        }
        for tail in [&[0; 1][..], &[0; 512], &bytes] {
            let longer = [&bytes[..], tail].concat();
            assert!(verify(&longer).is_err());
            assert!(verify_piped(&longer).is_err());
        }
    }

    #[test]
    fn a_huge_statement_is_refused_before_it_is_read() {
        let header = layout::header(EntryName::Statement, 1 << 32);
        let refusal = Unverified::read(&mut &header[..], &Limits::V1).unwrap_err();
        assert!(matches!(refusal, Damage::StatementSize(size) if size == 1 << 32));
    }

    #[test]
    fn standard_tar_lists_the_same_entries() {
        let bytes = bundle(&[b"x", &[1; 512]]);
        let mut archive = tar::Archive::new(&bytes[..]);
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(&names[..4], ["bundle.json", "bundle.json.sig", "oci-layout", "index.json"]);
        assert_eq!(names.len(), 4 + statement(&[b"x", &[1; 512]]).blobs.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_what_is_read(layers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 1..6)) {
            let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
            let bytes = bundle(&layers);
            let graph = verify(&bytes).unwrap();
            let kept = verify_piped(&bytes).unwrap();
            for layer in layers {
                let digest = Digest::of(layer);
                prop_assert!(graph.blobs.iter().any(|blob| blob.digest == digest && blob.size == layer.len() as u64));
                prop_assert!(kept.0.iter().any(|(blob, bytes)| blob.digest == digest && bytes == layer));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            prop_assert!(verify(&bytes).is_err());
            prop_assert!(verify_piped(&bytes).is_err());
        }
    }
}
