//! Compression of whole archives and of layers, told by the first bytes. Takes a reader; gives one of the
//! unpacked bytes, which ends with an error where there are more than may be.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;

use bundle_oci::{Digest, Hasher};
use flate2::read::MultiGzDecoder;

use super::content::Content;
use super::error::LocalCause;

/// How archives and layers are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstandard,
}

/// The largest window of Zstandard in bits: 128 MiB, as the command-line tool takes without being told.
const WINDOW: u32 = 27;
/// How much is read at once, in bytes.
const PIECE: usize = 256 << 10;

impl Compression {
    /// By the first bytes (RFC 1952 §2.3.1, RFC 8878 §3.1.1).
    pub(super) fn of(content: &Content) -> io::Result<Self> {
        let mut start = [0; 4];
        let mut reader = content.reader(0)?;
        let mut length = 0;
        while length < start.len() {
            match reader.read(&mut start[length..])? {
                0 => break,
                read => length += read,
            }
        }
        Ok(match start {
            [0x1f, 0x8b, 0x08, _] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Zstandard,
            _ => Self::None,
        })
    }

    /// The end of a layer's media type (image-spec, layer.md).
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => "+gzip",
            Self::Zstandard => "+zstd",
        }
    }

    fn unpack<'a, R: Read + 'a>(self, reader: R) -> io::Result<Box<dyn Read + 'a>> {
        let reader = BufReader::with_capacity(PIECE, reader);
        Ok(match self {
            Self::None => Box::new(reader),
            Self::Gzip => Box::new(MultiGzDecoder::new(reader)),
            Self::Zstandard => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
                decoder.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(WINDOW))?;
                Box::new(decoder)
            }
        })
    }
}

/// The bytes of an archive that is compressed as a whole, in a temporary file without a name. Blobs are read
/// in the order of the bundle, and a compressed archive can be read in its own order only.
pub(super) fn unpack(content: &Content, compression: Compression, limit: u64) -> Result<File, LocalCause> {
    let mut reader = compression.unpack(content.reader(0)?)?;
    let directory = directory();
    let mut file = tempfile::tempfile_in(&directory).map_err(LocalCause::Spool)?;
    let mut buffer = vec![0; PIECE];
    let mut left = limit;
    loop {
        let length = reader.read(&mut buffer).map_err(damaged)?;
        if length == 0 {
            return Ok(file);
        }
        left = left.checked_sub(length as u64).ok_or(LocalCause::Unpacked(limit))?;
        file.write_all(&buffer[..length]).map_err(LocalCause::Spool)?;
    }
}

/// Where temporary files go: `TMPDIR`, or `/var/tmp`, for `/tmp` is often in memory.
fn directory() -> PathBuf {
    let var = PathBuf::from("/var/tmp");
    if std::env::var_os("TMPDIR").is_none() && var.is_dir() { var } else { std::env::temp_dir() }
}

/// The digest of some content as it is, and unpacked.
pub(super) struct Digests {
    pub(super) packed: Digest,
    pub(super) unpacked: Digest,
}

/// Hashes a compressed layer as it is and unpacked. Of a layer with more than `limit` bytes the rest is not read.
pub(super) fn digests(
    content: &Content,
    compression: Compression,
    limit: u64,
) -> Result<Digests, LocalCause> {
    let mut packed = Hashing { inner: content.reader(0)?, hasher: Hasher::new() };
    let mut unpacked = Hasher::new();
    {
        let mut reader = compression.unpack(&mut packed)?;
        let mut buffer = vec![0; PIECE];
        let mut left = limit;
        loop {
            let length = reader.read(&mut buffer).map_err(damaged)?;
            if length == 0 {
                break;
            }
            left = left.checked_sub(length as u64).ok_or(LocalCause::Unpacked(limit))?;
            unpacked.update(&buffer[..length]);
        }
    }
    // Bytes behind the compressed stream are a part of the layer.
    io::copy(&mut packed, &mut io::sink())?;
    Ok(Digests { packed: packed.hasher.finish(), unpacked: unpacked.finish() })
}

/// The digest of some content.
pub(super) fn digest(content: &Content) -> io::Result<Digest> {
    let mut reader = Hashing { inner: content.reader(0)?, hasher: Hasher::new() };
    let mut buffer = vec![0; PIECE];
    while reader.read(&mut buffer)? > 0 {}
    Ok(reader.hasher.finish())
}

/// What cannot be unpacked is damaged; a file that cannot be read is something else.
fn damaged(error: io::Error) -> LocalCause {
    match error.raw_os_error() {
        Some(_) => LocalCause::Read(error),
        None => LocalCause::Document {
            file: "compressed data".to_owned(),
            what: format!("cannot be unpacked: {error}"),
        },
    }
}

struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}
