//! `bundle harbor values`: charts ask for images of the bundle and for no others, as Helm sees it too.
//! Takes the charts of the samples; gives their values to the program's own renderer, and to `helm` where it is installed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use bundle_test_servers::{ImageSpec, LayerSpec, Manifest, Platform};
use serde_json::Value;

use crate::scene::{Ran, Scene};

const REGISTRY: &str = "harbor.example:8443";

/// A bundle of charts with all their images, and further images in `more`. The source plays every
/// registry that they come from.
fn bundle_of(scene: &Scene, charts: &[&Path], more: &str) {
    let charts: String = charts.iter().map(|chart| format!("      - path: {}\n", chart.display())).collect();
    let text = format!("name: day-one\nprojects:\n  cache:\n    charts:\n{charts}{more}");
    std::fs::write(scene.path("bundle.yaml"), text).unwrap();
    let found = scene.bundle(["images", "--offline", "--json"]).succeeds().json();
    let mut mirrors = BTreeSet::new();
    let mut images = BTreeSet::new();
    for chart in found["charts"].as_array().unwrap() {
        for image in chart["images"].as_array().unwrap() {
            images.insert(image["image"].as_str().unwrap().to_owned());
        }
    }
    for (seed, image) in images.iter().enumerate() {
        let (host, path) = image.split_once('/').unwrap();
        let (repository, tag) = path.rsplit_once(':').unwrap();
        let platform = Platform::linux_amd64();
        let built = ImageSpec::oci().platform(platform).layer(LayerSpec::new(seed as u64, 1_000)).build();
        scene.source.client().push(repository, tag, &built).unwrap();
        mirrors.insert(format!("{host}={}", scene.source.host()));
    }
    let mirrors = mirrors.iter().flat_map(|mirror| ["--mirror", mirror]);
    let arguments = ["create", "--no-referrers", "--key", "key", "-o", "b.tar"];
    scene.bundle(arguments.into_iter().chain(mirrors)).succeeds();
}

fn values(scene: &Scene, more: &[&str]) -> Ran {
    let arguments = ["harbor", "values", "b.tar", "--trust", "key.pub", "--registry", REGISTRY];
    scene.bundle(arguments.iter().chain(more))
}

/// The images in the bundle, as the registry will have them: `harbor.example:8443/cache/…@sha256:…`.
fn targets(scene: &Scene) -> BTreeSet<String> {
    let found = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    let artifacts = found["artifacts"].as_array().unwrap().clone();
    let name = |artifact: &Value| {
        let target = &artifact["target"];
        let text = |field: &str| target[field].as_str().unwrap();
        let digest = artifact["digest"].as_str().unwrap();
        format!("{REGISTRY}/{}/{}:{}@{digest}", text("project"), text("repository"), text("tag"))
    };
    artifacts.iter().filter(|artifact| artifact["kind"] == "image").map(name).collect()
}

/// The images of containers, in documents that Helm rendered.
fn images(documents: &[Value]) -> BTreeSet<String> {
    fn enter(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for list in
                    ["containers", "initContainers"].iter().filter_map(|key| map.get(*key)?.as_array())
                {
                    found
                        .extend(list.iter().map(|container| container["image"].as_str().unwrap().to_owned()));
                }
                map.values().for_each(|value| enter(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| enter(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    documents.iter().for_each(|document| enter(document, &mut found));
    found
}

/// The documents that the real Helm renders of a chart with values, unless it is not installed.
fn helm(scene: &Scene, chart: &Path, more: &[&str]) -> Option<Vec<Value>> {
    let helm = bundle_test_needs::program("helm")?;
    let output = Command::new(helm)
        .args(["template", "release", chart.to_str().unwrap(), "--kube-version", "1.34"])
        .args(more)
        .current_dir(scene.path(""))
        .env("HOME", scene.path("home"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let documents = text.split("\n---\n").filter(|part| part.lines().any(|line| line.starts_with("kind:")));
    Some(documents.map(|part| serde_saphyr::from_str(part).unwrap()).collect())
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

#[test]
fn harbor_is_installed_from_the_bundle_alone() {
    let Some(chart) = bundle_test_needs::shared("data/charts/harbor-1.19.1.tgz") else { return };
    let scene = Scene::empty();
    for name in ["trivy-db", "trivy-java-db"] {
        let image = ImageSpec::oci().layer(LayerSpec::new(77, 1_000)).build();
        scene.source.client().push(&format!("aquasecurity/{name}"), "2", &image).unwrap();
    }
    let host = scene.source.host();
    let more = format!(
        "  tenants:\n    trivy:\n      images: ['{host}/aquasecurity/trivy-db:2', '{host}/aquasecurity/trivy-java-db:2']\n"
    );
    bundle_of(&scene, &[&chart], &more);
    values(&scene, &["-o", "overlay.yaml"]).succeeds().says("overlay.yaml: 10 images of harbor 1.19.1");
    let text = std::fs::read_to_string(scene.path("overlay.yaml")).unwrap();
    let overlay: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(overlay["externalURL"], format!("https://{REGISTRY}"));
    assert_eq!(overlay["expose"]["ingress"]["hosts"]["core"], "harbor.example");
    assert_eq!(overlay["trivy"]["offlineScan"], true);
    assert_eq!(overlay["trivy"]["dbRepository"][0], format!("{REGISTRY}/trivy/trivy-db"));
    let requests = |cpu: &str, memory: &str| serde_json::json!({"requests": {"cpu": cpu, "memory": memory}});
    for (component, wanted) in [
        ("/core", requests("200m", "512Mi")),
        ("/portal", requests("100m", "256Mi")),
        ("/registry/registry", requests("200m", "256Mi")),
        ("/database/internal", requests("200m", "512Mi")),
        ("/redis/internal", requests("50m", "128Mi")),
        ("/jobservice", requests("50m", "128Mi")),
    ] {
        assert_eq!(overlay.pointer(&format!("{component}/resources")), Some(&wanted), "{component}");
    }
    // The chart's own are the same.
    assert_eq!(overlay["trivy"].get("resources"), None);
    // The same bundle gives the same file, and none is overwritten.
    assert_eq!(values(&scene, &[]).succeeds().stdout, text);
    values(&scene, &["-o", "overlay.yaml"])
        .ends_with(2)
        .says("overlay.yaml exists already")
        .says("choose another name");
    let targets = targets(&scene);
    let file = ["-f", "overlay.yaml"];
    let Some(documents) = helm(&scene, &chart, &file) else { return };
    let found = images(&documents);
    assert_eq!(found.len(), 8, "{found:#?}");
    assert!(found.is_subset(&targets), "{found:#?}\n{targets:#?}");
    for kind in ["Deployment", "StatefulSet"] {
        for workload in of_kind(&documents, kind) {
            let pod = &workload["spec"]["template"]["spec"];
            assert_eq!(pod["imagePullSecrets"][0]["name"], "harbor-pull", "{workload:#}");
        }
    }
    assert_eq!(of_kind(&documents, "Ingress")[0]["spec"]["rules"][0]["host"], "harbor.example");
    // Images that were not rendered are right, too, once something asks for them.
    let more = [
        "--set",
        "metrics.enabled=true,expose.type=clusterIP,expose.tls.auto.commonName=h,enableMigrateHelmHook=true",
    ];
    let found = images(&helm(&scene, &chart, &[&file[..], &more[..]].concat()).unwrap());
    assert!(found.len() == 10 && found.is_subset(&targets), "{found:#?}");
}

#[test]
fn what_people_say_themselves_stays() {
    let Some(chart) = bundle_test_needs::shared("data/charts/harbor-1.19.1.tgz") else { return };
    let scene = Scene::empty();
    bundle_of(&scene, &[&chart], "");
    std::fs::write(
        scene.path("mine.yaml"),
        "externalURL: http://mine.example\nexpose: {tls: {enabled: false}, ingress: {hosts: {core: mine.example}}}\ncore: {resources: {requests: {cpu: '1'}}}\nimagePullSecrets: [{name: other}]\n",
    )
    .unwrap();
    let ran = values(&scene, &["-f", "mine.yaml", "--set", "trivy.enabled=false", "--pull-secret", "mine"]);
    let ran = ran.succeeds();
    assert_eq!(ran.stderr, "", "{}", ran.stderr);
    assert!(ran.stdout.contains("-f mine.yaml -f THIS-FILE"), "{}", ran.stdout);
    let overlay: Value = serde_saphyr::from_str(&ran.stdout).unwrap();
    assert_eq!(overlay["trivy"]["enabled"], false);
    assert_eq!(overlay["imagePullSecrets"], serde_json::json!([{"name": "other"}, {"name": "mine"}]));
    assert_eq!(
        (&overlay["externalURL"], &overlay["expose"], &overlay["core"]["resources"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    // A scanner without databases is reported.
    let ran = values(&scene, &["--ingress-host", "registry.example", "--no-pull-secret"]).succeeds();
    let ran = ran.says("note: Harbor's scanner runs, and the bundle has none of its databases");
    let overlay: Value = serde_saphyr::from_str(&ran.stdout).unwrap();
    assert_eq!(overlay["externalURL"], "https://registry.example");
    assert_eq!(overlay["expose"]["ingress"]["hosts"]["core"], "registry.example");
    assert_eq!(overlay.get("imagePullSecrets"), None);
    // The error names the value that the chart requires.
    values(&scene, &["--set", "expose.type=clusterIP"])
        .ends_with(2)
        .says("hint: give the chart that value: --set expose.tls.auto.commonName=…");
}

#[test]
fn the_pull_secret_in_harbors_own_namespace_is_not_one_that_its_chart_makes() {
    let Some(chart) = bundle_test_needs::shared("data/charts/harbor-1.19.1.tgz") else { return };
    let scene = Scene::empty();
    bundle_of(&scene, &[&chart], "");
    let given = ["--set", "expose.tls.auto.commonName=harbor.example", "--set", "trivy.enabled=false"];
    let with = |more: &[&str]| values(&scene, &[&given[..], more].concat());
    // harbor-registry is an Opaque secret of the release `harbor`, in its own namespace.
    with(&["--pull-secret", "harbor-registry"])
        .ends_with(2)
        .says("the chart makes a secret harbor-registry of its own: harbor/templates/registry/registry-secret.yaml")
        .says("hint: choose another name with --pull-secret");
    with(&["--pull-secret", "harbor-registry", "--release", "registry"]).ends_with(0);
    with(&[]).succeeds().says("harbor-pull");
}

#[test]
fn harbor_inside_another_chart_is_treated_alike() {
    let Some(chart) = bundle_test_needs::shared("data/charts/harbor-1.19.1.tgz") else { return };
    let scene = Scene::empty();
    std::fs::create_dir_all(scene.path("stack/charts")).unwrap();
    std::fs::copy(&chart, scene.path("stack/charts/harbor-1.19.1.tgz")).unwrap();
    std::fs::write(
        scene.path("stack/Chart.yaml"),
        "apiVersion: v2\nname: stack\nversion: 0.1.0\ndependencies: [{name: harbor, version: 1.x, alias: registry}]\n",
    )
    .unwrap();
    std::fs::write(scene.path("stack/values.yaml"), "registry: {trivy: {enabled: false}}\n").unwrap();
    bundle_of(&scene, &[&scene.path("stack")], "");
    values(&scene, &["--chart", "stack", "-o", "overlay.yaml"]).succeeds();
    let overlay: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(scene.path("overlay.yaml")).unwrap()).unwrap();
    assert_eq!(overlay["registry"]["externalURL"], format!("https://{REGISTRY}"));
    assert_eq!(overlay["registry"]["expose"]["ingress"]["hosts"]["core"], "harbor.example");
    assert_eq!(overlay["registry"]["core"]["resources"]["requests"]["memory"], "512Mi");
    assert_eq!(overlay["registry"]["imagePullSecrets"][0]["name"], "harbor-pull");
    let Some(documents) = helm(&scene, &scene.path("stack"), &["-f", "overlay.yaml"]) else { return };
    let found = images(&documents);
    assert!(found.len() == 7 && found.is_subset(&targets(&scene)), "{found:#?}");
}

#[test]
fn other_charts_are_led_to_the_bundle_in_their_own_ways() {
    let names = ["kube-state-metrics-8.4.0.tgz", "loki-distributed-0.80.6.tgz", "alertmanager-1.42.0.tgz"];
    let Some(charts) = names
        .map(|name| bundle_test_needs::shared(&format!("data/charts/{name}")))
        .into_iter()
        .collect::<Option<Vec<PathBuf>>>()
    else {
        return;
    };
    let scene = Scene::empty();
    bundle_of(&scene, &charts.iter().map(PathBuf::as_path).collect::<Vec<_>>(), "");
    values(&scene, &[])
        .ends_with(6)
        .says("there is no chart 'harbor' here; there is alertmanager:1.42.0, kube-state-metrics:8.4.0, loki-distributed:0.80.6")
        .says("hint: name one of those with --chart");
    let targets = targets(&scene);
    for (name, chart) in ["kube-state-metrics:8.4.0", "loki-distributed", "alertmanager"].iter().zip(&charts)
    {
        let file = format!("{}.yaml", name.replace(':', "-"));
        values(&scene, &["--chart", name, "-o", &file]).succeeds();
        let Some(documents) = helm(&scene, chart, &["-f", &file]) else { return };
        let found = images(&documents);
        assert!(!found.is_empty() && found.is_subset(&targets), "{name}: {found:#?}\n{targets:#?}");
    }
    values(&scene, &["--chart", "alertmanager", "--ingress-host", "a.example"])
        .ends_with(2)
        .says("with these values the chart creates no ingress");
    values(
        &scene,
        &["--chart", "alertmanager", "--set", "ingress.enabled=true", "--ingress-host", "a.example"],
    )
    .succeeds()
    .says("host: a.example");
}

/// A chart with an image that no value names.
fn own_chart(scene: &Scene) -> PathBuf {
    for (name, text) in [
        ("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.2.0\n"),
        ("web/values.yaml", "image: {repository: q.example/team/app, tag: '1'}\n"),
        (
            "web/templates/pod.yaml",
            "kind: Pod\nmetadata: {name: web}\nspec: {initContainers: [{image: 'q.example/team/wait:2'}], containers: [{image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}'}]}\n",
        ),
    ] {
        let path = scene.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    scene.path("web")
}

#[test]
fn an_image_that_cannot_be_led_anywhere_is_named_with_its_place() {
    let scene = Scene::empty();
    let chart = own_chart(&scene);
    bundle_of(&scene, &[&chart], "");
    values(&scene, &["--chart", "web", "-o", "x.yaml"])
        .ends_with(6)
        .says("web 1.2.0 asks for an image that is named by none of its values")
        .says("q.example/team/wait:2: templates/pod.yaml Pod/web spec.initContainers[0].image")
        .says("hint: with --keep-unmapped they keep their names");
    assert!(!scene.path("x.yaml").exists());
    values(&scene, &["--chart", "web", "--keep-unmapped"])
        .succeeds()
        .says("note: q.example/team/wait:2 keeps its name")
        .says("note: no value gives web/templates/pod.yaml Pod/web a secret to pull with")
        .says(&format!("repository: {REGISTRY}/cache/q.example/team/app"));
    // Other values ask for what the bundle does not have.
    values(&scene, &["--chart", "web", "--keep-unmapped", "--set-string", "image.tag=9"])
        .ends_with(6)
        .says("web 1.2.0 asks for an image that is not in the bundle")
        .says("q.example/team/app:9: templates/pod.yaml Pod/web spec.containers[0].image");
    for (arguments, code, text) in [
        (&["--chart", "web:9"][..], 6, "there is no chart 'web:9' here; there is web:1.2.0"),
        (&["--chart", "web", "-f", "none.yaml"], 2, "none.yaml cannot be read"),
        (&["--chart", "web", "--set", "image"], 2, "key has no value"),
        (&["--chart", "web", "--ingress-host", "a b"], 2, "--ingress-host 'a b'"),
        (&["--chart", "web", "--kube-version", "x"], 2, "at least two numbers"),
    ] {
        values(&scene, arguments).ends_with(code).says(text);
    }
    scene.bundle(["key", "generate", "key-other"]).succeeds();
    scene
        .bundle(["harbor", "values", "b.tar", "--trust", "key-other.pub", "--registry", REGISTRY])
        .ends_with(3);
}

/// Small charts, each with one way to make the name of an image: all are led to the bundle, as Helm sees it.
#[test]
fn charts_are_led_to_the_bundle_however_they_spell_an_image() {
    let pod = |image: &str, more: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web{more}}}\nspec: {{containers: [{{name: a, image: {image}}}]}}\n"
        )
    };
    let q = "q.example/team/app";
    let parts = "'{{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}'";
    let group = "image: {registry: q.example, repository: team/app, tag: 1.2.3}\n";
    for (name, values, template) in [
        (
            "own-names",
            "x: {where: q.example, who: team, what: app, which: v1.0}\n".to_owned(),
            pod("'{{ .Values.x.where }}/{{ .Values.x.who }}/{{ .Values.x.what }}:{{ .Values.x.which }}'", ""),
        ),
        (
            "map-of-references",
            format!("images: {{tags: {{check: '{q}:latest-noble'}}}}\n"),
            pod("{{ .Values.images.tags.check | quote }}", ""),
        ),
        ("label-of-tag", group.to_owned(), pod(parts, ", labels: {version: '{{ .Values.image.tag }}'}")),
        (
            "version-of-tag",
            group.to_owned(),
            pod(parts, ", annotations: {new: '{{ semverCompare \">=1.2.0\" .Values.image.tag }}'}"),
        ),
        (
            "refuses-others",
            format!("global: {{security: {{allowInsecureImages: false}}}}\n{group}"),
            format!(
                "{{{{- if and (ne .Values.image.registry \"q.example\") (not .Values.global.security.allowInsecureImages) }}}}{{{{ fail \"not the original containers\" }}}}{{{{ end }}}}{}",
                pod(parts, "")
            ),
        ),
        (
            "start-for-all",
            "base: q.example/team/\nnames: [app]\n".to_owned(),
            pod("'{{ .Values.base }}{{ index .Values.names 0 }}:v1'", ""),
        ),
    ] {
        let scene = Scene::empty();
        let chart = scene.path(name);
        for (file, text) in [
            ("Chart.yaml", format!("apiVersion: v2\nname: {name}\nversion: 1.2.0\n")),
            ("values.yaml", values),
            ("templates/pod.yaml", template),
        ] {
            let path = chart.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        bundle_of(&scene, &[&chart], "");
        self::values(&scene, &["--chart", name, "--no-pull-secret", "-o", "overlay.yaml"]).succeeds();
        let Some(documents) = helm(&scene, &chart, &["-f", "overlay.yaml"]) else { return };
        let found = images(&documents);
        let pinned = targets(&scene);
        let whole = |image: &String| {
            pinned.iter().any(|target| target == image || target.split_once('@').unwrap().0 == image)
        };
        assert!(found.len() == 1 && found.iter().all(whole), "{name}: {found:#?}\n{pinned:#?}");
    }
}

#[test]
fn what_no_value_names_is_replaced_by_kustomize() {
    let scene = Scene::empty();
    let chart = own_chart(&scene);
    bundle_of(&scene, &[&chart], "");
    values(
        &scene,
        &[
            "--chart",
            "web",
            "--no-pull-secret",
            "--kustomization",
            "kustomization.yaml",
            "-o",
            "overlay.yaml",
        ],
    )
    .succeeds();
    let text = std::fs::read_to_string(scene.path("kustomization.yaml")).unwrap();
    let written: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(written["images"][0]["name"], "q.example/team/wait", "{text}");
    assert_eq!(written["images"][0]["newName"], format!("{REGISTRY}/cache/q.example/team/wait"));
    assert!(written["images"][0]["digest"].as_str().unwrap().starts_with("sha256:"));
    values(&scene, &["--chart", "web", "--kustomization", "kustomization.yaml"])
        .ends_with(2)
        .says("kustomization.yaml exists already");
    let Some(kustomize) = bundle_test_needs::program("kustomize") else { return };
    let Some(documents) = helm(&scene, &chart, &["-f", "overlay.yaml"]) else { return };
    let all: Vec<String> =
        documents.iter().map(|document| serde_json::to_string(document).unwrap()).collect();
    std::fs::write(scene.path("all.yaml"), all.join("\n---\n")).unwrap();
    let built = Command::new(kustomize).args(["build", "."]).current_dir(scene.path("")).output().unwrap();
    let built = String::from_utf8(built.stdout).unwrap();
    assert_eq!(built.matches(&format!("image: {REGISTRY}/cache/q.example/team/")).count(), 2, "{built}");
}

#[test]
fn a_chart_without_its_images_is_completed_by_another_bundle() {
    let scene = Scene::empty();
    let chart = own_chart(&scene);
    std::fs::write(
        chart.join("templates/pod.yaml"),
        "kind: Pod\nmetadata: {name: web}\nspec: {containers: [{image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}'}]}\n",
    )
    .unwrap();
    let host = scene.source.host().to_owned();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    scene.source.client().push("charts/other", "1.0.0", &Manifest::helm_chart("other", "1.0.0")).unwrap();
    let mirror = format!("q.example={host}");
    std::fs::write(
        scene.path("bundle.yaml"),
        format!(
            "name: charts\nprojects: {{platform: {{charts: [{{path: {}, exclude: ['q.example/*']}}]}}}}\n",
            chart.display()
        ),
    )
    .unwrap();
    let create = |more: &[&str]| {
        let arguments = ["create", "--no-referrers", "--key", "key", "--mirror", &mirror];
        scene.bundle(arguments.iter().chain(more)).succeeds();
    };
    create(&["-o", "b.tar"]);
    create(&["q.example/team/app:1", "--stream", "images", "-o", "images.tar"]);
    values(&scene, &["--chart", "web"]).ends_with(6).says("name the bundle that has them too");
    values(&scene, &["images.tar", "--chart", "web"])
        .succeeds()
        .says("# Bundle: charts ")
        .says("# Bundle: images ")
        .says(&format!("repository: {REGISTRY}/cache/q.example/team/app\n"));
}
