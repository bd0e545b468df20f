//! A bundle on several sticks: whole, one after the other, damaged, mixed up.
//! The parts of a set are files in a directory that the tests move, cut and mix.

use std::path::PathBuf;

use bundle_test_servers::{
    Check, DockerRegistry, Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Rule, sha256,
};

use crate::scene::{Ran, Scene};

/// A registry with images whose layers fit into a volume of 256 KiB, but for one that needs three.
struct Set {
    scene: Scene,
}

const SIZE: &str = "256KiB";

impl Set {
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
        let references: Vec<String> =
            ["a", "b", "c", "d"].map(|name| format!("{}/team/{name}:1", self.scene.source.host())).to_vec();
        let mut arguments = Scene::create_arguments(&references, output);
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        self.scene.bundle(arguments)
    }

    /// The volumes' names.
    fn volumes(&self, name: &str) -> Vec<String> {
        let start = format!("{name}.0");
        self.scene.files().into_iter().filter(|file| file.starts_with(&start)).collect()
    }

    fn import(&self, host: &str, path: &str, more: &[&str]) -> Ran {
        let mut arguments = vec!["import", path, "--to", host, "--trust", "key.pub"];
        arguments.extend_from_slice(more);
        self.scene.bundle(arguments)
    }

    /// A directory with the small files and these volumes, like one stick.
    fn stick(&self, directory: &str, volumes: &[&String]) -> PathBuf {
        let stick = self.scene.path(directory);
        std::fs::create_dir_all(&stick).unwrap();
        let small = ["head", "volumes.json", "bundle.json", "bundle.json.sig", "SHA256SUMS"];
        let small = small.map(|end| format!("b.tar.{end}"));
        for name in small.iter().chain(volumes.iter().copied()) {
            std::fs::copy(self.scene.path(name), stick.join(name)).unwrap();
        }
        stick
    }
}

fn complete(target: &DockerRegistry) {
    assert_eq!(target.client().contents().unwrap().len(), 5, "four images and the record");
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}

#[test]
fn volumes_join_to_the_same_bytes_and_are_read_without_joining() {
    let set = Set::new();
    set.create("whole.tar", &[]).succeeds();
    set.create("b.tar", &["--volume-size", SIZE]).succeeds();
    let volumes = set.volumes("b.tar");
    assert!(volumes.len() >= 5, "{volumes:?}");
    assert_eq!(volumes[0], format!("b.tar.001-of-{:03}", volumes.len()));
    let joined: Vec<u8> =
        volumes.iter().flat_map(|name| std::fs::read(set.scene.path(name)).unwrap()).collect();
    assert_eq!(sha256(&joined), sha256(&std::fs::read(set.scene.path("whole.tar")).unwrap()));
    for name in &volumes {
        assert!(std::fs::metadata(set.scene.path(name)).unwrap().len() <= 256 << 10);
    }
    let scene = &set.scene;
    scene.shell("sha256sum -c b.tar.SHA256SUMS").succeeds();
    scene
        .shell("openssl pkeyutl -verify -rawin -pubin -inkey key.pub -in b.tar.bundle.json -sigfile b.tar.bundle.json.sig")
        .succeeds();
    scene.shell("cat b.tar.*-of-* | $BUNDLE verify - --trust key.pub").succeeds();
    for name in ["b.tar", "b.tar.volumes.json", &volumes[2]] {
        scene.bundle(["verify", name, "--trust", "key.pub"]).succeeds();
        scene.bundle(["inspect", name, "--trust", "key.pub"]).succeeds().says("signed by 'key.pub'");
    }
    scene.bundle(["key", "generate", "key-b"]).succeeds();
    scene.bundle(["sign", &volumes[1], "--key", "key-b", "--trust", "key.pub"]).succeeds();
    std::fs::write(
        scene.path("trust.yaml"),
        "signatures: 2\nkeys:\n- {name: a, file: key.pub, projects: ['*']}\n- {name: b, file: key-b.pub, projects: ['*']}\n",
    )
    .unwrap();
    scene.bundle(["verify", "b.tar", "--trust", "trust.yaml"]).succeeds().says("signed by 'a' and 'b'");
    let target = DockerRegistry::start().unwrap();
    set.import(target.host(), "b.tar", &[]).succeeds();
    complete(&target);
    // Without the index, but with all volumes, it is known where they belong.
    std::fs::remove_file(scene.path("b.tar.volumes.json")).unwrap();
    scene.bundle(["verify", &volumes[0], "--trust", "key.pub"]).succeeds();
    set.create("b.tar", &["--volume-size", SIZE]).ends_with(2).says("exists already");
}

#[test]
fn sticks_come_one_after_the_other_in_any_order() {
    let set = Set::new();
    set.create("b.tar", &["--volume-size", SIZE]).succeeds();
    let volumes = set.volumes("b.tar");
    let target = DockerRegistry::start().unwrap();
    let mut order: Vec<&String> = volumes.iter().rev().collect();
    order.rotate_left(1);
    for (position, volume) in order.iter().enumerate() {
        let stick = set.stick(&format!("stick-{position}"), &[volume]);
        let path = stick.join("b.tar");
        set.import(target.host(), path.to_str().unwrap(), &[])
            .ends_with(6)
            .says("is missing")
            .says("--partial");
        let ran = set.import(target.host(), path.to_str().unwrap(), &["--partial"]);
        if position + 1 < order.len() {
            let ran = ran.ends_with(6).says("still to come").says("no tag is set");
            assert!(
                !ran.stderr.contains(&format!("still to come: {}", stick.join(volume).display())),
                "{}",
                ran.stderr
            );
            assert!(target.client().contents().unwrap().is_empty());
        } else {
            ran.succeeds();
        }
        std::fs::remove_dir_all(stick).unwrap();
    }
    complete(&target);
    let left = std::fs::read_dir(set.scene.path(".local/state/bundle/spool")).unwrap().count();
    assert_eq!(left, 0, "parts were left behind");
}

#[test]
fn a_damaged_missing_or_foreign_volume_is_named_and_the_others_stay_usable() {
    let set = Set::new();
    let scene = &set.scene;
    set.create("b.tar", &["--volume-size", SIZE]).succeeds();
    let volumes = set.volumes("b.tar");
    let original: Vec<Vec<u8>> =
        volumes.iter().map(|name| std::fs::read(scene.path(name)).unwrap()).collect();
    let restore =
        |position: usize| std::fs::write(scene.path(&volumes[position]), &original[position]).unwrap();
    let target = DockerRegistry::start().unwrap();
    for position in 0..volumes.len() {
        let name = &volumes[position];
        eprintln!("{name}");
        let mut bytes = original[position].clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(scene.path(name), &bytes).unwrap();
        let ran = scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).ends_with(3);
        // The first one has the head; where that is damaged, the signature does not hold.
        if position > 0 {
            let ran = ran.says(name);
            let others = volumes.iter().filter(|other| *other != name);
            assert!(!others.clone().any(|other| ran.stdout.contains(other.as_str())), "{}", ran.stdout);
            set.import(target.host(), "b.tar", &["--partial"]).ends_with(3).says(name);
        }
        std::fs::write(scene.path(name), &original[position][..middle]).unwrap();
        set.import(target.host(), "b.tar", &[]).ends_with(3).says(name).says("bytes instead of");
        std::fs::remove_file(scene.path(name)).unwrap();
        set.import(target.host(), "b.tar", &[]).ends_with(6).says(&format!("{name} is missing"));
        restore(position);
    }
    assert!(target.client().contents().unwrap().is_empty());
    // A volume of another bundle that has as many, and the same size.
    set.create("c.tar", &["--volume-size", SIZE, "--sequence", "7"]).succeeds();
    let image = ImageSpec::oci().layer(LayerSpec::new(9, 200_000).uncompressed()).build();
    scene.source.client().push("team/b", "1", &image).unwrap();
    set.create("d.tar", &["--volume-size", SIZE]).succeeds();
    let foreign = set.volumes("d.tar");
    let of_b = volumes
        .iter()
        .zip(&foreign)
        .find(|(ours, theirs)| {
            let read = |name: &String| std::fs::read(scene.path(name)).unwrap();
            let (ours, theirs) = (read(ours), read(theirs));
            ours.len() == theirs.len() && ours != theirs && ours[..512] != theirs[..512]
        })
        .unwrap();
    std::fs::copy(scene.path(of_b.1), scene.path(of_b.0)).unwrap();
    set.import(target.host(), "b.tar", &[]).ends_with(3).says(of_b.0);
    restore(volumes.iter().position(|name| name == of_b.0).unwrap());
    // The index of another bundle.
    std::fs::copy(scene.path("c.tar.volumes.json"), scene.path("b.tar.volumes.json")).unwrap();
    set.import(target.host(), "b.tar", &[]).ends_with(3);
    std::fs::write(scene.path("b.tar.volumes.json"), "{}").unwrap();
    set.import(target.host(), "b.tar", &[])
        .ends_with(3)
        .says("b.tar.volumes.json: index of volumes is not valid");
    std::fs::remove_file(scene.path("b.tar.volumes.json")).unwrap();
    // An old one is left over.
    std::fs::copy(scene.path(&volumes[0]), scene.path("b.tar.001-of-002")).unwrap();
    set.import(target.host(), "b.tar", &[]).ends_with(3).says("b.tar.001-of-002 is of another set");
    std::fs::remove_file(scene.path("b.tar.001-of-002")).unwrap();
    set.import(target.host(), "b.tar", &[]).succeeds();
    complete(&target);
}

#[test]
fn a_killed_create_goes_on_in_its_volumes() {
    let set = Set::new();
    let scene = &set.scene;
    set.create("whole.tar", &["--volume-size", SIZE]).succeeds();
    let expected: Vec<_> =
        set.volumes("whole.tar").iter().map(|name| std::fs::read(scene.path(name)).unwrap()).collect();
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    let references: Vec<String> =
        ["a", "b", "c", "d"].map(|name| format!("{}/team/{name}:1", proxy.host())).to_vec();
    let mut arguments = Scene::create_arguments(&references, "b.tar");
    arguments.extend(["--volume-size", SIZE].map(str::to_owned));
    scene.bundle(arguments.clone()).succeeds();
    let expected_there: Vec<_> =
        set.volumes("b.tar").iter().map(|name| std::fs::read(scene.path(name)).unwrap()).collect();
    assert_eq!(expected.len(), expected_there.len());
    let total = proxy.bytes(bundle_test_servers::Direction::Download);
    let clean = || scene.shell("rm -f b.tar.*").succeeds();
    for point in 0..8 {
        clean();
        crate::crossing::kill::killed_at(
            scene,
            &proxy,
            bundle_test_servers::Direction::Download,
            total * point / 8,
            &arguments,
        );
        assert!(!scene.path("b.tar.volumes.json").exists());
        scene.bundle(arguments.clone()).succeeds();
        let found: Vec<_> =
            set.volumes("b.tar").iter().map(|name| std::fs::read(scene.path(name)).unwrap()).collect();
        assert!(found == expected_there, "point {point}");
        assert!(!scene.files().iter().any(|name| name.starts_with(".b.tar")), "{:?}", scene.files());
    }
    // A run that ended between the names and the index.
    let names = set.volumes("b.tar");
    std::fs::remove_file(scene.path("b.tar.volumes.json")).unwrap();
    let digest = sha256(&std::fs::read(scene.path("b.tar.bundle.json")).unwrap());
    std::fs::write(scene.path(".b.tar.journal"), format!("bundle-journal 1 {digest}\n")).unwrap();
    std::fs::rename(scene.path(&names[2]), scene.path(".b.tar.003.partial")).unwrap();
    scene.bundle(arguments).succeeds();
    let found: Vec<_> =
        set.volumes("b.tar").iter().map(|name| std::fs::read(scene.path(name)).unwrap()).collect();
    assert!(found == expected_there);
}

#[test]
fn several_share_the_work_of_one_bundle_and_the_last_sets_the_tags() {
    let set = Set::new();
    set.create("b.tar", &[]).succeeds();
    let target = DockerRegistry::start().unwrap();
    for share in ["2/3", "0/3"] {
        // As the flag was called before.
        set.import(target.host(), "b.tar", &["--share", share])
            .succeeds()
            .says("of other shards are missing");
        assert!(target.client().contents().unwrap().is_empty());
    }
    let report = set.import(target.host(), "b.tar", &["--shard", "1/3", "--json"]).succeeds().json();
    assert_eq!(report["pushed"], 4);
    complete(&target);
    set.import(target.host(), "b.tar", &["--shard", "0/3"])
        .succeeds()
        .says("0 artifacts pushed, 4 already present");
    let damaged = set.scene.path("b.tar");
    let mut bytes = std::fs::read(&damaged).unwrap();
    let at = bytes.len() - 2000;
    bytes[at] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let other = DockerRegistry::start().unwrap();
    let codes: Vec<_> =
        ["0/2", "1/2"].map(|share| set.import(other.host(), "b.tar", &["--shard", share]).code).to_vec();
    assert!(codes.contains(&Some(3)), "{codes:?}");
    assert!(other.client().contents().unwrap().is_empty());
}

#[test]
fn of_those_who_share_the_work_at_the_same_time_the_last_one_sets_the_tags() {
    let set = Set::new();
    set.create("b.tar", &[]).succeeds();
    let target = DockerRegistry::start().unwrap();
    let slow = FaultProxy::start(target.host()).unwrap();
    slow.add(Rule::new(Matcher::new("PUT", "/blobs/uploads/"), Fault::Hold));
    let import = ["import", "b.tar", "--to", slow.host(), "--trust", "key.pub", "--shard", "0/2"];
    let mut first = set.scene.command(import).spawn().unwrap();
    // It has looked for the blobs of the other share, and its own are on their way.
    slow.wait_for_stall();
    set.import(target.host(), "b.tar", &["--shard", "1/2"]).succeeds().says("of other shards are missing");
    let tags = || target.client().contents().unwrap().values().map(|tags| tags.len()).sum::<usize>();
    assert_eq!(tags(), 0);
    slow.clear_rules();
    slow.release();
    assert!(first.wait().unwrap().success());
    assert_eq!(tags(), 6, "four images, the record and the list of the stream's tags");
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}
