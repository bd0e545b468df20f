//! Ctrl-C and SIGTERM in the middle: the program keeps what it has, says how to go on, and ends with 130 or 143.
//! A proxy holds transfers at a byte until the test lets them go, and counts: nothing is fetched twice.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use bundle_format::Limits;
use bundle_handout::{Choice, NamesFor, extract_archive, extract_layout};
use bundle_importer::Bundle;
use bundle_test_servers::{
    Check, DockerRegistry, Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Response, Rule,
};
use bundle_trust::{Effective, StoreLocation};

use crate::scene::{Ran, Scene};
use crate::sync::jobs::Nights;

/// A layer large enough that a journal which notes every so many bytes would lose some.
const LARGE: u64 = 12 << 20;
/// Where the transfer stands still, in the middle of a batch.
const HELD: u64 = 7_654_321;

/// A program under way.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What it said so far.
    said: String,
}

impl Running {
    fn start(mut command: Command, stdin: Stdio) -> Self {
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, said: String::new() }
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Waits until it says a line.
    fn until(&mut self, wanted: impl Fn(&str) -> bool) {
        loop {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "it ended: {}", self.said);
            self.said.push_str(&line);
            if wanted(&line) {
                return;
            }
        }
    }

    /// Waits until so many bytes of the whole are left, as `--progress json` says.
    fn until_left(&mut self, bytes: u64) {
        self.until(|line| {
            let Ok(value) = serde_json::from_str::<serde_json::Value>(line) else { return false };
            let (done, all) = (&value["progress"]["bytesDone"], &value["progress"]["bytesTotal"]);
            all.as_u64().is_some_and(|all| all - done.as_u64().unwrap() == bytes)
        });
    }

    fn ends(mut self) -> Ran {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut self.said).unwrap();
        Ran { code: self.child.wait().unwrap().code(), stdout, stderr: self.said }
    }
}

fn with_large_image() -> (Scene, FaultProxy) {
    let scene = Scene::empty();
    let layer = LayerSpec::new(1, LARGE).uncompressed().build();
    let image = ImageSpec::oci().layer(layer).layer(LayerSpec::new(2, 50_000)).build();
    scene.source.client().push("team/big", "1", &image).unwrap();
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    (scene, proxy)
}

/// Holds the large layer at a byte.
fn hold(proxy: &FaultProxy, at: u64) {
    let first = Matcher::new("GET", "/blobs/").and(|head| head.headers.get("range").is_none());
    proxy.add(Rule::new(first, Fault::StallAfter(at)));
}

fn create(proxy: &FaultProxy, more: &[&str]) -> Vec<String> {
    let image = format!("{}/team/big:1", proxy.host());
    let mut arguments = vec!["create".to_owned(), image, "--key".to_owned(), "key".to_owned()];
    arguments.extend(more.iter().map(|&argument| argument.to_owned()));
    arguments
}

/// The bytes of layers that were sent. Configs are looked into anew by each run.
fn layer_bytes(proxy: &FaultProxy) -> BTreeMap<String, u64> {
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    for request in proxy.requests() {
        if request.method == "GET" && request.path_and_query.contains("/blobs/") {
            *sent.entry(request.path_and_query).or_default() += request.response_body_bytes;
        }
    }
    sent.retain(|_, bytes| *bytes > 10_000);
    sent
}

#[test]
fn create_interrupted_in_the_middle_of_a_blob_fetches_no_byte_of_it_again() {
    let (scene, proxy) = with_large_image();
    scene.bundle(create(&proxy, &["-o", "whole.tar"])).succeeds();
    let whole = layer_bytes(&proxy);
    assert!(whole.values().sum::<u64>() > LARGE, "{whole:?}");
    let (file, volumes) = (&["-o", "b.tar"][..], &["-o", "v.tar", "--volume-size", "4MiB"][..]);
    let hup = &["-o", "h.tar"][..];
    let signals =
        [("-INT", "SIGINT", 130, file), ("-TERM", "SIGTERM", 143, volumes), ("-HUP", "SIGHUP", 129, hup)];
    for (signal, name, code, shape) in signals {
        proxy.clear();
        proxy.clear_rules();
        hold(&proxy, HELD);
        let before = scene.files();
        let mut arguments = create(&proxy, shape);
        arguments.extend(["--progress".to_owned(), "json".to_owned()]);
        let mut running = Running::start(scene.command(&arguments), Stdio::null());
        proxy.wait_for_stall();
        let layer = whole.values().max().unwrap();
        running.until_left(layer - HELD);
        running.signal(signal);
        let ran = running.ends().ends_with(code);
        let last = ran.stderr.lines().last().unwrap();
        assert!(last.starts_with(&format!("interrupted by {name}: what was fetched is kept")), "{last}");
        let again = last.split_once("to go on: ").unwrap().1;
        assert!(scene.files().len() > before.len(), "nothing is kept");
        proxy.clear_rules();
        // The very line that it says.
        scene.shell(again).succeeds().says("resuming with the data that an earlier run fetched");
        assert_eq!(layer_bytes(&proxy), whole, "{signal} {shape:?}");
        scene.bundle(["verify", shape[1], "--trust", "key.pub"]).succeeds();
    }
}

#[test]
fn a_create_that_fails_at_one_blob_keeps_what_came_of_the_others() {
    let (scene, proxy) = with_large_image();
    scene.bundle(create(&proxy, &["-o", "whole.tar"])).succeeds();
    let whole = layer_bytes(&proxy);
    let small = whole.iter().min_by_key(|(_, bytes)| **bytes).unwrap().0.clone();
    proxy.clear();
    // The small one is refused when the test says so, and the large one stands still until then.
    let (refuse, refused) = std::sync::mpsc::channel::<()>();
    let refused = std::sync::Mutex::new(refused);
    proxy.answer_with(move |head| {
        (head.path_and_query == small).then(|| {
            // A second request is refused at once: nobody says anything any more.
            let _ = refused.lock().unwrap().recv();
            Response::error(403, "DENIED", "made up by the test")
        })
    });
    hold(&proxy, HELD);
    let mut arguments = create(&proxy, &["-o", "b.tar"]);
    arguments.extend(["--progress".to_owned(), "json".to_owned()]);
    let mut running = Running::start(scene.command(&arguments), Stdio::null());
    running.until_left(whole.values().sum::<u64>() - HELD);
    drop(refuse);
    let ran = running.ends();
    assert_ne!(ran.code, Some(0), "{}", ran.stderr);
    proxy.clear_rules();
    scene.bundle(create(&proxy, &["-o", "b.tar"])).succeeds();
    let (large, bytes) = whole.iter().max_by_key(|(_, bytes)| **bytes).unwrap();
    assert_eq!(layer_bytes(&proxy)[large], *bytes);
}

#[test]
fn what_cannot_go_on_says_so_and_leaves_no_file() {
    for output in ["-", "b.tar.zst"] {
        let (scene, proxy) = with_large_image();
        hold(&proxy, HELD);
        let before = scene.files();
        let mut running = Running::start(scene.command(create(&proxy, &["-o", output])), Stdio::null());
        proxy.wait_for_stall();
        running.signal("-INT");
        // Of the pipe, nobody reads more than it holds.
        let (mut child, mut said) = (running.child, std::mem::take(&mut running.said));
        running.stderr.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
        let last = said.lines().last().unwrap();
        assert!(last.contains("to start over: "), "{last}");
        assert_eq!(scene.files(), before, "{output}");
    }
}

#[test]
fn a_second_signal_ends_a_program_that_cannot_end_by_itself() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(2, 50_000)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    // A signing command that never ends: a pipe that nobody writes to.
    let command = "echo begun >&2; exec cat never";
    assert!(Command::new("mkfifo").arg(scene.path("never")).status().unwrap().success());
    let image = format!("{}/team/app:1", scene.source.host());
    let sign = ["create", &image, "--sign-command", command, "--public-key", "key.pub", "-o", "b.tar"];
    let mut running = Running::start(scene.command(sign), Stdio::null());
    running.until(|line| line == "begun\n");
    running.signal("-INT");
    running.signal("-TERM");
    let code = running.child.wait().unwrap().code();
    assert!([Some(130), Some(143)].contains(&code), "{code:?}");
    // Lets the command end.
    std::fs::write(scene.path("never"), "").unwrap();
}

#[test]
fn import_interrupted_in_the_middle_sets_no_tag_and_goes_on() {
    let (scene, proxy) = with_large_image();
    scene.bundle(create(&proxy, &["-o", "b.tar"])).succeeds();
    scene.bundle(create(&proxy, &["-o", "v.tar", "--volume-size", "4MiB"])).succeeds();
    for (bundle, pipe) in [("b.tar", false), ("v.tar", false), ("b.tar", true)] {
        let target = DockerRegistry::start().unwrap();
        let to = FaultProxy::start(target.host()).unwrap();
        let large = Matcher::any().and(|head| {
            let length = head.headers.get("content-length").and_then(|length| length.parse().ok());
            length.is_some_and(|length: u64| length > 1 << 20)
        });
        to.add(Rule::new(large, Fault::StallUploadAfter(1_000_000)));
        let name = if pipe { "-" } else { bundle };
        let arguments = ["import", name, "--to", to.host(), "--trust", "key.pub", "--state", "state.json"];
        let run = || {
            let stdin = match pipe {
                true => Stdio::from(std::fs::File::open(scene.path(bundle)).unwrap()),
                false => Stdio::null(),
            };
            Running::start(scene.command(arguments), stdin)
        };
        let running = run();
        to.wait_for_stall();
        running.signal("-TERM");
        let ran = running.ends().ends_with(143);
        let last = ran.stderr.lines().last().unwrap();
        assert!(last.starts_with("interrupted by SIGTERM: what ") && last.contains("to go on: "), "{last}");
        assert_eq!(target.client().check_complete(Check::Head).unwrap(), []);
        to.clear_rules();
        to.release();
        to.clear();
        run().ends().ends_with(0);
        assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
        // Of this run: what the first one had on the line may still be counted.
        let sent: u64 = to.requests().iter().map(|request| request.request_body_bytes).sum();
        assert!(sent < LARGE + 200_000, "{sent} bytes were sent again: {bundle} {pipe}");
    }
}

#[test]
fn verify_interrupted_changes_nothing() {
    let (scene, proxy) = with_large_image();
    scene.bundle(create(&proxy, &["-o", "b.tar"])).succeeds();
    let before = scene.files();
    // -q takes nothing away of why it ended.
    let verify = ["verify", "-", "--trust", "key.pub", "-q"];
    let mut running = Running::start(scene.command(verify), Stdio::piped());
    let bytes = std::fs::read(scene.path("b.tar")).unwrap();
    let mut pipe = running.child.stdin.take().unwrap();
    // More than a pipe holds: the program has read some of it, and waits for more.
    pipe.write_all(&bytes[..4 << 20]).unwrap();
    running.signal("-INT");
    let ran = running.ends().ends_with(130);
    assert_eq!(
        ran.stderr.lines().last().unwrap(),
        format!(
            "interrupted by SIGINT: nothing was changed; to run it again: {} verify - --trust key.pub -q",
            env!("CARGO_BIN_EXE_bundle")
        )
    );
    drop(pipe);
    assert_eq!(scene.files(), before);
}

#[test]
fn an_interruption_is_json_for_programs() {
    let (scene, proxy) = with_large_image();
    hold(&proxy, HELD);
    let running = Running::start(scene.command(create(&proxy, &["-o", "b.tar", "--json"])), Stdio::null());
    proxy.wait_for_stall();
    running.signal("-TERM");
    let ran = running.ends().ends_with(143);
    let error: serde_json::Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(
        (error["error"]["id"].as_str(), error["error"]["code"].as_u64()),
        (Some("interrupted"), Some(143))
    );
}

#[test]
fn an_interrupted_night_says_so_and_the_next_run_goes_on() {
    let nights = Nights::new("", "");
    nights.want(&["big"]);
    let layer = LayerSpec::new(1, LARGE).uncompressed().build();
    let size = layer.size;
    let source = nights.scene.source.client();
    source.push("team/big", "1", &ImageSpec::oci().layer(layer).build()).unwrap();
    let proxy = FaultProxy::start(nights.scene.source.host()).unwrap();
    hold(&proxy, HELD);
    let mirror = format!("{}={}", nights.scene.source.host(), proxy.host());
    let export = ["sync", "export", "--mirror", &mirror, "--progress", "json"];
    let mut running = Running::start(nights.scene.command(export), Stdio::null());
    running.until_left(size - HELD);
    running.signal("-TERM");
    running.ends().ends_with(143).says("to go on: ");
    let status = |file: &str| {
        let text = std::fs::read_to_string(nights.scene.path(file)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert_eq!(status("export.json")["exitCode"], 143, "{}", status("export.json"));
    proxy.clear_rules();
    nights.scene.bundle(export).succeeds().says("resuming with the data that an earlier run fetched");
    assert_eq!(layer_bytes(&proxy).into_values().collect::<Vec<_>>(), [size]);

    let bundle = nights.list("out").remove(0);
    std::fs::create_dir_all(nights.scene.path("in")).unwrap();
    std::fs::rename(nights.path("out", &bundle), nights.path("in", &bundle)).unwrap();
    let to = FaultProxy::start(nights.target.host()).unwrap();
    to.add(Rule::new(Matcher::path("/blobs/uploads/"), Fault::StallUploadAfter(1_000_000)));
    let config = std::fs::read_to_string(nights.scene.path("sync.yaml")).unwrap();
    std::fs::write(nights.scene.path("sync.yaml"), config.replace(nights.target.host(), to.host())).unwrap();
    let running = Running::start(nights.scene.command(["sync", "import"]), Stdio::null());
    to.wait_for_stall();
    running.signal("-TERM");
    running.ends().ends_with(143).says("to go on: ");
    assert_eq!(status("import.json")["exitCode"], 143, "{}", status("import.json"));
    assert_eq!(nights.list("in"), [bundle]);
    to.clear_rules();
    to.release();
    nights.import().succeeds();
    assert_eq!(nights.list("in"), [""; 0]);
    assert_eq!(nights.target.client().check_complete(Check::Hash).unwrap(), []);
}

#[test]
fn an_extract_that_is_asked_to_end_leaves_nothing() {
    let (scene, proxy) = with_large_image();
    scene.bundle(create(&proxy, &["-o", "b.tar"])).succeeds();
    let policy = Effective::load(Some(&scene.path("key.pub")), &StoreLocation::Waived).unwrap();
    let bundle = Bundle::open(&scene.path("b.tar"), &policy, &Limits::V1).unwrap();
    let choice = Choice::all(bundle.statement());
    let names = NamesFor { registry: None };
    let before = scene.files();
    // As the program does when a signal came, after some megabytes of the layer.
    let told = AtomicU64::new(0);
    let tell = |_, bytes| match told.fetch_add(bytes, Ordering::Relaxed) > 4 << 20 {
        true => Err(std::io::ErrorKind::Interrupted.into()),
        false => Ok(()),
    };
    let layout = extract_layout(&bundle, &choice, names, &scene.path("layout"), 2, &tell);
    assert!(layout.is_err() && told.load(Ordering::Relaxed) < LARGE);
    told.store(0, Ordering::Relaxed);
    assert!(extract_archive(&bundle, &choice, names, &scene.path("."), &tell).is_err());
    assert_eq!(scene.files(), before);
}
