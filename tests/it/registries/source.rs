//! A source registry that fails or lies. A fault proxy stands between; the bundle is right, or no bundle is
//! made.

use bundle_test_servers::{
    Direction, Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Response, Rule, sha256,
};

use crate::scene::{Ran, Scene};
use crate::serve::served::Served;

struct Faulty {
    scene: Scene,
    proxy: FaultProxy,
    expected: String,
}

/// An image with one layer of some megabytes, behind a proxy.
fn faulty() -> Faulty {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 3 << 20).uncompressed()).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    let faulty = Faulty { scene, proxy, expected: String::new() };
    faulty.create("whole.tar", &[]).succeeds();
    let expected = sha256(&std::fs::read(faulty.scene.path("whole.tar")).unwrap());
    faulty.proxy.clear();
    Faulty { expected, ..faulty }
}

impl Faulty {
    fn create(&self, output: &str, more: &[&str]) -> Ran {
        let mut arguments = Scene::create_arguments(&[format!("{}/team/app:1", self.proxy.host())], output);
        arguments.extend(more.iter().map(|&text| text.to_owned()));
        self.scene.bundle(arguments)
    }

    /// With this fault for a while, create still makes the same bytes.
    #[track_caller]
    fn survives(&self, rule: Rule) {
        self.proxy.clear_rules();
        self.proxy.add(rule);
        self.create("b.tar", &["--stall-timeout", "1"]).succeeds();
        assert_eq!(sha256(&std::fs::read(self.scene.path("b.tar")).unwrap()), self.expected);
        std::fs::remove_file(self.scene.path("b.tar")).unwrap();
    }

    /// With this fault for ever, create ends with this code, and nothing has the final name.
    #[track_caller]
    fn gives_up(&self, rule: Rule, code: i32, text: &str) {
        self.proxy.clear_rules();
        self.proxy.add(rule);
        self.create("b.tar", &["--stall-timeout", "1", "--retries", "2"]).ends_with(code).says(text);
        assert!(!self.scene.path("b.tar").exists());
        for leftover in [".b.tar.partial", ".b.tar.journal"] {
            let _ = std::fs::remove_file(self.scene.path(leftover));
        }
    }
}

fn layer() -> Matcher {
    // The layer is the only blob that is larger than a config.
    Matcher::new("GET", "/blobs/")
}

#[test]
fn a_fault_that_passes_is_survived() {
    let faulty = faulty();
    for fault in [
        Fault::ResetAfter(1 << 20),
        Fault::ResetAfter(0),
        Fault::StallAfter(1 << 20),
        Fault::StallAfter(0),
        Fault::status(503),
        Fault::status(429),
        Fault::Status(Response::new(429).with_header("Retry-After", "1")),
        Fault::status(500),
        Fault::Html(502),
        Fault::WrongBytes { at: 100 },
        Fault::LongerBy(10),
        Fault::ShorterBy(10),
        Fault::LyingLength(10),
        Fault::LyingLength(-10),
        Fault::EndlessBody,
    ] {
        let name = format!("{fault:?}");
        eprintln!("{name}");
        faulty.survives(Rule::new(layer(), fault).once());
    }
    faulty.survives(Rule::new(Matcher::new("GET", "/manifests/"), Fault::status(503)).once());
    faulty.survives(Rule::new(Matcher::new("GET", "/manifests/"), Fault::ResetAfter(10)).once());
}

#[test]
fn a_layer_that_broke_in_the_middle_is_resumed_there() {
    let faulty = faulty();
    faulty.proxy.add(Rule::new(layer(), Fault::ResetAfter(2 << 20)).after(1).once());
    faulty.create("b.tar", &[]).succeeds();
    let ranges: Vec<String> = faulty
        .proxy
        .requests()
        .iter()
        .filter_map(|request| request.headers.get("Range").map(str::to_owned))
        .collect();
    assert_eq!(ranges.len(), 1, "{ranges:?}");
    let fetched = faulty.proxy.bytes(Direction::Download);
    assert!(fetched < (3 << 20) + (1 << 20), "{fetched} bytes were fetched");
}

#[test]
fn a_registry_that_ignores_ranges_is_survived() {
    let faulty = faulty();
    faulty.proxy.add(Rule::new(layer(), Fault::IgnoreRange));
    faulty.proxy.add(Rule::new(layer(), Fault::ResetAfter(1 << 20)).after(1).once());
    faulty.create("b.tar", &[]).succeeds();
    assert_eq!(sha256(&std::fs::read(faulty.scene.path("b.tar")).unwrap()), faulty.expected);
}

#[test]
fn a_fault_that_stays_ends_with_its_own_code_and_no_file() {
    let faulty = faulty();
    let any = || Matcher::path("/v2/");
    for (rule, text) in [
        (Rule::new(layer(), Fault::WrongBytes { at: 5 }), "whose digest is"),
        (Rule::new(layer(), Fault::EndlessBody), "more than"),
        (Rule::new(layer(), Fault::StallAfter(10)), "sent nothing for 1 seconds"),
        (Rule::new(any(), Fault::status(503)), "HTTP 503"),
        (Rule::new(any(), Fault::status(401)), "asks for credentials"),
        (Rule::new(any(), Fault::status(403)), "does not allow it"),
        (Rule::new(any(), Fault::status(429)), "has a rate limit that is exceeded"),
        (Rule::new(any(), Fault::Html(404)), "HTTP 404"),
        (Rule::new(layer(), Fault::SetHeader("Content-Encoding".into(), "gzip".into())), "compresses"),
        (
            Rule::new(layer(), Fault::Redirect { url: "http://169.254.169.254/x".into(), code: 307 }),
            "is not followed",
        ),
        (
            Rule::new(layer(), Fault::Redirect { url: "file:///etc/passwd".into(), code: 307 }),
            "is not followed",
        ),
    ] {
        eprintln!("{text}");
        faulty.gives_up(rule, 4, text);
    }
}

#[test]
fn a_mirror_that_sends_wrong_bytes_is_left_for_the_registry() {
    let Faulty { scene, proxy: mirror, .. } = faulty();
    let origin = scene.source.host();
    let reference = format!("{origin}/team/app:1");
    let through = format!("--mirror={origin}={}", mirror.host());
    let create = |output: &str, more: &[&str]| {
        let mut arguments = Scene::create_arguments(std::slice::from_ref(&reference), output);
        arguments.extend(more.iter().map(|&text| text.to_owned()));
        scene.bundle(arguments)
    };
    create("whole.tar.2", &[]).succeeds();
    mirror.add(Rule::new(layer(), Fault::WrongBytes { at: 5 }));
    create("b.tar", &[&through]).succeeds().says("whose digest is");
    let read = |name: &str| std::fs::read(scene.path(name)).unwrap();
    assert!(read("b.tar") == read("whole.tar.2"));
    // Bytes that went down a pipe cannot be taken back, but the error names the faulty registry.
    create("-", &[&through]).ends_with(4).says(&format!("{} sent bytes", mirror.host()));
}

#[test]
fn a_referrer_that_is_listed_and_absent_is_named_and_holds_nothing_up() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    let referrer = image.referrer("application/spdx+json", b"{}");
    let client = scene.source.client();
    client.push("team/app", "1", &image).unwrap();
    client.push_referrers("team/app", &image, std::slice::from_ref(&referrer)).unwrap();
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    proxy.add(Rule::new(Matcher::path(&format!("/manifests/{}", referrer.digest)), Fault::status(404)));
    let mut arguments = Scene::create_arguments(&[format!("{}/team/app:1", proxy.host())], "b.tar");
    scene
        .bundle(&arguments)
        .succeeds()
        .says(&format!("/team/app:1: the referrer {} is not carried", referrer.digest))
        .says("HTTP 404");
    proxy.clear_rules();
    proxy.add(Rule::new(Matcher::path("/referrers/"), Fault::status(403)));
    std::fs::remove_file(scene.path("b.tar")).unwrap();
    scene.bundle(&arguments).succeeds().says("/team/app:1: its referrers are not known").says("HTTP 403");
    std::fs::remove_file(scene.path("b.tar")).unwrap();
    arguments.push("--no-referrers".to_owned());
    scene.bundle(&arguments).succeeds();
}

#[test]
fn a_credential_helper_that_fails_is_started_once() {
    let scene = Scene::empty();
    let registry = bundle_test_servers::DockerRegistry::options().basic_auth("user", "pass").start().unwrap();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    let names = ["team/a", "team/b", "team/c"];
    for name in names {
        registry.client().push(name, "1", &image).unwrap();
    }
    std::fs::create_dir(scene.path("bin")).unwrap();
    let helper = "#!/bin/sh\necho once >> started\nexit 1\n";
    std::fs::write(scene.path("bin/docker-credential-broken"), helper).unwrap();
    let auth = serde_json::json!({"credHelpers": {registry.host(): "broken"}});
    std::fs::write(scene.path("auth.json"), auth.to_string()).unwrap();
    let references = names.map(|name| format!("{}/{name}:1", registry.host())).join(" ");
    scene
        .shell(&format!(
            "chmod +x bin/* && PATH=$PWD/bin:$PATH REGISTRY_AUTH_FILE=auth.json \
             $BUNDLE create {references} --key key -o b.tar"
        ))
        .ends_with(2)
        .says("credential helper docker-credential-broken failed");
    assert_eq!(std::fs::read_to_string(scene.path("started")).unwrap(), "once\n");
}

#[test]
fn credentials_never_follow_a_redirect() {
    let scene = Scene::empty();
    let registry =
        bundle_test_servers::DockerRegistry::options().basic_auth("user", "secret-word").start().unwrap();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 100_000)).build();
    registry.client().push("team/app", "1", &image).unwrap();
    let front = FaultProxy::start(registry.host()).unwrap();
    let elsewhere = FaultProxy::start(registry.host()).unwrap();
    let digest = image.blobs.last().unwrap().digest.clone();
    let url = format!("http://{}/v2/team/app/blobs/{digest}", elsewhere.host());
    front.add(Rule::new(Matcher::new("GET", &digest), Fault::Redirect { url, code: 307 }));
    let auth = serde_json::json!({"auths": {front.host(): {"auth": "dXNlcjpzZWNyZXQtd29yZA=="}}});
    std::fs::write(scene.path("auth.json"), auth.to_string()).unwrap();
    let mut command =
        scene.command(Scene::create_arguments(&[format!("{}/team/app:1", front.host())], "b.tar"));
    command.arg("--retries=0").env("REGISTRY_AUTH_FILE", scene.path("auth.json"));
    let ran = Ran::from(command.output().unwrap()).ends_with(4);
    assert!(!ran.stderr.contains("secret-word") && !ran.stderr.contains("dXNlcjp"), "{}", ran.stderr);
    let seen = elsewhere.requests();
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|request| request.headers.get("Authorization").is_none()));
    front.clear_rules();
    let mut command =
        scene.command(Scene::create_arguments(&[format!("{}/team/app:1", front.host())], "b.tar"));
    command.env("REGISTRY_AUTH_FILE", scene.path("auth.json"));
    Ran::from(command.output().unwrap()).succeeds();
}

#[test]
fn a_registrys_own_certificate_is_accepted_once_it_is_given() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    // As `openssl req -x509` makes them: authorities' certificates, which sign nothing but themselves.
    for (name, place) in [("own", "IP:127.0.0.1"), ("other", "DNS:registry.example")] {
        scene
            .shell(&format!(
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=test \
                 -addext subjectAltName={place} -keyout {name}.key -out {name}.crt"
            ))
            .succeeds();
    }
    let serve = |name: &str| {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        Served::with(&scene, &["b.tar", "--trust", "key.pub", "--tls-cert", &certificate, "--tls-key", &key])
    };
    let (own, other) = (serve("own"), serve("other"));
    let fetch = |served: &Served, certificates: &str, out: &str| {
        let reference = format!("{}/team/multi:1", served.host());
        let mut arguments = Scene::create_arguments(&[reference], out);
        arguments.extend(["--ca-file".to_owned(), certificates.to_owned()]);
        scene.bundle(arguments)
    };
    fetch(&own, "own.crt", "1.tar").succeeds();
    fetch(&own, "other.crt", "2.tar").ends_with(4).says("it is signed by itself").says("--ca-file FILE");
    fetch(&other, "other.crt", "3.tar").ends_with(4).says("it is for another name");
    // Where Docker and Podman look for it; the client's own certificate is read as well.
    let place = format!(".config/containers/certs.d/{}", own.host());
    std::fs::create_dir_all(scene.path(&place)).unwrap();
    for (from, to) in [("own.crt", "ca.crt"), ("own.crt", "client.cert"), ("own.key", "client.key")] {
        std::fs::copy(scene.path(from), scene.path(&format!("{place}/{to}"))).unwrap();
    }
    let arguments = |out: &str| Scene::create_arguments(&[format!("{}/team/multi:1", own.host())], out);
    scene.bundle(arguments("4.tar")).succeeds();
    std::fs::write(scene.path(&format!("{place}/client.key")), "no key").unwrap();
    scene.bundle(arguments("5.tar")).ends_with(2).says("client.key cannot be used");
}

#[test]
fn a_machine_without_authorities_speaks_plain_http_and_says_what_https_needs() {
    let scene = Scene::with_images();
    std::fs::write(scene.path("none.pem"), "").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = scene.command(arguments);
        Ran::from(command.env("SSL_CERT_FILE", "none.pem").env_remove("SSL_CERT_DIR").output().unwrap())
    };
    let image = format!("{}/team/multi:1", scene.source.host());
    run(&["create", &image, "--key", "key", "-o", "b.tar"]).succeeds();
    scene
        .shell(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=test \
             -addext subjectAltName=IP:127.0.0.1 -keyout own.key -out own.crt",
        )
        .succeeds();
    let served = Served::with(
        &scene,
        &["b.tar", "--trust", "key.pub", "--tls-cert", "own.crt", "--tls-key", "own.key"],
    );
    let to = format!("https://{}", served.host());
    let import = ["import", "b.tar", "--trust", "key.pub", "--to", &to, "--dry-run"];
    run(&import)
        .ends_with(4)
        .says("this machine has no CA certificates")
        .says("install the package ca-certificates, or give")
        .says("--ca-file FILE");
    run(&[&import[..], &["--ca-file", "own.crt"]].concat()).succeeds();
}

#[test]
fn registries_conf_says_where_a_name_is_read_from_and_what_is_blocked() {
    let scene = Scene::with_images();
    std::fs::create_dir_all(scene.path(".config/containers")).unwrap();
    let conf = format!(
        "[[registry]]\nprefix = \"docker.invalid/library\"\n[[registry.mirror]]\nlocation = \"{}/team\"\n\
         [[registry]]\nlocation = \"blocked.invalid\"\nblocked = true\n",
        scene.source.host()
    );
    std::fs::write(scene.path(".config/containers/registries.conf"), conf).unwrap();
    let create =
        |reference: &str, out: &str| scene.bundle(Scene::create_arguments(&[reference.to_owned()], out));
    create("docker.invalid/library/multi:1", "b.tar").succeeds();
    create("blocked.invalid/team/multi:1", "c.tar")
        .ends_with(5)
        .says("blocked.invalid is blocked for team/multi by registries.conf");
    std::fs::write(scene.path(".config/containers/registries.conf"), "[[registry]]\nprefix = 7\n").unwrap();
    create("docker.invalid/library/multi:1", "d.tar").ends_with(2).says("registries.conf: line 2");
}
