//! Compact encodings of small archives: what is encoded comes back, from files and pipes, with bases and without; what
//! lies is refused within its bounds.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use bundle_oci::Digest;
use bundle_recompress::Encoder;
use proptest::prelude::*;

use super::*;
use crate::compact::form::RecipeHead;
use crate::*;

/// Blobs that lie at the other side, by their digests.
pub(crate) struct There(pub(crate) Vec<Vec<u8>>);

impl There {
    fn find(&self, base: &CompactBase) -> Option<&Vec<u8>> {
        self.0.iter().find(|blob| Digest::of(blob) == base.digest)
    }
}

impl Bases for There {
    fn has(&self, base: &CompactBase) -> bool {
        self.find(base).is_some()
    }

    fn copy(&self, base: &CompactBase, out: &mut dyn Write) -> std::io::Result<()> {
        out.write_all(self.find(base).ok_or(std::io::ErrorKind::NotFound)?)
    }
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Something like a program: pieces that repeat, and pieces that do not.
pub(crate) fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = state >> 33;
        match word % 3 {
            0 => bytes.extend_from_slice(&word.to_le_bytes()),
            1 => bytes.extend_from_slice(format!("function_{:05}(argument)\n", word % 4096).as_bytes()),
            _ => bytes.extend_from_slice(&[0; 12]),
        }
    }
    bytes.truncate(length);
    bytes
}

pub(crate) fn file_of(bytes: &[u8]) -> Arc<std::fs::File> {
    let file = ScratchSpace::default().file().unwrap();
    (&file).write_all(bytes).unwrap();
    Arc::new(file)
}

/// An archive of blobs with something between them, and its encoding with these bases at the other side.
pub(crate) fn encoded(blobs: &[Vec<u8>], there: &[Vec<u8>], chained: bool) -> (Vec<u8>, Vec<u8>) {
    let bases: Vec<CompactBase> = there
        .iter()
        .map(|blob| CompactBase {
            digest: Digest::of(blob),
            size: blob.len() as u64,
            repository: "cache/web".parse().unwrap(),
        })
        .collect();
    let outer = Arc::new(There(there.to_vec()));
    let encoder = CompactEncoder::new(outer, ScratchSpace::default(), Effort::Default, &Limits::V1);
    let mut writer = CompactWriter::new(Vec::new(), bases.clone()).unwrap();
    let mut archive = Vec::new();
    let mut earlier: Option<NearBase> = None;
    for (number, blob) in blobs.iter().enumerate() {
        let between = vec![number as u8; 700];
        archive.extend_from_slice(&between);
        writer.bytes(&between).unwrap();
        let mut near: Vec<NearBase> =
            bases.iter().zip(0..).map(|(base, index)| encoder.outer(index, base)).collect();
        near.extend(earlier.take());
        let (file, size) = (file_of(blob), blob.len() as u64);
        let recipe = encoder.encode(&file, size, &near).unwrap();
        if chained {
            earlier = Some(encoder.earlier(archive.len() as u64, size, file.clone()));
        }
        archive.extend_from_slice(blob);
        writer.blob(&file, size, recipe.as_ref()).unwrap();
    }
    writer.bytes(b"the end").unwrap();
    archive.extend_from_slice(b"the end");
    (archive, writer.finish().unwrap().0)
}

pub(crate) fn opened(bytes: &[u8], there: &[Vec<u8>]) -> Result<layer::Compact, CompactError> {
    let compact = layer::Compact::open(Arc::new(bytes.to_vec()), None, &Limits::V1)?;
    compact.lend(Arc::new(There(there.to_vec())), ScratchSpace::default());
    Ok(compact)
}

pub(crate) fn all_of(compact: &layer::Compact) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(compact.size()?).unwrap()];
    compact.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[test]
fn layers_come_back_of_their_differences_and_take_little_room() {
    let old = content(1, 900_000);
    let mut new = old.clone();
    new.splice(300_000..300_010, *b"something else");
    new[700_000] ^= 1;
    let (there, blobs) = (vec![old], vec![new.clone(), content(2, 50_000), vec![7; 20]]);
    let (archive, encoding) = encoded(&blobs, &there, false);
    assert!(encoding.len() < 40_000, "{} of {}", encoding.len(), archive.len());
    assert!(Compact::starts(&encoding[..4]) && !Compact::starts(b"bundle.json"));
    let compact = opened(&encoding, &there).unwrap();
    assert!(all_of(&compact).unwrap() == archive);
    let mut piece = [0; 100];
    compact.read_exact_at(&mut piece, 700_700).unwrap();
    assert!(piece[..] == archive[700_700..700_800]);
    let lent = Lent { bases: Arc::new(There(there)), scratch: ScratchSpace::default() };
    let mut piped = Vec::new();
    let pipe = uncompressed_with(Box::new(Cursor::new(encoding)), &lent);
    pipe.unwrap().read_to_end(&mut piped).unwrap();
    assert!(piped == archive);
}

#[test]
fn a_compressed_layer_comes_back_bit_for_bit() {
    let (old, mut new) = (content(3, 400_000), content(3, 400_000));
    new[200_000..200_004].copy_from_slice(b"next");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(&new).unwrap();
    let stored = encoder.finish().unwrap();
    let blobs = [gzip(&new), stored, zstd::bulk::compress(&new, 3).unwrap()];
    let (archive, encoding) = encoded(&blobs, &[gzip(&old)], true);
    let compact = opened(&encoding, &[gzip(&old)]).unwrap();
    assert!(all_of(&compact).unwrap() == archive);
}

/// As Docker and BuildKit write layers.
pub(crate) fn go_gzip(content: &[u8]) -> Vec<u8> {
    let mut blob = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut encoder = bundle_recompress::go::GoEncoder::new(-1).unwrap();
    encoder.write(content, &mut blob);
    encoder.finish(&mut blob);
    let mut crc = flate2::Crc::new();
    crc.update(content);
    blob.extend(crc.sum().to_le_bytes());
    blob.extend((content.len() as u32).to_le_bytes());
    blob
}

#[test]
fn a_layer_of_docker_s_takes_over_the_tokens_of_its_bases_and_comes_back() {
    let old = content(3, 1_700_000);
    let mut new = old.clone();
    new.splice(600_000..600_010, *b"something else");
    // The first base is no gzip file: it has no tokens, and counts all the same.
    let there = [content(4, 50_000), go_gzip(&old)];
    let blobs = [go_gzip(&new), go_gzip(&[new, old].concat())];
    let (archive, encoding) = encoded(&blobs, &there, true);
    let compact = opened(&encoding, &there).unwrap();
    // The recipes say so by their version.
    let versions: Vec<u8> = compact.recipes().into_iter().map(|(_, head)| head.recipe[0]).collect();
    assert_eq!(versions, [2, 2]);
    assert!(all_of(&compact).unwrap() == archive);
    assert!(all_of(&compact.over(Arc::new(encoding))).unwrap() == archive);
}

#[test]
fn blobs_that_are_differences_to_earlier_ones_come_back_and_chains_have_an_end() {
    let blobs: Vec<Vec<u8>> = (0..6)
        .map(|number: u8| {
            let mut blob = content(9, 100_000);
            blob[usize::from(number) * 1000] ^= 0xff;
            blob
        })
        .collect();
    let (archive, encoding) = encoded(&blobs, &[], true);
    assert!(encoding.len() * 4 < archive.len(), "{} of {}", encoding.len(), archive.len());
    assert!(all_of(&opened(&encoding, &[]).unwrap()).unwrap() == archive);
    let many: Vec<Vec<u8>> = (0..24).map(|number| content(5, 9_000 + number)).collect();
    let (archive, encoding) = encoded(&many, &[], true);
    let compact = opened(&encoding, &[]).unwrap();
    let last = archive.len() as u64 - 10;
    let error = compact.read_exact_at(&mut [0], last).map(drop).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "each of 24 needs the one before");
}

#[test]
fn without_its_bases_it_says_which_are_missing_and_gives_the_rest() {
    let old = content(1, 300_000);
    let mut new = old.clone();
    new[10] ^= 1;
    let (archive, encoding) = encoded(&[new, content(4, 60_000)], std::slice::from_ref(&old), false);
    let compact = opened(&encoding, &[]).unwrap();
    let first = 700..700 + 300_000;
    assert!(!compact.has(&first) && compact.has(&(0..700)));
    assert_eq!(compact.missing_bases_of(&first)[0].digest, Digest::of(&old));
    let error = all_of(&compact).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(matches!(Damage::from(error), Damage::NoBase(base) if base.digest == Digest::of(&old)));
    let mut rest = [0; 500];
    compact.read_exact_at(&mut rest, 100).unwrap();
    assert!(rest[..] == archive[100..600]);
    let wrong = opened(&encoding, &[]).unwrap();
    wrong.lend(Arc::new(Liar(content(8, 300_000))), ScratchSpace::default());
    let error = all_of(&wrong).unwrap_err();
    assert!(matches!(Damage::from(error), Damage::WrongBase(base) if base.digest == Digest::of(&old)));
}

/// Gives other bytes than it is asked for.
struct Liar(Vec<u8>);

impl Bases for Liar {
    fn has(&self, _: &CompactBase) -> bool {
        true
    }

    fn copy(&self, _: &CompactBase, out: &mut dyn Write) -> std::io::Result<()> {
        out.write_all(&self.0)
    }
}

#[test]
fn a_recipe_may_name_only_what_lies_before_it_and_no_bomb() {
    let head = |plain, offset, size| RecipeHead {
        plain,
        bases: vec![form::RecipeBase { place: form::BasePlace::Earlier { offset, size }, plain: 5 }],
        recipe: Vec::new(),
        opened: None,
        corrections: 0,
    };
    let read = |head: RecipeHead| {
        let bytes = head.to_bytes();
        RecipeHead::read(&mut Cursor::new(bytes), form::SectionKind::Recipe, 1000, 100, &[], &Limits::V1)
    };
    assert_eq!(read(head(5, 900, 100)).unwrap(), head(5, 900, 100));
    for lie in [head(5, 900, 101), head(5, 1000, 1), head(5, u64::MAX, 2), head(1 << 40, 0, 1)] {
        assert!(matches!(read(lie), Err(CompactError::Recipe)));
    }
}

#[test]
fn tables_that_lie_are_refused() {
    let (_, encoding) = encoded(&[content(1, 20_000)], &[], false);
    let at = |back: usize, value: u8| {
        let mut bytes = encoding.clone();
        let place = bytes.len() - back;
        bytes[place] = value;
        opened(&bytes, &[]).map(drop)
    };
    assert!(matches!(opened(&encoding[..encoding.len() - 1], &[]), Err(CompactError::Cut)));
    assert!(at(1, b'x').is_err(), "another end");
    assert!(at(24, 9).is_err(), "more sections");
    assert!(at(17, 0x80).is_err(), "sections without end");
    assert!(at(25, 0x7f).is_err(), "a section beyond the file");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_blobs_come_back(
        blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9000), 1..4),
        there in prop::collection::vec(any::<u8>(), 0..9000),
        pack in any::<bool>(),
    ) {
        let blobs: Vec<Vec<u8>> = match pack {
            true => blobs.iter().map(|blob| gzip(blob)).collect(),
            false => blobs,
        };
        let blobs: Vec<Vec<u8>> = blobs.into_iter().filter(|blob| !blob.is_empty()).collect();
        let there = [there];
        let (archive, encoding) = encoded(&blobs, &there, true);
        prop_assert!(all_of(&opened(&encoding, &there).unwrap()).unwrap() == archive);
    }

    #[test]
    fn changed_bytes_never_panic_and_give_no_more_than_they_say(
        place in any::<prop::sample::Index>(), value in any::<u8>(), seed in 0_u64..3,
    ) {
        // Half of the cases with runs of tokens, which only large layers have, and in their heads.
        let (length, within) = if value % 2 == 0 { (30_000, usize::MAX) } else { (1_400_000, 300) };
        let old = content(seed, length);
        let mut new = old.clone();
        new[77] ^= 3;
        let there = [go_gzip(&old)];
        let (archive, mut encoding) = encoded(&[go_gzip(&new)], &there, false);
        let place = place.index(encoding.len().min(within));
        encoding[place] ^= value;
        if let Ok(compact) = opened(&encoding, &there)
            && compact.size().unwrap() == archive.len() as u64
        {
            let _ = all_of(&compact);
        }
    }
}
