//! One bundle that several runs write together: which volumes or entries are whose, the notes of those that are
//! done, and making the set complete. Takes a statement's layout and what lies in the directory; whoever finds all
//! volumes there writes the files beside them.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use bundle_format::{
    Layout, Limits, SignatureBytes, Statement, VolumeEntry, VolumeIndex, VolumeNames, VolumeSize,
    replace_file,
};
use bundle_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::OutputError;
use crate::sink::head::SinkHead;
use crate::sink::names::{directory_of, file_name, hidden, open_own};
use crate::sink::parts::{Part, Parts};
use crate::sink::target::Compaction;
use crate::sink::volumes::{self, Beside, Start};

/// Which part of a bundle one run writes, where several write it together. Every run computes the same parts, for
/// they follow from the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateShard {
    /// Which part, from 0.
    pub number: usize,
    /// How many parts there are, at least 1.
    pub of: usize,
}

impl std::fmt::Display for CreateShard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl CreateShard {
    /// The numbers of this shard's volumes, from 1, of so many; empty if there are fewer volumes than shards.
    pub(crate) fn volumes(self, of: usize) -> RangeInclusive<usize> {
        let border = |number: usize| (of as u128 * number as u128 / self.of.max(1) as u128) as usize;
        border(self.number) + 1..=border(self.number + 1)
    }

    /// The bytes of an archive that this shard encodes: whole entries.
    pub(crate) fn entries(self, layout: &Layout) -> Range<u64> {
        let border = |number: usize| {
            let at = (u128::from(layout.size()) * number as u128 / self.of.max(1) as u128) as u64;
            let first = layout.entries().partition_point(|entry| entry.header_offset() < at);
            match layout.entries().get(first) {
                Some(entry) if number < self.of => entry.header_offset(),
                _ => layout.size(),
            }
        };
        border(self.number)..border(self.number + 1)
    }

    fn all(self) -> impl Iterator<Item = Self> {
        (0..self.of).map(move |number| Self { number, ..self })
    }
}

/// The state of a bundle after one of its shards was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardState {
    /// How many volumes this shard has.
    pub volumes: usize,
    /// How many volumes are still to come from other shards, or where their number is not known yet (compact), how
    /// many shards; 0 if the bundle is complete.
    pub missing: usize,
}

/// A shard that is to be written.
#[derive(Debug)]
pub(crate) struct Sharded {
    pub(crate) path: PathBuf,
    pub(crate) size: VolumeSize,
    pub(crate) shard: CreateShard,
    pub(crate) compaction: Option<Compaction>,
}

impl Sharded {
    /// Looks at the name only; the files are opened when it is known what is in them.
    pub(crate) fn new(
        path: &Path,
        size: VolumeSize,
        shard: CreateShard,
        compaction: Option<Compaction>,
    ) -> Result<Self, OutputError> {
        if file_name(path).is_none() {
            return Err(OutputError::NoName(path.to_owned()));
        }
        if path.symlink_metadata().is_ok() {
            return Err(OutputError::Exists(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), size, shard, compaction })
    }

    /// The statement that all shards write, if one of them was here before.
    pub(crate) fn earlier(&self, limits: &Limits) -> Option<Statement> {
        let bytes = bundle_os::read(&VolumeNames::of(&self.path).statement(), limits.statement).ok()?;
        Statement::parse(&bytes, limits).ok()
    }

    /// Puts the statement where all shards find it. The answer is the one that was there before, if that is another.
    pub(crate) fn agree(&self, statement: &[u8], limits: &Limits) -> Result<Option<Statement>, OutputError> {
        let place = VolumeNames::of(&self.path).statement();
        let own =
            hidden(&self.path, &format!("shard-{}-of-{}.bundle.json", self.shard.number, self.shard.of));
        replace_file(&own, statement)?;
        let named = bundle_os::rename_new(&own, &place);
        match named {
            Ok(()) => return Ok(None),
            Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(OutputError::Io { path: place, doing: "renamed", source }),
        }
        let _ = std::fs::remove_file(&own);
        let found = bundle_os::read(&place, limits.statement);
        let found = found.map_err(|source| OutputError::Io { path: place.clone(), doing: "read", source })?;
        if found == statement {
            return Ok(None);
        }
        match Statement::parse(&found, limits) {
            Ok(other) => Ok(Some(other)),
            Err(_) => Err(OutputError::OtherStatement(place)),
        }
    }

    /// The name under which a compact shard lies, as a set of volumes of its own, until all are there.
    pub(crate) fn base(&self) -> PathBuf {
        base(&self.path, self.shard)
    }
}

/// `.NAME.shard-0-of-3`.
fn base(path: &Path, shard: CreateShard) -> PathBuf {
    hidden(path, &format!("shard-{}-of-{}", shard.number, shard.of))
}

/// Which volumes a shard has finished, in a file of its own beside them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Note {
    statement: Digest,
    volumes: BTreeMap<usize, VolumeEntry>,
}

fn note_path(path: &Path, shard: CreateShard) -> PathBuf {
    let mut name = base(path, shard).into_os_string();
    name.push(".json");
    name.into()
}

/// The notes beside a set, of any division into shards.
fn notes(path: &Path) -> Result<Vec<PathBuf>, OutputError> {
    let directory = directory_of(path);
    let failed = |source| OutputError::Io { path: directory.to_owned(), doing: "listed", source };
    let start = hidden(path, "shard-");
    let start = start.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let text = name.to_string_lossy();
        let middle = text.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".json"));
        let is_note = middle
            .and_then(|it| it.split_once("-of-"))
            .is_some_and(|(number, of)| number.parse::<usize>().is_ok() && of.parse::<usize>().is_ok());
        if is_note {
            found.push(path.with_file_name(&name));
        }
    }
    Ok(found)
}

fn read_note(path: &Path, statement: Digest) -> Option<Note> {
    let bytes = bundle_os::read(path, Limits::V1.volume_index).ok()?;
    serde_json::from_slice(&bytes).ok().filter(|note: &Note| note.statement == statement)
}

/// The index of a complete set.
///
/// # Errors
/// There is one of another bundle.
fn index_of(names: &VolumeNames, statement: Digest) -> Result<Option<VolumeIndex>, OutputError> {
    let path = names.index();
    let bytes = match bundle_os::read(&path, Limits::V1.volume_index) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OutputError::Io { path, doing: "read", source }),
    };
    match VolumeIndex::parse(&bytes, &Limits::V1) {
        Ok(index) if index.statement == statement => Ok(Some(index)),
        _ => Err(OutputError::Exists(path)),
    }
}

/// The volumes that were finished, by their numbers, whether they still lie there or not.
pub(crate) fn known(path: &Path, statement: Digest) -> Result<BTreeMap<usize, VolumeEntry>, OutputError> {
    let mut known = BTreeMap::new();
    for note in notes(path)? {
        known.extend(read_note(&note, statement).into_iter().flat_map(|note| note.volumes));
    }
    if let Some(index) = index_of(&VolumeNames::of(path), statement)? {
        known.extend((1..).zip(index.volumes));
    }
    Ok(known)
}

/// Notes what a shard's volumes are, and gives them their names.
pub(crate) fn finish(parts: &Parts, shard: CreateShard, statement: Digest) -> Result<(), OutputError> {
    let digests = volumes::hash_all(parts.parts())?;
    let place = note_path(parts.path(), shard);
    let mut note = read_note(&place, statement).unwrap_or(Note { statement, volumes: BTreeMap::new() });
    for (part, digest) in parts.parts().iter().zip(digests) {
        part.file.sync_all().map_err(|source| part.failed("brought to disk", source))?;
        if let Some((_, number, _)) = VolumeNames::read(&part.path) {
            note.volumes.insert(number, VolumeEntry { size: part.length(), digest });
        }
    }
    let bytes = serde_json::to_vec(&note).map_err(|error| OutputError::Io {
        path: place.clone(),
        doing: "written",
        source: error.into(),
    })?;
    replace_file(&place, &bytes)?;
    // A journal beside a part says that it is not finished.
    parts.journal().remove();
    parts.parts().iter().try_for_each(Part::rename)
}

fn size_of(path: &Path) -> Option<u64> {
    path.symlink_metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len())
}

/// Makes a set complete if all its volumes are there.
pub(crate) fn complete_volumes(sharded: &Sharded, head: &SinkHead) -> Result<ShardState, OutputError> {
    let path = &sharded.path;
    let names = VolumeNames::of(path);
    let cuts = sharded.size.cut(head.plan().layout());
    let of = cuts.len();
    let known = known(path, head.digest())?;
    let mut entries = Vec::new();
    for (range, number) in cuts.iter().zip(1..) {
        let volume = names.volume(number, of);
        let entry = known.get(&number).filter(|entry| entry.size == range.end - range.start);
        if let Some(entry) = entry
            && size_of(&volume) == Some(entry.size)
        {
            entries.push((volume, *entry));
        }
    }
    let ours = sharded.shard.volumes(of);
    let volumes = (ours.end() + 1).saturating_sub(*ours.start());
    let state = ShardState { volumes, missing: of - entries.len() };
    let notes = notes(path)?;
    if state.missing > 0 || notes.is_empty() && index_of(&names, head.digest())?.is_some() {
        return Ok(state);
    }
    let parts = entries.iter().zip(&cuts).map(|((volume, _), range)| {
        let file = bundle_os::open(volume);
        let file =
            file.map_err(|source| OutputError::Io { path: volume.clone(), doing: "opened", source })?;
        Ok(Part { file, partial: volume.clone(), path: volume.clone(), range: range.clone() })
    });
    // Volumes of the archive's start suffice.
    let needed = cuts.iter().take_while(|range| range.start < head.length()).count();
    let parts: Vec<Part> = parts.take(needed).collect::<Result<_, OutputError>>()?;
    let start = volumes::read_start(&parts, head.length())?;
    complete(&names, &signed_as(head, &start), &entries, (&start, None))?;
    notes.iter().for_each(|note| drop(std::fs::remove_file(note)));
    Ok(state)
}

/// The bundle with the signature that its archive has: a signing command may give another each time.
fn signed_as(head: &SinkHead, start: &[u8]) -> SinkHead {
    let at = head.plan().layout().entries()[1].offset as usize;
    let found =
        start.get(at..at + SignatureBytes::LENGTH).and_then(|bytes| SignatureBytes::try_from(bytes).ok());
    found.map_or_else(|| head.clone(), |signature| head.with_signature(signature))
}

/// Writes what lies beside volumes that all have their names; the index comes last.
fn complete(
    names: &VolumeNames,
    head: &SinkHead,
    entries: &[(PathBuf, VolumeEntry)],
    (start, frames): (&[u8], Option<&[u8]>),
) -> Result<(), OutputError> {
    let beside = Beside { head, start: Start::Bytes(start), frames };
    let index = volumes::lay_beside(names, entries, &[], &beside)?;
    replace_file(&names.index(), &index)?;
    Ok(())
}

/// What a compact shard leaves beside its volumes, in the place of a table: the digest of the header's bases, and
/// the heads of its sections.
pub(crate) fn compact_note(bases: Digest, heads: &[u8]) -> Vec<u8> {
    let mut note = bases.to_string().into_bytes();
    note.extend_from_slice(heads);
    note
}

/// A finished shard of a compact encoding.
struct CompactPart {
    shard: CreateShard,
    names: VolumeNames,
    index: VolumeIndex,
    bases: Vec<u8>,
    heads: Vec<u8>,
    head: Vec<u8>,
}

fn compact_part(
    path: &Path,
    shard: CreateShard,
    head: &SinkHead,
) -> Result<Option<CompactPart>, OutputError> {
    let names = VolumeNames::of(&base(path, shard));
    let Some(index) = index_of(&names, head.digest())? else { return Ok(None) };
    let read = |path: PathBuf, limit: u64| match bundle_os::read(&path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OutputError::Io { path, doing: "read", source }),
    };
    let digest = Digest::of(b"").to_string().len();
    let most = bundle_format::Compact::largest_table(&Limits::V1) + digest as u64;
    let (Some(mut bases), Some(start)) = (read(names.frames(), most)?, read(names.head(), head.length())?)
    else {
        return Ok(None);
    };
    if bases.len() < digest {
        return Ok(None);
    }
    let heads = bases.split_off(digest);
    Ok(Some(CompactPart { shard, names, index, bases, heads, head: start }))
}

/// Whether a complete set of this bundle lies there; an error if one lies there of which volumes are missing.
pub(crate) fn is_complete(path: &Path, statement: Digest) -> Result<bool, OutputError> {
    let names = VolumeNames::of(path);
    let Some(index) = index_of(&names, statement)? else { return Ok(false) };
    let of = index.volumes.len();
    let all = (1..)
        .zip(&index.volumes)
        .all(|(number, entry)| size_of(&names.volume(number, of)) == Some(entry.size));
    if all { Ok(true) } else { Err(OutputError::Exists(names.index())) }
}

/// Whether a compact shard is written: its volumes lie there under its own name, or under the set's.
pub(crate) fn is_written(sharded: &Sharded, head: &SinkHead) -> Result<bool, OutputError> {
    Ok(compact_part(&sharded.path, sharded.shard, head)?.is_some())
}

/// Joins the shards of a compact encoding to one set, if all are there: their sections one after the other, and the
/// table of all.
pub(crate) fn complete_compact(sharded: &Sharded, head: &SinkHead) -> Result<ShardState, OutputError> {
    let (path, layout) = (&sharded.path, head.plan().layout());
    let own_names = VolumeNames::of(&sharded.base());
    if is_complete(path, head.digest())? {
        remove_beside(&own_names);
        return Ok(ShardState { volumes: 0, missing: 0 });
    }
    let mut parts = Vec::new();
    let mut missing = 0;
    for shard in sharded.shard.all().filter(|shard| !shard.entries(layout).is_empty()) {
        match compact_part(path, shard, head)? {
            Some(part) => parts.push(part),
            None => missing += 1,
        }
    }
    let own = parts.iter().find(|part| part.shard == sharded.shard);
    let volumes = own.map_or(0, |part| part.index.volumes.len());
    if missing > 0 {
        return Ok(ShardState { volumes, missing });
    }
    for part in &parts {
        let range = part.shard.entries(layout);
        let same = parts.first().is_some_and(|first| first.bases == part.bases);
        if !same || bundle_format::compact_content(&part.heads) != Some(range.end - range.start) {
            return Err(OutputError::OtherShard { path: path.clone(), shard: part.shard });
        }
    }
    let names = VolumeNames::of(path);
    let of = 1 + parts.iter().map(|part| part.index.volumes.len()).sum::<usize>();
    if of > Limits::V1.volumes {
        return Err(OutputError::TooManyVolumes { path: path.clone(), volumes: of });
    }
    let mut entries = Vec::new();
    for part in &parts {
        let own_volumes = part.index.volumes.len();
        for (entry, number) in part.index.volumes.iter().zip(1..) {
            let from = part.names.volume(number, own_volumes);
            let to = names.volume(entries.len() + 1, of);
            // Another run may be joining, too, or was killed while it did.
            let renamed = bundle_os::rename_new(&from, &to);
            if size_of(&to) != Some(entry.size) {
                // The shard is to be written again.
                let _ = std::fs::remove_file(part.names.index());
                return match renamed {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        Err(OutputError::Io { path: to, doing: "renamed", source: error })
                    }
                    _ => Ok(ShardState { volumes, missing: 1 }),
                };
            }
            let _ = std::fs::remove_file(&from);
            entries.push((to, *entry));
        }
    }
    let table =
        bundle_format::compact_table(&parts.iter().map(|part| part.heads.as_slice()).collect::<Vec<_>>());
    let last = names.volume(of, of);
    replace_file(&last, &table)?;
    entries.push((last, VolumeEntry { size: table.len() as u64, digest: Digest::of(&table) }));
    let start: Vec<u8> = parts.iter().flat_map(|part| part.head.iter().copied()).collect();
    complete(&names, &signed_as(head, &start), &entries, (&start, Some(&table)))?;
    parts.iter().for_each(|part| remove_beside(&part.names));
    Ok(ShardState { volumes, missing: 0 })
}

/// Removes the volumes of a compact shard that is not known to be written: others of them may have got the names that
/// they have in the set, and be gone from there.
pub(crate) fn clear(base: &Path) -> Result<(), OutputError> {
    let directory = directory_of(base);
    let failed = |source| OutputError::Io { path: directory.to_owned(), doing: "listed", source };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = base.with_file_name(entry.map_err(failed)?.file_name());
        if VolumeNames::read(&path).is_some_and(|(set, ..)| set.bundle() == base) {
            let removed = std::fs::remove_file(&path);
            removed.map_err(|source| OutputError::Io { path, doing: "removed", source })?;
        }
    }
    Ok(())
}

/// Removes what lay beside a shard's volumes, which have other names now.
fn remove_beside(names: &VolumeNames) {
    let small = [names.frames(), names.head(), names.statement(), names.signature(), names.sums()];
    // The index last: while it is there, the shard is known to be written.
    for path in small.iter().chain([&names.index()]) {
        let _ = std::fs::remove_file(path);
    }
}

/// Where a shard's part of the archive is collected before it is encoded. What was collected for other statements
/// is removed.
pub(crate) fn whole_of(sharded: &Sharded, statement: Digest) -> PathBuf {
    let base = sharded.base();
    let whole = hidden(&base, &format!("{}.whole", &statement.hex()[..16]));
    let start = hidden(&base, "");
    let start = start.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for entry in std::fs::read_dir(directory_of(&base)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.starts_with(&start) && text.ends_with(".whole") && whole.file_name() != Some(&name) {
            let _ = std::fs::remove_file(base.with_file_name(&name));
        }
    }
    whole
}

/// Opens the file of one volume, which no other run may be writing.
pub(crate) fn open_volume(path: PathBuf, partial: PathBuf, range: Range<u64>) -> Result<Part, OutputError> {
    let file = open_own(&partial)?;
    if !crate::sink::names::claim(&file, &path, &partial)? {
        return Err(OutputError::Busy(path));
    }
    Ok(Part { file, partial, path, range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_divide_all_volumes_and_all_entries_without_gaps() {
        let layers: Vec<String> =
            (0..40).map(|number| format!("layer {number}").repeat(number + 1)).collect();
        let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
        let layout = crate::plan::testing::plan(&[("cache/r.example/app:1", &layers)]).shared_layout();
        for of in [1, 2, 3, 7, 100] {
            let shards: Vec<CreateShard> = CreateShard { number: 0, of }.all().collect();
            let volumes: Vec<usize> = shards.iter().flat_map(|shard| shard.volumes(14)).collect();
            assert_eq!(volumes, (1..=14).collect::<Vec<_>>(), "{of}");
            let mut end = 0;
            for shard in &shards {
                let entries = shard.entries(&layout);
                assert_eq!(entries.start, end);
                end = entries.end;
            }
            assert_eq!(end, layout.size(), "{of}");
        }
    }
}
