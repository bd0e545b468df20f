//! The log: what `-v`, `-vv`, `-q`, BUNDLE_LOG, `--log-format` and `--log-file` show, and that none of it ever has
//! a secret. Takes runs against registries that echo what they are sent and redirect to signed addresses.

use bundle_test_servers::{
    DockerRegistry, Fault, FaultProxy, ImageSpec, Matcher, RequestHead, Response, Rule,
};
use serde_json::Value;

use crate::harbor::scene::HarborScene;
use crate::scene::{Ran, Scene};
use crate::serve::served::Served;

const USER: &str = "robot$importer";
const PASSWORD: &str = "Pa55-w0rd/never+logged";
/// The user and the password in base64.
const BASIC: &str = "cm9ib3QkaW1wb3J0ZXI6UGE1NS13MHJkL25ldmVyK2xvZ2dlZA==";
const PASSPHRASE: &str = "passphrase-never-logged";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.never-logged-token.c2ln";
const SIGNATURE: &str = "never-logged-signature-9f86d081884c7d65";

/// A registry that gives tokens for the password, redirects blobs to signed addresses as object storage does, and
/// echoes the credentials that it was sent in refusals, headers and addresses.
fn echoing(upstream: &str) -> FaultProxy {
    let front = FaultProxy::start(upstream).unwrap();
    let behind = upstream.to_owned();
    front.answer_with(move |head| echo(head, &behind));
    front
}

fn echo(head: &RequestHead, behind: &str) -> Option<Response> {
    let sent = head.headers.get("authorization").unwrap_or_default().to_owned();
    let host = head.headers.get("host").unwrap_or_default();
    let refusal = |status, code| Response::error(status, code, &format!("you sent {sent}, which is no good"));
    if head.path() == "/token" {
        return Some(match sent.starts_with("Basic ") {
            true => Response::json(200, format!("{{\"token\":\"{TOKEN}\"}}")),
            false => refusal(401, "UNAUTHORIZED"),
        });
    }
    if sent != format!("Bearer {TOKEN}") {
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"x\"");
        return Some(refusal(401, "UNAUTHORIZED").with_header("WWW-Authenticate", &challenge));
    }
    if head.path().contains("/team/leak/blobs/") {
        let place = format!("http://{behind}/v2/{TOKEN}/blobs/x?X-Amz-Signature={SIGNATURE}");
        return Some(Response::new(307).with_header("Location", &place));
    }
    if head.path().contains("/team/refused/") && head.method == "PUT" {
        return Some(refusal(400, "MANIFEST_INVALID").with_header("X-Request-Id", &sent));
    }
    if head.method == "GET" && head.path().contains("/blobs/sha256:") {
        let place = format!("http://{behind}{}?X-Amz-Signature={SIGNATURE}", head.path());
        return Some(Response::new(307).with_header("Location", &place));
    }
    None
}

/// Nothing that was a secret is in what a run printed or wrote.
#[track_caller]
fn has_no_secret(text: &str) {
    let encoded = "Pa55-w0rd%2Fnever%2Blogged";
    for secret in [PASSWORD, PASSPHRASE, TOKEN, SIGNATURE, BASIC, encoded] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    assert!(!text.to_lowercase().contains("bearer ey"), "{text}");
}

fn with_account(scene: &Scene, words: &str) -> Ran {
    let mut command = scene.command(words.split_whitespace());
    command.env("BUNDLE_USERNAME", USER).env("BUNDLE_PASSWORD", PASSWORD);
    command.env("BUNDLE_KEY_PASSPHRASE", PASSPHRASE);
    Ran::from(command.output().unwrap())
}

#[test]
fn no_secret_is_ever_logged_not_even_where_a_registry_echoes_it() {
    let scene = Scene::with_images();
    let client = scene.source.client();
    client.push("team/leak", "1", &ImageSpec::oci().label("n", "leak").build()).unwrap();
    client.push("team/refused", "1", &ImageSpec::oci().label("n", "refused").build()).unwrap();
    let front = echoing(scene.source.host());
    let host = front.host();
    let mut generate = scene.command(["key", "generate", "--encrypt", "closed"]);
    Ran::from(generate.env("BUNDLE_KEY_PASSPHRASE", PASSPHRASE).output().unwrap()).succeeds();
    let mut login =
        scene.command(["login", host, "--username", USER, "--password-stdin", "--plain-http", host]);
    login.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut login = login.stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut login.stdin.take().unwrap(), PASSWORD.as_bytes()).unwrap();
    Ran::from(login.wait_with_output().unwrap()).succeeds();

    let last = scene.path(".local/state/bundle/last-failed.log");
    let create = |image: &str, more: &str| {
        with_account(&scene, &format!("create {host}/team/{image}:1 --key closed -o {image}.tar -vv {more}"))
    };
    let ran = create("multi", "--log-file all.log").succeeds();
    // The log has each request, with its status, and whom a redirect leads to.
    assert!(ran.stderr.contains("method=GET"), "{}", ran.stderr);
    let redirected = ran.stderr.lines().any(|line| {
        line.contains(&format!("host={}", scene.source.host()))
            && line.contains("/blobs/sha256:")
            && line.contains("status=200")
    });
    assert!(redirected, "{}", ran.stderr);
    assert!(ran.stderr.contains("path=/token") && ran.stderr.contains("status=307"), "{}", ran.stderr);
    assert!(!last.exists(), "a run that succeeds leaves no log");
    has_no_secret(&ran.stderr);
    has_no_secret(&ran.stdout);

    let leaked = create("leak", "--log-file all.log --retries 0").ends_with(4);
    assert!(leaked.stderr.contains("path=/v2/***/blobs/x"), "{}", leaked.stderr);
    has_no_secret(&leaked.stderr);
    let log = std::fs::read_to_string(&last).unwrap();
    assert!(
        log.starts_with("# bundle ") && log.contains(" create, ended ") && log.contains("exit code 4"),
        "{log}"
    );
    assert!(log.contains("path=/v2/***/blobs/x") && log.contains("ERROR bundle: error: "), "{log}");
    has_no_secret(&log);
    has_no_secret(&create("leak", "--log-format json --retries 0").ends_with(4).stderr);

    create("refused", "").succeeds();
    for more in ["-vv --log-file all.log", "-vv --log-format json --json", "-v"] {
        let words = format!(
            "import refused.tar --to http://{host} --trust closed.pub --retries 0 --on-existing-tag overwrite {more}"
        );
        let target = words.replace("import refused.tar", "import refused.tar --state s");
        let ran = with_account(&scene, &target);
        has_no_secret(&ran.stderr);
        has_no_secret(&ran.stdout);
    }
    let log = std::fs::read_to_string(scene.path("all.log")).unwrap();
    assert!(log.lines().count() > 30, "{log}");
    has_no_secret(&log);
    assert_eq!(mode(&scene.path("all.log")), 0o600);
    assert_eq!(mode(&last), 0o600);
}

#[test]
fn no_secret_of_an_account_is_logged_where_accounts_are_made_and_changed() {
    let it = HarborScene::start();
    let to = format!("http://{}", it.harbor.host());
    let admin = it.harbor.admin_credentials().secret;
    let mut secrets = vec![admin];
    let mut shown = String::new();
    let logged = ["-vv", "--log-file", "all.log"];
    for words in [
        &["harbor", "bootstrap", "--to", &to, "--bundle", "b.tar", "--trust", "key.pub"][..],
        &["harbor", "rotate", "importer", "tenant-a", "--to", &to],
        &["harbor", "bootstrap", "--to", &to, "--project", "tenant-b"],
    ] {
        let ran = it.bundle(&[words, &logged].concat()).succeeds();
        shown.push_str(&(ran.stdout + &ran.stderr));
        // Each that was ever written: the account as Docker has it, and the Kubernetes secrets.
        for entry in std::fs::read_dir(it.scene.path("harbor-secrets")).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '=');
            secrets.extend(words.filter(|word| word.len() > 30).map(str::to_owned));
        }
    }
    let login = std::fs::read_to_string(it.scene.path("harbor-secrets/importer.json")).unwrap();
    let login: Value = serde_json::from_str(&login).unwrap();
    let auth = login["auths"][it.harbor.host()]["auth"].as_str().unwrap();
    let decoded = it.scene.shell(&format!("printf %s '{auth}' | base64 -d")).succeeds().stdout;
    secrets.push(decoded.split_once(':').unwrap().1.to_owned());
    assert!(secrets.len() > 4, "{secrets:?}");
    let log = std::fs::read_to_string(it.scene.path("all.log")).unwrap();
    for text in [&shown, &log] {
        assert!(text.contains("harbor: changed host=") && text.contains("path=/api/v2.0/robots"), "{text}");
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} is in\n{text}");
        }
    }
}

#[test]
fn what_is_served_is_logged_without_what_clients_log_in_with() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene.shell("htpasswd -BbnC 4 puller never-logged > users").succeeds();
    let logged = ["-vv", "--log-file", "all.log"];
    let arguments = [&["b.tar", "--trust", "key.pub", "--auth", "users"][..], &logged].concat();
    let mut served = Served::with(&scene, &arguments);
    let host = served.host().to_owned();
    scene
        .shell(&format!(
            "curl -sf -u puller:never-logged 'http://{host}/v2/team/multi/tags/list?n=1&token=never-logged'"
        ))
        .succeeds();
    // It is in the file before it is on standard error.
    let mut said = String::new();
    while !said.contains("serve: request ") {
        let line = served.says();
        assert!(!line.is_empty(), "{said}");
        said.push_str(&line);
    }
    let log = std::fs::read_to_string(scene.path("all.log")).unwrap();
    for text in [&said, &log] {
        let request = text.lines().find(|line| line.contains("serve: request ")).unwrap();
        assert!(request.contains(" path=/v2/team/multi/tags/list status=200 "), "{request}");
        assert!(!text.contains("never-logged"), "{text}");
    }
    assert!(log.contains("b.tar: "), "what is served is in the log too\n{log}");
}

fn mode(path: &std::path::Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}

#[test]
fn a_run_is_logged_as_it_was_asked_for_and_says_nothing_more_without() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    let run = |state: &str, more: &[&str], variable: Option<&str>| {
        let import = ["import", "b.tar", "--to", proxy.host(), "--trust", "key.pub", "--state", state];
        let mut command = scene.command(import.iter().chain(more));
        if let Some(value) = variable {
            command.env("BUNDLE_LOG", value);
        }
        Ran::from(command.output().unwrap())
    };
    let plain = run("one", &[], None).succeeds();
    assert!(!plain.stderr.contains(" INFO ") && !plain.stderr.contains(" DEBUG "), "{}", plain.stderr);
    let info = run("two", &["-v"], None).succeeds();
    assert!(info.stderr.contains("importer: bundle opened stream=default"), "{}", info.stderr);
    assert!(info.stderr.contains("importer: present already target="), "{}", info.stderr);
    assert!(!info.stderr.contains("method="), "{}", info.stderr);
    // What is printed without -v is printed with it, too, and the result stays the same.
    let first = |ran: &Ran| ran.stdout.split(", in ").next().unwrap_or_default().to_owned();
    assert_eq!(first(&run("three", &[], None)), first(&info));
    let debug = run("four", &["-vv"], None).succeeds();
    assert!(debug.stderr.contains("registry: request ") && debug.stderr.contains("ms="), "{}", debug.stderr);
    let only = run("five", &[], Some("registry=debug")).succeeds();
    assert!(
        only.stderr.contains("registry: request ") && !only.stderr.contains("importer: "),
        "{}",
        only.stderr
    );
    // The option takes precedence.
    assert!(!run("six", &["-v"], Some("debug")).succeeds().stderr.contains("method="));
    run("six", &[], Some("loud")).ends_with(2).says("BUNDLE_LOG: the levels are");

    let json = run("seven", &["-vv", "--log-format", "json"], None).succeeds();
    let mut requests = 0;
    for line in json.stderr.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            line["time"].is_string() && line["level"].is_string() && line["message"].is_string(),
            "{line}"
        );
        if line["message"] == "request" {
            assert!(line["status"].is_u64() && line["ms"].is_u64() && line["path"].is_string(), "{line}");
            requests += 1;
        }
    }
    assert!(requests > 3, "{}", json.stderr);
    let failed = run("eight", &["--log-format", "json", "--project", "absent"], None).ends_with(2);
    let line: Value = serde_json::from_str(failed.stderr.lines().next().unwrap()).unwrap();
    assert_eq!(line["level"], "error", "{line}");

    // A retry says why, and what is retried.
    proxy.add(Rule::new(Matcher::new("HEAD", "/v2/"), Fault::status(503)).once());
    let retried = run("nine", &["-v"], None).succeeds();
    let retry = retried.stderr.lines().find(|line| line.contains("registry: retry ")).unwrap_or_default();
    assert!(retry.contains("HTTP 503") && retry.contains("wait_ms="), "{}", retried.stderr);
}

#[test]
fn quiet_says_errors_only_and_keeps_the_result() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let import = ["import", "b.tar", "--to", target.host(), "--trust", "key.pub", "--state", "s", "-q"];
    let ran = scene.bundle(import).succeeds();
    assert_eq!(ran.stderr, "");
    assert!(!ran.stdout.is_empty());
    let ran = scene.bundle(["verify", "absent.tar", "--trust", "key.pub", "-q"]).ends_with(2);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    scene.bundle(["verify", "b.tar", "-q", "-v"]).ends_with(2);
    // With a bundle on standard output, its report is on standard error, and is the result.
    let image = format!("{}/team/multi:1", scene.source.host());
    let ran = scene.shell(&format!("$BUNDLE create {image} --key key -o - -q | wc -c")).succeeds();
    assert!(ran.stderr.contains("artifact"), "{}", ran.stderr);
}

/// The archive has what it says, and nothing that was a secret in the environment, in files or in answers.
#[test]
fn a_support_archive_says_what_is_in_it_and_has_no_secret() {
    let scene = Scene::empty();
    let client = scene.source.client();
    client.push("team/leak", "1", &ImageSpec::oci().label("n", "leak").build()).unwrap();
    let front = echoing(scene.source.host());
    let host = front.host();
    let sync = "export: {file: bundle.yaml, signCommand: 'sign --pin never-logged-pin', publicKey: key.pub, outbox: out, \
                receipts: back, receiptTrust: [key.pub], state: state, status: status.json}\n";
    std::fs::write(scene.path("sync.yaml"), sync).unwrap();
    let status = |token: &str| {
        format!(
            "{{\"statusVersion\":1,\"ended\":\"2026-01-01T00:00:00Z\",\"exitCode\":4,{token}\"error\":\"https://u:{PASSWORD}@h\",\
             \"status\":{{\"stream\":\"s\",\"last\":null,\"arrived\":null,\"underWay\":0,\"outboxBytes\":0,\"succeeded\":null,\
             \"missing\":[]}}}}"
        )
    };
    std::fs::write(scene.path("status.json"), status(&format!("\"token\":\"{PASSWORD}\","))).unwrap();
    let private = std::fs::read_to_string(scene.path("key")).unwrap();
    let login =
        format!("{{\"auths\":{{\"{host}\":{{\"username\":\"{USER}\",\"password\":\"{PASSWORD}\"}}}}}}");
    std::fs::create_dir_all(scene.path(".docker")).unwrap();
    std::fs::write(scene.path(".docker/config.json"), login).unwrap();
    with_account(&scene, &format!("create {host}/team/leak:1 --key key -o leak.tar --retries 0"))
        .ends_with(4);
    let report = with_account(&scene, "support -o s.tar.gz --config sync.yaml --json").succeeds().json();
    let listed: Vec<&str> =
        report["entries"].as_array().unwrap().iter().map(|each| each["path"].as_str().unwrap()).collect();
    assert_eq!(listed, ["version.txt", "config.json", "system.txt", "last-failed.log", "export-status.json"]);
    let unpacked = scene.shell("tar xzf s.tar.gz && cat bundle-support/*").succeeds().stdout;
    assert!(unpacked.contains("/v2/***/blobs/x") && unpacked.contains("BUNDLE_PASSWORD"), "{unpacked}");
    assert!(unpacked.contains("\"exitCode\": 4") && unpacked.contains("MemTotal"), "{unpacked}");
    has_no_secret(&unpacked);
    let body = private.lines().nth(1).unwrap();
    assert!(
        body.len() > 20 && !unpacked.contains(body) && !unpacked.contains("never-logged-pin"),
        "{unpacked}"
    );
    let files = scene.shell("cd bundle-support && ls").succeeds().stdout;
    assert!(listed.iter().all(|name| files.contains(name)) && files.contains("contents.txt"), "{files}");
    assert_eq!(mode(&scene.path("s.tar.gz")), 0o600);
    with_account(&scene, "support -o s.tar.gz").ends_with(2).says("choose another name");
}

/// It is made where something is wrong, by root too, of directories in which others write.
#[test]
fn a_support_archive_is_made_where_files_are_wrong_and_follows_no_link() {
    let scene = Scene::empty();
    let unpack = "rm -rf bundle-support && tar xzf s.tar.gz && rm s.tar.gz && cat bundle-support/*";
    let sync = "import: {inbox: in, to: harbor.example, trust: key.pub, receipts: out, receiptKey: key, site: s, state: state, \
                status: st/status.json}\n";
    std::fs::write(scene.path("sync.yaml"), sync).unwrap();
    scene.shell("mkdir -p st .local/state/bundle && echo root:x:0 >secret").succeeds();
    scene
        .shell("ln -s ../secret st/status.json && ln -s ../../../secret .local/state/bundle/last-failed.log")
        .succeeds();
    let ran = scene.bundle(["support", "-o", "s.tar.gz", "--config", "sync.yaml"]).succeeds();
    ran.says("status.json is left out").says("last-failed.log is left out");
    let unpacked = scene.shell(unpack).succeeds().stdout;
    assert!(!unpacked.contains("root:x:0") && unpacked.contains("status.json is left out"), "{unpacked}");
    scene.shell("rm st/status.json && cp secret st/status.json").succeeds();
    let ran = scene.bundle(["support", "-o", "s.tar.gz", "--config", "sync.yaml"]).succeeds();
    ran.says("it is not a file that this program wrote");
    assert!(!scene.shell(unpack).succeeds().stdout.contains("root:x:0"));
    // A configuration that is wrong is what people ask about.
    std::fs::write(scene.path("sync.yaml"), "imports: {}\n").unwrap();
    std::fs::create_dir_all(scene.path(".config/bundle")).unwrap();
    std::fs::write(scene.path(".config/bundle/config.yaml"), "caFiles: x\n").unwrap();
    scene.bundle(["support", "-o", "s.tar.gz", "--config", "sync.yaml"]).succeeds();
    let unpacked = scene.shell(unpack).succeeds().stdout;
    for wrong in ["sync.yaml:1:1: unknown field 'imports'", "unknown field 'caFiles'"] {
        assert!(unpacked.contains(wrong), "{unpacked}");
    }
}
