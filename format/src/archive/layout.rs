//! Where every entry of an archive lies, and its header: all that follows from a statement.
//! Takes the sizes of entries, gives their offsets and 512-byte headers (docs/format.md §Archive).

use std::fmt;

use bundle_oci::Digest;

use crate::{SignatureBytes, Statement};

/// The block that headers fill and contents are padded to, in bytes (POSIX ustar).
pub const BLOCK: u64 = 512;
/// The bytes of the entry `oci-layout` (image-spec, image-layout.md §oci-layout file).
pub const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The length of a raw Ed25519 signature in bytes (RFC 8032 §5.1.6).
pub const SIGNATURE: u64 = SignatureBytes::LENGTH as u64;
/// The two closing blocks of zeros.
pub const TRAILER: u64 = 2 * BLOCK;

/// The name of an entry of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryName {
    /// `bundle.json`
    Statement,
    /// `bundle.json.sig`
    Signature,
    /// `oci-layout`
    OciLayout,
    /// `index.json`
    Index,
    /// `blobs/sha256/<hex>`
    Blob(Digest),
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement => f.write_str("bundle.json"),
            Self::Signature => f.write_str("bundle.json.sig"),
            Self::OciLayout => f.write_str("oci-layout"),
            Self::Index => f.write_str("index.json"),
            Self::Blob(digest) => write!(f, "blobs/sha256/{}", digest.hex()),
        }
    }
}

/// An entry and where its content lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry's name.
    pub name: EntryName,
    /// The first byte of its content in the archive. Its header fills the 512 bytes before.
    pub offset: u64,
    /// The length of its content in bytes.
    pub size: u64,
}

impl Entry {
    /// An entry of an archive of another kind, whose place is not asked for.
    pub fn alone(name: EntryName, size: u64) -> Self {
        Self { name, offset: BLOCK, size }
    }

    /// The first byte of the entry's header in the archive.
    pub fn header_offset(&self) -> u64 {
        self.offset - BLOCK
    }

    /// The entry's header.
    pub fn header(&self) -> [u8; BLOCK as usize] {
        header(self.name, self.size)
    }

    /// How many zeros follow the content.
    pub fn padding(&self) -> u64 {
        padding(self.size)
    }

    /// The first byte after the content and its padding.
    pub fn end(&self) -> u64 {
        self.offset + self.size + self.padding()
    }
}

/// The zeros that fill `size` bytes up to whole blocks.
pub(crate) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK
}

/// The one header that an entry of this name and size has (docs/format.md §Header).
pub(crate) fn header(name: EntryName, size: u64) -> [u8; BLOCK as usize] {
    let mut header = tar::Header::new_ustar();
    header.set_path(name.to_string()).expect("every entry's name fits the 100 bytes of a header");
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

/// The archive that follows from a statement: every entry's place, and so every byte that is not
/// blob content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    entries: Vec<Entry>,
    size: u64,
}

impl Layout {
    /// The entries before the first blob.
    pub const HEAD: usize = 4;

    /// The layout of the archive with this statement, whose bytes are `statement_size` long.
    pub fn of(statement: &Statement, statement_size: u64) -> Self {
        let head = [
            (EntryName::Statement, statement_size),
            (EntryName::Signature, SIGNATURE),
            (EntryName::OciLayout, OCI_LAYOUT.len() as u64),
            (EntryName::Index, statement.index.size),
        ];
        let blobs = statement.blobs.iter().map(|blob| (EntryName::Blob(blob.digest), blob.size));
        let mut end = 0;
        let entries = head
            .into_iter()
            .chain(blobs)
            .map(|(name, size)| {
                let entry = Entry { name, offset: end + BLOCK, size };
                end = entry.end();
                entry
            })
            .collect();
        Self { entries, size: end + TRAILER }
    }

    /// All entries in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries of the blobs, in the order of the statement's list.
    pub fn blobs(&self) -> &[Entry] {
        &self.entries[Self::HEAD..]
    }

    /// The offset of the blob at a position of the statement's list, with its header; the end, if there is
    /// none.
    pub fn start_of_blob(&self, position: usize) -> u64 {
        self.blobs().get(position).map_or(self.size, Entry::header_offset)
    }

    /// The length of the archive in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::statement;

    #[test]
    fn a_header_is_what_the_specification_says() {
        let header = header(EntryName::OciLayout, 30);
        assert_eq!(&header[..10], b"oci-layout");
        assert_eq!(&header[100..108], b"0000644\0");
        assert_eq!(&header[108..116], b"0000000\0");
        assert_eq!(&header[116..124], b"0000000\0");
        assert_eq!(&header[124..136], b"00000000036\0");
        assert_eq!(&header[136..148], b"00000000000\0");
        assert_eq!(header[156], b'0');
        assert_eq!(&header[257..265], b"ustar\x0000");
        assert!(header[265..].iter().all(|&byte| byte == 0));
        let sum: u32 = header
            .iter()
            .enumerate()
            .map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u32::from(byte) })
            .sum();
        assert_eq!(&header[148..156], format!("{sum:07o}\0").as_bytes());
    }

    #[test]
    fn sizes_above_eight_gibibytes_are_base_256() {
        let header = header(EntryName::Index, 9 << 30);
        assert_eq!(header[124], 0x80);
        assert_eq!(u64::from_be_bytes(header[128..136].try_into().unwrap()), 9 << 30);
    }

    #[test]
    fn entries_follow_each_other_without_gaps() {
        let statement = statement(&[b"", b"one", &[7; 512], &[7; 513]]);
        let layout = Layout::of(&statement, statement.to_bytes().len() as u64);
        let mut end = 0;
        for entry in layout.entries() {
            assert_eq!(entry.header_offset(), end);
            end = entry.end();
        }
        assert_eq!(layout.size(), end + 1024);
        assert_eq!(layout.blobs().len(), statement.blobs.len());
    }
}
