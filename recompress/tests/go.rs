//! The models of Go's encoders against the encoders themselves: a Go program beside this file is built with
//! each version of `klauspost/compress` that writes differently, from the module proxy, and compresses the
//! same inputs.

use bundle_recompress::Encoder;
use bundle_recompress::go::GoEncoder;
use bundle_recompress::klauspost::{KlauspostEncoder, PgzipEncoder, Version};
use proptest::prelude::*;

#[path = "go/oracle.rs"]
mod oracle;

use oracle::{assert_same, encoded, inputs, noise, oracle, real, words};

/// For each modelled version the last release of `klauspost/compress` that writes so, and a release of
/// `klauspost/pgzip` with it.
const VERSIONS: [(Version, &str, &str); 9] = [
    (Version::V1_12_0, "v1.13.6", "v1.2.5"),
    (Version::V1_14_0, "v1.14.4", "v1.2.5"),
    (Version::V1_15_0, "v1.15.9", "v1.2.5"),
    (Version::V1_15_11, "v1.15.13", "v1.2.5"),
    (Version::V1_15_14, "v1.17.11", "v1.2.6"),
    (Version::V1_18_0, "v1.18.0", "v1.2.6"),
    (Version::V1_18_2, "v1.19.2", "v1.2.6"),
    (Version::V1_20_0, "v1.20.3", "v1.2.7"),
    (Version::V1_20_4, "v1.20.4", "v1.3.0"),
];

#[test]
fn every_level_of_go_comes_out_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let Some(oracle) = oracle(dir.path(), "v1.17.11", "v1.2.6") else { return };
    let inputs = inputs();
    for level in -2..=9 {
        let real = real(&oracle, dir.path(), &inputs, "go", level, &[]);
        assert_same(&real, &inputs, &format!("Go, level {level}"), |plain| {
            encoded(GoEncoder::new(level).unwrap(), plain)
        });
    }
}

#[test]
fn go_comes_out_also_when_writes_end_where_the_window_moves() {
    let dir = tempfile::tempdir().unwrap();
    let Some(oracle) = oracle(dir.path(), "v1.17.11", "v1.2.6") else { return };
    // Matches at a distance of a whole window, long ones, so that the encoder runs ahead to the end of a write.
    let mut inputs = Vec::new();
    for seed in 1..40u64 {
        let mut plain = words(32_768, seed);
        for (i, byte) in noise(400, seed).into_iter().enumerate() {
            plain[i * 80 + usize::from(byte & 63)] = byte;
        }
        inputs.push(plain.repeat(9));
    }
    let mut differ = 0;
    for writes in
        [&[65_400, 32_768][..], &[65_300, 32_700, 32_836], &[32_700, 32_740], &[1], &[4096, 100, 512]]
    {
        for level in [2, 4, 6, 9] {
            let real = real(&oracle, dir.path(), &inputs, "go", level, writes);
            let encode = |plain: &[u8], cuts: bool| {
                let mut encoder = GoEncoder::new(level).unwrap();
                let (mut rest, mut out) = (plain, Vec::new());
                for n in writes.iter().cycle() {
                    let (now, later) = rest.split_at((*n).min(rest.len()));
                    encoder.write(now, &mut out);
                    if cuts {
                        encoder.cut();
                    }
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                }
                encoder.finish(&mut out);
                out
            };
            assert_same(&real, &inputs, &format!("Go, level {level}, writes of {writes:?}"), |plain| {
                encode(plain, true)
            });
            differ += real.iter().zip(&inputs).filter(|(real, plain)| **real != encode(plain, false)).count();
        }
    }
    assert!(differ > 0, "the cuts must matter somewhere, or this test proves nothing");
}

#[test]
fn every_level_of_klauspost_and_pgzip_comes_out_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = inputs();
    for (version, compress, pgzip) in VERSIONS {
        let Some(oracle) = oracle(dir.path(), compress, pgzip) else { return };
        for level in (-2..=9).filter(|&level| KlauspostEncoder::new(version, level).is_some()) {
            let packed = real(&oracle, dir.path(), &inputs, "klauspost", level, &[]);
            assert_same(&packed, &inputs, &format!("klauspost {compress}, level {level}"), |plain| {
                encoded(KlauspostEncoder::new(version, level).unwrap(), plain)
            });
            let blocks = if level == -1 { &[65_536, 1 << 20][..] } else { &[100_000] };
            for &block in blocks {
                let packed = real(&oracle, dir.path(), &inputs, &format!("pgzip:{block}"), level, &[]);
                let what = format!("pgzip {pgzip} with {compress}, level {level}, blocks of {block}");
                assert_same(&packed, &inputs, &what, |plain| {
                    encoded(PgzipEncoder::new(version, level, block).unwrap(), plain)
                });
            }
        }
    }
}

/// Bytes with matches: pieces of noise, some of them again.
fn plain() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec((0..60_000usize, 0..6u64, any::<bool>()), 0..8).prop_map(|pieces| {
        let mut all = Vec::new();
        for (len, seed, text) in pieces {
            all.extend(if text { words(len, seed + 1) } else { noise(len / 4, seed + 1) });
        }
        all
    })
}

/// The encoder fed in pieces, after a `reset` by `reset` from something else.
fn in_pieces<E: Encoder>(mut encoder: E, reset: impl Fn(&mut E), plain: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.write(&plain[..plain.len() / 2], &mut out);
    reset(&mut encoder);
    out.clear();
    let mut rest = plain;
    for cut in cuts {
        let (now, later) = rest.split_at((*cut).min(rest.len()));
        encoder.write(now, &mut out);
        rest = later;
    }
    encoder.write(rest, &mut out);
    encoder.finish(&mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_does_not_matter_how_the_bytes_are_fed(
        plain in plain(),
        cuts in proptest::collection::vec(0..70_000usize, 0..12),
        level in -2..=9i32,
        version in proptest::sample::select(&Version::ALL[..]),
    ) {
        let go = || GoEncoder::new(level).unwrap();
        prop_assert_eq!(encoded(go(), &plain), in_pieces(go(), GoEncoder::reset, &plain, &cuts));
        if KlauspostEncoder::new(version, level).is_none() {
            return Ok(());
        }
        let klauspost = || KlauspostEncoder::new(version, level).unwrap();
        prop_assert_eq!(
            encoded(klauspost(), &plain),
            in_pieces(klauspost(), |encoder| encoder.reset(&[]), &plain, &cuts)
        );
        let pgzip = || PgzipEncoder::new(version, level, 40_000).unwrap();
        prop_assert_eq!(encoded(pgzip(), &plain), in_pieces(pgzip(), PgzipEncoder::reset, &plain, &cuts));
    }
}
