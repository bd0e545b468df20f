//! A base beside opened bytes: which of its streams are inflated, and its members, those of its archives that matter
//! before those of the tar. Takes entries that something in the layer is like.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use bundle_delta::Member;
use bundle_recompress::{StreamListWriter, inflated_len};

use super::archives::{Archives, SHORT_GAP};
use crate::compact::form::BaseStreams;
use crate::compact::plain::FileBytes;

/// A list's entry has at most so many bytes.
const LONGEST: usize = 20;

/// What an encoder knows of a base.
pub(crate) struct OpenedBase {
    /// Inflated streams, which come behind the uncompressed bytes.
    pub(crate) streams: Option<File>,
    pub(crate) members: Vec<Member>,
}

/// Collects the members of a base with `size` uncompressed bytes.
pub(super) struct BaseMembers {
    found: Archives,
    size: u64,
    members: Vec<Member>,
    opened: BTreeSet<usize>,
    /// Archives that an entry of the layer is like.
    touched: BTreeSet<usize>,
}

impl BaseMembers {
    pub(super) fn new(found: Archives, size: u64) -> Self {
        Self { found, size, members: Vec::new(), opened: BTreeSet::new(), touched: BTreeSet::new() }
    }

    /// Lists the streams of these entries, as far as they can be inflated to `most` bytes, in at most `room` bytes.
    pub(super) fn open(
        &mut self,
        bytes: &FileBytes,
        entries: impl Iterator<Item = usize>,
        most: u64,
        room: usize,
    ) -> io::Result<BaseStreams> {
        let (mut list, mut size, mut tried) = (StreamListWriter::default(), 0, 0_u64);
        for position in BTreeSet::from_iter(entries) {
            let entry = &self.found.entries[position];
            // What is between two streams goes with the second, so that they follow each other as in the layer.
            let follows = list.end() > 0 && entry.start.saturating_sub(list.end()) <= SHORT_GAP;
            let from = if follows { list.end() } else { entry.start };
            let taken = entry.data.saturating_sub(from);
            let Some(left) = most.checked_sub(size + taken).filter(|_| list.len() + LONGEST <= room) else {
                break;
            };
            tried = tried.saturating_add(entry.plain);
            if tried > most {
                break;
            }
            let left = left.min(entry.plain);
            let Some(plain) = inflated_len(bytes, entry.data, entry.end, left)? else { continue };
            if !list.add(from, entry.data, entry.end) {
                continue;
            }
            let data = self.size + size + taken;
            let start = data - (entry.data - entry.start).min(taken);
            self.members.push(Member {
                start,
                data,
                size: plain,
                end: data + plain,
                path: entry.path.clone(),
            });
            self.opened.insert(position);
            self.touch(position);
            size += taken + plain;
        }
        Ok(BaseStreams { size, list: list.into_bytes() })
    }

    /// Says that an entry of the layer is like this one.
    pub(super) fn touch(&mut self, entry: usize) {
        self.touched.extend(self.found.archive_of(entry));
    }

    pub(super) fn finish(mut self) -> Vec<Member> {
        for archive in &self.touched {
            let pieces = self.found.pieces(*archive).into_iter();
            let is_opened = |entry: usize| self.opened.contains(&entry);
            let left = pieces.filter(|piece| !piece.entry.is_some_and(is_opened));
            self.members.extend(left.map(|piece| piece.member));
        }
        self.members.append(&mut self.found.members);
        self.members
    }
}
