//! Progress as people and programs see it: the program in a terminal of 80 and of 200 columns, whose screen is
//! read as text after each write. Asserts what is promised at any moment, never how long something takes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use bundle_test_servers::{DockerRegistry, Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Rule};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::scene::{Ran, Scene};

const ROWS: u16 = 24;
const LONG: &str =
    "platform/team/a-very-long-name-of-a-service-that-nobody-types/component-number-seven:2.31.0-rc.4";

/// What a terminal showed, and how the program in it ended.
struct Shown {
    /// The screen after each write, without repetitions.
    screens: Vec<vt100::Screen>,
    /// All that was written to it.
    written: String,
    code: Option<i32>,
}

impl Shown {
    /// All lines of all screens that are part of a display of progress.
    fn lines(&self) -> Vec<String> {
        let rows = |screen: &vt100::Screen| screen.rows(0, screen.size().1).collect::<Vec<_>>();
        let rows = self.screens.iter().flat_map(rows).map(|row| row.trim_end().to_owned());
        let mut lines: Vec<String> = rows.filter(|row| is_progress(row)).collect();
        lines.dedup();
        lines
    }
}

fn is_progress(line: &str) -> bool {
    ["resolving", "fetching", "importing", "verifying", "finishing", "tagging", "  "]
        .iter()
        .any(|start| line.starts_with(start))
}

/// Runs the program in a terminal of its own, to its end.
fn in_terminal(mut command: Command, columns: u16, kind: &str) -> Shown {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let terminal = File::from(terminal);
    command.env("TERM", kind).stdin(Stdio::null());
    command.stdout(terminal.try_clone().unwrap()).stderr(terminal);
    let mut child = command.spawn().unwrap();
    // It has the terminal, too, and with it the end would not be seen.
    drop(command);
    let mut parser = vt100::Parser::new(ROWS, columns, 0);
    let (mut screens, mut written) = (Vec::<vt100::Screen>::new(), Vec::new());
    let mut controller = File::from(controller);
    let mut buffer = vec![0; 64 << 10];
    // The end is an error (EIO): nobody has the terminal any more.
    while let Ok(length) = controller.read(&mut buffer) {
        if length == 0 {
            break;
        }
        parser.process(&buffer[..length]);
        written.extend_from_slice(&buffer[..length]);
        let screen = parser.screen().clone();
        if screens.last().is_none_or(|last| last.contents() != screen.contents()) {
            screens.push(screen);
        }
    }
    let written = String::from_utf8_lossy(&written).into_owned();
    Shown { screens, written, code: child.wait().unwrap().code() }
}

/// Images of Docker Hub, which a registry here stands in for.
fn scene(bytes: u64) -> (Scene, FaultProxy) {
    let scene = Scene::empty();
    let client = scene.source.client();
    let shared = LayerSpec::new(1, bytes / 4).uncompressed().build();
    for (seed, name) in [(2, "library/nginx:1.25"), (3, LONG), (4, "library/redis:7")] {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let own = LayerSpec::new(seed, bytes).uncompressed();
        client.push(repository, tag, &ImageSpec::oci().layer(shared.clone()).layer(own).build()).unwrap();
    }
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    (scene, proxy)
}

fn create(proxy: &FaultProxy, output: &str) -> Vec<String> {
    let mirror = format!("docker.io={}", proxy.host());
    [
        "create",
        "nginx:1.25",
        LONG,
        "redis:7",
        "--key",
        "key",
        "--no-referrers",
        "--mirror",
        &mirror,
        "-o",
        output,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The bytes of a text such as `12.4 MiB`.
fn bytes(number: &str, unit: &str) -> f64 {
    let power = ["B", "KiB", "MiB", "GiB"].iter().position(|name| *name == unit).unwrap();
    number.parse::<f64>().unwrap() * 1024_f64.powi(i32::try_from(power).unwrap())
}

/// What holds at any moment of any run.
fn keeps_its_promises(shown: &Shown, columns: u16) {
    for screen in &shown.screens {
        let rows: Vec<String> = screen.rows(0, columns).map(|row| row.trim_end().to_owned()).collect();
        let Some(head) = rows.iter().position(|row| is_progress(row) && !row.starts_with("  ")) else {
            continue;
        };
        let below = rows[head + 1..].iter().filter(|row| !row.is_empty());
        for row in std::iter::once(&rows[head]).chain(below.clone()) {
            // A line that fills its row may go on in the next.
            assert!(row.width() < usize::from(columns), "{row:?} at {columns}:\n{}", rows.join("\n"));
        }
        for row in below {
            assert!(
                row.starts_with("  "),
                "{row:?} goes on from the line before at {columns}:\n{}",
                rows.join("\n")
            );
        }
    }
    for line in shown.lines() {
        assert!(!line.contains("sha256"), "names a digest: {line}");
        assert!(!line.contains("y left") && !line.contains(" 0 B/s"), "is no prediction: {line}");
        let words: Vec<&str> = line.split_whitespace().collect();
        for part in words
            .windows(5)
            .filter(|part| part[2] == "of" && part[1].ends_with('B') && part[4].ends_with('B'))
        {
            let (done, all) = (bytes(part[0], part[1]), bytes(part[3], part[4]));
            assert!(done <= all, "more than the whole: {line}");
        }
        for part in words.windows(4).filter(|part| part[1] == "of" && part[3].starts_with("image")) {
            assert!(part[0].parse::<u64>().unwrap() <= part[2].parse().unwrap(), "{line}");
        }
    }
}

#[test]
fn a_slow_line_is_shown_with_names_counts_a_rate_and_an_end_at_80_and_at_200_columns() {
    let (scene, proxy) = scene(400_000);
    proxy.add(Rule::new(Matcher::new("GET", "/blobs/"), Fault::Rate(80_000)));
    let run = |columns: u16| {
        let arguments = create(&proxy, &format!("b{columns}.tar"));
        in_terminal(scene.command(arguments), columns, "xterm-256color")
    };
    let (narrow, wide) = std::thread::scope(|scope| {
        let narrow = scope.spawn(|| run(80));
        (narrow.join().unwrap(), run(200))
    });
    for (shown, columns) in [(&narrow, 80), (&wide, 200)] {
        assert_eq!(shown.code, Some(0), "{}", shown.written);
        keeps_its_promises(shown, columns);
        let lines = shown.lines();
        let all = lines.join("\n");
        assert!(lines.iter().any(|line| line.starts_with("  nginx:1.25 ")), "{all}");
        assert!(
            lines.iter().any(|line| line.starts_with("fetching") && line.contains("of 3 images")),
            "{all}"
        );
        assert!(lines.iter().any(|line| line.contains("/s") && line.contains(" left")), "{all}");
        // Bytes are counted as they come, not blob by blob.
        let counts: std::collections::BTreeSet<&str> =
            lines.iter().filter(|line| line.starts_with("fetching")).map(String::as_str).collect();
        assert!(counts.len() > 10, "{counts:#?}");
        // What is left on the screen are the result and the next step.
        let end = shown.screens.last().unwrap().contents();
        assert!(end.contains("3 artifacts") && end.contains("next: check it: bundle verify"), "{end}");
        assert!(!end.contains("fetching"), "{end}");
    }
    let long =
        |shown: &Shown| shown.lines().into_iter().filter(|line| line.contains("rc.4")).collect::<Vec<_>>();
    assert!(
        !long(&narrow).is_empty() && long(&narrow).iter().all(|line| line.contains('…')),
        "{:#?}",
        long(&narrow)
    );
    assert!(long(&wide).iter().all(|line| line.contains(LONG)), "{:#?}", long(&wide));
    assert!(wide.lines().iter().any(|line| line.contains("[##")), "{:#?}", wide.lines());
}

#[test]
fn at_full_speed_nothing_wraps_or_exceeds_the_whole_either() {
    let (scene, proxy) = scene(8 << 20);
    let target = DockerRegistry::start().unwrap();
    for columns in [80, 200, 20] {
        let name = format!("b{columns}.tar");
        for arguments in [
            create(&proxy, &name),
            ["verify", &name, "--trust", "key.pub"].map(str::to_owned).to_vec(),
            ["import", &name, "--to", target.host(), "--trust", "key.pub"].map(str::to_owned).to_vec(),
            ["extract", &name, "--to", &format!("x{columns}"), "--trust", "key.pub"]
                .map(str::to_owned)
                .to_vec(),
        ] {
            let shown = in_terminal(scene.command(arguments), columns, "xterm");
            assert_eq!(shown.code, Some(0), "{}", shown.written);
            keeps_its_promises(&shown, columns);
        }
    }
}

#[test]
fn a_terminal_without_a_cursor_gets_lines_and_nothing_has_colours() {
    let (scene, proxy) = scene(100_000);
    let dumb = in_terminal(scene.command(create(&proxy, "a.tar")), 80, "dumb");
    assert_eq!(dumb.code, Some(0), "{}", dumb.written);
    assert!(!dumb.written.contains('\u{1b}'), "{:?}", dumb.written);
    assert!(
        dumb.written.contains("fetching: ") && dumb.written.contains("3 of 3 images"),
        "{}",
        dumb.written
    );
    let mut command = scene.command(create(&proxy, "b.tar"));
    command.env("NO_COLOR", "1");
    let plain = in_terminal(command, 80, "xterm-256color");
    let coloured = plain.written.split("\u{1b}[").skip(1).any(|rest| {
        let end = rest.find(|character: char| character.is_ascii_alphabetic()).unwrap_or_default();
        rest[end..].starts_with('m')
    });
    assert!(!coloured, "{:?}", plain.written);
}

#[test]
fn progress_is_lines_or_nothing_as_asked() {
    let (scene, proxy) = scene(100_000);
    let run = |how: &str, output: &str| {
        let mut arguments = create(&proxy, output);
        arguments.extend(["--progress".to_owned(), how.to_owned()]);
        scene.bundle(arguments).succeeds()
    };
    let plain = run("plain", "a.tar");
    assert!(
        plain.stderr.lines().any(|line| line.starts_with("resolving: 3 of 3 images in ")),
        "{}",
        plain.stderr
    );
    assert!(plain.stderr.lines().any(|line| line.starts_with("fetching: ")), "{}", plain.stderr);
    plain.says(
        "next: check it: bundle verify a.tar --trust key.pub; carry a.tar across; there: bundle import",
    );
    assert_eq!(run("none", "b.tar").stderr, "");
    // Nobody looks, and it is soon done.
    assert_eq!(run("auto", "c.tar").stderr, "");
}

/// The progress objects on standard error, each of which is checked.
fn objects(ran: &Ran) -> Vec<Value> {
    let lines = ran.stderr.lines().filter(|line| line.starts_with('{'));
    let objects: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    for object in &objects {
        assert_eq!(object["version"], 1);
        let progress = &object["progress"];
        if let Some(all) = progress["bytesTotal"].as_u64() {
            let (done, present) =
                (progress["bytesDone"].as_u64().unwrap(), progress["bytesPresent"].as_u64().unwrap());
            assert!(done <= all && present <= done, "{progress}");
        }
        assert!(progress["imagesDone"].as_u64() <= progress["imagesTotal"].as_u64(), "{progress}");
    }
    objects
}

#[test]
fn programs_get_an_object_a_line_with_the_names_of_images_as_their_bytes_come() {
    let (scene, proxy) = scene(2 << 20);
    let large = Matcher::new("GET", "/blobs/").and(|head| head.headers.get("range").is_none());
    proxy.add(Rule::new(large, Fault::StallAfter(1_000_001)));
    let mut arguments = create(&proxy, "b.tar");
    arguments.extend(["--progress".to_owned(), "json".to_owned()]);
    let mut command = scene.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    // All three stand still at that byte, in the middle of what would be one batch.
    let held = loop {
        let mut line = String::new();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended: {said}");
        said.push_str(&line);
        let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
        let progress = value["progress"].clone();
        let all = progress["bytesTotal"].as_u64().unwrap_or_default();
        let left = all.saturating_sub(progress["bytesDone"].as_u64().unwrap());
        let own = 2 << 20;
        if all > 0 && left > 3 * (own - 1_000_001) && left < 3 * (own - 1_000_001) + 3 * 4096 {
            break progress;
        }
    };
    let names: Vec<&str> =
        held["current"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(
        names.contains(&"nginx:1.25") && names.contains(&LONG) && names.contains(&"redis:7"),
        "{names:?}"
    );
    assert_eq!((held["imagesDone"].as_u64(), held["imagesTotal"].as_u64()), (Some(0), Some(3)));
    proxy.release();
    stderr.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    let ran = Ran { code: Some(0), stdout: String::new(), stderr: said };
    let ended: Vec<Value> = objects(&ran)
        .into_iter()
        .map(|object| object["progress"].clone())
        .filter(|it| it["ended"] == true)
        .collect();
    let stages: Vec<&str> = ended.iter().map(|progress| progress["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["resolving", "fetching", "finishing"]);
    assert_eq!(ended[1]["bytesDone"], ended[1]["bytesTotal"]);
    assert_eq!(ended[1]["imagesDone"], 3);
}

#[test]
fn attempts_that_fail_are_taken_back_and_what_is_there_counts_as_such() {
    let (scene, proxy) = scene(3 << 20);
    // Each of the layers breaks once, and one has wrong bytes once.
    let first = || Matcher::new("GET", "/blobs/").and(|head| head.headers.get("range").is_none());
    proxy.add(Rule::new(first(), Fault::ResetAfter(1_000_000)).times(3));
    proxy.add(Rule::new(first(), Fault::WrongBytes { at: 100_000 }).once());
    let images =
        ["library/nginx:1.25", LONG, "library/redis:7"].map(|name| format!("{}/{name}", proxy.host()));
    let mut arguments = Scene::create_arguments(&images, "b.tar");
    arguments.extend(["--progress".to_owned(), "json".to_owned()]);
    let ran = scene.bundle(arguments).succeeds();
    let last = |ran: &Ran, stage: &str| {
        let mut all = objects(ran).into_iter().map(|object| object["progress"].clone());
        all.rfind(|progress| progress["stage"] == stage && progress["ended"] == true).unwrap()
    };
    let fetched = last(&ran, "fetching");
    assert_eq!(
        (&fetched["bytesDone"], &fetched["imagesDone"]),
        (&fetched["bytesTotal"], &3.into()),
        "{fetched}"
    );
    let target = DockerRegistry::start().unwrap();
    let to = FaultProxy::start(target.host()).unwrap();
    let large = Matcher::any().and(|head| {
        let length = head.headers.get("content-length").and_then(|length| length.parse().ok());
        length.is_some_and(|length: u64| length > 1 << 20)
    });
    to.add(Rule::new(large, Fault::ResetUploadAfter(900_000)).times(2));
    let import = ["import", "b.tar", "--to", to.host(), "--trust", "key.pub", "--progress", "json"];
    let sent = last(&scene.bundle(import).succeeds(), "importing");
    assert_eq!((&sent["bytesDone"], &sent["imagesDone"]), (&sent["bytesTotal"], &3.into()), "{sent}");
    // Under other names, all of it is in the registry already.
    let renamed = [format!("{}/library/nginx:1.25=>other/nginx:1.25", proxy.host())];
    let [renamed] = renamed;
    scene.bundle(["create", &renamed, "--key", "key", "--stream", "other", "-o", "c.tar"]).succeeds();
    let import = ["import", "c.tar", "--to", to.host(), "--trust", "key.pub", "--progress", "json"];
    let mounted = last(&scene.bundle(import).succeeds(), "importing");
    assert_eq!(mounted["bytesDone"], mounted["bytesTotal"], "{mounted}");
}
