//! The Helm chart of `manifests/`: it makes the objects that kustomize makes, by our renderer and by Helm, and crosses a
//! gap itself. Takes its files, `helm` and `kustomize`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use bundle_chart::{Chart, Limits, RenderError, RenderOptions, ValueSet, ValuesFile, render};
use serde_json::Value;

use crate::documents::manifests::{Objects, built, by_name, is_of_its_type, manifests, read, yaml};
use crate::documents::page::text_of;
use crate::scene::Scene;

fn chart() -> PathBuf {
    manifests().join("chart")
}

/// The values files that are beside the chart for tests.
const FILES: [&str; 3] = ["everything", "export", "import"];

/// Values: one of the files or none, and expressions as of `--set`.
#[derive(Clone, Copy)]
struct Values<'a> {
    file: Option<&'a str>,
    set: &'a [&'a str],
}

impl<'a> Values<'a> {
    const DEFAULT: Self = Self { file: None, set: &[] };

    fn file(name: &'a str) -> Self {
        Self { file: Some(name), ..Self::DEFAULT }
    }

    fn path(&self) -> Option<PathBuf> {
        self.file.map(|name| chart().join(format!("ci/{name}-values.yaml")))
    }

    /// The options of `helm`.
    fn options(&self) -> Vec<String> {
        let file = self.path().map(|path| vec!["-f".to_owned(), path.display().to_string()]);
        let set = self.set.iter().flat_map(|text| ["--set".to_owned(), (*text).to_owned()]);
        file.unwrap_or_default().into_iter().chain(set).collect()
    }
}

/// Renders the chart as the release `bundle` in the namespace `bundle` with our renderer.
fn rendered(values: Values<'_>) -> Result<Objects, RenderError> {
    let chart = Chart::from_directory(&chart(), &Limits::DEFAULT).unwrap();
    let file = |path: PathBuf| ValuesFile { name: path.display().to_string(), text: read(&path) };
    let set = ValueSet {
        files: values.path().map(file).into_iter().collect(),
        set: values.set.iter().map(|text| (*text).to_owned()).collect(),
        ..ValueSet::defaults()
    };
    let options = RenderOptions {
        release_name: Some("bundle".to_owned()),
        namespace: "bundle".to_owned(),
        ..RenderOptions::default()
    };
    let rendering = render(&chart, &set, &options)?;
    assert!(rendering.warnings.is_empty(), "{:?}", rendering.warnings);
    Ok(by_name(rendering.documents.iter().map(|document| serde_saphyr::from_str(&document.text).unwrap())))
}

fn helm(program: &Path, arguments: &[&str], values: Values<'_>) -> Result<String, String> {
    let ran = Command::new(program).args(arguments).args(values.options()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if ran.status.success() { Ok(text(ran.stdout)) } else { Err(text(ran.stderr) + &text(ran.stdout)) }
}

/// Renders a chart with Helm, as [`rendered`] does. A Helm that `go install` builds takes itself for one of
/// Kubernetes 1.20.
fn rendered_by_helm(program: &Path, chart: &Path, values: Values<'_>) -> Result<Objects, String> {
    let chart = chart.display().to_string();
    let text = helm(
        program,
        &["template", "bundle", &chart, "--namespace", "bundle", "--kube-version", "1.33.0"],
        values,
    )?;
    Ok(by_name(serde_saphyr::from_multiple::<Value>(&text).unwrap()))
}

#[test]
fn helm_and_our_renderer_make_the_same_objects_of_the_chart_and_helm_finds_nothing_to_say() {
    let Some(program) = bundle_test_needs::program("helm") else { return };
    let chart = chart();
    for values in [Values::DEFAULT].into_iter().chain(FILES.map(Values::file)) {
        let (ours, helms) = (rendered(values).unwrap(), rendered_by_helm(&program, &chart, values).unwrap());
        assert_eq!(ours, helms, "{:?}", values.file);
        helm(&program, &["lint", "--strict", chart.to_str().unwrap()], values).unwrap();
    }
    for wrong in [
        "import.schedul=x",
        "import.schedule=bogus bogus bogus bogus bogus",
        "import.sync.to=",
        "import.sync.bogus=x",
        "import.sync=null",
        "export.sync=null",
        "image.tag=a b",
        "transfer.volume=both",
        "nameOverride=UPPER",
        "fullnameOverride=with_line",
        // They would be there twice.
        "commonLabels.app\\.kubernetes\\.io/name=x",
        "podLabels.app\\.kubernetes\\.io/instance=x",
    ] {
        let values = Values { set: &[wrong], ..Values::DEFAULT };
        assert!(
            matches!(rendered(values), Err(RenderError::Schema(_))),
            "{wrong}: {:?}",
            rendered(values).err()
        );
        let error = rendered_by_helm(&program, &chart, values).unwrap_err();
        assert!(error.contains("values don't meet the specifications of the schema"), "{wrong}: {error}");
    }
}

#[test]
fn every_object_of_the_chart_reads_as_kubernetes_own_types_and_no_image_is_named_outside_the_values() {
    let chart = Chart::from_directory(&chart(), &Limits::DEFAULT).unwrap();
    assert_eq!(chart.metadata().version.to_string(), env!("CARGO_PKG_VERSION"));
    let mut kinds = BTreeSet::new();
    for values in [Values::DEFAULT].into_iter().chain(FILES.map(Values::file)) {
        for ((kind, name), object) in rendered(values).unwrap() {
            assert!(is_of_its_type(&object, &name), "nobody looks at a {kind}");
            assert_eq!(object["metadata"]["namespace"], "bundle", "{kind} {name}");
            kinds.insert(kind);
        }
    }
    assert_eq!(kinds.len(), 8, "{kinds:?}");
    let set = ["image.repository=one.example/a", "image.tag=v1", "transfer.image.repository=two.example/b"];
    let all = [
        "export.enabled=true",
        "serve.enabled=true",
        "importJob.enabled=true",
        "exportJob.enabled=true",
        "transfer.enabled=true",
    ];
    let objects = rendered(Values { set: &[&set[..], &all[..]].concat(), ..Values::DEFAULT }).unwrap();
    let mut images = BTreeMap::new();
    for object in objects.values() {
        collect(object, "image", &mut |image| {
            *images.entry(image.as_str().unwrap().to_owned()).or_insert(0) += 1;
        });
    }
    let expected = [("one.example/a:v1".to_owned(), 5), ("two.example/b:3.20".to_owned(), 2)];
    assert_eq!(images, BTreeMap::from(expected));
}

/// Calls for each value of a key, anywhere in an object.
fn collect(value: &Value, key: &str, with: &mut dyn FnMut(&Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            if name == key {
                with(value);
            }
            collect(value, key, with);
        }),
        Value::Array(list) => list.iter().for_each(|value| collect(value, key, with)),
        _ => {}
    }
}

#[test]
fn the_schema_of_the_charts_values_has_a_word_on_every_value_and_nothing_else() {
    let schema: Value = serde_json::from_str(&read(&chart().join("values.schema.json"))).unwrap();
    let values: Value = yaml(&chart().join("values.yaml"));
    let mut seen = 0;
    compare(&schema, &schema, &values, "", &mut seen);
    assert!(seen > 80, "{seen}");
    // The sections of sync.yaml have the fields that the program reads.
    let sync = text_of("docs/reference/sync.schema.json");
    let sync: Value = serde_json::from_str(&sync).unwrap();
    for (side, name) in [("import", "ImportConfig"), ("export", "ExportConfig")] {
        let read = sync["$defs"][name]["properties"].as_object().unwrap();
        let given = &schema["properties"][side]["properties"]["sync"]["propertyNames"]["enum"];
        let given: BTreeSet<&str> = given.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(given, read.keys().map(String::as_str).collect(), "{side}");
    }
}

/// A schema's properties are the value's fields. Text, lists and maps that users fill in have no more of them.
fn compare(all: &Value, schema: &Value, value: &Value, place: &str, seen: &mut usize) {
    let schema = match schema["$ref"].as_str() {
        Some(name) => all.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    assert!(schema["description"].is_string(), "{place} is described nowhere");
    *seen += 1;
    let Some(properties) = schema["properties"].as_object() else { return };
    let value = value.as_object().unwrap_or_else(|| panic!("{place} is no map"));
    for (name, schema) in properties {
        match value.get(name) {
            Some(value) => compare(all, schema, value, &format!("{place}.{name}"), seen),
            // Helm's own, and what Kubernetes has for pods with devices.
            None => assert!(["global", "claims"].contains(&name.as_str()), "{place}.{name} has no default"),
        }
    }
    if schema["additionalProperties"] == false {
        assert!(value.keys().all(|name| properties.contains_key(name)), "{place}");
    }
}

/// The six labels that Kubernetes recommends (kubernetes.io/docs/concepts/overview/working-with-objects/common-labels).
const LABELS: [&str; 6] = ["name", "instance", "version", "component", "part-of", "managed-by"];

/// Checks the labels of an object, and takes away what has to differ between kustomize and Helm.
fn normalised(mut objects: Objects) -> Objects {
    objects.retain(|(kind, _), _| kind != "Namespace");
    for ((kind, name), object) in &mut objects {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("namespace");
        let labels = metadata["labels"].as_object_mut().unwrap();
        for label in LABELS {
            let value = labels.get(&format!("app.kubernetes.io/{label}")).and_then(Value::as_str);
            assert!(value.is_some_and(|value| !value.is_empty()), "{kind} {name}: no label {label}");
        }
        assert_eq!(labels["app.kubernetes.io/version"], env!("CARGO_PKG_VERSION"), "{kind} {name}");
        if let Some(annotations) = metadata.get_mut("annotations") {
            let annotations = annotations.as_object_mut().unwrap();
            // Kustomize removes nothing by itself that it could be told to keep.
            annotations.remove("helm.sh/resource-policy");
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
        walk(object);
        if kind == "ConfigMap" && object["data"]["sync.yaml"].is_string() {
            let text = object["data"]["sync.yaml"].as_str().unwrap();
            object["data"]["sync.yaml"] = serde_saphyr::from_str(text).unwrap();
        }
    }
    by_name(objects.into_values())
}

fn walk(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for label in ["app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"] {
                map.remove(label);
            }
            for (name, value) in map.iter_mut() {
                match value {
                    // A pod's volumes have no order.
                    Value::Array(list) if name == "volumes" || name == "volumeMounts" => {
                        list.sort_by_key(|volume| volume["name"].as_str().unwrap().to_owned());
                    }
                    // Kustomize adds the content's hash to the names of ConfigMaps.
                    Value::String(text) if name == "name" => {
                        let hash = |end: &str| end.len() == 10 && end.chars().any(|it| it.is_ascii_digit());
                        if let Some((start, end)) = text.clone().rsplit_once('-').filter(|(_, end)| hash(end))
                        {
                            assert!(end.chars().all(char::is_alphanumeric));
                            *text = start.to_owned();
                        }
                    }
                    _ => {}
                }
                walk(value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(walk),
        _ => {}
    }
}

#[test]
fn the_chart_and_kustomize_make_the_same_objects_and_all_have_the_recommended_labels() {
    let Some(kustomize) = bundle_test_needs::program("kustomize") else { return };
    let scene = Scene::empty();
    scene.shell(&format!("cp -r {} manifests", manifests().display())).succeeds();
    let at = |name: &str| scene.path("manifests/kubernetes").join(name);
    for key in ["export/overlays/example/site.pub", "import/overlays/example/ops.key.pub"] {
        std::fs::write(at(key), "brought").unwrap();
        std::fs::write(at(key).with_file_name("ca.crt"), "brought").unwrap();
    }
    let transfer: Value = yaml(&manifests().join("kubernetes/transfer/pod.yaml"));
    let cases: [(Values<'_>, &[&str]); 4] = [
        (Values::DEFAULT, &["import/base"]),
        (
            Values { set: &["import.enabled=false", "export.enabled=true"], ..Values::DEFAULT },
            &["export/base"],
        ),
        (Values::file("import"), &["import-job", "serve"]),
        (Values::file("export"), &["export-job"]),
    ];
    for (values, directories) in cases {
        let built = directories.iter().flat_map(|directory| built(&kustomize, &at(directory)).unwrap());
        let transfer = (values.file == Some("import")).then(|| transfer.clone());
        let mut expected = normalised(by_name(built.map(|(_, object)| object).chain(transfer)));
        let mut found = normalised(rendered(values).unwrap());
        for objects in [&mut expected, &mut found] {
            for object in objects.values_mut().filter(|object| object["kind"] == "ConfigMap") {
                // The base's examples, in whose place everybody puts a bundle.yaml: the chart has none.
                let data = object["data"].as_object_mut().unwrap();
                data.remove("images.txt");
                if values.file.is_none() {
                    data.remove("bundle.yaml");
                }
            }
        }
        let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected), "{directories:?}");
        for (name, object) in &expected {
            assert_eq!(&found[name], object, "{directories:?} {name:?}");
        }
        assert!(found.len() > 3, "{directories:?}");
    }
}

/// A copy of the chart in `manifests/chart` of a scene, which renders its notes as an object: `helm template` leaves notes
/// out, and `helm install` asks a cluster.
fn with_notes() -> Scene {
    let scene = Scene::empty();
    scene.shell(&format!("mkdir manifests && cp -r {} manifests/chart", chart().display())).succeeds();
    let shown = "kind: Notes\nmetadata: {name: notes}\ntext: {{ include \"bundle/templates/NOTES.txt\" . | toJson }}\n";
    std::fs::write(scene.path("manifests/chart/templates/notes.yaml"), shown).unwrap();
    scene
}

fn notes(objects: &Objects) -> &str {
    objects[&("Notes".to_owned(), "notes".to_owned())]["text"].as_str().unwrap()
}

#[test]
fn the_commands_for_helm_in_the_manual_install_each_side_without_a_warning() {
    let Some(program) = bundle_test_needs::program("helm") else { return };
    let scene = with_notes();
    let key = "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n";
    for (name, text) in [("bundle.yaml", "projects: {}"), ("site.pub", key), ("ops.key.pub", key)] {
        std::fs::write(scene.path(name), text).unwrap();
    }
    let page = read(&manifests().join("README.md"));
    let part = page.split("### With Helm").nth(1).unwrap().split("\n### ").next().unwrap();
    let blocks: Vec<&str> =
        part.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    let template = format!("{} template --kube-version 1.33.0 bundle", program.display());
    for (block, side, registry) in
        [(blocks[0], "export", "harbor.connected.example"), (blocks[1], "import", "harbor.plant7.example")]
    {
        let command = block
            .replace("helm upgrade --install bundle", &template)
            .replace("oci://harbor.plant7.example/platform/charts/bundle", "manifests/chart");
        let text = scene.shell(&command).succeeds().stdout;
        let objects = by_name(serde_saphyr::from_multiple::<Value>(&text).unwrap());
        let jobs: Vec<&String> = objects.keys().filter(|it| it.0 == "CronJob").map(|it| &it.1).collect();
        assert_eq!(jobs, [&format!("bundle-{side}")]);
        assert!(!notes(&objects).contains("WARNING"), "{}", notes(&objects));
        assert!(
            text.contains(&format!("{registry}/platform/bundle:{}", env!("CARGO_PKG_VERSION"))),
            "{text}"
        );
    }
}

#[test]
fn the_notes_of_the_chart_name_the_next_steps_and_what_is_missing() {
    let Some(program) = bundle_test_needs::program("helm") else { return };
    let scene = with_notes();
    let noted = |values: Values<'_>| {
        let objects = rendered_by_helm(&program, &scene.path("manifests/chart"), values).unwrap();
        notes(&objects).to_owned()
    };
    let text = noted(Values::DEFAULT);
    assert_eq!(text.matches("WARNING").count(), 2, "{text}");
    let given = ["import.sync.to=harbor.a", "import.files.a\\.pub=-----BEGIN PUBLIC KEY-----"];
    let text = noted(Values { set: &given, ..Values::DEFAULT });
    assert!(!text.contains("WARNING"), "{text}");
    // Each secret that a pod mounts has the command that makes it, and each command names an object that is there.
    let values = Values::file("everything");
    let (text, objects) = (noted(values), rendered(values).unwrap());
    let mut secrets = BTreeSet::new();
    objects.values().for_each(|object| {
        collect(object, "secretName", &mut |name| {
            secrets.insert(name.as_str().unwrap().to_owned());
        });
    });
    assert_eq!(secrets.len(), 6, "{secrets:?}");
    for secret in secrets {
        let made =
            ["generic", "tls", "docker-registry"].map(|kind| format!("create secret {kind} {secret} "));
        assert!(made.iter().any(|made| text.contains(made)), "{secret}: {text}");
    }
    for (kind, start) in [("CronJob", "--from=cronjob/"), ("Deployment", "deployment/")] {
        for named in text.split(start).skip(1).filter_map(|rest| rest.split_whitespace().next()) {
            assert!(objects.contains_key(&(kind.to_owned(), named.to_owned())), "{kind} {named}");
        }
    }
    let text = noted(Values { set: &["import.enabled=false"], ..Values::DEFAULT });
    assert!(text.contains("Nothing is enabled. On the connected side: --set export.enabled=true"), "{text}");
}

#[test]
fn a_bundle_of_the_chart_has_the_images_of_its_pods() {
    let scene = Scene::with_images();
    let host = scene.source.host().to_owned();
    // Numbers as tags are text, which the schema demands.
    let image = |name: &str| format!("image: {{repository: {host}/team/{name}, tag: \"1\"}}");
    let values = format!("{}\ntransfer: {{{}}}\n", image("multi"), image("docker"));
    std::fs::write(scene.path("values.yaml"), values).unwrap();
    let chart = chart().display().to_string();
    let text = format!(
        "projects:\n  platform:\n    charts:\n      - path: {chart}\n        values: [values.yaml]\n"
    );
    std::fs::write(scene.path("bundle.yaml"), text).unwrap();
    let listed = scene.bundle(["images", "-f", "bundle.yaml"]).succeeds();
    // What only the chart's own examples name is asked for, too, and left out where it is not found.
    for line in listed.stderr.lines() {
        let example = ["registry.example", "docker.io"].iter().any(|host| line.contains(host));
        assert!(line.starts_with("note: ") && example, "{line}");
    }
    scene.bundle(["create", "--key", "key", "--stream", "charts", "-o", "a.tar"]).succeeds();
    let inspected = scene.bundle(["inspect", "a.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    let text = inspected.to_string();
    for name in ["team/multi", "team/docker", "bundle"] {
        assert!(text.contains(name), "{name} is not in {text}");
    }
    assert_eq!(inspected["artifacts"].as_array().unwrap().len(), 3, "{text}");
}
