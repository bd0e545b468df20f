//! `bundle serve --follow`: what comes into a directory is served, and what goes is not, while clients pull.
//! Each step is a file and a SIGHUP; the line that ends the look is waited for, so that nothing depends on time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bundle_format::{Lent, Timestamp};
use bundle_importer::Bundle;
use bundle_serve::{
    Asked, Change, Event, FileMedium, Follower, Limits, Observer, Opener, Source, Store, Why,
};
use bundle_test_servers::{Check, ImageSpec, LayerSpec, sha256};
use bundle_trust::{Effective, StoreLocation};

use crate::scene::Scene;
use crate::serve::served::Served;

/// A scene with bundles of one stream in its own directory, and the empty directory `done`.
fn scene() -> Scene {
    let scene = Scene::empty();
    scene.shell("mkdir done").succeeds();
    scene
}

/// Makes a bundle of one image, `team/NAME:1`, with a layer of so many bytes.
fn make(scene: &Scene, name: &str, size: u64, more: &[&str]) -> bundle_test_servers::Manifest {
    let seed = u64::from(name.bytes().next().unwrap());
    let layer = LayerSpec::new(seed, size).uncompressed();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 50_000).uncompressed()).layer(layer).build();
    scene.source.client().push(&format!("team/{name}"), "1", &image).unwrap();
    let reference = format!("{}/team/{name}:1", scene.source.host());
    let file = format!("{name}.tar");
    let arguments = [&["create", &reference, "--key", "key", "--stream", "s", "-o", &file], more].concat();
    scene.bundle(arguments).succeeds();
    image
}

impl Served {
    /// Asks it to look, and gives what it says of it.
    pub(crate) fn look(&mut self) -> String {
        let id = self.id().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
        self.looked()
    }

    /// Its output up to the end of the next scan.
    fn looked(&mut self) -> String {
        let mut said = String::new();
        while !said.lines().last().is_some_and(|line| line.starts_with("now serving")) {
            let line = self.says();
            assert!(!line.is_empty(), "it ended: {said}");
            said.push_str(&line);
        }
        said
    }

    /// The status of a manifest.
    fn has(&self, name: &str) -> bool {
        match self.client().get(&format!("/v2/team/{name}/manifests/1")).unwrap().status {
            200 => true,
            404 => false,
            other => panic!("{other}"),
        }
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.client().get("/metrics").unwrap().text();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

const FOLLOW: [&str; 4] = ["--follow", "done", "--trust", "key.pub"];

#[test]
fn bundles_come_and_go_without_a_restart_and_what_was_proven_stays_so() {
    let scene = scene();
    for name in ["a", "b"] {
        make(&scene, name, 300_000, &[]);
    }
    let mut served = Served::with(&scene, &FOLLOW);
    assert!(served.greeting.contains("serving 0 blobs"), "{}", served.greeting);
    assert_eq!(served.client().get("/v2/").unwrap().status, 200);
    scene.shell("cp a.tar done/").succeeds();
    let said = served.look();
    assert!(said.contains("done/a.tar: 1 artifact, stream s"), "{said}");
    assert!(said.contains("now serving 1 bundle, 4 blobs"), "{said}");
    assert!(served.has("a") && !served.has("b"));
    assert_eq!(served.client().check_complete(Check::Hash).unwrap(), []);
    let proven = served.metric("bundle_serve_proven_total");
    assert_eq!(proven, 4);
    scene.shell("mv b.tar done/").succeeds();
    let said = served.look();
    assert!(said.contains("done/b.tar") && !said.contains("done/a.tar"), "only what changed is told: {said}");
    assert!(served.has("a") && served.has("b"));
    // Nothing of the first bundle is hashed again: of the second, its own layer, config and manifest are, and the
    // layer of both is the first one's.
    assert_eq!(served.client().check_complete(Check::Hash).unwrap(), []);
    assert_eq!(served.metric("bundle_serve_proven_total"), proven + 3);
    // A look that finds nothing new replaces nothing.
    assert_eq!(served.look().lines().count(), 1);
    scene.shell("rm done/a.tar").succeeds();
    let said = served.look();
    assert!(said.contains("done/a.tar is gone, and no longer served"), "{said}");
    assert!(!served.has("a") && served.has("b"));
    assert_eq!(served.client().check_complete(Check::Hash).unwrap(), []);
    assert_eq!(served.stop().0, Some(0));
}

#[test]
fn a_directory_that_does_not_exist_yet_is_looked_for_and_looks_need_nobody_to_ask() {
    let scene = Scene::empty();
    make(&scene, "a", 1000, &[]);
    let mut served = Served::with(&scene, &["--follow", "inbox/done", "--trust", "key.pub", "--poll", "1s"]);
    assert!(served.greeting.contains("inbox/done: it does not exist yet"), "{}", served.greeting);
    scene.shell("mkdir -p inbox/new && cp a.tar inbox/new/ && mv inbox/new inbox/done").succeeds();
    let said = served.looked();
    assert!(said.contains("inbox/done/a.tar: 1 artifact"), "{said}");
    assert!(served.has("a"));
    // A directory that cannot be read any more takes nothing away.
    scene.shell("mv inbox/done inbox/elsewhere").succeeds();
    let said = served.look();
    assert!(said.contains("what was served still is") && said.contains("now serving 1 bundle"), "{said}");
    assert!(served.has("a"));
}

#[test]
fn a_delta_is_served_once_what_it_builds_on_is_there_and_volumes_once_all_are() {
    let scene = scene();
    make(&scene, "a", 300_000, &[]);
    // The second night has the first one's image as well, and carries what is new.
    let first = format!("{}/team/a:1", scene.source.host());
    make(&scene, "b", 300_000, &[&first, "--base", "a.tar", "--base-trust", "key.pub"]);
    make(&scene, "c", 300_000, &["--volume-size", "200KiB"]);
    let mut served = Served::with(&scene, &FOLLOW);
    scene.shell("cp b.tar done/ && cp c.tar.001* c.tar.head c.tar.volumes.json done/").succeeds();
    let said = served.look();
    assert!(
        said.contains(
            "warning: done/b.tar is not served: it is a delta, and 3 blobs that it builds on are not here"
        ),
        "{said}"
    );
    assert!(said.contains("warning: done/c.tar is not served: ") && said.contains("missing"), "{said}");
    assert!(!served.has("b") && !served.has("c"));
    // It is reported once.
    assert_eq!(served.look(), "now serving 0 bundles, 0 blobs, 0 B\n");
    scene.shell("cp a.tar c.tar.0* done/").succeeds();
    let said = served.look();
    assert!(said.contains("now serving 3 bundles"), "{said}");
    assert_eq!(served.client().check_complete(Check::Hash).unwrap(), []);
    assert!(served.has("a") && served.has("b") && served.has("c"));
    // Without its base it goes again, and says so.
    scene.shell("rm done/a.tar").succeeds();
    let said = served.look();
    assert!(said.contains("done/b.tar is no longer served: it is a delta"), "{said}");
    assert!(!served.has("b") && served.has("c"));
}

#[test]
fn what_is_bad_or_of_a_stranger_is_told_once_and_ends_nothing() {
    let scene = scene();
    make(&scene, "a", 300_000, &[]);
    scene.shell("cp a.tar done/").succeeds();
    let mut served = Served::with(&scene, &FOLLOW);
    scene.bundle(["key", "generate", "other"]).succeeds();
    let reference = format!("{}/team/a:1", scene.source.host());
    scene.bundle(["create", &reference, "--key", "other", "-o", "done/stranger.tar"]).succeeds();
    scene
        .shell(
            "echo junk > done/junk.tar; head -c 20000 a.tar > done/half.tar; mkdir done/directory.tar; \
             ln -s /etc/passwd done/link.tar; mkfifo done/pipe.tar; touch done/notes.txt; \
             printf '\\033[2J' > \"$(printf 'done/\\033[2J.tar')\"",
        )
        .succeeds();
    let said = served.look();
    for bad in [
        "done/junk.tar is not served: this is not a bundle",
        "done/stranger.tar is not served",
        "done/half.tar is not served",
    ] {
        assert!(said.contains(bad), "{said}");
    }
    assert_eq!(said.matches("warning").count(), 4, "{said}");
    assert!(!said.contains('\u{1b}') && !said.contains("link") && !said.contains("pipe"), "{said}");
    assert_eq!(served.look().lines().count(), 1, "it is told once");
    assert!(served.has("a"));
    // One that becomes good is served.
    scene.shell("cp a.tar done/half.tar").succeeds();
    assert!(served.look().contains("done/half.tar: 1 artifact"));
    // One whose file is replaced by something else is not.
    scene.shell("echo junk > new && mv new done/half.tar").succeeds();
    assert!(served.look().contains("done/half.tar is no longer served: this is not a bundle"));
    assert!(served.has("a"));
    assert_eq!(served.stop().0, Some(0));
}

#[test]
fn an_answer_that_began_before_a_bundle_went_is_finished() {
    let scene = scene();
    // More than the connection's buffers hold.
    let image = make(&scene, "a", 32 << 20, &[]);
    make(&scene, "b", 1000, &[]);
    scene.shell("mv a.tar done/").succeeds();
    let mut served = Served::with(&scene, &FOLLOW);
    let layer = &image.blobs.last().unwrap().digest;
    let mut slow = TcpStream::connect(served.host()).unwrap();
    write!(slow, "GET /v2/team/a/blobs/{layer} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut first = [0; 4096];
    slow.read_exact(&mut first).unwrap();
    scene.shell("rm done/a.tar; mv b.tar done/").succeeds();
    let said = served.look();
    assert!(said.contains("a.tar is gone") && said.contains("done/b.tar: 1 artifact"), "{said}");
    assert!(!served.has("a") && served.has("b"));
    let mut answer = first.to_vec();
    slow.read_to_end(&mut answer).unwrap();
    let start = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(&sha256(&answer[start..]), layer);
}

#[test]
fn trust_certificate_and_users_change_while_it_serves() {
    let scene = scene();
    make(&scene, "a", 1000, &[]);
    let trust = |revoked: bool| {
        let text =
            format!("keys:\n  - {{name: ops, file: key.pub, projects: [\"*\"], revoked: {revoked}}}\n");
        std::fs::write(scene.path("trust.yaml"), text).unwrap();
    };
    let certificate = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=seed \
                       -addext subjectAltName=IP:127.0.0.1 -keyout new.key -out new.crt 2>/dev/null && mv new.key seed.key && mv new.crt seed.crt";
    trust(false);
    scene
        .shell(&format!("cp a.tar done/ && {certificate} && htpasswd -cbB -C 4 users node one 2>/dev/null"))
        .succeeds();
    let mut served = Served::with(
        &scene,
        &[
            "--follow",
            "done",
            "--trust",
            "trust.yaml",
            "--trust-store",
            "none",
            "--tls-cert",
            "seed.crt",
            "--tls-key",
            "seed.key",
            "--auth",
            "users",
        ],
    );
    let host = served.host().to_owned();
    let pull = |certificate: &str, login: &str| {
        let url = format!("https://{host}/v2/team/a/manifests/1");
        let curl = format!("curl -s -o /dev/null -w '%{{http_code}}' --cacert {certificate} {login} {url}");
        scene.shell(&curl).stdout
    };
    assert_eq!(pull("seed.crt", "-u node:one"), "200");
    assert_eq!(pull("seed.crt", ""), "401");
    // A probe has no login, and learns nothing.
    let probe = scene.shell(&format!("curl -sf --cacert seed.crt https://{host}/healthz")).succeeds();
    assert_eq!(probe.stdout, "{\"status\":\"serving\"}");
    scene
        .shell(&format!(
            "cp seed.crt old.crt; {certificate} && htpasswd -cbB -C 4 users node two 2>/dev/null"
        ))
        .succeeds();
    served.look();
    assert_eq!(pull("old.crt", "-u node:two"), "000", "the old certificate is not shown any more");
    assert_eq!(pull("seed.crt", "-u node:one"), "401");
    assert_eq!(pull("seed.crt", "-u node:two"), "200");
    // Files that cannot be used change nothing.
    scene
        .shell("cp users good; cp seed.crt shown.crt; echo broken > users; echo broken > seed.key")
        .succeeds();
    let said = served.look();
    assert_eq!(said.matches("the one before still counts").count(), 2, "{said}");
    assert_eq!(pull("seed.crt", "-u node:two"), "200");
    // Nor do they hang the looks if they become something that never ends: a key is still revoked afterwards.
    scene.shell("rm users seed.key seed.crt; mkfifo users seed.key seed.crt").succeeds();
    let said = served.look();
    assert_eq!(said.matches("it is not a regular file; the one before still counts").count(), 2, "{said}");
    scene.shell("rm users seed.crt; cp good users; cp shown.crt seed.crt").succeeds();
    // A key that is revoked takes its bundles with it.
    trust(true);
    let said = served.look();
    assert!(
        said.contains("done/a.tar is no longer served: bundle is signed by the key 'ops', which is revoked"),
        "{said}"
    );
    assert_eq!(pull("seed.crt", "-u node:two"), "404");
    trust(false);
    assert!(served.look().contains("done/a.tar: 1 artifact"));
    assert_eq!(pull("seed.crt", "-u node:two"), "200");
    std::fs::write(scene.path("trust.yaml"), "keys: 1\n").unwrap();
    let said = served.look();
    assert!(said.contains("those are trusted who were before"), "{said}");
    assert_eq!(pull("seed.crt", "-u node:two"), "200");
}

/// Opens whatever the scene's key signed. The clock is the test's, for nothing waits here.
struct Signed(Effective, Arc<AtomicI64>);

impl Signed {
    fn by_key_of(scene: &Scene) -> Self {
        let policy = Effective::load(Some(&scene.path("key.pub")), &StoreLocation::Waived).unwrap();
        Self(policy, Arc::new(AtomicI64::new(Timestamp::now().unix())))
    }
}

fn unix(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().unix()
}

impl Opener for Signed {
    fn refresh(&mut self) -> Result<bool, String> {
        Ok(false)
    }

    fn open(&self, path: &Path) -> Result<Source, String> {
        let bundle = Bundle::open_arrived(path, &self.0, &bundle_format::Limits::V1)
            .map_err(|error| error.to_string())?;
        let until = bundle.statement().expires;
        if until.is_some_and(|until| self.now() > until) {
            return Err("bundle expired".to_owned());
        }
        let (archive, graph) = bundle.into_archive().unwrap();
        Ok(Source {
            archive: archive.share(),
            graph,
            medium: Box::new(FileMedium(path.to_owned(), Lent::default())),
            until,
        })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.1.load(Ordering::Relaxed)).unwrap()
    }
}

struct Deaf;

impl Observer for Deaf {
    fn event(&self, _: &Event<'_>) {}
}

#[test]
fn of_more_bundles_or_blobs_than_the_limits_allow_the_newest_are_served() {
    let scene = scene();
    for (name, hour) in [("a", 9), ("b", 10), ("c", 11)] {
        make(&scene, name, 1000, &["--created", &format!("2026-11-24T{hour:02}:00:00Z")]);
    }
    scene.shell("mv ?.tar done/").succeeds();
    // Each has four blobs, one of which is that of all.
    for (bundles, blobs, served) in [(3, 10, 3), (3, 9, 2), (2, 100, 2), (100, 4, 1), (100, 3, 0)] {
        let limits = Limits { bundles, blobs, ..Limits::default() };
        let store = Arc::new(Store::new(Vec::new(), limits, Arc::new(Deaf)).unwrap());
        let mut follower =
            Follower::new(store.clone(), Signed::by_key_of(&scene), Vec::new(), vec![scene.path("done")]);
        let look = follower.look(Asked::Yes);
        let too_many = |change: &&Change| matches!(change, Change::LeftOut { why: Why::TooMany, .. });
        let out = look.changes.iter().filter(too_many).count();
        assert_eq!((store.bundles().len(), out), (served, 3 - served), "{:?}", look.changes);
        let names: Vec<String> = store.bundles().into_iter().map(|bundle| bundle.name).collect();
        let newest = names.iter().rev().zip(["c.tar", "b.tar", "a.tar"]);
        assert!(newest.into_iter().all(|(name, newest)| name.ends_with(newest)), "{names:?}");
        assert!(follower.look(Asked::Yes).changes.is_empty(), "it is told once");
    }
}

#[test]
fn a_bundle_is_served_only_in_its_time_and_a_look_without_a_difference_says_nothing() {
    let scene = scene();
    // The machine's own clock is in none of these times.
    make(&scene, "a", 1000, &["--created", "2099-11-24T09:00:00Z", "--expires", "2d"]);
    let opener = Signed::by_key_of(&scene);
    let clock = opener.1.clone();
    let store = Arc::new(Store::new(Vec::new(), Limits::default(), Arc::new(Deaf)).unwrap());
    let mut follower = Follower::new(store.clone(), opener, Vec::new(), vec![scene.path("done")]);
    let mut look = |asked, now: &str| {
        clock.store(unix(now), Ordering::Relaxed);
        let look = follower.look(asked);
        (look.changes, look.replaced, store.bundles().len())
    };
    // Nothing to serve is nothing to say, at each look.
    for _ in 0..2 {
        assert!(
            matches!(&look(Asked::No, "2099-11-20T09:00:00Z"), (changes, false, 0) if changes.is_empty())
        );
    }
    scene.shell("mv a.tar done/").succeeds();
    let (changes, replaced, served) = look(Asked::No, "2099-11-23T08:59:59Z");
    let future = Why::Future("2099-11-24T09:00:00Z".parse().unwrap());
    assert!(
        matches!(&changes[..], [Change::LeftOut { why, withdrawn: false, .. }] if *why == future),
        "{changes:?}"
    );
    assert!(!replaced && served == 0);
    // A day ahead is not the future: clocks differ.
    let (changes, replaced, served) = look(Asked::No, "2099-11-23T09:00:00Z");
    assert!(matches!(&changes[..], [Change::Served(_)]) && replaced && served == 1, "{changes:?}");
    // A signature beside it changes nothing that is served.
    scene.shell("echo junk > done/a.tar.0123456789abcdef.sig").succeeds();
    assert!(matches!(&look(Asked::No, "2099-11-26T09:00:00Z"), (changes, false, 1) if changes.is_empty()));
    let (changes, replaced, served) = look(Asked::No, "2099-11-26T09:00:01Z");
    assert!(matches!(&changes[..], [Change::LeftOut { withdrawn: true, .. }]), "{changes:?}");
    assert!(replaced && served == 0);
}

#[test]
fn a_bundle_in_place_of_another_is_named_and_an_earlier_one_of_the_stream_is_a_warning() {
    let scene = scene();
    make(&scene, "a", 1000, &["--sequence", "1"]);
    make(&scene, "b", 1000, &["--sequence", "2"]);
    scene.shell("cp b.tar done/x.tar").succeeds();
    let mut served = Served::with(&scene, &FOLLOW);
    assert!(served.has("b") && !served.has("a"));
    scene.shell("cp a.tar new && mv new done/x.tar").succeeds();
    let said = served.look();
    assert!(said.contains("warning: done/x.tar: 1 artifact, stream s, sequence 1"), "{said}");
    assert!(said.contains("in place of the later sequence 2 of stream s"), "{said}");
    assert!(served.has("a") && !served.has("b"));
    scene.shell("cp b.tar new && mv new done/x.tar").succeeds();
    let said = served.look();
    assert!(said.contains("done/x.tar: 1 artifact") && said.contains("in place of sequence 1"), "{said}");
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn junk_beside_bundles_withdraws_none_and_one_from_the_future_is_a_matter_of_the_user() {
    let scene = scene();
    make(&scene, "a", 1000, &[]);
    make(&scene, "z", 1000, &["--created", "2999-01-01T00:00:00Z"]);
    scene.shell("cp a.tar done/").succeeds();
    let mut served = Served::with(&scene, &FOLLOW);
    scene.shell("cd done && seq -f 'junk-%g.tar' 2000 | xargs touch && cp ../z.tar .").succeeds();
    let said = served.look();
    assert!(!said.contains("gone") && said.contains("now serving 1 bundle,"), "{said}");
    assert!(served.has("a"));
    scene.shell("rm done/junk*").succeeds();
    // It may have been among the first that were looked at.
    let said = said + &served.look();
    let future = "more than a day ahead of this machine's clock";
    assert_eq!(said.matches(future).count(), 1, "{said}");
    assert!(!served.has("z"));
    drop(served);
    let arguments = ["serve", "z.tar", "--trust", "key.pub", "--listen", "127.0.0.1:0"];
    scene.bundle(arguments).ends_with(5).says(future);
    let served = Served::with(&scene, &[&FOLLOW[..], &["--allow-future"]].concat());
    assert!(served.has("z") && served.has("a"));
}

#[test]
fn a_directory_as_a_file_is_a_mistake_that_says_what_to_do() {
    let scene = scene();
    scene
        .bundle(["serve", "done", "--trust", "key.pub", "--listen", "127.0.0.1:0"])
        .ends_with(2)
        .says("--follow DIR");
    scene.bundle(["serve", "--trust", "key.pub"]).ends_with(2);
}

#[test]
fn many_bundles_that_come_and_go_take_less_than_64_mib() {
    let scene = scene();
    let host = scene.source.host();
    let references: Vec<String> = (0..40)
        .map(|number| {
            let image = ImageSpec::oci().layer(LayerSpec::new(number, 2_000)).build();
            let name = format!("team/many-{number}");
            scene.source.client().push(&name, "1", &image).unwrap();
            format!("{host}/{name}:1")
        })
        .collect();
    for night in 1..=20 {
        let sequence = night.to_string();
        let file = format!("night-{night}.tar");
        let fixed = ["--key", "key", "--stream", "s", "--sequence", &sequence, "-o", &file];
        let create: Vec<&str> =
            ["create"].into_iter().chain(references.iter().map(String::as_str)).chain(fixed).collect();
        scene.bundle(create).succeeds();
    }
    let mut served = Served::with(&scene, &FOLLOW);
    for night in 1..=20 {
        scene.shell(&format!("mv night-{night}.tar done/")).succeeds();
        assert!(served.look().contains(&format!("now serving {night} bundle")));
        served.client().get("/v2/team/many-1/manifests/1").unwrap();
    }
    assert_eq!(served.client().check_complete(Check::Hash).unwrap(), []);
    scene.shell("rm done/night-?.tar").succeeds();
    assert!(served.look().contains("now serving 11 bundles"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap();
    assert!(peak >> 10 < 64, "{peak} kB");
}

#[test]
fn a_login_is_renewed_on_sighup_where_no_directory_is_followed() {
    let scene = scene();
    make(&scene, "a", 1_000, &[]);
    let login = |password: &str| {
        scene.shell(&format!("htpasswd -cbB -C 4 users node {password} 2>/dev/null")).succeeds();
    };
    login("one");
    let mut served = Served::with(&scene, &["a.tar", "--trust", "key.pub", "--auth", "users"]);
    let url = format!("http://{}/v2/team/a/manifests/1", served.host());
    let pull = |password: &str| {
        scene.shell(&format!("curl -s -o /dev/null -w '%{{http_code}}' -u node:{password} {url}")).stdout
    };
    assert_eq!(pull("one"), "200");
    login("two");
    let id = served.id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    assert!(served.says().contains("were looked at again"));
    assert_eq!((pull("one"), pull("two")), ("401".to_owned(), "200".to_owned()));
    assert_eq!(served.stop().0, Some(0));
}
