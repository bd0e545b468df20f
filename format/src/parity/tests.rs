//! Files and volumes that are damaged at random are rebuilt up to the share; beyond it, and with parity
//! that lies, nothing is given but what stands there.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_oci::Digest;
use proptest::prelude::*;

use crate::parity::layer::Rebuilding;
use crate::{Layer, Limits, ParityPlan, ParityShare, VolumeEntry, VolumeIndex, VolumeNames, Volumes};

/// Bytes in a directory, as one file or as volumes, with parity.
struct Case {
    directory: tempfile::TempDir,
    content: Vec<u8>,
    volumes: Option<Vec<Range<u64>>>,
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 23) as u8).collect()
}

fn open(path: &Path) -> File {
    File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

impl Case {
    fn file(length: usize, share: &str) -> Self {
        let case = Self { directory: tempfile::tempdir().unwrap(), content: bytes(length), volumes: None };
        std::fs::write(case.names().bundle(), &case.content).unwrap();
        let share: ParityShare = share.parse().unwrap();
        let plan = ParityPlan::of_file(Digest::of(b"x"), length as u64, share);
        plan.write(&|buffer, at| case.content.read_exact_at(buffer, at), &open(&case.names().parity()), &[])
            .unwrap();
        assert_eq!(case.names().parity().metadata().unwrap().len(), plan.size());
        case
    }

    fn set(lengths: &[usize], share: &str) -> Self {
        let mut start = 0;
        let ranges: Vec<Range<u64>> = lengths
            .iter()
            .map(|length| {
                (start, {
                    start += *length as u64;
                    start
                })
            })
            .map(|(a, b)| a..b)
            .collect();
        let content = bytes(start as usize);
        let directory = tempfile::tempdir().unwrap();
        let case = Self { directory, content, volumes: Some(ranges.clone()) };
        let names = case.names();
        for (range, number) in ranges.iter().zip(1..) {
            let part = &case.content[range.start as usize..range.end as usize];
            std::fs::write(names.volume(number, ranges.len()), part).unwrap();
        }
        let entry =
            |range: &Range<u64>| VolumeEntry { size: range.end - range.start, digest: Digest::of(b"") };
        let volumes = ranges.iter().map(entry).collect();
        let index = VolumeIndex { volumes_version: 1, statement: Digest::of(b"x"), volumes };
        std::fs::write(names.index(), index.to_bytes()).unwrap();
        let plan = ParityPlan::of_volumes(Digest::of(b"x"), ranges, share.parse().unwrap()).unwrap();
        let files: Vec<File> =
            (1..=plan.volumes()).map(|number| open(&names.parity_volume(number, plan.volumes()))).collect();
        let files: Vec<&File> = files.iter().collect();
        plan.write(&|buffer, at| case.content.read_exact_at(buffer, at), &open(&names.parity()), &files)
            .unwrap();
        case
    }

    fn names(&self) -> VolumeNames {
        VolumeNames::of(&self.directory.path().join("b.tar"))
    }

    fn layer(&self) -> Rebuilding {
        let stored: Arc<dyn Layer> = match &self.volumes {
            None => Arc::new(File::open(self.names().bundle()).unwrap()),
            Some(_) => Arc::new(Volumes::open_damaged(self.names(), &Limits::V1).unwrap().0),
        };
        Rebuilding::open(stored, &self.names(), self.volumes.as_deref()).unwrap().unwrap()
    }

    fn reads_right(&self) -> bool {
        let layer = self.layer();
        let size = self.content.len();
        let mut all = vec![0; size];
        let whole = 0..size as u64;
        if layer.read_exact_at(&mut all, 0).is_err() || all != self.content {
            return false;
        }
        let mut some = [0; 1000];
        layer.read_exact_at(&mut some, (size / 2) as u64).unwrap();
        layer.has(&whole)
            && layer.missing().is_empty()
            && layer.parts_of(&whole) == [whole]
            && some[..] == self.content[size / 2..size / 2 + 1000]
    }
}

fn damage(path: &Path, at: u64, length: usize) {
    let file = open(path);
    let mut bytes = vec![0; length];
    bundle_os::read_exact_at(&file, &mut bytes, at).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    bundle_os::write_all_at(&file, &bytes, at).unwrap();
}

fn parts(case: &Case) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(case.directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().contains("-of-"));
    paths.sort();
    paths
}

/// Counts the bytes that are read below it.
struct Counting(File, std::sync::atomic::AtomicU64);

impl Layer for Counting {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.1.fetch_add(buffer.len() as u64, std::sync::atomic::Ordering::Relaxed);
        self.0.read_exact_at(buffer, offset)
    }

    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        self.0.read_at_once(buffer, offset)
    }

    fn size(&self) -> std::io::Result<u64> {
        self.0.size()
    }

    fn has(&self, bytes: &Range<u64>) -> bool {
        self.0.has(bytes)
    }

    fn parts_of(&self, bytes: &Range<u64>) -> Vec<Range<u64>> {
        self.0.parts_of(bytes)
    }

    fn files_of(&self, bytes: &Range<u64>) -> Vec<PathBuf> {
        self.0.files_of(bytes)
    }

    fn missing(&self) -> Vec<PathBuf> {
        self.0.missing()
    }

    fn place(&self, bytes: &Range<u64>) -> Option<String> {
        self.0.place(bytes)
    }

    fn settle(&self, _: &Range<u64>, _: &mut dyn FnMut(&dyn Layer) -> bool) -> bool {
        false
    }
}

#[test]
fn what_is_damaged_is_read_and_rebuilt_once_where_there_is_a_place_to_keep_it() {
    let length = 3_000_001_u64;
    let case = Case::file(length as usize, "10%");
    let shard = case.layer_shard();
    damage(case.names().bundle(), 17 * shard + 5, 9 * shard as usize);
    let bundle = File::open(case.names().bundle()).unwrap();
    let stored = Arc::new(Counting(bundle, Default::default()));
    let layer = Rebuilding::open(stored.clone(), &case.names(), None).unwrap().unwrap();
    layer.keep_in(tempfile::tempfile().unwrap());
    let read = || stored.1.load(std::sync::atomic::Ordering::Relaxed);
    for _ in 0..3 {
        let before = read();
        let mut all = vec![0; length as usize];
        layer.read_exact_at(&mut all, 0).unwrap();
        assert!(all == case.content);
        // Once as it is read, and once more, at the first time alone, for the rows of what is damaged.
        let times = if before == 0 { 2 } else { 1 };
        assert!(read() - before <= times * length + 100_000, "{} of {length}", read() - before);
    }
    // A file that cannot be written is no reason not to rebuild.
    let layer = case.layer();
    layer.keep_in(File::open(case.names().bundle()).unwrap());
    let mut all = vec![0; length as usize];
    layer.read_exact_at(&mut all, 0).unwrap();
    assert!(all == case.content);
}

#[test]
fn a_file_is_rebuilt_where_up_to_the_share_of_it_is_gone() {
    for length in [9_000, 300_000, 3_000_001] {
        let case = Case::file(length, "10%");
        assert!(case.reads_right());
        assert!(case.layer().rebuilt().is_none());
        // As much as nine shards have, in one piece, wherever it lies.
        let shard = case.layer_shard();
        for start in [0, shard / 2, 17 * shard + 5, length as u64 - 9 * shard] {
            damage(case.names().bundle(), start, 9 * shard as usize);
            assert!(case.reads_right(), "{length} {start}");
            damage(case.names().bundle(), start, 9 * shard as usize);
        }
        // Nine pieces far from each other, and one of the parity itself.
        for part in (0..9).filter(|part| part * 10 * shard + shard < length as u64) {
            damage(case.names().bundle(), part * 10 * shard, (shard / 2) as usize);
        }
        damage(&case.names().parity(), case.names().parity().metadata().unwrap().len() - 4096 - 64, 64);
        assert!(case.reads_right());
        let layer = case.layer();
        layer.read_exact_at(&mut vec![0; length], 0).unwrap();
        assert_eq!(layer.rebuilt().unwrap().files, [case.names().bundle()]);
    }
}

#[test]
fn a_file_that_is_cut_short_is_rebuilt() {
    let case = Case::file(1_000_000, "10%");
    open(case.names().bundle()).set_len(905_000).unwrap();
    assert!(case.reads_right());
    open(case.names().bundle()).set_len(600_000).unwrap();
    let layer = case.layer();
    assert_eq!(layer.size().unwrap(), 600_000);
    assert!(layer.has(&(0..600_000)) && !layer.has(&(0..600_001)));
    assert!(layer.read_exact_at(&mut [0; 10], 600_000).is_err());
}

#[test]
fn beyond_the_share_what_stands_there_is_given_and_no_other_byte() {
    let case = Case::file(1_000_000, "5%");
    damage(case.names().bundle(), 100_000, 200_000);
    let layer = case.layer();
    let mut all = vec![0; 1_000_000];
    layer.read_exact_at(&mut all, 0).unwrap();
    assert_eq!(all, std::fs::read(case.names().bundle()).unwrap());
    assert!(layer.place(&(100_000..300_000)).unwrap().ends_with("b.tar.parity can rebuild"));
}

#[test]
fn any_volumes_up_to_the_parity_are_rebuilt_whatever_became_of_them() {
    let lengths = [50_000, 64_001, 7, 64_000, 30_000];
    for lost in 0..lengths.len() + 2 {
        for other in 0..lengths.len() + 2 {
            let case = Case::set(&lengths, "40%");
            let files = parts(&case);
            assert_eq!(files.len(), 7);
            std::fs::remove_file(&files[lost]).unwrap();
            if other != lost && files[other].metadata().unwrap().len() > 7 {
                // One is gone, the other is cut short and damaged.
                let length = files[other].metadata().unwrap().len();
                damage(&files[other], 0, 1000);
                open(&files[other]).set_len(length / 2).unwrap();
            }
            assert!(case.reads_right(), "{lost} {other}");
        }
    }
}

#[test]
fn more_missing_volumes_than_parity_are_told_and_the_others_are_read() {
    let case = Case::set(&[50_000, 64_000, 7, 64_000, 30_000], "1/5");
    let files = parts(&case);
    for position in [1, 2] {
        std::fs::remove_file(&files[position]).unwrap();
    }
    let layer = case.layer();
    assert_eq!(layer.missing(), [files[1].clone(), files[2].clone()]);
    // Of the smaller one, the first row is lost with that of the larger one.
    assert_eq!(layer.parts_of(&(0..208_007)), [0..50_000, 54_096..114_000, 114_007..208_007]);
    assert!(layer.has(&(0..50_000)) && !layer.has(&(0..50_001)) && layer.has(&(60_000..114_000)));
    let mut rest = vec![0; 94_000];
    layer.read_exact_at(&mut rest, 114_007).unwrap();
    assert!(rest == case.content[114_007..]);
    assert!(layer.read_exact_at(&mut [0; 5], 114_001).is_err());
}

#[test]
fn parity_that_is_no_parity_of_the_bundle_is_not_used() {
    let case = Case::file(500_000, "10%");
    let parity = case.names().parity();
    let good = std::fs::read(&parity).unwrap();
    let opened = |bytes: &[u8]| {
        std::fs::write(&parity, bytes).unwrap();
        let stored = Arc::new(File::open(case.names().bundle()).unwrap());
        Rebuilding::open(stored, &case.names(), None)
    };
    for bad in [&b""[..], b"{}", &[b' '; 20_000]] {
        assert!(opened(bad).is_err());
    }
    // The description stands twice.
    let mut once = good.clone();
    once[..4096].fill(0);
    assert!(opened(&once).is_ok());
    let text = |from: &str, to: &str| {
        let place = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(from, to).into_bytes();
        let mut bytes = good.clone();
        let end = bytes.len() - 4096;
        let new = place(&good[..4096]);
        bytes[..4096].copy_from_slice(&new[..4096]);
        bytes[end..].copy_from_slice(&new[..4096]);
        bytes
    };
    for (from, to) in [
        ("\"size\":500000", "\"size\":400000"),
        ("\"size\":500000", "\"size\":9007199254740991"),
        ("\"shards\":100", "\"shards\":200"),
        ("\"parity\":10", "\"parity\":4000000000"),
        ("\"volumes\":false", "\"volumes\":true "),
        ("\"length\":8192", "\"length\":1   "),
        ("\"parityVersion\":1", "\"parityVersion\":2"),
    ] {
        assert!(String::from_utf8_lossy(&good[..4096]).contains(from), "{from}");
        assert!(opened(&text(from, to)).is_err(), "{to}");
    }
}

impl Case {
    fn layer_shard(&self) -> u64 {
        let length = (self.content.len() as u64).div_ceil(100);
        length.next_multiple_of(if length > 4096 { 4096 } else { 64 })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_lie_of_the_parity_changes_a_byte_that_is_read_as_it_stands_or_rebuilt_right(
        lies in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..5000), 1..6),
        holes in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..9000), 0..4),
    ) {
        let case = Case::file(600_000, "10%");
        let parity = case.names().parity();
        let length = parity.metadata().unwrap().len() as usize;
        for (at, size) in &lies {
            let at = 4096 + at.index(length - 8192);
            damage(&parity, at as u64, (*size).min(length - 4096 - at));
        }
        for (at, size) in &holes {
            let at = at.index(600_000);
            damage(case.names().bundle(), at as u64, (*size).min(600_000 - at));
        }
        let stands = std::fs::read(case.names().bundle()).unwrap();
        let layer = case.layer();
        let mut all = vec![0; 600_000];
        layer.read_exact_at(&mut all, 0).unwrap();
        for (at, byte) in all.iter().enumerate() {
            prop_assert!(*byte == stands[at] || *byte == case.content[at], "{}", at);
        }
    }
}
