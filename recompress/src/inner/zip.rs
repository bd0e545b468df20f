//! The entries of a zip (PKWARE's APPNOTE), by its central directory. Takes any bytes; a zip that contradicts itself, or
//! of which parts overlap, is none, and entries that are encrypted, of other methods or larger than 4 GiB are passed over.

use std::io;
use std::ops::Range;

use super::entry::{ArchiveEntry, MAX_ENTRIES, Packed, most_plain};
use crate::reuse::ReadAt;

/// The first bytes of an entry's local header.
pub(super) const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const LOCAL_LEN: u64 = 30;
const CENTRAL_LEN: usize = 46;
const END_LEN: usize = 22;
const MAX_COMMENT: usize = 65_535;
/// The longest central directory that is read into memory.
const MAX_DIRECTORY: u64 = 16 * 1024 * 1024;
const ENCRYPTED: u16 = 1;
/// Says that the real number is in a field of zip64.
const ZIP64: u32 = u32::MAX;

/// Adds the entries of the zip in this range to `found`; none if it is no zip, or `most` are found.
pub(super) fn entries(
    file: &dyn ReadAt,
    range: Range<u64>,
    path: &[u8],
    depth: u32,
    most: usize,
    found: &mut Vec<ArchiveEntry>,
) -> io::Result<Option<()>> {
    let Some(directory) = directory(file, &range)? else { return Ok(None) };
    let mut bytes = vec![0; (directory.end - directory.start) as usize];
    file.read_exact_at(&mut bytes, directory.start)?;
    let Some(records) = records(&bytes) else { return Ok(None) };
    // Offsets count from where the zip begins, which is not the file's beginning where something is before it.
    let Some(first) = records.iter().map(|record| record.local).min() else { return Ok(None) };
    if first != 0 {
        return Ok(None);
    }
    let mut places = Vec::with_capacity(records.len());
    for record in &records {
        let Some(start) = range.start.checked_add(record.local) else { return Ok(None) };
        if start + LOCAL_LEN > directory.start {
            return Ok(None);
        }
        let mut local = [0; LOCAL_LEN as usize];
        file.read_exact_at(&mut local, start)?;
        let data = start + LOCAL_LEN + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        let end = data + u64::from(record.compressed);
        if local[..4] != LOCAL || end > directory.start {
            return Ok(None);
        }
        places.push((start, data, end, record));
    }
    places.sort_unstable_by_key(|&(start, ..)| start);
    if places.windows(2).any(|pair| pair[0].2 > pair[1].0) {
        return Ok(None);
    }
    for (start, data, end, record) in places {
        let packed = match record.method {
            _ if record.flags & ENCRYPTED != 0 => continue,
            0 => Packed::Stored,
            8 => Packed::Zip,
            _ => continue,
        };
        let compressed = u64::from(record.compressed);
        let plain = u64::from(record.plain);
        if compressed == 0 || plain > most_plain(compressed) {
            continue;
        }
        let path = [path, b"!/", record.name].concat();
        if packed == Packed::Stored && depth > 1 && compressed > END_LEN as u64 {
            let (known, mut magic) = (found.len(), [0; 4]);
            file.read_exact_at(&mut magic, data)?;
            if magic == LOCAL {
                if entries(file, data..end, &path, depth - 1, most, found)?.is_some() && found.len() > known {
                    continue;
                }
                found.truncate(known);
            }
        }
        if found.len() >= most {
            return Ok(None);
        }
        found.push(ArchiveEntry { start, data, end, packed, plain, crc: record.crc, path });
    }
    Ok(Some(()))
}

/// Where the central directory is: right before the record at the end.
fn directory(file: &dyn ReadAt, range: &Range<u64>) -> io::Result<Option<Range<u64>>> {
    let size = range.end - range.start;
    // Most zips have no comment.
    for tail in [END_LEN, END_LEN + MAX_COMMENT] {
        let tail = size.min(tail as u64) as usize;
        let mut bytes = vec![0; tail];
        let from = range.end - tail as u64;
        file.read_exact_at(&mut bytes, from)?;
        let is_end = |at: &usize| {
            let record = &bytes[*at..];
            record[..4] == END && usize::from(u16_at(record, 20)) == record.len() - END_LEN
        };
        let Some(at) = (0..=tail.saturating_sub(END_LEN)).rev().filter(|_| tail >= END_LEN).find(is_end)
        else {
            continue;
        };
        let record = &bytes[at..];
        let (length, offset) = (u64::from(u32_at(record, 12)), u64::from(u32_at(record, 16)));
        let end = from + at as u64;
        let start = range.start + offset;
        let is_whole = start.checked_add(length) == Some(end) && length <= MAX_DIRECTORY;
        return Ok(is_whole.then_some(start..end));
    }
    Ok(None)
}

/// A record of the central directory.
struct Record<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u32,
    plain: u32,
    local: u64,
    name: &'a [u8],
}

/// All records; none if there is one that is none, or too many. Those of zip64 are not among them.
fn records(mut bytes: &[u8]) -> Option<Vec<Record<'_>>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (fixed, rest) = bytes.split_at_checked(CENTRAL_LEN)?;
        if fixed[..4] != CENTRAL || records.len() >= MAX_ENTRIES {
            return None;
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(fixed, at)));
        let name = rest.get(..lengths[0])?;
        bytes = rest.get(lengths.iter().sum()..)?;
        let record = Record {
            flags: u16_at(fixed, 8),
            method: u16_at(fixed, 10),
            crc: u32_at(fixed, 16),
            compressed: u32_at(fixed, 20),
            plain: u32_at(fixed, 24),
            local: u32_at(fixed, 42).into(),
            name,
        };
        if ![record.compressed, record.plain].contains(&ZIP64) && record.local != u64::from(ZIP64) {
            records.push(record);
        }
    }
    Some(records)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
