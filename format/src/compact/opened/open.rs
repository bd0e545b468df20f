//! Opens the archives of one layer.
//! Takes its uncompressed bytes and the bases, gives opened bytes with their members, and what of the bases goes with them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bundle_delta::{Member, PlainFile, ReadAt as _};
use bundle_recompress::{ArchiveEntry, MAX_STREAM_LIST, Opener};

use super::archives::Archives;
use super::base::{BaseMembers, OpenedBase};
use super::known::{Choice, EntryId, Known, MOST_ENTRIES};
use crate::compact::error::CompactError;
use crate::compact::form::{BaseStreams, OpenedHead, RecipeHead};
use crate::compact::plain::{FileBytes, Plain};
use crate::{Effort, ScratchSpace};

/// In layers of more bytes `.gz` files stay shut at the default effort. They are documents and data, and most are of the
/// slowest level: in layers of Debian and Python, to close them again takes a fifth of all time.
const SMALL_LAYER: u64 = 16 << 20;

/// A base of an encoder: how large its blob is, and its uncompressed bytes.
pub(crate) struct Near {
    pub(crate) size: u64,
    pub(crate) plain: Arc<Plain>,
}

/// A layer with its archives open.
pub(crate) struct Opened {
    pub(crate) content: PlainFile,
    /// Members that cover all of the content.
    pub(crate) members: Vec<Member>,
    pub(crate) head: OpenedHead,
    /// The bases in their order.
    pub(crate) bases: Vec<OpenedBase>,
}

/// Opens what no base has as it is; none if there is nothing to open. There are at most `most` opened bytes.
pub(crate) fn open_archives(
    plain: &File,
    bases: &[Near],
    most: u64,
    effort: Effort,
    scratch: &ScratchSpace,
) -> io::Result<Option<Opened>> {
    let bytes = FileBytes(plain.try_clone()?);
    let plain = PlainFile::new(plain.try_clone()?)?;
    let mut layer = Archives::of(&plain)?;
    let gzip = effort == Effort::Smallest || plain.size() <= SMALL_LAYER;
    let candidates = layer.candidates(&bytes, gzip)?;
    if candidates.is_empty() {
        return Ok(None);
    }
    let mut known = Known::of(bases, gzip)?;
    let changed = known.changed(&bytes, &layer, candidates)?;
    layer.look_into(&bytes, changed.into_iter(), MOST_ENTRIES)?;
    if layer.archives.is_empty() {
        return Ok(None);
    }
    known.look_into()?;
    let choices = known.choose(&bytes, &layer)?;
    if !choices.iter().any(Choice::opens) {
        return Ok(None);
    }
    let file = scratch.file()?;
    let mut out = io::BufWriter::with_capacity(64 << 10, &file);
    let mut opening = Opening {
        opener: Opener::new(&bytes, plain.size(), most, &mut out),
        members: Vec::new(),
        opened: BTreeSet::new(),
        left: BTreeSet::new(),
    };
    let mut archive = 0;
    for number in 0..layer.members.len() {
        let known = layer.archives.get(archive).filter(|(position, _)| *position == number);
        let found = known.is_some();
        if known.is_some_and(|(_, range)| choices[range.clone()].iter().any(Choice::opens)) {
            opening.archive(&layer, archive, &choices)?;
        } else {
            opening.as_it_is(std::mem::take(&mut layer.members[number]));
        }
        archive += usize::from(found);
    }
    let Opening { opener, members, opened, left } = opening;
    let (_, recipe, size) = opener.finish()?;
    out.flush()?;
    drop(out);
    if recipe.streams() == 0 {
        return Ok(None);
    }
    let Some((bases, streams)) = inflated(known, bases, &opened, &left, scratch)? else { return Ok(None) };
    Ok(Some(Opened {
        content: PlainFile::new(file)?,
        members,
        head: OpenedHead { size, recipe, streams },
        bases,
    }))
}

/// A layer that is being opened.
struct Opening<'a, W> {
    opener: Opener<'a, W>,
    members: Vec<Member>,
    /// Entries of bases that opened entries are like.
    opened: BTreeSet<EntryId>,
    /// Entries of bases that others are like.
    left: BTreeSet<EntryId>,
}

impl<W: Write> Opening<'_, W> {
    fn as_it_is(&mut self, member: Member) {
        let places = [member.start, member.data, member.end];
        let [start, data, end] = places.map(|place| self.opener.opened(place));
        self.members.push(Member { start, data, end, ..member });
    }

    fn archive(&mut self, layer: &Archives, archive: usize, choices: &[Choice]) -> io::Result<()> {
        self.opener.next_archive();
        for piece in layer.pieces(archive) {
            let choice = piece.entry.map(|entry| (choices[entry], &layer.entries[entry]));
            if let Some((Choice::Open(like), ArchiveEntry { data, end, plain, packed, .. })) = choice {
                let [start, opened] = [piece.member.start, *data].map(|place| self.opener.opened(place));
                if let Some(size) = self.opener.open(*data, *end, *plain, *packed)? {
                    self.opened.extend(like);
                    let (path, end) = (piece.member.path, opened + size + (piece.member.end - end));
                    self.members.push(Member { start, data: opened, size, end, path });
                    continue;
                }
            }
            if let Some((Choice::Leave(like) | Choice::Open(like), _)) = choice {
                self.left.extend(like);
            }
            self.as_it_is(piece.member);
        }
        Ok(())
    }
}

/// The streams of the bases that opened entries are like, and the members of all bases.
fn inflated(
    known: Known,
    nears: &[Near],
    opened: &BTreeSet<EntryId>,
    left: &BTreeSet<EntryId>,
    scratch: &ScratchSpace,
) -> io::Result<Option<(Vec<OpenedBase>, Vec<BaseStreams>)>> {
    let (mut bases, mut heads, mut room) = (Vec::new(), Vec::new(), MAX_STREAM_LIST);
    for (number, (near, (bytes, found))) in (0_u32..).zip(nears.iter().zip(known.bases)) {
        let of_base = |ids: &BTreeSet<EntryId>| {
            Vec::from_iter(ids.range((number, 0)..(number + 1, 0)).map(|(_, entry)| *entry as usize))
        };
        let mut base = BaseMembers::new(found, near.plain.size);
        let most = RecipeHead::most_plain(near.size);
        let streams = base.open(&bytes, of_base(opened).into_iter(), most, room)?;
        room -= streams.list.len();
        of_base(left).into_iter().for_each(|entry| base.touch(entry));
        let file = match near.plain.inflate(&streams, scratch) {
            Ok(file) => file,
            Err(CompactError::Io(error)) => return Err(error),
            // A list that was tried stream by stream fits.
            Err(_) => return Ok(None),
        };
        bases.push(OpenedBase { streams: file, members: base.finish() });
        heads.push(streams);
    }
    Ok(Some((bases, heads)))
}
