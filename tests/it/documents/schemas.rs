//! People's files, through the program and through a JSON Schema validator that is not ours: both say the
//! same of each sample. Each kind of mistake, in each file, is reported with its place and without Rust's
//! words.

use serde_json::Value;

use crate::scene::{Ran, Scene};

const FILES: [&str; 4] = ["bundle", "harbor", "trust", "sync"];

const EXPORT: &str = "export:\n  file: b\n  outbox: o\n  receipts: r\n  receiptTrust: [k]\n  state: s\n";
const IMPORT: &str = "import:\n  inbox: i\n  to: harbor.example\n  receipts: r\n  receiptKey: k\n  site: plant 7\n  state: s\n";

/// Valid samples, and samples with faults that a schema can describe.
fn samples(file: &str) -> (Vec<String>, Vec<String>) {
    let all = |texts: &[&str], around: &dyn Fn(&str) -> String| -> Vec<String> {
        texts.iter().map(|text| around(text)).collect()
    };
    let plain = |text: &str| format!("{text}\n");
    match file {
        "bundle" => {
            let wanted = |text: &str| format!("{text}\nprojects: {{cache: {{images: [a]}}}}\n");
            let projects = |text: &str| format!("projects: {text}\n");
            let chart = |text: &str| format!("projects: {{cache: {{charts: [{{{text}}}]}}}}\n");
            let good = [
                all(
                    &[
                        "name: nightly",
                        "name: a.b_c-d",
                        "name: '1'",
                        "platforms: [linux/amd64, linux/arm/v7, 'windows/amd64:10.0.1']",
                        "cacheLayout: '{host}/{path}'",
                        "cacheLayout: mirror/{name}",
                        "rules: {registries: [quay.io], operators: [{kind: K, image: a/b, tag: spec.v}]}",
                        "rules: {operators: [{kind: K, apiGroup: g, image: a/b, tag: spec.v}], ignore: []}",
                        "ruleFiles: []",
                        "version: 1",
                        "mirrors: {docker.io: harbor.example/dockerhub, ghcr.io: 'harbor.example:8443'}",
                        "plainHttp: ['registry.example:5000', localhost]",
                        "caFile: ca.crt\ncredentials: /etc/bundle/auth.json",
                        "exclude: [b, 'c:1', 'd:*-alpine', 'quay.io/*']",
                    ],
                    &wanted,
                ),
                all(
                    &[
                        "{platform: {images: [a]}}",
                        "{cache: {}, platform: {images: [a]}}",
                        "{tenants: {team-a: {images: [a]}, team-b: {}}}",
                        "{cache: {lists: [list.txt]}}",
                        "{cache: {exclude: [b], lists: [{file: list.txt, exclude: ['a:1.*'], platforms: all}]}}",
                        "{cache: {images: ['a => b']}}",
                        "{cache: {images: [{ref: a}, {ref: b, as: 'c:1', platforms: [linux/amd64]}]}}",
                        "{cache: {images: ['a:1.*', {ref: b, tags: '1.*', exclude: ['*-alpine'], missing: skip}]}}",
                        "{cache: {images: [{ref: 'a:1.*', newest: 3}, {ref: x.example/a, semver: '>=1.25 <2', maxTags: 7}]}}",
                        "{cache: {images: [{ref: 'x.example:5000/a', tags: ['1.*', '2.?']}, {ref: 'a:1.*', exclude: []}]}}",
                        "{cache: {missing: keep-last, images: [{ref: 'a:1', missing: fail}]}}",
                    ],
                    &projects,
                ),
                all(
                    &[
                        "path: a",
                        "path: a, root: .., allowEmpty: true, set: [''], values: [list.txt]",
                        "repo: 'https://a.example', name: b",
                        "repo: 'https://a.example/x@y', name: b, version: 1.x",
                        "repo: 'oci://a.example/x', name: b",
                        "repo: 'https://a.example', name: Upper, carry: rendered",
                        "path: a, valueSets: {more: {set: ['a=1']}}, kubeVersion: v1.30",
                        "path: a, kubeVersion: '1.30', apiVersions: [a/v1], exclude: ['a.example/*', b]",
                    ],
                    &chart,
                ),
            ];
            let bad = [
                all(
                    &[
                        "name: ''",
                        "name: Nightly",
                        "name: 1",
                        "name: null",
                        "name: [a]",
                        "platforms: []",
                        "platforms: linux/amd64",
                        "platforms: [linux]",
                        "platforms: null",
                        "cacheLayout: '{host}'",
                        "cacheLayout: '/{path}'",
                        "cacheLayout: '{path}/{other}'",
                        "rules: {registry: [a]}",
                        "rules: {operators: [{kind: K}]}",
                        "ruleFiles: list.txt",
                        "nam: a",
                        "version: 2",
                        "version: '1'",
                        "version: null",
                        "mirrors: [docker.io]",
                        "mirrors: {docker.io: 'https://harbor.example'}",
                        "mirrors: {docker.io: 'user:secret@harbor.example'}",
                        "mirrors: {docker.io: null}",
                        "plainHttp: localhost",
                        "plainHttp: ['http://localhost']",
                        "caFile: ''",
                        "credentials: {username: a, password: b}",
                        "credentials: 'user:secret'",
                        "exclude: b",
                        "exclude: ['']",
                    ],
                    &wanted,
                ),
                all(
                    &[
                        "{}",
                        "[]",
                        "null",
                        "{cache: {}}",
                        "{cache: {images: []}}",
                        "{cache: {images: [], lists: []}}",
                        "{cache: null}",
                        "{cach: {images: [a]}}",
                        "{cache: {images: a}}",
                        "{cache: {images: [1]}}",
                        "{cache: {images: [{as: b}]}}",
                        "{cache: {lists: [{exclude: [a]}]}}",
                        "{cache: {images: [{ref: 'a:1', tags: '1.*'}]}}",
                        "{cache: {images: [{ref: 'a:1', newest: 1}]}}",
                        "{cache: {images: [{ref: 'a:1.*', tags: '1.*'}]}}",
                        "{cache: {images: [{ref: 'x.example/a:1', semver: '1.x'}]}}",
                        "{cache: {images: [{ref: a, exclude: ['1']}]}}",
                        "{cache: {images: [{ref: 'a:1', maxTags: 3}]}}",
                        "{cache: {images: [{ref: a, newest: 0}]}}",
                        "{cache: {images: [{ref: a, newest: 1001}]}}",
                        "{cache: {images: [{ref: a, newest: '3'}]}}",
                        "{cache: {images: [{ref: a, newest: null}]}}",
                        "{cache: {images: [{ref: a, tags: []}]}}",
                        "{cache: {images: [{ref: a, tags: '[0-9]'}]}}",
                        "{cache: {images: [{ref: a, tags: null}]}}",
                        "{cache: {images: [{ref: a, semver: ''}]}}",
                        "{cache: {missing: warn, images: [a]}}",
                        "{cache: {lists: [{file: ''}]}}",
                        "{cache: {lists: [{file: list.txt, excludes: [a]}]}}",
                        "{cache: {images: [{ref: a, too: b}]}}",
                        "{cache: {images: [{ref: a, platforms: []}]}}",
                        "{tenants: {}}",
                        "{tenants: {team-a: {}}}",
                        "{tenants: {Team: {images: [a]}}}",
                        "{tenants: {cache: {images: [a]}}}",
                        "{tenants: [a]}",
                    ],
                    &projects,
                ),
                all(
                    &[
                        "",
                        "name: b",
                        "repo: 'https://a.example'",
                        "path: a, name: b",
                        "path: a, version: '1'",
                        "path: a, repo: 'https://a.example', name: b",
                        "repo: a.example, name: b",
                        "repo: 'ftp://a.example', name: b",
                        "repo: 'https://u:p@a.example', name: b",
                        "repo: 'https://a.example', name: .b",
                        "repo: 'oci://a.example/x', name: Upper",
                        "path: a, carry: most",
                        "path: a, allowEmpty: 'yes'",
                        "path: a, kubeVersion: new",
                        "path: a, valueSets: {defaults: {}}",
                        "path: a, valueSets: {more: {sets: []}}",
                        "path: a, set: a=1",
                        "path: a, set: [1]",
                    ],
                    &chart,
                ),
            ];
            (good.concat(), bad.concat())
        }
        "harbor" => (
            all(
                &[
                    "{}",
                    "defaults: {access: public, autoScan: false, preventPulls: critical, quota: 10GiB}",
                    "defaults: {quota: unlimited, immutableTags: ['v*', '1.10', '{a,b}']}",
                    "defaults: {quota: 10 TiB, immutableTags: []}",
                    "projects: {cache: {}, team-a: {pulls: [cache], namespaces: [a, a-dev]}}",
                    "projects: {cache: {preventPulls: never}}\nexistingProjects: leave",
                    "robots: {importer: loader, importerDays: 30, pullPrefix: read-, pullDays: forever}",
                    "robots: {importerDays: '30', pullPrefix: ''}",
                    "defaults:",
                ],
                &plain,
            ),
            all(
                &[
                    "default: {}",
                    "[]",
                    "defaults: []",
                    "defaults: {access: open}",
                    "defaults: {access: Public}",
                    "defaults: {autoScan: 'true'}",
                    "defaults: {autoScan: 1}",
                    "defaults: {preventPulls: hgh}",
                    "defaults: {quota: 10}",
                    "defaults: {quota: 10GB}",
                    "defaults: {quota: 0GiB}",
                    "defaults: {immutableTags: [1.10, 2]}",
                    "defaults: {immutableTags: ['a b']}",
                    "defaults: {immutableTags: v1}",
                    "projects: {Team: {}}",
                    "projects: {a: {namespaces: [A]}}",
                    "projects: {a: {pulls: [B]}}",
                    "existingProjects: ignore",
                    "robots: {importerDays: 0}",
                    "robots: {importerDays: 3651}",
                    "robots: {importerDays: never}",
                    "robots: {importerDays: 1.5}",
                    "robots: {importer: 'robot$x'}",
                    "robots: {pullPrefix: Read-}",
                ],
                &plain,
            ),
        ),
        "trust" => {
            let key =
                |text: &str| format!("keys:\n- {{name: ops, file: key.pub, projects: ['*'], {text}}}\n");
            let good = [
                all(
                    &[
                        "",
                        "streams: [nightly]",
                        "streams: []",
                        "since: 2026-01-01T00:00:00Z, until: '2027-01-01T00:00:00Z'",
                        "revoked: true",
                        "streams: null, since: null, key: null",
                    ],
                    &key,
                ),
                all(&["signatures: 1\nkeys:\n- {name: a, file: key.pub, projects: []}"], &plain),
                all(&["keys:\n- {name: a, file: key.pub, projects: [cache, 'team-*', 'a*-b']}"], &plain),
            ];
            let bad = [
                all(
                    &[
                        "key: '-----BEGIN PUBLIC KEY-----'",
                        "stream: [a]",
                        "streams: [A]",
                        "streams: a",
                        "since: yesterday",
                        "since: '2027-01-01T00:00:00+01:00'",
                        "since: 2026-01-01",
                        "since: 1767225600",
                        "revoked: 'true'",
                        "revoked: null",
                    ],
                    &key,
                ),
                all(
                    &[
                        "{}",
                        "keys: []",
                        "keys: {}",
                        "keys: [ops]",
                        "keys: [{name: a, projects: []}]",
                        "keys: [{name: a, file: key.pub}]",
                        "keys: [{file: key.pub, projects: []}]",
                        "keys: [{name: a, key: nothing, projects: []}]",
                        "keys: [{name: a, file: key.pub, projects: [A]}]",
                        "keys: [{name: a, file: key.pub, projects: ['-*']}]",
                        "signatures: 0\nkeys: [{name: a, file: key.pub, projects: []}]",
                        "signatures: '1'\nkeys: [{name: a, file: key.pub, projects: []}]",
                        "signatures: 1.5\nkeys: [{name: a, file: key.pub, projects: []}]",
                    ],
                    &plain,
                ),
            ];
            (good.concat(), bad.concat())
        }
        _ => {
            let export = |text: &str| format!("{EXPORT}  {}\n", text.replace('\n', "\n  "));
            let import = |text: &str| format!("{IMPORT}  {}\n", text.replace('\n', "\n  "));
            let good = [
                all(
                    &[
                        "key: k",
                        "signCommand: sign\npublicKey: k",
                        "key: k\nvolumeSize: fat32\nlocked: true\nkeep: 0\nfullEvery: 30",
                        "key: k\nvolumeSize: 4 GiB",
                        "key: k\ncompress: true\nexpires: 30d\nreferrers: false",
                        "key: k\nexpires: 2030-01-01T00:00:00Z\nstatus: s\nmetrics: m",
                    ],
                    &export,
                ),
                all(
                    &[
                        "registryKind: harbor\nharbor: h.yaml\ntrust: t.yaml\nstreams: [nightly]",
                        "onExistingTag: error\nwaitForScan: 10m\nsettleSeconds: 0\nkeep: 3",
                        "done: d\nrefused: r\nonExistingTag: skip",
                        "prune: {keep: 3}",
                        "prune: {keep: 1000, pulledWithinDays: 0, inUse: [p], receiptTrust: [k], records: r}",
                    ],
                    &import,
                ),
                vec!["{}\n".to_owned()],
            ];
            let bad = [
                all(
                    &[
                        "locked: true",
                        "key: k\nsignCommand: sign\npublicKey: k",
                        "signCommand: sign",
                        "publicKey: k",
                        "key: k\nvolumeSize: huge",
                        "key: k\nvolumeSize: 100",
                        "key: k\nexpires: 0d",
                        "key: k\nexpires: soon",
                        "key: k\nkeep: -1",
                        "key: k\nkeep: '2'",
                        "key: k\nkeep: many",
                        "key: k\nkey2: k",
                    ],
                    &export,
                ),
                all(
                    &[
                        "registryKind: quay",
                        "onExistingTag: fail",
                        "waitForScan: 10",
                        "waitForScan: 10d",
                        "streams: [A]",
                        "settleSeconds: 1.5",
                        "prune: {}",
                        "prune: {keep: 0}",
                        "prune: {keep: 1001}",
                        "prune: {keep: '3'}",
                        "prune: {keep: 3, stream: nightly}",
                        "trusts: t",
                    ],
                    &import,
                ),
                vec![
                    format!("{EXPORT}  key: k\n").replace("receiptTrust: [k]", "receiptTrust: []"),
                    format!("{EXPORT}  key: k\n").replace("  outbox: o\n", ""),
                    IMPORT.replace("site: plant 7", "site: ''"),
                    IMPORT.replace("site: plant 7", "site: ' a'"),
                    IMPORT.replace("  to: harbor.example\n", ""),
                    "exports: {}\n".to_owned(),
                    "[]\n".to_owned(),
                ],
            ];
            (good.concat(), bad.concat())
        }
    }
}

fn scene() -> Scene {
    let scene = Scene::empty();
    std::fs::write(scene.path("list.txt"), "a\n").unwrap();
    scene
}

fn check(scene: &Scene, file: &str, text: impl AsRef<[u8]>) -> Ran {
    let name = format!("{file}.yaml");
    std::fs::write(scene.path(&name), text).unwrap();
    scene.bundle(["schema", file, "--check", &name])
}

#[test]
fn the_program_and_a_validator_say_the_same_of_every_sample() {
    let scene = scene();
    let mut differ = Vec::new();
    for file in FILES {
        let schema = scene.bundle(["schema", file]).succeeds().json();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let (good, bad) = samples(file);
        assert!(good.len() > 7 && bad.len() > 15, "{file}");
        let samples = good.iter().map(|text| (text, true)).chain(bad.iter().map(|text| (text, false)));
        for (text, right) in samples {
            let value: Value = serde_saphyr::from_str(text).unwrap();
            let read = check(&scene, file, text);
            assert!(matches!(read.code, Some(0 | 2)), "{file}: {text}: {read:?}");
            let (by_schema, by_program) = (validator.is_valid(&value), read.code == Some(0));
            if (by_schema, by_program) != (right, right) {
                let text = format!(
                    "{file} {text:?}: right {right}, schema {by_schema}, program {by_program}: {}",
                    read.stderr
                );
                differ.push(text);
            }
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn the_examples_of_the_manifests_fit_their_schemas() {
    let scene = scene();
    for file in FILES {
        let schema = scene.bundle(["schema", file]).succeeds().json();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("manifests/{file}.yaml"));
        let value: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
}

#[test]
fn each_kind_of_mistake_has_one_message_in_every_file() {
    let scene = scene();
    // A key of each file with a map behind it, and one with a list or text.
    let fields = [
        ("bundle", "projects", "name", "projcts"),
        ("harbor", "defaults", "existingProjects", "defualts"),
        ("trust", "keys", "signatures", "kyes"),
        ("sync", "export", "import", "exprt"),
    ];
    for (file, field, other, mistyped) in fields {
        let list = file == "trust";
        let document = match file {
            "bundle" => "projects: {}",
            "trust" => "keys: []",
            _ => "{}",
        };
        let form = if list { "expected a list" } else { "expected a map" };
        let wrong = if list { "{a: b}" } else { "[a]" };
        let mistakes: Vec<(Vec<u8>, String, String)> = vec![
            (b"".to_vec(), "1:1".to_owned(), "the file is empty".to_owned()),
            (b"# nothing\n".to_vec(), "1:1".to_owned(), "the file is empty".to_owned()),
            (
                format!("{document}\n---\n{document}\n").into_bytes(),
                "3:1".to_owned(),
                "a second document; one file is one document".to_owned(),
            ),
            (
                format!("{field}:\n\ta: {{}}\n").into_bytes(),
                "2:2".to_owned(),
                "tabs cannot indent YAML, only spaces can".to_owned(),
            ),
            (
                format!("{mistyped}: {{}}\n").into_bytes(),
                "1:1".to_owned(),
                format!("unknown field '{mistyped}'; did you mean '{field}'?"),
            ),
            (format!("{field}: {wrong}\n").into_bytes(), "1:".to_owned(), form.to_owned()),
            (b"[a]\n".to_vec(), "1:1".to_owned(), "expected a map".to_owned()),
            (b"a text\n".to_vec(), "1:1".to_owned(), "expected a map".to_owned()),
            (
                format!("{other}: 1\n{other}: 1\n").into_bytes(),
                String::new(),
                if file == "trust" { format!("field '{other}' appears twice") } else { String::new() },
            ),
            (
                [b"a: b\n# f".as_slice(), &[0xfc], b"r\n"].concat(),
                "2:4: ".to_owned(),
                "byte 0xfc is not UTF-8".to_owned(),
            ),
            (
                format!("{field}: *a\n").into_bytes(),
                "1:".to_owned(),
                "this alias has no anchor before it".to_owned(),
            ),
            (format!("{field}: !!binary x\n").into_bytes(), "1:".to_owned(), String::new()),
            (format!("{field}: {{a: [}}\n").into_bytes(), "1:".to_owned(), String::new()),
            (format!("{field}: \"open\n").into_bytes(), String::new(), String::new()),
            (
                format!("{field}: {}{}\n", "[".repeat(50), "]".repeat(50)).into_bytes(),
                String::new(),
                String::new(),
            ),
            (
                format!("<<: {{{field}: {{}}}}\n").into_bytes(),
                String::new(),
                "merge keys (<<) are not read".to_owned(),
            ),
        ];
        for (text, place, message) in mistakes {
            let ran = check(&scene, file, &text).ends_with(2);
            let shown = String::from_utf8_lossy(&text).into_owned();
            let first = ran.stderr.lines().next().unwrap_or_default();
            let start = format!("error: {file}.yaml:{place}");
            assert!(first.starts_with(&start), "{shown:?}: {first:?} does not start with {start:?}");
            assert!(first.contains(&message), "{shown:?}: {first:?} does not have {message:?}");
            let mut places = first.trim_start_matches(&format!("error: {file}.yaml:")).split(':');
            assert!(places.next().is_some_and(|line| line.parse::<u32>().is_ok()), "{shown:?}: {first}");
            for of_rust in
                ["::", "()", "from_str", "_with_options", "mapping start", "enum", "struct", "serde", "`"]
            {
                assert!(!ran.stderr.contains(of_rust), "{shown:?}: {:?} names {of_rust:?}", ran.stderr);
            }
        }
    }
    for (file, text, message) in [
        (
            "harbor",
            "defaults: {immutableTags: [1.10]}\n",
            "'1.10' may be read as a number or boolean: it is not in quotes",
        ),
        (
            "bundle",
            "name: 1.10\nprojects: {}\n",
            "'1.10' may be read as a number or boolean: it is not in quotes",
        ),
        ("trust", "keys: [{name: 1.10}]\n", "'1.10' may be read as a number or boolean: it is not in quotes"),
        ("sync", "import: {site: 1.10}\n", "'1.10' may be read as a number or boolean: it is not in quotes"),
    ] {
        check(&scene, file, text).ends_with(2).says(message).says(&format!("error: {file}.yaml:1:"));
    }
}
