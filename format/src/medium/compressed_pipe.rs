//! Reads a pipe that may be compressed.
//! Takes a reader, gives its bytes uncompressed, or as they are if they were not compressed.

use std::io::{self, BufReader, Read};

use crate::compact::pipe::CompactPipe;
use crate::{Compact, Compressed, Lent, Limits};

/// Reads a pipe that may be compressed, as what it unpacks to.
///
/// # Errors
/// The first bytes cannot be read.
pub fn uncompressed(reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    uncompressed_with(reader, &Lent::default())
}

/// The same, of a pipe that may be a compact encoding, whose blobs are made with what is lent.
///
/// # Errors
/// The first bytes cannot be read, or a compact encoding's header is not valid.
pub fn uncompressed_with(mut reader: Box<dyn Read + Send>, lent: &Lent) -> io::Result<Box<dyn Read + Send>> {
    let mut start = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut start)?;
    let compressed = Compressed::starts(&start);
    let compact = Compact::starts(&start);
    let whole = io::Cursor::new(start).chain(reader);
    if compact {
        let buffered = BufReader::with_capacity(128 << 10, whole);
        let pipe = CompactPipe::new(buffered, lent.clone(), &Limits::V1);
        return Ok(Box::new(pipe.map_err(crate::CompactError::into_io)?));
    }
    if !compressed {
        return Ok(Box::new(whole));
    }
    let source = Watched { reader: whole, failed: false };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(128 << 10, source))?;
    decoder.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(Limits::V1.piped_window))?;
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

/// The decompressed bytes of a pipe. Bytes that cannot be decompressed are damage, not a failure of the
/// medium.
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

    use super::*;
    use crate::testing::compressed as packed;

    fn content() -> Vec<u8> {
        (0..5_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
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
}
