//! Finds out which program wrote a compressed blob: gives the plain bytes, and a recipe if a model makes
//! exactly this blob of them. Nothing is taken on trust: every byte was compared.

use std::io::{self, Write};
use std::sync::Arc;

use flate2::Crc;

use crate::frames::Frames;
use crate::gzip;
use crate::model::Model;
use crate::recipe::{Kept, Recipe, RecipeWriter, Way, most_members};
use crate::reuse::{BaseTokens, Inflater, Matcher, Run, WANTED};
use crate::source::{Inflate, Packing, ReadSeek, Source, Step};
use crate::tokens::{Settings, correct};
use crate::trial::Trial;
use crate::zstd;

/// The most memory that [`examine`] and [`crate::recreate`] take, in bytes, whatever the blob: windows and
/// tables of the models, a recipe, and in `examine` the beginning of a member, plain and compressed, on
/// which the models are tried.
pub const MAX_MEMORY: usize = 32 * 1024 * 1024;

/// All models are tried on this many plain bytes of a member: a block of pgzip, and a little more.
const PROBE: usize = 1024 * 1024 + 128 * 1024;
/// A beginning that takes more compressed bytes than this is no work of a known program.
const MAX_PROBE_COMPRESSED: usize = 2 * PROBE;
/// The first bytes of the probe, on which most models fail.
const GLANCE: usize = 64 * 1024;
/// Models that are alike for the whole probe and then not: how many of them are tried to the end.
const MAX_PASSES: usize = 3;
/// The ways of correcting are compared on this many plain bytes.
const SAMPLE: u64 = 512 * 1024;
/// After so many members without a model, no models are tried any more.
pub(crate) const MAX_UNKNOWN: u32 = 3;
/// Runs of tokens of bases, of all members: they are kept in memory, and take a few bytes of the recipe each.
const MAX_RUNS: usize = 32 * 1024;
/// Runs are looked for in so many plain bytes at a time.
const PIECE: usize = 512 * 1024;
/// Bytes behind the last member that are kept as they are.
const MAX_TRAILING: usize = 64 * 1024;

/// Why a blob could not be examined. That no recipe was found is no error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamineError {
    /// The blob cannot be read.
    #[error("the compressed bytes cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The plain bytes cannot be written.
    #[error("the plain bytes cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The tokens of a base cannot be read.
    #[error("the tokens of a base cannot be read: {0}")]
    Tokens(#[source] io::Error),
}

/// Reads `blob` from its present position to its end, writes its plain bytes to `plain`, and gives the
/// recipe that makes the same blob of them. Where no model does, the recipe needs corrections, which go to
/// `corrections` ([`Recipe::has_corrections`]). `None` if there is no recipe, or none that pays: then what
/// was written to `plain` and `corrections` is of no use. The blob is read once, or a few times more where
/// models are hard to tell apart or there is none.
///
/// # Errors
/// Reading or writing fails. A damaged blob is no error: it has no recipe.
pub fn examine(
    blob: &mut dyn ReadSeek,
    plain: &mut dyn Write,
    corrections: &mut dyn Write,
) -> Result<Option<Recipe>, ExamineError> {
    examine_beside(blob, plain, corrections, &[])
}

/// The same; where the tokens of the blob are those of a base, the recipe takes them over, which is faster than to
/// find them again ([`Recipe::has_runs`]). A base that is no gzip file is none here.
///
/// # Errors
/// As [`examine`]; and the tokens of a base cannot be read.
pub fn examine_beside(
    blob: &mut dyn ReadSeek,
    plain: &mut dyn Write,
    corrections: &mut dyn Write,
    bases: &[Option<Arc<BaseTokens>>],
) -> Result<Option<Recipe>, ExamineError> {
    let mut source = Source::new(blob).map_err(ExamineError::Read)?;
    let mut recipe = RecipeWriter::new();
    let (begin, mut gzip_members) = (source.position(), 0);
    let (mut last, mut members, mut unknown, mut room) = (None, 0u64, 0, MAX_RUNS);
    let mut frames = Frames::default();
    loop {
        let bytes = source.peek(gzip::MAX_HEADER).map_err(ExamineError::Read)?;
        if let Some(length) = zstd::skippable_len(bytes) {
            if !frames.skippable(&mut source, length, corrections, &mut recipe)? {
                return Ok(None);
            }
            continue;
        } else if let Some(ways) = zstd::ways(bytes) {
            let size = zstd::content_size(bytes);
            if !frames.examine(&mut source, plain, corrections, &mut recipe, (ways, size))? {
                return Ok(None);
            }
        } else if let Some(len) = gzip::header_len(bytes) {
            let header = bytes[..len].to_vec();
            source.skip(len);
            let start = source.position();
            let mut member = Member::new(&mut source, plain, Packing::Deflate, 0);
            (member.bases, member.room) = (bases, room);
            let models = match unknown < MAX_UNKNOWN {
                true => Model::candidates(gzip::hints(&header)),
                false => Vec::new(),
            };
            let found = member.examine(models.into_iter().map(Way::Model).collect(), last)?;
            let (crc, len) = (member.crc.sum(), member.len);
            room -= member.runs.len();
            recipe.runs(&member.runs);
            let way = match found {
                Found::Way(way) => {
                    last = Some(way);
                    way
                }
                Found::NoWay => {
                    unknown += 1;
                    match corrected(&mut source, start, corrections)? {
                        Some(settings) => Way::Corrections(settings),
                        None => return Ok(None),
                    }
                }
                Found::Damaged => return Ok(None),
            };
            recipe.member(way, &header, len);
            let trailer = source.peek(gzip::TRAILER).map_err(ExamineError::Read)?;
            if trailer.get(..gzip::TRAILER) != Some(&gzip::trailer(crc, len)) {
                return Ok(None);
            }
            source.skip(gzip::TRAILER);
            gzip_members += 1;
        } else {
            break;
        }
        if recipe.is_too_long() {
            return Ok(None);
        }
        members += 1;
    }
    if members == 0 {
        return Ok(None);
    }
    let length = source.position() - begin;
    if gzip_members > most_members(length) || !frames.fit(length) {
        return Ok(None);
    }
    let trailing = source.peek(MAX_TRAILING + 1).map_err(ExamineError::Read)?;
    if trailing.len() > MAX_TRAILING {
        return Ok(None);
    }
    recipe.verbatim(trailing);
    Ok((!recipe.is_too_long()).then(|| recipe.end()))
}

/// Which of these ways makes exactly the DEFLATE stream of `size` bytes at the blob's position, which has `plain` plain
/// bytes; none also if it has others.
pub(crate) fn way_of(
    blob: &mut dyn ReadSeek,
    size: u64,
    plain: u64,
    ways: Vec<Way>,
) -> Result<Option<Way>, ExamineError> {
    let mut source = Source::new(blob).map_err(ExamineError::Read)?;
    let (start, mut counted) = (source.position(), Counted { left: plain });
    let mut member = Member::new(&mut source, &mut counted, Packing::Deflate, 0);
    let found = match member.examine(ways, None) {
        // There is no other reason.
        Err(ExamineError::Write(_)) => Found::Damaged,
        found => found?,
    };
    let len = member.len;
    Ok(match found {
        Found::Way(way) if source.position() - start == size && len == plain => Some(way),
        _ => None,
    })
}

/// Takes so many bytes.
struct Counted {
    left: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the corrections of the stream at `start`, and leaves the source behind it.
fn corrected(
    source: &mut Source<'_>,
    start: u64,
    corrections: &mut dyn Write,
) -> Result<Option<Settings>, ExamineError> {
    let mut best = None;
    for settings in Settings::all() {
        source.seek(start).map_err(ExamineError::Read)?;
        let result = correct(source, settings, SAMPLE, &mut io::sink()).map_err(ExamineError::Read)?;
        let result = result.map_err(ExamineError::Write)?;
        if best.is_none_or(|(least, _)| result.len < least) {
            // igzip's level 0 writes a whole layer as one block.
            let header_first = result.blocks == 0 && !result.complete;
            best = Some((result.len, Settings { header_first, ..settings }));
        }
    }
    let Some((_, settings)) = best else {
        return Ok(None);
    };
    source.seek(start).map_err(ExamineError::Read)?;
    let result = correct(source, settings, u64::MAX, corrections).map_err(ExamineError::Read)?;
    Ok(result.map_err(ExamineError::Write)?.complete.then_some(settings))
}

/// What became of the search for a model.
pub(crate) enum Found {
    Way(Way),
    NoWay,
    Damaged,
}

/// The stream of a member, or a frame.
pub(crate) struct Member<'a, 'b> {
    source: &'a mut Source<'b>,
    plain: &'a mut dyn Write,
    packing: Packing,
    /// The size that a frame promises.
    size: u64,
    crc: Crc,
    pub(crate) len: u64,
    /// Bases whose tokens may be taken over, and where that came out right.
    bases: &'a [Option<Arc<BaseTokens>>],
    runs: Vec<Run>,
    /// How many runs there may be.
    room: usize,
    /// An encoder that may be used again.
    pub(crate) encoder: Kept,
}

/// The beginning of a member.
struct Probe {
    plain: Vec<u8>,
    compressed: Vec<u8>,
    step: Step,
}

impl<'a, 'b> Member<'a, 'b> {
    pub(crate) fn new(
        source: &'a mut Source<'b>,
        plain: &'a mut dyn Write,
        packing: Packing,
        size: u64,
    ) -> Self {
        let (crc, len, bases, runs) = (Crc::new(), 0, &[], Vec::new());
        Self { source, plain, packing, size, crc, len, bases, runs, room: 0, encoder: None }
    }

    /// Finds the model, writes all plain bytes, and leaves the source behind the stream.
    pub(crate) fn examine(&mut self, ways: Vec<Way>, last: Option<Way>) -> Result<Found, ExamineError> {
        let start = self.source.position();
        let mut inflate = Inflate::new(self.packing);
        let Some(probe) = self.probe(&mut inflate)? else {
            return Ok(Found::Damaged);
        };
        self.take(&probe.plain)?;
        let size = self.size;
        let others = ways.into_iter().filter(|&way| Some(way) != last);
        let mut candidates = last.into_iter().chain(others);
        if probe.step == Step::End {
            let kept = &mut self.encoder;
            let exact = candidates.find_map(|way| {
                let mut trial = probe.try_way(way, size, kept)?;
                trial.finish().then(|| *kept = Some(trial.into_encoder())).map(|()| way)
            });
            return Ok(exact.map_or(Found::NoWay, Found::Way));
        }

        let kept = &mut self.encoder;
        let mut trial = candidates.by_ref().find_map(|way| probe.try_way(way, size, kept));
        if self.bases.iter().any(Option::is_some)
            && let Some(way @ Way::Model(model)) = trial.as_ref().map(Trial::way)
            && let Some(following) = Trial::following(model, self.bases)
        {
            return match self.follow(start, following)? {
                Found::NoWay => self.others(start, std::iter::once(way).chain(candidates), &probe),
                found => Ok(found),
            };
        }
        let (mut consumed, mut failed) = (Vec::new(), false);
        loop {
            consumed.clear();
            let step = inflate.step(self.source, &mut consumed).map_err(ExamineError::Read)?;
            self.take(inflate.plain())?;
            if let Some(alive) = &mut trial {
                alive.expect(&consumed);
                alive.write(inflate.plain());
                failed |= !alive.is_alive();
            }
            // Its tables are of no use any more.
            trial = trial.filter(Trial::is_alive);
            match step {
                Step::More => {}
                Step::End => break,
                Step::Damaged => return Ok(Found::Damaged),
            }
        }
        if let Some(mut trial) = trial {
            if trial.finish() {
                let way = trial.way();
                self.encoder = Some(trial.into_encoder());
                return Ok(Found::Way(way));
            }
            failed = true;
        }
        if !failed {
            return Ok(Found::NoWay);
        }
        drop(inflate);
        self.others(start, candidates, &probe)
    }

    /// Tries ways that do the probe right on the whole stream; the source is behind it.
    fn others(
        &mut self,
        start: u64,
        ways: impl Iterator<Item = Way>,
        probe: &Probe,
    ) -> Result<Found, ExamineError> {
        let (end, size) = (self.source.position(), self.size);
        for way in ways.filter(|&way| probe.try_way(way, size, &mut None).is_some()).take(MAX_PASSES - 1) {
            self.source.seek(start).map_err(ExamineError::Read)?;
            if self.again(way)? {
                self.source.seek(end).map_err(ExamineError::Read)?;
                return Ok(Found::Way(way));
            }
        }
        self.source.seek(end).map_err(ExamineError::Read)?;
        Ok(Found::NoWay)
    }

    /// Compares the whole stream with what a model makes of it that takes over what tokens it has in common with the
    /// bases. The plain bytes of the probe are written already.
    fn follow(&mut self, start: u64, mut trial: Trial) -> Result<Found, ExamineError> {
        self.source.seek(start).map_err(ExamineError::Read)?;
        let mut matcher = Matcher::new(self.bases).map_err(ExamineError::Tokens)?;
        let mut inflater = Inflater::new();
        let (mut known, room) = (self.len, self.room);
        let (mut piece, mut runs) = (Vec::with_capacity(2 * PIECE), Vec::new());
        while !inflater.is_at_end() {
            piece.clear();
            while !inflater.is_at_end() && piece.len() < PIECE {
                let bytes = self.source.peek(WANTED).map_err(ExamineError::Read)?;
                let Ok(taken) = inflater.step(bytes, bytes.len() < WANTED) else {
                    return Ok(Found::Damaged);
                };
                trial.expect(&bytes[..taken]);
                self.source.skip(taken);
                piece.extend_from_slice(inflater.plain());
                matcher.add(inflater.sequences(), &mut runs).map_err(ExamineError::Tokens)?;
            }
            matcher.cut(&mut runs);
            runs.truncate(room.saturating_sub(self.runs.len()));
            runs.iter().for_each(|&run| trial.follow(run));
            self.runs.append(&mut runs);
            let new = piece.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
            self.take(new)?;
            known = known.saturating_sub(piece.len() as u64);
            trial.write(&piece);
        }
        if trial.finish() {
            return Ok(Found::Way(trial.way()));
        }
        self.runs.clear();
        Ok(Found::NoWay)
    }

    fn probe(&mut self, inflate: &mut Inflate) -> Result<Option<Probe>, ExamineError> {
        let mut probe = Probe { plain: Vec::new(), compressed: Vec::new(), step: Step::More };
        while probe.step == Step::More && probe.plain.len() < PROBE {
            probe.step = inflate.step(self.source, &mut probe.compressed).map_err(ExamineError::Read)?;
            probe.plain.extend_from_slice(inflate.plain());
            if probe.step == Step::Damaged || probe.compressed.len() > MAX_PROBE_COMPRESSED {
                return Ok(None);
            }
        }
        Ok(Some(probe))
    }

    /// Compares a whole stream with what a model makes of it.
    fn again(&mut self, way: Way) -> Result<bool, ExamineError> {
        let Some(encoder) = way.encoder(self.size) else {
            return Ok(false);
        };
        let mut trial = Trial::new(way, encoder);
        let mut inflate = Inflate::new(self.packing);
        let mut consumed = Vec::new();
        while trial.is_alive() {
            consumed.clear();
            let step = inflate.step(self.source, &mut consumed).map_err(ExamineError::Read)?;
            trial.expect(&consumed);
            trial.write(inflate.plain());
            match step {
                Step::More => {}
                Step::End => return Ok(trial.finish()),
                Step::Damaged => return Ok(false),
            }
        }
        Ok(false)
    }

    fn take(&mut self, plain: &[u8]) -> Result<(), ExamineError> {
        self.crc.update(plain);
        self.len += plain.len() as u64;
        self.plain.write_all(plain).map_err(ExamineError::Write)
    }
}

impl Probe {
    /// An encoder that makes of the probe what it is: `kept`, if it is of this way.
    fn try_way(&self, way: Way, size: u64, kept: &mut Kept) -> Option<Trial> {
        if matches!(way, Way::Model(model) if model.is_out_of_question(&self.compressed)) {
            return None;
        }
        let mut trial = Trial::new(way, way.encoder_again(size, kept)?);
        trial.expect(&self.compressed);
        for plain in self.plain.chunks(GLANCE) {
            trial.write(plain);
            if !trial.is_alive() {
                return None;
            }
        }
        Some(trial)
    }
}
