//! `bundle doctor`: a site that is ready, and each thing that keeps it from being so.
//! Against the double of Harbor, `bundle serve` with certificates of all kinds, and a `kubectl` of the test's own.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use bundle_test_servers::{Fault, Matcher, RequestHead, Response, Robot, Rule};

use crate::harbor::scene::HarborScene;
use crate::scene::{Ran, Scene};
use crate::serve::served::Served;

const TENANT: &str = "\
projects:
  cache:
    images: [SOURCE/team/base:1]
  tenants:
    team-a:
      images: [SOURCE/team/app:1]
";

/// A site that `bootstrap` has set up.
fn site() -> HarborScene {
    let it = HarborScene::empty();
    it.push_image("team/base", "1", 1);
    it.push_image("team/app", "1", 2);
    it.create(TENANT, "b.tar");
    it.bundle(&["trust", "add", "key.pub", "--name", "ops"]).succeeds();
    let to = format!("http://{}", it.harbor.host());
    it.bundle(&["harbor", "bootstrap", "--to", &to, "--bundle", "b.tar"]).succeeds();
    it
}

impl HarborScene {
    /// Runs the doctor as the importer, with the test's `kubectl` before any other.
    fn doctor(&self, more: &str) -> Ran {
        self.scene.shell(&format!(
            "PATH=$PWD/bin:$PATH $BUNDLE doctor --to http://{} --credentials harbor-secrets/importer.json \
             --bundle b.tar {more}",
            self.harbor.host()
        ))
    }

    /// Puts a `kubectl` into place that prints a file for each question: `namespaces`, and a secret's name.
    fn kubectl(&self, namespaces: &str, secret: &str) {
        self.scene.shell("mkdir -p bin").succeeds();
        self.write("bin/namespaces", namespaces);
        self.write("bin/secret", secret);
        let script = "#!/bin/sh\n\
            case \"$2\" in namespaces) cat \"$(dirname \"$0\")/namespaces\" ;; \
            secret) cat \"$(dirname \"$0\")/secret\" ;; \
            configmap) cat \"$(dirname \"$0\")/coredns\" ;; *) exit 1 ;; esac\n";
        self.write("bin/coredns", "{}");
        self.write("bin/kubectl", script);
        self.scene.shell("chmod +x bin/kubectl").succeeds();
    }

    /// The pull secret that `bootstrap` wrote for the tenant, as `kubectl get --output json` prints it.
    fn applied_secret(&self, kind: &str) -> String {
        let text = std::fs::read_to_string(self.scene.path("harbor-secrets/team-a.yaml")).unwrap();
        let mut secret: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        secret["type"] = kind.into();
        secret.to_string()
    }
}

/// The check of a name in a report.
fn check<'a>(report: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let all = report["checks"].as_array().unwrap();
    all.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

#[test]
fn a_site_that_is_ready_passes_every_check_and_nothing_is_changed() {
    let it = site();
    it.kubectl("namespace/default\nnamespace/team-a\n", &it.applied_secret("kubernetes.io/dockerconfigjson"));
    let now = "Date".to_owned();
    let date = it.scene.shell("LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT'").succeeds().stdout;
    it.harbor.faults().add(Rule::new(Matcher::any(), Fault::SetHeader(now, date.trim().to_owned())));
    it.harbor.forget_requests();
    let report = it.doctor("--cluster --json").succeeds().json();
    assert_eq!((&report["failed"], &report["warnings"]), (&0.into(), &0.into()), "{report:#}");
    for name in [
        "trust",
        "bundle",
        "secret-file",
        "name",
        "connection",
        "clock",
        "registry",
        "health",
        "account",
        "version",
        "projects",
        "request-size",
        "cluster",
        "pull-secret",
    ] {
        assert_eq!(check(&report, name)["outcome"], "ok", "{report:#}");
    }
    // Why not, for each that was not run.
    for (name, why) in [
        ("certificate", "plain HTTP"),
        ("storage", "Harbor tells administrators only"),
        ("request-time", "not asked for"),
    ] {
        let check = check(&report, name);
        assert_eq!((&check["outcome"], &check["message"]), (&"not-run".into(), &why.into()));
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(it.asked(method, ""), 0, "{method}");
    }
    // The announced upload that tests the size limit has no account, and is refused.
    let announced: Vec<_> = it.harbor.requests().into_iter().filter(|it| it.method == "PATCH").collect();
    assert!(announced.iter().all(|it| it.identity.is_empty() && it.status >= 400), "{announced:?}");
    assert!(it.harbor.open_uploads().is_empty());
    // For people, the same in lines.
    it.doctor("--cluster")
        .succeeds()
        .says("ok       version      ")
        .says("ok       pull-secret  harbor-registry in team-a: for ")
        .says("0 failed");
}

#[test]
fn a_clock_that_is_off_warns_and_then_fails() {
    let it = site();
    let answer = |when: &str| {
        let date = it.scene.shell(&format!("LC_ALL=C date -u -d '{when}' '+%a, %d %b %Y %H:%M:%S GMT'"));
        it.harbor.faults().clear_rules();
        let header = Fault::SetHeader("Date".to_owned(), date.succeeds().stdout.trim().to_owned());
        it.harbor.faults().add(Rule::new(Matcher::any(), header));
    };
    answer("3 minutes ago");
    let report = it.doctor("--json").succeeds().json();
    assert_eq!(check(&report, "clock")["outcome"], "warning", "{report:#}");
    answer("2 hours");
    let ran = it.doctor("--json").ends_with(3);
    let report = ran.json();
    assert_eq!(check(&report, "clock")["id"], "clock", "{report:#}");
    assert!(ran.stderr.contains("\"id\":\"clock\""), "{}", ran.stderr);
    it.doctor("").ends_with(3).says("behind that of the registry").says("do: set the clock of this machine");
}

#[test]
fn a_name_that_nobody_knows_and_a_host_that_does_not_answer_are_told_apart() {
    let it = site();
    let doctor = |to: &str| it.scene.shell(&format!("PATH=$PWD/bin:$PATH $BUNDLE doctor --to {to} --json"));
    let ran = doctor("https://harbor.invalid").ends_with(4);
    assert_eq!(check(&ran.json(), "name")["id"], "unknown-host");
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = doctor(&format!("https://127.0.0.1:{port}")).ends_with(4);
    let report = ran.json();
    assert_eq!(
        (&check(&report, "name")["outcome"], &check(&report, "connection")["id"]),
        (&"ok".into(), &"unreachable".into())
    );
}

#[test]
fn what_harbor_says_of_itself_is_passed_on() {
    let it = site();
    it.harbor.set_unhealthy("jobservice", "dial tcp: connection refused");
    it.doctor("").ends_with(4).says("jobservice (dial tcp: connection refused)");
    let it = site();
    it.harbor.set_read_only(true);
    it.doctor("").ends_with(5).says("Harbor is in read-only mode");
    let it = site();
    it.harbor.set_volume(10_000, 5_000);
    let admin = it.harbor.admin_credentials();
    let as_admin = |bundle: &str| {
        it.scene.shell(&format!(
            "BUNDLE_USERNAME={} BUNDLE_PASSWORD={} $BUNDLE doctor --to http://{} {bundle} --json",
            admin.name,
            admin.secret,
            it.harbor.host()
        ))
    };
    let report = as_admin("--bundle b.tar").succeeds().json();
    assert_eq!(check(&report, "storage")["outcome"], "warning", "{report:#}");
    let report = as_admin("").succeeds().json();
    assert!(
        check(&report, "storage")["message"].as_str().unwrap().starts_with("4.9 KiB free of 9.8 KiB"),
        "{report:#}"
    );
}

#[test]
fn an_account_that_may_not_import_fails_and_none_at_all_is_not_looked_at() {
    let it = site();
    it.harbor.expire_robot("robot$bundle-importer");
    let report = it.doctor("--json").ends_with(4).json();
    assert_eq!(check(&report, "account")["id"], "unauthorized", "{report:#}");
    assert_eq!(check(&report, "projects")["outcome"], "not-run");
    // A file that others can read is not used, and the rest is looked at all the same.
    it.scene.shell("chmod 644 harbor-secrets/importer.json").succeeds();
    let report = it.doctor("--json").ends_with(2).json();
    assert_eq!(check(&report, "secret-file")["id"], "file-open-to-all", "{report:#}");
    assert_eq!(check(&report, "account")["id"], "file-open-to-all", "{report:#}");
    assert_eq!(check(&report, "health")["outcome"], "ok", "{report:#}");
    let robot = it.harbor.add_robot(Robot::of_system("half").in_project("cache", &["project:read"]));
    let ran = it.bundle_as(&robot, &["doctor", "--to", &format!("http://{}", it.harbor.host())]);
    ran.ends_with(5).says("this account lacks repository:pull");
    let ran = it.scene.bundle(["doctor", "--json", "--to", &format!("http://{}", it.harbor.host())]);
    let report = ran.succeeds().json();
    assert_eq!(check(&report, "account")["message"], "no account was given");
}

#[test]
fn a_pull_secret_that_pods_could_not_use_is_named() {
    let it = site();
    let doctor = |namespaces: &str, secret: &str| {
        it.kubectl(namespaces, secret);
        it.doctor("--json")
    };
    let (both, right) = ("namespace/team-a\n", it.applied_secret("kubernetes.io/dockerconfigjson"));
    doctor(both, &right).succeeds();
    // Harbor's chart, released as `harbor`, makes one of this name and of no use to pods.
    for (secret, says) in [
        (it.applied_secret("Opaque"), "it is of the type Opaque"),
        (String::new(), "there is no such secret"),
        (right.replace(".dockerconfigjson", "other"), "it is for no host"),
    ] {
        let ran = doctor(both, &secret).ends_with(6);
        let report = ran.json();
        let found = check(&report, "pull-secret");
        assert_eq!(found["id"], "pull-secret", "{report:#}");
        assert!(found["message"].as_str().unwrap().starts_with(says), "{report:#}");
        assert!(!ran.stdout.contains("auths"), "{}", ran.stdout);
    }
    let report = doctor("namespace/default\n", &right).succeeds().json();
    assert_eq!(check(&report, "pull-secret")["outcome"], "warning", "{report:#}");
    // Without a cluster the check is not run, unless there must be one.
    it.write("bin/kubectl", "#!/bin/sh\necho 'connection refused' >&2\nexit 1\n");
    let report = it.doctor("--json").succeeds().json();
    assert_eq!(check(&report, "cluster")["outcome"], "not-run", "{report:#}");
    it.doctor("--cluster").ends_with(1).says("kubectl failed: connection refused");
    it.write("bin/kubectl", "#!/bin/sh\nexec yes\n");
    it.doctor("--cluster").ends_with(1).says("kubectl printed more than ");
}

#[test]
fn keys_files_and_disks_of_the_jobs_are_looked_at() {
    let it = site();
    it.bundle(&["key", "generate", "site.key"]).succeeds();
    it.scene.shell("mkdir inbox").succeeds();
    let to = format!("http://{}", it.harbor.host());
    it.write(
        "sync.yaml",
        &format!(
            "import:\n  inbox: inbox\n  to: {to}\n  receipts: out\n  receiptKey: site.key\n  site: plant\n  state: state\n"
        ),
    );
    let doctor = || {
        it.scene.shell("$BUNDLE doctor --config sync.yaml --credentials harbor-secrets/importer.json --json")
    };
    let report = doctor().succeeds().json();
    assert_eq!(check(&report, "space")["outcome"], "ok", "{report:#}");
    it.scene.shell("chmod 644 site.key").succeeds();
    let ran = doctor().ends_with(2).says("site.key can be read by others (mode 0644)");
    assert!(ran.stderr.contains("\"id\":\"file-open-to-all\""), "{}", ran.stderr);
    it.scene.shell("chmod 600 site.key && rm -r inbox && rm .config/bundle/trust.yaml").succeeds();
    let report = doctor().ends_with(2).json();
    assert_eq!(check(&report, "trust")["id"], "no-trusted-key", "{report:#}");
    assert_eq!(check(&report, "space")["id"], "file-unreadable", "{report:#}");
}

#[test]
fn a_node_whose_files_are_not_as_they_should_be_fails() {
    let it = site();
    let host = it.harbor.host();
    it.scene
        .shell(&format!(
            "mkdir -p node/etc/rancher/k3s && $BUNDLE mirror-config b.tar --for k3s --registry {host} \
             --plain-http --all-registries -o files && cp -r files/. node/"
        ))
        .succeeds();
    it.doctor("--root node").succeeds().says("ok       node         node: ");
    it.scene.shell("echo '  other: {}' >> node/etc/rancher/k3s/registries.yaml").succeeds();
    it.doctor("--root node")
        .ends_with(6)
        .says("registries.yaml: differs, from line")
        .says("do: write the files anew with `bundle mirror-config");
}

#[test]
fn an_ingress_that_ends_long_uploads_is_found_and_the_upload_is_taken_back() {
    let it = site();
    let admin = it.harbor.admin_credentials();
    let to = format!("http://{}", it.harbor.host());
    let doctor = |seconds| it.bundle_as(&admin, &["doctor", "--to", &to, "--ingress-time", seconds]);
    doctor("2").succeeds().says("an upload may take 2 seconds");
    assert!(it.harbor.open_uploads().is_empty(), "{:?}", it.harbor.open_uploads());
    let cut = Rule::new(Matcher::new("PATCH", "/v2/cache/bundle-doctor/"), Fault::ResetUploadAfter(1_500));
    it.harbor.faults().add(cut);
    doctor("30").ends_with(4).says("an upload was ended after").says("readTimeout");
    assert!(it.harbor.open_uploads().is_empty(), "{:?}", it.harbor.open_uploads());
    assert!(it.harbor.artifact("cache/bundle-doctor", "latest").is_none());
}

#[test]
fn a_name_that_leads_pods_and_nodes_elsewhere_is_told() {
    let it = site();
    it.kubectl("namespace/team-a\n", &it.applied_secret("kubernetes.io/dockerconfigjson"));
    let corefile = |address: &str| {
        let hosts = format!("localhost:53 {{\n  hosts {{\n    {address} localhost\n  }}\n}}\n");
        let map = serde_json::json!({"kind": "ConfigMap", "data": {"site.server": hosts}});
        let list =
            serde_json::json!({"kind": "List", "items": [{"data": {"NodeHosts": "10.0.0.1 node1"}}, map]});
        it.write("bin/coredns", &list.to_string());
    };
    it.scene.shell("mkdir -p node/etc/rancher/k3s && echo '10.9.9.9 localhost' > node/etc/hosts").succeeds();
    let port = it.harbor.host().rsplit_once(':').unwrap().1.to_owned();
    let doctor = || {
        let ran = it.scene.shell(&format!(
            "PATH=$PWD/bin:$PATH $BUNDLE doctor --to http://localhost:{port} --pull-host {} --root node --json",
            it.harbor.host()
        ));
        ran.succeeds().json()
    };
    corefile("10.9.9.9");
    let report = doctor();
    for name in ["pod-name", "node-name"] {
        let check = check(&report, name);
        assert_eq!(check["outcome"], "warning", "{report:#}");
        assert!(check["message"].as_str().unwrap().starts_with("it is 10.9.9.9 there, and "), "{report:#}");
    }
    corefile("127.0.0.1");
    assert_eq!(check(&doctor(), "pod-name")["outcome"], "ok");
    // Known here by a file, which pods do not read.
    it.write("bin/coredns", "{\"kind\": \"ConfigMap\", \"data\": {\"NodeHosts\": \"10.0.0.1 node1\"}}");
    let report = doctor();
    assert!(
        check(&report, "pod-name")["message"].as_str().unwrap().contains("pods may not find it"),
        "{report:#}"
    );
}

/// A registry behind an nginx with a limit on the size of requests: refuses by the head alone, as
/// `ngx_http_core_module` does with `client_max_body_size`, before it reads any of the body.
fn behind_a_size_limit(otherwise: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            std::thread::spawn(move || answer(&stream, otherwise));
        }
    });
    host
}

fn answer(stream: &TcpStream, otherwise: &str) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let status = match (length, head.starts_with("GET /v2/ ")) {
        (Some(1_048_577_u64..), _) => "413 Request Entity Too Large",
        (_, true) => "200 OK",
        _ if head.starts_with("PATCH ") => otherwise,
        _ => "404 Not Found",
    };
    write!(&*stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()
}

#[test]
fn a_limit_on_the_size_of_requests_is_found_without_sending_one() {
    let it = site();
    let doctor = |more: &str| {
        let host = behind_a_size_limit("404 Not Found");
        it.scene.shell(&format!("$BUNDLE doctor --to http://{host} {more}"))
    };
    doctor("")
        .ends_with(4)
        .says("a request of 10.0 GiB is refused by its size (HTTP 413)")
        .says("proxy-body-size");
    // All layers of this bundle are smaller than the limit.
    doctor("--bundle b.tar").succeeds().says("is not refused");
}

#[test]
fn a_size_counts_as_taken_by_a_registrys_answer_alone() {
    let it = site();
    for (answer, outcome) in [
        ("401 Unauthorized", "ok"),
        ("405 Method Not Allowed", "ok"),
        ("307 Temporary Redirect", "not-run"),
        ("200 OK", "not-run"),
        ("503 Service Unavailable", "not-run"),
    ] {
        let to = behind_a_size_limit(answer);
        let ran = it.scene.shell(&format!("$BUNDLE doctor --to http://{to} --bundle b.tar --json"));
        let report = ran.succeeds().json();
        let check = check(&report, "request-size");
        assert_eq!(check["outcome"], outcome, "{answer}: {report:#}");
        let says = check["message"].as_str().unwrap();
        assert_eq!(says.contains(&answer[..3]), outcome == "not-run", "{says}");
    }
}

#[test]
fn who_asks_for_nothing_or_for_what_is_not_there_gets_a_usage_error() {
    let it = site();
    let doctor = |more: &str| it.scene.shell(&format!("HOME=$PWD/nobody $BUNDLE doctor {more}"));
    doctor("").ends_with(2).says("nothing was checked").says("--to URL");
    doctor("--root absent").ends_with(2).says("absent is not a directory");
    doctor("--root .").ends_with(2).says("--root / needs --to and --bundle FILE");
    doctor("--cluster").ends_with(2).says("--cluster needs --to or --pull-host");
}

#[test]
fn what_harbor_repeats_of_the_account_is_not_printed() {
    let it = site();
    let echo = |head: &RequestHead| {
        let sent = head.headers.get("authorization")?.to_owned();
        let body = match head.path() {
            path if path.ends_with("/health") => serde_json::json!({
                "status": "unhealthy", "components": [{"name": "core", "status": "unhealthy", "error": sent}],
            }),
            path if path.ends_with("/systeminfo") => serde_json::json!({
                "harbor_version": sent, "registry_storage_provider_name": sent, "auth_mode": "db_auth",
            }),
            path if path.ends_with("/users/current") => serde_json::json!({
                "username": sent, "user_id": 1, "sysadmin_flag": true,
            }),
            _ => return None,
        };
        Some(Response::json(200, body.to_string()))
    };
    it.harbor.faults().add(Rule::new(Matcher::any(), Fault::Answer(std::sync::Arc::new(echo))));
    let admin = it.harbor.admin_credentials();
    let to = format!("http://{}", it.harbor.host());
    let pair = format!("{}:{}", admin.name, admin.secret);
    let encoded = it.scene.shell(&format!("printf %s '{pair}' | base64 -w0")).succeeds().stdout;
    assert!(encoded.len() > 8, "{encoded}");
    for command in [["doctor", "--to"], ["harbor", "check"]] {
        let mut arguments: Vec<&str> = command.to_vec();
        if arguments[0] == "harbor" {
            arguments.push("--to");
        }
        arguments.extend([to.as_str(), "--bundle", "b.tar"]);
        let ran = it.bundle_as(&admin, &arguments);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("Basic ***"), "{said}");
        assert!(!said.contains(encoded.trim()) && !said.contains(&admin.secret), "{said}");
    }
}

/// Certificates for 127.0.0.1: `good`; `leaf`, which is no authority's; `old`, whose time is over; and `other`, for
/// another name.
fn certificates(scene: &Scene) {
    let script = "\
        for name in good leaf old other; do \
          openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=$name -keyout $name.key -out $name.csr; \
        done; \
        names() { printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index\\nserial=serial\\nnew_certs_dir=.\\ndefault_md=sha256\\n\
policy=p\\nx509_extensions=e\\n[p]\\ncommonName=supplied\\n[e]\\nsubjectAltName=%s\\nbasicConstraints=critical,CA:%s\\n' \"$1\" \"$2\" > ca.cnf; \
          : > index; echo 01 > serial; }; \
        make() { names \"$2\" \"${5:-true}\"; openssl ca -batch -config ca.cnf -selfsign -keyfile $1.key -in $1.csr -startdate $3 -enddate $4 \
          -out $1.crt -notext; }; \
        make good IP:127.0.0.1 20200101000000Z 20490101000000Z && \
        make leaf IP:127.0.0.1 20200101000000Z 20490101000000Z false && \
        make old IP:127.0.0.1 20200101000000Z 20200201000000Z && \
        make other DNS:other.example 20200101000000Z 20490101000000Z";
    scene.shell(script).succeeds();
}

#[test]
fn a_certificate_that_is_not_trusted_says_why_and_one_that_is_until_when() {
    let it = site();
    certificates(&it.scene);
    let doctor = |name: &str, ca: &str| {
        let served = Served::with(
            &it.scene,
            &["b.tar", "--tls-cert", &format!("{name}.crt"), "--tls-key", &format!("{name}.key")],
        );
        it.scene.shell(&format!("$BUNDLE doctor --to https://{} --ca-file {ca}.crt", served.host()))
    };
    doctor("good", "good").succeeds().says("trusted, until 2049-01-01T00:00:00Z").says("not a Harbor");
    for (name, ca, says) in [
        ("leaf", "old", "not trusted: its issuer is unknown"),
        ("good", "old", "not trusted: it is signed by itself"),
        ("old", "old", "not trusted: it has expired (not after 2020-02-01T00:00:00Z; the clock here says "),
        ("other", "other", "not trusted: it is for another name"),
    ] {
        doctor(name, ca).ends_with(4).says(says).says("failed   certificate").says("1 failed");
    }
}
