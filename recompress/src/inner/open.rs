//! Opens DEFLATE streams in a file: where a model makes exactly a stream of what it stands for, this takes its place.
//! Takes the streams' places in order, writes the opened bytes, and gives the recipe that closes them again.

use std::io::{self, Write};

use super::entry::Packed;
use super::list::{Inflater, StreamsError};
use super::positioned::{Positioned, RangeReader};
use super::recipe::{InnerRecipe, Part, RecipeWriter, is_known, most_streams};
use crate::encoder::Encoder;
use crate::examine::{ExamineError, way_of};
use crate::klauspost::Version;
use crate::model::{GoLevel, KlauspostSettings, Model};
use crate::recipe::Way;
use crate::reuse::ReadAt;
use crate::zlib::{Level, ZlibSettings};

/// A stream of at most so many bytes, and twice as many inflated, is tried in memory.
const SMALL: u64 = 256 * 1024;
/// So many plain bytes are tried at once: a wrong model is seen early.
const GLANCE: usize = 64 * 1024;
/// Encoders that are kept to be used again.
const MAX_ENCODERS: usize = 6;
/// After so many streams of a file without a model, no others than the last one are tried in it.
const MAX_FAILURES: u32 = 4;
/// After so many streams of all files without a model.
const MAX_ALL_FAILURES: u32 = 400;

/// Opens streams of one file.
pub struct Opener<'a, W> {
    file: &'a dyn ReadAt,
    size: u64,
    out: W,
    recipe: RecipeWriter,
    /// Where in the file everything before is written.
    at: u64,
    written: u64,
    /// How many opened bytes there may be, and how many were inflated, whether it was of use or not.
    most: u64,
    tried: u64,
    last: Option<Model>,
    encoders: Vec<(Model, Box<dyn Encoder>)>,
    inflater: Inflater,
    plain: Vec<u8>,
    compressed: Vec<u8>,
    made: Vec<u8>,
    failures: u32,
    all_failures: u32,
}

impl<'a, W: Write> Opener<'a, W> {
    /// An opener of the first `size` bytes of a file, which writes at most `most` opened bytes, if that
    /// is more than `size`, and inflates no more.
    pub fn new(file: &'a dyn ReadAt, size: u64, most: u64, out: W) -> Self {
        Self {
            file,
            size,
            out,
            recipe: RecipeWriter::new(),
            at: 0,
            written: 0,
            most: most.max(size),
            tried: 0,
            last: None,
            encoders: Vec::new(),
            inflater: Inflater::new(),
            plain: Vec::new(),
            compressed: Vec::new(),
            made: Vec::new(),
            failures: 0,
            all_failures: 0,
        }
    }

    /// Says that the next streams are those of another archive.
    pub fn next_archive(&mut self) {
        self.failures = 0;
    }

    /// Where a place of the file, at or behind the last stream, will be among the opened bytes, unless streams before it
    /// are opened.
    pub fn opened(&self, place: u64) -> u64 {
        self.written + place.saturating_sub(self.at)
    }

    /// Opens the stream from `data` to `end`, which is said to have `plain` bytes inflated, and gives how many it has;
    /// none if it is left as it is: it is no such stream, or no model makes it.
    ///
    /// # Errors
    /// Reading or writing fails.
    pub fn open(&mut self, data: u64, end: u64, plain: u64, packed: Packed) -> io::Result<Option<u64>> {
        let has_room = self.recipe.streams() < most_streams(self.size) && self.recipe.has_room();
        let tried = self.tried.saturating_add(plain);
        if data < self.at || end <= data || end > self.size || !has_room || tried > self.most - self.size {
            return Ok(None);
        }
        self.tried = tried;
        let is_small = end - data <= SMALL && plain <= 2 * SMALL;
        let found = match is_small {
            true => self.small(data, end, plain, packed)?,
            false => self.large(data, end, plain, packed)?,
        };
        let Some((model, plain)) = found else {
            (self.failures, self.all_failures) = (self.failures + 1, self.all_failures + 1);
            return Ok(None);
        };
        self.failures = 0;
        self.last = Some(model);
        self.recipe.part(Part { verbatim: data - self.at, model, plain });
        self.copy(data)?;
        match is_small {
            true => self.out.write_all(&self.plain)?,
            false => {
                let (mut source, out) = (Positioned::new(self.file, end), &mut self.out);
                let take = |plain: &[u8]| out.write_all(plain).map_err(StreamsError::Write);
                self.inflater.run(&mut source, data, take).map_err(|error| match error {
                    StreamsError::Read(error) | StreamsError::Write(error) => error,
                    StreamsError::Damaged => io::ErrorKind::InvalidData.into(),
                })?;
            }
        }
        self.written += plain;
        self.at = end;
        Ok(Some(plain))
    }

    /// Writes what is left, and gives the writer, the recipe and how many bytes were written.
    ///
    /// # Errors
    /// Reading or writing fails.
    pub fn finish(mut self) -> io::Result<(W, InnerRecipe, u64)> {
        self.copy(self.size)?;
        Ok((self.out, self.recipe.end(), self.written))
    }

    /// Copies what is before a place.
    fn copy(&mut self, to: u64) -> io::Result<()> {
        let mut reader = RangeReader { file: self.file, at: self.at, end: to };
        self.made.resize(GLANCE, 0);
        while reader.at < to {
            let now = io::Read::read(&mut reader, &mut self.made)?;
            self.out.write_all(&self.made[..now])?;
        }
        self.written += to - self.at;
        self.at = to;
        Ok(())
    }

    fn candidates(&self, packed: Packed) -> Vec<Model> {
        let mut models = Vec::from_iter(self.last);
        if self.failures < MAX_FAILURES && self.all_failures < MAX_ALL_FAILURES {
            models.extend(models_of(packed).into_iter().filter(|&model| Some(model) != self.last));
        }
        models
    }

    /// Inflates into memory, and leaves the plain bytes there.
    fn small(&mut self, data: u64, end: u64, plain: u64, packed: Packed) -> io::Result<Option<(Model, u64)>> {
        self.compressed.resize((end - data) as usize, 0);
        self.file.read_exact_at(&mut self.compressed, data)?;
        self.plain.clear();
        let (into, compressed) = (&mut self.plain, InMemory(&self.compressed));
        let mut source = Positioned::new(&compressed, end - data);
        let ended = self.inflater.run(&mut source, 0, |bytes| {
            into.extend_from_slice(bytes);
            if into.len() as u64 > plain { Err(StreamsError::Damaged) } else { Ok(()) }
        });
        if ended.ok() != Some(end - data) || self.plain.len() as u64 != plain {
            return Ok(None);
        }
        let models = self.candidates(packed);
        Ok(models.into_iter().find(|&model| self.is_made_by(model)).map(|model| (model, plain)))
    }

    fn is_made_by(&mut self, model: Model) -> bool {
        let known = self.encoders.iter().position(|(known, _)| *known == model);
        let known = known.map(|position| self.encoders.remove(position).1);
        let again = known.and_then(|mut encoder| encoder.reset().then_some(encoder));
        let mut encoder = again.unwrap_or_else(|| model.encoder());
        self.made.clear();
        let is_made = self.plain.chunks(GLANCE).all(|plain| {
            encoder.write(plain, &mut self.made);
            self.compressed.starts_with(&self.made)
        });
        if is_made {
            encoder.finish(&mut self.made);
        }
        // The latest first.
        self.encoders.truncate(MAX_ENCODERS - 1);
        self.encoders.insert(0, (model, encoder));
        is_made && self.made == self.compressed
    }

    /// Goes through the stream with one model after the other, without the bytes in memory.
    fn large(&self, data: u64, end: u64, plain: u64, packed: Packed) -> io::Result<Option<(Model, u64)>> {
        let mut reader = RangeReader { file: self.file, at: data, end };
        let ways = self.candidates(packed).into_iter().map(Way::Model).collect();
        match way_of(&mut reader, end - data, plain, ways) {
            Ok(Some(Way::Model(model))) => Ok(Some((model, plain))),
            Ok(_) => Ok(None),
            Err(ExamineError::Read(error) | ExamineError::Write(error) | ExamineError::Tokens(error)) => {
                Err(error)
            }
        }
    }
}

impl<W> std::fmt::Debug for Opener<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opener({} of {} bytes)", self.at, self.size)
    }
}

/// A stream in memory.
struct InMemory<'a>(&'a [u8]);

impl ReadAt for InMemory<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok();
        let bytes = from.and_then(|from| self.0.get(from..from.checked_add(buffer.len())?));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// The models that are tried, the likeliest first: zlib for Java, Python and most others, GNU gzip for Info-ZIP and
/// for Debian's files, Go's `archive/zip` with its level 5, and klauspost's of this level for newer zips of Go modules.
fn models_of(packed: Packed) -> Vec<Model> {
    let zlib = |level| Level::new(level).map(|level| Model::Zlib(ZlibSettings::usual(level)));
    let gnu = |level| Level::new(level).map(Model::GnuGzip);
    let go = |level| GoLevel::new(level).map(Model::Go);
    let klauspost = |level: i8| {
        let settings = move |&version| KlauspostSettings::new(version, GoLevel::new(level)?);
        Version::different(level.into(), false).iter().filter_map(settings).map(Model::Klauspost)
    };
    let likely = match packed {
        Packed::Gzip => [gnu(9), zlib(9), gnu(6), zlib(6), go(6), go(9)],
        Packed::Zip | Packed::Stored => [zlib(6), zlib(9), gnu(6), gnu(9), go(5), go(6)],
    };
    let others = [1, 8, 7, 5, 4, 3, 2].into_iter().flat_map(|level| [zlib(level), gnu(level)]);
    let models = likely.into_iter().flatten();
    let models = models.chain(klauspost(if packed == Packed::Gzip { 6 } else { 5 })).chain(others.flatten());
    models.chain(go(1)).filter(|&model| is_known(model)).collect()
}
