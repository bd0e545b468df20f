//! Compact bundles: layers that are sent as the difference to what the other side has come out with the digests that
//! they had, into registries, pipes and files; what cannot be checked is never said to be right.

use std::path::PathBuf;

use bundle_test_servers::{
    Check, Direction, DockerRegistry, FaultProxy, ImageSpec, Layer, LayerSpec, Platform, sha256,
};

use crate::crossing::kill::killed_at;
use crate::scene::{Ran, Scene};
use crate::sync::jobs::Nights;

/// Two sides, and layers of which each version differs a little from the one before.
pub(crate) struct Sides {
    pub(crate) scene: Scene,
    pub(crate) target: DockerRegistry,
}

/// Something like a layer of programs: a tar of files that compress, of which a few change with each version.
fn tree(version: u64) -> Vec<u8> {
    let mut tar = Vec::new();
    for file in 0..12_u64 {
        let changed = if file == version % 12 { version } else { 0 };
        let mut state = file * 1000 + 1;
        let mut text = Vec::new();
        while text.len() < 120_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.extend_from_slice(format!("call {:x} at {}\n", state >> 34, text.len()).as_bytes());
        }
        let note = format!("version {changed}");
        text[60_000..60_000 + note.len()].copy_from_slice(note.as_bytes());
        tar.extend_from_slice(&member(&format!("usr/lib/file-{file}"), &text));
    }
    tar.extend_from_slice(&[0; 1024]);
    tar
}

/// One file of a tar (POSIX.1-1988 ustar).
fn member(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut member = header.to_vec();
    member.extend_from_slice(content);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

impl Sides {
    pub(crate) fn new() -> Self {
        Self { scene: Scene::empty(), target: DockerRegistry::start().unwrap() }
    }

    /// A layer as a program on this machine compresses it.
    pub(crate) fn layer(&self, version: u64, program: &str) -> Layer {
        let name = format!("key-{version}-{}", program.replace(' ', ""));
        let path: PathBuf = self.scene.path(&name);
        std::fs::write(&path, tree(version)).unwrap();
        self.scene.shell(&format!("{program} < {name} > {name}.gz")).succeeds();
        Layer::from_gzip_file(&self.scene.path(&format!("{name}.gz"))).unwrap()
    }

    pub(crate) fn push(&self, version: u64) {
        let image = ImageSpec::oci()
            .layer(self.layer(version, "gzip -n -6"))
            .layer(LayerSpec::new(version, 9_000))
            .build();
        self.scene.source.client().push("team/a", &version.to_string(), &image).unwrap();
    }

    pub(crate) fn create(&self, version: u64, output: &str, more: &[&str]) -> Ran {
        let reference = format!("{}/team/a:{version}", self.scene.source.host());
        let mut arguments = Scene::create_arguments(&[reference], output);
        let sequence = version.to_string();
        arguments.extend(["--sequence", sequence.as_str(), "--json"].map(str::to_owned));
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        self.scene.bundle(arguments)
    }

    pub(crate) fn import(&self, file: &str) -> Ran {
        self.scene.bundle(["import", file, "--to", self.target.host(), "--trust", "key.pub"])
    }

    pub(crate) fn size(&self, name: &str) -> u64 {
        std::fs::metadata(self.scene.path(name)).unwrap().len()
    }
}

#[test]
fn a_changed_layer_crosses_as_its_difference_and_arrives_with_its_digest() {
    let sides = Sides::new();
    sides.push(1);
    sides.push(2);
    sides.create(1, "one.tar", &[]).succeeds();
    sides.create(2, "two.tar", &["--base", "one.tar"]).succeeds();
    let compact = sides.create(2, "compact.tar", &["--base", "one.tar", "--compact"]).succeeds().json();
    assert_eq!(compact["compactSize"].as_u64(), Some(sides.size("compact.tar")));
    let (plain, small) = (sides.size("two.tar"), sides.size("compact.tar"));
    assert!(small * 8 < plain, "{small} of {plain}");
    sides.scene.bundle(["inspect", "compact.tar", "--trust", "key.pub"]).succeeds().says("must be there");
    sides.scene.bundle(["diff", "two.tar", "compact.tar"]).succeeds().says("0 changes, 1 unchanged");

    sides
        .scene
        .bundle(["verify", "compact.tar", "--trust", "key.pub"])
        .ends_with(6)
        .says("not checked in part")
        .says("--base-dir");
    std::fs::create_dir(sides.scene.path("key-old")).unwrap();
    std::fs::copy(sides.scene.path("one.tar"), sides.scene.path("key-old/one.tar")).unwrap();
    let old = ["--base-dir", "key-old"];
    sides.scene.bundle(["verify", "compact.tar", "--trust", "key.pub"].iter().chain(&old)).succeeds();
    sides.scene.bundle(["expand", "compact.tar", "-o", "expanded.tar"].iter().chain(&old)).succeeds();
    let read = |name: &str| std::fs::read(sides.scene.path(name)).unwrap();
    assert_eq!(sha256(&read("expanded.tar")), sha256(&read("two.tar")), "the archive, byte for byte");

    sides.import("one.tar").succeeds();
    sides.import("compact.tar").succeeds().says("read from");
    assert_eq!(sides.target.client().check_complete(Check::Hash).unwrap(), []);
    let fresh = DockerRegistry::start().unwrap();
    sides
        .scene
        .bundle(["import", "compact.tar", "--to", fresh.host(), "--trust", "key.pub"])
        .ends_with(6)
        .says("sha256:");
    sides
        .scene
        .shell(&format!(
            "cat compact.tar | $BUNDLE import - --to {} --trust key.pub --base-dir key-old",
            fresh.host()
        ))
        .succeeds();
    assert_eq!(fresh.client().check_complete(Check::Hash).unwrap(), []);
}

/// A jar with some classes, all compiled anew for each version, and a changelog as Debian packs it.
fn archives(sides: &Sides, version: u64) -> Layer {
    let script = "import sys, zipfile
version, state, jar = int(sys.argv[1]), 1, zipfile.ZipFile('key-app.jar', 'w', zipfile.ZIP_DEFLATED)
for number in range(6):
    text = 'compiled for version %d\\n' % version
    while len(text) < 90000:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        text += 'invoke %x at %d\\n' % (state >> 34, len(text))
    jar.writestr(zipfile.ZipInfo('com/example/Class%d.class' % number, (2026, version, 1, 0, 0, 0)), text, 8)
jar.close()
open('key-log', 'w').write('version %d\\n' % version + text)";
    sides.scene.shell(&format!("python3 -c \"{script}\" {version} && gzip -9nf key-log")).succeeds();
    let read = |name: &str| std::fs::read(sides.scene.path(name)).unwrap();
    let jar = member("app/app.jar", &read("key-app.jar"));
    let log = member("usr/share/doc/app/changelog.gz", &read("key-log.gz"));
    std::fs::write(sides.scene.path("key-layer"), [jar, log, vec![0; 1024]].concat()).unwrap();
    sides.scene.shell("gzip -nf6 key-layer").succeeds();
    Layer::from_gzip_file(&sides.scene.path("key-layer.gz")).unwrap()
}

#[test]
fn a_jar_compiled_anew_and_a_changelog_with_a_line_more_cross_as_what_changed_in_them() {
    if bundle_test_needs::program("python3").is_none() {
        return;
    }
    let sides = Sides::new();
    let image = |version| ImageSpec::oci().layer(archives(&sides, version)).build();
    for version in [1, 2] {
        sides.scene.source.client().push("team/a", &version.to_string(), &image(version)).unwrap();
    }
    let jar = sides.size("key-app.jar");
    sides.create(1, "one.tar", &[]).succeeds();
    sides.create(2, "two.tar", &["--base", "one.tar"]).succeeds();
    sides.create(2, "compact.tar", &["--base", "one.tar", "--compact"]).succeeds();
    let small = sides.size("compact.tar");
    assert!(small * 20 < jar, "{small} for a jar of {jar}");
    std::fs::create_dir(sides.scene.path("key-old")).unwrap();
    std::fs::copy(sides.scene.path("one.tar"), sides.scene.path("key-old/one.tar")).unwrap();
    sides
        .scene
        .shell("$BUNDLE expand compact.tar -o e.tar --base-dir key-old && cmp e.tar two.tar")
        .succeeds();
    sides.import("one.tar").succeeds();
    sides.import("compact.tar").succeeds();
    assert_eq!(sides.target.client().check_complete(Check::Hash).unwrap(), []);

    sides.create(2, "smallest.tar", &["--base", "one.tar", "--compact=smallest"]).succeeds();
    sides
        .scene
        .shell("$BUNDLE expand smallest.tar -o s.tar --base-dir key-old && cmp s.tar two.tar")
        .succeeds();

    // Without bases, archives are compressed better open than shut.
    sides.create(2, "full.tar", &["--compact"]).succeeds();
    assert!(sides.size("full.tar") * 10 < sides.size("two.tar") * 9);
    sides.scene.shell("$BUNDLE verify - --trust key.pub < full.tar").succeeds();
}

#[test]
fn a_layer_of_before_that_can_be_read_nowhere_is_told_and_what_is_like_it_is_sent_in_full() {
    let sides = Sides::new();
    sides.push(1);
    sides.push(2);
    sides.create(1, "one.tar", &[]).succeeds();
    let to = ["--to", sides.target.host(), "--trust", "key.pub", "--receipt", "key-receipt.json"];
    sides.scene.bundle(["import", "one.tar"].iter().chain(&to)).succeeds();
    let gone = sides.layer(1, "gzip -n -6").digest;
    let link = format!(
        "docker/registry/v2/repositories/team/a/_layers/sha256/{}",
        gone.trim_start_matches("sha256:")
    );
    std::fs::remove_dir_all(sides.scene.source.store().join(link)).unwrap();
    std::fs::remove_file(sides.scene.path("one.tar")).unwrap();

    let base = ["--base", "key-receipt.json", "--compact"];
    let ran =
        sides.create(2, "full.tar", &base).succeeds().says(&gone).says("could not be read here (not found)");
    let unread = &ran.json()["unreadBases"];
    assert_eq!(unread[0]["digest"], gone, "{unread}");
    assert_eq!(unread[0]["why"], "not found");
    sides.import("full.tar").succeeds();
    assert_eq!(sides.target.client().check_complete(Check::Hash).unwrap(), []);
}

#[test]
fn a_whole_compact_bundle_needs_nothing_else_wherever_it_is_used() {
    let sides = Sides::new();
    let platforms = [Platform::linux_amd64(), Platform::linux_arm64()];
    for (tag, program) in [("1", "gzip -n -9"), ("2", "gzip -n -1"), ("3", "cat")] {
        let mut images = Vec::new();
        for (platform, version) in platforms.iter().zip(3..) {
            let spec = ImageSpec::oci().platform(platform.clone());
            images.push(match program {
                "cat" => spec.layer(LayerSpec::new(version, 200_000).uncompressed()).build(),
                program => spec.layer(sides.layer(version, program)).build(),
            });
        }
        for (image, number) in images.iter().zip(1..) {
            sides.scene.source.client().push("team/a", &format!("{tag}-{number}"), image).unwrap();
        }
    }
    let tags = ["1-1", "1-2", "2-1", "2-2", "3-1"];
    let references: Vec<String> =
        tags.iter().map(|tag| format!("{}/team/a:{tag}", sides.scene.source.host())).collect();
    let create = |output: &str, more: &[&str]| {
        let mut arguments = Scene::create_arguments(&references, output);
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        sides.scene.bundle(arguments).succeeds()
    };
    create("plain.tar", &[]);
    create("full.tar", &["--compact"]).says("compact ");
    create("again.tar", &["--compact"]);
    let read = |name: &str| std::fs::read(sides.scene.path(name)).unwrap();
    assert_eq!(sha256(&read("again.tar")), sha256(&read("full.tar")), "the same input gives the same bytes");
    // Four of the five layers are nearly the same, compressed in three ways.
    assert!(sides.size("full.tar") * 2 < sides.size("plain.tar"));
    create("v.tar", &["--compact", "--volume-size", "200KiB", "--parity", "30%"]);
    sides.scene.bundle(["verify", "full.tar", "--trust", "key.pub"]).succeeds();
    sides.scene.bundle(["verify", "v.tar", "--trust", "key.pub"]).succeeds();
    sides.scene.shell("cat full.tar | $BUNDLE verify - --trust key.pub").succeeds();
    sides.scene.shell("$BUNDLE expand full.tar -o e.tar && cmp e.tar plain.tar").succeeds();
    sides.scene.shell("$BUNDLE expand v.tar -o f.tar && cmp f.tar plain.tar").succeeds();
    sides.scene.shell("rm v.tar.002-of-*; $BUNDLE verify v.tar --trust key.pub").succeeds().says("rebuilt");
    sides.scene.bundle(["extract", "full.tar", "--trust", "key.pub", "--to", "layout"]).succeeds();
    let piped = Scene::create_arguments(&references, "-").join(" ");
    sides.scene.shell(&format!("$BUNDLE {piped} --compact > p.tar && cmp p.tar full.tar")).succeeds();
    sides.import("full.tar").succeeds();
    assert_eq!(sides.target.client().check_complete(Check::Hash).unwrap(), []);
}

#[test]
fn a_damaged_compact_bundle_is_refused_and_shows_nothing() {
    let sides = Sides::new();
    sides.push(1);
    sides.create(1, "full.tar", &["--compact"]).succeeds();
    let bytes = std::fs::read(sides.scene.path("full.tar")).unwrap();
    for place in [10, 100, bytes.len() / 2, bytes.len() - 30, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x10;
        std::fs::write(sides.scene.path("full.tar"), damaged).unwrap();
        sides.scene.bundle(["verify", "full.tar", "--trust", "key.pub"]).ends_with(3);
    }
    std::fs::write(sides.scene.path("full.tar"), &bytes[..bytes.len() / 2]).unwrap();
    sides.import("full.tar").ends_with(3);
    assert!(sides.target.client().contents().unwrap().is_empty());
}

#[test]
fn a_killed_compact_create_fetches_nothing_again() {
    let sides = Sides::new();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 60 << 20).uncompressed()).build();
    sides.scene.source.client().push("team/big", "1", &image).unwrap();
    let proxy = FaultProxy::start(sides.scene.source.host()).unwrap();
    let reference = format!("{}/team/big:1", proxy.host());
    let arguments: Vec<String> =
        ["create", &reference, "--key", "key", "--compact", "-o", "b.tar"].map(str::to_owned).to_vec();
    assert!(killed_at(&sides.scene, &proxy, Direction::Download, 50 << 20, &arguments));
    assert!(!sides.scene.path("b.tar").exists());
    proxy.clear();
    sides.scene.bundle(&arguments).succeeds().says("resuming with the data that an earlier run fetched");
    let fetched = proxy.bytes(Direction::Download);
    assert!(fetched < 40 << 20, "{fetched} bytes were fetched again");
    sides.scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds();
    assert_eq!(sides.scene.files(), ["b.tar"], "nothing else is left");
}

#[test]
fn thirty_nights_of_compact_bundles_lost_and_late_end_equal() {
    let nights = Nights::new("  compact: true\n  fullEvery: 9\n", "");
    let sides = Sides { scene: Scene::empty(), target: DockerRegistry::start().unwrap() };
    let push = |version: u64| {
        let layer = sides.layer(version, "gzip -n -6");
        let image = ImageSpec::oci().layer(layer).build();
        nights.scene.source.client().push("team/a", "1", &image).unwrap();
    };
    nights.push("b", 5);
    let mut late: Vec<(String, Vec<u8>)> = Vec::new();
    for night in 0..30_u64 {
        push(night / 2 + 1);
        nights.export(&[]).succeeds();
        for name in nights.list("out") {
            let from = nights.path("out", &name);
            let to = nights.path("in", &name);
            std::fs::create_dir_all(nights.scene.path("in")).unwrap();
            match night % 7 {
                // Lost on the way, or late by some nights.
                3 => {}
                5 => late.push((name, std::fs::read(&from).unwrap())),
                _ => {
                    std::fs::copy(&from, &to).unwrap();
                }
            }
        }
        if night % 7 == 0 {
            for (name, bytes) in late.drain(..) {
                std::fs::write(nights.path("in", &name), bytes).unwrap();
            }
        }
        let _ = nights.import();
        if night % 4 != 2 {
            std::fs::create_dir_all(nights.scene.path("back")).unwrap();
            for name in nights.list("receipts") {
                std::fs::copy(nights.path("receipts", &name), nights.path("back", &name)).unwrap();
            }
        }
    }
    nights.export(&["--again"]).succeeds();
    for name in nights.list("out") {
        std::fs::copy(nights.path("out", &name), nights.path("in", &name)).unwrap();
    }
    let _ = nights.import();
    assert_eq!(nights.target.client().check_complete(Check::Hash).unwrap(), []);
    let there = nights.target.client().contents().unwrap();
    let wanted = nights.scene.source.client().contents().unwrap();
    for name in ["team/a", "team/b"] {
        let find = |all: &std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>>| {
            all.iter()
                .find(|(repository, _)| repository.ends_with(name))
                .and_then(|(_, tags)| tags.get("1").cloned())
        };
        assert!(find(&wanted).is_some());
        assert_eq!(find(&there), find(&wanted), "{name}");
    }
}
