//! The files of `bundle mirror-config`, read by the programs of nodes. containerd and the programs of CRI-O
//! take them, and pull through them from `bundle serve`.

use bundle_test_servers::{FaultProxy, ImageSpec, LayerSpec};

use crate::scene::{Ran, Scene};
use crate::serve::containerd::Containerd;
use crate::serve::served::Served;

/// A source that has more than the bundle, and the bundle, whose images are of two hosts: the
/// source itself, and docker.io, which the source played when the bundle was made.
fn scene() -> Scene {
    let scene = Scene::empty();
    let host = scene.source.host();
    for (seed, repository) in
        ["team/app", "team/tool", "library/nginx", "team/left-behind"].into_iter().enumerate()
    {
        let image = ImageSpec::oci().layer(LayerSpec::new(seed as u64, 10_000)).build();
        scene.source.client().push(repository, "1", &image).unwrap();
    }
    std::fs::write(
        scene.path("bundle.yaml"),
        format!(
            "projects:\n  cache:\n    images: [\"{host}/team/app:1\", \"docker.io/library/nginx:1\"]\n  platform:\n    images: [\"{host}/team/tool:1\"]\n"
        ),
    )
    .unwrap();
    let mirror = format!("docker.io={host}");
    scene.bundle(["create", "--mirror", &mirror, "--no-referrers", "--key", "key", "-o", "b.tar"]).succeeds();
    // The authority, the server's certificate, and the account that pulls.
    scene
        .shell(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=test \
               -addext subjectAltName=IP:127.0.0.1 -keyout tls.key -out ca.crt && \
             htpasswd -BbnC 4 'robot$pull' 'pass word' > users",
        )
        .succeeds();
    scene
}

/// Serves the bundle as Harbor would: with TLS, for those with the password.
fn served(scene: &Scene) -> Served {
    let served = Served::with(
        scene,
        &["b.tar", "--trust", "key.pub", "--auth", "users", "--tls-cert", "ca.crt", "--tls-key", "tls.key"],
    );
    // base64 of `robot$pull:pass word`.
    let entry = serde_json::json!({"auth": "cm9ib3QkcHVsbDpwYXNzIHdvcmQ="});
    let login = serde_json::json!({"auths": {served.host(): entry}});
    std::fs::write(scene.path("pull.json"), login.to_string()).unwrap();
    served
}

fn mirror_config(scene: &Scene, runtime: &str, registry: &str, more: &[&str]) -> Ran {
    let arguments =
        ["mirror-config", "b.tar", "--trust", "key.pub", "--for", runtime, "--registry", registry];
    scene.bundle(arguments.iter().chain(more))
}

const WHOLE: &[&str] = &["--ca-file", "ca.crt", "--credentials", "pull.json", "-o", "node"];

fn mode(scene: &Scene, path: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    scene.path(path).metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn containerd_pulls_through_the_files_and_never_asks_the_source() {
    let scene = scene();
    let served = served(&scene);
    mirror_config(&scene, "containerd", served.host(), WHOLE).succeeds().says("1 image is not found");
    let hosts = scene.path("node/etc/containerd/certs.d");
    let source = scene.source.host().replace(':', "_") + "_";
    assert_eq!(mode(&scene, &format!("node/etc/containerd/certs.d/{source}/hosts.toml")), 0o600);
    let containerd = Containerd::start();
    let fetch =
        |name: &str| containerd.ctr(&["content", "fetch", "--hosts-dir", hosts.to_str().unwrap(), name]);
    let names = [format!("{}/team/app:1", scene.source.host()), "docker.io/library/nginx:1".to_owned()];
    for name in &names {
        let output = fetch(name);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let found: Vec<_> = containerd.images().into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, names);
    // The source has this one; the mirror does not, and no other registry is asked.
    let absent = format!("{}/team/left-behind:1", scene.source.host());
    assert!(!fetch(&absent).status.success());
    assert!(!fetch("docker.io/library/other:1").status.success());
    let log = std::fs::read_to_string(scene.path("access")).unwrap();
    assert!(log.contains("/team/left-behind/manifests/1") && log.contains("/library/other/manifests/1"));
    assert!(!log.contains("pass word") && !log.contains("cm9ib3Q"), "a password is in the log");
    // The mirror's own name, which pods use too, needs its authority and the account as well.
    let itself = fetch(&format!("{}/cache/docker.io/library/nginx:1", served.host()));
    assert!(itself.status.success(), "{}", String::from_utf8_lossy(&itself.stderr));
    // A stranger's password is refused.
    scene.shell("sed -i 's/Basic .*\"/Basic eDp5\"/' node/etc/containerd/certs.d/*/hosts.toml").succeeds();
    assert!(!fetch(&names[0]).status.success());
}

#[test]
fn nodes_ask_a_second_registry_when_the_first_is_down_and_nobody_else_for_what_neither_has() {
    let scene = scene();
    let served = served(&scene);
    let registries = ["--registry", served.host(), "--all-registries", "--plain-http=127.0.0.1:1"];
    let more = [&registries[..], WHOLE].concat();
    mirror_config(&scene, "containerd", "127.0.0.1:1", &more).succeeds();
    let hosts = scene.path("node/etc/containerd/certs.d");
    let containerd = Containerd::start();
    let fetch =
        |name: &str| containerd.ctr(&["content", "fetch", "--hosts-dir", hosts.to_str().unwrap(), name]);
    for name in ["docker.io/library/nginx:1", &format!("{}/cache/docker.io/library/nginx:1", served.host())] {
        let output = fetch(name);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // A registry of which no bundle has anything is asked for nothing.
    let other = FaultProxy::start(scene.source.host()).unwrap();
    assert!(!fetch(&format!("{}/team/app:1", other.host())).status.success());
    assert_eq!(other.requests().len(), 0);
    // The files on a node are compared with the expected ones.
    let check = |more: &[&str]| {
        let arguments = [&registries[..], &WHOLE[..4], more].concat();
        mirror_config(&scene, "containerd", "127.0.0.1:1", &arguments)
    };
    check(&["--check", "node"]).succeeds().says("8 of 8 files as they should be below node");
    scene
        .shell("cd node/etc/containerd/certs.d && rm _default/hosts.toml && echo x >> docker.io/hosts.toml")
        .succeeds();
    check(&["--check", "node"])
        .ends_with(6)
        .says("_default/hosts.toml: missing")
        .says("docker.io/hosts.toml: differs, from line")
        .says("2 files are below node not as they should be");
    check(&["--check", "node", "-o", "x"]).ends_with(2).says("cannot be used with");
    mirror_config(&scene, "crio", served.host(), &["--all-registries", "-o", "x"])
        .ends_with(2)
        .says("no rule for all registries");
}

#[test]
fn skopeo_reads_the_files_for_crio_and_never_asks_the_source() {
    let scene = scene();
    let served = served(&scene);
    mirror_config(&scene, "crio", served.host(), WHOLE).succeeds();
    assert_eq!(mode(&scene, "node/etc/crio/bundle-mirror-auth.json"), 0o600);
    let containers = "node/etc/containers";
    let skopeo = |name: &str, into: &str| {
        scene.shell(&format!(
            "skopeo --registries-conf {containers}/registries.conf.d/50-bundle-mirror.conf --insecure-policy copy -q \
             --src-cert-dir {containers}/certs.d/{} \
             --src-authfile node/etc/crio/bundle-mirror-auth.json docker://{name} dir:{into}",
            served.host()
        ))
    };
    skopeo("docker.io/library/nginx:1", "a").succeeds();
    skopeo(&format!("{}/team/app:1", scene.source.host()), "b").succeeds();
    for absent in
        [format!("{}/team/left-behind:1", scene.source.host()), "docker.io/library/other:1".to_owned()]
    {
        let ran = skopeo(&absent, "c").ends_with(1);
        assert!(
            ran.stderr.contains("manifest unknown") || ran.stderr.contains("no bundle here"),
            "{}",
            ran.stderr
        );
    }
}

/// The reader is github.com/rancher/wharfie, which K3s reads `registries.yaml` with (tests/readers): it takes endpoints,
/// rewrites, authority and login from the file, and pulls.
#[test]
fn k3s_own_reader_of_registries_yaml_pulls_by_the_names_of_the_sources() {
    let Some(reader) = bundle_test_needs::program("wharfie-pull") else { return };
    let scene = scene();
    let served = served(&scene);
    let more = [WHOLE, &["--all-registries"]].concat();
    mirror_config(&scene, "k3s", served.host(), &more).succeeds();
    // The file names the authority by its place on a node.
    let node = scene.path("node").display().to_string();
    let file = "node/etc/rancher/k3s/registries.yaml";
    let text = std::fs::read_to_string(scene.path(file)).unwrap();
    assert!(text.contains("/etc/rancher/k3s/"), "{text}");
    std::fs::write(scene.path(file), text.replace("/etc/rancher", &format!("{node}/etc/rancher"))).unwrap();
    let pull = |file: &str, name: &str| scene.shell(&format!("{} {file} {name}", reader.display()));
    let source = scene.source.host();
    for (name, repository) in [
        ("docker.io/library/nginx:1".to_owned(), "library/nginx"),
        (format!("{source}/team/app:1"), "team/app"),
        (format!("{}/platform/tool:1", served.host()), "team/tool"),
    ] {
        let digest = scene.source.client().manifest(repository, "1").unwrap().unwrap().digest;
        assert_eq!(pull(file, &name).succeeds().stdout.trim(), digest, "{name}");
    }
    let log = std::fs::read_to_string(scene.path("access")).unwrap();
    assert!(log.contains("/v2/cache/docker.io/library/nginx/manifests/1"), "{log}");
    // Without the login or the authority, nothing is had of the mirror.
    for (wrong, line) in
        [("login", "s/password: .*/password: other/"), ("authority", "s/ca_file: .*/ca_file: ''/")]
    {
        scene
            .shell(&format!("sed \"{line}\" {file} > {wrong}.yaml && ! cmp -s {file} {wrong}.yaml"))
            .succeeds();
        pull(&format!("{wrong}.yaml"), &format!("{}/platform/tool:1", served.host())).ends_with(1);
    }
}

#[test]
fn the_files_for_k3s_lead_to_the_mirror_alone() {
    let scene = scene();
    let served = served(&scene);
    for product in ["k3s", "rke2"] {
        let output = format!("node-{product}");
        let ran = mirror_config(
            &scene,
            product,
            served.host(),
            &["--ca-file", "ca.crt", "--credentials", "pull.json", "-o", &output],
        );
        ran.succeeds().says("has a password").says(&format!("etc/rancher/{product}/registries.yaml"));
        let directory = format!("{output}/etc/rancher/{product}");
        let text = std::fs::read_to_string(scene.path(&directory).join("registries.yaml")).unwrap();
        assert_eq!(mode(&scene, &format!("{directory}/registries.yaml")), 0o600);
        let source = scene.source.host();
        let place = source.replace(':', "_");
        let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        for (host, place) in
            [(source, format!("cache/{place}/$1")), ("docker.io", "cache/docker.io/$1".to_owned())]
        {
            let mirror = &read["mirrors"][host];
            assert_eq!(mirror["endpoint"], serde_json::json!([format!("https://{}", served.host())]));
            assert_eq!(mirror["rewrite"], serde_json::json!({"^(.*)$": place}), "{host}");
        }
        assert_eq!(read["configs"][served.host()]["auth"]["password"], "pass word");
        let names = format!("#   {source}/team/tool:1 is {}/platform/tool:1", served.host());
        assert!(text.contains(&names), "{names} is not in\n{text}");
        let settings = scene.path(&directory).join("config.yaml.d/50-bundle-mirror.yaml");
        assert!(
            std::fs::read_to_string(settings)
                .unwrap()
                .contains("\ndisable-default-registry-endpoint: true\n")
        );
    }
}

#[test]
fn plain_http_leads_to_bundle_serve() {
    let scene = scene();
    let served = Served::start(&scene, "b.tar");
    mirror_config(&scene, "containerd", served.host(), &["--plain-http", "-o", "node"]).succeeds();
    let containerd = Containerd::start();
    let hosts = scene.path("node/etc/containerd/certs.d");
    containerd.run(&[
        "content",
        "fetch",
        "--hosts-dir",
        hosts.to_str().unwrap(),
        "docker.io/library/nginx:1",
    ]);
    mirror_config(&scene, "crio", served.host(), &["--plain-http", "-o", "crio"]).succeeds();
    scene
        .shell(
            "skopeo --registries-conf crio/etc/containers/registries.conf.d/50-bundle-mirror.conf \
             --insecure-policy copy -q docker://docker.io/library/nginx:1 dir:a",
        )
        .succeeds();
}

#[test]
fn what_would_harm_nodes_is_refused() {
    let scene = scene();
    let host = scene.source.host();
    std::fs::write(scene.path("pull.json"), "{\"auths\": {}}").unwrap();
    scene.shell("mkdir there").succeeds();
    let output = ["-o", "node"];
    for (registry, more, code, text) in [
        (
            "harbor.example",
            &["--credentials", "pull.json"][..],
            2,
            "has no user and password for harbor.example",
        ),
        ("harbor.example", &["--credentials", "users"], 2, "users is not a config.json"),
        ("harbor.example", &["--ca-file", "tls.key"], 2, "there is a private key in it"),
        ("harbor.example", &["--ca-file", "users"], 2, "there is no certificate in it"),
        ("harbor.example", &["--plain-http", "--credentials", "pull.json"], 2, "cannot be used with"),
        (
            "harbor.example:5000",
            &["--plain-http", "harbor.example:5000"],
            2,
            "--plain-http=harbor.example:5000",
        ),
        ("https://harbor.example", &[], 2, "without scheme"),
    ] {
        let more: Vec<_> = more.iter().chain(&output).copied().collect();
        mirror_config(&scene, "k3s", registry, &more).ends_with(code).says(text);
    }
    mirror_config(&scene, "k3s", "harbor.example", &["-o", "there"])
        .ends_with(2)
        .says("there exists already");
    // The mirror's own names are not looked up elsewhere.
    mirror_config(&scene, "k3s", host, &output).succeeds();
    let text = std::fs::read_to_string(scene.path("node/etc/rancher/k3s/registries.yaml")).unwrap();
    assert!(!text.contains(&format!("cache/{}/$1", host.replace(':', "_"))), "{text}");
    scene
        .bundle([
            "create",
            &format!("{host}/team/tool:1"),
            "--project",
            "platform",
            "--key",
            "key",
            "-o",
            "p.tar",
        ])
        .succeeds();
    scene
        .bundle([
            "mirror-config",
            "p.tar",
            "--trust",
            "key.pub",
            "--for",
            "k3s",
            "--registry",
            "harbor.example",
            "-o",
            "x",
        ])
        .ends_with(2)
        .says("there is nothing to mirror");
    scene.bundle(["key", "generate", "key-other"]).succeeds();
    scene
        .bundle([
            "mirror-config",
            "b.tar",
            "--trust",
            "key-other.pub",
            "--for",
            "k3s",
            "--registry",
            "harbor.example",
            "-o",
            "x",
        ])
        .ends_with(3);
    assert!(!scene.path("x").exists());
}
