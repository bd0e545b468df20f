//! One bundle that several runs write together, each its own volumes: the volumes are those of a bundle that one run
//! writes, whoever is killed, comes late or does its part again; and nobody takes parts of two bundles for one.

use bundle_test_servers::{Check, Direction, DockerRegistry, FaultProxy, ImageSpec, LayerSpec, sha256};

use crate::crossing::compact::Sides;
use crate::crossing::kill::killed_at;
use crate::scene::{Ran, Scene};

const SIZE: &str = "256KiB";

/// A registry with images, of which one has a layer larger than a volume.
struct Work {
    scene: Scene,
    names: Vec<String>,
}

impl Work {
    fn new() -> Self {
        let scene = Scene::empty();
        let mut names = Vec::new();
        for (seed, bytes) in
            [100_000, 200_000, 700_000, 90_000, 240_000, 130_000, 60_000].into_iter().enumerate()
        {
            let image = ImageSpec::oci().layer(LayerSpec::new(seed as u64 + 1, bytes).uncompressed()).build();
            scene.source.client().push(&format!("team/{seed}"), "1", &image).unwrap();
            names.push(format!("team/{seed}:1"));
        }
        Self { scene, names }
    }

    fn arguments(&self, host: &str, output: &str, more: &[&str]) -> Vec<String> {
        let references: Vec<String> = self.names.iter().map(|name| format!("{host}/{name}")).collect();
        let mut arguments = Scene::create_arguments(&references, output);
        arguments.extend(["--volume-size", SIZE].iter().chain(more).map(|text| (*text).to_owned()));
        arguments
    }

    fn create(&self, output: &str, more: &[&str]) -> Ran {
        self.scene.bundle(self.arguments(self.scene.source.host(), output, more))
    }

    fn sums(&self, start: &str) -> Vec<(String, String)> {
        let files = self.scene.files().into_iter();
        let own = files.filter_map(|name| Some((name.strip_prefix(start)?.to_owned(), name)));
        own.map(|(end, name)| (end, sha256(&std::fs::read(self.scene.path(&name)).unwrap()))).collect()
    }
}

#[test]
fn three_runs_write_the_volumes_that_one_would_and_the_last_makes_them_a_set() {
    let work = Work::new();
    work.create("one.tar", &[]).succeeds();
    let said = work.create("b.tar", &["--shard", "1/3", "--json"]).succeeds().json();
    assert_eq!(said["shard"]["shard"], "1/3");
    let (own, missing) =
        (said["shard"]["volumes"].as_u64().unwrap(), said["shard"]["missing"].as_u64().unwrap());
    assert!(own > 0 && missing > own, "{said}");
    work.scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).ends_with(2);
    work.create("b.tar", &["--shard", "0/3"]).succeeds().says("still to come");
    work.create("b.tar", &["--share", "2/3"]).succeeds().says("the bundle is complete");
    assert_eq!(work.sums("b.tar").len(), work.sums("one.tar").len());
    let sums = |start: &str| {
        // The file of sums has the files' names in it.
        let all = work.sums(start).into_iter().filter(|(end, _)| end != ".SHA256SUMS");
        all.collect::<Vec<_>>()
    };
    assert_eq!(sums("b.tar"), sums("one.tar"), "every file, byte for byte");
    work.scene.shell("sha256sum -c b.tar.SHA256SUMS").succeeds();
    work.scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds();
    assert!(!work.scene.files().iter().any(|name| name.starts_with('.')), "{:?}", work.scene.files());
    let target = DockerRegistry::start().unwrap();
    work.scene.bundle(["import", "b.tar", "--to", target.host(), "--trust", "key.pub"]).succeeds();
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}

#[test]
fn runs_at_one_time_without_a_fixed_time_agree_on_one_statement() {
    let work = Work::new();
    let host = work.scene.source.host();
    let references: Vec<String> = work.names.iter().map(|name| format!("{host}/{name}")).collect();
    let run = |shard: usize| {
        let shard = format!("{shard}/4");
        let more = ["--key", "key", "--stream", "s", "-o", "b.tar", "--volume-size", SIZE, "--shard", &shard];
        let arguments = ["create"].into_iter().chain(references.iter().map(String::as_str)).chain(more);
        work.scene.command(arguments).output().unwrap()
    };
    let ran: Vec<Ran> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|shard| scope.spawn(move || run(shard))).collect();
        runs.into_iter().map(|run| Ran::from(run.join().unwrap())).collect()
    });
    let complete =
        ran.into_iter().map(Ran::succeeds).filter(|ran| ran.stdout.contains("is complete")).count();
    assert!(complete > 0, "somebody was the last");
    work.scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds();
    work.scene.shell("cat b.tar.*-of-* > all.tar && $BUNDLE verify all.tar --trust key.pub").succeeds();
}

#[test]
fn a_shard_is_done_again_alone_and_in_other_numbers_and_writes_only_what_is_gone() {
    let work = Work::new();
    work.create("one.tar", &[]).succeeds();
    for shard in ["0/2", "1/3", "1/2"] {
        work.create("b.tar", &["--shard", shard]).succeeds();
    }
    work.scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds();
    let volumes: Vec<String> =
        work.scene.files().into_iter().filter(|name| name.starts_with("b.tar.0")).collect();
    let lost = &volumes[volumes.len() - 1];
    std::fs::remove_file(work.scene.path(lost)).unwrap();
    work.create("b.tar", &["--shard", "0/2"]).succeeds().says("1 volume still to come");
    work.create("b.tar", &["--shard", "1/2"]).succeeds().says("the bundle is complete");
    let sum = |name: &str| sha256(&std::fs::read(work.scene.path(name)).unwrap());
    assert_eq!(sum(lost), sum(&lost.replace("b.tar", "one.tar")));
    work.create("b.tar", &["--shard", "1/2"]).succeeds().says("the bundle is complete");
    // Another bundle of the same name: its shards are kept out, and its volumes are not taken for these.
    let image = ImageSpec::oci().layer(LayerSpec::new(99, 100_000).uncompressed()).build();
    work.scene.source.client().push("team/0", "1", &image).unwrap();
    work.create("b.tar", &["--shard", "0/2"]).ends_with(2).says("another bundle").says("--locked");
    work.create("other.tar", &["--shard", "0/2"]).succeeds();
    std::fs::copy(work.scene.path(&volumes[0].replace("b.tar", "other.tar")), work.scene.path(&volumes[0]))
        .unwrap();
    work.scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).ends_with(3);
}

#[test]
fn what_shards_cannot_do_is_said_before_any_request() {
    let work = Work::new();
    let reference = format!("{}/{}", work.scene.source.host(), work.names[0]);
    let run = |more: &[&str]| {
        let start = ["create", reference.as_str(), "--key", "key", "-o", "b.tar", "--shard", "0/2"];
        work.scene.bundle(start.iter().chain(more)).ends_with(2)
    };
    run(&[]).says("--volume-size");
    run(&["--volume-size", "1MiB", "--parity", "10%"]).says("--parity");
    let start = ["create", reference.as_str(), "--key", "key", "-o", "b.tar.zst", "--shard", "0/2"];
    work.scene.bundle(start.iter().chain(&["--volume-size", "4MiB"])).ends_with(2).says("cannot have shards");
    assert_eq!(work.scene.files(), Vec::<String>::new());
}

#[test]
fn a_killed_shard_goes_on_and_fetches_only_its_part() {
    let scene = Scene::empty();
    let mut names = Vec::new();
    for seed in 0..18_u64 {
        let image = ImageSpec::oci().layer(LayerSpec::new(seed + 1, 4 << 20).uncompressed()).build();
        scene.source.client().push(&format!("team/{seed}"), "1", &image).unwrap();
        names.push(format!("team/{seed}:1"));
    }
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    let references: Vec<String> = names.iter().map(|name| format!("{}/{name}", proxy.host())).collect();
    let arguments = |shard: &str, compact: bool| {
        let mut arguments = Scene::create_arguments(&references, "b.tar");
        // One blob at a time: of a blob that has just begun, a killed run has noted nothing.
        let more = ["--volume-size", "13MiB", "--shard", shard, "--jobs", "1"];
        arguments.extend(more.map(str::to_owned));
        arguments.extend(compact.then(|| "--compact".to_owned()));
        arguments
    };
    for compact in [false, true] {
        proxy.clear();
        scene.bundle(arguments("0/3", compact)).succeeds();
        let fetched = proxy.bytes(Direction::Download);
        assert!(fetched < 40 << 20, "{fetched} bytes for a third of 72 MiB");
        assert!(killed_at(&scene, &proxy, Direction::Download, 20 << 20, &arguments("1/3", compact)));
        proxy.clear();
        scene.bundle(arguments("1/3", compact)).succeeds();
        let fetched = proxy.bytes(Direction::Download);
        assert!(fetched < 20 << 20, "{fetched} bytes after a kill");
        scene.bundle(arguments("2/3", compact)).succeeds().says("the bundle is complete");
        scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds();
        let left: Vec<String> =
            scene.files().into_iter().filter(|name| !name.starts_with("b.tar.")).collect();
        assert_eq!(left, Vec::<String>::new());
        scene.shell("rm b.tar.*").succeeds();
    }
}

#[test]
fn compact_shards_join_to_one_encoding_of_the_same_archive() {
    let sides = Sides::new();
    for version in 1..8 {
        sides.push(version);
    }
    let references: Vec<String> =
        (2..8).map(|version| format!("{}/team/a:{version}", sides.scene.source.host())).collect();
    sides.create(1, "old.tar", &[]).succeeds();
    let create = |output: &str, more: &[&str]| {
        let mut arguments = Scene::create_arguments(&references, output);
        arguments.extend(
            ["--sequence", "9", "--base", "old.tar"].iter().chain(more).map(|text| (*text).to_owned()),
        );
        sides.scene.bundle(arguments)
    };
    create("plain.tar", &[]).succeeds();
    let shard = |number: &str| create("b.tar", &["--compact", "--volume-size", "64KiB", "--shard", number]);
    shard("1/3").succeeds().says("2 shards still to come");
    shard("1/3").succeeds().says("2 shards still to come");
    shard("2/3").succeeds().says("1 shard still to come");
    shard("0/3").succeeds().says("the bundle is complete");
    shard("0/3").succeeds().says("the bundle is complete");
    std::fs::create_dir(sides.scene.path("key-old")).unwrap();
    std::fs::copy(sides.scene.path("old.tar"), sides.scene.path("key-old/old.tar")).unwrap();
    sides.scene.shell("sha256sum -c b.tar.SHA256SUMS").succeeds();
    sides.scene.bundle(["verify", "b.tar", "--trust", "key.pub", "--base-dir", "key-old"]).succeeds();
    sides.scene.shell("$BUNDLE expand b.tar -o e.tar --base-dir key-old && cmp e.tar plain.tar").succeeds();
    sides.scene.shell("cat b.tar.*-of-* | $BUNDLE verify - --trust key.pub --base-dir key-old").succeeds();
    let compact: u64 =
        sides.scene.files().iter().filter(|name| name.contains("-of-")).map(|name| sides.size(name)).sum();
    assert!(compact * 4 < sides.size("plain.tar"), "{compact}");
    sides.import("old.tar").succeeds();
    sides.import("b.tar").succeeds();
    assert_eq!(sides.target.client().check_complete(Check::Hash).unwrap(), []);
    let left: Vec<String> = sides.scene.files().into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(left, Vec::<String>::new());
    // Shards that were made against other bases are not joined.
    shard("0/2").ends_with(0);
    sides.scene.shell("rm b.tar.*").succeeds();
    shard("0/2").succeeds();
    let mut arguments = Scene::create_arguments(&references, "b.tar");
    let more = ["--sequence", "9", "--compact", "--volume-size", "64KiB", "--shard", "1/2"];
    arguments.extend(more.map(str::to_owned));
    sides.scene.bundle(arguments).ends_with(2).says("another bundle");
}
