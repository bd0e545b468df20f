//! Layers with archives in compact encodings: they come back, from files and pipes; nothing else is written where nothing
//! was opened; heads that lie are refused within their bounds.

use std::io::{Cursor, Read};
use std::sync::Arc;

use proptest::prelude::*;

use crate::compact::form::{OpenedHead, RecipeHead, SectionKind};
use crate::compact::tests::{There, all_of, content, encoded, go_gzip, opened};
use crate::testing::zip;
use crate::{CompactError, Layer, Lent, Limits, ScratchSpace, uncompressed_with};

/// A tar of these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[148..156].copy_from_slice(b"        ");
        header[156] = b'0';
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend([&header[..], content].concat());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// A jar of which all classes name a version, in a jar that is stored in a fat one; beside it a gzip file.
fn layer(version: u8) -> Vec<u8> {
    let classes: Vec<Vec<u8>> = (0..5)
        .map(|seed| {
            let mut class = content(seed, 30_000);
            class[9_000..9_001].copy_from_slice(&[version]);
            class
        })
        .collect();
    let names = ["com/A.class", "com/B.class", "com/C.class", "com/D.class", "E.class"];
    let files: Vec<(&str, &[u8])> = names.into_iter().zip(classes.iter().map(Vec::as_slice)).collect();
    let jar = zip(&files);
    let mut log = format!("version {version}\n").into_bytes();
    log.extend(content(77, 40_000));
    let same = zip(&[("same", &classes[0][..8_000])]);
    let name = format!("app/lib/x-1.{version}.jar");
    tar(&[(&name, &jar), ("app/same.jar", &same), ("doc/log.gz", &go_gzip(&log)), ("etc/text", b"text")])
}

/// The recipe of the only blob, as it is stored.
fn head(encoding: &[u8], there: &[Vec<u8>]) -> (SectionKind, RecipeHead) {
    let compact = opened(encoding, there).unwrap();
    compact.recipes().pop().unwrap()
}

#[test]
fn archives_of_a_layer_are_differences_to_those_of_its_bases_and_come_back() {
    let there = vec![go_gzip(&layer(1)), layer(1)];
    for blob in [go_gzip(&layer(2)), layer(2)] {
        let (archive, encoding) = encoded(std::slice::from_ref(&blob), &there, false);
        assert!(encoding.len() < 4_000, "{} of {}", encoding.len(), archive.len());
        let (kind, head) = head(&encoding, &there);
        assert_eq!(kind, SectionKind::Opened);
        // What a base has as it is stays shut.
        assert_eq!(head.opened.unwrap().recipe.streams(), 6);
        assert!(all_of(&opened(&encoding, &there).unwrap()).unwrap() == archive);
        let lent = Lent { bases: Arc::new(There(there.clone())), scratch: ScratchSpace::default() };
        let mut piped = Vec::new();
        let pipe = uncompressed_with(Box::new(Cursor::new(encoding)), &lent);
        pipe.unwrap().read_to_end(&mut piped).unwrap();
        assert!(piped == archive);
    }
}

#[test]
fn an_archive_alone_comes_back_and_is_a_base_of_later_ones() {
    let text = content(3, 50_000);
    let zips = [&b"one"[..], b"another"].map(|change| {
        let changed = [change, &text[..20_000]].concat();
        zip(&[("a", &text[20_000..]), ("b", &changed)])
    });
    let (archive, encoding) = encoded(&zips, &[], true);
    let compact = opened(&encoding, &[]).unwrap();
    assert!(compact.recipes().iter().all(|(kind, _)| *kind == SectionKind::Opened));
    assert!(all_of(&compact).unwrap() == archive);
}

#[test]
fn a_layer_with_nothing_to_open_is_written_as_before() {
    let there = vec![layer(1)];
    let mut same = layer(1);
    let text = same.len() - 1024 - 512;
    same[text] ^= 1;
    for blob in [same, content(5, 9_000), tar(&[("a.jar", b"PK\x03\x04 and no more of a zip than this")])] {
        let (archive, encoding) = encoded(&[blob], &there, false);
        assert_eq!(head(&encoding, &there).0, SectionKind::Recipe);
        assert!(all_of(&opened(&encoding, &there).unwrap()).unwrap() == archive);
    }
}

#[test]
fn heads_that_lie_are_refused() {
    let there = vec![layer(1)];
    let (_, encoding) = encoded(&[layer(2)], &there, false);
    let (_, good) = head(&encoding, &there);
    let size = layer(2).len() as u64;
    let bases = opened(&encoding, &there).unwrap().bases().to_vec();
    let read = |change: &dyn Fn(&mut OpenedHead)| {
        let mut head = good.clone();
        change(head.opened.as_mut().unwrap());
        let bytes = head.to_bytes();
        RecipeHead::read(&mut Cursor::new(bytes), SectionKind::Opened, 0, size, &bases, &Limits::V1)
    };
    assert_eq!(read(&|_| {}).unwrap(), good);
    let too_many = RecipeHead::most_plain(size) + 1;
    let lies: [&dyn Fn(&mut OpenedHead); 3] =
        [&|opened| opened.size = too_many, &|opened| opened.streams[0].size = too_many, &|opened| {
            opened.streams[0].list = vec![0; (1 << 20) + 1]
        }];
    for lie in lies {
        assert!(matches!(read(lie), Err(CompactError::Recipe)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changed_bytes_never_panic_and_give_no_more_than_they_say(
        place in any::<prop::sample::Index>(), value in any::<u8>(), in_lists in any::<bool>(),
    ) {
        let there = [layer(1)];
        let (archive, mut encoding) = encoded(&[layer(2)], &there, false);
        let place = place.index(if in_lists { encoding.len().min(500) } else { encoding.len() });
        encoding[place] ^= value;
        if let Ok(compact) = opened(&encoding, &there)
            && compact.size().unwrap() == archive.len() as u64
        {
            let _ = all_of(&compact);
        }
    }

    #[test]
    fn tars_of_any_archives_come_back(
        versions in prop::collection::vec((any::<u8>(), 0usize..9000), 1..5),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        packed in any::<bool>(),
    ) {
        let made = |version: u8| {
            let jars: Vec<Vec<u8>> = versions.iter().map(|(seed, length)| {
                let mut text = content(u64::from(*seed), *length);
                text.extend([version]);
                let inner = zip(&[("x", &text), ("y", &text[text.len() / 2..])]);
                zip(&[("one", &text[..text.len() / 3]), ("two", &inner)])
            }).collect();
            let names = ["a.jar", "b.jar", "c.jar", "d.jar"];
            let files: Vec<(&str, &[u8])> = names.into_iter().zip(jars.iter().map(Vec::as_slice)).collect();
            tar(&files)
        };
        let (mut old, mut new) = (made(1), made(2));
        for (place, value) in damage {
            let (one, other) = (place.index(old.len()), place.index(new.len()));
            old[one] ^= value;
            new[other] ^= value;
        }
        let (old, new) = if packed { (go_gzip(&old), go_gzip(&new)) } else { (old, new) };
        let (archive, encoding) = encoded(&[new], std::slice::from_ref(&old), false);
        prop_assert!(all_of(&opened(&encoding, &[old]).unwrap()).unwrap() == archive);
    }
}
