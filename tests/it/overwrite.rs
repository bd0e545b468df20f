//! Files that are not ours stay as they are: for any option, a command that would overwrite another's file
//! ends with 2, before it does anything.

use bundle_test_servers::{Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Rule};

use crate::scene::{CREATED, Scene};

#[test]
fn no_command_overwrites_what_is_not_its_own() {
    let scene = Scene::empty();
    let to = bundle_test_servers::DockerRegistry::start().unwrap();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 10_000)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let reference = format!("{}/team/app:1", scene.source.host());
    scene.bundle(["create", &reference, "--key", "key", "--created", CREATED, "-o", "b.tar"]).succeeds();
    scene.bundle(["key", "generate", "other"]).succeeds();
    scene.shell("mkdir dir && mkfifo fifo && ln -s b.tar link && echo text > notes.txt").succeeds();
    let import = ["import", "b.tar", "--trust", "key.pub", "--to", to.host()];
    let rotate = ["trust", "rotate", "--key", "key", "--new", "other.pub", "--name", "next"];
    let before = |name: &str| std::fs::read(scene.path(name)).ok();
    for name in ["b.tar", "key", "key.pub", "notes.txt", "link", "dir", "fifo", "/dev/null"] {
        let content = (name != "fifo" && !name.starts_with('/')).then(|| before(name));
        let kind = scene.path(name).symlink_metadata().unwrap().file_type();
        for (command, option) in [
            (import.as_slice(), "--receipt"),
            (&import, "--state"),
            (&rotate, "-o"),
            (&["lock", &reference], "-o"),
        ] {
            let said = scene.bundle([command, &[option, name]].concat()).ends_with(2);
            assert!(said.stderr.contains(name), "{command:?} {option} {name}: {}", said.stderr);
            assert_eq!(scene.path(name).symlink_metadata().unwrap().file_type(), kind, "{name}");
        }
        if let Some(content) = content {
            assert_eq!(before(name), content, "{name}");
        }
    }
    assert!(to.client().contents().unwrap().is_empty(), "refused before anything is pushed");
    assert!(
        !scene.files().iter().any(|name| name.ends_with(".lock") && name != "bundle.lock"),
        "{:?}",
        scene.files()
    );
    // Our own files are replaced: twice the same, and an empty file that was made beforehand.
    std::fs::write(scene.path("receipt.json"), "").unwrap();
    for _ in 0..2 {
        scene.bundle([&import, ["--receipt", "receipt.json"].as_slice()].concat()).succeeds();
        scene.bundle([rotate.as_slice(), &["-o", "next.json"]].concat()).succeeds();
        scene.bundle(["lock", &reference, "-o", "app.lock"]).succeeds();
    }
}

#[test]
fn a_job_leaves_files_alone_that_are_not_its_status() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 10_000)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let host = scene.source.host();
    let wanted = format!("name: s\nprojects:\n  cache:\n    images: [\"{host}/team/app:1\"]\n");
    std::fs::write(scene.path("bundle.yaml"), wanted).unwrap();
    std::fs::write(scene.path("notes.txt"), "mine").unwrap();
    scene.shell("mkdir out back exp").succeeds();
    for what in ["status: notes.txt", "metrics: notes.txt", "status: /dev/null"] {
        let text = format!(
            "export:\n  file: bundle.yaml\n  key: key\n  outbox: out\n  receipts: back\n  receiptTrust: [key.pub]\n  state: exp\n  {what}\n"
        );
        std::fs::write(scene.path("sync.yaml"), text).unwrap();
        scene.bundle(["sync", "export", "--config", "sync.yaml"]).ends_with(2).says("left as it is");
        assert_eq!(std::fs::read_to_string(scene.path("notes.txt")).unwrap(), "mine");
    }
}

#[test]
fn a_bundle_is_written_through_no_link_and_by_one_run_at_a_time() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 10_000)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    let reference = format!("{}/team/app:1", proxy.host());
    let create = |output: &str| ["create", &reference, "--key", "key", "-o", output].map(str::to_owned);
    // A link to what is there, one to nothing, and one in the place of what a run writes to meanwhile.
    std::fs::write(scene.path("mine.txt"), "mine").unwrap();
    scene
        .shell("ln -s mine.txt b.tar && ln -s nothing.tar c.tar && ln -s mine.txt .d.tar.partial")
        .succeeds();
    for output in ["b.tar", "c.tar", "d.tar"] {
        let ran = scene.bundle(create(output));
        assert_ne!(ran.code, Some(0), "{output}: {}", ran.stdout);
        assert_eq!(std::fs::read_to_string(scene.path("mine.txt")).unwrap(), "mine", "{output}");
    }
    assert!(!scene.path("nothing.tar").exists());
    // One run waits for the registry; the other ends at once and leaves the first one's file alone.
    proxy.add(Rule::new(Matcher::new("GET", "/blobs/"), Fault::Hold));
    let mut first = scene.command(create("e.tar")).spawn().unwrap();
    proxy.wait_for_stall();
    let second = scene.bundle(create("e.tar"));
    assert_ne!(second.code, Some(0), "{}", second.stdout);
    assert!(second.stderr.contains("e.tar"), "{}", second.stderr);
    proxy.clear_rules();
    proxy.release();
    assert!(first.wait().unwrap().success());
    scene.bundle(["verify", "e.tar", "--trust", "key.pub"]).succeeds();
}
