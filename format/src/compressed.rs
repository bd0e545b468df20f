use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use zstd::bulk::{Compressor, Decompressor};

use crate::{Limits, ReadAt};

/// The magic number of a Zstandard frame (RFC 8878 §3.1.1).
const FRAME_MAGIC: u32 = 0xFD2F_B528;
/// The magic number of the skippable frame that has the seek table, the one ending in E, which the
/// Zstandard Seekable Format chose (zstd's contrib/seekable_format).
const TABLE_MAGIC: u32 = 0x184D_2A5E;
/// The last four bytes of a seekable file.
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
/// Magic number and size of a skippable frame.
const TABLE_HEADER: u64 = 8;
/// Number of frames, descriptor and magic number at a seek table's end.
const TABLE_FOOTER: u64 = 9;

/// How much is compressed into one frame, in bytes: what must be unpacked to read one byte of it.
const FRAME: usize = 2 << 20;
/// Layers are compressed already; this gets nearly all there is to get in what is not.
const LEVEL: i32 = 3;

/// Compresses an archive into frames that can be unpacked alone, with a table of them at the end
/// (docs/format.md §Outer compression). Any `zstd` unpacks it.
pub struct CompressedWriter<W> {
    writer: W,
    compressor: Compressor<'static>,
    pending: Vec<u8>,
    table: Vec<(u32, u32)>,
}

impl<W: Write> CompressedWriter<W> {
    /// A writer that has written nothing.
    ///
    /// # Errors
    /// There is no memory for the compression.
    pub fn new(writer: W) -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
        Ok(Self { writer, compressor, pending: Vec::with_capacity(FRAME), table: Vec::new() })
    }

    /// What the frames are written to.
    pub fn get_ref(&self) -> &W {
        &self.writer
    }

    /// What the frames are written to, each in one call.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.writer
    }

    /// Writes the last frame and the table, and returns the table's bytes too.
    ///
    /// # Errors
    /// The bytes cannot be written.
    pub fn finish(mut self) -> io::Result<(W, Vec<u8>)> {
        if !self.pending.is_empty() {
            self.frame()?;
        }
        let too_many = || io::Error::other("the archive has too many frames for a seek table");
        let frames = u32::try_from(self.table.len()).map_err(|_| too_many())?;
        let size = frames.checked_mul(8).and_then(|size| size.checked_add(TABLE_FOOTER as u32));
        let size = size.ok_or_else(too_many)?;
        let mut table = Vec::with_capacity(size as usize + TABLE_HEADER as usize);
        for number in [TABLE_MAGIC, size] {
            table.extend_from_slice(&number.to_le_bytes());
        }
        for (compressed, content) in &self.table {
            table.extend_from_slice(&compressed.to_le_bytes());
            table.extend_from_slice(&content.to_le_bytes());
        }
        table.extend_from_slice(&frames.to_le_bytes());
        // No checksums in the table: each frame has its own.
        table.push(0);
        table.extend_from_slice(&SEEKABLE_MAGIC.to_le_bytes());
        self.writer.write_all(&table)?;
        self.writer.flush()?;
        Ok((self.writer, table))
    }

    fn frame(&mut self) -> io::Result<()> {
        let frame = self.compressor.compress(&self.pending)?;
        self.writer.write_all(&frame)?;
        // Both are a little more than FRAME at most.
        self.table.push((frame.len() as u32, self.pending.len() as u32));
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write> Write for CompressedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(FRAME - self.pending.len());
        self.pending.extend_from_slice(&bytes[..length]);
        if self.pending.len() == FRAME {
            self.frame()?;
        }
        Ok(length)
    }

    /// Ends no frame: where frames end must not depend on how the bytes come.
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl<W> std::fmt::Debug for CompressedWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CompressedWriter({} frames)", self.table.len())
    }
}

/// A compressed archive that is read as what it unpacks to. Only the frames that are asked for are
/// unpacked, and a few of them kept.
pub struct Compressed {
    file: File,
    /// Where each frame begins in the file and in the archive; and where the last one ends.
    borders: Vec<(u64, u64)>,
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

    /// Reads the table. Of what it says, nothing is believed but how the file is to be cut: a frame
    /// must unpack to as many bytes as it says, and these are held to the statement.
    ///
    /// # Errors
    /// The file cannot be read, has no table, or one that cannot be.
    pub(crate) fn open(file: File, limits: &Limits) -> Result<Self, CompressedError> {
        let length = file.size().map_err(CompressedError::Read)?;
        let read = |offset: u64, buffer: &mut [u8]| {
            ReadAt::read_exact_at(&file, buffer, offset).map_err(CompressedError::Read)
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
        let mut table = BufReader::new(Section { file: &file, at: start + TABLE_HEADER });
        let mut fields = [0; 12];
        let (mut compressed, mut content) = (0_u64, 0_u64);
        for _ in 0..frames {
            let fields = &mut fields[..entry as usize];
            table.read_exact(fields).map_err(CompressedError::Read)?;
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
        Ok(Self { file, borders, cache: Mutex::new(cache) })
    }

    /// The content of a frame.
    fn frame(&self, position: usize) -> io::Result<Arc<Vec<u8>>> {
        if let Some(known) = self.cache().get(position) {
            return Ok(known);
        }
        let (from, to) = (self.borders[position], self.borders[position + 1]);
        let mut packed = vec![0; (to.0 - from.0) as usize];
        ReadAt::read_exact_at(&self.file, &mut packed, from.0)?;
        let lies = || {
            let text = format!("frame {position}, at byte {}, is not what the table of frames says", from.0);
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

impl ReadAt for Compressed {
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
        Ok(self.borders.last().map_or(0, |(_, content)| *content))
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        bytes.end <= self.borders.last().map_or(0, |(_, content)| *content)
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
    #[error("it has no table of frames at its end, and so can only be read as a pipe; or it is cut short")]
    NoTable,
    /// A table that contradicts itself or the file.
    #[error("its table of frames cannot be right")]
    Table,
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Read(io::Error),
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// A file from some place on.
struct Section<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = bundle_os::read_at(self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The largest window that a frame in a pipe may need, as a power of 2, in bytes: what the
/// decompression keeps in memory.
const WINDOW: u32 = 23;

/// Reads a pipe that may be compressed, as what it unpacks to.
///
/// # Errors
/// The first bytes cannot be read.
pub fn uncompressed(mut reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut start = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut start)?;
    let compressed = Compressed::starts(&start);
    let whole = io::Cursor::new(start).chain(reader);
    if !compressed {
        return Ok(Box::new(whole));
    }
    let source = Watched { reader: whole, failed: false };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(128 << 10, source))?;
    decoder.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(WINDOW))?;
    Ok(Box::new(Unpacked(decoder)))
}

/// Notes whether it was the medium that failed.
struct Watched<R> {
    reader: R,
    failed: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer);
        self.failed |= read.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        read
    }
}

/// What a pipe unpacks to. That it cannot be unpacked is damage, not a failure of the medium.
struct Unpacked<R>(zstd::stream::read::Decoder<'static, BufReader<Watched<R>>>);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => error,
            _ if self.0.get_ref().get_ref().failed => error,
            _ => io::Error::new(io::ErrorKind::InvalidData, error),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use proptest::prelude::*;

    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut writer = CompressedWriter::new(Vec::new()).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap().0
    }

    fn open(bytes: &[u8], limits: &Limits) -> Result<Compressed, CompressedError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        Compressed::open(file, limits)
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

    #[test]
    fn a_pipe_is_unpacked_as_it_comes() {
        let content = content();
        let read = |bytes: Vec<u8>| {
            let mut all = Vec::new();
            let result = uncompressed(Box::new(io::Cursor::new(bytes))).unwrap().read_to_end(&mut all);
            result.map(|_| all)
        };
        assert!(read(content.clone()).unwrap() == content);
        let bytes = packed(&content);
        assert!(read(bytes.clone()).unwrap() == content);
        assert!(read(zstd::bulk::compress(&content, 3).unwrap()).unwrap() == content);
        let cut = read(bytes[..bytes.len() / 2].to_vec()).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        let more = read([&bytes[..], b"garbage"].concat()).unwrap_err();
        assert_eq!(more.kind(), io::ErrorKind::InvalidData);
        let mut flipped = bytes;
        flipped[1000] ^= 1;
        assert_eq!(read(flipped).unwrap_err().kind(), io::ErrorKind::InvalidData);
        for short in [&b""[..], b"a", b"abc"] {
            assert_eq!(read(short.to_vec()).unwrap(), short);
        }
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
