//! What is in a file that is itself an archive or compressed: a zip (jars, wheels, and zips stored in them) or a gzip
//! file. Takes any bytes, gives the places of what it found; what is damaged has nothing in it.

use std::io;
use std::ops::Range;

use super::zip;
use crate::gzip;
use crate::reuse::ReadAt;

/// How deep zips may be stored in zips: a jar in a fat jar in another.
pub(super) const MAX_DEPTH: u32 = 3;
/// The most entries of one file, all depths together.
pub(super) const MAX_ENTRIES: usize = 100_000;
/// The longest header of a gzip file: its name is in it.
const MAX_GZIP_HEADER: usize = 1024;

/// What DEFLATE can do at most (1032 to 1), and something for tiny streams.
pub(super) fn most_plain(compressed: u64) -> u64 {
    compressed.saturating_mul(1032).saturating_add(1024)
}

/// How an entry's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// They are as they are.
    Stored,
    /// They are a DEFLATE stream in a zip.
    Zip,
    /// They are the DEFLATE stream of a gzip file.
    Gzip,
}

/// An entry of an archive. What the archive says of it is not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Where its header begins.
    pub start: u64,
    /// Where its packed bytes begin.
    pub data: u64,
    /// Where its packed bytes end.
    pub end: u64,
    /// How they are packed.
    pub packed: Packed,
    /// How many bytes it has unpacked.
    pub plain: u64,
    /// Their CRC-32.
    pub crc: u32,
    /// The archive's path, `!/`, and the path in the archive; for a gzip file its path and `!`.
    pub path: Vec<u8>,
}

/// Whether a file that begins so may be an archive.
pub fn is_archive(start: &[u8; 4]) -> bool {
    *start == zip::LOCAL || start[..3] == gzip::MAGIC
}

/// Adds the entries of the file in this range to `found`, in the order of their places, which do not overlap. What is no
/// archive, or one that contradicts itself, has none.
///
/// # Errors
/// The file cannot be read.
pub fn archive_entries(
    file: &dyn ReadAt,
    range: Range<u64>,
    path: &[u8],
    found: &mut Vec<ArchiveEntry>,
) -> io::Result<()> {
    let mut start = [0; 4];
    if range.end.saturating_sub(range.start) < 22 {
        return Ok(());
    }
    file.read_exact_at(&mut start, range.start)?;
    if start == zip::LOCAL {
        let known = found.len();
        if zip::entries(file, range, path, MAX_DEPTH, known + MAX_ENTRIES, found)?.is_none() {
            found.truncate(known);
        }
    } else if start[..3] == gzip::MAGIC {
        found.extend(gzip_entry(file, range, path)?);
    }
    Ok(())
}

/// The one member of a gzip file.
fn gzip_entry(file: &dyn ReadAt, range: Range<u64>, path: &[u8]) -> io::Result<Option<ArchiveEntry>> {
    let size = range.end - range.start;
    let mut bytes = vec![0; size.min(MAX_GZIP_HEADER as u64) as usize];
    file.read_exact_at(&mut bytes, range.start)?;
    let Some(header) = gzip::header_len(&bytes).map(|length| length as u64) else { return Ok(None) };
    let Some(compressed) = size.checked_sub(header + gzip::TRAILER as u64).filter(|&size| size > 0) else {
        return Ok(None);
    };
    let (data, mut trailer) = (range.start + header, [0; gzip::TRAILER]);
    let end = data + compressed;
    file.read_exact_at(&mut trailer, end)?;
    let [c0, c1, c2, c3, p0, p1, p2, p3] = trailer;
    let plain = u32::from_le_bytes([p0, p1, p2, p3]).into();
    if plain > most_plain(compressed) {
        return Ok(None);
    }
    Ok(Some(ArchiveEntry {
        start: range.start,
        data,
        end,
        packed: Packed::Gzip,
        plain,
        crc: u32::from_le_bytes([c0, c1, c2, c3]),
        path: [path, b"!"].concat(),
    }))
}
