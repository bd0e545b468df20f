//! Layers by the programs that people use, as far as they are on this machine: tars of five sizes and three
//! kinds, compressed by each program, taken apart and made again.

use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use bundle_recompress::{Limits, Recipe, examine, recreate};
use bundle_test_needs as needs;

const SIZES: [usize; 5] = [0, 900, 40_000, 250_000, 1_300_000];

/// A name, and bytes like those of a layer.
fn tars() -> Vec<(String, Vec<u8>)> {
    let text: Vec<u8> = include_str!("corpus.rs").bytes().collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut words = Vec::new();
    while words.len() < SIZES[4] {
        let from = noise() as usize % text.len();
        let to = (from + noise() as usize % 60).min(text.len());
        words.extend_from_slice(&text[from..to]);
        words.extend_from_slice(format!("{:x}", noise() % 5000).as_bytes());
    }
    let programs: Vec<u8> = ["/usr/bin/bash", "/usr/bin/perl", "/bin/tar", "/usr/bin/gpg"]
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .flatten()
        .collect();
    assert!(!programs.is_empty(), "no program on this machine is where programs are");
    let random: Vec<u8> = std::iter::repeat_with(|| noise() as u8).take(SIZES[4]).collect();
    let kinds = [("text", words), ("programs", programs), ("random", random)];
    let mut tars = Vec::new();
    for size in SIZES {
        for (kind, bytes) in &kinds {
            tars.push((format!("{kind} of {size}"), bytes[..size.min(bytes.len())].to_vec()));
        }
    }
    tars
}

fn run(program: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the program ends");
    feeder.join().expect("no panic").expect("the program reads its input");
    assert!(output.status.success(), "{} {arguments:?}", program.display());
    output.stdout
}

/// Whether the blob came back, and the length of recipe and corrections.
fn round(name: &str, blob: &[u8], plain: &[u8]) -> (usize, usize) {
    let (mut found, mut corrections) = (Vec::new(), Vec::new());
    let recipe = examine(&mut Cursor::new(blob), &mut found, &mut corrections).expect("memory can be read");
    let recipe = recipe.unwrap_or_else(|| panic!("{name}: no recipe"));
    assert!(found == plain, "{name}: other plain bytes");
    let bytes = recipe.to_bytes();
    let recipe = Recipe::from_bytes(&bytes).expect("a recipe can be read");
    let mut again = Vec::new();
    let limits = Limits { compressed: blob.len() as u64 };
    recreate(&recipe, &mut &plain[..], &mut &corrections[..], &mut again, limits)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(again == blob, "{name}: another blob");
    (bytes.len(), corrections.len())
}

/// Each tar through the program with each of the options; the recipe is all that is needed.
fn comes_back_by_a_few_bytes(program: &Path, options: &[&[&str]]) {
    for (name, plain) in tars() {
        for arguments in options {
            let name = format!("{} {} {name}", program.display(), arguments.join(" "));
            let (recipe, corrections) = round(&name, &run(program, arguments, &plain), &plain);
            assert!(recipe < 64, "{name}: a recipe of {recipe} bytes");
            assert_eq!(corrections, 0, "{name}");
        }
    }
}

#[test]
fn layers_of_gnu_gzip_come_back_by_a_few_bytes() {
    let Some(gzip) = needs::program("gzip") else { return };
    comes_back_by_a_few_bytes(&gzip, &[&["-1"], &["-3"], &["-4"], &["-6"], &["-9", "-n"]]);
}

#[test]
fn layers_of_pigz_come_back_by_a_few_bytes() {
    let Some(pigz) = needs::program("pigz") else { return };
    let options: [&[&str]; 5] =
        [&["-p", "3"], &["-p", "3", "-9"], &["-p", "1"], &["-i", "-1"], &["-p", "2", "-5", "-n"]];
    comes_back_by_a_few_bytes(&pigz, &options);
}

#[test]
fn layers_of_python_s_zlib_come_back_by_a_few_bytes() {
    let Some(python) = needs::program("python3") else { return };
    let script = "import sys, zlib\n\
        level, memory, strategy = map(int, sys.argv[1:])\n\
        c = zlib.compressobj(level, 8, 31, memory, strategy)\n\
        while data := sys.stdin.buffer.read(16384): sys.stdout.buffer.write(c.compress(data))\n\
        sys.stdout.buffer.write(c.flush())\n";
    let options: Vec<[&str; 5]> = (1..=9)
        .map(|level| ["-c", script, ["1", "2", "3", "4", "5", "6", "7", "8", "9"][level - 1], "8", "0"])
        .chain([["-c", script, "6", "9", "0"], ["-c", script, "6", "8", "2"], ["-c", script, "6", "8", "3"]])
        .collect();
    let options: Vec<&[&str]> = options.iter().map(|it| &it[..]).collect();
    comes_back_by_a_few_bytes(&python, &options);
}

#[test]
fn layers_of_java_come_back_by_a_few_bytes() {
    let Some(java) = needs::program("java") else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    // As jib writes layers: com.google.cloud.tools.jib.blob, a GZIPOutputStream with its defaults.
    let source = directory.path().join("Layer.java");
    std::fs::write(
        &source,
        "import java.util.zip.GZIPOutputStream;\n\
         class Layer { public static void main(String[] a) throws Exception {\n\
         try (var out = new GZIPOutputStream(System.out)) { System.in.transferTo(out); } } }\n",
    )
    .expect("the directory can be written");
    let source = source.to_str().expect("a path in UTF-8");
    // A runtime without a compiler cannot run a source file.
    let probe = Command::new(&java).arg(source).stdin(Stdio::null()).stderr(Stdio::null()).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        needs::missing("a JDK that runs a source file");
        return;
    }
    comes_back_by_a_few_bytes(&java, &[&["-Xshare:auto", source]]);
}

#[test]
fn layers_of_igzip_come_back_with_corrections() {
    let Some(igzip) = needs::program("igzip") else { return };
    with_corrections(&igzip, &[&["-c", "-0"], &["-c", "-1"], &["-c", "-2"], &["-c", "-3"]]);
}

/// Each tar through the program, which has no model.
fn with_corrections(program: &Path, options: &[&[&str]]) {
    for (name, plain) in tars() {
        for arguments in options {
            let name = format!("{} {} {name}", program.display(), arguments.join(" "));
            let blob = run(program, arguments, &plain);
            let (recipe, corrections) = round(&name, &blob, &plain);
            assert!(recipe < 64, "{name}: a recipe of {recipe} bytes");
            // A header of 110 bytes stands in the smallest blobs, too.
            assert!(corrections <= 250 + blob.len() / 4, "{name}: {corrections} of {} bytes", blob.len());
        }
    }
}

/// libzstd with one thread, as a program that links it writes: in pieces, or with the size known before.
#[test]
fn frames_of_libzstd_come_back_by_a_few_bytes() {
    for (name, plain) in tars() {
        for level in [1, 3, 9] {
            for (checksum, sized, piece) in [(false, false, 10_000), (true, true, 131_072)] {
                let mut encoder = zstd::Encoder::new(Vec::new(), level).expect("an encoder");
                encoder.include_checksum(checksum).expect("a setting");
                if sized {
                    encoder.set_pledged_src_size(Some(plain.len() as u64)).expect("a setting");
                }
                plain.chunks(piece).for_each(|piece| encoder.write_all(piece).expect("memory"));
                let blob = encoder.finish().expect("memory");
                let (recipe, corrections) = round(&format!("zstd {level} {name}"), &blob, &plain);
                assert!(recipe < 16 && corrections == 0);
            }
        }
    }
}
