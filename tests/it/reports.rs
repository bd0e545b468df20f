//! The program's output for programs: reports with their version, and errors as one JSON object whose
//! identifier does not change.

use std::path::Path;

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
    assert_eq!(error(&import("old.tar").ends_with(8))["id"], "stale");
    assert_eq!(error(&import("gone.tar").ends_with(8))["id"], "expired");
    let verify = scene.bundle(["verify", "gone.tar", "--trust", "key.pub", "--json"]).ends_with(8);
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
    // What must not be used is graver than a file that does not exist.
    let ran = ran.ends_with(3);
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
    assert_eq!(failed(&report), [("absent.tar", "file-unreadable", 2), ("c.tar", "damaged", 3)]);
    assert_eq!(error(&ran.ends_with(3))["id"], "damaged");
}

/// The file, identifier and code of each entry of `failed`.
fn failed(report: &Value) -> Vec<(&str, &str, i64)> {
    let entries = report["failed"].as_array().unwrap().iter();
    entries
        .map(|each| {
            assert!(!each["message"].as_str().unwrap().is_empty());
            (each["file"].as_str().unwrap(), each["id"].as_str().unwrap(), each["code"].as_i64().unwrap())
        })
        .collect()
}

#[test]
fn several_files_are_reported_each_and_the_gravest_code_wins() {
    let scene = Scene::with_images();
    scene.create("a.tar");
    scene.create("b.tar");
    scene.bundle(["key", "generate", "second"]).succeeds();
    let bytes = std::fs::read(scene.path("a.tar")).unwrap();
    std::fs::write(scene.path("cut.tar"), &bytes[..bytes.len() - 700_000]).unwrap();
    let run = |words: &str| scene.bundle(words.split(' ').chain(["--json"]));
    // A file that is not there ends with 2, and hides none of the others.
    let ran = run("inspect absent.tar a.tar cut.tar b.tar --trust key.pub").ends_with(3);
    let report = ran.json();
    let files: Vec<&str> =
        report["bundles"].as_array().unwrap().iter().map(|each| each["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["a.tar", "b.tar"], "{report}");
    assert_eq!(failed(&report), [("absent.tar", "file-unreadable", 2), ("cut.tar", "truncated", 3)]);
    assert_eq!(report["reportVersion"], 1);
    run("inspect a.tar absent.tar --trust key.pub").ends_with(2);
    let people = scene.bundle(["inspect", "a.tar", "b.tar", "--trust", "key.pub"]).succeeds();
    assert!(people.stdout.starts_with("a.tar:\nsigned by"), "{}", people.stdout);
    assert!(people.stdout.contains("\nb.tar:\nsigned by"), "{}", people.stdout);
    // Of one file, the report is as it always was.
    assert_eq!(run("inspect a.tar --trust key.pub").succeeds().json()["verified"], true);

    let report = run("sign a.tar cut.tar b.tar --key second --trust key.pub").ends_with(3).json();
    assert_eq!(report["bundles"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(failed(&report), [("cut.tar", "truncated", 3)]);
    assert_eq!(scene.files().iter().filter(|name| name.ends_with(".sig")).count(), 2);

    std::fs::write(scene.path("good.yaml"), "projects: {cache: {images: ['docker.io/library/nginx:1']}}\n")
        .unwrap();
    std::fs::write(scene.path("bad.yaml"), "projets: {}\n").unwrap();
    let ran = run("schema --check good.yaml --check bad.yaml").ends_with(2);
    assert_eq!(ran.json()["valid"], serde_json::json!(["good.yaml"]));
    assert_eq!(failed(&ran.json()), [("bad.yaml", "file-invalid", 2)]);
    assert_eq!(run("schema --check good.yaml").succeeds().json()["reportVersion"], 1);
}

#[test]
fn a_newer_programs_file_has_a_code_of_its_own() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene.create("c.tar");
    let image = format!("{}/team/multi:1", scene.source.host());
    let target = bundle_test_servers::DockerRegistry::start().unwrap();
    let import = format!("import b.tar --trust key.pub --to {} --state s --receipt r.json", target.host());
    scene.bundle(import.split(' ')).succeeds();
    scene.bundle(["lock", &image, "-o", "bundle.lock"]).succeeds();
    let newer = |file: &str, from: &str, to: &str| {
        let bytes = std::fs::read(scene.path(file)).unwrap();
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes());
        let at = at.unwrap_or_else(|| panic!("{file} has no {from}: {}", String::from_utf8_lossy(&bytes)));
        let made = [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat();
        std::fs::write(scene.path(file), made).unwrap();
    };
    newer("b.tar", "\"formatVersion\":1", "\"formatVersion\":2");
    newer("r.json", "\"receiptVersion\":1", "\"receiptVersion\":2");
    newer("s", "\"stateVersion\": 1", "\"stateVersion\": 2");
    newer("bundle.lock", "version: 1", "version: 2");
    for words in [
        "inspect b.tar --unverified",
        "receipt show r.json",
        "create IMAGE --key key -o d.tar",
        "import c.tar --trust key.pub --to TO --state s",
    ] {
        let words = words.replace("IMAGE", &image).replace("TO", target.host());
        let ran = scene.bundle(words.split(' ').chain(["--json"])).ends_with(7);
        assert_eq!(error(&ran)["id"], "newer-version", "{words}");
        assert!(!error(&ran)["hints"].as_array().unwrap().is_empty(), "{words}: {}", ran.stderr);
    }
    // An older version is no newer program.
    newer("r.json", "\"receiptVersion\":2", "\"receiptVersion\":0");
    let ran = scene.bundle(["receipt", "show", "r.json", "--json"]).ends_with(3);
    assert_eq!(error(&ran)["id"], "damaged");
}

/// docs/reference/json.md has recipes. Each is run as it stands there, but for the registry's name, and must print
/// what the table says of it.
#[test]
fn every_recipe_for_jq_in_the_reference_prints_what_it_says() {
    if bundle_test_needs::program("jq").is_none() {
        return;
    }
    let scene = Scene::with_images();
    scene.bundle(["trust", "add", "key.pub", "--name", "ops"]).succeeds();
    let target = bundle_test_servers::DockerRegistry::start().unwrap();
    let create = |reference: &str, output: &str, sequence: &str| {
        let reference = format!("{}/{reference}", scene.source.host());
        let words =
            ["create", &reference, "--key", "key", "--stream", "s", "--sequence", sequence, "-o", output];
        scene.bundle(words).succeeds();
    };
    create("team/multi:1", "a.tar", "1");
    let client = scene.source.client();
    client.push("team/multi", "1", &ImageSpec::oci().label("n", "2").build()).unwrap();
    create("team/multi:1", "b.tar", "2");
    let import = format!("import a.tar --to {} --receipt r.json", target.host());
    let elsewhere = bundle_test_servers::DockerRegistry::start().unwrap();
    scene.bundle(import.split(' ')).succeeds();
    let mut damaged = std::fs::read(scene.path("a.tar")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(scene.path("damaged.tar"), damaged).unwrap();
    let multi = "/team/multi:1";
    let expected = [
        ("a.tar b.tar --json | jq -r '.failed", ""),
        ("[.source, .digest]", multi),
        (".ownSize", multi),
        ("max_by(.sequence)", "b.tar\n"),
        ("moved", multi),
        ("--dry-run", multi),
        (".error.id", "damaged\n"),
        (".outcome", "team/multi\n"),
    ];
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/json.md");
    let page = std::fs::read_to_string(page).unwrap();
    let recipes: Vec<&str> =
        page.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert_eq!(recipes.len(), expected.len(), "each recipe has its line in the table");
    for (recipe, (part, prints)) in recipes.into_iter().zip(expected) {
        assert!(recipe.contains(part) && recipe.starts_with("bundle "), "{recipe}");
        let script =
            recipe.replacen("bundle ", "\"$BUNDLE\" ", 1).replace("harbor.example", elsewhere.host());
        // A command that fails makes the pipe fail, which is right for the recipe of errors alone.
        let ran = scene.shell(&script).ends_with(if part == ".error.id" { 3 } else { 0 });
        assert!(ran.stdout.contains(prints), "{recipe}\n{}\n{}", ran.stdout, ran.stderr);
        assert!(!prints.is_empty() || ran.stdout.is_empty(), "{recipe}\n{}", ran.stdout);
    }
    // The first one names what is wrong.
    let script = "\"$BUNDLE\" verify a.tar damaged.tar --json | jq -r '.failed[] | [.file, .id] | @tsv'";
    assert_eq!(scene.shell(script).ends_with(3).stdout, "damaged.tar\tdamaged\n");
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
        "receipt show r.json r.json --trust key.pub",
        "inspect a.tar b.tar --trust key.pub",
        "receipt short r.json --trust key.pub",
        "receipt short r.json r.json --trust key.pub",
        "import a.tar b.tar --dry-run --to SOURCE --state s",
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
    let open = |path: &Path| {
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
