//! An archive that arrives through a pipe: each byte is seen once and in order.
//! Takes a reader and a trusted statement; gives blobs to a sink, each one's end only when its digest is right.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

use bundle_oci::{ConfigPlatform, Descriptor, Digest, Hasher, MediaType};

use crate::archive::blob::PIECE;
use crate::archive::head::{fill, zeros};
use crate::archive::layout::{BLOCK, Entry, Layout, OCI_LAYOUT, TRAILER};
use crate::archive::manifests::{check_blob_list, from_graph};
use crate::{Blob, ConfigWord, Contents, Damage, Graph, Limits, Statement, Trusted, check_promises};

/// A bundle that arrives through a pipe: each byte is seen once and in order.
#[derive(Debug)]
pub struct Pipe<R> {
    reader: R,
    trusted: Trusted,
    layout: Layout,
    next: usize,
}

/// A sink for the blobs of a pipe.
pub trait BlobSink {
    /// Takes the next bytes of `blob`; the last call for a blob comes only after its digest was
    /// found right.
    ///
    /// # Errors
    /// The bytes cannot be taken.
    fn take(&mut self, blob: Blob, bytes: &[u8]) -> io::Result<()>;
}

impl<R: Read> Pipe<R> {
    /// Goes on after [`crate::Unverified::read`] and [`crate::TrustPolicy::check`]: checks `oci-layout`
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
    ) -> Result<(Graph, HashMap<Digest, Vec<u8>>), Damage> {
        let statement = self.statement().clone();
        let required = self.statement().requires.iter().map(|blob| blob.digest).collect();
        let kept = HashMap::new();
        let words = Words::default();
        let mut piped = Piped { pipe: self, sink, kept, words, required, bytes: 0, limits };
        let graph = Graph::walk(&statement.artifacts, &mut piped, limits).map_err(from_graph)?;
        let (kept, words) = (piped.kept, piped.words);
        check_blob_list(self.statement(), &graph)?;
        let word_of = |config: &Descriptor| words.of(config.digest);
        check_promises(&statement.artifacts, &graph, word_of).map_err(Damage::Promise)?;
        Ok((graph, kept))
    }

    /// Reads the remaining blobs into `sink`, and the end.
    ///
    /// # Errors
    /// Any [`Damage`], or the sink failed.
    pub fn finish<S: BlobSink>(mut self, sink: &mut S) -> Result<(), Damage> {
        while let Some(&blob) = self.statement().blobs.get(self.next - Layout::HEAD) {
            self.blob(blob, sink, &mut |_| ())?;
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

    /// Reads the next blob into `sink`; `seen` gets its bytes before they are verified.
    fn blob<S: BlobSink>(
        &mut self,
        blob: Blob,
        sink: &mut S,
        seen: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Damage> {
        let entry = self.header()?;
        let mut hasher = Hasher::new();
        let mut piece = vec![0; PIECE.min(usize::try_from(blob.size).unwrap_or(PIECE))];
        let mut done = 0;
        loop {
            let length = (blob.size - done).min(piece.len() as u64) as usize;
            fill(&mut self.reader, &mut piece[..length], entry.offset + done)?;
            hasher.update(&piece[..length]);
            seen(&piece[..length]);
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

/// The platforms of the configs read so far. Platforms are few, so each is stored once.
#[derive(Default)]
struct Words {
    known: HashMap<ConfigWord, u32>,
    of: HashMap<Digest, u32>,
}

impl Words {
    /// How many different words are kept.
    const MOST: usize = 20_000;

    /// Takes note of what a config says, if there is room.
    fn keep(&mut self, config: Digest, word: ConfigWord) -> bool {
        let next = self.known.len() as u32;
        let at = *self.known.entry(word).or_insert(next);
        self.of.insert(config, at);
        self.known.len() <= Self::MOST
    }

    fn of(&self, config: Digest) -> ConfigWord {
        let word = self.of.get(&config).and_then(|at| self.known.iter().find(|(_, known)| *known == at));
        word.map_or(ConfigWord::Absent, |(word, _)| word.clone())
    }
}

struct Piped<'a, R, S> {
    pipe: &'a mut Pipe<R>,
    sink: &'a mut S,
    kept: HashMap<Digest, Vec<u8>>,
    words: Words,
    required: HashSet<Digest>,
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
        if blob.size > ConfigPlatform::LARGEST {
            return self.pipe.blob(blob, self.sink, &mut |_| ());
        }
        let mut bytes = Vec::new();
        self.pipe.blob(blob, self.sink, &mut |piece| bytes.extend_from_slice(piece))?;
        if self.words.keep(blob.digest, ConfigWord::of(&bytes)) {
            Ok(())
        } else {
            Err(Damage::PipedManifests(self.limits.piped_manifests))
        }
    }
}
