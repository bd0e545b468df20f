//! A layer that gives what lies below it, and what is lost or damaged there rebuilt from parity. It takes the
//! stored bytes and the files of parity beside them. It trusts neither: the statement's digests above check
//! its bytes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::medium::error::open_regular;
use crate::parity::code;
use crate::parity::shape::{BLOCK, DESCRIPTION, Description, Shape};
use crate::parity::spill::Spill;
use crate::parity::table::{self, short};
use crate::{Layer, MediumError, ParityError, VolumeNames};

/// Blocks that were rebuilt and are kept, in bytes together.
const KEPT: usize = 32 << 20;

/// After so many places in a row that cannot be rebuilt, it is not tried any more: parity that lies must
/// not cost a hundred times the reading.
const HOPELESS: usize = 1000;

/// Rows that are read at once.
const AT_ONCE: u64 = 64;

/// Stored bytes with parity.
pub(crate) struct Rebuilding {
    stored: Arc<dyn Layer>,
    bundle: PathBuf,
    path: PathBuf,
    table: File,
    shape: Shape,
    /// The file of each shard of parity, and the shard's offset there; none if it is missing.
    parity: Vec<Option<(Arc<File>, u64)>>,
    /// Whether bytes are missing.
    cut: bool,
    /// Those that are missing and cannot be rebuilt.
    lost: Vec<Range<u64>>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The groups rebuilt last, the latest at the end.
    groups: VecDeque<Group>,
    bytes: usize,
    /// Groups in a row of which nothing could be rebuilt.
    failures: usize,
    /// The file for rebuilt blocks, if there is one.
    spill: Option<Spill>,
    /// By shard: what happened to damage there.
    marks: BTreeMap<usize, Marks>,
}

/// Rows that were worked on together, and the blocks of theirs that could be rebuilt.
struct Group {
    number: u64,
    blocks: HashMap<(usize, u64), Vec<u8>>,
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct Marks {
    rebuilt: bool,
    failed: bool,
    /// From the first row to the last one of which rebuilt blocks were given though others can be read.
    doubtful: Option<Range<u64>>,
}

/// A bundle's files that are missing, or of which parts were rebuilt from parity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The parity's file.
    pub parity: PathBuf,
    /// The bundle's file, or its volumes, that are damaged or missing.
    pub files: Vec<PathBuf>,
}

impl Rebuilding {
    /// Opens the parity of these volumes or one file; none if there is no parity.
    ///
    /// # Errors
    /// The files are no parity of this bundle.
    pub(crate) fn open(
        stored: Arc<dyn Layer>,
        names: &VolumeNames,
        volumes: Option<&[Range<u64>]>,
    ) -> Result<Option<Self>, ParityError> {
        let path = names.parity();
        let table = match open_regular(&path) {
            Ok(file) => file,
            Err(MediumError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(MediumError::Open { source, .. }) => return Err(ParityError::Read(source)),
            Err(_) => return Err(ParityError::Description),
        };
        let shape = Shape::read(describe(&table)?, volumes)?;
        let found = stored.size().map_err(ParityError::Read)?;
        // A larger file is another bundle.
        if found > shape.description.size {
            return Err(ParityError::Other);
        }
        let parity = if shape.description.volumes {
            let of = shape.parity();
            let open = |number| open_regular(&names.parity_volume(number, of)).ok();
            (1..=of).map(|number| open(number).map(|file| (Arc::new(file), 0))).collect()
        } else {
            let file = Arc::new(table.try_clone().map_err(ParityError::Read)?);
            (0..shape.parity()).map(|number| Some((file.clone(), shape.place_of(number)))).collect()
        };
        let mut layer = Self {
            stored,
            bundle: names.bundle().to_owned(),
            path,
            table,
            shape,
            parity,
            cut: false,
            lost: Vec::new(),
            memory: Mutex::default(),
        };
        let absent = layer.absent_parts();
        layer.cut = !absent.is_empty();
        layer.lost = layer.find_lost(&absent);
        Ok(Some(layer))
    }

    /// Keeps what is rebuilt in a file, so that nothing is read and rebuilt twice. Where the file cannot be
    /// written, memory alone is used.
    pub(crate) fn keep_in(&self, file: File) {
        self.memory().spill = Spill::new(file, &self.shape);
    }

    /// Whether bytes are missing.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether bytes are missing that cannot be rebuilt.
    pub(crate) fn lacks(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Which of the stored bytes each shard has.
    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.shape.data
    }

    /// The parity's share of the bundle.
    pub(crate) fn share(&self) -> crate::ParityShare {
        crate::ParityShare::between(self.shape.parity(), self.shape.data.len())
    }

    /// The message for damage that cannot be rebuilt.
    pub(crate) fn too_little(&self) -> Option<String> {
        let has_failed = self.memory().marks.values().any(|marks| marks.failed);
        let (bundle, parity) = (self.bundle.display(), self.path.display());
        has_failed.then(|| format!("{bundle}, more than {parity} can rebuild"))
    }

    /// The volumes of parity that are missing.
    pub(crate) fn absent(&self) -> Vec<PathBuf> {
        let (names, of) = (VolumeNames::of(&self.bundle), self.parity.len());
        let absent = self.parity.iter().zip(1..).filter(|(file, _)| file.is_none());
        absent.map(|(_, number)| names.parity_volume(number, of)).collect()
    }

    /// The blocks rebuilt so far.
    pub(crate) fn rebuilt(&self) -> Option<Rebuilt> {
        let memory = self.memory();
        let shards = memory.marks.iter().filter(|(_, marks)| marks.rebuilt).map(|(shard, _)| *shard);
        let mut files = if self.lacks() { Vec::new() } else { self.stored.missing() };
        for shard in shards {
            let of_shard = self.stored.files_of(&self.shape.data[shard]);
            files.extend(if of_shard.is_empty() { vec![self.bundle.clone()] } else { of_shard });
        }
        files.sort();
        files.dedup();
        (!files.is_empty()).then(|| Rebuilt { parity: self.path.clone(), files })
    }

    /// Whether some of these bytes were given rebuilt, though others can be read in their place.
    pub(crate) fn is_doubtful(&self, bytes: &Range<u64>) -> bool {
        self.marks_of(bytes, |marks, rows| {
            marks.doubtful.as_ref().is_some_and(|doubt| doubt.start < rows.end && rows.start < doubt.end)
        })
    }

    fn marks_of(&self, bytes: &Range<u64>, is: impl Fn(&Marks, &Range<u64>) -> bool) -> bool {
        self.memory().marks.iter().any(|(shard, marks)| {
            let range = &self.shape.data[*shard];
            let (start, end) = (bytes.start.max(range.start), bytes.end.min(range.end));
            let row = |byte: u64| (byte - range.start) / BLOCK;
            start < end && is(marks, &(row(start)..row(end - 1) + 1))
        })
    }

    /// The bytes of each shard that are missing.
    fn absent_parts(&self) -> Vec<(usize, Range<u64>)> {
        let mut absent: Vec<(usize, Range<u64>)> = Vec::new();
        for (shard, range) in self.shape.data.iter().enumerate() {
            let mut at = range.start;
            let there = self.stored.parts_of(range);
            for part in there.into_iter().chain(std::iter::once(range.end..range.end)) {
                if part.start > at {
                    absent.push((shard, at..part.start));
                }
                at = at.max(part.end);
            }
        }
        absent
    }

    /// Those in whose rows more is missing than there is parity. All rows from the first lost one to the last
    /// are included.
    fn find_lost(&self, absent: &[(usize, Range<u64>)]) -> Vec<Range<u64>> {
        let available = self.parity.iter().flatten().count();
        let rows = |(shard, bytes): &(usize, Range<u64>)| {
            let start = self.shape.data[*shard].start;
            (bytes.start - start) / BLOCK..(bytes.end - start).div_ceil(BLOCK)
        };
        let mut changes: BTreeMap<u64, i64> = BTreeMap::new();
        for part in absent {
            let rows = rows(part);
            *changes.entry(rows.start).or_default() += 1;
            *changes.entry(rows.end).or_default() -= 1;
        }
        let (mut count, mut first, mut last) = (0, None, 0);
        for (row, change) in changes {
            if count > available as i64 {
                last = row;
            }
            count += change;
            if count > available as i64 {
                first = first.or(Some(row));
            }
        }
        let Some(first) = first else { return Vec::new() };
        let lost = absent.iter().filter_map(|part @ (shard, bytes)| {
            let rows = rows(part);
            let dead = self.shape.bytes(*shard, &(rows.start.max(first)..rows.end.min(last).max(first)));
            let dead = dead.start.max(bytes.start)..dead.end.min(bytes.end);
            (dead.start < dead.end).then_some(dead)
        });
        lost.collect()
    }

    /// Fills `out`, which lies in one shard from its byte `from` on.
    fn fill(&self, shard: usize, from: u64, out: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < out.len() {
            let at = from + done as u64;
            let first = at / BLOCK;
            let last = (from + out.len() as u64).div_ceil(BLOCK).min(first + AT_ONCE);
            let mut blocks = Blocks::new(self.shape.row_length(first) as u64, last - first);
            self.read(shard, first..last, &mut blocks);
            let digests = table::read(&self.table, &self.shape, shard, first, last - first);
            for (row, digest) in (first..last).zip(digests) {
                let length = self.shape.row_length(row);
                let is_there = blocks.state(row - first).is_ok();
                let is_right =
                    digest.is_none_or(|digest| short(&blocks.block(row - first)[..length]) == digest);
                if is_there && is_right {
                    continue;
                }
                match self.rebuild(shard, row, is_there) {
                    Some(rebuilt) => blocks.block_mut(row - first)[..length].copy_from_slice(&rebuilt),
                    // Readable bytes are returned; the layer above checks them.
                    None if is_there => {}
                    None => return Err(blocks.take_error(row - first)),
                }
            }
            let skip = (at - first * BLOCK) as usize;
            let have = &blocks.bytes[skip..];
            let length = have.len().min(out.len() - done);
            out[done..done + length].copy_from_slice(&have[..length]);
            done += length;
        }
        Ok(())
    }

    /// Reads rows of a shard of data, with the zeros behind its end. Where they cannot be read together,
    /// each is tried.
    fn read(&self, shard: usize, rows: Range<u64>, blocks: &mut Blocks) {
        let bytes = self.shape.bytes(shard, &rows);
        let length = (bytes.end - bytes.start) as usize;
        if self.stored.read_exact_at(&mut blocks.bytes[..length], bytes.start).is_ok() {
            blocks.bytes[length..].fill(0);
            return;
        }
        for row in rows.clone() {
            let bytes = self.shape.bytes(shard, &(row..row + 1));
            let length = (bytes.end - bytes.start) as usize;
            let block = blocks.block_mut(row - rows.start);
            block[length..].fill(0);
            if let Err(error) = self.stored.read_exact_at(&mut block[..length], bytes.start) {
                blocks.errors.insert(row - rows.start, error);
            }
        }
    }

    /// The same of a shard of parity.
    fn read_parity(&self, number: usize, rows: Range<u64>, blocks: &mut Blocks) {
        for row in rows.clone() {
            let length = self.shape.row_length(row);
            let block = &mut blocks.block_mut(row - rows.start)[..length];
            let read = match self.parity.get(number) {
                Some(Some((file, start))) => Layer::read_exact_at(&**file, block, start + row * BLOCK),
                _ => Err(io::ErrorKind::NotFound.into()),
            };
            if let Err(error) = read {
                blocks.errors.insert(row - rows.start, error);
            }
        }
    }

    /// A block of data as it should be, if that can be had. `is_there` says whether another stands in its
    /// place.
    fn rebuild(&self, shard: usize, row: u64, is_there: bool) -> Option<Vec<u8>> {
        let mut memory = self.memory();
        let number = row / self.shape.rows_at_once();
        let block = match &memory.spill {
            Some(_) => self.spilled(&mut memory, number, shard, row),
            None => self.remembered(&mut memory, number, shard, row),
        };
        let marks = memory.marks.entry(shard).or_default();
        match &block {
            None => marks.failed = true,
            Some(_) => {
                marks.rebuilt = true;
                if is_there {
                    let doubt = marks.doubtful.get_or_insert(row..row + 1);
                    *doubt = doubt.start.min(row)..doubt.end.max(row + 1);
                }
            }
        }
        block
    }

    /// A rebuilt block from the file for them, into which its whole group goes first.
    fn spilled(&self, memory: &mut Memory, number: u64, shard: usize, row: u64) -> Option<Vec<u8>> {
        let mut spill = memory.spill.take()?;
        if !spill.has_tried(number) && memory.failures < HOPELESS {
            let group = self.group(number);
            memory.failures = if group.blocks.is_empty() { memory.failures + 1 } else { 0 };
            let kept = group
                .blocks
                .iter()
                .try_for_each(|((shard, row), block)| spill.keep(&self.shape, *shard, *row, block));
            if kept.is_err() {
                return self.remembered(memory, number, shard, row);
            }
            spill.tried(number);
        }
        let block = spill.block(&self.shape, shard, row);
        memory.spill = Some(spill);
        block
    }

    /// A rebuilt block from memory, where the newest groups are.
    fn remembered(&self, memory: &mut Memory, number: u64, shard: usize, row: u64) -> Option<Vec<u8>> {
        let at = memory.groups.iter().position(|group| group.number == number);
        match at {
            Some(at) => {
                let group = memory.groups.remove(at)?;
                memory.groups.push_back(group);
            }
            None if memory.failures >= HOPELESS => {}
            None => {
                let group = self.group(number);
                memory.failures = if group.blocks.is_empty() { memory.failures + 1 } else { 0 };
                memory.bytes += group.bytes;
                memory.groups.push_back(group);
                while memory.bytes > KEPT && memory.groups.len() > 1 || memory.groups.len() > 64 {
                    memory.bytes -= memory.groups.pop_front().map_or(0, |group| group.bytes);
                }
            }
        }
        let newest = memory.groups.back().filter(|group| group.number == number);
        newest.and_then(|group| group.blocks.get(&(shard, row))).cloned()
    }

    /// Rebuilds what can be of some rows.
    fn group(&self, number: u64) -> Group {
        let first = number * self.shape.rows_at_once();
        let last = (first + self.shape.rows_at_once()).min(self.shape.rows());
        let data = self.shape.data.len();
        let mut all: Vec<Blocks> = Vec::with_capacity(self.shape.shards());
        // By row: the shards whose block is not the right one.
        let mut bad: Vec<Vec<usize>> = vec![Vec::new(); (last - first) as usize];
        let mut digests = Vec::new();
        for shard in 0..self.shape.shards() {
            let mut blocks = Blocks::new(self.shape.row_length(first) as u64, last - first);
            if shard < data {
                self.read(shard, first..last, &mut blocks);
            } else {
                self.read_parity(shard - data, first..last, &mut blocks);
            }
            let expected = table::read(&self.table, &self.shape, shard, first, last - first);
            for (row, digest) in (first..last).zip(&expected) {
                let block = &blocks.block(row - first)[..self.shape.row_length(row)];
                let is_right =
                    blocks.state(row - first).is_ok() && digest.is_none_or(|digest| short(block) == digest);
                if !is_right {
                    bad[(row - first) as usize].push(shard);
                }
            }
            all.push(blocks);
            digests.push(expected);
        }
        let mut group = Group { number, blocks: HashMap::new(), bytes: 0 };
        let mut row = first;
        while row < last {
            // Rows that lack the same are rebuilt together.
            let lacking = &bad[(row - first) as usize];
            let same = |other: &u64| {
                bad[(*other - first) as usize] == *lacking
                    && self.shape.row_length(*other) == self.shape.row_length(row)
            };
            let end = (row..last).take_while(same).last().unwrap_or(row) + 1;
            let rows = row..end;
            row = end;
            if !lacking.iter().any(|shard| *shard < data) || lacking.len() > self.shape.parity() {
                continue;
            }
            let length = self.shape.row_length(rows.start);
            let span = ((rows.start - first) * BLOCK) as usize..;
            let together = length * (rows.end - rows.start) as usize;
            let there: Vec<Option<&[u8]>> = all
                .iter()
                .enumerate()
                .map(|(shard, blocks)| {
                    let is_bad = lacking.binary_search(&shard).is_ok();
                    (!is_bad).then(|| &blocks.bytes[span.clone()][..together])
                })
                .collect();
            let (of_data, of_parity) = there.split_at(data);
            let Ok(rebuilt) = code::decode(of_data, of_parity, together) else { continue };
            for (shard, bytes) in rebuilt {
                for (row, block) in rows.clone().zip(bytes.chunks(length)) {
                    let expected = digests[shard][(row - first) as usize];
                    if expected.is_none_or(|digest| short(block) == digest) {
                        group.bytes += block.len();
                        group.blocks.insert((shard, row), block.to_vec());
                    }
                }
            }
        }
        group
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Its content is valid at every point where a panic could occur.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Blocks of one shard, one behind the other, and what could not be read of them.
struct Blocks {
    bytes: Vec<u8>,
    length: usize,
    errors: HashMap<u64, io::Error>,
}

impl Blocks {
    /// Room for so many blocks, the last of which may need less.
    fn new(length: u64, rows: u64) -> Self {
        Self { bytes: vec![0; (length * rows) as usize], length: length as usize, errors: HashMap::new() }
    }

    fn block(&self, number: u64) -> &[u8] {
        &self.bytes[number as usize * self.length..][..self.length]
    }

    fn block_mut(&mut self, number: u64) -> &mut [u8] {
        &mut self.bytes[number as usize * self.length..][..self.length]
    }

    fn state(&self, number: u64) -> Result<(), &io::Error> {
        self.errors.get(&number).map_or(Ok(()), Err)
    }

    fn take_error(&mut self, number: u64) -> io::Error {
        self.errors.remove(&number).unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// The description, from the start of a file or from its end.
fn describe(file: &File) -> Result<Description, ParityError> {
    let size = Layer::size(file).map_err(ParityError::Read)?;
    let read = |offset: u64| {
        let mut bytes = vec![0; DESCRIPTION as usize];
        Layer::read_exact_at(file, &mut bytes, offset).map_err(ParityError::Read)?;
        Description::parse(&bytes)
    };
    read(0).or_else(|error| {
        let end = size.checked_sub(DESCRIPTION).ok_or(ParityError::Description)?;
        read(end).map_err(|_| error)
    })
}

impl Layer for Rebuilding {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset.checked_add(done as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
            let shard = self.shape.shard_of(at).ok_or(io::ErrorKind::UnexpectedEof)?;
            let range = &self.shape.data[shard];
            let length = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len() - done);
            self.fill(shard, at - range.start, &mut buffer[done..done + length])?;
            done += length;
        }
        Ok(())
    }

    fn read_at_once(&self, _: &mut [u8], _: u64) -> bool {
        // To compare blocks with their digests takes longer than a reader that must not wait has.
        false
    }

    fn size(&self) -> io::Result<u64> {
        if self.lacks() { self.stored.size() } else { Ok(self.shape.description.size) }
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        let is_lost = |lost: &Range<u64>| lost.start < bytes.end && bytes.start < lost.end;
        bytes.is_empty() || bytes.end <= self.shape.description.size && !self.lost.iter().any(is_lost)
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        let end = bytes.end.min(self.shape.description.size);
        let mut at = bytes.start;
        let mut parts = Vec::new();
        for lost in self.lost.iter().filter(|lost| lost.end > bytes.start) {
            if lost.start > at && at < end {
                parts.push(at..lost.start.min(end));
            }
            at = at.max(lost.end);
        }
        if at < end {
            parts.push(at..end);
        }
        parts
    }

    fn files_of(&self, bytes: &Range<u64>) -> Vec<PathBuf> {
        self.stored.files_of(bytes)
    }

    fn missing(&self) -> Vec<PathBuf> {
        if self.lacks() { self.stored.missing() } else { Vec::new() }
    }

    fn place(&self, bytes: &Range<u64>) -> Option<String> {
        let place = self.stored.place(bytes).unwrap_or_else(|| self.bundle.display().to_string());
        let parity = self.path.display();
        if self.marks_of(bytes, |marks, _| marks.failed) {
            return Some(format!("{place}, more than {parity} can rebuild"));
        }
        if self.marks_of(bytes, |marks, _| marks.rebuilt) {
            return Some(format!("{place}, also with what was rebuilt from {parity}"));
        }
        Some(place)
    }

    fn settle(&self, _: &Range<u64>, _: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        false
    }
}

impl std::fmt::Debug for Rebuilding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rebuilding({} of {} shards)", self.shape.parity(), self.shape.data.len())
    }
}
