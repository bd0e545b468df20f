//! Measures compact encodings of a directory of layer pairs, `old/NAME.tar` and `new/NAME.tar`, compressed as Docker does:
//! `measure-compact DIR [default|smallest] [delta|full] [NAME…]` prints the sizes of the new layer and of its recipe, with the old one
//! as base or without, how fast it is encoded and decoded, in MB of layer for each second of processor time and of the clock, and the
//! most memory that each took. Kept memory of the layers before counts, so that the least is that of the first.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bundle_format::{
    Bases, CompactBase, CompactEncoder, CompactWriter, Effort, Lent, Limits, ScratchSpace, uncompressed_with,
};
use bundle_oci::{Digest, Hasher};
use bundle_recompress::Encoder;
use bundle_recompress::go::GoEncoder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory =
        PathBuf::from(arguments.next().ok_or("usage: measure-compact DIR [EFFORT] [delta|full] [NAME…]")?);
    let effort = arguments.next().map_or(Ok(Effort::Default), |effort| effort.parse())?;
    let full = arguments.next().as_deref() == Some("full");
    let wanted: Vec<String> = arguments.collect();
    let mut names: Vec<String> = fs::read_dir(directory.join("new"))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".tar").map(str::to_owned))
        .filter(|name| wanted.is_empty() || wanted.contains(name))
        .collect();
    names.sort();
    println!(
        "{:10} {:>11} {:>11} {:>11} {:>6} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7}",
        "layer", "plain", "gzip", "recipe", "%", "enc cpu", "dec cpu", "enc", "dec", "enc MiB", "dec MiB"
    );
    let mut all = Measured::default();
    for name in &names {
        let one = pair(&directory, name, effort, full)?;
        one.print(name);
        all.add(&one);
    }
    all.print("all");
    Ok(())
}

/// Sizes in bytes, times in seconds.
#[derive(Default)]
struct Measured {
    plain: u64,
    gzip: u64,
    recipe: u64,
    times: [f64; 4],
    /// The most memory in KiB.
    memory: [u64; 2],
}

impl Measured {
    fn add(&mut self, other: &Self) {
        self.plain += other.plain;
        self.gzip += other.gzip;
        self.recipe += other.recipe;
        self.times.iter_mut().zip(other.times).for_each(|(sum, time)| *sum += time);
        self.memory.iter_mut().zip(other.memory).for_each(|(most, memory)| *most = memory.max(*most));
    }

    fn print(&self, name: &str) {
        let percent = 100.0 * self.recipe as f64 / self.gzip.max(1) as f64;
        let [encode, decode, encode_clock, decode_clock] =
            self.times.map(|seconds| self.plain as f64 / 1e6 / seconds.max(0.01));
        println!(
            "{name:10} {:>11} {:>11} {:>11} {percent:>6.2} {encode:>8.1} {decode:>8.1} {encode_clock:>8.1} {decode_clock:>8.1} {:>7} {:>7}",
            self.plain,
            self.gzip,
            self.recipe,
            self.memory[0] >> 10,
            self.memory[1] >> 10,
        );
    }
}

fn pair(
    directory: &Path,
    name: &str,
    effort: Effort,
    full: bool,
) -> Result<Measured, Box<dyn std::error::Error>> {
    let tar = |side: &str| directory.join(side).join(format!("{name}.tar"));
    let plain = fs::metadata(tar("new"))?.len();
    let old = gzip(&tar("old"))?;
    let (blob, size, digest) = gzip(&tar("new"))?;
    let base = CompactBase { digest: old.2, size: old.1, repository: "cache/layers".parse()? };
    let bases: Arc<dyn Bases> = Arc::new(There { file: old.0, base: base.clone() });

    forget_peak();
    let (cpu, clock) = (cpu_seconds(), Instant::now());
    let encoder = CompactEncoder::new(bases.clone(), ScratchSpace::default(), effort, &Limits::V1);
    let near: Vec<_> = (!full).then(|| encoder.outer(0, &base)).into_iter().collect();
    let recipe = encoder.encode(&blob, size, &near)?.ok_or("no recipe")?;
    let (encoded, encoded_clock) = (cpu_seconds() - cpu, clock.elapsed().as_secs_f64());
    let encoding = peak();
    let mut writer = CompactWriter::new(ScratchSpace::default().file()?, vec![base])?;
    writer.blob(&blob, size, Some(&recipe))?;
    let (mut file, _) = writer.finish()?;
    io::Seek::rewind(&mut file)?;
    drop(encoder);

    forget_peak();
    let (cpu, clock) = (cpu_seconds(), Instant::now());
    let lent = Lent { bases, scratch: ScratchSpace::default() };
    let mut archive = uncompressed_with(Box::new(file), &lent)?;
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 128 << 10]);
    loop {
        match archive.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    let (decoded, decoded_clock) = (cpu_seconds() - cpu, clock.elapsed().as_secs_f64());
    if hasher.finish() != digest {
        return Err(format!("{name} does not come back").into());
    }
    Ok(Measured {
        plain,
        gzip: size,
        recipe: recipe.size(),
        memory: [encoding, peak()],
        times: [encoded, decoded, encoded_clock, decoded_clock],
    })
}

/// A tar in a gzip file as Go writes it, with its size and digest.
fn gzip(tar: &Path) -> Result<(File, u64, Digest), Box<dyn std::error::Error>> {
    let (mut tar, file) = (File::open(tar)?, ScratchSpace::default().file()?);
    let mut encoder = GoEncoder::new(-1).ok_or("Go has a default level")?;
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut crc, mut length, mut hasher) = (flate2::Crc::new(), 0u32, Hasher::new());
    let (mut buffer, mut size) = (vec![0; 1 << 20], 0);
    loop {
        let read = tar.read(&mut buffer)?;
        if read == 0 {
            encoder.finish(&mut out);
            out.extend(crc.sum().to_le_bytes());
            out.extend(length.to_le_bytes());
        } else {
            crc.update(&buffer[..read]);
            length = length.wrapping_add(read as u32);
            encoder.write(&buffer[..read], &mut out);
        }
        (&file).write_all(&out)?;
        hasher.update(&out);
        size += out.len() as u64;
        out.clear();
        if read == 0 {
            return Ok((file, size, hasher.finish()));
        }
    }
}

/// The base, where it is.
struct There {
    file: File,
    base: CompactBase,
}

impl Bases for There {
    fn has(&self, base: &CompactBase) -> bool {
        *base == self.base
    }

    fn copy(&self, _: &CompactBase, out: &mut dyn Write) -> io::Result<()> {
        let mut file = &self.file;
        io::Seek::rewind(&mut file)?;
        io::copy(&mut io::BufReader::with_capacity(128 << 10, file), out).map(drop)
    }
}

/// The processor time in seconds of all threads of this process: others on the machine do not count.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before may have spaces; times are in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Makes what is resident now the most memory (proc(5), clear_refs).
fn forget_peak() {
    // Where that may not be, the most of all layers so far is printed.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most memory in KiB that this process had resident.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}
