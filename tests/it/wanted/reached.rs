//! How a bundle.yaml says that registries are reached: mirrors, plain HTTP, certificates, credentials.
//! Takes registries that ask for logins and certificates; says what is asked and which setting counts.

use std::os::unix::fs::PermissionsExt;

use bundle_test_servers::{DockerRegistry, FaultProxy, ImageSpec, LayerSpec, base64};

use crate::scene::Scene;

/// Writes a bundle.yaml of one image below some settings.
fn want(scene: &Scene, settings: &str, image: &str) {
    let text = format!("{settings}\nprojects: {{cache: {{images: ['{image}']}}}}\n");
    std::fs::create_dir_all(scene.path("conf")).unwrap();
    std::fs::write(scene.path("conf/bundle.yaml"), text).unwrap();
}

const DRY: [&str; 4] = ["create", "-f", "conf/bundle.yaml", "--dry-run"];

fn push(registry: &DockerRegistry, repository: &str) {
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    registry.client().push(repository, "1", &image).unwrap();
}

#[test]
fn the_mirror_of_the_file_is_asked_unless_an_argument_names_another() {
    let scene = Scene::empty();
    push(&scene.source, "hub/team/app");
    push(&scene.source, "other/team/app");
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    let mirror = proxy.host();
    want(&scene, &format!("mirrors: {{registry.invalid: {mirror}/hub}}"), "registry.invalid/team/app:1");
    let asked = |arguments: &[&str]| {
        proxy.clear();
        scene.bundle([&DRY[..], &["--retries", "0"], arguments].concat()).succeeds();
        let requests = proxy.requests();
        let paths: Vec<String> = requests.iter().map(|request| request.path_and_query.clone()).collect();
        paths.join(" ")
    };
    assert!(asked(&[]).contains("/hub/team/app/manifests/1"));
    let other = asked(&["--mirror", &format!("registry.invalid={mirror}/other")]);
    assert!(other.contains("/other/team/app/manifests/1") && !other.contains("/hub/"), "{other}");
    // The other commands that look images up read the file in the same way.
    proxy.clear();
    scene.bundle(["lock", "-f", "conf/bundle.yaml", "--retries", "0"]).succeeds();
    assert!(!proxy.requests().is_empty());
    let config = "export:\n  file: conf/bundle.yaml\n  key: key\n  outbox: out\n  receipts: back\n  receiptTrust: [key.pub]\n  state: state\n";
    std::fs::write(scene.path("sync.yaml"), config).unwrap();
    scene.bundle(["sync", "export", "--retries", "0"]).succeeds().says("wrote bundle");
}

#[test]
fn the_credentials_of_the_file_count_after_the_argument_and_the_environment() {
    let scene = Scene::empty();
    let guarded = DockerRegistry::options().basic_auth("robot", "s3cret-of-mine").start().unwrap();
    push(&guarded, "team/app");
    let host = guarded.host();
    let login = |name: &str, password: &str| {
        let auth = base64(format!("robot:{password}").as_bytes());
        let path = scene.path(name);
        std::fs::write(&path, format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    want(&scene, "credentials: auth.json", &format!("{host}/team/app:1"));
    login("conf/auth.json", "s3cret-of-mine");
    login("wrong.json", "another-word");
    scene.bundle(DRY).succeeds();
    scene.bundle([&DRY[..], &["--credentials", "wrong.json"]].concat()).ends_with(4);
    let environment = |file: &str, arguments: &str| {
        scene.shell(&format!("REGISTRY_AUTH_FILE={file} $BUNDLE {} {arguments}", DRY.join(" ")))
    };
    environment("wrong.json", "").ends_with(4);
    environment("wrong.json", "--credentials conf/auth.json").succeeds();
    // A file that everybody can read, one that is missing, and one that is for no registry.
    scene.shell("chmod 644 conf/auth.json").succeeds();
    scene.bundle(DRY).ends_with(2).says("conf/auth.json can be read by everybody").says("chmod 600");
    std::fs::write(scene.path("conf/auth.json"), r#"{"name":"robot$x","secret":"s3cret-of-mine"}"#).unwrap();
    scene.shell("chmod 600 conf/auth.json").succeeds();
    let ran = scene.bundle(DRY).ends_with(2).says("does not say for which registry");
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    std::fs::remove_file(scene.path("conf/auth.json")).unwrap();
    scene.bundle(DRY).ends_with(2).says("conf/auth.json cannot be read");
    want(&scene, "credentials: 'robot:s3cret-of-mine'", &format!("{host}/team/app:1"));
    let ran =
        scene.bundle(DRY).ends_with(2).says("conf/bundle.yaml:1:14: credentials: must be the name of a file");
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
}

#[test]
fn a_registry_is_reached_without_encryption_and_certificates_are_trusted_if_the_file_says_so() {
    let scene = Scene::empty();
    want(&scene, "caFile: none.crt", "registry.invalid/team/app:1");
    scene.bundle(DRY).ends_with(2).says("conf/none.crt cannot be used");
    std::fs::write(scene.path("here.crt"), "no certificate\n").unwrap();
    scene
        .bundle([&DRY[..], &["--ca-file", "here.crt"]].concat())
        .ends_with(2)
        .says("here.crt cannot be used");
    // An address of this machine that is not a loopback one, where it has one. Nothing is sent.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.1:9").is_err() {
        return;
    }
    push(&scene.source, "team/app");
    let address = (socket.local_addr().unwrap().ip(), 0).into();
    let elsewhere = FaultProxy::listen(address, Some(scene.source.host())).unwrap();
    let host = elsewhere.host();
    want(&scene, "", &format!("{host}/team/app:1"));
    scene.bundle([&DRY[..], &["--retries", "0"]].concat()).ends_with(4).says("does not speak HTTPS");
    want(&scene, &format!("plainHttp: ['{host}']"), &format!("{host}/team/app:1"));
    scene.bundle(DRY).succeeds();
}

#[test]
fn a_file_of_another_version_is_refused_with_what_to_do() {
    let scene = Scene::empty();
    std::fs::write(scene.path("bundle.yaml"), "version: 2\nprojekts: {}\n").unwrap();
    scene
        .bundle(["create", "--dry-run"])
        .ends_with(2)
        .says("bundle.yaml:1:10: version: the file is of version 2, and this program reads version 1")
        .says("update the program, or write version: 1");
}
