//! The nightly jobs of both sides, and their bad days.
//! `Nights` is both sides with their directories; other files use it too.

use std::path::PathBuf;

use bundle_test_servers::{Check, DockerRegistry, Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Rule};
use serde_json::Value;

use crate::scene::{Ran, Scene};

/// Both sides, each with its directories below the scene's own.
pub(crate) struct Nights {
    pub(crate) scene: Scene,
    pub(crate) target: DockerRegistry,
}

impl Nights {
    pub(crate) fn new(export: &str, import: &str) -> Self {
        let scene = Scene::empty();
        let target = DockerRegistry::start().unwrap();
        scene.bundle(["key", "generate", "key-site"]).succeeds();
        let nights = Self { scene, target };
        nights.configure(export, import);
        nights.want(&["a", "b"]);
        nights
    }

    /// Writes sync.yaml, with more lines for each side.
    pub(crate) fn configure(&self, export: &str, import: &str) {
        let text = format!(
            "export:\n  file: bundle.yaml\n  key: key\n  outbox: out\n  receipts: back\n  receiptTrust: [key-site.pub]\n  \
             state: state-a\n  status: export.json\n  metrics: export.prom\n{export}\
             import:\n  inbox: in\n  to: {}\n  trust: key.pub\n  receipts: receipts\n  receiptKey: key-site\n  site: plant 7\n  \
             state: state-b\n  settleSeconds: 0\n  status: import.json\n  metrics: import.prom\n{import}",
            self.target.host()
        );
        std::fs::write(self.scene.path("sync.yaml"), text).unwrap();
    }

    /// Writes a bundle.yaml with these images.
    pub(crate) fn want(&self, names: &[&str]) {
        let host = self.scene.source.host();
        let images: String = names.iter().map(|name| format!("    - {host}/team/{name}:1\n")).collect();
        let text = format!("name: s\nprojects:\n  cache:\n    images:\n{images}");
        std::fs::write(self.scene.path("bundle.yaml"), text).unwrap();
    }

    pub(crate) fn push(&self, name: &str, seed: u64) {
        let image = ImageSpec::oci()
            .layer(LayerSpec::new(1, 400_000).uncompressed())
            .layer(LayerSpec::new(seed, 20_000))
            .build();
        self.scene.source.client().push(&format!("team/{name}"), "1", &image).unwrap();
    }

    pub(crate) fn export(&self, more: &[&str]) -> Ran {
        self.scene.bundle(["sync", "export"].iter().chain(more))
    }

    pub(crate) fn import(&self) -> Ran {
        self.scene.bundle(["sync", "import"])
    }

    /// The visible files of a directory, sorted.
    pub(crate) fn list(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.scene.path(directory)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    pub(crate) fn path(&self, directory: &str, name: &str) -> PathBuf {
        self.scene.path(directory).join(name)
    }

    /// Copies the outbox's newest bundle into the inbox.
    pub(crate) fn carry(&self) -> String {
        let name = self.list("out").pop().expect("there is a bundle to carry");
        self.put(&name, &name);
        name
    }

    pub(crate) fn put(&self, name: &str, as_name: &str) {
        std::fs::create_dir_all(self.scene.path("in")).unwrap();
        std::fs::copy(self.path("out", name), self.path("in", as_name)).unwrap();
    }

    /// Copies all receipts back.
    pub(crate) fn bring_back(&self) {
        for name in self.list("receipts") {
            std::fs::create_dir_all(self.scene.path("back")).unwrap();
            std::fs::copy(self.path("receipts", &name), self.path("back", &name)).unwrap();
        }
    }

    pub(crate) fn document(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.scene.path(name)).unwrap()).unwrap()
    }

    /// Whether both sides have the same under these names.
    pub(crate) fn agrees(&self, names: &[&str]) {
        let host = self.scene.source.host().replace(':', "_");
        let (source, target) = (self.scene.source.client(), self.target.client());
        for name in names {
            let repository = format!("cache/{host}/team/{name}");
            let wanted = source.manifest(&format!("team/{name}"), "1").unwrap().unwrap().digest;
            let found = target.manifest(&repository, "1").unwrap().map(|found| found.digest);
            assert_eq!(found, Some(wanted), "{name}");
            assert_eq!(target.check(&repository, "1", Check::Hash), []);
        }
    }
}

pub(crate) fn quiet(ran: Ran) {
    let ran = ran.succeeds();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn a_week_of_nights_carries_what_changed_and_is_quiet_otherwise() {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds().says("wrote bundle");
    // A bundle under way is not written again.
    quiet(nights.export(&[]));
    assert_eq!(nights.list("out").len(), 1);
    quiet(nights.import());
    let first = nights.carry();
    nights.import().succeeds().says("imported bundle s ");
    quiet(nights.import());
    nights.agrees(&["a", "b"]);
    assert_eq!(nights.list("in/done"), std::slice::from_ref(&first));
    let stem = first.trim_end_matches(".tar");
    assert_eq!(nights.list("receipts"), ["json", "json.sig", "short"].map(|end| format!("{stem}.{end}")));
    nights.bring_back();
    quiet(nights.export(&[]));
    for night in 0..3 {
        nights.push("a", 11 + night);
        nights.export(&[]).succeeds().says("wrote bundle");
        let delta = nights.carry();
        let size = std::fs::metadata(nights.path("out", &delta)).unwrap().len();
        assert!(size < 60_000, "a delta of {size} bytes");
        nights.import().succeeds();
        nights.agrees(&["a", "b"]);
        nights.bring_back();
    }
    // Those that arrived are removed, but for two; on both sides.
    nights.export(&[]).succeeds().says("removed ");
    assert_eq!((nights.list("out").len(), nights.list("in/done").len()), (2, 2));
    let (export, import) = (nights.document("export.json"), nights.document("import.json"));
    assert_eq!((&export["exitCode"], &import["exitCode"]), (&0.into(), &0.into()));
    assert_eq!(export["status"]["arrived"], import["status"]["streams"][0]["sequence"]);
    let metrics = std::fs::read_to_string(nights.scene.path("import.prom")).unwrap();
    let sequence = import["status"]["streams"][0]["sequence"].as_u64().unwrap();
    assert!(
        metrics.contains(&format!("bundle_import_bundle_sequence{{stream=\"s\"}} {sequence}\n")),
        "{metrics}"
    );
    assert!(metrics.contains("bundle_import_last_exit_code 0\n"));
}

#[test]
fn a_lost_stick_is_followed_by_one_that_has_all() {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().succeeds();
    nights.bring_back();
    // Two nights' bundles never arrive.
    for seed in [11, 12] {
        nights.push("a", seed);
        nights.export(&[]).succeeds();
    }
    nights.push("b", 21);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().succeeds();
    nights.agrees(&["a", "b"]);
    // The operator asks for it all again.
    nights.export(&["--again"]).succeeds();
    let again = nights.carry();
    assert!(std::fs::metadata(nights.path("out", &again)).unwrap().len() > 400_000);
    nights.import().succeeds();
}

#[test]
fn a_word_on_the_telephone_is_a_receipt_as_well() {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    let first = nights.carry();
    nights.import().succeeds();
    let short = std::fs::read_to_string(nights.path("receipts", &first.replace(".tar", ".short"))).unwrap();
    std::fs::create_dir_all(nights.scene.path("back")).unwrap();
    std::fs::write(nights.path("back", "calls.txt"), format!("# on Monday\n{}", short.to_lowercase()))
        .unwrap();
    quiet(nights.export(&[]));
    nights.push("a", 11);
    nights.export(&[]).succeeds();
    let delta = nights.carry();
    assert!(std::fs::metadata(nights.path("out", &delta)).unwrap().len() < 60_000);
    nights.import().succeeds();
    nights.agrees(&["a", "b"]);
    std::fs::write(nights.path("back", "wrong.txt"), short.replace("S:", "S:1")).unwrap();
    nights.export(&[]).ends_with(3).says("mistyped");
    assert_eq!(nights.list("back/refused"), ["wrong.txt", "wrong.txt.reason.txt"]);
    quiet(nights.export(&[]));
}

#[test]
fn a_receipt_that_nobody_signed_is_put_aside_and_nothing_is_left_out_because_of_it() {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    let first = nights.carry();
    nights.import().succeeds();
    nights.bring_back();
    let receipt = nights.path("back", &first.replace(".tar", ".json"));
    let text = std::fs::read_to_string(&receipt).unwrap();
    std::fs::write(&receipt, text.replace("plant 7", "plant 8")).unwrap();
    nights.push("a", 11);
    nights.export(&[]).ends_with(3).says("not signed by the site's key");
    let whole = nights.list("out").pop().unwrap();
    assert!(std::fs::metadata(nights.path("out", &whole)).unwrap().len() > 400_000);
    assert_eq!(nights.document("export.json")["exitCode"], 3);
}

#[test]
fn what_should_not_be_in_the_inbox_is_refused_with_its_reason() {
    let nights = Nights::new("", "  streams: [s]\n");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    let first = nights.carry();
    nights.import().succeeds();
    nights.push("a", 11);
    nights.export(&[]).succeeds();
    let second = nights.carry();
    nights.import().succeeds();
    let contents = nights.target.client().contents().unwrap();
    // Yesterday's bundle under today's name.
    nights.put(&first, "s-9999999999.tar");
    // One of another stream, one of a stranger, one with a number that is taken.
    let reference = format!("{}/team/a:1", nights.scene.source.host());
    nights.scene.bundle(["key", "generate", "key-other"]).succeeds();
    let number = second.trim_start_matches("s-").trim_end_matches(".tar");
    for (name, more) in [
        ("in/t.tar", ["--key", "key", "--stream", "t", "--sequence", "1"]),
        ("in/u.tar", ["--key", "key-other", "--stream", "s", "--sequence", "99"]),
        ("in/v.tar", ["--key", "key", "--stream", "s", "--sequence", number]),
    ] {
        nights.scene.bundle(["create", &reference, "-o", name].iter().copied().chain(more)).succeeds();
    }
    std::fs::write(nights.path("in", "notes.txt"), "no bundle").unwrap();
    let ran = nights
        .import()
        .ends_with(3)
        .says("s-9999999999.tar: bundle")
        .says("is older than")
        .says("t.tar: bundle is of the stream 't', which is not imported here")
        .says("v.tar: bundle")
        .says("another one with this number");
    assert!(ran.stderr.contains("u.tar: bundle is not signed by a trusted key"), "{}", ran.stderr);
    // The stranger's could be half a copy; the next time it is still the same.
    assert_eq!(nights.list("in"), ["notes.txt", "u.tar"]);
    nights.import().ends_with(3).says("u.tar: ");
    quiet(nights.import());
    assert_eq!(nights.list("in"), ["notes.txt"]);
    let refused = nights.list("in/refused");
    assert_eq!(refused.len(), 8, "{refused:?}");
    let reason = std::fs::read_to_string(nights.path("in/refused", "t.tar.reason.txt")).unwrap();
    assert_eq!(reason, "bundle is of the stream 't', which is not imported here\n");
    assert_eq!(nights.target.client().contents().unwrap(), contents);
    assert_eq!(nights.document("import.json")["status"]["refusedInAll"], 4);
    // The same bundle once more is no error.
    nights.put(&second, &second);
    nights.import().succeeds().says("was imported before");
}

#[test]
fn a_half_copied_bundle_waits_until_it_is_whole() {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    let name = nights.list("out").pop().unwrap();
    let whole = std::fs::read(nights.path("out", &name)).unwrap();
    std::fs::create_dir_all(nights.scene.path("in")).unwrap();
    for length in [0, 300, 5_000, whole.len() / 2, whole.len() - 1] {
        std::fs::write(nights.path("in", &name), &whole[..length]).unwrap();
        nights.import().ends_with(6).says(&name);
        assert!(nights.target.client().contents().unwrap().is_empty(), "{length}");
        assert_eq!(nights.list("in"), std::slice::from_ref(&name));
    }
    assert_eq!(nights.document("import.json")["status"]["waiting"][0][0], name.as_str());
    std::fs::write(nights.path("in", &name), &whole).unwrap();
    nights.import().succeeds();
    nights.agrees(&["a", "b"]);
    // One that no longer grows is not a copy under way, but a broken one.
    nights.push("a", 11);
    nights.export(&[]).succeeds();
    let name = nights.list("out").pop().unwrap();
    let whole = std::fs::read(nights.path("out", &name)).unwrap();
    std::fs::write(nights.path("in", &name), &whole[..whole.len() / 2]).unwrap();
    nights.import().ends_with(6);
    nights.import().ends_with(3).says("truncated");
    assert_eq!(nights.list("in/refused"), [name.clone(), format!("{name}.reason.txt")]);
    nights.put(&name, &name);
    nights.import().succeeds();
}

#[test]
fn a_delta_waits_for_its_base_and_a_second_signature_is_waited_for() {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    let first = nights.carry();
    nights.import().succeeds();
    nights.bring_back();
    nights.push("a", 11);
    nights.export(&[]).succeeds();
    let delta = nights.list("out").pop().unwrap();
    // Everything on the other side was deleted.
    let store = nights.target.store().join("docker/registry/v2/repositories/cache");
    std::fs::remove_dir_all(store).unwrap();
    nights.put(&delta, &delta);
    nights
        .import()
        .ends_with(6)
        .says("cannot be imported: blobs of its base")
        .says("import its base bundle first: s ");
    assert_eq!(nights.list("in"), std::slice::from_ref(&delta));
    // The base's number is taken already, by itself: it may come again.
    nights.put(&first, &first);
    nights.import().succeeds();
    nights.agrees(&["a", "b"]);

    nights.scene.bundle(["key", "generate", "key-second"]).succeeds();
    let trust = "signatures: 2\nkeys:\n- {name: a, file: key.pub, projects: ['*']}\n- {name: b, file: key-second.pub, projects: ['*']}\n";
    std::fs::write(nights.scene.path("trust.yaml"), trust).unwrap();
    let yaml = std::fs::read_to_string(nights.scene.path("sync.yaml")).unwrap();
    std::fs::write(nights.scene.path("sync.yaml"), yaml.replace("trust: key.pub", "trust: trust.yaml"))
        .unwrap();
    nights.push("a", 12);
    nights.export(&[]).succeeds();
    let name = nights.carry();
    nights.import().ends_with(6).says("2 signatures are required");
    nights.import().ends_with(6);
    let bundle = format!("in/{name}");
    nights.scene.bundle(["sign", &bundle, "--key", "key-second", "--trust", "key.pub"]).succeeds();
    nights.import().succeeds();
    assert!(nights.list("in").is_empty() && nights.list("in/done").iter().any(|name| name.ends_with(".sig")));
}

#[test]
fn a_registry_that_is_down_leaves_everything_for_the_next_run() {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    let first = nights.carry();
    nights.push("a", 11);
    nights.export(&[]).succeeds();
    let second = nights.carry();
    let proxy = FaultProxy::start(nights.target.host()).unwrap();
    let yaml = std::fs::read_to_string(nights.scene.path("sync.yaml")).unwrap();
    std::fs::write(nights.scene.path("sync.yaml"), yaml.replace(nights.target.host(), proxy.host())).unwrap();
    proxy.add(Rule::new(Matcher::new("PUT", "/blobs/uploads/"), Fault::status(503)));
    let import = || nights.scene.bundle(["sync", "import", "--retries", "0"]);
    import().ends_with(4).says(&first);
    assert_eq!(nights.list("in"), [first.clone(), second.clone()]);
    assert_eq!(nights.document("import.json")["exitCode"], 4);
    proxy.clear_rules();
    import().succeeds();
    assert_eq!(nights.list("in/done"), [first, second]);
    nights.agrees(&["a", "b"]);
}

#[test]
fn volumes_wait_for_each_other_and_leave_together() {
    let nights = Nights::new("  volumeSize: 128KiB\n", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    quiet(nights.export(&[]));
    let files = nights.list("out");
    assert!(files.len() > 7, "{files:?}");
    let volumes: Vec<&String> = files.iter().filter(|name| name.contains("-of-")).collect();
    for name in files.iter().filter(|name| *name != volumes[1]) {
        nights.put(name, name);
    }
    nights.import().ends_with(6).says("is missing");
    nights.import().ends_with(6);
    nights.put(volumes[1], volumes[1]);
    nights.import().succeeds();
    assert_eq!(nights.list("in/done"), files);
    nights.agrees(&["a", "b"]);
    // Cut short, it is named.
    nights.push("a", 11);
    nights.export(&[]).succeeds();
    let files: Vec<String> = nights.list("out").into_iter().filter(|name| !files.contains(name)).collect();
    files.iter().for_each(|name| nights.put(name, name));
    let volume = files.iter().find(|name| name.contains(".002-of-")).unwrap();
    std::fs::write(nights.path("in", volume), "short").unwrap();
    nights.import().ends_with(6).says(volume);
    nights.import().ends_with(3).says(volume);
    assert!(nights.list("in").is_empty());
    // The metrics collector's file is never half written, and has the refusal.
    let metrics = std::fs::read_to_string(nights.scene.path("import.prom")).unwrap();
    assert!(metrics.contains("bundle_import_refused_bundles_total 1\n"), "{metrics}");
}

#[test]
fn what_a_job_remembers_can_be_lost() {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    let forget = || nights.scene.shell("rm -rf state-a state-b").succeeds();
    forget();
    // The outbox knows what is under way, and the registry what was accepted.
    quiet(nights.export(&[]));
    let first = nights.carry();
    nights.import().succeeds();
    nights.push("a", 11);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().succeeds();
    forget();
    nights.put(&first, "again.tar");
    nights.import().ends_with(8).says("is older than");
    nights.scene.shell("mkdir -p state-a state-b && echo '{\"state' | tee state-a/export.json state-b/import.json > state-b/state.json").succeeds();
    quiet(nights.export(&[]));
    nights.put(&first, "again.tar");
    nights.import().ends_with(8).says("is older than");
    nights.bring_back();
    quiet(nights.export(&[]));
    nights.agrees(&["a", "b"]);
}

#[test]
fn two_runs_at_once_do_not_get_into_each_others_way() {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    let pair = |arguments: [&str; 2]| {
        let spawn = || {
            let mut command = nights.scene.command(arguments);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        };
        let both = [spawn(), spawn()];
        both.map(|child| Ran::from(child.wait_with_output().unwrap()).succeeds())
    };
    pair(["sync", "export"]);
    assert_eq!(nights.list("out").len(), 1);
    nights.carry();
    pair(["sync", "import"]);
    nights.agrees(&["a", "b"]);
    assert_eq!((nights.list("in").len(), nights.list("in/done").len()), (0, 1));
}

#[test]
fn what_may_still_be_copied_is_not_refused_within_a_minute() {
    let nights = Nights::new("", "");
    let yaml = std::fs::read_to_string(nights.scene.path("sync.yaml")).unwrap();
    std::fs::write(nights.scene.path("sync.yaml"), yaml.replace("  settleSeconds: 0\n", "")).unwrap();
    std::fs::create_dir_all(nights.scene.path("in")).unwrap();
    std::fs::write(nights.path("in", "a.tar"), "half").unwrap();
    for _ in 0..3 {
        nights.import().ends_with(6).says("a.tar: this is not a bundle");
    }
    assert_eq!(nights.list("in"), ["a.tar"]);
}
