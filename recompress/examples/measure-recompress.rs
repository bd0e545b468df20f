//! `measure-recompress [--base FILE] FILE…` takes compressed layers; prints for each what wrote it, the length of its recipe, and
//! how fast (MB/s of processor time) it is examined and written again, beside a base with how much of it is taken over.
//! The numbers of `docs/` are made with it.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bundle_recompress::{BaseTokens, Limits, ReadAt, Recipe, examine_beside, inflate_base, recreate_beside};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    let mut bases = Vec::new();
    if paths.first().is_some_and(|first| first == "--base") {
        let path = paths.drain(..2).nth(1).ok_or("--base without a file")?;
        bases.push(Some(base(Path::new(&path))?));
    }
    println!(
        "{:<28} {:>11} {:>11} {:>7} {:>11} {:>6} {:>9} {:>9} exact  model",
        "file", "blob", "plain", "recipe", "corrections", "over %", "enc MB/s", "dec MB/s"
    );
    for path in paths {
        let mut file = File::open(&path)?;
        let size = file.metadata()?.len();
        let mut plain = tempfile::tempfile()?;
        let begin = cpu_seconds();
        let mut writer = BufWriter::new(&mut plain);
        let mut corrections = Vec::new();
        let recipe = examine_beside(&mut file, &mut writer, &mut corrections, &bases)?;
        writer.flush()?;
        drop(writer);
        let examined = cpu_seconds() - begin;
        let name = Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(recipe) = recipe else {
            println!("{name:<28} {size:>11} {:>11} no recipe", "");
            continue;
        };
        let bytes = recipe.to_bytes();
        let recipe = Recipe::from_bytes(&bytes)?;
        let plain_size = plain.metadata()?.len();
        plain.rewind()?;
        let mut again = tempfile::tempfile()?;
        let begin = cpu_seconds();
        let limits = Limits { compressed: size };
        let made = recreate_beside(&recipe, &mut plain, &mut &corrections[..], &bases, &mut again, limits)?;
        let recreated = cpu_seconds() - begin;
        again.rewind()?;
        file.rewind()?;
        let exact = same(&mut file, &mut again)?;
        let speed = |seconds: f64| plain_size as f64 / 1e6 / seconds;
        println!(
            "{name:<28} {size:>11} {plain_size:>11} {:>7} {:>11} {:>6.1} {:>9.1} {:>9.1} {}    {:?}",
            bytes.len(),
            corrections.len(),
            100.0 * made.taken_over as f64 / plain_size.max(1) as f64,
            speed(examined),
            speed(recreated),
            if exact { "yes" } else { "NO" },
            recipe.models(),
        );
    }
    Ok(())
}

/// Uncompresses a base, and says how fast.
fn base(path: &Path) -> Result<Arc<BaseTokens>, Box<dyn std::error::Error>> {
    let (mut blob, mut plain, mut tokens) = (File::open(path)?, tempfile::tempfile()?, tempfile::tempfile()?);
    let file = Arc::new(Tokens(Mutex::new(tokens.try_clone()?)));
    let begin = cpu_seconds();
    let base = inflate_base(&mut blob, &mut plain, &mut tokens, file, true)?;
    let (size, seconds) = (plain.metadata()?.len(), cpu_seconds() - begin);
    let tokens = tokens.metadata()?.len();
    println!("base of {size} bytes: {:.1} MB/s, {tokens} bytes of tokens", size as f64 / 1e6 / seconds);
    Ok(Arc::new(base))
}

struct Tokens(Mutex<File>);

impl ReadAt for Tokens {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut file = self.0.lock().map_err(|_| io::Error::other("a panic"))?;
        file.seek(io::SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }
}

/// The processor time in seconds that this process has used: others on the machine do not count.
fn cpu_seconds() -> f64 {
    let schedule = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    schedule.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn same(one: &mut dyn Read, other: &mut dyn Read) -> io::Result<bool> {
    let (mut a, mut b) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = one.read(&mut a)?;
        if read == 0 {
            return Ok(other.read(&mut b)? == 0);
        }
        if other.read_exact(&mut b[..read]).is_err() || a[..read] != b[..read] {
            return Ok(false);
        }
    }
}
