//! The entries of the bases' archives. Takes entries of a layer, says what becomes of each: those that a base has as they
//! are stay, the others are to be opened, beside what is most like them.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use bundle_delta::{Member, file_name, stem};
use bundle_recompress::{ArchiveEntry, Packed, ReadAt};

use super::archives::Archives;
use super::open::Near;
use crate::compact::plain::FileBytes;

/// The most entries of a layer, and of all bases together.
pub(super) const MOST_ENTRIES: usize = 200_000;
/// Entries of one key that are looked at.
const SAME_KEY: usize = 16;
/// How much is compared at once.
const PIECE: usize = 64 << 10;

/// What happens to an entry of the layer, with the entry of a base that it is like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    Leave(Option<EntryId>),
    Open(Option<EntryId>),
}

impl Choice {
    pub(super) fn opens(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

/// An entry of a base: the base's number, and the entry's.
pub(super) type EntryId = (u32, u32);

/// The bases, and the entries of those of their archives that the layer does not have unchanged.
#[derive(Default)]
pub(super) struct Known {
    pub(super) bases: Vec<(FileBytes, Archives)>,
    /// Members of each base that may be archives.
    candidates: Vec<Vec<usize>>,
    contents: Keys,
    stems: Keys,
    names: Keys,
}

impl Known {
    pub(super) fn of(bases: &[Near], gzip: bool) -> io::Result<Self> {
        let mut known = Self::default();
        for base in bases {
            let (bytes, found) = (base.plain.bytes()?, Archives::of(&base.plain.reader()?)?);
            known.candidates.push(found.candidates(&bytes, gzip)?);
            known.bases.push((bytes, found));
        }
        Ok(known)
    }

    /// Those of the layer's members that no base has at the same path. What a base has stays shut on both sides.
    pub(super) fn changed(
        &mut self,
        bytes: &FileBytes,
        layer: &Archives,
        candidates: Vec<usize>,
    ) -> io::Result<Vec<usize>> {
        let key = |member: &Member| (hash(&member.path), member.size);
        let mut there = HashMap::new();
        for (base, ((_, found), candidates)) in self.bases.iter().zip(&self.candidates).enumerate() {
            there.extend(candidates.iter().map(|member| (key(&found.members[*member]), (base, *member))));
        }
        let (mut changed, mut twins) = (Vec::new(), HashSet::new());
        for position in candidates {
            let member = &layer.members[position];
            match there.get(&key(member)) {
                Some(twin @ (base, other))
                    if {
                        let (of_base, found) = &self.bases[*base];
                        is_same((bytes, member.data), (of_base, found.members[*other].data), member.size)?
                    } =>
                {
                    twins.insert(*twin);
                }
                _ => changed.push(position),
            }
        }
        for (base, candidates) in self.candidates.iter_mut().enumerate() {
            candidates.retain(|member| !twins.contains(&(base, *member)));
        }
        Ok(changed)
    }

    /// Finds the entries of all archives that have not been ruled out.
    pub(super) fn look_into(&mut self) -> io::Result<()> {
        let mut most = MOST_ENTRIES;
        for (base, (bytes, found)) in self.bases.iter_mut().enumerate() {
            found.look_into(bytes, self.candidates[base].iter().copied(), most)?;
            most -= found.entries.len();
            for (position, entry) in found.entries.iter().enumerate() {
                let (id, stem) = ((base as u32, position as u32), stem(&entry.path));
                self.contents.add(content_key(entry), id);
                self.stems.add(hash(&stem), id);
                if entry.packed != Packed::Gzip {
                    self.names.add(hash(file_name(&stem)), id);
                }
            }
        }
        [&mut self.contents, &mut self.stems, &mut self.names]
            .into_iter()
            .for_each(|keys| keys.0.sort_unstable());
        Ok(())
    }

    /// What becomes of each entry of a layer.
    pub(super) fn choose(&self, bytes: &FileBytes, layer: &Archives) -> io::Result<Vec<Choice>> {
        layer.entries.iter().map(|entry| self.choice(bytes, entry)).collect()
    }

    fn choice(&self, bytes: &FileBytes, entry: &ArchiveEntry) -> io::Result<Choice> {
        let mut same = None;
        let ids = self.contents.get(content_key(entry)).take(SAME_KEY);
        for id in ids.filter(|id| (self.entry(*id).crc, self.entry(*id).plain) == (entry.crc, entry.plain)) {
            let (known, size) = (self.entry(id), entry.end - entry.data);
            let there = (&self.bases[id.0 as usize].0, known.data);
            if known.packed == entry.packed
                && known.end - known.data == size
                && is_same((bytes, entry.data), there, size)?
            {
                return Ok(Choice::Leave(Some(id)));
            }
            if known.packed != Packed::Stored {
                same = same.or(Some(id));
            }
        }
        Ok(match entry.packed {
            Packed::Stored => Choice::Leave(self.alike(entry)),
            Packed::Zip | Packed::Gzip => Choice::Open(same.or_else(|| self.alike(entry))),
        })
    }

    fn entry(&self, (base, entry): EntryId) -> &ArchiveEntry {
        &self.bases[base as usize].1.entries[entry as usize]
    }

    /// The entry whose path is most like that of this one, and then its length.
    fn alike(&self, entry: &ArchiveEntry) -> Option<EntryId> {
        let is_stored = |entry: &ArchiveEntry| entry.packed == Packed::Stored;
        let of_kind = |id: &EntryId| is_stored(self.entry(*id)) == is_stored(entry);
        let distance = |id: &EntryId| {
            let known = self.entry(*id);
            (known.path != entry.path, known.plain.abs_diff(entry.plain))
        };
        let nearest = |keys: &Keys, key| keys.get(key).filter(of_kind).take(SAME_KEY).min_by_key(distance);
        let stem = stem(&entry.path);
        // All changelogs have the same name.
        let of_name =
            || nearest(&self.names, hash(file_name(&stem))).filter(|_| entry.packed != Packed::Gzip);
        nearest(&self.stems, hash(&stem)).or_else(of_name)
    }
}

/// Whether two files have the same bytes at these places.
fn is_same(one: (&FileBytes, u64), other: (&FileBytes, u64), size: u64) -> io::Result<bool> {
    let most = size.min(PIECE as u64) as usize;
    let mut buffers = [vec![0; most], vec![0; most]];
    let mut at = 0;
    while at < size {
        let length = (size - at).min(PIECE as u64) as usize;
        for (buffer, (file, place)) in buffers.iter_mut().zip([one, other]) {
            file.read_exact_at(&mut buffer[..length], place + at)?;
        }
        if buffers[0][..length] != buffers[1][..length] {
            return Ok(false);
        }
        at += length as u64;
    }
    Ok(true)
}

/// Entries by a key that several may have.
#[derive(Default)]
struct Keys(Vec<(u64, EntryId)>);

impl Keys {
    fn add(&mut self, key: u64, id: EntryId) {
        self.0.push((key, id));
    }

    fn get(&self, key: u64) -> impl Iterator<Item = EntryId> {
        let from = self.0.partition_point(|(other, _)| *other < key);
        self.0[from..].iter().take_while(move |(other, _)| *other == key).map(|(_, id)| *id)
    }
}

fn content_key(entry: &ArchiveEntry) -> u64 {
    u64::from(entry.crc) << 32 | entry.plain & u64::from(u32::MAX)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
