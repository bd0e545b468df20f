//! One order of settings: option, environment variable, the user's config.yaml, the machine's, default. Takes runs
//! with each of them; says which counts, where `config show` says it is from, and what a file cannot say.

use std::os::unix::ffi::OsStrExt;

use bundle_test_servers::{DockerRegistry, ImageSpec};
use serde_json::Value;

use crate::scene::{Ran, Scene};

/// A scene with a bundle, whose user has this configuration.
fn configured(text: &str) -> Scene {
    let scene = Scene::empty();
    let client = scene.source.client();
    client.push("team/app", "1", &ImageSpec::oci().label("n", "1").build()).unwrap();
    let reference = format!("{}/team/app:1", scene.source.host());
    scene.bundle(["create", &reference, "--key", "key", "--stream", "s", "-o", "b.tar"]).succeeds();
    write(&scene, text);
    scene
}

fn write(scene: &Scene, text: &str) {
    std::fs::create_dir_all(scene.path(".config/bundle")).unwrap();
    std::fs::write(scene.path(".config/bundle/config.yaml"), text).unwrap();
}

fn with(scene: &Scene, words: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = scene.command(words.split(' '));
    command.envs(variables.iter().copied());
    Ran::from(command.output().unwrap())
}

/// The values and the source of a setting, as `config show` reports them.
fn shown(scene: &Scene, key: &str, variables: &[(&str, &str)]) -> (Vec<String>, String, Option<String>) {
    let report = with(scene, "config show --json", variables).succeeds().json();
    let entry = report["settings"].as_array().unwrap().iter().find(|each| each["key"] == key).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let values = entry["values"].as_array().unwrap().iter().map(text).collect();
    (values, text(&entry["source"]), entry["place"].as_str().map(str::to_owned))
}

#[test]
fn an_option_beats_a_variable_beats_a_file_beats_the_default() {
    let [one, two, three] = [(); 3].map(|()| DockerRegistry::start().unwrap());
    let trust = "trust: ../../key.pub\nkey: ../../key\nstate: ../../state\n";
    let scene = configured(&format!("to: {}\n{trust}", one.host()));
    // Neither the registry nor the key is on the command line.
    with(&scene, "import b.tar", &[]).succeeds();
    assert_eq!(one.client().catalog().unwrap().len(), 2, "the image and the record of the stream");
    with(&scene, "import b.tar", &[("BUNDLE_TO", two.host())]).succeeds();
    assert!(!two.client().catalog().unwrap().is_empty());
    let words = format!("import b.tar --to {}", three.host());
    with(&scene, &words, &[("BUNDLE_TO", two.host())]).succeeds();
    assert!(!three.client().catalog().unwrap().is_empty());
    with(&scene, "verify b.tar", &[]).succeeds();
    scene.bundle(["key", "generate", "other"]).succeeds();
    with(&scene, "verify b.tar", &[("BUNDLE_TRUST", "other.pub")]).ends_with(3);
    with(&scene, "verify b.tar --trust key.pub", &[("BUNDLE_TRUST", "other.pub")]).succeeds();
    // A setting never conflicts with an option.
    with(&scene, "inspect b.tar --unverified", &[("BUNDLE_TRUST", "other.pub")])
        .succeeds()
        .says("NOT VERIFIED");
    let reference = format!("{}/team/app:1", scene.source.host());
    with(&scene, &format!("create {reference} -o c.tar"), &[]).succeeds();
    with(&scene, &format!("create {reference} -o d.tar"), &[("BUNDLE_KEY", "other")]).succeeds();
    with(&scene, "verify d.tar", &[]).ends_with(3);
    let command = "--sign-command false --public-key key.pub";
    let ran = with(&scene, &format!("create {reference} -o e.tar {command}"), &[]);
    assert_ne!(ran.code, Some(0), "the command signs, and not the key of the file: {ran:?}");
    // BUNDLE_CONFIG replaces both files.
    with(&scene, "import b.tar", &[("BUNDLE_CONFIG", "none")]).ends_with(2).says("--to");
    with(&scene, "import b.tar", &[("BUNDLE_CONFIG", "absent.yaml")])
        .ends_with(2)
        .says("BUNDLE_CONFIG names it");

    let file = scene.path(".config/bundle/config.yaml").display().to_string();
    let to = |variables| shown(&scene, "to", variables);
    assert_eq!(to(&[]), (vec![one.host().to_owned()], "file".to_owned(), Some(format!("{file}:1"))));
    let variable = Some("BUNDLE_TO".to_owned());
    assert_eq!(to(&[("BUNDLE_TO", "x")]), (vec!["x".to_owned()], "environment".to_owned(), variable));
    assert_eq!(shown(&scene, "jobs", &[]), (Vec::new(), "default".to_owned(), None));
    let lists = shown(&scene, "mirrors", &[("BUNDLE_MIRROR", "a=b/c, d=e/f")]).0;
    assert_eq!(lists, ["a=b/c", "d=e/f"]);
    with(&scene, "config show", &[("BUNDLE_CAFILE", "x")]).succeeds().says("did you mean BUNDLE_CA_FILE?");
}

#[test]
fn a_wrong_value_is_reported_with_its_place() {
    let scene = configured("to: harbor.example\njobs: 100\n");
    let file = scene.path(".config/bundle/config.yaml").display().to_string();
    with(&scene, "verify b.tar --trust key.pub", &[])
        .ends_with(2)
        .says(&format!("{file}:2:7: jobs: it must be from 1 to 64"));
    write(&scene, "to: harbor.example\nregistryKind: nexus\n");
    with(&scene, "import b.tar --trust key.pub", &[])
        .ends_with(2)
        .says(&format!("{file}:2: registryKind: invalid value"));
    let ran = with(&scene, "import b.tar --trust key.pub --json", &[]).ends_with(2);
    assert!(ran.stderr.starts_with('{') && ran.stderr.contains("\"usage\""), "{}", ran.stderr);
    with(&scene, "config show", &[])
        .ends_with(2)
        .says(&format!("[{file}:2]: invalid value 'nexus'"))
        .says("1 setting cannot be used");
    let report = with(&scene, "config show --json", &[("BUNDLE_JOBS", "0")]).ends_with(2);
    assert!(report.stdout.contains("\"refused\": \"invalid value '0'"), "{}", report.stdout);
    write(&scene, "to: harbor.example\n");
    with(&scene, "create localhost:1/a --key key -o x.tar", &[("BUNDLE_JOBS", "none")])
        .ends_with(2)
        .says("BUNDLE_JOBS: jobs: invalid value");
    let mut odd = scene.command(["create", "localhost:1/a", "--key", "key", "-o", "x.tar"]);
    odd.env("BUNDLE_RETRIES", std::ffi::OsStr::from_bytes(b"\xff"));
    Ran::from(odd.output().unwrap()).ends_with(2).says("BUNDLE_RETRIES: retries is not UTF-8");
    write(&scene, "to: a\ncaFiles: x\n");
    with(&scene, "verify b.tar --trust key.pub", &[])
        .ends_with(2)
        .says(&format!("{file}:2:1: unknown field 'caFiles'; did you mean 'caFile'?"));
    with(&scene, &format!("schema config --check {file}"), &[("BUNDLE_CONFIG", "none")]).ends_with(2);
}

#[test]
fn a_file_cannot_weaken_the_verification_of_bundles() {
    let scene = configured("to: harbor.example\n");
    for (text, says) in [
        ("trustStore: none\n", "a file cannot say that"),
        ("allowRollback: true\n", "unknown field 'allowRollback'"),
        ("allowFuture: true\n", "unknown field 'allowFuture'"),
        ("unverified: true\n", "unknown field 'unverified'"),
        ("onExistingTag: overwrite\n", "unknown field 'onExistingTag'"),
        ("to: https://user:password@harbor.example\n", "it must have no user name or password"),
    ] {
        write(&scene, text);
        let ran = with(&scene, "verify b.tar --trust key.pub", &[]).ends_with(2).says(says);
        assert!(!ran.stderr.contains("user:password"), "{}", ran.stderr);
    }
    write(&scene, "to: harbor.example\n");
    scene.shell("chmod o+w .config/bundle/config.yaml").succeeds();
    with(&scene, "verify b.tar --trust key.pub", &[]).ends_with(2).says("can be written by anybody");
}

/// The account of one registry is never sent to another, and no password is shown.
#[test]
fn credentials_of_a_file_belong_to_their_host_and_are_not_shown() {
    let scene = configured("credentials:\n  harbor.example: importer.json\n");
    std::fs::write(scene.path(".config/bundle/importer.json"), "{not read").unwrap();
    let target = DockerRegistry::start().unwrap();
    // The file would be an error if it were read.
    let import = |to: &str| format!("import b.tar --to {to} --trust key.pub --state s --retries 0");
    with(&scene, &import(target.host()), &[]).succeeds();
    with(&scene, &import("harbor.example"), &[]).ends_with(2).says("importer.json");
    let secret = [
        ("BUNDLE_USERNAME", "robot"),
        ("BUNDLE_PASSWORD", "never-shown"),
        ("BUNDLE_KEY_PASSPHRASE", "nor-this"),
    ];
    let ran = with(&scene, "config show", &secret).succeeds();
    assert!(
        ran.stdout.contains("BUNDLE_PASSWORD") && ran.stdout.contains("importer.json for harbor.example"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("never-shown") && !ran.stdout.contains("nor-this"), "{}", ran.stdout);
}

/// Passwords stand where people write hosts: what repeats a text has them not.
#[test]
fn a_login_before_a_host_is_never_repeated() {
    let scene = configured("to: harbor.example\n");
    std::fs::write(scene.path("list.txt"), "u:hunter2secret@localhost:1/lib/a:1\n").unwrap();
    let url = format!("{{url: 'http://u:hunter2secret@localhost:1/x', sha256: {}}}", "a".repeat(64));
    std::fs::write(scene.path("b.yaml"), format!("projects: {{cache: {{files: [{url}]}}}}\n")).unwrap();
    let create = "create --key key -o x.tar";
    for (words, variables) in [
        (format!("{create} --images list.txt"), vec![]),
        (format!("{create} --images list.txt --json"), vec![]),
        (format!("{create} --images list.txt --log-format json -vv"), vec![]),
        (format!("{create} -f b.yaml"), vec![]),
        (format!("{create} localhost:1/a"), vec![("BUNDLE_MIRROR", "docker.io=u:hunter2secret@m/x")]),
        (format!("{create} localhost:1/a"), vec![("BUNDLE_PLAIN_HTTP", "u:hunter2secret@h")]),
        ("config show".to_owned(), vec![("BUNDLE_PLAIN_HTTP", "a,u:hunter2secret@h")]),
    ] {
        let ran = with(&scene, &words, &variables).ends_with(2);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("***@") && !said.contains("hunter2"), "{words} {variables:?}: {said}");
    }
    let last = std::fs::read_to_string(scene.path(".local/state/bundle/last-failed.log")).unwrap();
    assert!(!last.contains("hunter2"), "{last}");
}

#[test]
fn help_that_cannot_be_written_is_no_success() {
    let scene = Scene::empty();
    scene.shell("$BUNDLE --help >/dev/full").ends_with(1).says("the help cannot be written");
    scene.shell("$BUNDLE --help | true").succeeds();
}
