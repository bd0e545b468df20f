//! The model of Go's Zstandard encoder against the encoder itself, built with each release that writes differently; and
//! blobs of its frames, as programs write layers, which come back by a few bytes.

use std::io::Cursor;

use bundle_recompress::klauspost_zstd::{Form, FrameEncoder, FrameLevel, FrameSettings, ZstdVersion};
use bundle_recompress::{Encoder, Limits, Recipe, RecreateError, examine, recreate};
use proptest::prelude::*;

#[path = "go/oracle.rs"]
mod oracle;

use oracle::{CURRENT, assert_same, encoded, inputs, noise, oracle, real, words};

/// For each modelled version the first release that the module proxy has and the last that writes so. Up to 1.17.4 the
/// level "better" has a window of 16 MiB, which is none of ours.
const VERSIONS: [(ZstdVersion, [&str; 2]); 5] = [
    (ZstdVersion::V1_15_0, ["v1.15.9", "v1.16.3"]),
    (ZstdVersion::V1_16_5, ["v1.16.5", "v1.17.2"]),
    (ZstdVersion::V1_17_3, ["v1.17.5", "v1.17.7"]),
    (ZstdVersion::V1_17_8, [CURRENT, "v1.20.2"]),
    (ZstdVersion::V1_20_3, ["v1.20.3", "v1.20.4"]),
];

/// The largest frames of the level "best".
const MOST: usize = 512 << 10;

fn number(level: FrameLevel) -> i32 {
    1 + FrameLevel::ALL.iter().position(|&other| other == level).unwrap() as i32
}

fn frame(settings: FrameSettings, plain: &[u8]) -> Vec<u8> {
    encoded(FrameEncoder::new(settings, plain.len() as u64), plain)
}

#[test]
fn every_level_of_every_version_comes_out_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let mut inputs = inputs();
    inputs.iter_mut().for_each(|input| input.truncate(MOST));
    for (version, releases) in VERSIONS {
        for release in releases {
            let Some(oracle) = oracle(dir.path(), release, "v1.2.6") else { continue };
            for level in FrameLevel::ALL {
                for (form, option) in [(Form::Stream, ""), (Form::Whole, "whole"), (Form::Sized, "sized")] {
                    let Some(settings) = FrameSettings::new(version, level, form) else { continue };
                    let what = format!("{release}, {level:?}, {form:?}");
                    let real =
                        real(&oracle, dir.path(), &inputs, &format!("zstd:{option}"), number(level), &[]);
                    assert_same(&real, &inputs, &what, |plain| frame(settings, plain));
                }
            }
        }
    }
}

#[test]
fn options_and_first_blocks_come_out_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let Some(oracle) = oracle(dir.path(), CURRENT, "v1.2.6") else { return };
    let inputs = inputs();
    for level in [FrameLevel::Fastest, FrameLevel::Default, FrameLevel::Better] {
        let stream = FrameSettings::new(ZstdVersion::V1_17_8, level, Form::Stream).unwrap();
        let whole = FrameSettings::new(ZstdVersion::V1_17_8, level, Form::Whole).unwrap();
        let settings = [
            ("window=1024", stream.with_window(10).unwrap()),
            ("window=65536", stream.with_window(16).unwrap()),
            ("window=8388608", stream.with_window(23).unwrap()),
            ("whole,window=65536", whole.with_window(16).unwrap()),
            ("checksum=false", stream.with_checksum(false)),
            ("literals=true", stream.with_all_literals(true)),
            ("literals=false", stream.with_all_literals(false)),
            ("entropy=false", stream.without_entropy()),
            ("first=8", stream.with_first_block(8).unwrap()),
            ("sized,first=200", {
                let sized = FrameSettings::new(ZstdVersion::V1_17_8, level, Form::Sized).unwrap();
                sized.with_first_block(200).unwrap()
            }),
        ];
        for (options, settings) in settings {
            let real =
                real(&oracle, dir.path(), &inputs, &format!("zstd:{options}"), number(level), &[999, 70_000]);
            let what = format!("{level:?}, {options}");
            assert_same(&real, &inputs, &what, |plain| {
                match options.contains("first") && plain.len() <= 200 {
                    // There the program gives all at once, or what it looked at is all.
                    true => real[inputs.iter().position(|input| input == plain).unwrap()].clone(),
                    false => frame(settings, plain),
                }
            });
        }
    }
}

/// Any settings with a model, and whether the frame is small enough for it.
fn settings() -> impl Strategy<Value = FrameSettings> {
    let form = prop_oneof![Just(Form::Stream), Just(Form::Sized), Just(Form::Whole)];
    let version = prop::sample::select(&ZstdVersion::ALL[..]);
    (version, prop::sample::select(&FrameLevel::ALL[..]), form, any::<bool>()).prop_filter_map(
        "a level that the version has",
        |(version, level, form, checksum)| {
            Some(FrameSettings::new(version, level, form)?.with_checksum(checksum))
        },
    )
}

fn plain() -> impl Strategy<Value = Vec<u8>> {
    let piece = (0..60_000usize, 1..6u64, 0..4u8).prop_map(|(len, seed, kind)| match kind {
        0 => noise(len / 4, seed),
        1 => vec![seed as u8; len],
        _ => words(len, seed),
    });
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Examines and recreates; gives the length of recipe and corrections.
fn round(blob: &[u8], plain: &[u8]) -> Option<(usize, usize)> {
    let (mut found, mut corrections) = (Vec::new(), Vec::new());
    let recipe = examine(&mut Cursor::new(blob), &mut found, &mut corrections).unwrap()?;
    assert!(found == plain, "other plain bytes");
    let bytes = recipe.to_bytes();
    let recipe = Recipe::from_bytes(&bytes).unwrap();
    assert_eq!(recipe.has_corrections(), !corrections.is_empty());
    let mut again = Vec::new();
    let limits = Limits { compressed: blob.len() as u64 };
    recreate(&recipe, &mut &plain[..], &mut &corrections[..], &mut again, limits).unwrap();
    assert!(again == blob, "another blob");
    Some((bytes.len(), corrections.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_are_zstandard_and_come_back_however_the_bytes_are_fed(
        plain in plain(), settings in settings(), cuts in prop::collection::vec(0..70_000usize, 0..12), twice: bool
    ) {
        let mut blob = frame(settings, &plain);
        let mut encoder = FrameEncoder::new(settings, plain.len() as u64);
        encoder.write(&plain[..plain.len() / 2], &mut Vec::new());
        prop_assert!(encoder.restart(plain.len() as u64));
        let (mut rest, mut pieces) = (&plain[..], Vec::new());
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            encoder.write(now, &mut pieces);
            rest = later;
        }
        encoder.write(rest, &mut pieces);
        encoder.finish(&mut pieces);
        prop_assert!(blob == pieces);
        prop_assert!(zstd::decode_all(&blob[..])? == plain);

        let mut all = plain.clone();
        if twice {
            blob.extend(blob.clone());
            all.extend(plain);
        }
        let (recipe, corrections) = round(&blob, &all).expect("a recipe");
        prop_assert!(recipe < 32 && corrections == 0, "{recipe} and {corrections} bytes");
    }

    #[test]
    fn no_recipe_of_frames_can_panic_or_write_more_than_is_allowed(
        mut bytes in prop::collection::vec(prop_oneof![0u8..12, Just(23), any::<u8>()], 1..200),
        plain in prop::collection::vec(any::<u8>(), 0..5000),
        corrections in prop::collection::vec(any::<u8>(), 0..3000),
        limit in 0u64..100_000
    ) {
        // Most begin as a frame of Go.
        bytes[0] = 3;
        bytes.splice(1..1, [6, bytes.len() as u8 % 5, bytes.len() as u8 % 3, 0, 23, 1, 0]);
        if let Ok(recipe) = Recipe::from_bytes(&bytes) {
            let mut out = Vec::new();
            let limits = Limits { compressed: limit };
            let result = recreate(&recipe, &mut &plain[..], &mut &corrections[..], &mut out, limits);
            prop_assert!(out.len() as u64 <= limit);
            if let Ok(written) = result {
                prop_assert_eq!(written, out.len() as u64);
            }
        }
    }
}

fn skippable(bytes: &[u8]) -> Vec<u8> {
    [&[0x50, 0x2a, 0x4d, 0x18][..], &(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

/// As zstd:chunked has it: each piece is a frame, and a table of contents and a footer follow.
fn chunked(pieces: &[Vec<u8>], level: FrameLevel) -> (Vec<u8>, Vec<u8>) {
    let settings = FrameSettings::new(ZstdVersion::V1_17_8, level, Form::Stream).unwrap();
    let mut blob: Vec<u8> = pieces.iter().flat_map(|piece| frame(settings, piece)).collect();
    blob.extend(skippable(&noise(3000, 4)));
    blob.extend(skippable(&noise(64, 5)));
    (blob, pieces.concat())
}

#[test]
fn a_layer_of_many_frames_takes_a_few_bytes_for_each() {
    let lens = [512, 30, 512, 70_000, 1024, 3, 512, 200_000, 512, 9];
    let pieces: Vec<Vec<u8>> = (0..400).map(|i| words(lens[i % lens.len()] + i % 7, 1 + i as u64)).collect();
    for level in [FrameLevel::Default, FrameLevel::Best] {
        let (blob, plain) = chunked(&pieces, level);
        let (recipe, corrections) = round(&blob, &plain).expect("a recipe");
        assert!(recipe < 4 * pieces.len() + 200, "{recipe} bytes of recipe");
        assert_eq!(corrections, 8 + 3000, "the table of contents");
    }
}

#[test]
fn a_frame_of_an_unknown_encoder_among_known_ones_is_carried() {
    let pieces: Vec<Vec<u8>> = (1..40).map(|i| words(20_000, i)).collect();
    let (mut blob, mut plain) = chunked(&pieces, FrameLevel::Default);
    // No window of ours, nor a level.
    let odd = zstd::bulk::compress(&pieces[3], 19).unwrap();
    blob.extend(&odd);
    plain.extend(&pieces[3]);
    let (known, _) = chunked(&pieces, FrameLevel::Default);
    blob.extend(known);
    plain.extend(pieces.concat());
    let (_, corrections) = round(&blob, &plain).expect("a recipe");
    assert_eq!(corrections, odd.len() + 2 * 3008);
    assert!(round(&odd, &pieces[3]).is_none(), "alone it has no recipe");
}

#[test]
fn frames_without_end_are_refused() {
    let settings = FrameSettings::new(ZstdVersion::V1_17_8, FrameLevel::Default, Form::Stream).unwrap();
    let blob = frame(settings, b"plain");
    let recipe = examine(&mut Cursor::new(&blob), &mut Vec::new(), &mut Vec::new()).unwrap().unwrap();
    // As the frame before, of no bytes.
    let lie = Recipe::from_bytes(&[recipe.to_bytes(), [7, 0].repeat(200_000)].concat()).unwrap();
    let limits = Limits { compressed: 1_000_000 };
    let refused = recreate(&lie, &mut &b"plain"[..], &mut &b""[..], &mut Vec::new(), limits);
    assert!(matches!(refused, Err(RecreateError::Members)), "{refused:?}");
    // With other settings each time.
    let settings = |window| [6, 3, 1, 0, window, 1, 0, 0];
    let lie = [vec![3], [settings(22), settings(23)].concat().repeat(600)].concat();
    assert!(Recipe::from_bytes(&lie).is_err());
}

#[test]
fn a_skippable_frame_without_its_end_has_no_recipe() {
    let (blob, _) = chunked(&[words(5000, 1)], FrameLevel::Default);
    for short in [1, 70, 100, 1000] {
        let blob = &blob[..blob.len() - short];
        let (mut plain, mut corrections) = (Vec::new(), Vec::new());
        let recipe = examine(&mut Cursor::new(blob), &mut plain, &mut corrections).unwrap();
        // What is behind the last frame is kept, if it is short.
        if let Some(recipe) = recipe {
            assert!(short < 72, "{short}");
            let mut again = Vec::new();
            let limits = Limits { compressed: blob.len() as u64 };
            recreate(&recipe, &mut &plain[..], &mut &corrections[..], &mut again, limits).unwrap();
            assert!(again == blob);
        }
    }
}
