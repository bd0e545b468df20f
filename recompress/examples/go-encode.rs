//! Compresses standard input as Go does, to compare by hand:
//! `go-encode go|VERSION|pgzipVERSION LEVEL <plain >deflate`, or
//! `go-encode zstdVERSION LEVEL [stream|whole [WINDOW]] <plain >frame` with the levels 1 to 4.
use bundle_recompress::Encoder;
use bundle_recompress::go::GoEncoder;
use bundle_recompress::klauspost::{KlauspostEncoder, PgzipEncoder, Version};
use bundle_recompress::klauspost_zstd::{Form, FrameEncoder, FrameLevel, FrameSettings, ZstdVersion};
use std::io::{Read, Write};

fn version(name: &str) -> Version {
    match name {
        "1.12.0" => Version::V1_12_0,
        "1.14.0" => Version::V1_14_0,
        "1.15.0" => Version::V1_15_0,
        "1.15.11" => Version::V1_15_11,
        "1.15.14" => Version::V1_15_14,
        "1.18.0" => Version::V1_18_0,
        "1.18.2" => Version::V1_18_2,
        "1.20.0" => Version::V1_20_0,
        "1.20.4" => Version::V1_20_4,
        _ => panic!("no version {name}"),
    }
}

fn frame(version: &str, level: i32, mut args: impl Iterator<Item = String>) -> Box<dyn Encoder> {
    let version = match version {
        "1.15.0" => ZstdVersion::V1_15_0,
        "1.16.5" => ZstdVersion::V1_16_5,
        "1.17.3" => ZstdVersion::V1_17_3,
        "1.17.8" => ZstdVersion::V1_17_8,
        "1.20.3" => ZstdVersion::V1_20_3,
        _ => panic!("no version {version}"),
    };
    let form = if args.next().is_some_and(|form| form == "whole") { Form::Whole } else { Form::Stream };
    let level = FrameLevel::ALL[level as usize - 1];
    let mut settings = FrameSettings::new(version, level, form).expect("a level of this version");
    if let Some(window) = args.next().and_then(|window| window.parse().ok()) {
        settings = settings.with_window(window).expect("a window");
    }
    let size = std::fs::metadata("/dev/stdin").map_or(0, |metadata| metadata.len());
    Box::new(FrameEncoder::new(settings, size))
}

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().expect("an encoder");
    let level = args.next().and_then(|level| level.parse().ok()).unwrap_or(-1);
    let mut encoder: Box<dyn Encoder> = if let Some(version) = name.strip_prefix("zstd") {
        frame(version, level, args)
    } else if name == "go" {
        Box::new(GoEncoder::new(level).expect("a level"))
    } else if let Some(name) = name.strip_prefix("pgzip") {
        Box::new(PgzipEncoder::new(version(name), level, PgzipEncoder::BLOCK_SIZE).expect("a level"))
    } else {
        Box::new(KlauspostEncoder::new(version(&name), level).expect("a level"))
    };
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let (mut part, mut out) = (vec![0; 1 << 20], Vec::new());
    let (mut plain, mut packed, mut busy) = (0, 0, std::time::Duration::ZERO);
    loop {
        let n = input.read(&mut part).expect("plain bytes");
        let start = std::time::Instant::now();
        if n == 0 {
            encoder.finish(&mut out);
        } else {
            encoder.write(&part[..n], &mut out);
        }
        busy += start.elapsed();
        plain += n;
        packed += out.len();
        output.write_all(&out).expect("standard output");
        out.clear();
        if n == 0 {
            break;
        }
    }
    eprintln!("{name} {level}: {plain} -> {packed}, {:.1} MB/s", plain as f64 / busy.as_secs_f64() / 1e6);
}
