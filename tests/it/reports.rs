//! The program's output for programs: reports with their version, and errors as one JSON object whose
//! identifier does not change.

use bundle_test_servers::ImageSpec;
use serde_json::Value;

use crate::scene::{Ran, Scene};

/// The error object that a failed command printed with `--json`.
#[track_caller]
fn error(ran: &Ran) -> Value {
    let line = ran.stderr.lines().rfind(|line| line.starts_with('{'));
    let report: Value = serde_json::from_str(line.unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: no error report in\n{}", ran.stderr));
    assert_eq!(report["version"], 1);
    let error = report["error"].clone();
    assert_eq!(error["code"].as_i64(), ran.code.map(i64::from), "{error}");
    assert!(!error["message"].as_str().unwrap().is_empty() && error["hints"].is_array(), "{error}");
    error
}

#[test]
fn an_error_is_json_with_an_identifier_whatever_went_wrong() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene.bundle(["key", "generate", "other"]).succeeds();
    let bytes = std::fs::read(scene.path("b.tar")).unwrap();
    std::fs::write(scene.path("cut.tar"), &bytes[..bytes.len() - 700_000]).unwrap();
    let mut damaged = bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(scene.path("damaged.tar"), &damaged).unwrap();
    let newer = String::from_utf8_lossy(&bytes).find("\"formatVersion\":1").unwrap() + 16;
    let mut future = bytes;
    future[newer] = b'2';
    std::fs::write(scene.path("future.tar"), &future).unwrap();
    let cases = [
        (2, "usage", "verify b.tar --no-such-option"),
        (2, "usage", "verify"),
        (2, "usage", "no-such-command"),
        (2, "file-unreadable", "verify absent.tar --trust key.pub"),
        (2, "no-trusted-key", "verify b.tar"),
        (2, "output-exists", "create HOST/team/multi:1 --key key -o b.tar"),
        (2, "key-invalid", "create HOST/team/multi:1 --key key.pub -o c.tar"),
        (3, "unknown-signer", "verify b.tar --trust other.pub"),
        (3, "unknown-signer", "import b.tar --trust other.pub --to 127.0.0.1:1"),
        (3, "unknown-signer", "verify future.tar --trust key.pub"),
        (3, "truncated", "verify cut.tar --trust key.pub"),
        (3, "damaged", "verify damaged.tar --trust key.pub"),
        (4, "not-found", "create HOST/team/absent:1 --key key -o c.tar"),
        (4, "unreachable", "import b.tar --trust key.pub --retries 0 --to 127.0.0.1:1"),
        (6, "incomplete", "images HOST/team/multi:1 --why nginx"),
    ];
    for (code, id, words) in cases {
        let words = words.replace("HOST", scene.source.host());
        let ran = scene.bundle(words.split(' ').chain(["--json"])).ends_with(code);
        assert_eq!(error(&ran)["id"], id, "{words}: {}", ran.stderr);
        // The option may stand before the command, too.
        let ran = scene.bundle(["--json"].into_iter().chain(words.split(' '))).ends_with(code);
        assert_eq!(error(&ran)["id"], id, "{words}: {}", ran.stderr);
        // Without the option, people read lines.
        let ran = scene.bundle(words.split(' ')).ends_with(code).says("error: ");
        assert!(!ran.stderr.lines().any(|line| line.starts_with('{')), "{words}: {}", ran.stderr);
    }
}

#[test]
fn stale_and_expired_bundles_have_identifiers_of_their_own() {
    let scene = Scene::empty();
    let client = scene.source.client();
    client.push("team/app", "1", &ImageSpec::oci().label("n", "1").build()).unwrap();
    let target = bundle_test_servers::DockerRegistry::start().unwrap();
    let reference = format!("{}/team/app:1", scene.source.host());
    let create = |output: &str, sequence: &str, more: &[&str]| {
        let words =
            ["create", &reference, "--key", "key", "--stream", "s", "--sequence", sequence, "-o", output];
        scene.bundle(words.into_iter().chain(more.iter().copied())).succeeds();
    };
    create("new.tar", "2", &[]);
    create("old.tar", "1", &["--platform", "linux/amd64"]);
    create("gone.tar", "3", &["--created", "2020-01-01T00:00:00Z", "--expires", "1d"]);
    let import = |file: &str| {
        scene.bundle(["import", file, "--to", target.host(), "--trust", "key.pub", "--state", "s", "--json"])
    };
    let report = import("new.tar").succeeds().json();
    assert_eq!((&report["reportVersion"], &report["pushed"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(error(&import("old.tar").ends_with(3))["id"], "stale");
    assert_eq!(error(&import("gone.tar").ends_with(3))["id"], "expired");
    let verify = scene.bundle(["verify", "gone.tar", "--trust", "key.pub", "--json"]).ends_with(3);
    assert_eq!(error(&verify)["id"], "expired");
}

#[test]
fn several_bundles_are_verified_at_once_and_one_that_is_wrong_hides_none() {
    let scene = Scene::with_images();
    scene.create("a.tar");
    scene.create("b.tar");
    std::fs::write(scene.path("c.tar"), b"no bundle").unwrap();
    let ran = scene.bundle(["verify", "a.tar", "b.tar", "--trust", "key.pub", "--json"]).succeeds();
    let report = ran.json();
    assert_eq!(report["trusted"], true);
    assert_eq!(report["bundles"].as_array().unwrap().len(), 2);
    let words = ["verify", "absent.tar", "a.tar", "c.tar", "b.tar", "--trust", "key.pub"];
    let ran = scene.bundle(words).says("a.tar is whole").says("b.tar is whole");
    assert!(
        ran.stderr.contains("absent.tar") && ran.stderr.contains("c.tar must not be used"),
        "{}",
        ran.stderr
    );
    let ran = scene.bundle(words.into_iter().chain(["--json"]));
    let report = ran.json();
    let trusted: Vec<bool> =
        report["bundles"].as_array().unwrap().iter().map(|each| each["trusted"].as_bool().unwrap()).collect();
    assert_eq!((report["trusted"].as_bool(), trusted), (Some(false), vec![true, false, true]));
}

#[test]
fn every_command_reports_with_a_version() {
    let scene = Scene::with_images();
    scene.create("a.tar");
    let image = format!("{}/team/multi:1", scene.source.host());
    let commands = [
        "key show key",
        "key generate new",
        "trust add key.pub --name ops",
        "trust list",
        "trust require 1",
        "create IMAGE --dry-run",
        "create IMAGE --key key -o b.tar",
        "lock IMAGE -o lock",
        "images IMAGE",
        "images IMAGE --why multi",
        "verify a.tar",
        "inspect a.tar",
        "diff a.tar b.tar --trust key.pub",
        "sign a.tar --key new",
        "extract a.tar --to layout",
        "mirror-config a.tar --for k3s --registry mirror.example -o nodes",
        "import a.tar --dry-run --to SOURCE --state s",
        "import a.tar --to SOURCE --state s --receipt r.json --receipt-key key",
        "receipt show r.json --trust key.pub",
        "receipt short r.json --trust key.pub",
        "trust rotate --key key --new new.pub --name next -o rotation",
        "trust accept rotation",
        "trust revoke ops",
    ];
    for words in commands {
        let words = words.replace("IMAGE", &image).replace("SOURCE", scene.source.host());
        let report = scene.bundle(words.split(' ').chain(["--json"])).succeeds().json();
        assert_eq!(report["reportVersion"], 1, "{words}: {report}");
    }
}

/// The system refuses threads to a user who has his share of processes (setrlimit(2), RLIMIT_NPROC). Root has
/// no limit, so the program runs as another user.
#[test]
fn a_thread_that_the_system_refuses_ends_the_program_with_a_message() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::with_images();
    scene.create("b.tar");
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    // Wherever the sources are, this place can be read by the other user.
    std::fs::copy(env!("CARGO_BIN_EXE_bundle"), scene.path("program")).unwrap();
    ["program", ".", "b.tar", "key.pub"].iter().for_each(|name| open(&scene.path(name)));
    let mut codes = std::collections::BTreeSet::new();
    for limit in [1, 2, 3, 4, 6, 10, 14, 18, 22, 40] {
        let ran = scene.shell(&format!(
            "setpriv --reuid=65533 --regid=65533 --clear-groups bash -c 'ulimit -u {limit} && \
             exec ./program verify b.tar --trust key.pub --trust-store none -j 16'"
        ));
        let code = ran.code;
        if code == Some(1) {
            let told = ran.ends_with(1).says("error: the system refuses another thread").says("hint: raise");
            assert!(!told.stderr.contains("RUST_BACKTRACE"), "{}", told.stderr);
        } else {
            ran.succeeds().says("b.tar is whole");
        }
        codes.insert(code);
    }
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), [Some(0), Some(1)]);
}
