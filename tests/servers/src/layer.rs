//! Made-up layers: real tar archives of incompressible bytes, the same for the same seed.
//! Takes a seed, a size and a compression; gives the blob and the digest of what it unpacks to.

use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use crate::blob::{Blob, Content, Hashing};
use crate::image::Format;

/// Directories a layer's file lies in, so that an unpacker has more than one entry to deal with.
const DIRECTORIES: [&str; 2] = ["srv/", "srv/made-up/"];

/// A DEFLATE stored block's largest content (RFC 1951 §3.2.4).
const STORED_BLOCK: usize = 0xffff;

/// How a layer's tar is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// A bare tar.
    None,
    /// A gzip member.
    Gzip,
}

/// The specification of a made-up layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    /// Names the content: another seed, other bytes.
    pub seed: u64,
    /// The size of the file in the layer, in bytes; the blob is a few KiB larger.
    pub size: u64,
    /// How the tar is wrapped.
    pub compression: Compression,
}

impl LayerSpec {
    /// A gzip layer with a file of `size` bytes.
    pub fn new(seed: u64, size: u64) -> LayerSpec {
        LayerSpec { seed, size, compression: Compression::Gzip }
    }

    /// The same layer as a bare tar.
    pub fn uncompressed(self) -> LayerSpec {
        LayerSpec { compression: Compression::None, ..self }
    }

    /// Makes the layer once to learn its digests; nothing of it stays in memory.
    pub fn build(self) -> Layer {
        // Sinks do not fail, and neither does the generator behind them.
        let (diff_id, digest, size) = self.measure().expect("a sink does not fail");
        Layer { diff_id, digest, size, compression: self.compression, content: Content::Layer(self) }
    }

    /// Writes the layer's blob, a buffer at a time.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write_to(self, to: &mut impl Write) -> io::Result<()> {
        match self.compression {
            Compression::None => self.write_tar(to),
            Compression::Gzip => {
                let mut gzip = StoredGzip::new(to)?;
                self.write_tar(&mut gzip)?;
                gzip.finish().map(drop)
            }
        }
    }

    fn measure(self) -> io::Result<(String, String, u64)> {
        let mut blob = Hashing::new(io::sink());
        let diff_id = match self.compression {
            Compression::None => {
                self.write_tar(&mut blob)?;
                None
            }
            Compression::Gzip => {
                let mut tar = Hashing::new(StoredGzip::new(&mut blob)?);
                self.write_tar(&mut tar)?;
                let (diff_id, _, gzip) = tar.finish();
                gzip.finish()?;
                Some(diff_id)
            }
        };
        let (digest, size, _) = blob.finish();
        Ok((diff_id.unwrap_or_else(|| digest.clone()), digest, size))
    }

    fn write_tar(self, to: &mut impl Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(to);
        for directory in DIRECTORIES {
            tar.append_data(&mut header(tar::EntryType::Directory, 0o755, 0), directory, io::empty())?;
        }
        let content = BufReader::with_capacity(64 * 1024, XorShift::new(self.seed)).take(self.size);
        let mut file = header(tar::EntryType::Regular, 0o644, self.size);
        tar.append_data(&mut file, format!("srv/made-up/{:016x}.bin", self.seed), content)?;
        tar.finish()
    }
}

/// A layer that knows its digests; cheap to clone and to share between images.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The digest of the bare tar, as `rootfs.diff_ids` lists it.
    pub diff_id: String,
    /// The digest of the blob.
    pub digest: String,
    /// The size of the blob, in bytes.
    pub size: u64,
    compression: Compression,
    content: Content,
}

impl Layer {
    /// A gzip layer that is a file on disk; the file must stay as it is.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no gzip.
    pub fn from_gzip_file(path: &Path) -> io::Result<Layer> {
        let blob = Blob::from_file("", path)?;
        let mut tar = Hashing::new(io::sink());
        io::copy(&mut flate2::read::GzDecoder::new(std::fs::File::open(path)?), &mut tar)?;
        Ok(Layer {
            diff_id: tar.finish().0,
            digest: blob.digest,
            size: blob.size,
            compression: Compression::Gzip,
            content: Content::File(Arc::new(path.to_owned())),
        })
    }

    /// The layer as a blob of an image in that format.
    pub fn blob(&self, format: Format) -> Blob {
        let media_type = match (format, self.compression) {
            (Format::Oci, Compression::None) => "application/vnd.oci.image.layer.v1.tar",
            (Format::Oci, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (Format::DockerSchema2, Compression::None) => "application/vnd.docker.image.rootfs.diff.tar",
            (Format::DockerSchema2, Compression::Gzip) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        };
        Blob {
            media_type: media_type.to_owned(),
            digest: self.digest.clone(),
            size: self.size,
            content: self.content.clone(),
        }
    }
}

impl From<LayerSpec> for Layer {
    fn from(spec: LayerSpec) -> Layer {
        spec.build()
    }
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// xorshift64* (Vigna 2016): fast, and nothing a compressor could find in a layer.
struct XorShift {
    state: u64,
}

impl XorShift {
    fn new(seed: u64) -> XorShift {
        // The state must not be zero, and neighbouring seeds must not start alike.
        XorShift { state: seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Yields whole words only: the content must not depend on the sizes of the reader's buffers, so it is
/// always read through a buffer of a multiple of eight bytes.
impl Read for XorShift {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let whole = buffer.len() / 8 * 8;
        assert!(whole > 0, "the generator is read through a buffer");
        for word in buffer[..whole].chunks_exact_mut(8) {
            word.copy_from_slice(&self.next().to_le_bytes());
        }
        Ok(whole)
    }
}

/// A gzip member of stored blocks (RFC 1952, RFC 1951 §3.2.4).
///
/// A compressor's output changes with its version, and the digests of made-up images must not; nor is there
/// anything to gain on random bytes.
pub(crate) struct StoredGzip<W> {
    to: W,
    block: Vec<u8>,
    crc: flate2::Crc,
}

impl StoredGzip<Vec<u8>> {
    /// A tar.gz of these files.
    pub(crate) fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let tar_gz = || {
            let mut tar = tar::Builder::new(StoredGzip::new(Vec::new())?);
            for (path, content) in files {
                let mut header = header(tar::EntryType::Regular, 0o644, content.len() as u64);
                tar.append_data(&mut header, path, *content)?;
            }
            tar.into_inner()?.finish()
        };
        // A vector takes everything.
        tar_gz().map_err(|e: io::Error| e).expect("memory does not fail")
    }
}

impl<W: Write> StoredGzip<W> {
    fn new(mut to: W) -> io::Result<StoredGzip<W>> {
        // Deflate, no flags, no time, no extra flags, unknown operating system.
        to.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])?;
        Ok(StoredGzip { to, block: Vec::with_capacity(STORED_BLOCK), crc: flate2::Crc::new() })
    }

    fn end_block(&mut self, last: bool) -> io::Result<()> {
        // The block is never longer than STORED_BLOCK.
        let length = u16::try_from(self.block.len()).expect("a block's length fits");
        let mut head = [u8::from(last), 0, 0, 0, 0];
        head[1..3].copy_from_slice(&length.to_le_bytes());
        head[3..5].copy_from_slice(&(!length).to_le_bytes());
        self.to.write_all(&head)?;
        self.to.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.end_block(true)?;
        self.to.write_all(&self.crc.sum().to_le_bytes())?;
        self.to.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.to)
    }
}

impl<W: Write> Write for StoredGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == STORED_BLOCK {
            self.end_block(false)?;
        }
        let n = bytes.len().min(STORED_BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..n]);
        self.crc.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_what_its_digests_say() {
        for spec in [LayerSpec::new(1, 0), LayerSpec::new(2, 200_001), LayerSpec::new(3, 9).uncompressed()] {
            let blob = spec.build().blob(Format::Oci);
            let bytes = blob.bytes().unwrap();
            assert_eq!((crate::sha256(&bytes), bytes.len() as u64), (blob.digest, blob.size), "{spec:?}");
        }
    }

    #[test]
    fn a_gzip_layer_holds_a_tar_with_the_file() {
        let layer = LayerSpec::new(7, 150_000).build();
        let gzip = layer.blob(Format::Oci).bytes().unwrap();
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut tar).unwrap();
        assert_eq!(crate::sha256(&tar), layer.diff_id);
        assert_eq!(layer.diff_id, LayerSpec::new(7, 150_000).uncompressed().build().digest);
        let mut archive = tar::Archive::new(&tar[..]);
        let entries: Vec<(String, u64)> = archive
            .entries()
            .unwrap()
            .map(|e| e.unwrap())
            .map(|e| (e.path().unwrap().display().to_string(), e.size()))
            .collect();
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[2], ("srv/made-up/0000000000000007.bin".to_owned(), 150_000));
    }

    #[test]
    fn content_depends_on_the_seed_alone() {
        assert_eq!(LayerSpec::new(1, 4096).build().digest, LayerSpec::new(1, 4096).build().digest);
        assert_ne!(LayerSpec::new(1, 4096).build().digest, LayerSpec::new(2, 4096).build().digest);
    }
}
