//! Archives within plain bytes: whatever is opened closes to the same bytes, whoever made the archive and however it
//! lies; and a list of streams gives what the streams are, or is refused.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use bundle_recompress::klauspost::Version;
use bundle_recompress::{
    ArchiveEntry, Closer, GoLevel, InnerRecipe, KlauspostSettings, Level, Model, Opener, Packed, ReadAt,
    StreamListWriter, ZlibSettings, archive_entries, inflate_streams, inflated_len,
};
use proptest::prelude::*;

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let bytes =
            self.0.get(from..from.saturating_add(buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

fn entries(bytes: &Bytes) -> Vec<ArchiveEntry> {
    let mut found = Vec::new();
    archive_entries(bytes, 0..bytes.0.len() as u64, b"a", &mut found).unwrap();
    let mut at = 0;
    for entry in &found {
        assert!(at <= entry.start && entry.start <= entry.data && entry.data <= entry.end, "{entry:?}");
        at = entry.end;
    }
    assert!(at <= bytes.0.len() as u64);
    found
}

/// Opens these entries, makes sure that the bytes come back, and gives how many were opened, and the opened bytes.
fn there_and_back(bytes: &Bytes, entries: &[ArchiveEntry], cut: usize) -> (u64, Vec<u8>) {
    let size = bytes.0.len() as u64;
    let mut opener = Opener::new(bytes, size, 1 << 30, Vec::new());
    for entry in entries.iter().filter(|entry| entry.packed != Packed::Stored) {
        let at = opener.opened(entry.data);
        if let Some(plain) = opener.open(entry.data, entry.end, entry.plain, entry.packed).unwrap() {
            assert_eq!(opener.opened(entry.end), at + plain);
        }
    }
    let (opened, recipe, length) = opener.finish().unwrap();
    assert_eq!(opened.len() as u64, length);
    let recipe = InnerRecipe::from_bytes(recipe.as_bytes()).unwrap();
    assert_eq!(closed(&recipe, &opened, size, cut).unwrap(), bytes.0);
    (recipe.streams(), opened)
}

fn closed(recipe: &InnerRecipe, opened: &[u8], size: u64, cut: usize) -> io::Result<Vec<u8>> {
    let mut closer = Closer::new(recipe, size, Vec::new())?;
    opened.chunks(cut).try_for_each(|chunk| closer.write_all(chunk))?;
    closer.finish()
}

/// What there is in the archives of the tests: small and large, text and noise.
fn files() -> Vec<(String, Vec<u8>)> {
    let text = include_bytes!("inner.rs").to_vec();
    let mut state = 1_u32;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    };
    let mixed = [noise(300), text.clone(), noise(5000)].concat().repeat(60);
    vec![
        ("com/A.class".to_owned(), text[..900].to_vec()),
        ("com/B.class".to_owned(), text.clone()),
        ("com/empty".to_owned(), Vec::new()),
        ("data/large.bin".to_owned(), mixed),
        ("data/zeros".to_owned(), vec![0; 700_000]),
        ("README".to_owned(), text[..50].to_vec()),
    ]
}

fn laid_out(directory: &Path) {
    for (name, content) in files() {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// Runs a program in a directory with the files, and reads what it wrote to `out`.
fn made_by(program: &str, arguments: &[&str]) -> Option<Bytes> {
    let program = bundle_test_needs::extra(program)?;
    let directory = tempfile::tempdir().unwrap();
    laid_out(directory.path());
    let status = Command::new(&program).args(arguments).current_dir(directory.path()).status().unwrap();
    assert!(status.success());
    let out =
        ["out", "out.zip"].map(|name| directory.path().join(name)).into_iter().find(|path| path.exists());
    Some(Bytes(std::fs::read(out.unwrap()).unwrap()))
}

/// Each entry with content that deflates is opened; the stored ones are found.
fn opens_wholly(bytes: &Bytes) {
    let found = entries(bytes);
    let deflated = found.iter().filter(|entry| entry.packed != Packed::Stored).count();
    assert!(deflated >= 4, "{found:?}");
    let (opened, content) = there_and_back(bytes, &found, 1000);
    assert_eq!(opened, deflated as u64);
    assert!(content.windows(700).any(|bytes| bytes == &files()[1].1[..700]));
}

const ZIPPED: &str = "import zipfile
z = zipfile.ZipFile('out', 'w', zipfile.ZIP_DEFLATED, compresslevel=LEVEL)
for name in ['com/A.class', 'com/B.class', 'com/empty', 'data/large.bin', 'data/zeros', 'README']: z.write(name)
z.close()";

#[test]
fn zips_of_python_s_and_those_stored_in_them_are_opened() {
    for level in ["None", "1", "6", "9"] {
        let Some(bytes) = made_by("python3", &["-c", &ZIPPED.replace("LEVEL", level)]) else { return };
        opens_wholly(&bytes);
    }
    let nested = format!(
        "{}\nimport os; os.rename('out', 'in.jar')\nz = zipfile.ZipFile('out', 'w')
z.write('in.jar', 'BOOT-INF/lib/in.jar'); z.write('README'); z.comment = b'a comment'; z.close()",
        ZIPPED.replace("LEVEL", "6")
    );
    let Some(bytes) = made_by("python3", &["-c", &nested]) else { return };
    opens_wholly(&bytes);
    let paths: Vec<Vec<u8>> = entries(&bytes).into_iter().map(|entry| entry.path).collect();
    assert!(paths.contains(&b"a!/BOOT-INF/lib/in.jar!/com/A.class".to_vec()), "{paths:?}");
    assert!(paths.contains(&b"a!/README".to_vec()));
}

#[test]
fn jars_with_data_descriptors_and_zips_of_info_zip_s_are_opened() {
    let names = ["com", "data", "README"];
    if let Some(bytes) = made_by("jar", &[&["cfM", "out"][..], &names].concat()) {
        opens_wholly(&bytes);
    }
    if let Some(bytes) = made_by("zip", &[&["-qr", "out"][..], &names].concat()) {
        opens_wholly(&bytes);
    }
    if let Some(bytes) = made_by("zip", &[&["-qr9", "out"][..], &names].concat()) {
        opens_wholly(&bytes);
    }
}

#[test]
fn a_gzip_file_of_debian_s_is_opened() {
    let Some(bytes) = made_by("bash", &["-c", "gzip -9n < com/B.class > out"]) else { return };
    let found = entries(&bytes);
    assert_eq!((found.len(), found[0].path.as_slice()), (1, &b"a!"[..]));
    assert_eq!(there_and_back(&bytes, &found, 7).0, 1);
    let twice = Bytes([&bytes.0[..], &bytes.0].concat());
    assert_eq!(there_and_back(&twice, &entries(&twice), 7).0, 0, "two members are left as they are");
}

fn deflate(model: Model, plain: &[u8]) -> Vec<u8> {
    let (mut encoder, mut out) = (model.encoder(), Vec::new());
    encoder.write(plain, &mut out);
    encoder.finish(&mut out);
    out
}

/// A zip of files as zlib deflates them at level 6.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let packed = deflate(Model::Zlib(ZlibSettings::usual(Level::new(6).unwrap())), content);
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        for number in [crc.sum(), packed.len() as u32, content.len() as u32] {
            common.extend(number.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend([b"PK\x01\x02\x14\x00", &common[..], &[0; 10]].concat());
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend(name.bytes());
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat());
    }
    let (offset, length, number) = (bytes.len() as u32, directory.len() as u32, files.len() as u16);
    bytes.append(&mut directory);
    bytes.extend(b"PK\x05\x06\x00\x00\x00\x00");
    bytes.extend([number.to_le_bytes(), number.to_le_bytes()].concat());
    bytes.extend([length.to_le_bytes(), offset.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}

/// The little-endian number in the central record of an entry.
fn set(bytes: &mut [u8], record: usize, field: usize, value: &[u8]) {
    let mut records = bytes.windows(4).enumerate().filter(|(_, magic)| magic == b"PK\x01\x02");
    let at = records.nth(record).unwrap().0 + field;
    bytes[at..at + value.len()].copy_from_slice(value);
}

#[test]
fn zips_that_lie_are_left_or_come_back() {
    let text = include_bytes!("inner.rs");
    let good = zip(&[("one", &text[..2000]), ("two", &text[2000..5000]), ("three", text)]);
    let opened = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let bytes = Bytes(bytes);
        there_and_back(&bytes, &entries(&bytes), 4096).0
    };
    assert_eq!(opened(&|_| {}), 3);
    // All entries are the first one, as in a bomb of overlapping files.
    assert_eq!(opened(&|bytes| (1..3).for_each(|record| set(bytes, record, 42, &[0; 4]))), 0);
    // An entry that reaches over the next one.
    assert_eq!(opened(&|bytes| set(bytes, 0, 20, &1500_u32.to_le_bytes())), 0);
    // A plain size that is none, a bomb's, and zip64's.
    assert_eq!(opened(&|bytes| set(bytes, 1, 24, &7_u32.to_le_bytes())), 2);
    assert_eq!(opened(&|bytes| set(bytes, 1, 24, &0x7fff_ffff_u32.to_le_bytes())), 2);
    assert_eq!(opened(&|bytes| set(bytes, 1, 24, &[0xff; 4])), 2);
    // Encrypted, and of another method.
    assert_eq!(opened(&|bytes| set(bytes, 2, 8, &[1, 0])), 2);
    assert_eq!(opened(&|bytes| set(bytes, 2, 10, &[12, 0])), 2);
    // Offsets beyond the end; a directory that is cut off, or elsewhere.
    assert_eq!(opened(&|bytes| set(bytes, 2, 42, &0x7fff_ffff_u32.to_le_bytes())), 0);
    assert_eq!(opened(&|bytes| bytes.truncate(bytes.len() - 1)), 0);
    assert_eq!(opened(&|bytes| bytes.insert(0, b'#')), 0);
    // A stream that is not deflate.
    assert_eq!(opened(&|bytes| bytes[40..50].fill(0xff)), 2);
}

#[test]
fn a_list_gives_its_streams_with_what_is_before_them_and_nothing_beyond_its_bounds() {
    let text = include_bytes!("inner.rs");
    let bytes = Bytes(zip(&[("one", &text[..2000]), ("two", &text[2000..5000]), ("three", text)]));
    let (size, found) = (bytes.0.len() as u64, entries(&bytes));
    let mut list = StreamListWriter::default();
    assert!(list.add(found[0].start, found[0].data, found[0].end));
    assert!(!list.add(found[0].start, found[0].data, found[0].end), "not in order");
    assert!(list.add(found[2].data, found[2].data, found[2].end));
    let list = list.into_bytes();
    let mut out = Vec::new();
    let expected = [&bytes.0[..found[0].data as usize], &text[..2000], text].concat();
    assert_eq!(inflate_streams(&list, &bytes, size, 1 << 20, &mut out).unwrap(), expected.len() as u64);
    assert!(out == expected);
    let exact = expected.len() as u64;
    assert!(inflate_streams(&list, &bytes, size, exact - 1, &mut io::sink()).is_err());
    assert!(inflate_streams(&list, &bytes, found[2].end - 1, exact, &mut io::sink()).is_err());
    assert!(inflate_streams(&list[..1], &bytes, size, exact, &mut io::sink()).is_err());
    assert_eq!(inflated_len(&bytes, found[1].data, found[1].end, 3000).unwrap(), Some(3000));
    assert_eq!(inflated_len(&bytes, found[1].data, found[1].end, 2999).unwrap(), None);
    assert_eq!(inflated_len(&bytes, found[1].data, found[1].end + 1, 3000).unwrap(), None);
}

fn model() -> impl Strategy<Value = Model> {
    let level = || (1u8..=9).prop_map(|level| Level::new(level).unwrap());
    prop_oneof![
        3 => level().prop_map(|level| Model::Zlib(ZlibSettings::usual(level))),
        1 => level().prop_map(Model::GnuGzip),
        1 => (-2i8..=9).prop_filter_map("a level", GoLevel::new).prop_map(Model::Go),
        1 => (1i8..=9).prop_filter_map("a level", |level| {
            KlauspostSettings::new(Version::V1_15_11, GoLevel::new(level)?).map(Model::Klauspost)
        }),
    ]
}

/// Text, repetitions and noise.
fn plain(most: usize) -> impl Strategy<Value = Vec<u8>> {
    (any::<u64>(), 0..most, 1_u64..60).prop_map(|(seed, length, variety)| {
        let mut state = seed | 1;
        let mut bytes: Vec<u8> = Vec::with_capacity(length);
        while bytes.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match state % variety {
                0 => bytes.extend(state.to_le_bytes()),
                kind if kind % 3 == 0 && bytes.len() > 100 => {
                    let from = state as usize % (bytes.len() - 90);
                    bytes.extend_from_within(from..from + 3 + (state >> 32) as usize % 80);
                }
                kind => bytes.push(b'a' + kind as u8),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn streams_between_any_bytes_are_closed_as_they_were(
        pieces in prop::collection::vec((plain(3000), model(), plain(90_000)), 0..8),
        rest in plain(500),
        cut in 1usize..70_000,
    ) {
        let (mut bytes, mut entries) = (Vec::new(), Vec::new());
        for (before, model, content) in pieces {
            bytes.extend(before);
            let data = bytes.len() as u64;
            bytes.extend(deflate(model, &content));
            let (end, plain) = (bytes.len() as u64, content.len() as u64);
            entries.push(ArchiveEntry {
                start: data, data, end, packed: Packed::Zip, plain, crc: 0, path: Vec::new(),
            });
        }
        bytes.extend(rest);
        there_and_back(&Bytes(bytes), &entries, cut);
    }

    #[test]
    fn an_encoder_that_begins_again_is_as_a_new_one(
        model in model(),
        contents in prop::collection::vec(plain(150_000), 2..4),
    ) {
        let mut encoder = model.encoder();
        for content in contents {
            if !encoder.reset() {
                encoder = model.encoder();
            }
            let mut out = Vec::new();
            encoder.write(&content, &mut out);
            encoder.finish(&mut out);
            prop_assert!(out == deflate(model, &content));
        }
    }

    #[test]
    fn damaged_zips_are_left_or_come_back(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_front in any::<bool>(),
    ) {
        let text = include_bytes!("inner.rs");
        let inner = zip(&[("one", &text[..2000]), ("two", &text[2000..2200])]);
        let mut bytes = zip(&[("a", &text[..90]), ("b", &inner), ("c", &text[100..300])]);
        let length = bytes.len();
        for (place, value) in changes {
            let place = if in_front { place.index(length) } else { length - 1 - place.index(200) };
            bytes[place] = value;
        }
        let bytes = Bytes(bytes);
        there_and_back(&bytes, &entries(&bytes), 999);
    }

    #[test]
    fn whatever_a_recipe_and_a_list_say_nothing_exceeds_its_bounds(
        recipe in prop::collection::vec(prop_oneof![0u8..5, any::<u8>()], 0..40),
        opened in plain(5000),
        list in prop::collection::vec(prop_oneof![0u8..60, any::<u8>()], 0..20),
        most in 0u64..9000,
    ) {
        let recipe = [&[1][..], &recipe].concat();
        if let Ok(recipe) = InnerRecipe::from_bytes(&recipe)
            && let Ok(closed) = closed(&recipe, &opened, most, 1 << 16)
        {
            prop_assert_eq!(closed.len() as u64, most);
        }
        let text = include_bytes!("inner.rs");
        let bytes = Bytes(zip(&[("one", &text[..2000]), ("two", &text[2000..5000]), ("three", text)]));
        let mut out = Vec::new();
        let _ = inflate_streams(&list, &bytes, bytes.0.len() as u64, most, &mut out);
        prop_assert!(out.len() as u64 <= most);
    }
}
