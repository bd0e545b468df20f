//! Targets of the format: what anybody may put before a reader of bundles.
//! Takes any bytes; what is accepted must be what a writer would have written.

use std::io::Read;
use std::path::{Path, PathBuf};

use bundle_format::testing::{self, key};
use bundle_format::{
    AbsenceNotice, Archive, BLOCK, BlobSink, Cursor, Layer, Limits, Medium, Pipe, Receipt, ShortReceipt, Statement,
    Timestamp, TrustPolicy, Trusted, Unverified, VolumeIndex, uncompressed,
};
use bundle_oci::{Digest, Manifest, MediaType};

use crate::seeds::protected;

fn now() -> Timestamp {
    Timestamp::from_unix(1_800_000_000).unwrap()
}

pub(crate) fn statement(bytes: &[u8]) {
    let Ok(statement) = Statement::parse(bytes, &Limits::V1) else { return };
    let again = Statement::parse(&statement.to_bytes(), &Limits::V1).expect("what is written is read");
    assert_eq!(again, statement);
}

pub(crate) fn manifest(bytes: &[u8]) {
    for media_type in [MediaType::IMAGE_MANIFEST, MediaType::IMAGE_INDEX] {
        let media_type: MediaType = media_type.parse().unwrap();
        let _ = Manifest::parse(bytes, &media_type);
    }
}

/// Signs the statement anew, wherever the first header says that it ends: what is behind the signature is
/// to be reached.
fn signed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let size = bytes.get(124..135).and_then(|octal| std::str::from_utf8(octal).ok());
    let Some(size) = size.and_then(|octal| usize::from_str_radix(octal, 8).ok()) else { return bytes };
    let end = BLOCK as usize + size;
    let place = end.next_multiple_of(BLOCK as usize) + BLOCK as usize;
    if let Some(statement) = bytes.get(BLOCK as usize..end)
        && place + 64 <= bytes.len()
    {
        let signature = key().sign(statement);
        bytes[place..place + 64].copy_from_slice(signature.as_ref());
    }
    bytes
}

fn trusted(reader: &mut impl Read) -> Option<Trusted> {
    let head = Unverified::read(reader, &Limits::V1).ok()?;
    TrustPolicy::single("test", key().public()).check(head, &[], now(), &Limits::V1).ok()
}

/// Whether a medium has a whole bundle, every blob of which is right.
fn is_whole(medium: &dyn Layer) -> bool {
    let shared = medium;
    let Some(trusted) = Cursor::new(&Borrowed(shared)).ok().and_then(|mut cursor| trusted(&mut cursor))
    else {
        return false;
    };
    let Ok(archive) = Archive::open(Borrowed(shared), trusted) else { return false };
    archive.graph(&Limits::V1).is_ok() && archive.damaged_blobs(1, &|_, _| Ok(())).is_empty()
}

pub(crate) fn archive(bytes: &[u8]) {
    let bytes = signed(bytes);
    let is_whole = is_whole(&bytes);
    // A pipe of the same bytes has the same verdict.
    assert_eq!(is_whole, reads(&bytes[..]), "a file and a pipe differ");
}

struct Nowhere;

impl BlobSink for Nowhere {
    fn take(&mut self, _: bundle_format::Blob, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

fn reads(bytes: &[u8]) -> bool {
    let Ok(mut reader) = uncompressed(Box::new(std::io::Cursor::new(bytes.to_vec()))) else { return false };
    let Some(trusted) = trusted(&mut reader) else { return false };
    let Ok(mut pipe) = Pipe::open(reader, trusted) else { return false };
    pipe.graph(&mut Nowhere, &Limits::V1).is_ok() && pipe.finish(&mut Nowhere).is_ok()
}

pub(crate) fn pipe(bytes: &[u8]) {
    reads(bytes);
    reads(&signed(bytes));
}

pub(crate) fn volume_index(bytes: &[u8]) {
    if let Ok(index) = VolumeIndex::parse(bytes, &Limits::V1) {
        assert_eq!(VolumeIndex::parse(&index.to_bytes(), &Limits::V1).unwrap(), index);
        assert_eq!(index.ranges().len(), index.volumes.len());
    }
}

/// A directory with a file in it.
struct Stick {
    directory: tempfile::TempDir,
}

impl Stick {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let shared = Path::new("/dev/shm");
        let base = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let stick = Self { directory: tempfile::tempdir_in(base).unwrap() };
        std::fs::write(stick.path(name), bytes).unwrap();
        stick
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

pub(crate) fn frames(bytes: &[u8]) {
    let stick = Stick::new("b.tar.zst", bytes);
    let Ok(medium) = Medium::open(&stick.path("b.tar.zst"), &Limits::V1) else { return };
    if is_whole(&medium) && bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        assert!(reads(bytes), "a file and a pipe differ");
    }
}

/// A compact encoding, whose bases are not here: what it gives is right, or it is refused.
pub(crate) fn compact(bytes: &[u8]) {
    let stick = Stick::new("b.tar", bytes);
    let Ok(medium) = Medium::open(&stick.path("b.tar"), &Limits::V1) else { return };
    if is_whole(&medium) && bytes.starts_with(b"compact-bundle 1") {
        assert!(reads(bytes), "a file and a pipe differ");
    }
}

/// A layer, and one after it that is a little different: whatever they are, such as zips that lie, they come back of a
/// compact encoding.
pub(crate) fn compact_layer(bytes: &[u8]) {
    let mut next = bytes.to_vec();
    // Of an empty one there is no other.
    let Some(byte) = next.get_mut(bytes.len() / 3) else { return };
    *byte ^= 1;
    let layers = [&crate::seeds::zips()[0][..], bytes, &next];
    let encoding = testing::compact(&testing::bundle(&layers), layers.len());
    assert!(reads(&encoding), "it does not come back");
}

pub(crate) fn receipt(bytes: &[u8]) {
    if let Ok(notice) = AbsenceNotice::parse(bytes, &Limits::V1) {
        assert_eq!(AbsenceNotice::parse(&notice.to_bytes(), &Limits::V1).unwrap(), notice);
    }
    if let Ok(receipt) = Receipt::parse(bytes, &Limits::V1) {
        assert_eq!(Receipt::parse(&receipt.to_bytes(), &Limits::V1).unwrap(), receipt);
    }
}

pub(crate) fn short_receipt(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(receipt) = text.parse::<ShortReceipt>() {
        assert_eq!(receipt.to_string().parse::<ShortReceipt>().unwrap().to_string(), receipt.to_string());
    }
}

/// The first eight bytes say where the bundle is damaged (up to two places, far less than the share), the
/// others are its parity. A good bundle stays good with any parity; each byte that is read is a stored one,
/// or a rebuilt one that matches its digest, or the bundle is refused.
pub(crate) fn parity(bytes: &[u8]) {
    let Some((damage, parity)) = bytes.split_at_checked(8) else { return };
    let good = protected();
    let mut stands = good.clone();
    for place in damage.chunks(4) {
        let at = (usize::from(place[0]) * 256 + usize::from(place[1])) % stands.len();
        let length = usize::from(place[2]) * 256 + usize::from(place[3]);
        let end = (at + length.min(1500)).min(stands.len());
        stands[at..end].iter_mut().for_each(|byte| *byte = !*byte);
    }
    let stick = Stick::new("b.tar", &stands);
    std::fs::write(stick.path("b.tar.parity"), parity).unwrap();
    let open = |with_parity: bool| match with_parity {
        true => Medium::open(&stick.path("b.tar"), &Limits::V1).unwrap(),
        false => Medium::open_as_it_is(&stick.path("b.tar"), &Limits::V1).unwrap(),
    };
    // As `bundle-importer` does it: with parity, and if that fails without.
    let is_right = |medium: &Medium| {
        let mut blobs = Vec::new();
        let trusted = Cursor::new(medium).ok().and_then(|mut cursor| trusted(&mut cursor))?;
        let archive = Archive::open(Borrowed(medium), trusted).ok()?;
        archive.graph(&Limits::V1).ok()?;
        for blob in &archive.statement().blobs {
            blobs.push(archive.read_blob(blob.digest)?.ok()?);
        }
        Some((archive.trusted().digest(), blobs))
    };
    let found = is_right(&open(true)).or_else(|| is_right(&open(false)));
    if let Some((_, blobs)) = &found {
        let expected = is_right_of(&good);
        let digests = |blobs: &[Vec<u8>]| blobs.iter().map(|bytes| Digest::of(bytes)).collect::<Vec<_>>();
        assert_eq!(digests(blobs), expected, "wrong bytes were given");
    } else {
        assert!(stands != good, "parity kept out a bundle that is right");
    }
}

fn is_right_of(good: &[u8]) -> Vec<Digest> {
    let good = good.to_vec();
    let trusted = trusted(&mut &good[..]).unwrap();
    trusted.statement().blobs.iter().map(|blob| blob.digest).collect()
}

/// A borrowed layer.
struct Borrowed<'a>(&'a dyn Layer);

impl Layer for Borrowed<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        self.0.read_at_once(buffer, offset)
    }

    fn size(&self) -> std::io::Result<u64> {
        self.0.size()
    }

    fn has(&self, bytes: &std::ops::Range<u64>) -> bool {
        self.0.has(bytes)
    }

    fn parts_of(&self, bytes: &std::ops::Range<u64>) -> Vec<std::ops::Range<u64>> {
        self.0.parts_of(bytes)
    }

    fn files_of(&self, bytes: &std::ops::Range<u64>) -> Vec<PathBuf> {
        self.0.files_of(bytes)
    }

    fn missing(&self) -> Vec<PathBuf> {
        self.0.missing()
    }

    fn place(&self, bytes: &std::ops::Range<u64>) -> Option<String> {
        self.0.place(bytes)
    }

    fn settle(&self, bytes: &std::ops::Range<u64>, is_right: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        self.0.settle(bytes, is_right)
    }
}
