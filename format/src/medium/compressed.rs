//! A compressed archive, unpacked at any place: the frames that are asked for, and a few of them kept.
//! The Zstandard Seekable Format (zstd's contrib/seekable_format), docs/format.md §Outer compression.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use zstd::bulk::Decompressor;

use crate::{Layer, Limits};

/// The magic number of a Zstandard frame (RFC 8878 §3.1.1).
const FRAME_MAGIC: u32 = 0xFD2F_B528;
/// The magic number of the skippable frame that has the seek table, the one ending in E, which the
/// Zstandard Seekable Format chose (zstd's contrib/seekable_format).
pub(crate) const TABLE_MAGIC: u32 = 0x184D_2A5E;
/// The last four bytes of a seekable file.
pub(crate) const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
/// Magic number and size of a skippable frame.
pub(crate) const TABLE_HEADER: u64 = 8;
/// Number of frames, descriptor and magic number at a seek table's end.
pub(crate) const TABLE_FOOTER: u64 = 9;

/// A compressed archive that is read as what it unpacks to. Only the frames that are asked for are
/// unpacked, and a few of them kept.
pub struct Compressed {
    stored: Arc<dyn Layer>,
    /// Where each frame begins in what is stored and in the archive; and where the last one ends.
    borders: Arc<Vec<(u64, u64)>>,
    cache: Mutex<Cache>,
}

/// The frames that were unpacked last, the latest at the end.
struct Cache {
    frames: Vec<(usize, Arc<Vec<u8>>)>,
    bytes: usize,
    limit: usize,
}

impl Compressed {
    /// Whether these are the first bytes of a compressed file.
    pub fn starts(bytes: &[u8]) -> bool {
        bytes.starts_with(&FRAME_MAGIC.to_le_bytes())
    }

    /// The most bytes that a table may have.
    pub(crate) fn largest_table(limits: &Limits) -> u64 {
        TABLE_HEADER + limits.frames as u64 * 12 + TABLE_FOOTER
    }

    /// Reads the table, from the end of what is stored, or where that is missing from the copy. Only the
    /// sizes of frames are taken from it: a frame must decompress to its size, and the statement's digests
    /// check the bytes.
    ///
    /// # Errors
    /// The table is missing, unreadable, or invalid.
    pub(crate) fn open(
        stored: Arc<dyn Layer>,
        copy: Option<Vec<u8>>,
        limits: &Limits,
    ) -> Result<Self, CompressedError> {
        let length = stored.size().map_err(CompressedError::Read)?;
        let copy = copy.unwrap_or_default();
        let copied_from = length.checked_sub(copy.len() as u64).ok_or(CompressedError::NoTable)?;
        let read = |offset: u64, buffer: &mut [u8]| {
            if stored.has(&(offset..offset + buffer.len() as u64)) || offset < copied_from {
                return stored.read_exact_at(buffer, offset).map_err(CompressedError::Read);
            }
            copy.read_exact_at(buffer, offset - copied_from).map_err(|_| CompressedError::NoTable)
        };
        let mut footer = [0; TABLE_FOOTER as usize];
        let end = length.checked_sub(TABLE_FOOTER).ok_or(CompressedError::NoTable)?;
        read(end, &mut footer)?;
        if number(&footer[5..9]) != SEEKABLE_MAGIC {
            return Err(CompressedError::NoTable);
        }
        let entry: u64 = if footer[4] & 0x80 != 0 { 12 } else { 8 };
        let frames = u64::from(number(&footer[0..4]));
        // The descriptor's other bits are reserved.
        if footer[4] & 0x7c != 0 || frames == 0 || frames > limits.frames as u64 {
            return Err(CompressedError::Table);
        }
        let size = frames * entry + TABLE_FOOTER;
        let start = length.checked_sub(size + TABLE_HEADER).ok_or(CompressedError::Table)?;
        let mut header = [0; TABLE_HEADER as usize];
        read(start, &mut header)?;
        if number(&header[0..4]) != TABLE_MAGIC || u64::from(number(&header[4..8])) != size {
            return Err(CompressedError::Table);
        }
        let mut borders = Vec::with_capacity(frames as usize + 1);
        borders.push((0, 0));
        let (mut compressed, mut content) = (0_u64, 0_u64);
        // A thousand entries at a time.
        let mut batch = vec![0; entry as usize * 1000];
        for number_of_frame in 0..frames {
            let at = number_of_frame % 1000;
            if at == 0 {
                let length = ((frames - number_of_frame).min(1000) * entry) as usize;
                read(start + TABLE_HEADER + number_of_frame * entry, &mut batch[..length])?;
            }
            let fields = &batch[(at * entry) as usize..((at + 1) * entry) as usize];
            let (packed, unpacked) = (number(&fields[0..4]), number(&fields[4..8]));
            let largest = zstd::zstd_safe::compress_bound(limits.frame as usize) as u64;
            if unpacked == 0 || u64::from(unpacked) > limits.frame || u64::from(packed) > largest {
                return Err(CompressedError::Table);
            }
            compressed += u64::from(packed);
            content += u64::from(unpacked);
            borders.push((compressed, content));
        }
        if compressed != start {
            return Err(CompressedError::Table);
        }
        let cache = Cache { frames: Vec::new(), bytes: 0, limit: limits.cached_frames as usize };
        Ok(Self { stored, borders: Arc::new(borders), cache: Mutex::new(cache) })
    }

    /// The same frames of other bytes, of which only the last one is kept.
    pub(crate) fn over(&self, stored: Arc<dyn Layer>) -> Self {
        let cache = Cache { frames: Vec::new(), bytes: 0, limit: 0 };
        Self { stored, borders: self.borders.clone(), cache: Mutex::new(cache) }
    }

    /// How many stored bytes all frames have together.
    pub(crate) fn stored_size(&self) -> u64 {
        self.borders.last().map_or(0, |(stored, _)| *stored)
    }

    fn content_size(&self) -> u64 {
        self.borders.last().map_or(0, |(_, content)| *content)
    }

    /// The frames, as they are stored, of which some content is asked for; `None` beyond the end.
    pub(crate) fn stored_of(&self, bytes: &Range<u64>) -> Option<Range<u64>> {
        let first = self.borders.partition_point(|(_, content)| *content <= bytes.start).checked_sub(1)?;
        let last = self.borders.partition_point(|(_, content)| *content < bytes.end);
        Some(self.borders[first].0..self.borders.get(last)?.0)
    }

    /// The content of a frame.
    fn frame(&self, position: usize) -> io::Result<Arc<Vec<u8>>> {
        if let Some(known) = self.cache().get(position) {
            return Ok(known);
        }
        let (from, to) = (self.borders[position], self.borders[position + 1]);
        let mut packed = vec![0; (to.0 - from.0) as usize];
        self.stored.read_exact_at(&mut packed, from.0)?;
        let lies = || {
            let place = self.stored.place(&(from.0..to.0)).map(|place| format!(" (in {place})"));
            let text = format!(
                "frame {position}, at byte {}{}, does not match the seek table",
                from.0,
                place.unwrap_or_default()
            );
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        // One frame and nothing else: two would unpack as well.
        if zstd::zstd_safe::find_frame_compressed_size(&packed) != Ok(packed.len()) || !Self::starts(&packed)
        {
            return Err(lies());
        }
        let mut content = Vec::with_capacity((to.1 - from.1) as usize);
        // There is room for exactly as much as the table says: what would be more is an error.
        let unpacked = Decompressor::new()?.decompress_to_buffer(&packed, &mut content);
        if unpacked.map_err(|_| lies())? as u64 != to.1 - from.1 {
            return Err(lies());
        }
        let content = Arc::new(content);
        self.cache().put(position, content.clone());
        Ok(content)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Cache {
    fn get(&mut self, position: usize) -> Option<Arc<Vec<u8>>> {
        let at = self.frames.iter().position(|(known, _)| *known == position)?;
        let frame = self.frames.remove(at);
        let content = frame.1.clone();
        self.frames.push(frame);
        Some(content)
    }

    fn put(&mut self, position: usize, content: Arc<Vec<u8>>) {
        if self.frames.iter().any(|(known, _)| *known == position) {
            return;
        }
        self.bytes += content.len();
        self.frames.push((position, content));
        while self.bytes > self.limit && self.frames.len() > 1 {
            self.bytes -= self.frames.remove(0).1.len();
        }
    }
}

impl Layer for Compressed {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let at = offset.checked_add(done as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
            let position = self.borders.partition_point(|(_, content)| *content <= at) - 1;
            if position + 1 == self.borders.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let content = self.frame(position)?;
            let from = (at - self.borders[position].1) as usize;
            let length = (content.len() - from).min(buffer.len() - done);
            buffer[done..done + length].copy_from_slice(&content[from..from + length]);
            done += length;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.content_size())
    }

    fn read_at_once(&self, _: &mut [u8], _: u64) -> bool {
        // To unpack a frame takes longer than a reader that must not wait has.
        false
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        bytes.is_empty() || self.stored_of(bytes).is_some_and(|stored| self.stored.has(&stored))
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        let end = bytes.end.min(self.content_size());
        let bytes = bytes.start..end.max(bytes.start);
        let Some(stored) = self.stored_of(&bytes) else { return Vec::new() };
        let parts = self.stored.parts_of(&stored).into_iter();
        // Only whole frames can be decompressed.
        let whole = parts.filter_map(|part| {
            let first = self.borders.partition_point(|(stored, _)| *stored < part.start);
            let last = self.borders.partition_point(|(stored, _)| *stored <= part.end).checked_sub(1)?;
            let (start, end) =
                (self.borders.get(first)?.1.max(bytes.start), self.borders[last].1.min(bytes.end));
            (start < end).then_some(start..end)
        });
        whole.collect()
    }

    fn files_of(&self, bytes: &Range<u64>) -> Vec<PathBuf> {
        self.stored_of(bytes).map(|stored| self.stored.files_of(&stored)).unwrap_or_default()
    }

    fn missing(&self) -> Vec<PathBuf> {
        self.stored.missing()
    }

    fn place(&self, bytes: &Range<u64>) -> Option<String> {
        self.stored.place(&self.stored_of(bytes)?)
    }

    fn settle(&self, _: &Range<u64>, _: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        false
    }
}

impl std::fmt::Debug for Compressed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Compressed({} frames)", self.borders.len() - 1)
    }
}

/// Why a compressed file cannot be read at any place.
#[derive(Debug, thiserror::Error)]
pub enum CompressedError {
    /// Compressed by something that writes no table.
    #[error("it has no seek table at its end: it is truncated, or can be read only from a pipe")]
    NoTable,
    /// A table that contradicts itself or the file.
    #[error("its seek table is not valid")]
    Table,
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Read(io::Error),
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;
    use crate::testing::compressed as packed;

    fn open(bytes: &[u8], limits: &Limits) -> Result<Compressed, CompressedError> {
        Compressed::open(Arc::new(bytes.to_vec()), None, limits)
    }

    fn content() -> Vec<u8> {
        (0..5_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[test]
    fn any_part_reads_as_the_whole_does_and_few_frames_are_kept() {
        let content = content();
        let limits = Limits { cached_frames: 3 << 20, ..Limits::V1 };
        let compressed = open(&packed(&content), &limits).unwrap();
        assert_eq!(compressed.size().unwrap(), content.len() as u64);
        assert_eq!(compressed.borders.len(), 4);
        for (at, length) in [(0, 10), ((2 << 20) - 5, 10), (1, 5 << 19), (content.len() - 1, 1), (7, 0)] {
            let mut buffer = vec![0; length];
            compressed.read_exact_at(&mut buffer, at as u64).unwrap();
            assert!(buffer == content[at..at + length], "{at} {length}");
            assert!(compressed.cache().bytes <= 4 << 20);
        }
        let end = compressed.read_exact_at(&mut [0; 2], content.len() as u64 - 1).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn tables_and_frames_that_lie_are_refused() {
        use CompressedError as E;
        let bytes = packed(&content());
        let table = bytes.len() - 9 - 3 * 8 - 8;
        let altered = |at: usize, value: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            open(&bytes, &Limits::V1)
        };
        assert!(matches!(open(&bytes[..bytes.len() - 1], &Limits::V1), Err(E::NoTable)));
        assert!(matches!(open(&[&bytes[..], b"x"].concat(), &Limits::V1), Err(E::NoTable)));
        assert!(matches!(open(b"", &Limits::V1), Err(E::NoTable)));
        let last = bytes.len();
        assert!(matches!(altered(last - 9, 2), Err(E::Table)), "fewer frames");
        assert!(matches!(altered(last - 6, 0xff), Err(E::Table)), "frames without end");
        assert!(matches!(altered(last - 5, 0x04), Err(E::Table)), "reserved bits");
        assert!(matches!(altered(table, 0), Err(E::Table)), "another magic number");
        assert!(
            matches!(altered(table + 8, bytes[table + 8] ^ 1), Err(E::Table)),
            "lengths that do not add up"
        );
        assert!(matches!(altered(table + 15, 0x7f), Err(E::Table)), "a frame that is too large");
        // A table that is possible, and whose frames are something else.
        for (at, value) in [(table + 12, 1), (0, 0), (20, bytes[20] ^ 1)] {
            let compressed = altered(at, value).unwrap();
            let mut buffer = vec![0; compressed.size().unwrap() as usize];
            let error = compressed.read_exact_at(&mut buffer, 0).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{at}: {error}");
        }
    }

    #[test]
    fn a_bomb_takes_no_more_than_a_frame() {
        // Many megabytes of zeros in one frame, of which the table says that it is one byte.
        let mut bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
        let size = bomb.len() as u32;
        for number in [TABLE_MAGIC, 17, size, 1, 1] {
            bomb.extend_from_slice(&number.to_le_bytes());
        }
        bomb.push(0);
        bomb.extend_from_slice(&SEEKABLE_MAGIC.to_le_bytes());
        let compressed = open(&bomb, &Limits::V1).unwrap();
        assert_eq!(compressed.read_exact_at(&mut [0], 0).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), frames in 0_u32..4) {
            bytes.extend_from_slice(&frames.to_le_bytes());
            bytes.push(0);
            bytes.extend_from_slice(&SEEKABLE_MAGIC.to_le_bytes());
            if let Ok(compressed) = open(&bytes, &Limits::V1) {
                let _ = compressed.read_exact_at(&mut [0; 16], 0);
            }
        }
    }
}
