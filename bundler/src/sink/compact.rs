//! A compact archive, in one file, in volumes or in a pipe: takes the archive's bytes in order, collects each blob
//! in a scratch file, makes recipes of several at once, and writes them in the archive's order.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use bundle_format::{CompactEncoder, CompactWriter, Encoded, Layout};
use bundle_oci::Digest;

use crate::OutputError;
use crate::compact::choose::{Choice, Chosen};
use crate::sink::head::SinkHead;
use crate::sink::packed::{Files, StartFile};
use crate::sink::parts::Parts;
use crate::sink::shard::{CreateShard, compact_note};
use crate::sink::target::InOrder;
use crate::sink::volumes::{Beside, Start};

/// Where sections are written to, and how many bytes that were.
struct Out {
    place: Place,
    written: u64,
}

enum Place {
    Files(Box<Files>),
    Pipe(Box<dyn Write + Send>),
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.place {
            Place::Files(files) => files.write(bytes)?,
            Place::Pipe(pipe) => pipe.write(bytes)?,
        };
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.place {
            Place::Files(files) => files.flush(),
            Place::Pipe(pipe) => pipe.flush(),
        }
    }
}

/// Encodes an archive into files or a pipe.
pub(crate) struct CompactSink {
    writer: CompactWriter<Out>,
    start: Option<StartFile>,
    /// For one of several shards, the digest of the bases that all of them name.
    shard: Option<Digest>,
    layout: Arc<Layout>,
    digests: Vec<Digest>,
    choice: Choice,
    encoder: Arc<CompactEncoder>,
    /// Blobs that later ones may be the difference to.
    earlier: HashMap<Digest, Earlier>,
    /// The next byte of the archive.
    at: u64,
    /// The position of the first blob that does not end before it.
    blob: usize,
    collected: Option<File>,
    waiting: VecDeque<Waiting>,
    threads: usize,
}

/// A blob of this archive that later ones may be the difference to.
struct Earlier {
    file: Arc<File>,
    offset: u64,
    size: u64,
    users: usize,
}

/// What is written next, in order.
enum Waiting {
    Bytes(Vec<u8>),
    Blob { size: u64, blob: Arc<File>, task: JoinHandle<io::Result<Option<Encoded>>> },
}

impl CompactSink {
    /// Encodes into files; of a shard, its entries only.
    pub(crate) fn files(
        mut parts: Parts,
        head: &SinkHead,
        shard: Option<CreateShard>,
        choice: Choice,
        encoder: CompactEncoder,
    ) -> Result<Self, OutputError> {
        let layout = head.plan().layout();
        let range = shard.map_or(0..layout.size(), |shard| shard.entries(layout));
        // At worst, nothing has a recipe that pays, and each blob travels as it is.
        parts.prepare_stream(range.end - range.start)?;
        let path = parts.path().to_owned();
        let of_head = head.length().min(range.end).saturating_sub(range.start);
        let start = parts.volume_size().map(|_| StartFile::new(&path, of_head)).transpose()?;
        let bases = shard.map(|_| Digest::of(&serde_json::to_vec(&choice.outer).unwrap_or_default()));
        let begun =
            Self::begin(Place::Files(Box::new(Files::new(parts))), start, head, choice, encoder, range.start);
        let sink = begun.map_err(|source| OutputError::Io { path, doing: "written", source })?;
        Ok(Self { shard: bases, ..sink })
    }

    /// Encodes no more than so many blobs at once: each takes some 60 MiB of memory.
    pub(crate) fn with_threads(self, most: usize) -> Self {
        Self { threads: self.threads.min(most.max(1)), ..self }
    }

    /// Encodes into a pipe.
    pub(crate) fn pipe(
        pipe: Box<dyn Write + Send>,
        head: &SinkHead,
        choice: Choice,
        encoder: CompactEncoder,
    ) -> Result<Self, OutputError> {
        Self::begin(Place::Pipe(pipe), None, head, choice, encoder, 0).map_err(OutputError::Pipe)
    }

    fn begin(
        place: Place,
        start: Option<StartFile>,
        head: &SinkHead,
        choice: Choice,
        encoder: CompactEncoder,
        at: u64,
    ) -> io::Result<Self> {
        let layout = head.plan().shared_layout();
        let out = Out { place, written: 0 };
        let writer = match at {
            0 => CompactWriter::new(out, choice.outer.clone())?,
            _ => CompactWriter::without_header(out)?,
        };
        Ok(Self {
            writer,
            start,
            shard: None,
            blob: layout.blobs().partition_point(|entry| entry.offset < at),
            layout,
            digests: head.plan().statement().blobs.iter().map(|blob| blob.digest).collect(),
            choice,
            encoder: Arc::new(encoder),
            earlier: HashMap::new(),
            at,
            collected: None,
            waiting: VecDeque::new(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    fn path(&self) -> Option<PathBuf> {
        match &self.writer.get_ref().place {
            Place::Files(files) => Some(files.parts().path().to_owned()),
            Place::Pipe(_) => None,
        }
    }

    fn failed(&mut self, source: io::Error) -> OutputError {
        let path = self.path();
        match (&mut self.writer.get_mut().place, path) {
            (Place::Files(files), Some(path)) => files.failure(path, source),
            _ => OutputError::Pipe(source),
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let next = self.layout.blobs()[self.blob..]
                .iter()
                .position(|entry| CompactWriter::<Out>::wants_recipe(entry.size))
                .map(|ahead| (self.blob + ahead, self.layout.blobs()[self.blob + ahead]));
            let Some((position, entry)) = next else {
                self.blob = self.layout.blobs().len();
                return self.plain(bytes);
            };
            self.blob = position;
            if self.at < entry.offset {
                let length = (entry.offset - self.at).min(bytes.len() as u64) as usize;
                self.plain(&bytes[..length])?;
                self.at += length as u64;
                bytes = &bytes[length..];
                continue;
            }
            let end = entry.offset + entry.size;
            let length = (end - self.at).min(bytes.len() as u64) as usize;
            let file = match self.collected.take() {
                Some(file) => file,
                None => self.encoder.scratch().file()?,
            };
            (&file).write_all(&bytes[..length])?;
            self.at += length as u64;
            bytes = &bytes[length..];
            if self.at < end {
                self.collected = Some(file);
                continue;
            }
            self.encode(position, file)?;
            self.blob += 1;
        }
        Ok(())
    }

    /// Bytes that are no large blob's.
    fn plain(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.waiting.back_mut() {
            Some(Waiting::Bytes(waiting)) => waiting.extend_from_slice(bytes),
            Some(Waiting::Blob { .. }) => self.waiting.push_back(Waiting::Bytes(bytes.to_vec())),
            None => self.writer.bytes(bytes)?,
        }
        Ok(())
    }

    /// Has a blob encoded, once there are not too many on the way.
    fn encode(&mut self, position: usize, file: File) -> io::Result<()> {
        let blobs = |waiting: &VecDeque<Waiting>| {
            waiting.iter().filter(|waiting| matches!(waiting, Waiting::Blob { .. })).count()
        };
        while blobs(&self.waiting) >= self.threads {
            self.write_next()?;
        }
        let entry = self.layout.blobs()[position];
        let digest = self.digests[position];
        let blob = Arc::new(file);
        let mut bases = Vec::new();
        for chosen in self.choice.bases_of(digest) {
            match *chosen {
                Chosen::Outer(index) => {
                    bases.push(self.encoder.outer(index, &self.choice.outer[index as usize]))
                }
                Chosen::Earlier(base) => {
                    let Some(earlier) = self.earlier.get_mut(&base) else { continue };
                    bases.push(self.encoder.earlier(earlier.offset, earlier.size, earlier.file.clone()));
                    earlier.users -= 1;
                    if earlier.users == 0 {
                        self.earlier.remove(&base);
                    }
                }
            }
        }
        if let Some(&users) = self.choice.users.get(&digest) {
            let earlier = Earlier { file: blob.clone(), offset: entry.offset, size: entry.size, users };
            self.earlier.insert(digest, earlier);
        }
        let (encoder, source) = (self.encoder.clone(), blob.clone());
        let task = std::thread::spawn(move || encoder.encode(&source, entry.size, &bases));
        self.waiting.push_back(Waiting::Blob { size: entry.size, blob, task });
        Ok(())
    }

    /// Writes what is first in line.
    fn write_next(&mut self) -> io::Result<()> {
        match self.waiting.pop_front() {
            None => Ok(()),
            Some(Waiting::Bytes(bytes)) => self.writer.bytes(&bytes),
            Some(Waiting::Blob { size, blob, task }) => {
                let encoded = task.join().map_err(|_| io::Error::other("a layer's encoding panicked"))??;
                self.writer.blob(&blob, size, encoded.as_ref())
            }
        }
    }
}

impl InOrder for CompactSink {
    fn append(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        if let Some(start) = &mut self.start {
            start.append(bytes)?;
        }
        self.take(bytes).map_err(|error| self.failed(error))
    }

    fn finish(self: Box<Self>, head: &SinkHead) -> Result<(), OutputError> {
        self.complete(head).map(drop)
    }
}

impl CompactSink {
    /// Writes what is still to be written, gives the files their names, and says how many bytes they have.
    pub(crate) fn complete(mut self, head: &SinkHead) -> Result<u64, OutputError> {
        while !self.waiting.is_empty() {
            self.write_next().map_err(|error| self.failed(error))?;
        }
        let path = self.path();
        let Self { writer, start, shard, .. } = self;
        let finished = match shard {
            Some(bases) => writer.finish_part().map(|(out, heads)| (out, compact_note(bases, &heads))),
            None => writer.finish(),
        };
        let (out, table) = finished.map_err(|source| match path {
            Some(path) => OutputError::Io { path, doing: "written", source },
            None => OutputError::Pipe(source),
        })?;
        let Out { place: Place::Files(mut files), written } = out else { return Ok(0) };
        // A run that is killed while it gives names is known by this to have given them.
        files.parts.journal().start(head.digest())?;
        let Some(start) = start else {
            files.parts.finish(head.digest(), None)?;
            return Ok(written);
        };
        files.parts.name_volumes();
        let beside = Beside { head, start: Start::File(&start.part), frames: Some(&table) };
        files.parts.finish(head.digest(), Some(&beside))?;
        Ok(written)
    }
}
