//! Takes files of compressed layers; prints for each what wrote it, the length of its recipe, and how fast
//! it is examined and written again. The numbers of `docs/` are made with it.

use std::io::{self, BufWriter, Read, Write};
use std::time::Instant;

use bundle_recompress::{Limits, Recipe, examine, recreate};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "{:<28} {:>11} {:>11} {:>7} {:>11} {:>9} {:>9} exact  model",
        "file", "blob", "plain", "recipe", "corrections", "enc MB/s", "dec MB/s"
    );
    for path in std::env::args().skip(1) {
        let mut file = std::fs::File::open(&path)?;
        let size = file.metadata()?.len();
        let mut plain = tempfile::tempfile()?;
        let begin = Instant::now();
        let mut writer = BufWriter::new(&mut plain);
        let mut corrections = Vec::new();
        let recipe = examine(&mut file, &mut writer, &mut corrections)?;
        writer.flush()?;
        drop(writer);
        let examined = begin.elapsed().as_secs_f64();
        let name = std::path::Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(recipe) = recipe else {
            println!(
                "{name:<28} {size:>11} {:>11} {:>7} {:>11} {:>9} {:>9} -      no recipe",
                "", "", "", "", ""
            );
            continue;
        };
        let bytes = recipe.to_bytes();
        let recipe = Recipe::from_bytes(&bytes)?;
        let plain_size = plain.metadata()?.len();
        io::Seek::rewind(&mut plain)?;
        let mut again = tempfile::tempfile()?;
        let begin = Instant::now();
        recreate(&recipe, &mut plain, &mut &corrections[..], &mut again, Limits { compressed: size })?;
        let recreated = begin.elapsed().as_secs_f64();
        io::Seek::rewind(&mut again)?;
        io::Seek::rewind(&mut file)?;
        let exact = same(&mut file, &mut again)?;
        let speed = |seconds: f64| plain_size as f64 / 1e6 / seconds;
        println!(
            "{name:<28} {size:>11} {plain_size:>11} {:>7} {:>11} {:>9.1} {:>9.1} {}    {:?}",
            bytes.len(),
            corrections.len(),
            speed(examined),
            speed(recreated),
            if exact { "yes" } else { "NO" },
            recipe,
        );
    }
    Ok(())
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
