//! Properties: whatever the plain bytes are and whichever model wrote them, the blob comes back bit for bit;
//! and whatever a recipe or corrections say, nothing panics and nothing exceeds its bounds.

use std::io::{self, Cursor, Write};

use bundle_recompress::klauspost::Version;
use bundle_recompress::{
    GoLevel, KlauspostSettings, Level, Limits, MAX_RECIPE, Model, PgzipSettings, PigzBlocks, PigzSettings,
    Recipe, RecreateError, Strategy as Search, ZlibSettings, examine, recreate,
};
use flate2::Crc;
use proptest::prelude::*;

/// Text, runs, copies of what came before near and far, and noise.
fn plain() -> impl Strategy<Value = Vec<u8>> {
    let piece = (0u8..6, any::<u64>(), 1usize..6000);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| {
        let mut bytes: Vec<u8> = Vec::new();
        for (kind, seed, len) in pieces {
            let mut state = seed | 1;
            let mut noise = move || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state
            };
            match kind {
                0 => bytes.extend((0..len).map(|_| noise() as u8)),
                1 => bytes.extend((0..len).map(|_| b"etaoin shrdlu,\n0"[noise() as usize % 16])),
                2 => bytes.extend(std::iter::repeat_n(seed as u8, len)),
                3 => bytes.extend((0..len).map(|n| (n % (2 + seed as usize % 40)) as u8)),
                _ if bytes.is_empty() => {}
                _ => {
                    let from = seed as usize % bytes.len();
                    let to = (from + len).min(bytes.len());
                    bytes.extend_from_within(from..to);
                }
            }
        }
        bytes
    })
}

fn model() -> impl Strategy<Value = Model> {
    let level = (1u8..=9).prop_map(|level| Level::new(level).expect("a level from 1 to 9"));
    let search =
        prop_oneof![4 => Just(Search::Default), 1 => Just(Search::HuffmanOnly), 1 => Just(Search::Runs)];
    let zlib = (level.clone(), 1u8..=9, search)
        .prop_map(|(level, memory, strategy)| Model::Zlib(ZlibSettings { level, memory, strategy }));
    let blocks = prop_oneof![
        Just(PigzBlocks::Dictionary),
        Just(PigzBlocks::SameStream),
        Just(PigzBlocks::Independent)
    ];
    let pigz = (level.clone(), blocks)
        .prop_map(|(level, blocks)| Model::Pigz(PigzSettings { level, block_kib: 32, blocks }));
    let go = prop_oneof![Just(-2i8), 0i8..=9].prop_map(|level| GoLevel::new(level).expect("a level of Go's"));
    let version = prop::sample::select(&Version::ALL[..]);
    let settings = (version, go.clone())
        .prop_filter_map("a level that the version has", |(version, level)| {
            KlauspostSettings::new(version, level)
        });
    let klauspost = settings.clone().prop_map(Model::Klauspost);
    let pgzip =
        settings.prop_map(|it| Model::Pgzip(PgzipSettings::new(it, 17).expect("the smallest blocks")));
    prop_oneof![
        2 => zlib,
        1 => level.prop_map(Model::GnuGzip),
        1 => pigz,
        1 => go.prop_map(Model::Go),
        1 => klauspost,
        1 => pgzip,
    ]
}

fn deflate(model: Model, plain: &[u8], cut: usize) -> Vec<u8> {
    let (mut encoder, mut out) = (model.encoder(), Vec::new());
    plain.chunks(cut).for_each(|chunk| encoder.write(chunk, &mut out));
    encoder.finish(&mut out);
    out
}

fn gzip(deflate: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut blob = vec![0x1f, 0x8b, 8, 8, 0, 1, 2, 3, 0, 3];
    blob.extend(b"a name\0");
    blob.extend(deflate);
    let mut crc = Crc::new();
    crc.update(plain);
    blob.extend(crc.sum().to_le_bytes());
    blob.extend((plain.len() as u32).to_le_bytes());
    blob
}

/// Examines and recreates; gives the length of recipe and corrections.
fn round(blob: &[u8], plain: &[u8]) -> Option<(usize, usize)> {
    let (mut found, mut corrections) = (Vec::new(), Vec::new());
    let recipe =
        examine(&mut Cursor::new(blob), &mut found, &mut corrections).expect("memory can be read")?;
    assert!(found == plain, "the plain bytes differ");
    let bytes = recipe.to_bytes();
    let recipe = Recipe::from_bytes(&bytes).expect("a recipe can be read");
    let mut again = Vec::new();
    let limits = Limits { compressed: blob.len() as u64 };
    let written = recreate(&recipe, &mut &plain[..], &mut &corrections[..], &mut again, limits);
    assert_eq!(written.expect("it can be recreated"), blob.len() as u64);
    assert!(again == blob, "the blob differs");
    Some((bytes.len(), corrections.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_model_writes_is_deflate_and_does_not_depend_on_how_the_writes_are_cut(
        plain in plain(), model in model(), cut in 1usize..70_000
    ) {
        let whole = deflate(model, &plain, usize::MAX);
        prop_assert!(whole == deflate(model, &plain, cut));
        let mut inflated = Vec::new();
        io::Read::read_to_end(&mut flate2::read::DeflateDecoder::new(&whole[..]), &mut inflated)?;
        prop_assert!(inflated == plain);
    }

    #[test]
    fn a_blob_of_any_model_comes_back_bit_for_bit_with_what_follows(
        plain in plain(), model in model(), twice: bool, trailing in prop::collection::vec(0u8..3, 0..600)
    ) {
        let mut blob = gzip(&deflate(model, &plain, 5000), &plain);
        let mut all = plain.clone();
        if twice {
            blob.extend(blob.clone());
            all.extend(plain);
        }
        blob.extend(&trailing);
        let found = round(&blob, &all);
        // Memory levels from 1 to 7, 9 with a rare strategy, and other sizes of blocks are not tried, and come
        // back with corrections.
        let is_tried = |it: ZlibSettings| {
            it.memory == 8 || (it.memory == 9 && matches!(it.strategy, Search::Default))
        };
        let modelled = !matches!(model, Model::Zlib(settings) if !is_tried(settings))
            && !matches!(model, Model::Pigz(settings) if settings.block_kib != 128)
            && !matches!(model, Model::Pgzip(..));
        if modelled {
            let (recipe, corrections) = found.expect("a recipe");
            prop_assert!(recipe < 100 + trailing.len(), "{recipe} bytes of recipe");
            prop_assert_eq!(corrections, 0);
        }
    }

    #[test]
    fn a_stream_of_an_unknown_program_comes_back_by_corrections(
        plain in plain(), level in 0u32..=9, flush in 1usize..40_000
    ) {
        // miniz, with flushes in odd places.
        let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        for chunk in plain.chunks(flush) {
            writer.write_all(chunk)?;
            writer.flush()?;
        }
        let stream = writer.finish()?;
        round(&gzip(&stream, &plain), &plain);
    }

    #[test]
    fn bytes_that_are_no_gzip_have_no_recipe(bytes in prop::collection::vec(any::<u8>(), 0..2000), magic: bool) {
        let mut blob = if magic { vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] } else { Vec::new() };
        blob.extend(bytes);
        let recipe = examine(&mut Cursor::new(&blob), &mut io::sink(), &mut io::sink())?;
        prop_assert!(recipe.is_none());
    }

    #[test]
    fn no_recipe_can_panic_or_write_more_than_is_allowed(
        mut bytes in prop::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..200),
        plain in prop::collection::vec(any::<u8>(), 0..5000),
        corrections in prop::collection::vec(any::<u8>(), 0..3000),
        limit in 0u64..100_000
    ) {
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        if let Ok(recipe) = Recipe::from_bytes(&bytes) {
            prop_assert_eq!(&Recipe::from_bytes(&recipe.to_bytes()), &Ok(recipe.clone()));
            let mut out = Vec::new();
            let limits = Limits { compressed: limit };
            let result = recreate(&recipe, &mut &plain[..], &mut &corrections[..], &mut out, limits);
            prop_assert!(out.len() as u64 <= limit);
            if let Ok(written) = result {
                prop_assert_eq!(written, out.len() as u64);
            }
        }
    }

    #[test]
    fn corrections_that_lie_cannot_panic_or_write_more_than_is_allowed(
        plain in plain(), at: prop::sample::Index, with: u8, cut: prop::sample::Index
    ) {
        let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(4));
        writer.write_all(&plain)?;
        let blob = gzip(&writer.finish()?, &plain);
        let mut corrections = Vec::new();
        let recipe = examine(&mut Cursor::new(&blob), &mut io::sink(), &mut corrections)?;
        if let Some(recipe) = recipe.filter(Recipe::has_corrections) {
            let place = at.index(corrections.len());
            corrections[place] = with;
            corrections.truncate(cut.index(corrections.len()).max(corrections.len() / 2));
            let mut out = Vec::new();
            let limits = Limits { compressed: blob.len() as u64 + 100 };
            let _ = recreate(&recipe, &mut &plain[..], &mut &corrections[..], &mut out, limits);
            prop_assert!(out.len() as u64 <= limits.compressed);
        }
    }
}

#[test]
fn a_recipe_takes_exactly_its_plain_bytes() {
    let plain = b"plain bytes, plain bytes".repeat(100);
    let blob = gzip(&deflate(Model::GnuGzip(Level::new(6).unwrap()), &plain, 99), &plain);
    let recipe = examine(&mut Cursor::new(&blob), &mut io::sink(), &mut io::sink()).unwrap().unwrap();
    let recreated = |plain: &[u8]| {
        let limits = Limits { compressed: u64::MAX };
        recreate(&recipe, &mut &plain[..], &mut io::empty(), &mut io::sink(), limits)
    };
    assert!(matches!(recreated(&plain[1..]), Err(RecreateError::PlainTooShort)));
    assert!(matches!(recreated(&[&plain[..], b"x"].concat()), Err(RecreateError::PlainTooLong)));
}

#[test]
fn empty_members_without_end_are_refused_and_not_written_either() {
    let empty = gzip(&deflate(Model::GnuGzip(Level::new(6).unwrap()), b"", 1), b"");
    let many = empty.repeat(1000);
    assert_eq!(examine(&mut Cursor::new(&many), &mut io::sink(), &mut io::sink()).unwrap(), None);
    assert_eq!(round(&empty.repeat(16), b"").map(|(_, corrections)| corrections), Some(0));
    let recipe = examine(&mut Cursor::new(&empty), &mut io::sink(), &mut io::sink()).unwrap().unwrap();
    // As the member before, of no bytes.
    let lie = [recipe.to_bytes(), [2, 0].repeat(100_000)].concat();
    let limits = Limits { compressed: 100_000 };
    let lie = Recipe::from_bytes(&lie).unwrap();
    let refused = recreate(&lie, &mut io::empty(), &mut io::empty(), &mut io::sink(), limits);
    assert!(matches!(refused, Err(RecreateError::Members)), "{refused:?}");
}

#[test]
fn a_blob_with_a_wrong_checksum_or_without_its_end_has_no_recipe() {
    let plain = b"plain bytes, plain bytes".repeat(100);
    let blob = gzip(&deflate(Model::GnuGzip(Level::new(6).unwrap()), &plain, 99), &plain);
    let examined = |blob: &[u8]| examine(&mut Cursor::new(blob), &mut io::sink(), &mut io::sink()).unwrap();
    let mut wrong = blob.clone();
    let at = wrong.len() - 7;
    wrong[at] ^= 1;
    assert_eq!(examined(&wrong), None);
    assert!((0..blob.len()).step_by(7).all(|short| examined(&blob[..short]).is_none()));
}

#[test]
fn recipes_of_other_versions_and_without_end_are_refused() {
    assert!(Recipe::from_bytes(&[]).is_err());
    assert!(Recipe::from_bytes(&[4]).is_err());
    assert!(Recipe::from_bytes(&[3]).is_err(), "the third is for frames of Go");
    assert!(Recipe::from_bytes(&[2]).is_err(), "the second is for runs");
    assert!(Recipe::from_bytes(&[1, 2, 5]).is_err());
    assert!(Recipe::from_bytes(&[1, 0, 5, 1]).is_err());
    assert!(Recipe::from_bytes(&vec![1; MAX_RECIPE + 1]).is_err());
}
