//! The Go program beside this file, built with a release of `klauspost/compress` from the module proxy, and inputs for it.
//! Gives what the real encoders write, to be compared with what the models do.

use std::path::{Path, PathBuf};
use std::process::Command;

use bundle_recompress::Encoder;

/// The release that must be had.
pub(crate) const CURRENT: &str = "v1.17.11";

/// The Go program, built with these versions; none without Go or without its modules.
pub(crate) fn oracle(dir: &Path, compress: &str, pgzip: &str) -> Option<PathBuf> {
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
pub(crate) fn real(
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
pub(crate) fn noise(len: usize, mut seed: u64) -> Vec<u8> {
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
pub(crate) fn words(len: usize, seed: u64) -> Vec<u8> {
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
pub(crate) fn inputs() -> Vec<Vec<u8>> {
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

pub(crate) fn encoded(mut encoder: impl Encoder, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.write(plain, &mut out);
    encoder.finish(&mut out);
    out
}

pub(crate) fn assert_same(
    real: &[Vec<u8>],
    inputs: &[Vec<u8>],
    what: &str,
    encode: impl Fn(&[u8]) -> Vec<u8>,
) {
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
