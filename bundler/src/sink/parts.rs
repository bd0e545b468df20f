//! The files of a bundle on the way to completeness: one, or its volumes, under names of their own
//! beside the final ones, with a journal of what is in them. All survive a run that ends early;
//! the next run goes on.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::{
    BLOCK, Entry, Layout, Limits, OCI_LAYOUT, ParityShare, Statement, TRAILER, VolumeNames, VolumeSize,
};
use bundle_oci::Digest;
use bundle_os::{Preallocated, Volume};

use crate::OutputError;
use crate::sink::head::SinkHead;
use crate::sink::journal::Journal;
use crate::sink::names::{claim, directory_of, file_name, hidden, is_at, open_own, partial};
use crate::sink::parity::{self, Parity};
use crate::sink::shard::{self, CreateShard};
use crate::sink::target::{InOrder, Shape, Way};
use crate::sink::volumes;

/// A bundle's file, or its volumes, until they are complete.
#[derive(Debug)]
pub(crate) struct Parts {
    path: PathBuf,
    volumes: Option<VolumeSize>,
    parity: Option<ParityShare>,
    /// In the order of the archive; of volumes, only the first is open before the cuts are known.
    parts: Vec<Part>,
    journal: Journal,
    scope: Scope,
    /// The file that this run holds a lock on, if it writes one of several shards' volumes.
    claim: Option<Part>,
}

/// Which bytes of an archive a run writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Scope {
    /// All of them.
    #[default]
    All,
    /// The volumes of a shard.
    Volumes(CreateShard),
    /// The entries of a shard, in one file.
    Entries(CreateShard),
}

/// One file, and which of the bytes it has.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) file: File,
    pub(crate) partial: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) range: Range<u64>,
}

/// How a file system is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    /// Space is set aside, and every blob is written at its final place.
    Anywhere,
    /// Gaps would be filled with zeros, writing everything twice: one byte after the other.
    InOrder,
}

/// How often a partial file may vanish between opening and locking before that is no accident.
const CLAIMS: usize = 8;

impl Parts {
    /// Opens an earlier run's files, or starts again, and locks them against other runs. With a size, the
    /// bytes are cut into volumes.
    pub(crate) fn open(path: &Path, shape: Shape) -> Result<Self, OutputError> {
        let Shape { volumes, parity, .. } = shape;
        if file_name(path).is_none() {
            return Err(OutputError::NoName(path.to_owned()));
        }
        let journal = hidden(path, "journal");
        for _ in 0..CLAIMS {
            if path.symlink_metadata().is_ok() {
                Journal::clear(&journal, &partial(path, None));
                return Err(OutputError::Exists(path.to_owned()));
            }
            if volumes.is_some() {
                let names = VolumeNames::of(path);
                if names.index().symlink_metadata().is_ok() {
                    Journal::clear(&journal, &partial(path, Some(1)));
                    return Err(OutputError::Exists(names.index()));
                }
                volumes::take_back(&names, &journal, |number| partial(path, Some(number)))?;
            }
            let first = partial(path, volumes.map(|_| 1));
            let file = open_own(&first)?;
            if claim(&file, path, &first)? {
                let part = Part { file, partial: first, path: path.to_owned(), range: 0..u64::MAX };
                let journal = Journal::open(journal)?;
                let output = Self {
                    path: path.to_owned(),
                    volumes,
                    parity,
                    parts: vec![part],
                    journal,
                    scope: Scope::All,
                    claim: None,
                };
                if parity.is_some() {
                    parity::take_back(path, output.journal.read().is_some())?;
                }
                if path.symlink_metadata().is_ok() {
                    return Err(OutputError::Exists(path.to_owned()));
                }
                return Ok(output);
            }
        }
        Err(OutputError::Busy(path.to_owned()))
    }

    /// The same for a shard of a set of volumes, of which other runs write the others.
    pub(crate) fn open_shard(path: &Path, size: VolumeSize, shard: CreateShard) -> Result<Self, OutputError> {
        let own = |end: &str| hidden(path, &format!("shard-{}-of-{}.{end}", shard.number, shard.of));
        let lock = own("lock");
        for _ in 0..CLAIMS {
            let file = open_own(&lock)?;
            if claim(&file, path, &lock)? {
                let claim = Part { file, partial: lock, path: path.to_owned(), range: 0..0 };
                return Ok(Self {
                    path: path.to_owned(),
                    volumes: Some(size),
                    parity: None,
                    parts: Vec::new(),
                    journal: Journal::open(own("journal"))?,
                    scope: Scope::Volumes(shard),
                    claim: Some(claim),
                });
            }
        }
        Err(OutputError::Busy(path.to_owned()))
    }

    /// A file of a shard's entries alone.
    pub(crate) fn open_entries(path: &Path, shard: CreateShard) -> Result<Self, OutputError> {
        let mut parts = Self::open(path, Shape::default())?;
        parts.scope = Scope::Entries(shard);
        Ok(parts)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The first file that this run holds.
    fn first(&self) -> Option<&Part> {
        self.parts.first().or(self.claim.as_ref())
    }

    /// How large a volume may be, if there are volumes.
    pub(crate) fn volume_size(&self) -> Option<VolumeSize> {
        self.volumes
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The statement that an earlier run began to write, if its file still exists.
    pub(crate) fn earlier(&self, limits: &Limits) -> Option<Statement> {
        let (digest, _) = self.journal.read()?;
        let mut reader: Box<dyn Read> =
            match self.volumes {
                None => Box::new(&self.parts.first()?.file),
                Some(_) => {
                    let parts = (1..=limits.volumes)
                        .map_while(|number| File::open(partial(&self.path, Some(number))).ok());
                    Box::new(parts.fold(Box::new(std::io::empty()) as Box<dyn Read>, |all, part| {
                        Box::new(all.chain(part))
                    }))
                }
            };
        if self.volumes.is_none() {
            (&self.parts.first()?.file).rewind().ok()?;
        }
        let mut header = [0; BLOCK as usize];
        reader.read_exact(&mut header).ok()?;
        let size = std::str::from_utf8(&header[124..135]).ok()?;
        let size = u64::from_str_radix(size, 8).ok().filter(|size| *size <= limits.statement)?;
        let mut bytes = Vec::new();
        reader.take(size).read_to_end(&mut bytes).ok()?;
        (Digest::of(&bytes) == digest).then(|| Statement::parse(&bytes, limits).ok())?
    }

    /// Makes room for an archive, and starts the journal anew unless it is of this plan.
    pub(crate) fn begin(mut self, head: &SinkHead) -> Result<Way, OutputError> {
        let layout = head.plan().shared_layout();
        let (placement, written) = self.prepare(head.digest(), &layout)?;
        Ok(match placement {
            Placement::Anywhere => Way::Anywhere(Begun { parts: self, layout, written }),
            Placement::InOrder => Way::InOrder(Box::new(Appending { parts: self, at: 0 })),
        })
    }

    /// [`Self::begin`] for a shard: each byte at its place, whatever the file system does about that.
    pub(crate) fn begin_shard(mut self, head: &SinkHead) -> Result<Begun, OutputError> {
        let layout = head.plan().shared_layout();
        let (_, written) = self.prepare(head.digest(), &layout)?;
        Ok(Begun { parts: self, layout, written })
    }

    fn prepare(
        &mut self,
        statement: Digest,
        layout: &Layout,
    ) -> Result<(Placement, HashMap<usize, u64>), OutputError> {
        let earlier = self.journal.read().filter(|(digest, _)| *digest == statement);
        self.cut(statement, layout)?;
        if earlier.is_none() {
            for part in &self.parts {
                part.empty()?;
            }
            self.journal.start(statement)?;
        }
        let placement = self.placement()?;
        let size = match self.scope {
            Scope::All => layout.size(),
            Scope::Volumes(_) | Scope::Entries(_) => self.parts.iter().map(Part::length).sum(),
        };
        let available = self.check_space(size.saturating_add(self.parity_size(statement)?))?;
        for part in &self.parts {
            let size = part.length();
            if placement == Placement::InOrder {
                part.empty()?;
                continue;
            }
            match bundle_os::preallocate(&part.file, size) {
                // Without it a file is still right, only its space is not sure.
                Ok(Preallocated::Done | Preallocated::Unsupported) => {}
                Ok(Preallocated::NoSpace) => {
                    return Err(OutputError::Space { path: self.path.clone(), needed: size, available });
                }
                Err(error) => return Err(part.failed("made larger", error)),
            }
            // An earlier run's file of the same plan has this size; anything else is cut.
            part.file.set_len(size).map_err(|source| part.failed("made larger", source))?;
        }
        Ok((placement, earlier.map(|(_, written)| written).unwrap_or_default()))
    }

    /// Makes sure of room for so many bytes, which will be appended to the first part, or for
    /// fewer; and that each part may be as large as it can become.
    pub(crate) fn prepare_stream(&mut self, size: u64) -> Result<(), OutputError> {
        self.parts[0].range = 0..self.volumes.map_or(size, |volume| volume.bytes().min(size));
        self.placement()?;
        // For volumes, their number is not known yet; the parity may be smaller.
        let parity = if self.volumes.is_none() { self.parity_size(Digest::of(b""))? } else { 0 };
        self.check_space(size.saturating_add(parity))?;
        self.parts[0].range = 0..0;
        self.parts[0].empty()
    }

    /// Opens a file for each volume, now that the cuts are known.
    fn cut(&mut self, statement: Digest, layout: &Layout) -> Result<(), OutputError> {
        let Some(size) = self.volumes else {
            self.parts[0].range = match self.scope {
                Scope::Entries(shard) => shard.entries(layout),
                Scope::All | Scope::Volumes(_) => 0..layout.size(),
            };
            return Ok(());
        };
        let cuts = size.cut(layout);
        let of = cuts.len();
        if of > Limits::V1.volumes {
            return Err(OutputError::TooManyVolumes { path: self.path.clone(), volumes: of });
        }
        if let Scope::Volumes(shard) = self.scope {
            return self.cut_shard(statement, &cuts, shard);
        }
        for (range, number) in cuts.into_iter().zip(1..) {
            match self.parts.get_mut(number - 1) {
                Some(part) => part.range = range,
                None => self.add_part(range)?,
            }
        }
        self.name_volumes();
        Ok(())
    }

    /// Opens a file for each of a shard's volumes that is not finished.
    fn cut_shard(
        &mut self,
        statement: Digest,
        cuts: &[Range<u64>],
        shard: CreateShard,
    ) -> Result<(), OutputError> {
        let names = VolumeNames::of(&self.path);
        let known = shard::known(&self.path, statement)?;
        let is_begun = self.journal.read().is_some_and(|(of, _)| of == statement);
        for number in shard.volumes(cuts.len()) {
            let range = cuts[number - 1].clone();
            let path = names.volume(number, cuts.len());
            let is_known = known.get(&number).is_some_and(|it| it.size == range.end - range.start);
            if path.symlink_metadata().is_ok() {
                if is_known {
                    continue;
                }
                return Err(OutputError::Exists(path));
            }
            let part = shard::open_volume(path, partial(&self.path, Some(number)), range)?;
            let length = part.file.metadata().map_err(|source| part.failed("looked at", source))?.len();
            // A run was killed between its note and the name.
            if is_known && !is_begun && length == part.length() {
                part.rename()?;
                continue;
            }
            self.parts.push(part);
        }
        Ok(())
    }

    /// Opens the file of the next volume.
    pub(crate) fn add_part(&mut self, range: Range<u64>) -> Result<(), OutputError> {
        let volumes = self.parts.len() + 1;
        if volumes > Limits::V1.volumes {
            return Err(OutputError::TooManyVolumes { path: self.path.clone(), volumes });
        }
        let partial = partial(&self.path, Some(volumes));
        self.parts.push(Part { file: open_own(&partial)?, partial, path: self.path.clone(), range });
        Ok(())
    }

    /// The part that bytes are appended to.
    pub(crate) fn last_part(&mut self) -> &mut Part {
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }

    /// Gives each volume the name that it will have, now that it is known how many there are.
    pub(crate) fn name_volumes(&mut self) {
        let (names, of) = (VolumeNames::of(&self.path), self.parts.len());
        for (part, number) in self.parts.iter_mut().zip(1..) {
            part.path = names.volume(number, of);
        }
        // Another plan's volumes, of which there were more.
        for number in of + 1.. {
            if std::fs::remove_file(partial(&self.path, Some(number))).is_err() {
                break;
            }
        }
    }

    /// How many bytes of parity there will be.
    fn parity_size(&self, statement: Digest) -> Result<u64, OutputError> {
        let Some(share) = self.parity else { return Ok(0) };
        let plan = parity::plan(&self.path, statement, &self.ranges(), self.volumes.is_some(), share)?;
        Ok(plan.size())
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        self.parts.iter().map(|part| part.range.clone()).collect()
    }

    /// Makes parity, now that all bytes are written.
    fn make_parity(&self, statement: Digest) -> Result<Option<Parity>, OutputError> {
        let Some(share) = self.parity else { return Ok(None) };
        let read = |buffer: &mut [u8], at: u64| self.read_at(buffer, at).map_err(std::io::Error::other);
        let (ranges, volumes) = (self.ranges(), self.volumes.is_some());
        Parity::make(&self.path, statement, &ranges, volumes, share, &read).map(Some)
    }

    /// How many bytes there are, if they suffice.
    fn check_space(&self, size: u64) -> Result<u64, OutputError> {
        let mut have = 0;
        for part in &self.parts {
            let metadata = part.file.metadata().map_err(|source| part.failed("looked at", source))?;
            have += bundle_os::allocated(&metadata);
        }
        let Some(first) = self.first() else { return Ok(0) };
        let available = bundle_os::available(&first.file);
        let available = available.map_err(|source| first.failed("looked at", source))?;
        let needed = size.saturating_sub(have);
        if needed > available {
            return Err(OutputError::Space { path: self.path.clone(), needed, available });
        }
        Ok(available)
    }

    fn placement(&self) -> Result<Placement, OutputError> {
        let Some(first) = self.first() else { return Ok(Placement::Anywhere) };
        let volume = bundle_os::volume(&first.file);
        let volume = volume.map_err(|source| first.failed("looked at", source))?;
        let large = self.parts.iter().find(|part| part.length() >= 1 << 32);
        if let (Volume::Fat, Some(part)) = (volume, large) {
            return Err(OutputError::TooLarge { path: part.path.clone(), size: part.length() });
        }
        let in_order = volume != Volume::Any && self.scope == Scope::All;
        Ok(if in_order { Placement::InOrder } else { Placement::Anywhere })
    }

    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> Result<(), OutputError> {
        while !bytes.is_empty() {
            let (part, length) = self.part_at(offset, bytes.len());
            match part {
                Some(part) => {
                    bundle_os::write_all_at(&part.file, &bytes[..length], offset - part.range.start)
                        .map_err(|source| part.failed("written", source))?
                }
                None if self.scope == Scope::All => return Err(self.beyond("written")),
                // It is for another shard to write.
                None => {}
            }
            (bytes, offset) = (&bytes[length..], offset + length as u64);
        }
        Ok(())
    }

    fn read_at(&self, mut bytes: &mut [u8], mut offset: u64) -> Result<(), OutputError> {
        while !bytes.is_empty() {
            let (part, length) = self.part_at(offset, bytes.len());
            let part = part.ok_or_else(|| self.beyond("read"))?;
            let (now, later) = bytes.split_at_mut(length);
            bundle_os::read_exact_at(&part.file, now, offset - part.range.start)
                .map_err(|source| part.failed("read", source))?;
            (bytes, offset) = (later, offset + length as u64);
        }
        Ok(())
    }

    /// The part that has this byte of the archive, if one has it, and for how many of the next `length` that is true.
    fn part_at(&self, offset: u64, length: usize) -> (Option<&Part>, usize) {
        let position = self.parts.partition_point(|part| part.range.end <= offset);
        let (part, end) = match self.parts.get(position) {
            Some(part) if part.range.start <= offset => (Some(part), part.range.end),
            Some(next) => (None, next.range.start),
            None => (None, u64::MAX),
        };
        (part, length.min(usize::try_from(end - offset).unwrap_or(usize::MAX)))
    }

    fn beyond(&self, doing: &'static str) -> OutputError {
        let source = std::io::Error::other("beyond the archive's end");
        OutputError::Io { path: self.path.clone(), doing, source }
    }

    /// How many of these bytes of the archive this run writes.
    fn share_of(&self, bytes: &Range<u64>) -> u64 {
        let first = self.parts.partition_point(|part| part.range.end <= bytes.start);
        let parts = self.parts[first..].iter().take_while(|part| part.range.start < bytes.end);
        parts.map(|part| part.range.end.min(bytes.end) - part.range.start.max(bytes.start)).sum()
    }

    /// Syncs all files to disk, and gives them their final names; the files beside a set's volumes list them.
    pub(crate) fn finish(
        &self,
        statement: Digest,
        beside: Option<&volumes::Beside<'_>>,
    ) -> Result<(), OutputError> {
        let parity = self.make_parity(statement)?;
        for part in &self.parts {
            part.file.sync_all().map_err(|source| part.failed("brought to disk", source))?;
        }
        match beside {
            Some(beside) => {
                volumes::finish(&VolumeNames::of(&self.path), &self.parts, parity.as_ref(), beside)?;
            }
            None => {
                parity.iter().try_for_each(Parity::rename)?;
                self.parts[0].rename()?;
            }
        }
        self.sync_directory()?;
        self.journal.remove();
        Ok(())
    }

    fn sync_directory(&self) -> Result<(), OutputError> {
        let directory = directory_of(&self.path);
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        // FAT and some network file systems cannot sync a directory.
        match synced {
            Err(source)
                if source.kind() != std::io::ErrorKind::InvalidInput
                    && source.kind() != std::io::ErrorKind::Unsupported =>
            {
                Err(OutputError::Io { path: directory.to_owned(), doing: "brought to disk", source })
            }
            _ => Ok(()),
        }
    }

    /// [`Self::finish`], of an archive that is not compressed.
    fn finish_archive(&self, head: &SinkHead) -> Result<(), OutputError> {
        if let Scope::Volumes(shard) = self.scope {
            shard::finish(self, shard, head.digest())?;
            return self.sync_directory();
        }
        if self.volumes.is_none() {
            return self.finish(head.digest(), None);
        }
        let start = volumes::read_start(&self.parts, head.length())?;
        let beside = volumes::Beside { head, start: volumes::Start::Bytes(&start), frames: None };
        self.finish(head.digest(), Some(&beside))
    }
}

impl Drop for Parts {
    /// Removes files without fetched content, which are of no use.
    fn drop(&mut self) {
        let fetched = |(_, written): (_, HashMap<usize, u64>)| written.values().any(|bytes| *bytes > 0);
        let is_ours = self.first().is_some_and(|first| is_at(&first.file, &first.partial));
        if is_ours && !self.journal.read().is_some_and(fetched) {
            self.journal.remove();
            for part in &self.parts {
                let _ = std::fs::remove_file(&part.partial);
            }
        }
        if let Some(claim) = self.claim.as_ref().filter(|claim| is_at(&claim.file, &claim.partial)) {
            let _ = std::fs::remove_file(&claim.partial);
        }
    }
}

impl Part {
    pub(crate) fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    pub(crate) fn empty(&self) -> Result<(), OutputError> {
        self.file.set_len(0).map_err(|source| self.failed("emptied", source))
    }

    /// Writes bytes behind those that it has.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let written = bundle_os::write_all_at(&self.file, bytes, self.length());
        written.map_err(|source| self.failed("written", source))?;
        self.range.end += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its final name, which must be free.
    pub(crate) fn rename(&self) -> Result<(), OutputError> {
        if !is_at(&self.file, &self.partial) {
            let gone = std::io::Error::other("another file has taken its place");
            return Err(self.failed("renamed", gone));
        }
        bundle_os::rename_new(&self.partial, &self.path).map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => OutputError::Exists(self.path.clone()),
            _ => self.failed("renamed", source),
        })
    }

    pub(crate) fn failed(&self, doing: &'static str, source: std::io::Error) -> OutputError {
        OutputError::Io { path: self.partial.clone(), doing, source }
    }
}

/// Files with room for one archive, where every byte can be written at its final place.
#[derive(Debug)]
pub(crate) struct Begun {
    parts: Parts,
    layout: Arc<Layout>,
    /// How much of each blob an earlier run wrote, by its position.
    written: HashMap<usize, u64>,
}

impl Begun {
    /// How many bytes of a blob an earlier run of this very plan wrote. It is a hint: they must be hashed
    /// before use.
    pub(crate) fn written(&self, blob: usize) -> u64 {
        if !self.has_all(blob) {
            return 0;
        }
        let size = self.layout.blobs().get(blob).map_or(0, |entry| entry.size);
        self.written.get(&blob).copied().unwrap_or_default().min(size)
    }

    /// How many bytes of a blob this run writes: of a shard, some blobs lie in two, and most in others.
    pub(crate) fn share_of(&self, blob: usize) -> u64 {
        let bytes = self.layout.blobs().get(blob).map(|entry| entry.offset..entry.offset + entry.size);
        bytes.map_or(0, |bytes| self.parts.share_of(&bytes))
    }

    /// Whether this run writes bytes of a blob.
    pub(crate) fn wants(&self, blob: usize) -> bool {
        self.parts.scope == Scope::All || self.share_of(blob) > 0
    }

    /// Whether this run writes all bytes of a blob.
    pub(crate) fn has_all(&self, blob: usize) -> bool {
        self.layout.blobs().get(blob).is_some_and(|entry| self.share_of(blob) == entry.size)
    }

    /// Whether this run writes nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.parts.iter().all(|part| part.range.is_empty())
    }

    /// Writes everything that is not blob content.
    pub(crate) fn write_frame(&self, head: &SinkHead) -> Result<(), OutputError> {
        let index = head.plan().statement().index_json();
        let contents = [head.statement(), head.signature().as_ref(), OCI_LAYOUT, &index];
        for (entry, content) in self.layout.entries().iter().zip(contents) {
            self.parts.write_at(&framed(entry, content), entry.header_offset())?;
        }
        for entry in self.layout.blobs() {
            self.parts.write_at(&entry.header(), entry.header_offset())?;
            let padding = &[0; BLOCK as usize][..entry.padding() as usize];
            self.parts.write_at(padding, entry.offset + entry.size)?;
        }
        self.parts.write_at(&[0; TRAILER as usize], self.layout.size() - TRAILER)
    }

    /// Writes bytes of the blob at a position of the statement's list.
    pub(crate) fn write_blob(&self, blob: usize, bytes: &[u8], from: u64) -> Result<(), OutputError> {
        self.parts.write_at(bytes, self.place(blob, from)?)
    }

    /// Reads bytes of the blob at a position of the statement's list.
    pub(crate) fn read_blob(&self, blob: usize, bytes: &mut [u8], from: u64) -> Result<(), OutputError> {
        self.parts.read_at(bytes, self.place(blob, from)?)
    }

    fn place(&self, blob: usize, from: u64) -> Result<u64, OutputError> {
        let entry = self.layout.blobs().get(blob).ok_or_else(|| OutputError::Io {
            path: self.parts.path.clone(),
            doing: "written",
            source: std::io::Error::other("the plan has no such blob"),
        });
        Ok(entry?.offset + from)
    }

    /// Notes that the first `bytes` of a blob are written.
    pub(crate) fn note(&self, blob: usize, bytes: u64) -> Result<(), OutputError> {
        // What lies in two shards could not be hashed by either.
        if !self.has_all(blob) {
            return Ok(());
        }
        self.parts.journal.note(blob, bytes)
    }

    /// Takes note that all bytes were written, and makes a bundle of them.
    pub(crate) fn finish(&self, head: &SinkHead) -> Result<(), OutputError> {
        self.parts.finish_archive(head)
    }
}

/// An entry with its header and padding.
pub(crate) fn framed(entry: &Entry, content: &[u8]) -> Vec<u8> {
    let mut bytes = entry.header().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len() + entry.padding() as usize, 0);
    bytes
}

/// Files that are written one byte after the other.
struct Appending {
    parts: Parts,
    at: u64,
}

impl InOrder for Appending {
    fn append(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.parts.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>, head: &SinkHead) -> Result<(), OutputError> {
        self.parts.finish_archive(head)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn digest() -> Digest {
        Digest::of(b"statement")
    }

    /// The layout of an archive with one layer of this size.
    fn layout(size: u64) -> Arc<Layout> {
        crate::plan::testing::plan_of_layer(size).shared_layout()
    }

    fn open(path: &Path) -> Result<Parts, OutputError> {
        Parts::open(path, Shape::default())
    }

    fn names(directory: &Path) -> Vec<OsString> {
        let mut names: Vec<_> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_was_finished_between_opening_and_locking_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        let mut first = open(&path).unwrap();
        let partial = first.parts[0].partial.clone();
        first.prepare(digest(), &layout(7)).unwrap();
        first.write_at(b"content", 0).unwrap();
        let late = open_own(&partial).unwrap();
        assert!(matches!(claim(&late, &path, &partial), Err(OutputError::Busy(_))));
        first.finish(digest(), None).unwrap();
        drop(first);
        assert!(!claim(&late, &path, &partial).unwrap());
        assert!(matches!(open(&path), Err(OutputError::Exists(_))));
        assert!(std::fs::read(&path).unwrap().starts_with(b"content"));
        assert_eq!(names(directory.path()), ["b.tar"]);
    }

    #[test]
    fn a_partial_file_that_another_has_replaced_gets_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        let mut output = open(&path).unwrap();
        output.prepare(digest(), &layout(7)).unwrap();
        std::fs::remove_file(&output.parts[0].partial).unwrap();
        std::fs::write(&output.parts[0].partial, "another's").unwrap();
        assert!(matches!(output.finish(digest(), None), Err(OutputError::Io { .. })));
        drop(output);
        assert_eq!(names(directory.path()), [".b.tar.journal", ".b.tar.partial"]);
    }

    #[test]
    fn only_what_was_fetched_outlives_a_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        let mut output = open(&path).unwrap();
        let needed = output.prepare(digest(), &layout(1 << 52)).unwrap_err();
        assert!(matches!(
            needed,
            OutputError::Space { .. } | OutputError::TooLarge { .. } | OutputError::Io { .. }
        ));
        drop(output);
        assert!(names(directory.path()).is_empty());
        let mut output = open(&path).unwrap();
        output.prepare(digest(), &layout(7)).unwrap();
        output.journal.note(0, 3).unwrap();
        drop(output);
        assert_eq!(names(directory.path()), [".b.tar.journal", ".b.tar.partial"]);
    }

    #[test]
    fn a_run_that_was_killed_after_its_last_step_leaves_no_journal() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        let volumes = Shape { volumes: Some("1MiB".parse().unwrap()), ..Shape::default() };
        for (shape, complete) in [(Shape::default(), "b.tar"), (volumes, "b.tar.volumes.json")] {
            let complete = directory.path().join(complete);
            std::fs::write(&complete, "all").unwrap();
            Journal::open(hidden(&path, "journal")).unwrap().start(digest()).unwrap();
            assert!(matches!(Parts::open(&path, shape), Err(OutputError::Exists(_))));
            assert_eq!(names(directory.path()), [complete.file_name().unwrap()]);
            std::fs::remove_file(complete).unwrap();
        }
    }

    #[test]
    fn a_path_that_names_no_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["out/", "out/.", "..", "."] {
            let path = directory.path().join(path);
            assert!(matches!(open(&path), Err(OutputError::NoName(_))), "{path:?}");
        }
        assert!(names(directory.path()).is_empty());
    }
}
