//! Measures a directory of layer pairs, `old/NAME.tar` and `new/NAME.tar`: encoded sizes, speeds (MB/s of processor time) and memory.
//! `measure-delta DIR [default|smallest] [delta|full] [NAME…]`; `new/NAME.gz` gives the size of the layer compressed as it is served.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use bundle_delta::{BaseIndex, Level, Limits, Options, PlainFile, ReadAt, WINDOWS, decode, encode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory =
        PathBuf::from(arguments.next().ok_or("usage: measure-delta DIR [LEVEL] [delta|full] [NAME…]")?);
    let level = match arguments.next().as_deref() {
        Some("smallest") => Level::Smallest,
        _ => Level::Default,
    };
    let full = arguments.next().as_deref() == Some("full");
    let wanted: Vec<String> = arguments.collect();
    let mut names: Vec<String> = fs::read_dir(directory.join("new"))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".tar").map(str::to_owned))
        .filter(|name| wanted.is_empty() || wanted.contains(name))
        .collect();
    names.sort();
    println!(
        "{:10} {:>11} {:>11} {:>11} {:>6} {:>7} {:>7} {:>7} {:>5}  streams (ops diff new head)",
        "layer", "plain", "gzip", "encoded", "%", "index", "enc", "dec", "MiB"
    );
    let mut totals = [0u64; 3];
    let mut times = [0f64; 3];
    for name in &names {
        let (row, sizes, seconds) = pair(&directory, name, level, full)?;
        println!("{row}");
        for (total, size) in totals.iter_mut().zip(sizes) {
            *total += size;
        }
        for (total, second) in times.iter_mut().zip(seconds) {
            *total += second;
        }
    }
    let [plain, gzip, encoded] = totals;
    let speed = |seconds: f64| plain as f64 / 1e6 / seconds;
    println!(
        "{:10} {plain:>11} {gzip:>11} {encoded:>11} {:>6.2} {:>7.1} {:>7.1} {:>7.1}",
        "all",
        100.0 * encoded as f64 / gzip as f64,
        speed(times[0]),
        speed(times[1]),
        speed(times[2])
    );
    Ok(())
}

/// A row of the table, the sizes (plain, gzip, encoded) and the seconds (index, encode, decode).
type Measured = (String, [u64; 3], [f64; 3]);

/// Encodes and decodes one pair, and compares.
fn pair(
    directory: &Path,
    name: &str,
    level: Level,
    full: bool,
) -> Result<Measured, Box<dyn std::error::Error>> {
    let tar = |side: &str| directory.join(side).join(format!("{name}.tar"));
    let old = PlainFile::new(File::open(tar("old"))?)?;
    let new = PlainFile::new(File::open(tar("new"))?)?;
    let gzip = fs::metadata(directory.join("new").join(format!("{name}.gz"))).map_or(0, |file| file.len());
    let bases: &[&dyn ReadAt] = if full { &[] } else { &[&old] };
    let encoded_path = directory.join(format!("{name}.bdlt"));

    let started = cpu_seconds();
    let index = BaseIndex::of(bases)?;
    let indexing = cpu_seconds() - started;

    let started = cpu_seconds();
    let mut encoded = io::BufWriter::new(File::create(&encoded_path)?);
    let summary = encode(&new, bases, &index, Options { level }, &mut encoded)?;
    encoded.flush()?;
    let encoding = cpu_seconds() - started;
    drop(index);

    let started = cpu_seconds();
    let mut compare = Compare { plain: &new, at: 0, buffer: Vec::new() };
    let limits = Limits { size: new.size(), windows: WINDOWS };
    let mut encoded = BufReader::new(File::open(&encoded_path)?);
    decode(&mut encoded, bases, limits, &mut compare)?;
    let decoding = cpu_seconds() - started;

    let speed = |seconds: f64| summary.plain as f64 / 1e6 / seconds;
    let row = format!(
        "{name:10} {:>11} {gzip:>11} {:>11} {:>6.2} {:>7.1} {:>7.1} {:>7.1} {:>5}  {:?}",
        summary.plain,
        summary.encoded,
        100.0 * summary.encoded as f64 / gzip.max(1) as f64,
        speed(indexing),
        speed(encoding),
        speed(decoding),
        peak() >> 10,
        summary.streams
    );
    Ok((row, [summary.plain, gzip, summary.encoded], [indexing, encoding, decoding]))
}

/// The processor time in seconds that this process has used: others on the machine do not count.
fn cpu_seconds() -> f64 {
    let schedule = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    schedule.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// The most memory in KiB that this process had resident.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

/// Compares what is written with the layer, which counts as decoding.
struct Compare<'a> {
    plain: &'a PlainFile,
    at: u64,
    buffer: Vec<u8>,
}

impl Write for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.resize(bytes.len(), 0);
        self.plain.read_exact_at(&mut self.buffer, self.at)?;
        if self.buffer != bytes {
            return Err(io::Error::other(format!("other bytes at {}", self.at)));
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
