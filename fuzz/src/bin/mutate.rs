//! Drives the targets with mutations of their seeds: no coverage, no nightly compiler, the same for the same
//! seed. Takes SECONDS, a SEED and targets; gives counts, and inputs that ended in a panic in
//! `fuzz/artifacts/`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bundle_fuzz::{TARGETS, Target};

/// One input must not take longer than this.
const SLOW: Duration = Duration::from_secs(10);

/// An input that takes so much more memory than any before it is told of, in KiB: which it is, is hard to find out later.
const LARGE: u64 = 32 << 10;

/// Larger inputs are cut.
const LARGEST: usize = 256 << 10;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if std::env::args().nth(1).as_deref() == Some("--seeds") {
        return write_seeds(std::env::args().nth(2), std::env::args().nth(3));
    }
    let mut number = |what| {
        let text =
            arguments.next().unwrap_or_else(|| panic!("mutate SECONDS SEED [TARGET]...: {what} is missing"));
        text.parse::<u64>().unwrap_or_else(|_| panic!("{what} is not a number: {text}"))
    };
    let (seconds, seed) = (number("SECONDS"), number("SEED"));
    let wanted: Vec<String> = arguments.collect();
    let targets: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| wanted.is_empty() || wanted.iter().any(|name| name == target.name))
        .collect();
    assert!(!targets.is_empty(), "there is no such target");
    let each = Duration::from_secs(seconds) / targets.len() as u32;
    let mut failures: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut all, mut most) = (0, 0);
    for target in &targets {
        forget_peak();
        let (runs, failed) = drive(target, seed, each);
        let peak = peak();
        most = most.max(peak);
        println!("{:<14} {runs:>9} inputs, {failed} failures, peak memory {} MiB", target.name, peak >> 10);
        all += runs;
        if failed > 0 {
            failures.insert(target.name, failed);
        }
    }
    println!("{all} inputs in {seconds} s, seed {seed}, peak memory {} MiB", most >> 10);
    if !failures.is_empty() {
        eprintln!("failed: {failures:?}; the inputs are in fuzz/artifacts");
        std::process::exit(1);
    }
}

/// `--seeds TARGET DIRECTORY`: writes a target's seeds into files, for libFuzzer.
fn write_seeds(target: Option<String>, directory: Option<String>) {
    let (Some(name), Some(directory)) = (target, directory) else { panic!("--seeds TARGET DIRECTORY") };
    let target = TARGETS.iter().find(|target| target.name == name).expect("there is no such target");
    for (number, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(format!("{directory}/seed-{number}"), seed).unwrap();
    }
}

fn drive(target: &Target, seed: u64, time: Duration) -> (u64, u64) {
    let seeds = (target.seeds)();
    let mut random = Random(seed ^ 0x9e37_79b9_7f4a_7c15);
    let began = Instant::now();
    let (mut runs, mut failed) = (0, 0);
    let mut highest = peak();
    // Seeds themselves come first.
    for position in 0.. {
        if position >= seeds.len() && began.elapsed() >= time {
            break;
        }
        let input = match seeds.get(position) {
            Some(seed) => seed.clone(),
            None => mutated(&seeds, &mut random),
        };
        let at = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        runs += 1;
        let now = peak();
        if now > highest + LARGE {
            let path = keep(target, "large", seed, position, &input);
            eprintln!("{}: from {} to {} MiB: {path}", target.name, highest >> 10, now >> 10);
        }
        highest = highest.max(now);
        if ended.is_err() || at.elapsed() > SLOW {
            failed += 1;
            let kind = if ended.is_err() { "crash" } else { "slow" };
            let path = keep(target, kind, seed, position, &input);
            eprintln!("{}: {kind}: {path}", target.name);
            if failed >= 5 {
                break;
            }
        }
    }
    (runs, failed)
}

/// Writes an input to `fuzz/artifacts`, and says where.
fn keep(target: &Target, kind: &str, seed: u64, position: usize, input: &[u8]) -> String {
    let directory = format!("{}/artifacts/{}", env!("CARGO_MANIFEST_DIR"), target.name);
    let path = format!("{directory}/{kind}-{seed}-{position}");
    std::fs::create_dir_all(&directory).and_then(|()| std::fs::write(&path, input)).unwrap();
    path
}

/// xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end.max(1)
    }
}

/// Words that formats give a meaning to.
const WORDS: [&[u8]; 32] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"-1",
    b"0",
    b"18446744073709551616",
    b"1e9",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"../",
    b"/",
    b"\n",
    b"\r\n",
    b"\t",
    b"&a ",
    b"*a",
    b"<<: ",
    b"{{",
    b"}}",
    b"{{ end }}",
    b"sha256:",
    b"\xc5\xbf",
    b"\xe2\x80\xae",
    b"7777777777",
    b"\x28\xb5\x2f\xfd",
    b"\\u0000",
    b"!!binary ",
];

fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
            4 => {
                let word = WORDS[random.below(WORDS.len())];
                let end = (at + word.len()).min(bytes.len());
                bytes.splice(at..end, word.iter().copied());
            }
            5 => {
                let end = (at + random.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            6 => {
                let end = (at + random.below(2000)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            7 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let end = (from + random.below(4000)).min(other.len());
                bytes.splice(at.min(bytes.len()).., other[from..end].iter().copied());
            }
            _ => {
                // A part many times over: depth, and length.
                let end = (at + 1 + random.below(8)).min(bytes.len());
                let part = bytes[at.min(end)..end].repeat(1 + random.below(3000));
                bytes.splice(at..at, part);
            }
        }
        bytes.truncate(LARGEST);
    }
    bytes
}

/// Lets the peak begin anew (Linux, proc(5), `clear_refs`), as far as the system allows it.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that was resident, in KiB; 0 where the system does not say.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
