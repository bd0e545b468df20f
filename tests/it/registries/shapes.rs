//! Manifests as registries hold them and as no specification asks for: what all of crane, regctl, skopeo and oras
//! copy, the program copies too. Takes documents that are served as they are; looks at what a bundle has of them.

use std::collections::BTreeMap;

use bundle_test_servers::{Check, DockerRegistry, FaultProxy, Response, sha256};
use serde_json::{Value, json};

use crate::scene::{CREATED, Ran, Scene};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Documents and blobs of the repository `x`, by digest, and the tag `1`.
#[derive(Default)]
struct Documents {
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    blobs: BTreeMap<String, Vec<u8>>,
    tagged: BTreeMap<String, String>,
}

impl Documents {
    fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        self.blobs.insert(digest.clone(), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// A document, and its descriptor.
    fn manifest(&mut self, media_type: &str, document: &Value) -> Value {
        self.bytes(media_type, document.to_string().into_bytes())
    }

    fn bytes(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = sha256(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.manifests.insert(digest, (media_type.to_owned(), bytes));
        descriptor
    }

    /// An image whose config says that platform.
    fn image(&mut self, os: &str, architecture: &str) -> Value {
        let layer = self
            .blob("application/vnd.oci.image.layer.v1.tar+gzip", format!("{os}{architecture}").as_bytes());
        let config = json!({"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}});
        let config = self.blob(CONFIG, config.to_string().as_bytes());
        self.manifest(
            MANIFEST,
            &json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}),
        )
    }

    /// An index of these children, each with what is its `platform`; `null` is none.
    fn index(&mut self, media_type: &str, children: &[(Value, Value)]) -> Value {
        let manifests: Vec<Value> = children
            .iter()
            .map(|(child, platform)| {
                let mut child = child.clone();
                if !platform.is_null() {
                    child["platform"] = platform.clone();
                }
                child
            })
            .collect();
        self.manifest(
            media_type,
            &json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}),
        )
    }

    fn tag(&mut self, tag: &str, descriptor: &Value) {
        self.tagged.insert(tag.to_owned(), text(&descriptor["digest"]));
    }

    fn serve(self) -> FaultProxy {
        let server = FaultProxy::scripted().unwrap();
        server.answer_with(move |head| {
            let path = head.path().strip_prefix("/v2/")?;
            if path.is_empty() {
                return Some(Response::new(200));
            }
            if let Some(name) = path.strip_prefix("x/manifests/") {
                let digest = self.tagged.get(name).map_or(name, String::as_str);
                let (media_type, bytes) = self.manifests.get(digest)?;
                return Some(
                    Response::new(200).with_header("Content-Type", media_type).with_body(bytes.clone()),
                );
            }
            let digest = path.strip_prefix("x/blobs/")?;
            let bytes = self.blobs.get(digest).or(self.manifests.get(digest).map(|(_, bytes)| bytes))?;
            Some(Response::new(200).with_body(bytes.clone()))
        });
        server
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn create(scene: &Scene, references: &[String], more: &[&str]) -> Ran {
    let _ = std::fs::remove_file(scene.path("b.tar"));
    let mut arguments: Vec<&str> = vec!["create"];
    arguments.extend(references.iter().map(String::as_str));
    arguments.extend(["--key", "key", "--created", CREATED, "-o", "b.tar", "--retries", "1"]);
    arguments.extend(more);
    let ran = scene.bundle(arguments);
    if ran.code == Some(0) {
        scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds();
    }
    ran
}

fn platform(os: &str, architecture: &str) -> Value {
    json!({"os": os, "architecture": architecture})
}

/// Every row is a document that must be carried, and the blob that must not, or must, come with it.
#[test]
fn shapes_that_all_clients_copy_are_copied() {
    let scene = Scene::empty();
    let mut failures = Vec::new();
    let mut row = |name: &str, more: &[&str], make: &dyn Fn(&mut Documents) -> Value| {
        let mut documents = Documents::default();
        let root = make(&mut documents);
        documents.tag("1", &root);
        let server = documents.serve();
        let ran = create(&scene, &[format!("{}/x:1", server.host())], more);
        if ran.code != Some(0) {
            failures.push(format!("{name} {more:?}: {:?} {}", ran.code, ran.stderr.trim()));
        }
    };
    let amd64: &[&str] = &["--platform", "linux/amd64"];
    let two: &[&str] = &["--platform", "linux/amd64", "--platform", "linux/arm64"];
    let brew = |documents: &mut Documents| {
        let children = [documents.image("darwin", "arm64"), documents.image("linux", "amd64")];
        let [mac, linux] = children;
        let version = json!({"os": "darwin", "architecture": "arm64", "os.version": "macOS 12.6"});
        documents.index(INDEX, &[(mac, version), (linux, platform("linux", "amd64"))])
    };
    row("os.version that is no version", &[], &brew);
    row("os.version that is no version", amd64, &brew);
    row("os.version that is no version", &["--platform", "darwin/arm64"], &brew);
    for (name, value) in [
        ("platform {}", json!({})),
        ("no platform", Value::Null),
        ("empty words", json!({"os": "", "architecture": ""})),
        ("no architecture", json!({"os": "linux"})),
    ] {
        let make = |documents: &mut Documents| {
            let child = documents.image("linux", "amd64");
            documents.index(INDEX, &[(child, value.clone())])
        };
        row(name, &[], &make);
        row(name, amd64, &make);
        row(name, two, &make);
    }
    for (name, features) in [("os.features", json!(["win32k"])), ("os.features as text", json!("win32k"))] {
        let make = |documents: &mut Documents| {
            let child = documents.image("linux", "amd64");
            let mut value = platform("linux", "amd64");
            value["os.features"] = features.clone();
            value["features"] = json!(["sse4"]);
            documents.index(LIST, &[(child, value)])
        };
        row(name, &[], &make);
        row(name, amd64, &make);
    }
    for (name, layers) in
        [("layers null", Some(Value::Null)), ("no layers", None), ("layers []", Some(json!([])))]
    {
        let make = |documents: &mut Documents| {
            let config = documents.blob("application/vnd.acme.v1+json", b"{}");
            let mut document = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config});
            if let Some(layers) = &layers {
                document["layers"] = layers.clone();
            }
            documents.manifest(MANIFEST, &document)
        };
        row(name, &[], &make);
        row(name, amd64, &make);
    }
    row("a schema 1 child that is not asked for", amd64, &|documents| {
        let image = documents.image("linux", "amd64");
        let old = json!({"schemaVersion": 1, "name": "old", "tag": "1", "architecture": "386", "fsLayers": [], "history": []});
        let old = documents.manifest("application/vnd.docker.distribution.manifest.v1+prettyjws", &old);
        documents.index(LIST, &[(image, platform("linux", "amd64")), (old, platform("linux", "386"))])
    });
    row("a package without a platform", amd64, &|documents| {
        let layer = documents.blob("application/vnd.oci.image.layer.v1.tar+gzip", b"xpkg");
        let config =
            documents.blob(CONFIG, b"{\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}");
        documents.manifest(
            MANIFEST,
            &json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}),
        )
    });
    row("a config of no bytes", amd64, &|documents| {
        let config = documents.blob(CONFIG, b"");
        documents.manifest(
            MANIFEST,
            &json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}),
        )
    });
    row("an artifact that is no image", amd64, &|documents| {
        let config = documents.blob("application/vnd.cncf.flux.config.v1+json", b"{}");
        let layer = documents.blob("application/vnd.cncf.flux.content.v1.tar+gzip", b"flux");
        documents.manifest(MANIFEST, &json!({"schemaVersion": 2, "config": config, "layers": [layer]}))
    });
    row("a single image of one of two platforms", two, &|documents| documents.image("linux", "amd64"));
    row("an index of one of two platforms", two, &|documents| {
        let child = documents.image("linux", "amd64");
        documents.index(INDEX, &[(child, platform("linux", "amd64"))])
    });
    let twice = |documents: &mut Documents| {
        let child = documents.image("linux", "amd64");
        documents
            .index(INDEX, &[(child.clone(), platform("linux", "amd64")), (child, platform("linux", "amd64"))])
    };
    row("a child twice", &[], &twice);
    row("a child twice", amd64, &twice);
    let nested = |documents: &mut Documents| {
        let child = documents.image("linux", "amd64");
        let inner = documents.index(INDEX, &[(child, platform("linux", "amd64"))]);
        documents.index(INDEX, &[(inner, Value::Null)])
    };
    row("an index in an index", &[], &nested);
    row("an index in an index", amd64, &nested);
    row("a layer thrice", &[], &|documents| {
        let config = documents.blob(CONFIG, b"{\"os\":\"linux\",\"architecture\":\"amd64\"}");
        let layer = documents.blob("application/vnd.oci.image.layer.v1.tar", b"layer");
        documents.manifest(
            MANIFEST,
            &json!({"schemaVersion": 2, "config": config, "layers": [layer, layer, layer]}),
        )
    });
    row("a layer without a media type", &[], &|documents| {
        let config = documents.blob("application/vnd.foo", b"{}");
        let layer = documents.blob("", b"a");
        documents.manifest(
            MANIFEST,
            &json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}),
        )
    });
    row("newlines at the end", &[], &|documents| {
        let image = documents.image("linux", "amd64");
        let bytes = documents.manifests[&text(&image["digest"])].1.clone();
        documents.bytes(MANIFEST, [bytes, b"\n\n\n".to_vec()].concat())
    });
    row("an upper-case content type", &[], &|documents| {
        let image = documents.image("linux", "amd64");
        let bytes = documents.manifests[&text(&image["digest"])].1.clone();
        documents.bytes(
            "Application/vnd.OCI.image.manifest.v1+JSON; charset=utf-8",
            [bytes, b"\n".to_vec()].concat(),
        )
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn an_image_by_tag_and_by_tag_with_digest_is_one_artifact() {
    let scene = Scene::empty();
    let mut documents = Documents::default();
    let image = documents.image("linux", "amd64");
    documents.tag("1", &image);
    let other = documents.image("linux", "arm64");
    let server = documents.serve();
    let (host, digest) = (server.host(), text(&image["digest"]));
    create(&scene, &[format!("{host}/x:1"), format!("{host}/x:1@{digest}")], &[]).succeeds();
    let found = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    assert_eq!(found["artifacts"].as_array().unwrap().len(), 1, "{found}");
    // The lock has one entry for both, and keeps both to it.
    let both = format!(
        "name: n\nprojects:\n  platform:\n    images:\n    - '{host}/x:1 => x:1'\n    - '{host}/x:1@{digest} => x:1'\n"
    );
    std::fs::write(scene.path("bundle.yaml"), both).unwrap();
    scene.bundle(["lock"]).succeeds();
    create(&scene, &[], &["--locked"]).succeeds();
    std::fs::remove_file(scene.path("bundle.yaml")).unwrap();
    let other = text(&other["digest"]);
    let ran = create(&scene, &[format!("{host}/x:1"), format!("{host}/x:1@{other}")], &[]);
    assert_ne!(ran.code, Some(0));
    ran.says(&digest).says(&other);
}

#[test]
fn what_there_is_of_several_platforms_is_carried_and_the_rest_is_said() {
    let two = ["--platform", "linux/amd64", "--platform", "linux/arm64"];
    let strict = [&two[..], &["--strict-platforms"]].concat();
    let scene = Scene::empty();
    for index in [false, true] {
        let mut documents = Documents::default();
        let image = documents.image("linux", "amd64");
        let root = match index {
            true => documents.index(INDEX, &[(image, platform("linux", "amd64"))]),
            false => image,
        };
        documents.tag("1", &root);
        let server = documents.serve();
        let reference = [format!("{}/x:1", server.host())];
        create(&scene, &reference, &two)
            .succeeds()
            .says("there is no linux/arm64; the other platforms are carried");
        create(&scene, &reference, &strict).ends_with(2).says("there is no linux/arm64");
        create(&scene, &reference, &["--platform", "linux/arm64"]).ends_with(2).says("linux/amd64");
    }
}

#[test]
fn a_child_without_a_platform_is_chosen_by_its_config() {
    let scene = Scene::empty();
    let mut documents = Documents::default();
    let (amd64, arm64) = (documents.image("linux", "amd64"), documents.image("linux", "arm64"));
    let (wanted, other) = (text(&amd64["digest"]), text(&arm64["digest"]));
    let root = documents.index(INDEX, &[(amd64, Value::Null), (arm64, json!({}))]);
    documents.tag("1", &root);
    let server = documents.serve();
    create(&scene, &[format!("{}/x:1", server.host())], &["--platform", "linux/amd64"]).succeeds();
    let found = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().stdout;
    assert!(found.contains(&wanted) && !found.contains(&other) && found.contains("linux/amd64"), "{found}");
}

#[test]
fn an_artifact_that_has_another_images_manifest_as_its_content_arrives_with_it() {
    for order in [["x:1", "x:naming"], ["x:naming", "x:1"]] {
        let scene = Scene::empty();
        let mut documents = Documents::default();
        let image = documents.image("linux", "amd64");
        let config = documents.blob("application/vnd.acme.v1+json", b"{}");
        let naming =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [image.clone()]});
        let naming = documents.manifest(MANIFEST, &naming);
        documents.tag("1", &image);
        documents.tag("naming", &naming);
        let server = documents.serve();
        let host = server.host();
        create(&scene, &order.map(|name| format!("{host}/{name}")), &[]).succeeds();
        for source in ["b.tar", "-"] {
            let target = DockerRegistry::start().unwrap();
            let to = target.host();
            scene.shell(&format!("$BUNDLE import {source} --to {to} --trust key.pub < b.tar")).succeeds();
            let place = format!("cache/{}/x", host.replace(':', "_"));
            let found = target.client().manifest(&place, "naming").unwrap().unwrap();
            assert_eq!(found.digest, text(&naming["digest"]));
            assert!(target.client().manifest(&place, "1").unwrap().is_some());
            assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
        }
    }
}
