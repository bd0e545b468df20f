//! Bundles with parity: volumes that are lost or damaged, bad sectors, and parity that lies.
//! The parts of a set are files in a directory that the tests remove, cut and overwrite.

use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use bundle_registry::Silent;
use bundle_test_servers::{Check, Client, DockerRegistry, ImageSpec, LayerSpec, sha256};
use bundle_trust::{Effective, StoreLocation};

use crate::scene::{Ran, Scene};
use crate::serve::served::Served;
use crate::sync::jobs::Nights;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A registry with four images, and bundles of them with parity.
struct Case {
    scene: Scene,
}

impl Case {
    fn new() -> Self {
        let scene = Scene::empty();
        for (name, seed, bytes) in [("a", 1, 100_000), ("b", 2, 200_000), ("c", 3, 700_000), ("d", 4, 90_000)]
        {
            let image = ImageSpec::oci().layer(LayerSpec::new(seed, bytes).uncompressed()).build();
            scene.source.client().push(&format!("team/{name}"), "1", &image).unwrap();
        }
        Self { scene }
    }

    fn create(&self, output: &str, more: &[&str]) -> Ran {
        let references = NAMES.map(|name| format!("{}/team/{name}:1", self.scene.source.host()));
        let mut arguments = Scene::create_arguments(&references, output);
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        self.scene.bundle(arguments)
    }

    fn verify(&self, name: &str) -> Ran {
        self.scene.bundle(["verify", name, "--trust", "key.pub"])
    }

    /// Volumes, and those of parity, that begin so.
    fn files(&self, start: &str) -> Vec<String> {
        let files = self.scene.files().into_iter();
        files.filter(|file| file.starts_with(start) && file.contains("-of-")).collect()
    }

    /// Overwrites bytes, as a disk with bad sectors would.
    fn damage(&self, name: &str, at: u64, length: usize) {
        let file = std::fs::File::options().read(true).write(true).open(self.scene.path(name)).unwrap();
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, at).unwrap();
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        file.write_all_at(&bytes, at).unwrap();
    }

    fn size(&self, name: &str) -> u64 {
        self.scene.path(name).metadata().unwrap().len()
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.scene.path(name)).unwrap();
    }

    fn import(&self, name: &str) -> (DockerRegistry, Ran) {
        let target = DockerRegistry::start().unwrap();
        let ran = self.scene.bundle(["import", name, "--to", target.host(), "--trust", "key.pub"]);
        (target, ran)
    }

    /// Whether a registry has all images as the source has them.
    fn is_complete(&self, client: &Client) {
        let host = self.scene.source.host().replace(':', "_");
        for name in NAMES {
            let repository = format!("cache/{host}/team/{name}");
            assert_eq!(client.check(&repository, "1", Check::Hash), [], "{name}");
        }
    }
}

#[test]
fn a_repair_that_is_asked_to_end_ends_at_any_piece_and_leaves_nothing() {
    let case = Case::new();
    case.create("b.tar", &["--volume-size", "256KiB", "--parity", "1/3"]).succeeds();
    case.remove(&case.files("b.tar.0")[0]);
    let before = case.scene.files();
    let policy = Effective::load(Some(&case.scene.path("key.pub")), &StoreLocation::Waived).unwrap();
    let repair = |pieces: usize| {
        let asked = AtomicUsize::new(0);
        let goes_on = || match asked.fetch_add(1, Ordering::Relaxed) < pieces {
            true => Ok(()),
            false => Err(std::io::ErrorKind::Interrupted.into()),
        };
        let (from, to) = (case.scene.path("b.tar"), case.scene.path("n.tar"));
        let repaired = bundle_importer::repair(&from, &to, None, &policy, 2, &Silent, &goes_on);
        (repaired.is_ok(), asked.into_inner())
    };
    let (done, whole) = repair(usize::MAX);
    assert!(done && whole > 20, "{whole}");
    case.scene.shell("rm n.tar*").succeeds();
    for pieces in [0, 1, whole / 4, whole / 2, whole * 3 / 4, whole - 1] {
        assert!(!repair(pieces).0, "{pieces} of {whole}");
        assert_eq!(case.scene.files(), before, "{pieces} of {whole}");
    }
}

#[test]
fn volumes_that_are_lost_or_damaged_are_rebuilt_wherever_a_set_is_read() {
    let case = Case::new();
    let scene = &case.scene;
    case.create("whole.tar", &[]).succeeds();
    case.create("b.tar", &["--volume-size", "256KiB", "--parity", "1/3"]).succeeds();
    scene.shell("sha256sum -c b.tar.SHA256SUMS").succeeds();
    let volumes = case.files("b.tar.0");
    let parity = case.files("b.tar.parity-");
    assert_eq!(parity.len(), volumes.len().div_ceil(3), "{parity:?}");
    assert!(parity.len() >= 2);
    assert!(parity.iter().all(|name| case.size(name) <= 256 << 10), "each fits on the same medium");
    // A reader without support for parity reads the volumes.
    scene.shell("cat b.tar.0*-of-* | $BUNDLE verify - --trust key.pub").succeeds();
    let quiet = case.verify("b.tar").succeeds();
    assert!(!quiet.stderr.contains("rebuilt"), "{}", quiet.stderr);
    // The first one, with the statement, is lost; of the last one, half is bad.
    case.remove(&volumes[0]);
    let last = volumes.last().unwrap();
    case.damage(last, 0, (case.size(last) / 2) as usize);
    let ran =
        case.verify("b.tar").succeeds().says("b.tar.001-of-").says(last).says("rebuilt from b.tar.parity");
    assert!(ran.stderr.contains("bundle repair"), "{}", ran.stderr);
    let report = scene.bundle(["verify", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    assert_eq!(report["rebuilt"].as_array().unwrap().len(), 2);
    scene.bundle(["inspect", "b.tar", "--trust", "key.pub"]).succeeds().says("signed by 'key.pub'");
    let (target, ran) = case.import("b.tar");
    ran.succeeds().says("rebuilt from b.tar.parity");
    case.is_complete(&target.client());
    scene.bundle(["extract", "b.tar", "--trust", "key.pub", "--to", "layout"]).succeeds().says("rebuilt");
    case.is_complete(&Served::start(scene, "b.tar").client());
    // The set is written anew, byte for byte as it was.
    scene.bundle(["repair", "b.tar", "--trust", "key.pub", "-o", "new/n.tar"]).ends_with(1);
    std::fs::create_dir(scene.path("new")).unwrap();
    scene
        .bundle(["repair", last, "--trust", "key.pub", "-o", "new/b.tar"])
        .succeeds()
        .says("new/b.tar is whole")
        .says("b.tar.001-of-");
    scene.shell("cd new && sha256sum -c b.tar.SHA256SUMS && test $(ls -A | wc -l) = $(wc -l < b.tar.SHA256SUMS | awk '{print $1+1}')").succeeds();
    let joined: Vec<u8> =
        volumes.iter().flat_map(|name| std::fs::read(scene.path("new").join(name)).unwrap()).collect();
    assert_eq!(sha256(&joined), sha256(&std::fs::read(scene.path("whole.tar")).unwrap()));
    for name in parity.iter().map(String::as_str).chain(["b.tar.parity", "b.tar.head", "b.tar.volumes.json"])
    {
        let read = |path: std::path::PathBuf| sha256(&std::fs::read(path).unwrap());
        assert_eq!(read(scene.path(name)), read(scene.path("new").join(name)), "{name}");
    }
    let quiet = case.verify("new/b.tar").succeeds();
    assert!(!quiet.stderr.contains("rebuilt"), "{}", quiet.stderr);
    scene
        .bundle(["repair", "b.tar", "--trust", "key.pub", "-o", "new/b.tar"])
        .ends_with(2)
        .says("exists already");
}

#[test]
fn more_lost_volumes_than_parity_are_told_with_what_to_do() {
    let case = Case::new();
    case.create("b.tar", &["--volume-size", "256KiB", "--parity", "10%"]).succeeds();
    let volumes = case.files("b.tar.0");
    assert_eq!(case.files("b.tar.parity-").len(), 1);
    case.remove(&volumes[1]);
    case.verify("b.tar").succeeds();
    // With a lost volume of parity nothing is left to rebuild from.
    let parity = std::fs::read(case.scene.path("b.tar.parity-001-of-001")).unwrap();
    case.remove("b.tar.parity-001-of-001");
    case.verify("b.tar")
        .ends_with(6)
        .says(&format!("{} is missing", volumes[1]))
        .says("put all volumes into one directory");
    std::fs::write(case.scene.path("b.tar.parity-001-of-001"), parity).unwrap();
    case.remove(&volumes[2]);
    let (target, ran) = case.import("b.tar");
    ran.ends_with(6).says(&format!("{} is missing", volumes[2])).says("--partial");
    assert!(target.client().contents().unwrap().is_empty());
    case.scene
        .bundle(["repair", "b.tar", "--trust", "key.pub", "-o", "n.tar"])
        .ends_with(6)
        .says("is missing");
    assert!(!case.scene.files().iter().any(|name| name.starts_with("n.tar")));
}

#[test]
fn bad_sectors_of_one_file_are_rebuilt_up_to_the_share_and_told_beyond_it() {
    let case = Case::new();
    let scene = &case.scene;
    case.create("b.tar", &["--parity", "10%"]).succeeds();
    case.create("plain.tar", &[]).succeeds();
    let (size, good) = (case.size("b.tar"), std::fs::read(scene.path("b.tar")).unwrap());
    assert!(good == std::fs::read(scene.path("plain.tar")).unwrap(), "parity changes nothing of the bundle");
    assert!(case.size("b.tar.parity") < size / 6, "{} of {size}", case.size("b.tar.parity"));
    // A run of bad sectors at the start, with the statement, and many alone.
    case.damage("b.tar", 0, (size / 20) as usize);
    (10..14).for_each(|part| case.damage("b.tar", part * size / 16, 4096));
    case.verify("b.tar").succeeds().says("b.tar: damaged or missing, and rebuilt from b.tar.parity");
    let (target, ran) = case.import("b.tar");
    ran.succeeds();
    case.is_complete(&target.client());
    case.is_complete(&Served::start(scene, "b.tar").client());
    scene.bundle(["repair", "b.tar", "--trust", "key.pub", "-o", "new.tar", "--parity", "20%"]).succeeds();
    assert!(good == std::fs::read(scene.path("new.tar")).unwrap());
    assert!(case.size("new.tar.parity") > case.size("b.tar.parity"));
    // Cut short by less than the share.
    let cut = std::fs::File::options().write(true).open(scene.path("new.tar")).unwrap();
    cut.set_len(size - size / 8).unwrap();
    case.verify("new.tar").succeeds().says("rebuilt");
    // Beyond the share, all is as without parity.
    cut.set_len(size / 2).unwrap();
    case.verify("new.tar").ends_with(3).says("bundle is truncated").says("copy the file again");
    case.damage("b.tar", size / 2, (size / 5) as usize);
    let ran = case.verify("b.tar").ends_with(3);
    ran.says("more than b.tar.parity can rebuild").says("copy the damaged files again");
    let (target, ran) = case.import("b.tar");
    ran.ends_with(3).says("more than b.tar.parity can rebuild");
    assert!(target.client().contents().unwrap().is_empty());
    scene
        .bundle(["repair", "b.tar", "--trust", "key.pub", "-o", "n.tar"])
        .ends_with(3)
        .says("more than b.tar.parity can rebuild");
    case.verify("plain.tar").succeeds();
    scene
        .bundle(["repair", "plain.tar", "--trust", "key.pub", "-o", "n.tar"])
        .ends_with(1)
        .says("there is no parity beside plain.tar");
    assert!(!scene.files().iter().any(|name| name.contains("n.tar.") || name.ends_with(".repair")));
}

#[test]
fn compressed_bundles_are_rebuilt_too() {
    let case = Case::new();
    let scene = &case.scene;
    case.create("f.tar.zst", &["--parity", "10%"]).succeeds();
    let size = case.size("f.tar.zst");
    // The table of frames is at the end.
    case.damage("f.tar.zst", size - 60_000, 60_000);
    case.verify("f.tar.zst").succeeds().says("rebuilt");
    let big = ImageSpec::oci().layer(LayerSpec::new(9, 7_000_000).uncompressed()).build();
    scene.source.client().push("team/d", "1", &big).unwrap();
    case.create("v.tar.zst", &["--volume-size", "3MiB", "--parity", "1/3"]).succeeds();
    let volumes = case.files("v.tar.zst.0");
    assert!(volumes.len() >= 3, "{volumes:?}");
    let digests: Vec<_> =
        volumes.iter().map(|name| sha256(&std::fs::read(scene.path(name)).unwrap())).collect();
    for name in [&volumes[0], volumes.last().unwrap()] {
        let kept = std::fs::read(scene.path(name)).unwrap();
        case.remove(name);
        let (target, ran) = case.import("v.tar.zst");
        ran.succeeds().says("rebuilt");
        case.is_complete(&target.client());
        let output = format!("new-{}", &name[10..13]);
        std::fs::create_dir(scene.path(&output)).unwrap();
        scene
            .bundle(["repair", "v.tar.zst", "--trust", "key.pub", "-o", &format!("{output}/v.tar.zst")])
            .succeeds();
        for (volume, digest) in volumes.iter().zip(&digests) {
            assert_eq!(*digest, sha256(&std::fs::read(scene.path(&output).join(volume)).unwrap()));
        }
        scene.shell(&format!("cmp v.tar.zst.frames {output}/v.tar.zst.frames")).succeeds();
        std::fs::write(scene.path(name), kept).unwrap();
    }
}

#[test]
fn parity_that_lies_does_no_harm_to_a_bundle_that_is_right() {
    let case = Case::new();
    let scene = &case.scene;
    case.create("b.tar", &["--parity", "10%"]).succeeds();
    let parity = std::fs::read(scene.path("b.tar.parity")).unwrap();
    // Parity of a bundle of the same size, in which every layer has other bytes: its rebuilt blocks match its
    // digests, and are wrong.
    let image = ImageSpec::oci().layer(LayerSpec::new(30, 700_000).uncompressed()).build();
    scene.source.client().push("team/c", "1", &image).unwrap();
    case.create("other.tar", &["--parity", "10%"]).succeeds();
    assert_eq!(case.size("b.tar"), case.size("other.tar"));
    let other = std::fs::read(scene.path("other.tar.parity")).unwrap();
    // Digests of the one, for a tenth of the blocks that of the other: those are rebuilt to match.
    let forged = forged(&std::fs::read(scene.path("b.tar")).unwrap());
    let flipped: Vec<u8> =
        parity.iter().enumerate().map(|(at, byte)| if at > 4096 { !byte } else { *byte }).collect();
    for (bytes, name) in [
        (&b""[..], "empty"),
        (b"{}", "no description"),
        (&parity[..5000], "cut short"),
        (&other, "another bundle's"),
        (&flipped, "all wrong"),
        (&forged, "forged"),
    ] {
        eprintln!("{name}");
        std::fs::write(scene.path("b.tar.parity"), bytes).unwrap();
        case.verify("b.tar").succeeds();
        scene.bundle(["extract", "b.tar", "--trust", "key.pub", "--to", name]).succeeds();
    }
    let (target, ran) = case.import("b.tar");
    ran.succeeds();
    let host = scene.source.host().replace(':', "_");
    assert_eq!(target.client().check(&format!("cache/{host}/team/c"), "1", Check::Hash), []);
    assert_eq!(
        Served::start(scene, "b.tar").client().check(&format!("cache/{host}/team/c"), "1", Check::Hash),
        []
    );
    // No pipe, device or link is read, and none keeps the bundle out.
    case.remove("b.tar.parity");
    scene.shell("mkfifo b.tar.parity").succeeds();
    case.verify("b.tar").succeeds().says("b.tar.parity cannot be used");
    case.create("p.tar", &["--parity", "0%"]).ends_with(2).says("from 1% to 100%");
    scene
        .shell("$BUNDLE create x/y:1 --key key -o - --parity 10% | cat")
        .ends_with(2)
        .says("a pipe cannot have parity");
    std::fs::write(scene.path("q.tar.parity"), "mine").unwrap();
    case.create("q.tar", &["--parity", "5%"]).ends_with(2).says("q.tar.parity exists already");
    assert_eq!(std::fs::read(scene.path("q.tar.parity")).unwrap(), b"mine");
}

/// Parity that says of five shards in the middle of a bundle that each byte is the inverse of what it is, and
/// rebuilds them so. Written by the real writer, of bytes that are so.
fn forged(bundle: &[u8]) -> Vec<u8> {
    use bundle_format::{ParityPlan, TRAILER};
    let mut bytes = bundle.to_vec();
    let (start, end) = (bytes.len() / 2, bytes.len() - TRAILER as usize);
    let end = end.min(start + bundle.len() / 25);
    bytes[start..end].iter_mut().for_each(|byte| *byte = !*byte);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("parity");
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    let plan = ParityPlan::of_file(
        "sha256:6397006e08012098c50032213fe25d25b5d4fe7d5baf86675c8c04882214e42e".parse().unwrap(),
        bytes.len() as u64,
        "10%".parse().unwrap(),
    );
    let read = |buffer: &mut [u8], at: u64| {
        buffer.copy_from_slice(&bytes[at as usize..][..buffer.len()]);
        Ok(())
    };
    plan.write(&read, &file, &[]).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn nightly_sets_with_a_lost_volume_are_imported_once_nothing_more_comes() {
    let nights = Nights::new("  volumeSize: 256KiB\n  parity: 1/2\n", "");
    nights.push("a", 2);
    nights.push("b", 3);
    nights.export(&[]).succeeds();
    let files = nights.list("out");
    assert!(files.iter().any(|name| name.contains(".parity-001-of-")), "{files:?}");
    for name in files.iter().filter(|name| !name.contains(".tar.002-of-")) {
        nights.put(name, name);
    }
    assert_eq!(nights.list("in").len() + 1, files.len());
    nights.import().ends_with(6).says("some of the bundle is missing");
    assert!(nights.target.client().contents().unwrap().is_empty());
    nights.import().succeeds();
    nights.agrees(&["a", "b"]);
    assert!(nights.list("in").is_empty(), "{:?}", nights.list("in"));
    // The outbox forgets all of a set's files.
    nights.bring_back();
    for seed in 4..7 {
        nights.push("a", seed);
        nights.export(&[]).succeeds();
        for name in nights.list("out") {
            nights.put(&name, &name);
        }
        nights.import();
        nights.bring_back();
    }
    let left = nights.list("out");
    let first = files[0].split(".tar").next().unwrap();
    assert!(!left.iter().any(|name| name.starts_with(first)), "{left:?}");
}
