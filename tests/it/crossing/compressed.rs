//! A bundle inside a compressed file. The program reads `zstd`'s output and `zstd` the program's, and damage
//! in it is damage of the bundle.

use bundle_test_servers::{Check, DockerRegistry, ImageSpec, LayerSpec, sha256};

use crate::scene::Scene;

fn scene() -> Scene {
    let scene = Scene::empty();
    let image = |seed, bytes| ImageSpec::oci().layer(LayerSpec::new(seed, bytes).uncompressed()).build();
    for (name, seed) in [("a", 1), ("b", 2)] {
        scene.source.client().push(&format!("team/{name}"), "1", &image(seed, 3_000_000)).unwrap();
    }
    scene
}

fn create(scene: &Scene, output: &str) -> Vec<u8> {
    let references = ["a", "b"].map(|name| format!("{}/team/{name}:1", scene.source.host())).to_vec();
    scene.bundle(Scene::create_arguments(&references, output)).succeeds();
    std::fs::read(scene.path(output)).unwrap()
}

#[test]
fn a_compressed_bundle_is_used_as_it_is() {
    let scene = scene();
    let plain = create(&scene, "b.tar");
    let packed = create(&scene, "b.tar.zst");
    assert!(packed.len() < plain.len());
    assert_eq!(sha256(&create(&scene, "c.tar.zst")), sha256(&packed), "the same input gives the same bytes");
    scene.bundle(["verify", "b.tar.zst", "--trust", "key.pub"]).succeeds();
    scene.bundle(["inspect", "b.tar.zst", "--trust", "key.pub"]).succeeds();
    scene.bundle(["diff", "b.tar", "b.tar.zst"]).succeeds().says("0 changes, 2 unchanged");
    let target = DockerRegistry::start().unwrap();
    scene.bundle(["import", "b.tar.zst", "--to", target.host(), "--trust", "key.pub"]).succeeds();
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    assert_eq!(scene.files(), ["b.tar", "b.tar.zst", "c.tar.zst"], "nothing was unpacked");
    let piped = DockerRegistry::start().unwrap();
    scene
        .shell(&format!("cat b.tar.zst | $BUNDLE import - --to {} --trust key.pub", piped.host()))
        .succeeds();
    assert_eq!(piped.client().check_complete(Check::Hash).unwrap(), []);
}

#[test]
fn compressed_volumes_are_read_together_and_one_after_the_other() {
    let scene = Scene::empty();
    let layer = |seed| LayerSpec::new(seed, 5_000_000).uncompressed();
    let image = ImageSpec::oci().layer(layer(1)).layer(layer(2)).layer(layer(3)).build();
    scene.source.client().push("team/a", "1", &image).unwrap();
    let create = |output: &str| {
        let reference = format!("{}/team/a:1", scene.source.host());
        Scene::create_arguments(&[reference], output)
    };
    let cut = ["--volume-size", "3MiB"];
    scene.bundle(create("b.tar.zst")).succeeds();
    let tiny = ["--volume-size", "1MiB"];
    scene
        .bundle(create("v.tar.zst").iter().map(String::as_str).chain(tiny))
        .ends_with(2)
        .says("at least 3 MiB");
    scene.bundle(create("v.tar.zst").iter().map(String::as_str).chain(cut)).succeeds();
    let names = scene.files();
    let volumes: Vec<&String> = names.iter().filter(|name| name.contains("-of-")).collect();
    assert!(volumes.len() >= 3, "{names:?}");
    for name in ["volumes.json", "head", "frames", "bundle.json", "bundle.json.sig", "SHA256SUMS"] {
        assert!(names.contains(&format!("v.tar.zst.{name}")), "{name} of {names:?}");
    }
    let joined: Vec<u8> = volumes.iter().flat_map(|name| std::fs::read(scene.path(name)).unwrap()).collect();
    assert!(joined == std::fs::read(scene.path("b.tar.zst")).unwrap(), "the volumes join to the file");
    scene.shell("sha256sum -c --quiet v.tar.zst.SHA256SUMS").succeeds();
    for name in ["v.tar.zst", volumes[1].as_str(), "v.tar.zst.volumes.json"] {
        scene.bundle(["verify", name, "--trust", "key.pub"]).succeeds();
    }
    scene.bundle(["inspect", "v.tar.zst", "--trust", "key.pub"]).succeeds();
    scene.bundle(["diff", "b.tar.zst", "v.tar.zst"]).succeeds().says("0 changes, 1 unchanged");
    scene.bundle(["extract", "v.tar.zst", "--trust", "key.pub", "--to", "out"]).succeeds();
    let whole = DockerRegistry::start().unwrap();
    scene.bundle(["import", "v.tar.zst", "--to", whole.host(), "--trust", "key.pub"]).succeeds();
    assert_eq!(whole.client().check_complete(Check::Hash).unwrap(), []);

    // Without the last volume, the copy of the table says where the others belong.
    let target = DockerRegistry::start().unwrap();
    let partial = ["import", "v.tar.zst", "--partial", "--to", target.host(), "--trust", "key.pub"];
    let away = scene.path("away");
    std::fs::create_dir(&away).unwrap();
    for here in volumes.iter().rev() {
        for name in &volumes {
            let (stick, drawer) = (scene.path(name), away.join(name));
            let (from, to) = if name == here { (drawer, stick) } else { (stick, drawer) };
            if from.exists() {
                std::fs::rename(from, to).unwrap();
            }
        }
        scene.bundle(partial).ends_with(if here == &volumes[0] { 0 } else { 6 });
    }
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    for name in &volumes {
        let drawer = away.join(name);
        if drawer.exists() {
            std::fs::rename(drawer, scene.path(name)).unwrap();
        }
    }

    let path = scene.path(volumes[1]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    scene.bundle(["verify", "v.tar.zst", "--trust", "key.pub"]).ends_with(3).says(volumes[1]);
    std::fs::remove_file(&path).unwrap();
    scene.bundle(["verify", "v.tar.zst", "--trust", "key.pub"]).ends_with(6).says(volumes[1]);
}

#[test]
fn zstd_itself_unpacks_it_and_packs_what_can_be_piped() {
    let scene = scene();
    let plain = create(&scene, "b.tar");
    create(&scene, "b.tar.zst");
    if bundle_test_needs::program("zstd").is_none() {
        return;
    }
    scene.shell("zstd -q -t b.tar.zst && zstd -q -d -c b.tar.zst > unpacked.tar").succeeds();
    assert_eq!(sha256(&std::fs::read(scene.path("unpacked.tar")).unwrap()), sha256(&plain));
    scene.shell("zstd -q -19 -c b.tar > other.tar.zst").succeeds();
    scene
        .bundle(["verify", "other.tar.zst", "--trust", "key.pub"])
        .ends_with(3)
        .says("it has no seek table at its end: it is truncated, or can be read only from a pipe");
    scene.shell("$BUNDLE verify - --trust key.pub < other.tar.zst").succeeds();
    scene.shell("cat b.tar | zstd -q -3 --long=31 -c > wide.tar.zst").succeeds();
    scene.shell("cat wide.tar.zst | $BUNDLE verify - --trust key.pub").ends_with(3);
}

#[test]
fn a_compressed_bundle_that_was_touched_changes_nothing_in_the_registry() {
    let scene = scene();
    let bytes = create(&scene, "b.tar.zst");
    let target = DockerRegistry::start().unwrap();
    let middle = bytes.len() / 2;
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    // The table of frames is at the end, and no help to who reads a pipe.
    let table = bytes.len() - 20;
    for (name, touched, piped) in [
        ("truncated", bytes[..middle].to_vec(), 3),
        ("without its last byte", bytes[..bytes.len() - 1].to_vec(), 3),
        ("with garbage at its end", [&bytes[..], b"garbage"].concat(), 3),
        ("twice", [&bytes[..], &bytes[..]].concat(), 3),
        ("flipped in the first header", flipped(5), 3),
        ("flipped in the first frame", flipped(700), 3),
        ("flipped in the middle", flipped(middle), 3),
        ("flipped in the table", flipped(table), 0),
    ] {
        eprintln!("{name}");
        std::fs::write(scene.path("bad.tar.zst"), touched).unwrap();
        scene.bundle(["import", "bad.tar.zst", "--to", target.host(), "--trust", "key.pub"]).ends_with(3);
        let tags: usize = target.client().contents().unwrap().values().map(|tags| tags.len()).sum();
        assert_eq!(tags, 0, "{name}: a tag was set");
        let import = format!("$BUNDLE import - --to {} --trust key.pub < bad.tar.zst", target.host());
        scene.shell(&import).ends_with(piped);
    }
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}
