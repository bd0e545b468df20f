//! A blob: bytes with a digest, in memory, in a file, or made again each time they are wanted.
//! Gives the bytes as a reader, so that a large one never has to be in memory whole.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::layer::LayerSpec;

/// `sha256:<hex>` of the bytes.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Hashing::new(io::sink());
    // A sink takes everything.
    hasher.write_all(bytes).expect("a sink does not fail");
    hasher.finish().0
}

/// Content a manifest refers to.
#[derive(Clone, Debug)]
pub struct Blob {
    /// The media type its descriptor says.
    pub media_type: String,
    /// `sha256:<hex>`.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    pub(crate) content: Content,
}

/// Where a blob's bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Arc<[u8]>),
    File(Arc<PathBuf>),
    Layer(LayerSpec),
}

impl Blob {
    /// A blob held in memory.
    pub fn new(media_type: &str, bytes: impl Into<Vec<u8>>) -> Blob {
        let bytes = bytes.into();
        Blob {
            media_type: media_type.to_owned(),
            digest: sha256(&bytes),
            size: bytes.len() as u64,
            content: Content::Bytes(bytes.into()),
        }
    }

    /// A blob that is a file's content; the file must stay as it is.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn from_file(media_type: &str, path: &Path) -> io::Result<Blob> {
        let mut hasher = Hashing::new(io::sink());
        io::copy(&mut File::open(path)?, &mut hasher)?;
        let (digest, size, _) = hasher.finish();
        let content = Content::File(Arc::new(path.to_owned()));
        Ok(Blob { media_type: media_type.to_owned(), digest, size, content })
    }

    /// Writes the content, with at most one buffer of it in memory.
    ///
    /// # Errors
    ///
    /// Those of the writer, and of reading the file behind the blob.
    pub fn write_to(&self, to: &mut impl Write) -> io::Result<()> {
        match &self.content {
            Content::Bytes(bytes) => to.write_all(bytes),
            Content::File(path) => io::copy(&mut File::open(path.as_path())?, to).map(drop),
            Content::Layer(layer) => layer.write_to(to),
        }
    }

    /// The whole content in memory; for small blobs.
    ///
    /// # Errors
    ///
    /// As [`Blob::write_to`].
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes)?;
        Ok(bytes)
    }
}

/// Passes bytes on and knows their digest and number.
pub(crate) struct Hashing<W> {
    to: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Hashing<W> {
    pub(crate) fn new(to: W) -> Hashing<W> {
        Hashing { to, hasher: Sha256::new(), size: 0 }
    }

    /// Bytes passed so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The digest of the bytes so far.
    pub(crate) fn digest(&self) -> String {
        let mut digest = String::from("sha256:");
        for byte in self.hasher.clone().finalize() {
            // Writing to a String does not fail.
            write!(digest, "{byte:02x}").expect("a string grows");
        }
        digest
    }

    /// Digest, size and the writer behind.
    pub(crate) fn finish(self) -> (String, u64, W) {
        (self.digest(), self.size, self.to)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.size += n as u64;
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
    fn the_digest_is_sha256() {
        // distribution-spec and every registry know this one: the empty blob.
        assert_eq!(sha256(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn a_file_and_the_same_bytes_are_the_same_blob() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"content").unwrap();
        let (from_file, from_bytes) =
            (Blob::from_file("x/y", file.path()).unwrap(), Blob::new("x/y", *b"content"));
        assert_eq!((&from_file.digest, from_file.size), (&from_bytes.digest, 7));
        assert_eq!(from_file.bytes().unwrap(), from_bytes.bytes().unwrap());
    }
}
