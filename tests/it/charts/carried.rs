//! Helm charts: their images are found, and they cross themselves.
//! Takes chart directories and a repository of charts; looks at the notes, the bundle and the target registry.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use bundle_test_servers::{DockerRegistry, FaultProxy, ImageSpec, LayerSpec, Response, sha256};

use crate::scene::{Ran, Scene};

/// A scene with a chart in the directory `web`: a deployment with one image of the scene, a hook
/// with another, a third one in its values that the defaults do not use, and a fourth that is
/// nowhere.
pub(super) fn scene_with_chart() -> Scene {
    let scene = Scene::with_images();
    let host = scene.source.host().to_owned();
    write(&scene, "web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.2.0\nappVersion: '1'\n");
    write(
        &scene,
        "web/values.yaml",
        &format!(
            "image: {{repository: {host}/team/multi, tag: '1'}}\n\
             metrics: {{enabled: false, image: {{repository: {host}/team/docker, tag: ''}}}}\n\
             ghost: {{image: {{repository: {host}/team/ghost, tag: '9'}}}}\n"
        ),
    );
    write(
        &scene,
        "web/templates/all.yaml",
        &format!(
            "kind: Deployment\nmetadata: {{name: {{{{ .Release.Name }}}}}}\nspec: {{template: {{spec: {{containers: [{{image: \"{{{{ .Values.image.repository }}}}:{{{{ .Values.image.tag }}}}\"}}]}}}}}}\n\
             ---\nkind: Job\nmetadata: {{name: hook, annotations: {{helm.sh/hook: pre-install}}}}\nspec: {{template: {{spec: {{containers: [{{image: {host}/team/signed:1}}]}}}}}}\n\
             {{{{- if .Values.secure }}}}\n---\nkind: Secret\nmetadata: {{name: {{{{ required \"set .Values.secretName\" .Values.secretName }}}}}}\n{{{{- end }}}}\n"
        ),
    );
    scene
}

pub(super) fn write(scene: &Scene, name: &str, text: &str) {
    let path = scene.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A bundle.yaml with one chart in the project `platform`.
pub(super) fn ask(scene: &Scene, chart: &str) {
    write(scene, "bundle.yaml", &format!("projects:\n  platform:\n    charts:\n      - {chart}\n"));
}

pub(super) fn create(scene: &Scene, output: &str, more: &[&str]) -> Ran {
    let arguments =
        ["create", "--key", "key", "--stream", "charts", "--created", crate::scene::CREATED, "-o", output];
    scene.bundle(arguments.iter().chain(more))
}

/// A web server with the files of a Helm repository.
pub(super) struct Repository {
    proxy: FaultProxy,
    files: Arc<Files>,
}

/// Files by the path of their address.
#[derive(Default)]
struct Files(Mutex<BTreeMap<String, Vec<u8>>>);

impl Files {
    fn answer(&self, path: &str) -> Response {
        match self.0.lock().unwrap().get(path) {
            Some(bytes) => Response::new(200).with_body(bytes.clone()),
            None => Response::new(404).with_body("no such file"),
        }
    }
}

impl Repository {
    pub(super) fn start() -> Self {
        let proxy = FaultProxy::scripted().unwrap();
        let files = Arc::new(Files::default());
        let served = files.clone();
        proxy.answer_with(move |request| Some(served.answer(request.path())));
        Self { proxy, files }
    }

    pub(super) fn address(&self) -> String {
        format!("http://{}/stable", self.proxy.host())
    }

    /// How often it was asked for anything.
    pub(super) fn requests(&self) -> usize {
        self.proxy.requests().len()
    }

    pub(super) fn put(&self, name: &str, bytes: Vec<u8>) {
        self.files.0.lock().unwrap().insert(format!("/stable/{name}"), bytes);
    }

    fn file(&self, name: &str) -> Vec<u8> {
        self.files.0.lock().unwrap()[&format!("/stable/{name}")].clone()
    }

    /// Packs the chart `web` in these versions, and lists them.
    pub(super) fn publish(&self, scene: &Scene, versions: &[&str]) {
        let mut index = "apiVersion: v1\nentries:\n  web:\n".to_owned();
        let chart = std::fs::read_to_string(scene.path("web/Chart.yaml")).unwrap();
        for version in versions {
            write(scene, "web/Chart.yaml", &chart.replace("version: 1.2.0", &format!("version: {version}")));
            let archive = pack(scene, "web");
            index.push_str(&format!(
                "  - version: {version}\n    urls: [web-{version}.tgz]\n    digest: {}\n    created: 2026-01-01T00:00:00Z\n",
                sha256(&archive).trim_start_matches("sha256:")
            ));
            self.put(&format!("web-{version}.tgz"), archive);
        }
        write(scene, "web/Chart.yaml", &chart);
        self.put("index.yaml", index.into_bytes());
    }
}

fn pack(scene: &Scene, directory: &str) -> Vec<u8> {
    let script =
        format!("tar --sort=name --mtime=@0 --owner=0 --group=0 -cf - {directory} | gzip -n > packed.tgz");
    scene.shell(&script).succeeds();
    std::fs::read(scene.path("packed.tgz")).unwrap()
}

fn digests(client: &bundle_test_servers::Client, names: &[&str]) -> Vec<Option<String>> {
    let digest = |name: &&str| {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        client.manifest(repository, tag).unwrap().map(|manifest| manifest.digest)
    };
    names.iter().map(digest).collect()
}

#[test]
fn a_chart_crosses_with_every_image_that_it_can_ask_for() {
    let scene = scene_with_chart();
    ask(&scene, "path: web");
    create(&scene, "b.tar", &[]).succeeds().says("team/ghost:9").says("is left out: there is no such image");
    let target = DockerRegistry::start().unwrap();
    scene.bundle(["import", "b.tar", "--to", target.host(), "--trust", "key.pub"]).succeeds();
    assert_eq!(
        digests(&target.client(), &["platform/multi:1", "platform/signed:1", "platform/docker:1"]),
        digests(&scene.source.client(), &["team/multi:1", "team/signed:1", "team/docker:1"]),
    );
    assert!(digests(&target.client(), &["platform/charts/web:1.2.0"])[0].is_some());
    scene
        .bundle(["inspect", "b.tar", "--trust", "key.pub"])
        .succeeds()
        .says("chart web 1.2.0: templates/all.yaml Deployment/web spec.template.spec.containers[0].image");
    // The same chart gives the same bytes.
    create(&scene, "again.tar", &[]).succeeds();
    let bytes = |name: &str| std::fs::read(scene.path(name)).unwrap();
    assert_eq!(sha256(&bytes("again.tar")), sha256(&bytes("b.tar")));
    // And is no other chart on the other side, where Helm is at hand.
    let Some(helm) = bundle_test_needs::program("helm") else { return };
    let name = format!("oci://{}/platform/charts/web", target.host());
    let site = scene.path("site");
    std::fs::create_dir(&site).unwrap();
    let pulled = Command::new(helm)
        .args(["pull", &name, "--version", "1.2.0", "--plain-http", "--untar"])
        .current_dir(&site)
        .env("HOME", scene.path("home"))
        .output()
        .unwrap();
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    for file in ["Chart.yaml", "values.yaml", "templates/all.yaml"] {
        let read = |place: &str| std::fs::read(scene.path(&format!("{place}web/{file}"))).unwrap();
        assert_eq!(read("site/"), read(""), "{file}");
    }
}

#[test]
fn a_chart_comes_from_a_repository_by_range_and_stays_at_its_locked_version() {
    let scene = scene_with_chart();
    let repository = Repository::start();
    repository.publish(&scene, &["1.1.0", "1.2.0", "2.0.0-rc.1"]);
    ask(&scene, &format!("{{repo: '{}', name: web, version: 1.x}}", repository.address()));
    scene.bundle(["lock"]).succeeds();
    let asked = |start: &str| {
        let requests = repository.proxy.requests();
        requests.iter().filter(|request| request.path_and_query.starts_with(start)).count()
    };
    assert_eq!((asked("/stable/index.yaml"), asked("/stable/web-1.2.0.tgz")), (1, 2), "with its .prov");
    let lock = std::fs::read_to_string(scene.path("bundle.lock")).unwrap();
    let name = format!("{}/stable/web:1.2.0", repository.proxy.host());
    assert!(lock.contains(&name) && lock.contains("platform/charts/web:1.2.0"), "{lock}");
    create(&scene, "first.tar", &["--locked"]).succeeds();
    // A newer version is out; the lock holds.
    repository.publish(&scene, &["1.1.0", "1.2.0", "1.3.0"]);
    create(&scene, "second.tar", &["--locked"]).succeeds();
    let bytes = |name: &str| std::fs::read(scene.path(name)).unwrap();
    assert_eq!(sha256(&bytes("first.tar")), sha256(&bytes("second.tar")));
    // The locked version is another archive now.
    write(&scene, "web/values.yaml", "image: {repository: a/b, tag: '1'}\n");
    repository.publish(&scene, &["1.2.0"]);
    create(&scene, "third.tar", &["--locked"]).ends_with(6).says("it has changed: the lock has sha256:");
    // Without a lock the newest counts; in cache it lies where it comes from.
    std::fs::remove_file(scene.path("bundle.lock")).unwrap();
    let text = format!(
        "projects: {{cache: {{charts: [{{repo: '{}', name: web, version: 1.2.0}}]}}}}\n",
        repository.address()
    );
    write(&scene, "bundle.yaml", &text);
    let host = repository.proxy.host().replace(':', "_");
    let source = scene.source.host();
    write(&scene, "web/values.yaml", &format!("image: {{repository: {source}/team/multi, tag: '1'}}\n"));
    repository.publish(&scene, &["1.2.0"]);
    let ran = scene.bundle(["images", "--json"]).succeeds();
    assert_eq!(ran.json()["charts"][0]["target"], format!("cache/{host}/stable/web:1.2.0"));
}

#[test]
fn a_repository_that_lies_or_never_ends_is_refused_and_nothing_is_written() {
    let scene = scene_with_chart();
    let repository = Repository::start();
    repository.publish(&scene, &["1.2.0"]);
    let chart =
        |version: &str| format!("{{repo: '{}', name: web, version: {version}}}", repository.address());
    ask(&scene, &chart("3.x"));
    create(&scene, "x.tar", &[]).ends_with(4).says("this version does not exist; there are 1.2.0");
    ask(&scene, &chart("1.x"));
    repository.put("web-1.2.0.tgz", b"something else".to_vec());
    create(&scene, "x.tar", &[]).ends_with(3).says("web-1.2.0.tgz has the digest sha256:");
    repository.put("index.yaml", b"entries: [".to_vec());
    create(&scene, "x.tar", &[]).ends_with(4).says("the repository's index cannot be read");
    repository.put("index.yaml", vec![b'#'; 100 << 20]);
    create(&scene, "x.tar", &[]).ends_with(4).says("index.yaml has more than 67108864 bytes");
    write(
        &scene,
        "bundle.yaml",
        "projects: {cache: {charts: [{repo: 'http://charts.example', name: web}]}}\n",
    );
    create(&scene, "x.tar", &[])
        .ends_with(2)
        .says("hint: if plain HTTP is intended, allow it with --plain-http charts.example");
    assert!(!scene.files().iter().any(|name| name.contains("x.tar")), "{:?}", scene.files());
}

#[test]
fn a_repository_with_a_login_is_shown_it_and_nobody_else_is() {
    let scene = scene_with_chart();
    let repository = Repository::start();
    repository.publish(&scene, &["1.2.0"]);
    let elsewhere = Repository::start();
    elsewhere.publish(&scene, &["1.2.0"]);
    // The index names an archive on another host.
    let index = String::from_utf8(repository.file("index.yaml")).unwrap();
    let there = format!("urls: ['{}/web-1.2.0.tgz']", elsewhere.address());
    repository.put("index.yaml", index.replace("urls: [web-1.2.0.tgz]", &there).into_bytes());
    let closed = repository.proxy.host().to_owned();
    repository.proxy.clear_rules();
    let files = repository.files.clone();
    repository.proxy.answer_with(move |request| {
        let known = request.headers.get("authorization") == Some("Basic dXNlcjpwYXNzd29yZA==");
        let refusal = Response::new(401).with_header("WWW-Authenticate", "Basic realm=charts");
        Some(if known { files.answer(request.path()) } else { refusal })
    });
    ask(&scene, &format!("{{repo: '{}', name: web}}", repository.address()));
    create(&scene, "b.tar", &[]).ends_with(4).says(&format!("hint: log in with `bundle login {closed}`"));
    let login = format!(r#"{{"auths":{{"{closed}":{{"auth":"dXNlcjpwYXNzd29yZA=="}}}}}}"#);
    write(&scene, ".docker/config.json", &login);
    create(&scene, "b.tar", &[]).succeeds();
    let shown = elsewhere.proxy.requests();
    assert!(!shown.is_empty());
    assert!(shown.iter().all(|request| request.headers.get("authorization").is_none()));
}

#[test]
fn two_images_of_one_name_are_told_with_what_asks_for_them() {
    let scene = scene_with_chart();
    let host = scene.source.host();
    let other = ImageSpec::oci().layer(LayerSpec::new(5, 100)).build();
    scene.source.client().push("other/signed", "1", &other).unwrap();
    write(
        &scene,
        "web/templates/more.yaml",
        &format!("kind: Pod\nspec: {{containers: [{{image: '{host}/other/signed:1'}}]}}\n"),
    );
    ask(&scene, "{path: web}");
    create(&scene, "x.tar", &[])
        .ends_with(2)
        .says("platform/signed:1 would be both")
        .says("chart web 1.2.0: templates/more.yaml Pod spec.containers[0].image")
        .says("hint: in the project cache, images keep their host and path");
}

#[test]
fn a_chart_in_a_registry_keeps_its_digest() {
    let scene = scene_with_chart();
    ask(&scene, "path: web");
    create(&scene, "b.tar", &[]).succeeds();
    let first = DockerRegistry::start().unwrap();
    scene.bundle(["import", "b.tar", "--to", first.host(), "--trust", "key.pub"]).succeeds();
    for version in ["1.2.0", "^1.0", ">=1 <2"] {
        ask(
            &scene,
            &format!("{{repo: 'oci://{}/platform/charts', name: web, version: '{version}'}}", first.host()),
        );
        let _ = std::fs::remove_file(scene.path("c.tar"));
        create(&scene, "c.tar", &[]).succeeds();
        let second = DockerRegistry::start().unwrap();
        scene.bundle(["import", "c.tar", "--to", second.host(), "--trust", "key.pub"]).succeeds();
        let chart = ["platform/charts/web:1.2.0"];
        assert_eq!(digests(&second.client(), &chart), digests(&first.client(), &chart));
    }
}

#[test]
fn what_a_chart_depends_on_is_fetched_and_packed_with_it() {
    let scene = scene_with_chart();
    let repository = Repository::start();
    repository.publish(&scene, &["1.2.0"]);
    let dependency = |repository: &str| {
        format!(
            "apiVersion: v2\nname: top\nversion: 0.1.0\ndependencies: [{{name: web, version: 1.x, repository: '{repository}'}}]\n"
        )
    };
    ask(&scene, "path: top");
    for (address, text) in [
        ("@stable", "its repository @stable is an alias of a local Helm configuration"),
        ("", "it depends on web 1.x, which cannot be fetched: it is missing in charts/"),
    ] {
        write(&scene, "top/Chart.yaml", &dependency(address));
        let ran = create(&scene, "b.tar", &[]);
        assert!(matches!(ran.code, Some(2 | 6)), "{}", ran.stderr);
        ran.says(text);
    }
    for address in [repository.address(), "file://../web".to_owned()] {
        write(&scene, "top/Chart.yaml", &dependency(&address));
        let _ = std::fs::remove_file(scene.path("b.tar"));
        create(&scene, "b.tar", &[]).succeeds();
        scene
            .bundle(["inspect", "b.tar", "--trust", "key.pub"])
            .succeeds()
            .says("chart top 0.1.0: charts/web/templates/all.yaml Deployment/top");
    }
}

#[test]
fn a_dependency_has_the_version_of_the_lock_file_that_came_with_the_chart() {
    let scene = scene_with_chart();
    let repository = Repository::start();
    repository.publish(&scene, &["1.1.0", "1.2.0"]);
    // One whose archive lies below the host, not below the repository.
    let index = String::from_utf8(repository.file("index.yaml")).unwrap();
    repository.put("index.yaml", index.replace("[web-1.1.0.tgz]", "[/stable/web-1.1.0.tgz]").into_bytes());
    let address = repository.address();
    let wanted = format!("dependencies: [{{name: web, version: 1.x, repository: '{address}'}}]\n");
    write(&scene, "top/Chart.yaml", &format!("apiVersion: v2\nname: top\nversion: 0.1.0\n{wanted}"));
    write(&scene, "top/Chart.lock", &wanted.replace("1.x", "1.1.0"));
    ask(&scene, "path: top");
    create(&scene, "b.tar", &[]).succeeds();
    let asked = repository.proxy.requests();
    let archives: Vec<&str> = asked
        .iter()
        .map(|request| request.path_and_query.as_str())
        .filter(|path| path.ends_with(".tgz"))
        .collect();
    assert_eq!(archives, ["/stable/web-1.1.0.tgz"]);
}

#[test]
fn a_provenance_file_travels_with_its_chart_unchanged() {
    let scene = scene_with_chart();
    std::fs::write(scene.path("web-1.2.0.tgz"), pack(&scene, "web")).unwrap();
    write(&scene, "web-1.2.0.tgz.prov", "-----BEGIN PGP SIGNED MESSAGE-----\n");
    ask(&scene, "path: web-1.2.0.tgz");
    create(&scene, "b.tar", &[]).succeeds();
    let target = DockerRegistry::start().unwrap();
    scene.bundle(["import", "b.tar", "--to", target.host(), "--trust", "key.pub"]).succeeds();
    let client = target.client();
    let manifest = client.manifest("platform/charts/web", "1.2.0").unwrap().unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let file = |name: &str| sha256(&std::fs::read(scene.path(name)).unwrap());
    let expected = [
        ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "web-1.2.0.tgz"),
        ("application/vnd.cncf.helm.chart.provenance.v1.prov", "web-1.2.0.tgz.prov"),
    ];
    for (media_type, name) in expected {
        let layer = layers.iter().find(|layer| layer["mediaType"] == media_type).unwrap();
        assert_eq!(layer["digest"], file(name));
    }
}

#[test]
fn a_chart_that_cannot_be_used_stops_the_run_and_says_what_to_do() {
    let scene = scene_with_chart();
    write(&scene, "empty/Chart.yaml", "name: empty\nversion: 1.0.0\n");
    write(&scene, "cycle/Chart.yaml", "name: cycle\nversion: 1.0.0\n");
    write(
        &scene,
        "cycle/templates/a.yaml",
        "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}a: {{ include \"a\" . }}\n",
    );
    write(&scene, "values.yaml", "image: {tag: '1'}\nmetircs: {enabled: true}\n");
    scene.shell("mkdir -p slip/web && cd slip/web && tar czf ../../slip.tgz --transform 's,^,web/../../,' -P ../../web/Chart.yaml").succeeds();
    for (chart, code, text, hint) in [
        (
            "{path: web, set: [secure=true]}",
            2,
            "web/templates/all.yaml:11: set .Values.secretName",
            "hint: give the chart that value in bundle.yaml: set: ['secretName=…']",
        ),
        ("{path: empty}", 2, "no image was found in it", "allowEmpty: true"),
        ("{path: cycle}", 2, "cycle/templates/a.yaml:1:", ""),
        ("{path: slip.tgz}", 3, "its path points outside the chart", ""),
        ("{path: none}", 2, "none cannot be read", ""),
        (
            "{path: web, version: 1.x}",
            2,
            "projects.platform.charts[0]: 'version' cannot be combined with 'path'",
            "",
        ),
        ("{repo: 'https://a.example'}", 2, "a chart in a repository needs a 'name'", ""),
        (
            "{path: web, kubeVersion: new}",
            2,
            "charts[0].kubeVersion: a version of Kubernetes has at least two numbers",
            "",
        ),
        ("{path: web, values: [none.yaml]}", 2, "charts[0].values[0]: none.yaml cannot be read", ""),
        ("{path: web, set: ['image.repository']}", 2, "'repository': key has no value", ""),
        ("{path: web, vaules: [a.yaml]}", 2, "unknown field 'vaules'; did you mean 'values'?", ""),
    ] {
        ask(&scene, chart);
        create(&scene, "x.tar", &[]).ends_with(code).says(text).says(hint);
        assert!(!scene.path("x.tar").exists(), "{chart}");
    }
    ask(&scene, "{path: empty, allowEmpty: true}");
    create(&scene, "x.tar", &[]).succeeds();
    ask(&scene, "{path: web, values: [values.yaml]}");
    scene.bundle(["images"]).succeeds().says("values.yaml: no chart knows 'metircs'");
}

#[test]
fn images_tells_what_is_asked_for_and_why() {
    let scene = scene_with_chart();
    let host = scene.source.host().to_owned();
    ask(&scene, "{path: web, valueSets: {other: {set: [image.tag=2]}}}");
    let ran = scene.bundle(["images", "--offline"]).succeeds();
    let shown: Vec<String> =
        ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "chart web 1.2.0 (bundle.yaml:4): 6 images",
        "FOUND IMAGE REQUESTED BY",
        &format!("declared {host}/team/docker:1 or {host}/team/docker:v1; values metrics.image"),
        &format!("rendered {host}/team/multi:2 templates/all.yaml Deployment/web"),
        &format!("declared {host}/team/ghost:9 values ghost.image"),
    ] {
        assert!(shown.iter().any(|shown| shown.starts_with(line)), "{line}\n{}", ran.stdout);
    }
    ask(&scene, "{path: web}");
    let json = scene.bundle(["images", "--json"]).succeeds().json();
    let images = json["charts"][0]["images"].as_array().unwrap().clone();
    let of = |name: &str| images.iter().find(|image| image["image"] == format!("{host}/{name}")).unwrap();
    assert_eq!(
        (&of("team/multi:1")["certainty"], &of("team/multi:1")["grade"]),
        (&"certain".into(), &"rendered".into())
    );
    assert_eq!(
        (&of("team/docker:1")["registry"], &of("team/docker:1")["carried"]),
        (&"found".into(), &true.into())
    );
    assert_eq!(
        (&of("team/ghost:9")["registry"], &of("team/ghost:9")["carried"]),
        (&"not found".into(), &false.into())
    );
    scene
        .bundle(["images", "--why", "team/signed"])
        .succeeds()
        .says("chart web 1.2.0: templates/all.yaml Job/hook spec.template.spec.containers[0].image (value set defaults)");
    ask(&scene, &format!("{{path: web, exclude: ['{host}/team/signed', '{host}/team/multi:7']}}"));
    let json = scene.bundle(["images", "--json"]).succeeds().says("it is excluded").json();
    let images = json["charts"][0]["images"].as_array().unwrap();
    let carried: Vec<_> =
        images.iter().filter(|image| image["carried"] == true).map(|image| &image["image"]).collect();
    assert_eq!(carried, [&format!("{host}/team/docker:1"), &format!("{host}/team/multi:1")]);
    scene.bundle(["images", "--why", "nothing"]).ends_with(6).says("nothing here asks for nothing");
    ask(&scene, "{repo: 'https://charts.example', name: web}");
    scene
        .bundle(["images", "--offline"])
        .ends_with(2)
        .says("is not on this machine, and the network is not used");
}

/// Registries are asked for the images of charts, and some do not have them or answer oddly. Only a missing
/// image of the rendering with the given values may end the run, and must.
#[test]
fn only_what_is_rendered_ends_the_run_if_it_does_not_exist() {
    let scene = scene_with_chart();
    let host = scene.source.host().to_owned();
    let pod = |images: &[String]| -> String {
        let images: Vec<String> = images.iter().map(|image| format!("{{image: '{image}'}}")).collect();
        format!("kind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{}]}}\n", images.join(", "))
    };
    let chart = |values: &str, template: &str| {
        write(&scene, "c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: '1'\n");
        write(&scene, "c/values.yaml", values);
        write(&scene, "c/templates/p.yaml", template);
    };
    let good = format!("{host}/team/multi:1");
    ask(&scene, "{path: c}");
    // Switched, declared, mentioned: invalid hosts, missing tags, other platforms.
    let off = format!(
        "{}---\n{{{{- if .Values.more.enabled }}}}\n{}{{{{- end }}}}\n",
        pod(std::slice::from_ref(&good)),
        pod(&[format!("{host}/team/gone:1"), "registry.invalid/a/b:1".to_owned()])
    );
    let values = format!(
        "# @default -- {host}/team/mentioned:1\nmore: {{enabled: false}}\nother: {{image: {{repository: registry.invalid/x/y, tag: '1'}}}}\nlisted: {{image: {{repository: {host}/team/none, tag: '7'}}}}\n"
    );
    chart(&values, &off);
    scene.bundle(["images", "--retries", "0"]).succeeds();
    create(&scene, "b.tar", &["--retries", "0"])
        .succeeds()
        .says("team/gone:1")
        .says("is left out: there is no such image")
        .says(
            "registry.invalid/x/y:1 (values other.image (value set defaults)) is left out: registry.invalid",
        );
    // The same images rendered: both commands end, with the same code and words.
    for (image, code, words) in [
        (
            format!("{host}/team/gone:1"),
            6,
            "team/gone:1 does not exist, and templates/p.yaml Pod/p spec.containers[1].image (value set defaults) asks for it",
        ),
        ("registry.invalid/a/b:1".to_owned(), 4, "registry.invalid"),
    ] {
        chart("{}\n", &pod(&[good.clone(), image]));
        for command in [&["images", "--retries", "0"][..], &["create", "--dry-run", "--retries", "0"]] {
            scene.bundle(command).ends_with(code).says(words);
        }
    }
    // A tag to which an operator would add what the nodes are.
    let operand = ImageSpec::oci().layer(LayerSpec::new(6, 100)).build();
    scene.source.client().push("team/driver", "5.1-os22", &operand).unwrap();
    let resource = format!(
        "apiVersion: a.example/v1\nkind: Policy\nmetadata: {{name: x}}\nspec: {{driver: {{repository: {host}/team, image: driver, version: '5.1'}}}}\n"
    );
    chart("{}\n", &format!("{}---\n{resource}", pod(&[good])));
    scene.bundle(["images"]).ends_with(6).says("tags that begin so: 5.1-os22").says("operatingSystems");
    write(
        &scene,
        "bundle.yaml",
        &format!(
            "rules: {{nodeImages: ['{host}/team/driver'], operatingSystems: [os22]}}\nprojects: {{platform: {{charts: [{{path: c}}]}}}}\n"
        ),
    );
    let json = scene.bundle(["images", "--json"]).succeeds().json();
    let found = json["charts"][0]["images"].as_array().unwrap().clone();
    assert!(found.iter().any(|image| image["image"] == format!("{host}/team/driver:5.1-os22")));
}

#[test]
fn a_policy_says_which_grades_travel_and_readings_are_decided_by_the_registry() {
    let scene = scene_with_chart();
    let host = scene.source.host().to_owned();
    for name in ["team/on", "team/tool", "team/said"] {
        let image = ImageSpec::oci().layer(LayerSpec::new(7, 100)).build();
        scene.source.client().push(name, "1", &image).unwrap();
    }
    write(&scene, "c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\nappVersion: '1'\n");
    write(
        &scene,
        "c/values.yaml",
        &format!(
            "# @default -- {host}/team/said:1\nextra: {{enabled: false}}\nunused: {{image: {{repository: {host}/team, name: tool, tag: '1'}}}}\n"
        ),
    );
    write(
        &scene,
        "c/templates/p.yaml",
        &format!(
            "kind: Pod\nspec: {{containers: [{{image: '{host}/team/multi:1'}}]}}\n---\n{{{{- if .Values.extra.enabled }}}}\nkind: Pod\nspec: {{containers: [{{image: '{host}/team/on:1'}}]}}\n{{{{- end }}}}\n"
        ),
    );
    for (carry, names) in [
        ("rendered", &["team/multi"][..]),
        ("switched", &["team/multi", "team/on"]),
        ("declared", &["team/multi", "team/on", "team/tool"]),
        ("all", &["team/multi", "team/on", "team/said", "team/tool"]),
    ] {
        ask(&scene, &format!("{{path: c, carry: {carry}}}"));
        let json = scene.bundle(["images", "--json"]).succeeds().json();
        let images = json["charts"][0]["images"].as_array().unwrap().clone();
        let carried: Vec<&str> = images
            .iter()
            .filter(|image| image["carried"] == true)
            .map(|image| image["image"].as_str().unwrap())
            .collect();
        let expected: Vec<String> = names.iter().map(|name| format!("{host}/{name}:1")).collect();
        assert_eq!(carried, expected, "{carry}");
    }
    ask(&scene, "{path: c, carry: some}");
    scene.bundle(["images"]).ends_with(2).says("charts[0].carry: 'some' is not one of rendered, switched");
}
