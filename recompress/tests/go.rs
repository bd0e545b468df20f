//! The models of Go's encoders against the encoders themselves: a Go program beside this file is built with
//! each version of `klauspost/compress` that writes differently, from the module proxy, and compresses the
//! same inputs.

use bundle_recompress::Encoder;
use bundle_recompress::go::GoEncoder;
use bundle_recompress::klauspost::{KlauspostEncoder, PgzipEncoder, Version};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The release that must be had.
const CURRENT: &str = "v1.17.11";

/// The Go program, built with these versions; none without Go or without its modules.
fn oracle(dir: &Path, compress: &str, pgzip: &str) -> Option<PathBuf> {
    let go = bundle_test_needs::program("go")?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go");
    let build = dir.join(compress);
    std::fs::create_dir_all(&build).unwrap();
    for file in ["go.mod", "main.go"] {
        std::fs::copy(source.join(file), build.join(file)).unwrap();
    }
    let run = |args: &[&str]| {
        let out = Command::new(&go)
            .args(args)
            .current_dir(&build)
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local")
            .output()
            .unwrap();
        if !out.status.success() {
            eprintln!("go {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        }
        out.status.success()
    };
    let modules = [
        format!("-require=github.com/klauspost/compress@{compress}"),
        format!("-require=github.com/klauspost/pgzip@{pgzip}"),
    ];
    if !run(&["mod", "edit", &modules[0], &modules[1]]) || !run(&["build", "-o", "oracle", "."]) {
        let what = format!("a Go that builds with klauspost/compress {compress}");
        // The proxy of Go's modules may not have each old release on each day.
        match compress == CURRENT {
            true => bundle_test_needs::missing(&what),
            false => bundle_test_needs::note(&what),
        }
        return None;
    }
    Some(build.join("oracle"))
}

/// Runs the program over all inputs, and gives what it wrote, in the order of `inputs`.
fn real(
    oracle: &Path,
    dir: &Path,
    inputs: &[Vec<u8>],
    encoder: &str,
    level: i32,
    writes: &[usize],
) -> Vec<Vec<u8>> {
    let plain = dir.join("plain");
    if !plain.exists() {
        std::fs::create_dir(&plain).unwrap();
        for (i, input) in inputs.iter().enumerate() {
            std::fs::write(plain.join(format!("{i:03}")), input).unwrap();
        }
    }
    let packed = tempfile::tempdir_in(dir).unwrap();
    let status = Command::new(oracle)
        .args([encoder, &level.to_string()])
        .args([&plain, packed.path()])
        .args(writes.iter().map(ToString::to_string))
        .status()
        .unwrap();
    assert!(status.success());
    (0..inputs.len()).map(|i| std::fs::read(packed.path().join(format!("{i:03}"))).unwrap()).collect()
}

/// Bytes that nobody can compress, the same every time.
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    (0..len)
        .map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 32) as u8
        })
        .collect()
}

/// Words out of a short list, with numbers between.
fn words(len: usize, seed: u64) -> Vec<u8> {
    const LIST: [&str; 12] =
        ["layer", "image", "the", "digest", "of", "\n", "registry", "0.0", "a", "blob", "manifest", ", "];
    let mut text = Vec::with_capacity(len + 16);
    for pair in noise(len, seed).chunks(2) {
        text.extend_from_slice(LIST[usize::from(pair[0]) % LIST.len()].as_bytes());
        if pair.last().is_some_and(|&byte| byte < 90) {
            text.extend_from_slice(format!(" {} ", pair[0]).as_bytes());
        }
        if text.len() >= len {
            break;
        }
    }
    text.truncate(len);
    text
}

/// Inputs of all kinds and of the sizes at which encoders change their ways.
fn inputs() -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new(), b"a".to_vec()];
    for len in [
        2, 3, 4, 12, 13, 16, 17, 32, 33, 100, 127, 128, 129, 250, 1000, 16383, 16384, 16385, 32767, 32768,
        32769, 65534, 65535, 65536, 65537, 65274, 98304, 131_070, 131_071, 131_072,
    ] {
        all.push(words(len, 1 + len as u64));
    }
    for len in [20, 64, 200, 1025, 40_000, 65535, 65536, 200_000] {
        all.push(noise(len, 77 + len as u64));
        all.push(vec![0; len]);
        // Few different bytes, which only a Huffman code helps with.
        all.push(noise(len, 5).iter().map(|byte| byte & 15).collect());
    }
    // Both halves of a long period, beyond and within reach.
    for period in [32_767, 32_768, 32_769, 40_000] {
        all.push(noise(period, 9).repeat(3));
    }
    // A mixture: text, noise, zeros, and what came before once more.
    let mut mixture = Vec::new();
    for round in 0..40u64 {
        let len = 3000 + (round as usize * 7919) % 60_000;
        match round % 5 {
            0 | 3 => mixture.extend(words(len, round + 3)),
            1 => mixture.extend(noise(len / 3, round + 3)),
            2 => mixture.resize(mixture.len() + len / 2, 0),
            _ => {
                let from = mixture.len().saturating_sub(len + 9000);
                mixture.extend_from_within(from..from + len / 2);
            }
        }
    }
    all.push(mixture);
    // Programs, as far as this machine has them.
    for path in ["/usr/bin/bash", "/usr/bin/git"] {
        if let Ok(mut bytes) = std::fs::read(path) {
            bytes.truncate(1_200_000);
            all.push(bytes);
        }
    }
    all
}

fn encoded(mut encoder: impl Encoder, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.write(plain, &mut out);
    encoder.finish(&mut out);
    out
}

fn assert_same(real: &[Vec<u8>], inputs: &[Vec<u8>], what: &str, encode: impl Fn(&[u8]) -> Vec<u8>) {
    for (i, (real, plain)) in real.iter().zip(inputs).enumerate() {
        let ours = encode(plain);
        let at = ours.iter().zip(real).take_while(|(a, b)| a == b).count();
        assert!(
            ours == *real,
            "{what}, input {i} of {} bytes: {} bytes instead of {}, the first {at} the same",
            plain.len(),
            ours.len(),
            real.len()
        );
    }
}

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
