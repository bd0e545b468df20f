//! Encodes one layer: takes its plain bytes, the bases and their index, writes the encoded layer.
//! Memory is bounded by windows over new and old bytes; a member of any size goes through them.

use std::io::{self, Write};

use super::groups::{Groups, STEP_MAX};
use super::matcher::{Matcher, Step, common};
use super::plan::{Planned, plan};
use super::tuning::{Level, Tuning};
use crate::format::{self, Kind, STREAMS, stream};
use crate::index::{BaseIndex, Fit, Known};
use crate::members::Member;
use crate::model::AHEAD;
use crate::read_at::ReadAt;
use crate::varint;

/// The new bytes that are matched at once.
const NEW_WINDOW: u64 = 4 << 20;
/// The old bytes that are matched at once.
const OLD_WINDOW: u64 = 8 << 20;
/// A run of equal bytes that is a copy of its own within nearly equal bytes.
const COPY_MIN: usize = 64;

/// How a layer is encoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How hard the encoder works.
    pub level: Level,
}

/// Why a layer could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The layer could not be read.
    #[error("reading the layer")]
    Plain(#[source] io::Error),
    /// The base with this number could not be read.
    #[error("reading base {0}")]
    Base(usize, #[source] io::Error),
    /// There are more bases than the format allows.
    #[error("there are {0} bases, and the format allows {max}", max = format::BASES_MAX)]
    Bases(usize),
    /// The members that were given do not cover the layer.
    #[error("the members do not cover the layer")]
    Members,
    /// The index is of other bases.
    #[error("the index is of other bases")]
    Index,
    /// zstd failed, for want of memory.
    #[error("compressing")]
    Compress(#[source] io::Error),
    /// The encoded bytes could not be written.
    #[error("writing the encoded layer")]
    Output(#[source] io::Error),
}

/// What was encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The number of plain bytes.
    pub plain: u64,
    /// The number of encoded bytes.
    pub encoded: u64,
    /// Of these, the bytes of each of the format's streams: operations, differences, new bytes, headers.
    pub streams: [u64; STREAMS],
    /// The bases in their order.
    pub bases: Vec<SummaryBase>,
}

/// What is needed of one base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SummaryBase {
    /// The number of bytes of the whole base.
    pub size: u64,
    /// At most so many different bytes of it are read to decode.
    pub reads: u64,
}

/// Encodes a layer.
///
/// `plain` is read twice when there are bases. `index` must be of the same bases in the same order.
///
/// # Errors
/// See [`Error`].
pub fn encode(
    plain: &dyn ReadAt,
    bases: &[&dyn ReadAt],
    index: &BaseIndex,
    options: Options,
    out: &mut dyn Write,
) -> Result<Summary, Error> {
    encode_planned(plain, None, bases, index, options, out)
}

/// As [`encode()`], with the members of the layer given: they must cover all its bytes, in their order.
///
/// # Errors
/// See [`Error`].
pub fn encode_members(
    plain: &dyn ReadAt,
    members: &[Member],
    bases: &[&dyn ReadAt],
    index: &BaseIndex,
    options: Options,
    out: &mut dyn Write,
) -> Result<Summary, Error> {
    let mut at = 0;
    for member in members {
        let content_end = member.data.checked_add(member.size);
        let follows = member.start == at && member.start <= member.data;
        if !follows || content_end.is_none_or(|end| end > member.end) {
            return Err(Error::Members);
        }
        at = member.end;
    }
    if at != plain.size() {
        return Err(Error::Members);
    }
    encode_planned(plain, Some(members), bases, index, options, out)
}

fn encode_planned(
    plain: &dyn ReadAt,
    members: Option<&[Member]>,
    bases: &[&dyn ReadAt],
    index: &BaseIndex,
    options: Options,
    out: &mut dyn Write,
) -> Result<Summary, Error> {
    if bases.len() as u64 > format::BASES_MAX {
        return Err(Error::Bases(bases.len()));
    }
    if !index.is_of(bases) {
        return Err(Error::Index);
    }
    let tuning = Tuning::of(options.level, bases.len());
    let plan = plan(plain, members, index).map_err(Error::Plain)?;
    let mut summary = Summary { plain: plain.size(), ..Summary::default() };
    for (number, base) in bases.iter().enumerate() {
        let reads = plan.iter().filter_map(|member| Some(index.member(member.old?.0)));
        let reads =
            reads.filter(|old| old.base == number).map(|old| old.data - old.start + old.size).sum::<u64>();
        summary.bases.push(SummaryBase { size: base.size(), reads: reads.min(base.size()) });
    }
    let mut groups = Groups::new(&tuning, out)?;
    groups.write(&head(&summary, &tuning))?;
    let mut layer = Layer {
        plain,
        bases,
        groups,
        matcher: Matcher::new(tuning.indexed),
        new: Vec::new(),
        old: Vec::new(),
    };
    for member in &plan {
        layer.member(member, member.old.map(|(id, fit)| (index.member(id), fit)))?;
    }
    (summary.encoded, summary.streams) = layer.groups.finish()?;
    Ok(summary)
}

fn head(summary: &Summary, tuning: &Tuning) -> Vec<u8> {
    let mut head = format::MAGIC.to_vec();
    head.push(format::VERSION);
    varint::put(&mut head, summary.plain);
    let mut logs = tuning.streams.map(|setting| setting.window);
    if let Some(log) = tuning.model {
        logs[stream::DIFF] = format::MODEL | log;
    }
    head.extend(logs);
    varint::put(&mut head, summary.bases.len() as u64);
    for base in &summary.bases {
        varint::put(&mut head, base.size);
        varint::put(&mut head, base.reads);
    }
    head
}

/// The layer on its way.
struct Layer<'a> {
    plain: &'a dyn ReadAt,
    bases: &'a [&'a dyn ReadAt],
    groups: Groups<'a>,
    matcher: Matcher,
    new: Vec<u8>,
    old: Vec<u8>,
}

impl Layer<'_> {
    fn member(&mut self, member: &Planned, old: Option<(&Known, Fit)>) -> Result<(), Error> {
        self.header(member, old.map(|(known, _)| known))?;
        match old {
            Some((known, Fit::Same)) => self.groups.copy(known.base, known.data, member.size)?,
            Some((known, Fit::Alike)) if known.size > 0 => self.delta(member, known)?,
            _ => self.new_range(Kind::New, member.data, member.data + member.size)?,
        }
        self.padding(member, old.map(|(known, _)| known))
    }

    /// The header, against the header of the base member.
    fn header(&mut self, member: &Planned, old: Option<&Known>) -> Result<(), Error> {
        let length = member.data - member.start;
        let old_length = old.map_or(0, |old| old.data - old.start);
        // The last blocks are alike where an extended header came or went.
        let shared = length.min(old_length);
        self.new_range(Kind::NewHead, member.start, member.data - shared)?;
        if let Some(known) = old.filter(|_| shared > 0) {
            read(self.plain, &mut self.new, member.data - shared, shared).map_err(Error::Plain)?;
            let position = known.data - shared;
            self.read_old(known.base, position, shared)?;
            if self.old == self.new {
                self.groups.copy(known.base, position, shared)?;
            } else {
                self.groups.add_header(known.base, position, &self.old, &self.new)?;
            }
        }
        Ok(())
    }

    /// The padding, which is zeros as that of the base member is, if that has as many.
    fn padding(&mut self, member: &Planned, old: Option<&Known>) -> Result<(), Error> {
        let from = member.data + member.size;
        let length = member.end - from;
        if let Some(known) = old.filter(|_| length > 0) {
            let position = known.data + known.size;
            if position + length <= self.bases[known.base].size() {
                read(self.plain, &mut self.new, from, length).map_err(Error::Plain)?;
                self.read_old(known.base, position, length)?;
                if self.old == self.new {
                    return self.groups.copy(known.base, position, length);
                }
            }
        }
        self.new_range(Kind::NewHead, from, member.end)
    }

    fn new_range(&mut self, kind: Kind, from: u64, to: u64) -> Result<(), Error> {
        let mut at = from;
        while at < to {
            let step = (to - at).min(STEP_MAX as u64);
            read(self.plain, &mut self.new, at, step).map_err(Error::Plain)?;
            self.groups.new_bytes(kind, &self.new)?;
            at += step;
        }
        Ok(())
    }

    /// The content, against the content of the base member.
    fn delta(&mut self, member: &Planned, known: &Known) -> Result<(), Error> {
        // Where in the base member the next byte is expected, and which of its bytes are in memory.
        let mut expected = 0i64;
        let mut held = 0..0;
        self.matcher.forget();
        let mut at = 0;
        while at < member.size {
            let length = (member.size - at).min(NEW_WINDOW);
            read(self.plain, &mut self.new, member.data + at, length).map_err(Error::Plain)?;
            let wanted = window(expected, length, known.size);
            if wanted != held {
                let (start, end) = (known.data + wanted.start, known.data + wanted.end);
                let end = (end + AHEAD as u64).min(self.bases[known.base].size());
                self.read_old(known.base, start, end - start)?;
                self.matcher.forget();
                held = wanted;
            }
            let (old, new, groups) = (&self.old, &self.new, &mut self.groups);
            let mut result = Ok(());
            let visible = &old[..(held.end - held.start) as usize];
            let after = self.matcher.steps(visible, new, expected - held.start as i64, |step| {
                if result.is_ok() {
                    result = write_step(groups, known.base, known.data + held.start, old, new, step);
                }
            });
            result?;
            expected = after + held.start as i64;
            at += length;
        }
        Ok(())
    }

    fn read_old(&mut self, base: usize, offset: u64, length: u64) -> Result<(), Error> {
        read(self.bases[base], &mut self.old, offset, length).map_err(|error| Error::Base(base, error))
    }
}

/// The part of an old file that new bytes of some length are matched with.
fn window(expected: i64, length: u64, size: u64) -> std::ops::Range<u64> {
    if size <= OLD_WINDOW {
        return 0..size;
    }
    let around = OLD_WINDOW.saturating_sub(length) / 2;
    let start = u64::try_from(expected).unwrap_or(0).saturating_sub(around).min(size - OLD_WINDOW);
    start..start + OLD_WINDOW
}

fn write_step(
    groups: &mut Groups<'_>,
    base: usize,
    origin: u64,
    old: &[u8],
    new: &[u8],
    step: Step,
) -> Result<(), Error> {
    match step {
        Step::New { new: from, length } => {
            for part in new[from..from + length].chunks(STEP_MAX) {
                groups.new_bytes(Kind::New, part)?;
            }
        }
        Step::Near { new: from, old: position, length } => {
            let (after, new) = (&old[position..], &new[from..from + length]);
            let old = &after[..length];
            let with_ahead = |from: usize, to: usize| &after[from..after.len().min(to + AHEAD)];
            let origin = origin + position as u64;
            let (mut done, mut at) = (0, 0);
            while at < length {
                let run = common(&old[at..], &new[at..]);
                if run >= COPY_MIN || at + run == length || at - done >= STEP_MAX {
                    groups.add(base, origin + done as u64, with_ahead(done, at), &new[done..at])?;
                    groups.copy(base, origin + at as u64, run as u64)?;
                    done = at + run;
                }
                at += run;
                // The byte after a run differs, or is the end.
                at += usize::from(at < length);
            }
            groups.add(base, origin + done as u64, with_ahead(done, length), &new[done..])?;
        }
    }
    Ok(())
}

/// Reads a range into a buffer that it resizes.
fn read(from: &dyn ReadAt, buffer: &mut Vec<u8>, offset: u64, length: u64) -> io::Result<()> {
    buffer.resize(length as usize, 0);
    from.read_exact_at(buffer, offset)
}
