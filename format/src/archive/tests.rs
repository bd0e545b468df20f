//! Checks every byte of an archive against its statement, from a file and from a pipe. Takes a bundle with
//! one byte changed, expects the damage to be named.

use std::io::{self, Read};

use bundle_oci::Digest;
use proptest::prelude::*;

use crate::archive::layout::{self, EntryName};
use crate::testing::{bundle, policy, statement};
use crate::{
    Archive, Blob, BlobSink, Damage, Graph, Layer, Limits, Pipe, Timestamp, TrustError, Trusted, Unverified,
};

#[derive(Debug)]
enum Refusal {
    Damage(#[expect(dead_code, reason = "shown when a test fails")] Damage),
    Trust(#[expect(dead_code, reason = "shown when a test fails")] TrustError),
}

fn trust(reader: &mut impl Read) -> Result<Trusted, Refusal> {
    let head = Unverified::read(reader, &Limits::V1).map_err(Refusal::Damage)?;
    let now = Timestamp::from_unix(1_800_000_000).unwrap();
    policy().check(head, &[], now, &Limits::V1).map_err(Refusal::Trust)
}

fn verify(bytes: &[u8]) -> Result<Graph, Refusal> {
    let trusted = trust(&mut &bytes[..])?;
    let archive = Archive::open(bytes.to_vec(), trusted).map_err(Refusal::Damage)?;
    let graph = archive.graph(&Limits::V1).map_err(Refusal::Damage)?;
    match archive.damaged_blobs(2, &|_, _| Ok(())).pop() {
        Some(damage) => Err(Refusal::Damage(damage)),
        None => Ok(graph),
    }
}

#[derive(Default)]
struct Kept(Vec<(Blob, Vec<u8>)>);

impl BlobSink for Kept {
    fn take(&mut self, blob: Blob, bytes: &[u8]) -> io::Result<()> {
        match self.0.last_mut() {
            Some((last, kept)) if *last == blob => kept.extend_from_slice(bytes),
            _ => self.0.push((blob, bytes.to_vec())),
        }
        Ok(())
    }
}

fn verify_piped(mut bytes: &[u8]) -> Result<Kept, Refusal> {
    let trusted = trust(&mut bytes)?;
    let mut pipe = Pipe::open(bytes, trusted).map_err(Refusal::Damage)?;
    let mut kept = Kept::default();
    pipe.graph(&mut kept, &Limits::V1).map_err(Refusal::Damage)?;
    pipe.finish(&mut kept).map_err(Refusal::Damage)?;
    Ok(kept)
}

#[test]
fn what_changed_since_it_was_verified_is_found_when_it_is_read_for_the_push() {
    let bytes = bundle(&[b"layer"]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.tar");
    std::fs::write(&path, &bytes).unwrap();
    let trusted = trust(&mut &bytes[..]).unwrap();
    let archive = Archive::open(std::fs::File::open(&path).unwrap(), trusted).unwrap();
    let archive = std::sync::Arc::new(archive);
    let flip = |entry: &layout::Entry| {
        let mut changed = std::fs::read(&path).unwrap();
        changed[entry.offset as usize] ^= 1;
        std::fs::write(&path, changed).unwrap();
    };
    archive.graph(&Limits::V1).unwrap();
    assert!(archive.damaged_blobs(1, &|_, _| Ok(())).is_empty());
    let blobs = archive.statement().blobs.clone();
    for (blob, entry) in blobs.iter().zip(archive.layout().blobs()) {
        flip(entry);
        // A manifest is read whole, a layer piece by piece.
        let whole = archive.read_blob(blob.digest).unwrap();
        assert!(matches!(whole, Err(Damage::Content(found)) if found == *entry));
        let mut reader = archive.open_blob(blob.digest).unwrap();
        let mut piece = vec![0; blob.size as usize];
        assert!(matches!(reader.next(&mut piece), Err(Damage::Content(_))));
        flip(entry);
        assert!(archive.read_blob(blob.digest).unwrap().is_ok());
    }
}

#[test]
fn a_file_that_was_just_written_can_be_read_at_once() {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"0123456789").unwrap();
    let mut buffer = [0; 4];
    // A file system may refuse; then the buffer is filled in the usual way.
    if file.read_at_once(&mut buffer, 3) {
        assert_eq!(&buffer, b"3456");
    }
    assert!(!file.read_at_once(&mut buffer, 8), "the file ends before");
    Layer::read_exact_at(&file, &mut buffer, 3).unwrap();
    assert_eq!(&buffer, b"3456");
}

#[test]
fn every_single_byte_change_is_refused() {
    let bytes = bundle(&[b"one layer", b"another"]);
    verify(&bytes).unwrap();
    verify_piped(&bytes).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(verify(&changed).is_err(), "byte {at} of a file can change unseen");
        assert!(verify_piped(&changed).is_err(), "byte {at} of a pipe can change unseen");
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let bytes = bundle(&[b"one layer"]);
    for length in 0..bytes.len() {
        assert!(verify(&bytes[..length]).is_err(), "{length}");
        assert!(verify_piped(&bytes[..length]).is_err(), "{length}");
    }
    for tail in [&[0; 1][..], &[0; 512], &bytes] {
        let longer = [&bytes[..], tail].concat();
        assert!(verify(&longer).is_err());
        assert!(verify_piped(&longer).is_err());
    }
}

#[test]
fn a_huge_statement_is_refused_before_it_is_read() {
    let header = layout::header(EntryName::Statement, 1 << 32);
    let refusal = Unverified::read(&mut &header[..], &Limits::V1).unwrap_err();
    assert!(matches!(refusal, Damage::StatementSize(size) if size == 1 << 32));
}

#[test]
fn standard_tar_lists_the_same_entries() {
    let bytes = bundle(&[b"x", &[1; 512]]);
    let mut archive = tar::Archive::new(&bytes[..]);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(&names[..4], ["bundle.json", "bundle.json.sig", "oci-layout", "index.json"]);
    assert_eq!(names.len(), 4 + statement(&[b"x", &[1; 512]]).blobs.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_what_is_read(layers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 1..6)) {
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        let bytes = bundle(&layers);
        let graph = verify(&bytes).unwrap();
        let kept = verify_piped(&bytes).unwrap();
        for layer in layers {
            let digest = Digest::of(layer);
            prop_assert!(graph.blobs.iter().any(|blob| blob.digest == digest && blob.size == layer.len() as u64));
            prop_assert!(kept.0.iter().any(|(blob, bytes)| blob.digest == digest && bytes == layer));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(verify(&bytes).is_err());
        prop_assert!(verify_piped(&bytes).is_err());
    }
}
