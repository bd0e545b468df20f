//! The archives in a tar, and the pieces that they fall into: entries, and what is between them.
//! Takes uncompressed bytes, gives places.

use std::io;
use std::ops::Range;

use bundle_delta::{Member, PlainFile, walk};
use bundle_recompress::{ArchiveEntry, ReadAt, archive_entries, is_archive};

/// The most members that are looked at; a layer with more goes as it is.
const MOST_MEMBERS: usize = 300_000;
/// The smallest archive: a zip without entries.
const SMALLEST: u64 = 22;
/// A gap behind an entry up to this length belongs to it: data descriptors, the end of a gzip file.
pub(super) const SHORT_GAP: u64 = 64;

/// The members of a tar, and the entries of those that are archives.
#[derive(Default)]
pub(super) struct Archives {
    pub(super) members: Vec<Member>,
    /// The number of a member, and which entries are its.
    pub(super) archives: Vec<(usize, Range<usize>)>,
    pub(super) entries: Vec<ArchiveEntry>,
}

impl Archives {
    /// The members; none where there are too many.
    pub(super) fn of(plain: &PlainFile) -> io::Result<Self> {
        let mut members = Vec::new();
        walk(plain, |member| {
            if members.len() <= MOST_MEMBERS {
                members.push(member);
            }
            Ok::<_, io::Error>(())
        })?;
        if members.len() > MOST_MEMBERS {
            members.clear();
        }
        Ok(Self { members, ..Self::default() })
    }

    /// The members that may be archives, by their first bytes; `gzip` files only if they are asked for.
    pub(super) fn candidates(&self, bytes: &dyn ReadAt, gzip: bool) -> io::Result<Vec<usize>> {
        let mut candidates = Vec::new();
        let large = self.members.iter().enumerate().filter(|(_, member)| member.size >= SMALLEST);
        for (position, member) in large {
            let mut start = [0; 4];
            bytes.read_exact_at(&mut start, member.data)?;
            if is_archive(&start) && (gzip || !start.starts_with(&[0x1f, 0x8b])) {
                candidates.push(position);
            }
        }
        Ok(candidates)
    }

    /// Finds the entries of these members, `most` at most.
    pub(super) fn look_into(
        &mut self,
        bytes: &dyn ReadAt,
        members: impl Iterator<Item = usize>,
        most: usize,
    ) -> io::Result<()> {
        for position in members {
            let (member, known) = (&self.members[position], self.entries.len());
            let range = member.data..member.data + member.size;
            archive_entries(bytes, range, &member.path, &mut self.entries)?;
            if self.entries.len() > most {
                self.entries.truncate(known);
                break;
            }
            if self.entries.len() > known {
                self.archives.push((position, known..self.entries.len()));
            }
        }
        Ok(())
    }

    /// The archive that has this entry.
    pub(super) fn archive_of(&self, entry: usize) -> Option<usize> {
        self.archives.partition_point(|(_, range)| range.start <= entry).checked_sub(1)
    }

    /// What an archive falls into, without gaps: all of its member in the tar.
    pub(super) fn pieces(&self, archive: usize) -> Vec<Piece> {
        let (member, range) = &self.archives[archive];
        let (member, mut at) = (&self.members[*member], self.members[*member].data);
        let begin = Member { size: 0, end: at, path: [&member.path[..], b"!"].concat(), ..*member };
        let mut pieces = vec![Piece { member: begin, entry: None }];
        let fill = |pieces: &mut Vec<Piece>, from: u64, to: u64, path: &[u8]| match pieces.last_mut() {
            Some(last) if last.entry.is_some() && to - from <= SHORT_GAP => last.member.end = to,
            _ if from == to => {}
            _ => {
                let gap = Member { start: from, data: from, size: to - from, end: to, path: path.to_vec() };
                pieces.push(Piece { member: gap, entry: None });
            }
        };
        let mut directory = Vec::new();
        for position in range.clone() {
            let ArchiveEntry { start, data, end, path, .. } = &self.entries[position];
            fill(&mut pieces, at, *start, &directory);
            let size = end - data;
            let entry = Member { start: *start, data: *data, size, end: *end, path: path.clone() };
            pieces.push(Piece { member: entry, entry: Some(position) });
            // What is behind the entries of a zip, its central directory, is called after it.
            let length = path.windows(2).rposition(|bytes| bytes == b"!/").map_or(path.len(), |at| at + 2);
            directory = path[..length].to_vec();
            at = *end;
        }
        fill(&mut pieces, at, member.data + member.size, &directory);
        if let Some(last) = pieces.last_mut() {
            last.member.end = member.end;
        }
        pieces
    }
}

/// A piece of an archive: an entry, or what is between entries.
pub(super) struct Piece {
    pub(super) member: Member,
    pub(super) entry: Option<usize>,
}
